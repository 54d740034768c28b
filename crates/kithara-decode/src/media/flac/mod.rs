//! Native FLAC files.

mod frame;
mod metadata;

use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;

use self::frame::{HEADER_MAX, Header};
use super::backend::{Backend, Event, MAX_HOLE_SECONDS, Opened, Packet, Stream};
use super::details::Tags;
use super::source::Window;
use crate::DecodeError;
use crate::codec::{CodecDecoder, plain_parameters};
use crate::headers::flac::StreamInfo;

/// Steps of a search for a place in the file.
const MAX_PROBES: u32 = 32;
/// A probe that comes this many samples before its target, in seconds, is near enough: the rest is read through.
const NEAR_SECONDS: u64 = 1;

pub(super) struct FlacFile {
    window: Window,
    info: StreamInfo,
    /// Sample numbers and offsets of frames, in order, from the seek table.
    points: Vec<(u64, u64)>,
    /// Offset and sample number of the first frame.
    first: (u64, u64),
    /// Bytes of the packet given last.
    current: usize,
    /// The sample that the next frame should begin with.
    expected: Option<u64>,
}

/// Opens the FLAC stream that begins at the window's position.
pub(super) fn open(mut window: Window, tags: Tags) -> Result<Opened, DecodeError> {
    let mut read = metadata::read(&mut window)?;
    let info = StreamInfo::parse(&read.info).filter(|info| info.sample_rate > 0);
    let info = info.ok_or_else(|| DecodeError::Malformed("FLAC with an impossible STREAMINFO".into()))?;
    let mut params = plain_parameters(CODEC_ID_FLAC, info.sample_rate, info.channels);
    params.with_extra_data(read.info.into_boxed_slice()).with_bits_per_sample(info.bits);
    let codec = CodecDecoder::for_params(params)?;
    let mut file = FlacFile { window, info, points: Vec::new(), first: (0, 0), current: 0, expected: None };
    let sample = file.find()?.map_or(0, |header| header.sample);
    let start = file.window.offset();
    file.first = (start, sample);
    file.points =
        read.points.drain(..).map(|(sample, offset)| (sample, start.saturating_add(offset))).collect();
    read.tags.fill_from(tags);
    let stream = Stream {
        container: "flac",
        sample_rate: info.sample_rate,
        channels: info.channels,
        bits_per_sample: Some(info.bits),
        end: None,
        total: info.total,
        estimate: None,
        preroll: 0,
        tags: read.tags,
    };
    Ok(Opened { backend: Box::new(file), codec, stream })
}

impl FlacFile {
    /// Moves the window to the next frame header. `None` at the end.
    fn find(&mut self) -> Result<Option<Header>, DecodeError> {
        self.window.consume(std::mem::take(&mut self.current));
        loop {
            let data = self.window.peek(HEADER_MAX)?;
            if let Some(header) = frame::parse(data, &self.info) {
                return Ok(Some(header));
            }
            if data.len() < 6 {
                return Ok(None);
            }
            let skip = data[1..].iter().position(|&byte| byte == 0xFF).map_or(data.len() - 1, |at| at) + 1;
            self.window.consume(skip);
        }
    }

    /// Length of the frame at the window's position, all of which is then at hand. `None` when it is damaged.
    fn measure(&mut self, header: &Header) -> Result<Option<usize>, DecodeError> {
        let longest = self.info.longest_frame();
        let mut searched = 0;
        loop {
            let wanted = (searched + HEADER_MAX + 1).max(self.info.min_frame as usize);
            let data = self.window.peek(wanted)?;
            let is_all = data.len() < wanted;
            let known = data.len().min(longest + HEADER_MAX);
            if let Some(len) = frame::length(&data[..known], header, &self.info, searched, is_all) {
                return Ok(Some(len));
            }
            if is_all || known > longest {
                // No frame follows the last one: a tag may, of any length.
                let is_last =
                    self.info.total.is_some_and(|total| header.sample + u64::from(header.block) >= total);
                let ends = is_last.then(|| frame::length(&data[..known], header, &self.info, 0, true));
                return Ok(ends.flatten());
            }
            searched = known.saturating_sub(HEADER_MAX);
        }
    }

    /// Moves to the next sound frame.
    fn advance(&mut self) -> Result<Option<(Header, usize)>, DecodeError> {
        while let Some(header) = self.find()? {
            if let Some(len) = self.measure(&header)? {
                return Ok(Some((header, len)));
            }
            self.window.consume(1);
        }
        Ok(None)
    }

    /// Moves to a frame at or before `sample`, as near as a few looks into the file allow.
    fn approach(&mut self, sample: u64) -> Result<(), DecodeError> {
        let near = NEAR_SECONDS * u64::from(self.info.sample_rate);
        let after = self.points.partition_point(|&(point, _)| point <= sample);
        let mut low = self.first;
        if let Some(&(point, offset)) = after.checked_sub(1).and_then(|index| self.points.get(index)) {
            low = (offset, point);
        }
        let end = self
            .window
            .source()
            .byte_len()
            .zip(self.info.total)
            .filter(|_| self.window.source().is_seekable());
        let high = self.points.get(after).map(|&(point, offset)| (offset, point)).or(end);
        let Some(mut high) = high else { return self.go(low.0) };
        for _ in 0..MAX_PROBES {
            if sample.saturating_sub(low.1) <= near
                || high.0.saturating_sub(low.0) <= self.info.longest_frame() as u64
            {
                break;
            }
            let share =
                u128::from(sample - low.1) * u128::from(high.0 - low.0) / u128::from((high.1 - low.1).max(1));
            // Rather before the target than behind it; and never where the search has been.
            let step = (share as u64).saturating_sub((high.0 - low.0) / 64).max((high.0 - low.0) / 8);
            let guess = low.0 + step.min((high.0 - low.0) / 8 * 7);
            self.go(guess)?;
            match self.advance()? {
                Some((header, _)) if header.sample <= sample && self.window.offset() < high.0 => {
                    low = (self.window.offset(), header.sample);
                }
                Some((header, _)) if header.sample > sample => high = (guess, header.sample.max(low.1 + 1)),
                _ => high = (guess, high.1),
            }
        }
        self.go(low.0)
    }

    fn go(&mut self, offset: u64) -> Result<(), DecodeError> {
        self.current = 0;
        self.expected = None;
        Ok(self.window.move_to(offset)?)
    }
}

impl Backend for FlacFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        let Some((header, len)) = self.advance()? else { return Ok(Event::End) };
        self.current = len;
        // Frames were lost: what follows them keeps its place.
        let is_sound = self.info.total.is_none_or(|total| header.sample < total);
        let most = u64::from(self.info.sample_rate) * MAX_HOLE_SECONDS.unsigned_abs();
        let is_hole = |expected: u64| (expected + 1..=expected.saturating_add(most)).contains(&header.sample);
        let is_discontinuity = is_sound && self.expected.is_some_and(is_hole);
        self.expected = Some(header.sample + u64::from(header.block));
        let position = i64::try_from(header.sample).unwrap_or(i64::MAX).saturating_sub_unsigned(self.first.1);
        let data = &self.window.available()[..len];
        let frames = u64::from(header.block);
        Ok(Event::Packet(Packet {
            data,
            position: Some(position),
            frames,
            trim_end: 0,
            change: None,
            is_discontinuity,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        let sample = frame.max(0).unsigned_abs().saturating_add(self.first.1);
        self.approach(sample)?;
        while let Some((header, len)) = self.advance()? {
            if header.sample + u64::from(header.block) > sample {
                return Ok(true);
            }
            self.current = len;
        }
        Ok(false)
    }

    fn resume(&mut self) {
        self.window.source_mut().resume();
    }
}
