//! MPEG transport streams as files: recordings, and HLS segments joined to one.

use std::time::Duration;

use bytes::Bytes;

use super::backend::{Backend, Event, MAX_HOLE_SECONDS, Opened, Packet, Stream};
use super::details::Tags;
use super::source::Window;
use crate::DecodeError;
use crate::codec::{CodecDecoder, parameters_of, preroll_packets};
use crate::demux::{DemuxError, Demuxer, TrackInfo, TsDemuxer};
use crate::resample::rescale_signed;

/// Looks at timestamps that one seek may take.
const MAX_LOOKS: u32 = 12;
/// Bytes that are read through rather than looked for a nearer place in.
const READ_THROUGH: u64 = 96 * 1024;

pub(super) struct TsFile {
    window: Window,
    demuxer: TsDemuxer,
    /// Offset of the first packet of the stream.
    first: u64,
    track: TrackInfo,
    /// Timestamp of frame 0; behind a jump of the timestamps, what it would be.
    zero: i64,
    /// Timestamp of frame 0, at the start.
    first_zero: i64,
    /// Timestamps jump somewhere, as where recordings were joined: only counting from the start tells where a packet stands.
    has_jumped: bool,
    /// Position of the next packet, when packets are being counted.
    next: Option<i64>,
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

/// Opens the transport stream that begins at the window's position.
pub(super) fn open(mut window: Window, tags: Tags) -> Result<Opened, DecodeError> {
    let first = window.offset();
    let mut demuxer = TsDemuxer::new();
    let mut is_finished = false;
    let (track, zero, data) = loop {
        if let Some(packet) = demuxer.next_packet()? {
            break (packet.track.clone(), packet.pts, packet.data.to_vec());
        }
        if is_finished {
            return Err(DecodeError::Malformed("a transport stream without a whole packet of audio".into()));
        }
        is_finished = !feed(&mut window, &mut demuxer)?;
    };
    let codec = CodecDecoder::for_track(&track)?;
    let serial = track.serial;
    let at = At { is_timed: true, ..At::default() };
    let mut file = TsFile {
        window,
        demuxer,
        first,
        track,
        zero,
        first_zero: zero,
        has_jumped: false,
        next: None,
        data,
        at,
        is_pending: true,
        is_finished,
        serial,
    };
    let preroll = u64::from(preroll_packets(file.track.codec)) * file.step().unsigned_abs();
    let stream = Stream {
        container: "mpegts",
        sample_rate: file.track.sample_rate.max(1),
        channels: file.track.channels,
        bits_per_sample: None,
        end: None,
        total: None,
        estimate: file.estimate_duration()?,
        preroll,
        tags,
    };
    Ok(Opened { backend: Box::new(file), codec, stream })
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

impl TsFile {
    fn rate(&self) -> u32 {
        self.track.sample_rate.max(1)
    }

    /// Frames of a packet.
    fn step(&self) -> i64 {
        self.track.frames_per_packet.map_or(1, i64::from).max(1)
    }

    /// Timestamps are rounded; packets lie on a grid.
    fn frame_of(&self, pts: i64) -> i64 {
        let frame = rescale_signed(pts.saturating_sub(self.zero), self.rate(), self.track.timescale.max(1));
        let step = self.step();
        frame.saturating_add(step / 2).div_euclid(step) * step
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
                    }
                    self.place(pts);
                    return Ok(true);
                }
                Ok(None) if self.is_finished => return Ok(false),
                Ok(None) => self.is_finished = !feed(&mut self.window, &mut self.demuxer)?,
                // The file ends inside a packet.
                Err(DemuxError::Truncated { .. }) if self.is_finished => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Places the packet at hand by its timestamp, or behind the last one where that has jumped.
    fn place(&mut self, pts: i64) {
        let frame = self.frame_of(pts);
        let expected = self.next.unwrap_or(frame);
        let is_hole = self.at.is_discontinuity
            && (0..=MAX_HOLE_SECONDS * i64::from(self.rate())).contains(&(frame - expected));
        let is_jump = self.at.is_timed && (frame - expected).abs() > 2 * self.step();
        self.at.frame = if is_hole { frame } else { expected };
        if is_jump && !is_hole {
            self.has_jumped = true;
            self.zero = pts - rescale_signed(expected, self.track.timescale.max(1), self.rate());
        }
        self.next = Some(self.at.frame + self.step());
    }

    /// Goes to `offset` and reads to the first packet that has a time: its position. `None` when there is none.
    fn look(&mut self, offset: u64, near: i64) -> Result<Option<i64>, DecodeError> {
        self.demuxer.discard();
        self.is_finished = false;
        self.is_pending = false;
        self.next = None;
        self.zero = self.first_zero;
        self.window.move_to(offset)?;
        let ticks = rescale_signed(near, self.track.timescale, self.rate());
        self.demuxer.set_time_hint(self.zero.saturating_add(ticks));
        while self.advance()? {
            if self.at.is_timed {
                self.is_pending = true;
                return Ok(Some(self.at.frame));
            }
        }
        Ok(None)
    }

    /// Frames per byte by what was read from the start on.
    fn frames_per_byte(&self) -> f64 {
        let bytes = self.window.offset().saturating_sub(self.first).max(1);
        self.at.frame.max(self.step()) as f64 / bytes as f64
    }

    /// Goes to a place a little before `frame`, by the timestamps between the start and the end.
    fn search(&mut self, frame: i64) -> Result<(), DecodeError> {
        let mut slope = self.frames_per_byte();
        let (mut low, mut low_frame) = (self.first, 0);
        let mut high = self.window.byte_len().unwrap_or(u64::MAX);
        let mut here = None;
        for _ in 0..MAX_LOOKS {
            let room = high.saturating_sub(low);
            if room <= READ_THROUGH {
                break;
            }
            let distance = (frame - low_frame) as f64 / slope;
            let guess = (distance as u64).saturating_sub(READ_THROUGH / 2);
            // Each look takes a piece off, wherever the guess lies.
            let guess = low + guess.clamp(READ_THROUGH / 2, (room - room / 8).max(READ_THROUGH / 2));
            let found = self.look(guess, frame)?;
            here = Some(guess);
            match found {
                Some(found) if (low_frame..=frame).contains(&found) => {
                    if found > low_frame {
                        slope = (found - low_frame) as f64 / (guess - low) as f64;
                    }
                    (low, low_frame) = (guess, found);
                    if (frame - found) as f64 / slope <= READ_THROUGH as f64 {
                        break;
                    }
                }
                _ => high = guess,
            }
        }
        if here != Some(low) {
            self.look(low, frame)?;
        }
        Ok(())
    }

    /// The length by the size of the file and the bytes that the first packets take.
    fn estimate_duration(&mut self) -> Result<Option<Duration>, DecodeError> {
        let Some(len) = self.window.byte_len() else { return Ok(None) };
        let hand = self.window.source().is_end_at_hand();
        let frames = if hand { self.last_frame(len)? } else { None };
        let frames = frames.map_or_else(
            || self.frames_per_byte() * len.saturating_sub(self.first) as f64,
            |last| (last + self.step()) as f64,
        );
        Ok(Duration::try_from_secs_f64(frames / f64::from(self.rate())).ok())
    }

    /// The position of the last packet. The next packet is the first one again.
    fn last_frame(&mut self, len: u64) -> Result<Option<i64>, DecodeError> {
        let mut last = self.look(len.saturating_sub(4 * READ_THROUGH).max(self.first), 0)?;
        while last.is_some() && self.advance()? {
            last = Some(self.at.frame);
        }
        self.look(self.first, 0)?;
        Ok(last)
    }
}

impl Backend for TsFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        if !std::mem::take(&mut self.is_pending) && !self.advance()? {
            return Ok(Event::End);
        }
        let change = if self.track.serial == self.serial { None } else { Some(parameters_of(&self.track)?) };
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
        if frame > 0 && self.window.source().is_seekable() && !self.has_jumped {
            self.search(frame)?;
            return Ok(self.is_pending);
        }
        let mut is_there = self.look(self.first, 0)?.is_some();
        while is_there && self.at.frame + self.step() <= frame {
            is_there = self.advance()?;
        }
        self.is_pending = is_there;
        Ok(is_there)
    }

    fn resume(&mut self) {
        self.window.source_mut().resume();
    }
}
