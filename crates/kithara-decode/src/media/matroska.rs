//! Matroska and WebM, read by Symphonia; and their track entries, for names of codecs and for compression, of which
//! that reader does not tell.

use std::io::Read;
use std::time::Duration;

use super::format_reader::Opened;
use super::formats::FormatDescriptor;
use super::source::Window;
use super::symphonia_file::{SymphoniaFile, SymphoniaFormat, opened_by_symphonia};
use crate::{CodecTable, DecodeError};

pub(super) const FORMAT: FormatDescriptor = FormatDescriptor::new(
    "matroska",
    |head| head.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]),
    |window, context| open(window, context.codecs),
);

/// Opens the file that begins at the window's position.
fn open(window: Window, codecs: &CodecTable) -> Result<Opened, DecodeError> {
    let tail = window.offset();
    let format = SymphoniaFormat::Matroska;
    let (file, track) = SymphoniaFile::open(format, window, Vec::new(), tail, false, Some(codecs))?;
    opened_by_symphonia("matroska", file, track)
}

/// Bytes at the start in which the tracks are looked for.
const MAX_HEAD: usize = 64 * 1024;
/// Longest packet that compression may give, in bytes.
const MAX_PLAIN: u64 = 4 << 20;
/// Tags that are kept.
const MAX_TAGS: usize = 512;
/// Tracks that are kept.
const MAX_TRACKS: usize = 128;

/// An audio track.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    pub(super) number: u64,
    codec: String,
    coding: Coding,
    /// The coding also applies to the codec's own data.
    is_private_coded: bool,
}

/// How packets are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    Plain,
    Zlib,
    /// Bytes that every packet begins with were left out.
    Header(Vec<u8>),
    /// Not supported: its name.
    Other(&'static str),
}

const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1F43_B675;
const INFO: u32 = 0x1549_A966;
const TITLE: u32 = 0x7BA9;
const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
const DURATION: u32 = 0x4489;
const TAGS: u32 = 0x1254_C367;
const TAG: u32 = 0x7373;
const SIMPLE_TAG: u32 = 0x67C8;
const TAG_NAME: u32 = 0x45A3;
const TAG_STRING: u32 = 0x4487;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK_ENTRY: u32 = 0xAE;
const TRACK_NUMBER: u32 = 0xD7;
const TRACK_TYPE: u32 = 0x83;
const CODEC_ID: u32 = 0x86;
const ENCODINGS: u32 = 0x6D80;
const ENCODING: u32 = 0x6240;
const ENCODING_SCOPE: u32 = 0x5032;
const ENCODING_TYPE: u32 = 0x5033;
const COMPRESSION: u32 = 0x5034;
const ALGORITHM: u32 = 0x4254;
const SETTINGS: u32 = 0x4255;

const AUDIO: u64 = 2;

/// Reads what stands before the first cluster of the file that begins at the window's position, which does not move.
/// Empty where the tracks stand far from the start.
pub(super) fn read(window: &mut Window) -> Result<Head, DecodeError> {
    let mut known = 4096;
    loop {
        let data = window.peek(known)?;
        let is_all = data.len() < known || known >= MAX_HEAD;
        let mut head = Head::default();
        if head.scan(&data[..data.len().min(MAX_HEAD)]).is_some() || is_all {
            return Ok(head);
        }
        known *= 2;
    }
}

/// The start of a file.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) tracks: Vec<Track>,
    /// Names and values of the segment's title and of its tags.
    pub(super) tags: Vec<(String, String)>,
    /// Length of the segment.
    pub(super) duration: Option<Duration>,
}

impl Head {
    /// Reads the elements up to the first cluster. `None` where `data` ends before it.
    fn scan(&mut self, data: &[u8]) -> Option<()> {
        let (EBML, len, rest) = element(data)? else { return Some(()) };
        let (SEGMENT, _, mut rest) = element(rest.get(len?..)?)? else { return Some(()) };
        loop {
            let (id, len, body) = element(rest)?;
            let Some(len) = len.filter(|_| id != CLUSTER) else { return Some(()) };
            let whole = body.get(..len)?;
            match id {
                INFO => {
                    let title = children(whole).find(|&(id, _)| id == TITLE);
                    self.duration = duration(whole);
                    self.tags.extend(title.map(|(_, title)| ("TITLE".to_owned(), text(title))));
                }
                TRACKS => self.tracks = parse_tracks(whole),
                TAGS => self.take_tags(whole),
                _ => {}
            }
            rest = &body[len..];
        }
    }

    fn take_tags(&mut self, tags: &[u8]) {
        for (_, tag) in children(tags).filter(|&(id, _)| id == TAG) {
            for (_, simple) in children(tag).filter(|&(id, _)| id == SIMPLE_TAG) {
                let part =
                    |wanted| children(simple).find(|&(id, _)| id == wanted).map(|(_, body)| text(body));
                if let (Some(name), Some(value)) = (part(TAG_NAME), part(TAG_STRING))
                    && self.tags.len() < MAX_TAGS
                {
                    self.tags.push((name, value));
                }
            }
        }
    }
}

/// The length that an Info element states.
fn duration(info: &[u8]) -> Option<Duration> {
    let find = |wanted| children(info).find(|&(id, _)| id == wanted).map(|(_, body)| body);
    let scale = find(TIMESTAMP_SCALE).map_or(1_000_000, number);
    let ticks = match find(DURATION)? {
        &[a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
        body => f64::from_be_bytes(*body.first_chunk::<8>()?),
    };
    Duration::try_from_secs_f64(ticks * scale as f64 / 1e9).ok().filter(|duration| !duration.is_zero())
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Id and length of the element that `data` begins with, and what follows its header. The length is `None` where it is
/// unknown.
fn element(data: &[u8]) -> Option<(u32, Option<usize>, &[u8])> {
    let id_len = data.first()?.leading_zeros() as usize + 1;
    if id_len > 4 {
        return None;
    }
    let id = data.get(..id_len)?.iter().fold(0u32, |id, &byte| id << 8 | u32::from(byte));
    let rest = &data[id_len..];
    let first = *rest.first()?;
    let size_len = first.leading_zeros() as usize + 1;
    if size_len > 8 {
        return None;
    }
    let bytes = rest.get(..size_len)?;
    let mask = if size_len == 8 { 0 } else { 0xFF >> size_len };
    let size = bytes[1..].iter().fold(u64::from(first & mask), |size, &byte| size << 8 | u64::from(byte));
    let is_unknown = size == (1 << (7 * size_len)) - 1;
    let len = if is_unknown { None } else { Some(usize::try_from(size).ok()?) };
    Some((id, len, &rest[size_len..]))
}

/// The children of an element.
fn children(mut data: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let (id, len, body) = element(data)?;
        let (body, rest) = body.split_at_checked(len?)?;
        data = rest;
        Some((id, body))
    })
}

fn number(data: &[u8]) -> u64 {
    data.iter().take(8).fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn parse_tracks(data: &[u8]) -> Vec<Track> {
    let entries = children(data).filter(|&(id, _)| id == TRACK_ENTRY);
    entries.filter_map(|(_, entry)| parse_track(entry)).take(MAX_TRACKS).collect()
}

fn parse_track(entry: &[u8]) -> Option<Track> {
    let mut track = Track::default();
    let mut kind = 0;
    for (id, body) in children(entry) {
        match id {
            TRACK_NUMBER => track.number = number(body),
            TRACK_TYPE => kind = number(body),
            CODEC_ID => {
                track.codec = String::from_utf8_lossy(body).trim_end_matches('\0').chars().take(64).collect()
            }
            ENCODINGS => {
                let mut encodings = children(body).filter(|&(id, _)| id == ENCODING);
                if let Some((_, encoding)) = encodings.next() {
                    (track.coding, track.is_private_coded) = parse_encoding(encoding);
                }
                if encodings.next().is_some() {
                    track.coding = Coding::Other("several codings of its packets");
                }
            }
            _ => {}
        }
    }
    (kind == AUDIO).then_some(track)
}

/// The coding of packets, and whether the codec's own data have it as well.
fn parse_encoding(encoding: &[u8]) -> (Coding, bool) {
    let (mut scope, mut kind, mut algorithm, mut settings) = (1, 0, 0, Vec::new());
    for (id, body) in children(encoding) {
        match id {
            ENCODING_SCOPE => scope = number(body),
            ENCODING_TYPE => kind = number(body),
            COMPRESSION => {
                for (id, body) in children(body) {
                    match id {
                        ALGORITHM => algorithm = number(body),
                        SETTINGS => settings = body.to_vec(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let coding = match (kind, algorithm) {
        (1.., _) => Coding::Other("encryption"),
        (_, 0) => Coding::Zlib,
        (_, 1) => Coding::Other("bzlib compression"),
        (_, 2) => Coding::Other("LZO compression"),
        (_, 3) => Coding::Header(settings),
        _ => Coding::Other("compression of an unknown kind"),
    };
    let coding = if scope & 1 == 0 { Coding::Plain } else { coding };
    (coding, scope & 2 != 0)
}

impl Track {
    /// Why packets of the track cannot be read.
    pub(super) fn refusal(&self) -> Option<String> {
        match self.coding {
            Coding::Other(name) => Some(format!("{} with {name}", self.codec_name())),
            _ => None,
        }
    }

    /// The name of the codec.
    pub(super) fn codec_name(&self) -> String {
        let name = match self.codec.as_str() {
            "A_AC3" | "A_AC3/BSID9" | "A_AC3/BSID10" => "AC-3",
            "A_EAC3" => "E-AC-3",
            "A_DTS" | "A_DTS/EXPRESS" | "A_DTS/LOSSLESS" => "DTS",
            "A_TRUEHD" => "TrueHD",
            "A_MLP" => "MLP",
            "A_WAVPACK4" => "WavPack",
            "A_TTA1" => "True Audio (TTA)",
            "A_ALAC" => "ALAC",
            "A_ATRAC/AT1" => "ATRAC",
            "A_QUICKTIME/QDMC" | "A_QUICKTIME/QDM2" => "QDesign Music",
            codec if codec.starts_with("A_AAC") => "AAC",
            codec if codec.starts_with("A_REAL") => "RealAudio",
            codec if codec.starts_with("A_MS/ACM") => "a codec of Windows (A_MS/ACM)",
            codec if codec.starts_with("A_PCM") => "PCM",
            "A_OPUS" => "Opus",
            "A_VORBIS" => "Vorbis",
            "A_FLAC" => "FLAC",
            "A_MPEG/L3" => "MP3",
            "A_MPEG/L2" => "MP2",
            "" => "a codec without a name",
            other => return format!("codec '{other}'"),
        };
        name.into()
    }

    /// Whether [`restore`](Self::restore) changes packets.
    pub(super) fn is_coded(&self) -> bool {
        self.coding != Coding::Plain
    }

    /// The codec's own data as they were before compression.
    pub(super) fn restore_private(&self, data: &[u8]) -> Option<Vec<u8>> {
        if !self.is_private_coded || !self.is_coded() {
            return None;
        }
        let mut plain = Vec::new();
        self.restore(data, &mut plain).then_some(plain)
    }

    /// Writes the packet that was stored as `data` into `plain`. `false`: it is damaged.
    pub(super) fn restore(&self, data: &[u8], plain: &mut Vec<u8>) -> bool {
        plain.clear();
        match &self.coding {
            Coding::Plain => plain.extend_from_slice(data),
            Coding::Header(header) => {
                plain.extend_from_slice(header);
                plain.extend_from_slice(data);
            }
            Coding::Zlib => {
                let mut inflated = flate2::read::ZlibDecoder::new(data).take(MAX_PLAIN);
                return inflated.read_to_end(plain).is_ok();
            }
            Coding::Other(_) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(id: &[u8], body: &[u8]) -> Vec<u8> {
        [id, &[0x40 | (body.len() >> 8) as u8, body.len() as u8], body].concat()
    }

    #[test]
    fn coding_of_a_track_is_found() {
        let compression =
            make(&[0x50, 0x34], &[make(&[0x42, 0x54], &[3]), make(&[0x42, 0x55], b"\xFF\xFB")].concat());
        let encodings = make(&[0x6D, 0x80], &make(&[0x62, 0x40], &compression));
        let entry =
            [make(&[0xD7], &[5]), make(&[0x83], &[2]), make(&[0x86], b"A_MPEG/L3"), encodings].concat();
        let tracks = parse_tracks(&make(&[0xAE], &entry));
        assert_eq!((tracks.len(), tracks[0].number, tracks[0].is_coded()), (1, 5, true));
        let mut plain = Vec::new();
        assert!(tracks[0].restore(&[1, 2], &mut plain));
        assert_eq!(plain, [0xFF, 0xFB, 1, 2]);
        for cut in 0..entry.len() {
            parse_tracks(&make(&[0xAE], &entry[..cut]));
        }
    }
}
