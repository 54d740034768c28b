//! MP4 files, faststart or not, fragmented or not.

use std::io::{self, Read, Seek, SeekFrom};

use super::details::Tags;
use super::format_reader::{Event, FormatReader, Opened, Packet, Stream};
use super::formats::FormatDescriptor;
use super::source::Window;
use crate::DecodeError;
use crate::codecs::CodecParameters;
use crate::demux::mp4_file::{Mp4File, Mp4FileError};
use crate::demux::{Codec, TrackInfo};
use crate::rescale::{rescale, rescale_signed};

/// An edit or delay that hides more than this is not believed, in seconds.
const MAX_LEAD_SECONDS: u64 = 10;

pub(super) const FORMAT: FormatDescriptor =
    FormatDescriptor::new("mp4", begins_with_box, |window, _context| open(window));

fn begins_with_box(head: &[u8]) -> bool {
    match head.get(4..8).unwrap_or_default() {
        b"ftyp" | b"moov" | b"styp" | b"wide" | b"pnot" => true,
        b"mdat" | b"free" | b"skip" => head[0] != 0xFF,
        _ => false,
    }
}

/// A window from `tail` on.
struct Tail {
    window: Window,
    tail: u64,
    position: u64,
}

impl Read for Tail {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let offset = self.tail.saturating_add(self.position);
        if self.window.offset() != offset {
            self.window.move_to(offset)?;
        }
        let data = self.window.peek(1)?;
        let count = data.len().min(buf.len());
        buf[..count].copy_from_slice(&data[..count]);
        self.window.consume(count);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Tail {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => match self.window.byte_len() {
                Some(len) => len.saturating_sub(self.tail).checked_add_signed(delta),
                None => return Err(io::Error::new(io::ErrorKind::Unsupported, "the length is not known")),
            },
        };
        let before_start = || io::Error::new(io::ErrorKind::InvalidInput, "seek before the start");
        self.position = position.ok_or_else(before_start)?;
        Ok(self.position)
    }
}

pub(super) struct Mp4Reader {
    file: Mp4File<Tail>,
    rate: u32,
    /// Frames that the codec gives before frame 0.
    lead: i64,
    /// Media time at which the edit list ends the presentation.
    edit_end: Option<u64>,
    /// The description that the codec was made for.
    serial: u32,
}

/// Opens the MP4 file that begins at the window's position.
fn open(window: Window) -> Result<Opened, DecodeError> {
    let tail = window.offset();
    let file = Mp4File::open(Tail { window, tail, position: 0 }).map_err(convert)?;
    let track = file.track().clone();
    let codec = CodecParameters::of_track(&track)?;
    let rate = track.sample_rate.max(1);
    let is_fragmented = file.packet_count().is_none();
    let lead = if is_fragmented { 0 } else { lead_of(&track) };
    let edit_end = if is_fragmented { None } else { edit_end(&track) };
    let packet = u64::from(track.frames_per_packet.unwrap_or(0));
    let in_frames = |ticks: u64| rescale(ticks, rate, track.timescale);
    let total = file.media_duration().map(in_frames).and_then(|media| {
        let is_lossless = matches!(track.codec, Codec::Flac | Codec::Alac);
        let end = edit_end.map_or(media, in_frames).min(media);
        let decoded = match packet {
            // Packets of any length: only a look at each would tell which one is the last.
            0 => (is_lossless && end == media).then_some(media)?,
            // A packet that begins before the end is heard to its own end, which the codec alone knows.
            packet if is_lossless => end.next_multiple_of(packet).min(media),
            packet => end.next_multiple_of(packet),
        };
        Some(decoded.saturating_sub(lead.unsigned_abs()))
    });
    let stream = Stream {
        container: "mp4",
        sample_rate: rate,
        channels: track.channels,
        bits_per_sample: track.bits_per_sample,
        end: None,
        total,
        estimate: None,
        frames_per_packet: track.frames_per_packet,
        tags: Tags::default(),
    };
    let reader = Mp4Reader { file, rate, lead, edit_end, serial: track.serial };
    Ok(Opened { reader: Box::new(reader), codec, stream })
}

/// Frames to hide at the start: what the encoder noted, or else what the edit list hides.
fn lead_of(track: &TrackInfo) -> i64 {
    let rate = track.sample_rate.max(1);
    let limit = u64::from(rate) * MAX_LEAD_SECONDS;
    let noted = track.gapless.map(|gapless| {
        let decoder_delay = if track.codec == Codec::Mp3 { 529 } else { 0 };
        u64::from(gapless.delay) + decoder_delay
    });
    let edited = track.edit.map(|edit| rescale(edit.media_time, rate, track.timescale));
    let lead = noted.filter(|&lead| lead > 0).or(edited).unwrap_or(0);
    if lead > limit { 0 } else { lead as i64 }
}

/// Media time behind which no packet is presented.
fn edit_end(track: &TrackInfo) -> Option<u64> {
    let edit = track.edit.filter(|edit| !edit.has_more)?;
    Some(edit.media_time.saturating_add(edit.duration_in(track.timescale)?))
}

fn convert(error: Mp4FileError) -> DecodeError {
    match error {
        Mp4FileError::Demux(error) => DecodeError::Demux(error),
        Mp4FileError::Io { source, .. } => DecodeError::Io(source),
    }
}

impl FormatReader for Mp4Reader {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        let packet = match self.file.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Event::End),
            Err(error) => return Err(convert(error)),
        };
        let timescale = packet.track.timescale;
        if self.edit_end.is_some_and(|end| packet.pts >= 0 && packet.pts.unsigned_abs() >= end) {
            return Ok(Event::End);
        }
        let change = if packet.track.serial == self.serial {
            None
        } else {
            Some(CodecParameters::of_track(packet.track)?)
        };
        self.serial = packet.track.serial;
        let position = rescale_signed(packet.pts, self.rate, timescale).saturating_sub(self.lead);
        let frames = packet
            .track
            .frames_per_packet
            .map_or_else(|| rescale(packet.duration, self.rate, timescale), u64::from);
        Ok(Event::Packet(Packet {
            data: packet.data,
            position: Some(position),
            frames: frames.max(1),
            trim_end: 0,
            change,
            is_discontinuity: false,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        let media = frame.saturating_add(self.lead).max(0).unsigned_abs();
        let timescale = self.file.track().timescale;
        let end = self.edit_end.or(self.file.media_duration());
        let pts = rescale(media, timescale, self.rate);
        self.file.seek(pts).map_err(convert)?;
        Ok(end.is_none_or(|end| pts < end))
    }

    fn resume(&mut self) {
        self.file.reader_mut().window.source_mut().resume();
    }
}
