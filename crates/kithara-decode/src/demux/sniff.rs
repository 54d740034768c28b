//! Which container bytes are in, by the bytes alone.

use std::fmt;

use super::adts::Adts;
use super::framing::Format;
use super::mpeg_audio::MpegAudio;
use super::{AdtsDemuxer, Codec, Demuxer, Fmp4Demuxer, MpegAudioDemuxer, TsDemuxer};
use super::{id3, ts};

/// A container that has an incremental demuxer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Container {
    /// ISO base media: fragmented MP4 (CMAF), or a progressive file with its index in front.
    Fmp4,
    /// MPEG-2 transport stream.
    MpegTs,
    /// AAC in ADTS frames ("packed audio"), with or without ID3 tags.
    Adts,
    /// MPEG audio layers I to III ("packed audio"), with or without ID3 tags.
    MpegAudio,
}

impl Container {
    /// A demuxer for this container.
    pub fn demuxer(self) -> Box<dyn Demuxer> {
        match self {
            Self::Fmp4 => Box::new(Fmp4Demuxer::new()),
            Self::MpegTs => Box::new(TsDemuxer::new()),
            Self::Adts => Box::new(AdtsDemuxer::new()),
            Self::MpegAudio => Box::new(MpegAudioDemuxer::new()),
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fmp4 => "MP4",
            Self::MpegTs => "MPEG-TS",
            Self::Adts => "ADTS",
            Self::MpegAudio => "MPEG audio",
        })
    }
}

/// What the first bytes of a segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sniff {
    /// It is this.
    Found(Container),
    /// Nothing contradicts, nothing is sure: ask again with more bytes, from the same start.
    NeedMore,
    /// Audio that we can name and have no demuxer for.
    Unsupported(Codec),
    /// Not media that we know.
    Unknown,
}

/// Bytes (behind ID3 tags) within which a container must show itself.
const MAX_SNIFF: usize = 64 << 10;

/// Boxes that an MP4 stream or segment begins with.
const FIRST_BOXES: [&[u8; 4]; 15] = [
    b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"ssix", b"emsg", b"prft", b"free", b"skip", b"mdat",
    b"uuid", b"wide", b"pdin", b"mfra",
];

/// Media of containers that come as whole files and never as segments: not worth a search.
const OTHER_MEDIA: [&[u8; 4]; 7] =
    [b"OggS", b"fLaC", b"RIFF", b"FORM", b"caff", b"\x1A\x45\xDF\xA3", b"wvpk"];

/// Chooses the container from the first bytes of a stream or segment.
///
/// Leading ID3 tags are skipped. MPEG-TS and framed audio are found behind some garbage as well, by several frames in a
/// row.
pub fn sniff(data: &[u8]) -> Sniff {
    look(data, false)
}

/// Like [`sniff`], when no more bytes will come: never [`Sniff::NeedMore`].
pub fn sniff_at_end(data: &[u8]) -> Sniff {
    match look(data, true) {
        Sniff::NeedMore => Sniff::Unknown,
        other => other,
    }
}

fn look(data: &[u8], is_end: bool) -> Sniff {
    let mut data = data;
    while let Some(len) = id3::tag_len(data) {
        match usize::try_from(len).ok().and_then(|len| data.get(len..)) {
            Some(rest) if !rest.is_empty() || is_end => data = rest,
            _ => return Sniff::NeedMore,
        }
    }
    if data.len() < 16 && !is_end {
        return Sniff::NeedMore;
    }
    if let Some(kind) = data.get(4..8)
        && FIRST_BOXES.iter().any(|first| *first == kind)
    {
        return Sniff::Found(Container::Fmp4);
    }
    if let Some(codec) = named_only(data) {
        return Sniff::Unsupported(codec);
    }
    let window = &data[..data.len().min(MAX_SNIFF)];
    if is_text(window) || OTHER_MEDIA.iter().any(|magic| data.starts_with(*magic)) {
        return Sniff::Unknown;
    }
    let is_end = is_end || data.len() >= MAX_SNIFF;
    match at_start(window, is_end) {
        Sniff::Unknown => behind_garbage(window, is_end),
        other => other,
    }
}

/// Framed audio that we have no demuxer for.
fn named_only(data: &[u8]) -> Option<Codec> {
    match *data {
        // The bit stream identification tells the two apart.
        [0x0B, 0x77, _, _, _, bsi, ..] => Some(if bsi >> 3 <= 10 { Codec::Ac3 } else { Codec::Eac3 }),
        [0x56, b1, b2, ..] if b1 & 0xE0 == 0xE0 => {
            let next = 3 + (usize::from(b1 & 0x1F) << 8 | usize::from(b2));
            let again = data.get(next..next + 2)?;
            (again[0] == 0x56 && again[1] & 0xE0 == 0xE0).then_some(Codec::Latm)
        }
        _ => None,
    }
}

/// A page, a playlist, subtitles. No media begins with this much plain text.
fn is_text(data: &[u8]) -> bool {
    let head = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(data);
    let head = &head[..head.len().min(64)];
    head.len() >= 4 && head.iter().all(|&byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
}

fn at_start(data: &[u8], is_end: bool) -> Sniff {
    let mut is_open = false;
    for (container, verdict) in [
        (Container::MpegTs, ts_packets(data, 3, is_end)),
        (Container::Adts, frames::<Adts>(data, 1, is_end)),
        (Container::MpegAudio, frames::<MpegAudio>(data, 1, is_end)),
    ] {
        match verdict {
            Some(true) => return Sniff::Found(container),
            Some(false) => {}
            None => is_open = true,
        }
    }
    // The demuxer names what is wrong with it.
    if !is_open && MpegAudio::is_unsupported(data) {
        return Sniff::Found(Container::MpegAudio);
    }
    if is_open { Sniff::NeedMore } else { Sniff::Unknown }
}

fn behind_garbage(data: &[u8], is_end: bool) -> Sniff {
    for start in 1..data.len() {
        let rest = &data[start..];
        let found = match rest[0] {
            ts::SYNC if begins_packets(rest) => Container::MpegTs,
            0xFF if frames::<Adts>(rest, 4, false) == Some(true) => Container::Adts,
            0xFF if frames::<MpegAudio>(rest, 4, false) == Some(true) => Container::MpegAudio,
            _ => continue,
        };
        return Sniff::Found(found);
    }
    if is_end { Sniff::Unknown } else { Sniff::NeedMore }
}

/// Whether a sync byte at the start is followed by four at the distance of one of the packet sizes.
fn begins_packets(data: &[u8]) -> bool {
    ts::PACKET_LAYOUTS.iter().any(|&(size, _)| (1..=4).all(|index| data.get(index * size) == Some(&ts::SYNC)))
}

/// Whether `wanted` sync bytes stand at the distance of one of the packet sizes. `None`: not yet to be told.
fn ts_packets(data: &[u8], wanted: usize, is_end: bool) -> Option<bool> {
    let mut is_open = false;
    for (size, offset) in ts::PACKET_LAYOUTS {
        let mut syncs = data.iter().skip(offset).step_by(size).take(wanted);
        let present = syncs.clone().count();
        if syncs.all(|&byte| byte == ts::SYNC) {
            if present == wanted || is_end && present >= 1 && data.len().is_multiple_of(size) {
                return Some(true);
            }
            is_open = true;
        }
    }
    if is_open && !is_end { None } else { Some(false) }
}

/// Whether a frame stands at the start and `wanted` like it follow. `None`: not yet to be told.
fn frames<F: Format>(data: &[u8], wanted: usize, is_end: bool) -> Option<bool> {
    let Some(head) = data.get(..F::HEADER_LEN) else {
        return if is_end { Some(false) } else { None };
    };
    let Some(first) = F::parse(head) else { return Some(false) };
    let mut at = F::frame_len(&first);
    for _ in 0..wanted {
        match data.get(at..at + F::HEADER_LEN) {
            Some(bytes) => match F::parse(bytes) {
                Some(next) if F::is_same(&first, &next) => at += F::frame_len(&next),
                // A trailing or a timed tag.
                _ if bytes.starts_with(b"ID3") || bytes.starts_with(b"TAG") => return Some(true),
                _ => return Some(false),
            },
            None if is_end => return Some(true),
            None => return None,
        }
    }
    Some(true)
}
