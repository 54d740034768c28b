//! MPEG transport streams as files: recordings, and HLS segments joined to one.

mod count;
mod search;

use std::time::Duration;

use bytes::Bytes;

use self::count::Count;
use super::details::Tags;
use super::format_reader::{Event, FormatReader, Opened, Packet, Stream};
use super::formats::FormatDescriptor;
use super::source::Window;
use crate::DecodeError;
use crate::codecs::CodecParameters;
use crate::demux::{DemuxError, Demuxer, PACKET_LAYOUTS, SYNC, TrackInfo, TsDemuxer};
use crate::rescale::rescale_signed;

/// A hole that timestamps tell of behind a loss is believed up to this length, in seconds: behind what is longer stands
/// something else more often, as where recordings were cut or joined.
const MAX_HOLE_SECONDS: i64 = 10;
/// Of the bytes in which the beginning of a file is looked for, so many times are searched for audio: pictures come between.
const BUDGETS: u64 = 16;

pub(super) const FORMAT: FormatDescriptor = FormatDescriptor::new(
    "mpegts",
    |_head| false,
    |window, context| open(window, context.tags, context.probe_budget),
)
.with_probe(|window, _search| Ok(is_transport_stream(window.peek(TS_PROOF)?)), &[SYNC]);

/// Bytes that show whether this is a transport stream: some packets of the longest layout.
const TS_PROOF: usize = 204 * 4 + 1;

/// Whether packets stand at the start, in any of their layouts.
fn is_transport_stream(data: &[u8]) -> bool {
    let head = &data[..data.len().min(TS_PROOF)];
    PACKET_LAYOUTS.iter().any(|&(size, offset)| {
        let mut syncs = head.iter().skip(offset).step_by(size);
        syncs.clone().count() > 2 && syncs.all(|&byte| byte == SYNC)
    })
}

pub(super) struct TsFile {
    window: Window,
    demuxer: TsDemuxer,
    /// Offset of the first packet of the stream.
    first: u64,
    track: TrackInfo,
    /// The rate that positions count in: that of the first packet.
    rate: u32,
    /// Frames of the first packet.
    first_step: i64,
    /// Timestamp of frame 0; behind a jump of the timestamps, what it would be.
    zero: i64,
    /// Timestamp of frame 0, at the start.
    first_zero: i64,
    /// Timestamps jump somewhere, or the rate changes, as where recordings were joined: only counting from the start tells
    /// where a packet stands.
    must_count: bool,
    /// The packets do not lie on the grid of the first ones alone.
    is_uneven: bool,
    /// Counts on to the next packet, when packets are being counted.
    count: Option<Count>,
    /// Frames that there should be, by what was told when the file was opened, or is known by now.
    promised: i64,
    /// What was told does not hold.
    is_revised: bool,
    /// Bytes that are searched for a packet of audio.
    budget: u64,
    /// Where the search for a packet is given up.
    limit: u64,
    /// The packet at hand.
    data: Vec<u8>,
    at: At,
    /// The packet at hand is still to be given.
    is_pending: bool,
    /// The demuxer was told that no more bytes come.
    is_finished: bool,
    /// The description that the codec was made for.
    serial: u32,
}

/// Where the packet at hand stands.
#[derive(Clone, Copy, Default)]
struct At {
    frame: i64,
    is_timed: bool,
    is_discontinuity: bool,
}

/// Opens the transport stream that begins at the window's position. `probe_budget`: bytes in which the beginning of a file is
/// looked for.
fn open(mut window: Window, tags: Tags, probe_budget: u64) -> Result<Opened, DecodeError> {
    let first = window.offset();
    let budget = probe_budget.saturating_mul(BUDGETS);
    let mut demuxer = TsDemuxer::new();
    let mut is_finished = false;
    let (track, zero, data) = loop {
        if let Some(packet) = demuxer.next_packet()? {
            break (packet.track.clone(), packet.pts, packet.data.to_vec());
        }
        if is_finished {
            return Err(DecodeError::Malformed("a transport stream without a whole packet of audio".into()));
        }
        if window.offset() - first >= budget {
            return Err(DecodeError::NoAudioFound { budget });
        }
        is_finished = !feed(&mut window, &mut demuxer)?;
    };
    let codec = CodecParameters::of_track(&track)?;
    let (rate, serial) = (track.sample_rate.max(1), track.serial);
    let at = At { is_timed: true, ..At::default() };
    let mut file = TsFile {
        window,
        demuxer,
        first,
        rate,
        first_step: frames_of(&track),
        track,
        zero,
        first_zero: zero,
        must_count: false,
        is_uneven: false,
        count: None,
        promised: 0,
        is_revised: false,
        budget,
        limit: u64::MAX,
        data,
        at,
        is_pending: true,
        is_finished,
        serial,
    };
    let estimate = file.estimate_frames()?;
    file.promised = estimate.map_or(0, |frames| frames as i64);
    let stream = Stream {
        container: "mpegts",
        sample_rate: rate,
        channels: file.track.channels,
        bits_per_sample: None,
        end: None,
        total: None,
        estimate: estimate.and_then(|frames| Duration::try_from_secs_f64(frames / f64::from(rate)).ok()),
        frames_per_packet: file.track.frames_per_packet,
        tags,
    };
    Ok(Opened { reader: Box::new(file), codec, stream })
}

/// Gives the demuxer what comes next, or tells it that nothing does: `false`.
fn feed(window: &mut Window, demuxer: &mut TsDemuxer) -> Result<bool, DecodeError> {
    let data = window.peek(1)?;
    if data.is_empty() {
        demuxer.finish()?;
        return Ok(false);
    }
    let data = Bytes::copy_from_slice(data);
    window.consume(data.len());
    demuxer.push(data)?;
    Ok(true)
}

/// Frames of a packet, at the rate of its track.
fn frames_of(track: &TrackInfo) -> i64 {
    track.frames_per_packet.map_or(1, i64::from).max(1)
}

impl TsFile {
    /// Frames of a packet such as the one at hand.
    fn step(&self) -> i64 {
        rescale_signed(frames_of(&self.track), self.rate, self.track.sample_rate).max(1)
    }

    /// Timestamps are rounded; packets lie on a grid, as long as all of them are alike.
    fn frame_of(&self, pts: i64) -> i64 {
        let frame = rescale_signed(pts.saturating_sub(self.zero), self.rate, self.track.timescale);
        if self.is_uneven {
            return frame;
        }
        let step = self.first_step;
        frame.saturating_add(step / 2).div_euclid(step).saturating_mul(step)
    }

    /// Reads the next packet into `data`. `false` at the end.
    fn advance(&mut self) -> Result<bool, DecodeError> {
        loop {
            match self.demuxer.next_packet() {
                Ok(Some(packet)) => {
                    self.data.clear();
                    self.data.extend_from_slice(packet.data);
                    let pts = packet.pts;
                    self.at =
                        At { frame: 0, is_timed: packet.is_timed, is_discontinuity: packet.is_discontinuity };
                    if packet.track.serial != self.track.serial {
                        self.track = packet.track.clone();
                        self.note_change();
                    }
                    self.place(pts);
                    return Ok(true);
                }
                Ok(None) if self.is_finished || self.window.offset() >= self.limit => return Ok(false),
                Ok(None) => self.is_finished = !feed(&mut self.window, &mut self.demuxer)?,
                // The file ends inside a packet.
                Err(DemuxError::Truncated { .. }) if self.is_finished => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The track is another from the packet at hand on: perhaps in what positions depend on.
    fn note_change(&mut self) {
        if (self.track.sample_rate, frames_of(&self.track)) != (self.rate, self.first_step) {
            self.is_uneven = true;
            self.must_count = true;
        }
    }

    /// Places the packet at hand by its timestamp, or behind the last one where that has jumped.
    fn place(&mut self, pts: i64) {
        let frame = self.frame_of(pts);
        let step = self.step();
        let expected = self.count.map_or(frame, |count| count.position(self.rate));
        let ahead = frame.saturating_sub(expected);
        let is_hole = self.at.is_discontinuity && (step / 2 + 1..=self.longest_hole()).contains(&ahead);
        let is_jump = self.at.is_timed && ahead.saturating_abs() > 2 * step;
        self.at.frame = if is_hole { frame } else { expected };
        if is_jump && !is_hole {
            self.note_join(expected);
            let ticks = rescale_signed(expected, self.track.timescale, self.rate);
            self.zero = pts.saturating_sub(ticks);
        }
        let count = self.count.filter(|_| !is_hole).unwrap_or(Count::from(self.at.frame));
        self.count = Some(count.plus(frames_of(&self.track), self.track.sample_rate, self.rate));
    }

    /// Recordings are joined at `frame`. What timestamps told of the length is void if nothing said so before.
    fn note_join(&mut self, frame: i64) {
        let known = std::mem::replace(&mut self.must_count, true) && !self.is_revised;
        let bytes = self.window.offset().saturating_sub(self.first);
        let len = self.window.byte_len().map(|len| len.saturating_sub(self.first));
        let Some(len) = len.filter(|_| !known && self.promised > 0 && bytes > 0) else { return };
        self.promised = (frame as f64 / bytes as f64 * len as f64) as i64;
        self.is_revised = true;
    }

    /// Goes to `offset` and reads to the first packet that has a time: its position. `None` when there is none, or none soon.
    fn look(&mut self, offset: u64, near: i64) -> Result<Option<i64>, DecodeError> {
        self.demuxer.discard();
        self.is_finished = false;
        self.is_pending = false;
        self.count = None;
        self.zero = self.first_zero;
        self.window.move_to(offset)?;
        let ticks = rescale_signed(near, self.track.timescale, self.rate);
        self.demuxer.set_time_hint(self.zero.saturating_add(ticks));
        self.limit = offset.saturating_add(self.budget);
        let found = loop {
            match self.advance() {
                Ok(true) if self.at.is_timed => break Ok(Some(self.at.frame)),
                Ok(true) => {}
                Ok(false) => break Ok(None),
                Err(error) => break Err(error),
            }
        };
        self.limit = u64::MAX;
        self.is_pending = matches!(found, Ok(Some(_)));
        match found {
            Ok(Some(frame)) if offset == self.first && !(0..=self.longest_hole()).contains(&frame) => {
                self.begin_here(frame);
                Ok(Some(0))
            }
            found => found,
        }
    }

    /// The packet at hand, the first that has a time, stands at frame 0, and not at `frame`: what told so when the file was
    /// opened was damaged.
    fn begin_here(&mut self, frame: i64) {
        let ticks = rescale_signed(frame, self.track.timescale, self.rate);
        self.first_zero = self.first_zero.saturating_add(ticks);
        self.zero = self.first_zero;
        self.at.frame = 0;
        self.count = Some(Count::from(0).plus(frames_of(&self.track), self.track.sample_rate, self.rate));
    }

    /// Frames of the longest hole that timestamps are believed to tell of.
    fn longest_hole(&self) -> i64 {
        MAX_HOLE_SECONDS * i64::from(self.rate)
    }

    /// Reads on from the packet at hand to the one that holds `frame`. `false` at the end.
    fn walk(&mut self, frame: i64) -> Result<bool, DecodeError> {
        while self.is_pending && self.at.frame.saturating_add(self.step()) <= frame {
            self.is_pending = self.advance()?;
        }
        Ok(self.is_pending)
    }
}

impl FormatReader for TsFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        if !std::mem::take(&mut self.is_pending) && !self.advance()? {
            return Ok(Event::End);
        }
        let change = if self.track.serial == self.serial {
            None
        } else {
            Some(CodecParameters::of_track(&self.track)?)
        };
        self.serial = self.track.serial;
        Ok(Event::Packet(Packet {
            data: &self.data,
            position: Some(self.at.frame),
            frames: self.step().unsigned_abs(),
            trim_end: 0,
            change,
            is_discontinuity: self.at.is_discontinuity,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        if frame > 0 && self.window.source().is_seekable() && !self.must_count {
            if self.search(frame)? {
                return Ok(true);
            }
            // Where recordings were joined, timestamps begin anew, and the length was estimated by the first.
            if !self.must_count && frame >= self.promised && !self.finds_joint()? {
                return Ok(false);
            }
        }
        self.look(self.first, 0)?;
        let is_there = self.walk(frame)?;
        if !is_there {
            self.promised = self.promised.min(self.at.frame.saturating_add(self.step()));
        }
        Ok(is_there)
    }

    fn length(&self) -> Option<Duration> {
        let seconds = self.promised as f64 / f64::from(self.rate);
        Duration::try_from_secs_f64(seconds).ok().filter(|_| self.is_revised)
    }

    fn resume(&mut self) {
        self.window.source_mut().resume();
    }
}
