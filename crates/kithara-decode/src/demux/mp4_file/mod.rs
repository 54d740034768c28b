//! A whole MP4 file over `Read + Seek`: M4A with its index in front or at the end, and fragmented files.

mod fragments;
mod window;

use std::io::{Read, Seek};

use super::mp4::boxes::BoxHeader;
use super::mp4::described::Described;
use super::mp4::fragment::Sample;
pub use super::mp4::moov::Edit;
use super::mp4::moov::Moov;
use super::mp4::table::Cursor;
use super::{Codec, Container, DemuxError, DemuxedPacket, TrackInfo, limits};
use fragments::Fragments;
use window::Window;

/// Why an MP4 file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Mp4FileError {
    /// The bytes are not what they should be.
    #[error(transparent)]
    Demux(#[from] DemuxError),
    /// The reader failed.
    #[error("reading the MP4 file at byte {offset}")]
    Io {
        /// Where.
        offset: u64,
        /// The reader's error.
        source: std::io::Error,
    },
}

/// A random-access reader of the audio track of an MP4 file.
///
/// Opening reads the index and nothing else: with the index in front, the first few kilobytes; with the index at the
/// end, the headers up to it and the index. The length of the file is asked for only where a fragmented file has no
/// index in front. Sample tables stay in the compact form of the file: two bytes per packet, and a few per chunk.
///
/// ```
/// use std::io::{Read, Seek};
/// use kithara_decode::demux::mp4_file::{Mp4File, Mp4FileError};
///
/// fn bytes_from(source: impl Read + Seek, seconds: u64) -> Result<usize, Mp4FileError> {
///     let mut file = Mp4File::open(source)?;
///     file.seek(seconds * u64::from(file.track().timescale))?;
///     let mut bytes = 0;
///     while let Some(packet) = file.next_packet()? {
///         bytes += packet.data.len();
///     }
///     Ok(bytes)
/// }
/// assert!(bytes_from(std::io::Cursor::new(b"not an MP4 file"), 0).is_err());
/// ```
#[derive(Debug)]
pub struct Mp4File<R> {
    window: Window<R>,
    described: Described,
    info: TrackInfo,
    /// Position in the sample table; `None` when there is none.
    table: Option<Cursor>,
    /// Position in the fragments, which follow the samples of the table.
    fragments: Option<Box<Fragments>>,
    /// Payloads of the movie's user data, until they are taken.
    user_data: Vec<(Box<[u8]>, bool)>,
    /// The sample that was stepped over last.
    current: Option<Located>,
}

/// A sample, or several of PCM joined.
#[derive(Clone, Copy, Debug)]
struct Located {
    sample: Sample,
    /// Samples joined.
    count: u32,
    /// Number of the first in the sample table.
    number: Option<u32>,
}

/// Bytes of PCM that are joined.
const MAX_JOINED: u32 = 8192;

/// Boxes that may stand before the index.
const MAX_BOXES: u32 = 65_536;

impl<R: Read + Seek> Mp4File<R> {
    /// Reads the index (`moov`, wherever it is) and nothing else.
    ///
    /// # Errors
    /// [`Mp4FileError`] when the reader fails, or the file is damaged, unsupported, or has no audio.
    pub fn open(reader: R) -> Result<Self, Mp4FileError> {
        Self::open_where(reader, |_| Ok(()))
    }

    /// As [`open`](Self::open), with the first audio track that `is_playable` accepts, preferably an enabled one.
    ///
    /// # Errors
    /// As [`open`](Self::open); where no track is accepted, [`DemuxError::NoPlayableTrack`], or its error if there is
    /// but one.
    pub fn open_where(
        reader: R,
        mut is_playable: impl FnMut(&TrackInfo) -> Result<(), DemuxError>,
    ) -> Result<Self, Mp4FileError> {
        let mut window = Window::new(reader);
        let mut at = 0;
        for _ in 0..MAX_BOXES {
            let Some((header, end)) = read_header(&mut window, at)? else {
                return Err(malformed("the file ends before its index (moov)", at).into());
            };
            if &header.kind.0 == b"moov" {
                let len = end.map(|end| end - at - header.header_len);
                let payload = read_box(&mut window, at + header.header_len, len, limits::MAX_MOOV)?;
                return Self::with_moov(window, &payload, at, end, &mut is_playable);
            }
            at = end.ok_or_else(|| malformed("no moov box", at))?;
        }
        Err(malformed("no moov box", at).into())
    }

    fn with_moov(
        window: Window<R>,
        payload: &[u8],
        at: u64,
        end: Option<u64>,
        is_playable: &mut dyn FnMut(&TrackInfo) -> Result<(), DemuxError>,
    ) -> Result<Self, Mp4FileError> {
        let mut moov = Moov::parse(payload).map_err(|what| malformed(what, at))?;
        let user_data = std::mem::take(&mut moov.user_data);
        let (is_fragmented, is_only_track) = (moov.is_fragmented, moov.track_count == 1);
        let mut described = Described::default();
        described.set_track(moov.audio_where(is_playable)?, at)?;
        let table = described.table().map(|table| table.cursor(0));
        let fragments = match end {
            Some(end) if is_fragmented => Some(Box::new(Fragments::new(end, is_only_track))),
            _ if table.is_none() => return Err(malformed("audio track without samples", at).into()),
            _ => None,
        };
        let info = described.info().cloned().ok_or(DemuxError::NoAudio { container: Container::Fmp4 })?;
        let mut file = Self { window, described, info, table, fragments, current: None, user_data };
        if let Some(fragments) = &mut file.fragments {
            fragments.read_front_index(&mut file.window, &mut file.info)?;
        }
        Ok(file)
    }

    /// The audio track, with edit list and gapless data: as of the start of the file. Where packets change to another
    /// sample entry, theirs differs.
    pub fn track(&self) -> &TrackInfo {
        &self.info
    }

    /// Length of the media in [`TrackInfo::timescale`] units, before any edit; `None` when only a scan of the whole file
    /// could tell (a fragmented file without an index).
    pub fn media_duration(&self) -> Option<u64> {
        match (&self.fragments, self.described.table()) {
            (None, Some(table)) => Some(table.duration()),
            _ => self.info.duration,
        }
    }

    /// Number of packets; `None` for a fragmented file.
    pub fn packet_count(&self) -> Option<u64> {
        match &self.fragments {
            None => self.described.table().map(|table| table.sample_count().into()),
            Some(_) => None,
        }
    }

    /// Moves to the packet that contains media time `pts` (in [`TrackInfo::timescale`] units, edit list not applied), or
    /// to the end when `pts` lies beyond, and gives the time of what comes next.
    ///
    /// In a file without fragments this reads nothing. In a fragmented one it reads the index boxes on the way.
    ///
    /// # Errors
    /// As [`open`](Self::open). After an error, seek again before reading on.
    pub fn seek(&mut self, pts: u64) -> Result<u64, Mp4FileError> {
        if let (Some(cursor), Some(table)) = (&mut self.table, self.described.table()) {
            *cursor = table.cursor(table.sample_at(pts));
            let is_inside = self.fragments.is_none() || table.sample(cursor).is_some();
            if is_inside {
                let time = cursor.pts();
                if let Some(fragments) = &mut self.fragments {
                    fragments.rewind();
                }
                return Ok(time);
            }
        }
        match &mut self.fragments {
            Some(fragments) => fragments.seek(&mut self.window, &self.described, pts),
            None => Ok(0),
        }
    }

    /// The entries of the track's edit list, in order.
    pub fn edits(&self) -> &[Edit] {
        self.described.track().map_or(&[], |track| track.edits())
    }

    /// Payloads of the movie's `udta` and `meta` boxes, and whether each is a `meta`; once.
    pub(crate) fn take_user_data(&mut self) -> Vec<(Box<[u8]>, bool)> {
        std::mem::take(&mut self.user_data)
    }

    /// Moves to the packet with this number, counted from 0, in a file with a sample table: behind its last packet where
    /// there is no such one. `false` without a table.
    pub(crate) fn seek_to_packet(&mut self, number: u32) -> bool {
        let (Some(cursor), Some(table)) = (&mut self.table, self.described.table()) else { return false };
        *cursor = table.cursor(number);
        if let Some(fragments) = &mut self.fragments {
            fragments.rewind();
        }
        true
    }

    /// Packets of the sample table and their durations, in runs.
    pub(crate) fn table_durations(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.described.table().into_iter().flat_map(|table| table.durations())
    }

    /// Packets of the sample table.
    pub(crate) fn table_len(&self) -> u32 {
        self.described.table().map_or(0, |table| table.sample_count())
    }

    /// The next packet, or `None` at the end. Samples of PCM are joined.
    ///
    /// # Errors
    /// As [`open`](Self::open). [`DemuxError::Truncated`] when the file ends before a packet that its index names.
    pub fn next_packet(&mut self) -> Result<Option<DemuxedPacket<'_>>, Mp4FileError> {
        Ok(if self.advance()? { self.packet() } else { None })
    }

    /// Steps to the next packet, and reads it. `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, Mp4FileError> {
        self.current = None;
        let Some(located) = self.next_sample()? else { return Ok(false) };
        let sample = located.sample;
        if u64::from(sample.size) > limits::MAX_PACKET {
            let (size, limit) = (sample.size.into(), limits::MAX_PACKET);
            return Err(DemuxError::TooLarge { what: "MP4 sample (bytes)", size, limit }.into());
        }
        self.described.select(sample.description, sample.offset)?;
        let len = sample.size as usize;
        let available = self.window.fill(sample.offset, len).map_err(|source| io(sample.offset, source))?;
        if available < len {
            let missing = (len - available) as u64;
            return Err(DemuxError::Truncated { container: Container::Fmp4, missing }.into());
        }
        self.current = Some(located);
        Ok(true)
    }

    /// The packet that was stepped to last.
    pub(crate) fn packet(&self) -> Option<DemuxedPacket<'_>> {
        let sample = self.current?.sample;
        Some(DemuxedPacket {
            data: self.window.slice(sample.offset, sample.size as usize)?,
            track: self.described.info()?,
            pts: sample.pts,
            duration: sample.duration.into(),
            is_timed: sample.is_timed,
            is_discontinuity: false,
        })
    }

    /// Number in the sample table of the packet that was stepped to last, and how many were joined in it.
    pub(crate) fn packet_number(&self) -> (Option<u32>, u32) {
        self.current.map_or((None, 1), |located| (located.number, located.count))
    }

    /// The next sample that is not empty, stepped over.
    fn next_sample(&mut self) -> Result<Option<Located>, Mp4FileError> {
        let is_raw = matches!(self.info.codec, Codec::Raw(_));
        while let (Some(cursor), Some(table)) = (&mut self.table, self.described.table()) {
            let number = Some(cursor.sample);
            let most = if is_raw { MAX_JOINED } else { 0 };
            let Some((sample, count)) = table.take_joined(cursor, most) else { break };
            if sample.size > 0 {
                return Ok(Some(Located { sample, count, number }));
            }
        }
        let Some(fragments) = &mut self.fragments else { return Ok(None) };
        let sample = fragments.current(&mut self.window, &self.described)?;
        if let Some(sample) = &sample {
            fragments.step(sample);
        }
        Ok(sample.map(|sample| Located { sample, count: 1, number: None }))
    }

    /// The reader, wherever it stands. It may not be moved or read.
    pub(crate) fn reader_mut(&mut self) -> &mut R {
        self.window.reader_mut()
    }

    /// The reader, wherever it stands.
    pub fn into_inner(self) -> R {
        self.window.into_inner()
    }
}

fn malformed(what: &'static str, offset: u64) -> DemuxError {
    DemuxError::Malformed { container: Container::Fmp4, what, offset }
}

fn io(offset: u64, source: std::io::Error) -> Mp4FileError {
    Mp4FileError::Io { offset, source }
}

/// The header of the box at `at`, and where the box ends (`None`: with the file). `None` at the end of the file.
fn read_header<R: Read + Seek>(
    window: &mut Window<R>,
    at: u64,
) -> Result<Option<(BoxHeader, Option<u64>)>, Mp4FileError> {
    // Most headers have 8 bytes, and the file may end behind them.
    for wanted in [8, 16] {
        let available = window.fill(at, wanted).map_err(|source| io(at, source))?;
        let data = window.slice(at, available).unwrap_or_default();
        if available == 0 || data.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let header = BoxHeader::parse(data).map_err(|what| malformed(what, at))?;
        if let Some(header) = header {
            if !header.kind.0.iter().all(|byte| matches!(byte, b' '..=b'~' | 0xA9)) {
                return Err(malformed("not a box", at).into());
            }
            let end = match header.size {
                Some(size) => Some(at.checked_add(size).ok_or_else(|| malformed("box size", at))?),
                None => None,
            };
            return Ok(Some((header, end)));
        }
        if available < wanted {
            return Ok(None);
        }
    }
    Ok(None)
}

/// The payload of a box. `len` is `None` for one that reaches to the end of the file.
fn read_box<R: Read + Seek>(
    window: &mut Window<R>,
    start: u64,
    len: Option<u64>,
    limit: u64,
) -> Result<Vec<u8>, Mp4FileError> {
    const STEP: usize = 64 << 10;
    let what = "MP4 index box (bytes)";
    if let Some(size) = len.filter(|&len| len > limit) {
        return Err(DemuxError::TooLarge { what, size, limit }.into());
    }
    let mut payload = Vec::new();
    loop {
        let wanted = len.map_or(STEP as u64, |len| (len - payload.len() as u64).min(STEP as u64)) as usize;
        if wanted == 0 {
            return Ok(payload);
        }
        let at = start + payload.len() as u64;
        let available = window.fill(at, wanted).map_err(|source| io(at, source))?;
        payload.extend_from_slice(window.slice(at, available).unwrap_or_default());
        let size = payload.len() as u64;
        if size > limit {
            return Err(DemuxError::TooLarge { what, size, limit }.into());
        }
        if available < wanted {
            return match len {
                None => Ok(payload),
                Some(len) => {
                    Err(DemuxError::Truncated { container: Container::Fmp4, missing: len - size }.into())
                }
            };
        }
    }
}
