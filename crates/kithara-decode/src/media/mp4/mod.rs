//! MP4 files, faststart or not, fragmented or not.

mod clock;
mod presentation;
mod tail;

use self::clock::{FragmentClock, TableClock, Units};
use self::presentation::{Media, Presentation};
use self::tail::Tail;
use super::details::Tags;
use super::format_reader::{Event, FormatReader, Opened, Packet, Stream};
use super::formats::FormatDescriptor;
use super::source::Window;
use crate::codecs::CodecParameters;
use crate::demux::mp4_file::{Mp4File, Mp4FileError};
use crate::demux::{Codec, Container, DemuxError, DemuxedPacket, TrackInfo};
use crate::{CodecTable, DecodeError};

pub(super) const FORMAT: FormatDescriptor =
    FormatDescriptor::new("mp4", begins_with_box, |window, context| open(window, context.codecs));

fn begins_with_box(head: &[u8]) -> bool {
    match head.get(4..8).unwrap_or_default() {
        b"ftyp" | b"moov" | b"styp" | b"wide" | b"pnot" => true,
        b"mdat" | b"free" | b"skip" => head[0] != 0xFF,
        _ => false,
    }
}

/// Frames of a packet, for codecs that do not fix it.
const NOMINAL_PACKET: u64 = 4096;

pub(super) struct Mp4Reader {
    file: Mp4File<Tail>,
    units: Units,
    presentation: Presentation,
    /// The piece being played.
    piece: usize,
    table: Option<TableClock>,
    fragments: FragmentClock,
    /// Where the next packet of the table should stand.
    expected: Option<u64>,
    /// The next packet does not follow the last: another piece begins.
    is_cut: bool,
    /// Frames that the codec needs before what it is to present.
    preroll: u64,
    /// The description that the codec was made for.
    serial: u32,
    /// The file ends before a packet that its index names.
    is_truncated: bool,
}

/// Opens the MP4 file that begins at the window's position.
fn open(window: Window, codecs: &CodecTable) -> Result<Opened, DecodeError> {
    let is_playable = |track: &TrackInfo| is_playable(track, codecs);
    let mut file = Mp4File::open_where(Tail::new(window), is_playable).map_err(convert)?;
    let track = file.track().clone();
    let codec = CodecParameters::of_track(&track)?;
    let rate = track.sample_rate.max(1);
    let units = Units { rate, timescale: track.timescale };
    let is_fragmented = file.packet_count().is_none();
    let presentation = if is_fragmented {
        Presentation::whole(0)
    } else {
        let movie_timescale = track.edit.map_or(1, |edit| edit.movie_timescale);
        let frames = file.media_duration().map(|ticks| units.frames(ticks));
        let media = Media { rate, timescale: track.timescale, frames };
        Presentation::of_track(&track, file.edits(), movie_timescale, media)
    };
    let table = track
        .frames_per_packet
        .filter(|_| file.table_len() > 0)
        .map(|frames| TableClock::new(file.table_durations(), file.table_len(), frames, units));
    let nominal = track.frames_per_packet.filter(|&frames| frames > 0).map_or(NOMINAL_PACKET, u64::from);
    let mut tags = Tags::default();
    for (payload, is_meta) in file.take_user_data() {
        tags.take_mp4(&payload, is_meta);
    }
    let total = presentation.total();
    let stated = file.media_duration().map(|ticks| units.frames(ticks).next_multiple_of(nominal));
    let preroll = codecs.preroll_of(&codec).in_frames(track.frames_per_packet);
    let stream = Stream {
        container: "mp4",
        sample_rate: rate,
        channels: track.channels,
        bits_per_sample: track.bits_per_sample,
        end: total,
        total: total.or(stated.filter(|_| is_fragmented && track.frames_per_packet.is_some())),
        estimate: None,
        frames_per_packet: track.frames_per_packet,
        tags,
    };
    let mut reader = Mp4Reader {
        file,
        units,
        presentation,
        piece: 0,
        table,
        fragments: FragmentClock::default(),
        expected: None,
        is_cut: false,
        preroll,
        serial: track.serial,
        is_truncated: false,
    };
    reader.go_to(0i64.saturating_sub_unsigned(preroll))?;
    Ok(Opened { reader: Box::new(reader), codec, stream })
}

/// Whether `codecs` can decode a track.
fn is_playable(track: &TrackInfo, codecs: &CodecTable) -> Result<(), DemuxError> {
    let container = Container::Fmp4;
    match CodecParameters::of_track(track).and_then(|parameters| codecs.make(&parameters).map(drop)) {
        Ok(()) => Ok(()),
        Err(DecodeError::Unsupported(what)) => Err(DemuxError::Refused { container, what }),
        Err(error) => Err(DemuxError::Refused { container, what: error.to_string() }),
    }
}

fn convert(error: Mp4FileError) -> DecodeError {
    match error {
        Mp4FileError::Demux(DemuxError::Refused { what, .. }) => DecodeError::Unsupported(what),
        Mp4FileError::Demux(error) => DecodeError::Demux(error),
        Mp4FileError::Io { source, .. } => DecodeError::Io(source),
    }
}

impl Mp4Reader {
    /// Moves to a frame of the presentation, or a little before it.
    fn go_to(&mut self, frame: i64) -> Result<(), DecodeError> {
        self.piece = self.presentation.piece_at(frame.max(0).unsigned_abs());
        let Some(piece) = self.presentation.pieces.get(self.piece) else { return Ok(()) };
        let Some(start) = piece.media else { return Ok(()) };
        let ahead = frame.saturating_sub_unsigned(piece.at);
        self.seek_media(start.saturating_add_signed(ahead))
    }

    /// Goes on to the next piece, with the packets before it that the codec needs.
    fn enter_next(&mut self) -> Result<(), DecodeError> {
        self.piece += 1;
        self.is_cut = true;
        match self.presentation.pieces.get(self.piece).and_then(|piece| piece.media) {
            Some(start) => self.seek_media(start.saturating_sub(self.preroll)),
            None => Ok(()),
        }
    }

    /// Moves to the packet that holds a frame of the media.
    fn seek_media(&mut self, frame: u64) -> Result<(), DecodeError> {
        self.expected = None;
        self.fragments.reset();
        if let Some(table) = &self.table {
            let number = table.packet_at(frame);
            if self.file.packet_count().is_some() || number < self.file.table_len() {
                self.file.seek_to_packet(number);
                return Ok(());
            }
        }
        let sought = self.file.seek(self.units.pts(frame));
        sought.map_err(convert).map(|_| ())
    }

    /// Steps to the next packet. `false` at the end, also where the file was cut off.
    fn advance(&mut self) -> Result<bool, DecodeError> {
        match self.file.advance() {
            Err(Mp4FileError::Demux(DemuxError::Truncated { missing, .. })) => {
                tracing::debug!(missing, "the MP4 file ends before a packet that its index names");
                self.is_truncated = true;
                Ok(false)
            }
            other => other.map_err(convert),
        }
    }

    /// Where the packet at hand stands in the media, its frames, and whether a hole is before it.
    fn place(&mut self) -> Option<(u64, u64, bool)> {
        let packet = self.file.packet()?;
        let (number, joined) = self.file.packet_number();
        let frames = frames_of(&packet, self.units, joined);
        let fixed = packet.track.frames_per_packet.map(u64::from);
        let pts = packet.pts;
        let (position, is_hole) = match (&self.table, number) {
            (Some(table), Some(number)) => {
                let position = table.position(number);
                let is_hole = self.expected.is_some_and(|expected| position > expected);
                // Fragments behind the table go on from here.
                self.fragments.follow(pts, position, frames, self.units);
                (position, is_hole)
            }
            _ => {
                let (position, is_hole) = self.fragments.place(pts, frames, fixed, self.units);
                (u64::try_from(position).unwrap_or(0), is_hole)
            }
        };
        self.expected = Some(position.saturating_add(frames));
        Some((position, frames, is_hole))
    }
}

/// Frames that a packet decodes to.
fn frames_of(packet: &DemuxedPacket<'_>, units: Units, joined: u32) -> u64 {
    let track = packet.track;
    let block = match track.codec {
        Codec::Raw(format) => format.bytes().map(|bytes| u64::from(bytes) * u64::from(track.channels)),
        _ => None,
    };
    let frames = match (block, track.frames_per_packet) {
        (Some(block), _) => (packet.data.len() as u64).checked_div(block).unwrap_or(0),
        (None, Some(frames)) => u64::from(frames) * u64::from(joined),
        (None, None) => units.frames(packet.duration),
    };
    frames.max(1)
}

impl FormatReader for Mp4Reader {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        let (position, frames, trim_end, is_hole) = loop {
            let Some(&piece) = self.presentation.pieces.get(self.piece) else { return Ok(Event::End) };
            let Some(start) = piece.media else {
                self.enter_next()?;
                return Ok(Event::Silence { until: piece.at.saturating_add(piece.len.unwrap_or(0)) });
            };
            let is_last = self.piece + 1 == self.presentation.pieces.len();
            let placed = if self.advance()? { self.place() } else { None };
            let end = piece.len.map(|len| start.saturating_add(len));
            let Some((media, frames, is_hole)) =
                placed.filter(|&(media, ..)| end.is_none_or(|end| media < end))
            else {
                if is_last || self.is_truncated {
                    return Ok(Event::End);
                }
                self.enter_next()?;
                continue;
            };
            // The end of the last piece is that of the stream.
            let surplus = end.filter(|_| !is_last).map_or(0, |end| (media + frames).saturating_sub(end));
            let offset = i64::try_from(media).unwrap_or(i64::MAX).saturating_sub_unsigned(start);
            break (offset.saturating_add_unsigned(piece.at), frames, surplus, is_hole);
        };
        let is_cut = std::mem::take(&mut self.is_cut);
        let Some(packet) = self.file.packet() else { return Ok(Event::End) };
        let change = if packet.track.serial == self.serial {
            None
        } else {
            Some(CodecParameters::of_track(packet.track)?)
        };
        self.serial = packet.track.serial;
        Ok(Event::Packet(Packet {
            data: packet.data,
            position: Some(position),
            frames,
            trim_end,
            change,
            is_discontinuity: is_hole || is_cut,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        self.is_cut = false;
        self.is_truncated = false;
        self.go_to(frame)?;
        let end = self.presentation.total();
        let end = end.or_else(|| self.file.media_duration().map(|ticks| self.units.frames(ticks)));
        Ok(end.is_none_or(|end| frame < 0 || frame.unsigned_abs() < end))
    }

    fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    fn resume(&mut self) {
        self.file.reader_mut().window_mut().source_mut().resume();
    }
}
