//! Program tables: which PID carries the audio (ISO/IEC 13818-1, 2.4.4).

use super::super::bits::Fields;
use super::super::{Codec, FourCc, SampleAesCodec, limits};

/// Puts sections together from packet payloads.
#[derive(Debug, Default)]
pub(super) struct SectionReader {
    buffer: Vec<u8>,
    is_open: bool,
    continuity: Option<u8>,
    /// Checksum of the section that was taken last.
    last: Option<u32>,
    /// A section with a right checksum was seen.
    is_trusted: bool,
}

impl SectionReader {
    /// Begins a new segment: nothing continues, what was read stays known.
    pub(super) fn interrupt(&mut self) {
        self.is_open = false;
        self.continuity = None;
    }

    /// Takes a packet's payload, and gives each section that is complete, new and sound to `take`.
    pub(super) fn push(
        &mut self,
        payload: &[u8],
        is_start: bool,
        continuity: u8,
        mut take: impl FnMut(&[u8]),
    ) {
        if self.continuity == Some(continuity) {
            return;
        }
        if self.continuity.is_some_and(|last| (last + 1) & 0x0F != continuity) {
            self.is_open = false;
        }
        self.continuity = Some(continuity);
        if !is_start {
            self.append(payload, &mut take);
            return;
        }
        let Some((&pointer, rest)) = payload.split_first() else { return };
        let Some((tail, mut sections)) = rest.split_at_checked(pointer.into()) else {
            self.is_open = false;
            return;
        };
        self.append(tail, &mut take);
        // Several sections may begin in one packet; 0xFF is stuffing.
        while !sections.is_empty() && sections[0] != 0xFF {
            self.buffer.clear();
            self.is_open = true;
            let used = self.append(sections, &mut take);
            sections = &sections[used..];
        }
    }

    /// Gives the number of bytes that belonged to the section.
    fn append(&mut self, data: &[u8], take: &mut impl FnMut(&[u8])) -> usize {
        if !self.is_open {
            return data.len();
        }
        let before = self.buffer.len();
        let wanted = section_len(&self.buffer, data).unwrap_or(usize::MAX);
        if wanted != usize::MAX && wanted > limits::MAX_SECTION {
            self.is_open = false;
            return data.len();
        }
        let used = (wanted - before).min(data.len());
        self.buffer.extend_from_slice(&data[..used]);
        if self.buffer.len() == wanted {
            self.is_open = false;
            self.complete(take);
        }
        used
    }

    fn complete(&mut self, take: &mut impl FnMut(&[u8])) {
        let Some((body, checksum)) = self.buffer.split_last_chunk::<4>() else { return };
        let checksum = u32::from_be_bytes(*checksum);
        let is_sound = crc32(body) == checksum;
        // Some muxers never write a right checksum: their tables are taken as long as no better one is known.
        if self.last == Some(checksum) || !is_sound && self.is_trusted {
            return;
        }
        self.is_trusted |= is_sound;
        self.last = Some(checksum);
        take(body);
    }
}

/// Length of the section that begins with `head` and goes on with `more`.
fn section_len(head: &[u8], more: &[u8]) -> Option<usize> {
    let mut bytes = head.iter().chain(more).skip(1);
    let (high, low) = (bytes.next()?, bytes.next()?);
    Some(3 + (usize::from(high & 0x0F) << 8 | usize::from(*low)))
}

/// CRC-32 of MPEG-2: polynomial 0x04C11DB7, from the top bit, no inversion.
pub(in super::super) fn crc32(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04C1_1DB7 } else { crc << 1 }
        })
    })
}

/// The fixed part of a section of `table_id`, checked; what follows, without the checksum.
fn table(section: &[u8], table_id: u8) -> Option<(u8, Fields<'_>)> {
    let mut fields = Fields::new(section);
    if fields.u8()? != table_id {
        return None;
    }
    fields.skip(4)?;
    let is_current = fields.u8()? & 1 == 1;
    let section_number = fields.u8()?;
    fields.skip(1)?;
    is_current.then_some((section_number, fields))
}

/// The PIDs of the program map tables, and whether they replace those known so far.
pub(super) fn parse_pat(section: &[u8]) -> Option<(bool, Vec<u16>)> {
    let (section_number, mut fields) = table(section, 0x00)?;
    let mut pids = Vec::new();
    while let (Some(program), Some(pid)) = (fields.u16(), fields.u16()) {
        // Program 0 is the network information table.
        if program != 0 {
            pids.push(pid & 0x1FFF);
        }
    }
    Some((section_number == 0, pids))
}

/// An audio stream of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AudioStream {
    pub(super) pid: u16,
    pub(super) kind: AudioKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AudioKind {
    Adts,
    MpegAudio,
    /// Private data without a word of what it is: some muxers carry ADTS or MPEG audio so.
    Unnamed,
    Other(Codec),
}

/// The audio streams of a program map table.
pub(super) fn parse_pmt(section: &[u8]) -> Option<Vec<AudioStream>> {
    let (_, mut fields) = table(section, 0x02)?;
    fields.skip(2)?;
    let info_len = fields.u16()? & 0x0FFF;
    let program = registration(fields.take(info_len.into())?);
    let mut streams = Vec::new();
    while let (Some(stream_type), Some(pid)) = (fields.u8(), fields.u16()) {
        let len = usize::from(fields.u16()? & 0x0FFF);
        let descriptors = fields.take(len.min(fields.rest().len()))?;
        let is_hdmv = program == Some(*b"HDMV") || registration(descriptors) == Some(*b"HDMV");
        if let Some(kind) = audio_kind(stream_type, descriptors, is_hdmv) {
            streams.push(AudioStream { pid: pid & 0x1FFF, kind });
        }
    }
    Some(streams)
}

/// What a stream type says; `None` for what is no audio.
fn audio_kind(stream_type: u8, descriptors: &[u8], is_hdmv: bool) -> Option<AudioKind> {
    let codec = match stream_type {
        0x0F => return Some(AudioKind::Adts),
        0x03 | 0x04 => return Some(AudioKind::MpegAudio),
        0x06 => match private_codec(descriptors) {
            Some(codec) => codec,
            None if is_named(descriptors) => return None,
            None => return Some(AudioKind::Unnamed),
        },
        0x11 => Codec::Latm,
        0x1C | 0x2D | 0x2E => Codec::UnknownStreamType(stream_type),
        0x80 if is_hdmv => Codec::Pcm,
        0x81 => Codec::Ac3,
        0x82 | 0x85 | 0x86 | 0xA2 if is_hdmv => Codec::Dts,
        0x8A => Codec::Dts,
        0x83 if is_hdmv => Codec::TrueHd,
        0x87 => Codec::Eac3,
        0x84 | 0xA1 if is_hdmv => Codec::Eac3,
        0xC1 => Codec::SampleAes(SampleAesCodec::Ac3),
        0xC2 => Codec::SampleAes(SampleAesCodec::Eac3),
        0xCF => Codec::SampleAes(SampleAesCodec::Aac),
        _ => return None,
    };
    Some(AudioKind::Other(codec))
}

/// Private data that a descriptor says is audio.
fn private_codec(descriptors: &[u8]) -> Option<Codec> {
    let mut fields = Fields::new(descriptors);
    while let (Some(tag), Some(len)) = (fields.u8(), fields.u8()) {
        let body = fields.take(usize::from(len).min(fields.rest().len()))?;
        let codec = match (tag, body) {
            (0x6A, _) => Codec::Ac3,
            (0x7A, _) => Codec::Eac3,
            (0x7B, _) => Codec::Dts,
            (0x7C, _) => Codec::Latm,
            (0x7F, [0x80, ..]) => Codec::Opus,
            (0x7F, [0x15, ..]) => Codec::Ac4,
            (0x7F, [0x0E | 0x21, ..]) => Codec::Dts,
            (0x05, [a, b, c, d, ..]) => match &[*a, *b, *c, *d] {
                b"AC-3" => Codec::Ac3,
                b"EAC3" => Codec::Eac3,
                b"AC-4" => Codec::Ac4,
                b"Opus" => Codec::Opus,
                b"BSSD" => Codec::Smpte302m,
                b"DTS1" | b"DTS2" | b"DTS3" | b"DTSH" => Codec::Dts,
                b"mlpa" => Codec::TrueHd,
                b"fLaC" => Codec::Unknown(FourCc(*b"fLaC")),
                _ => continue,
            },
            _ => continue,
        };
        return Some(codec);
    }
    None
}

/// Whether descriptors say what private data is: a registration, VBI, teletext, subtitles, an application table.
fn is_named(descriptors: &[u8]) -> bool {
    let mut fields = Fields::new(descriptors);
    while let (Some(tag), Some(len)) = (fields.u8(), fields.u8()) {
        if matches!(tag, 0x05 | 0x45 | 0x46 | 0x56 | 0x59 | 0x6F) {
            return true;
        }
        if fields.take(len.into()).is_none() {
            return false;
        }
    }
    false
}

/// The format identifier of a registration descriptor.
fn registration(descriptors: &[u8]) -> Option<[u8; 4]> {
    let mut fields = Fields::new(descriptors);
    loop {
        let (tag, len) = (fields.u8()?, fields.u8()?);
        let body = fields.take(len.into())?;
        if tag == 0x05 {
            return body.first_chunk().copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_mpeg2() {
        assert_eq!(crc32(b"123456789"), 0x0376_E6E7);
    }

    #[test]
    fn a_section_over_three_packets_and_two_in_one() {
        let mut section = vec![0x00, 0xB0, 0, 0, 1, 0xC1, 0, 0];
        for program in 1..=100u16 {
            section.extend(program.to_be_bytes());
            section.extend((0xE000 | program).to_be_bytes());
        }
        let len = section.len() + 4 - 3;
        section[1] |= (len >> 8) as u8;
        section[2] = len as u8;
        section.extend(crc32(&section).to_be_bytes());
        let mut small = vec![0x00, 0xB0, 9, 0, 1, 0xC1, 1, 1];
        small.extend(crc32(&small).to_be_bytes());

        let mut seen = Vec::new();
        let mut reader = SectionReader::default();
        let mut take = |section: &[u8]| seen.push(parse_pat(section).unwrap());
        let (a, rest) = section.split_at(183);
        let (b, c) = rest.split_at(184);
        reader.push(&[&[0], a].concat(), true, 14, &mut take);
        reader.push(b, false, 15, &mut take);
        let end = [&[c.len() as u8], c, &small, &[0xFF; 20]].concat();
        reader.push(&end, true, 0, &mut take);
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].0, seen[0].1.len()), (true, 100));
        assert_eq!((seen[1].0, seen[1].1.len()), (false, 0));
    }

    #[test]
    fn a_lost_packet_drops_its_section() {
        let mut reader = SectionReader::default();
        reader.push(&[0, 0x00, 0xB0, 0xFF], true, 1, |_| panic!());
        reader.push(&[1; 184], false, 3, |_| panic!());
        reader.push(&[1; 184], false, 4, |_| panic!());
    }
}
