//! MP3 and ADTS files: frames one behind the other, with tags around them and perhaps damage between.

mod pieces;
mod seek;

use std::io;
use std::time::Duration;

use kithara_stream::MediaInfo;

use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};

use self::pieces::Pieces;
use self::seek::{Guess, Index};
use super::ape;
use super::details::Tags;
use super::format_reader::{Event, FormatReader, Opened, Packet, Stream};
use super::formats::{FormatDescriptor, OpenContext, Search};
use super::header::{HEADER_LEN, Header, Kind};
use super::source::Window;
use crate::DecodeError;
use crate::codecs::CodecParameters;
use crate::demux::Codec;
use crate::headers::xing::XingTag;

/// The first bytes of tags between frames and behind them.
const TAGS: [&[u8]; 3] = [b"TAG", b"APETAGEX", b"ID3"];
/// Bytes of an ID3v1 tag.
const ID3V1: u64 = 128;
/// Longest tag that is read through where another file may be joined behind it, in bytes.
const MAX_JOINT: usize = 256 * 1024;
/// Longest frame: the ADTS length field.
const MAX_FRAME: usize = 8191;
/// Packets that padding may fill, and one.
const PADDED: u64 = 5;
/// Following headers that must agree before a frame behind damage is believed.
const CONFIRMATIONS: usize = 3;
/// Following headers that must agree before the file is taken to go on as something else.
const CHANGE_CONFIRMATIONS: usize = 8;

pub(super) const MPEG_AUDIO: FormatDescriptor =
    FormatDescriptor::new("mp3", |_head| false, |window, context| open(window, Kind::MpegAudio, context))
        .with_probe(|window, search| probe(window, Kind::MpegAudio, search), &[0xFF]);

pub(super) const ADTS: FormatDescriptor =
    FormatDescriptor::new("adts", |_head| false, |window, context| open(window, Kind::Adts, context))
        .with_probe(|window, search| probe(window, Kind::Adts, search), &[0xFF]);

fn open(mut window: Window, kind: Kind, context: OpenContext<'_>) -> Result<Opened, DecodeError> {
    let first = kind.parse(window.peek(HEADER_LEN)?);
    let first = first.ok_or_else(|| DecodeError::Malformed("a frame header that changed".into()))?;
    FramedFile::open(window, kind, first, context.tags, context.may_estimate)
}

fn probe(window: &mut Window, kind: Kind, search: &Search<'_>) -> io::Result<bool> {
    let needed = match (search.is_start, is_hinted(search.hint, kind)) {
        (true, true) => 1,
        (true, false) | (false, true) => 3,
        (false, false) => 5,
    };
    Ok(confirm(window, kind, needed)?.is_some())
}

fn is_hinted(hint: &MediaInfo, kind: Kind) -> bool {
    let (extensions, types): (&[&str], &[&str]) = match kind {
        Kind::MpegAudio => (&["mp3", "mp2", "mpga"], &["audio/mpeg", "audio/mp3"]),
        Kind::Adts => (&["aac", "adts"], &["audio/aac", "audio/aacp", "audio/x-aac"]),
    };
    hint.extension.as_deref().is_some_and(|extension| extensions.contains(&extension))
        || hint.content_type.as_deref().is_some_and(|content_type| types.contains(&content_type))
}

pub(super) struct FramedFile {
    kind: Kind,
    window: Window,
    /// What every frame must agree with.
    reference: Header,
    /// Offset of the first packet.
    first: u64,
    /// Number of the next packet.
    number: u64,
    /// Where packets stand, as far as they were counted from the first one on.
    index: Index,
    /// Where packets stand that were counted from a place whose number was estimated.
    estimated: Index,
    /// The number of the next packet is an estimate.
    is_estimated: bool,
    /// Estimates may be used where the truth would have to be downloaded.
    may_estimate: bool,
    /// Tells about where a packet stands.
    guess: Option<Guess>,
    /// Bytes and packets of the beginning of the audio.
    rate: Option<(u64, u64)>,
    /// What the file was found to be made of.
    pieces: Pieces,
    /// What the codec was told of last.
    announced: Header,
    /// Bytes per packet on average, of files of one constant bit rate: as a fraction.
    constant: Option<(u64, u64)>,
    /// A tag says that the bit rate varies.
    is_variable: bool,
    /// Packets in the file, by its tag.
    told: Option<u64>,
    /// More of them follow than that, one behind the other.
    goes_on: bool,
    /// Something was lost before the packet at hand.
    is_lost: bool,
    current: usize,
}

/// Whether frames of `kind` follow each other from the window's position on: `needed` headers, or fewer up to the end of
/// the source.
pub(super) fn confirm(window: &mut Window, kind: Kind, needed: usize) -> io::Result<Option<Header>> {
    let Some(first) = kind.parse(window.peek(HEADER_LEN)?) else { return Ok(None) };
    let mut at = first.len;
    for _ in 0..needed {
        let data = window.peek(at + HEADER_LEN)?;
        match data.get(at..) {
            // The frame itself is cut off: no proof of anything.
            None => return Ok(None),
            // At the end, or before a tag.
            Some(rest) if rest.is_empty() || TAGS.iter().any(|tag| rest.starts_with(tag)) => break,
            Some(rest) => match kind.parse(rest) {
                Some(header) if header.agrees(&first) => at += header.len,
                _ => return Ok(None),
            },
        }
    }
    Ok(Some(first))
}

impl FramedFile {
    /// Opens the file whose first frame stands at the window's position.
    pub(super) fn open(
        mut window: Window,
        kind: Kind,
        first: Header,
        mut tags: Tags,
        may_estimate: bool,
    ) -> Result<Opened, DecodeError> {
        let tag_at = window.offset();
        ape::end_before_tags(&mut window, &mut tags)?;
        let left = window.byte_len().map(|len| len.saturating_sub(window.offset()));
        let tag = match kind {
            Kind::MpegAudio => XingTag::parse(window.peek(first.len)?).map(|tag| tag.checked(left)),
            Kind::Adts => None,
        };
        let mut reference = first;
        if tag.is_some() {
            window.consume(first.len);
            // The tag frame may differ from the audio in what does not matter to a decoder.
            if let Some(header) = kind.parse(window.peek(HEADER_LEN)?).filter(|header| header.agrees(&first))
            {
                reference = header;
            }
        }
        let is_variable = tag.is_some_and(|tag| !tag.is_constant);
        let tag = tag.unwrap_or_default();
        // The file is longer than the tag says: another may be joined to it, or a tag stand behind it.
        let is_doubtful = tag.is_exceeded_by(left);
        let (start, _) = tag.trim().unwrap_or((0, 0));
        let codec = parameters(kind, &reference)?;
        let constant = (kind == Kind::MpegAudio && tag.is_constant).then(|| average(&reference));
        let mut file = Self {
            kind,
            first: window.offset(),
            window,
            reference,
            number: 0,
            index: Index::default(),
            estimated: Index::default(),
            is_estimated: false,
            may_estimate,
            guess: Guess::by_tag(&tag, tag_at).filter(|_| !is_doubtful),
            rate: None,
            pieces: Pieces::new(reference, -i64::from(start)),
            announced: reference,
            constant,
            is_variable,
            told: tag.packets,
            goes_on: false,
            is_lost: false,
            current: 0,
        };
        file.check_end(&reference)?;
        let end = tag.end(reference.frames);
        file.rate = file.rate_at_hand();
        let estimate = if end.is_none() || is_doubtful { file.estimate_duration() } else { None };
        let stream = Stream {
            container: if kind == Kind::Adts { "adts" } else { "mp3" },
            sample_rate: reference.sample_rate,
            channels: reference.channels,
            bits_per_sample: None,
            end: tag.trim().and(end),
            total: end.filter(|_| !is_doubtful),
            estimate,
            frames_per_packet: Some(reference.frames),
            tags,
        };
        Ok(Opened { reader: Box::new(file), codec, stream })
    }

    /// Bytes and packets of what is at hand.
    fn rate_at_hand(&self) -> Option<(u64, u64)> {
        let data = self.window.available();
        let (mut at, mut packets) = (0, 0);
        while let Some(header) = data.get(at..).and_then(|rest| self.kind.parse(rest)) {
            at += header.len;
            packets += 1;
        }
        (at > 0).then_some((at as u64, packets))
    }

    /// The length by the size of the file and the bit rate of what is at hand.
    fn estimate_duration(&self) -> Option<Duration> {
        let (per, packets) = self.rate?;
        let bytes = self.window.byte_len()?.checked_sub(self.first)?;
        let frames = packets * u64::from(self.reference.frames);
        let total = u128::from(bytes) * u128::from(frames) / u128::from(per);
        let seconds = total as f64 / f64::from(self.reference.sample_rate);
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Makes the window begin with a frame; `None` at the end.
    fn find(&mut self) -> Result<Option<Header>, DecodeError> {
        self.window.consume(std::mem::take(&mut self.current));
        if !self.is_estimated {
            self.reference = self.pieces.at(self.number).header;
        }
        let data = self.window.peek(HEADER_LEN)?;
        if let Some(mut header) = self.kind.parse(data).filter(|header| header.agrees(&self.reference)) {
            let available = self.window.peek(header.len)?.len();
            if available >= header.len {
                return Ok(Some(header));
            }
            // What is left of a last MPEG frame counts as one, as with the reference decoder; of an AAC frame it does not.
            header.len = available;
            return Ok(Some(header).filter(|_| self.kind == Kind::MpegAudio));
        }
        let Some((header, is_seamless)) = self.resync()? else { return Ok(None) };
        if !header.agrees(&self.reference) {
            // Another file was joined to it, or a station changed its encoder.
            self.reference = header;
            self.constant = None;
            if !self.is_estimated {
                self.pieces.begin(self.number, header);
            }
            return Ok(Some(header));
        }
        let is_tag_frame =
            self.kind == Kind::MpegAudio && XingTag::parse(self.window.peek(header.len)?).is_some();
        if !self.pieces.begins_with(self.number) && (!is_seamless || is_tag_frame) {
            // The first frame behind damage is dropped, as the reference decoder does: the bits that it
            // needs from before are lost. So is the tag frame of a file joined to this one.
            self.window.consume(header.len);
            self.is_lost = true;
            return self.find();
        }
        Ok(Some(header))
    }

    /// Near the end that a tag tells of: looks whether it is one.
    fn check_end(&mut self, header: &Header) -> io::Result<()> {
        let Some(left) = self.told.and_then(|told| told.checked_sub(self.number)) else { return Ok(()) };
        if self.is_estimated || self.goes_on || left > PADDED {
            return Ok(());
        }
        let (mut at, mut next) = (0, Some(*header));
        for _ in 0..left {
            let Some(header) = next else { return Ok(()) };
            at += header.len;
            let data = self.window.peek(at + HEADER_LEN)?;
            next = data.get(at..).and_then(|rest| self.kind.parse(rest)).filter(|next| next.agrees(&header));
        }
        match next {
            Some(header) => self.goes_on = self.window.peek(at + header.len)?.len() >= at + header.len,
            None => self.goes_on = self.is_joined_at(at)?,
        }
        Ok(())
    }

    /// Whether more frames follow behind tags that begin `at` bytes ahead.
    fn is_joined_at(&mut self, mut at: usize) -> io::Result<bool> {
        let start = at;
        loop {
            let data = self.window.peek(at + ape::HEADER_LEN)?.get(at..).unwrap_or_default();
            let len = match data {
                [b'T', b'A', b'G', ..] => Some(ID3V1),
                data => crate::demux::id3::tag_len(data).or_else(|| ape::tag_len(data)),
            };
            match len.and_then(|len| usize::try_from(len).ok()) {
                None => break,
                Some(len) if at + len - start > MAX_JOINT => return Ok(false),
                Some(len) => at += len,
            }
        }
        if at == start {
            return Ok(false);
        }
        let data = self.window.peek(at + HEADER_LEN)?.get(at..).unwrap_or_default();
        Ok(self.kind.parse(data).is_some())
    }

    /// Looks for the next frames behind damage or a tag: such as before, or others that go on for longer.
    /// Tells whether only tags stood before them.
    fn resync(&mut self) -> Result<Option<(Header, bool)>, DecodeError> {
        let mut is_seamless = true;
        loop {
            let data = self.window.peek(MAX_FRAME)?;
            if data.len() < HEADER_LEN {
                return Ok(None);
            }
            if let Some(len) = crate::demux::id3::tag_len(data).or_else(|| ape::tag_len(data)) {
                self.window.move_to(self.window.offset().saturating_add(len))?;
                continue;
            }
            match data.iter().position(|&byte| byte == 0xFF) {
                None => {
                    let len = data.len();
                    self.window.consume(len);
                    is_seamless = false;
                    continue;
                }
                Some(at) => {
                    self.window.consume(at);
                    is_seamless &= at == 0;
                }
            }
            if let Some(header) = confirm(&mut self.window, self.kind, CONFIRMATIONS)?
                && (header.agrees(&self.reference)
                    || confirm(&mut self.window, self.kind, CHANGE_CONFIRMATIONS)?.is_some())
            {
                return Ok(Some((header, is_seamless)));
            }
            self.window.consume(1);
            is_seamless = false;
        }
    }
}

impl FormatReader for FramedFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        let Some(header) = self.find()? else { return Ok(Event::End) };
        self.note(&header);
        self.check_end(&header)?;
        let position = self.pieces.position_of(self.number);
        let change =
            if header.agrees(&self.announced) { None } else { Some(parameters(self.kind, &header)?) };
        if change.is_some() {
            self.announced = header;
        }
        self.number += 1;
        self.current = header.len;
        let data = &self.window.available()[header.skip..header.len];
        Ok(Event::Packet(Packet {
            data,
            position: Some(position),
            frames: self.pieces.in_first(u64::from(header.frames), &header),
            trim_end: 0,
            change,
            is_discontinuity: std::mem::take(&mut self.is_lost),
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        loop {
            let target = self.pieces.number_of(frame);
            let found = self.go_to(target)?;
            // On the way the file may have turned out to go on as something else.
            if self.pieces.number_of(frame) == target {
                if found && !self.is_estimated && self.told.is_some_and(|told| target >= told) {
                    self.goes_on |= self.find()?.is_some();
                }
                return Ok(found);
            }
        }
    }

    fn is_estimated(&self) -> bool {
        self.is_estimated
    }

    fn exceeds_declared_length(&self) -> bool {
        self.goes_on
    }

    fn resume(&mut self) {
        self.window.source_mut().resume();
    }
}

/// Bytes and packets of as many packets as make whole bytes, at the frame's bit rate.
fn average(header: &Header) -> (u64, u64) {
    (u64::from(header.frames) / 8 * u64::from(header.bitrate), u64::from(header.sample_rate))
}

fn parameters(kind: Kind, header: &Header) -> Result<CodecParameters, DecodeError> {
    let id = match (kind, header.layer) {
        (Kind::Adts, 2) if header.channels == 0 => {
            return Err(DecodeError::Unsupported("AAC with its channels in a program config element".into()));
        }
        (Kind::Adts, 2) => CODEC_ID_AAC,
        (Kind::Adts, other) => return Err(DecodeError::Unsupported(Codec::AacOther(other).to_string())),
        (Kind::MpegAudio, 1) => CODEC_ID_MP1,
        (Kind::MpegAudio, 2) => CODEC_ID_MP2,
        (Kind::MpegAudio, _) => CODEC_ID_MP3,
    };
    Ok(CodecParameters::new(id, header.sample_rate, header.channels))
}
