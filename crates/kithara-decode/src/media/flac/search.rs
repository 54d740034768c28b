//! Finding a sample in a FLAC file, and surveying a file whose end is at hand.

use std::time::Duration;

use super::{FlacFile, Part};
use crate::DecodeError;

/// Steps of a search for a place in the file.
const MAX_PROBES: u32 = 32;
/// A probe this close before its target, in seconds, is near enough: the rest is read through.
const NEAR_SECONDS: u64 = 1;
/// Places in the file that a survey looks at.
const SURVEY_PROBES: u64 = 8;
/// Bytes at the end of the file that a survey reads: a few frames of the longest kind in use.
const TAIL: u64 = 256 * 1024;

/// The length of a file, by a look at some of its frames.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Sample number behind the last frame.
    pub(super) total: Option<u64>,
    pub(super) estimate: Option<Duration>,
}

impl FlacFile {
    /// Looks at some frames of a file whose end is at hand: the last one tells the length, whatever
    /// STREAMINFO says. Sample numbers that go back mean that streams were joined.
    pub(super) fn survey(&mut self) -> Result<Option<Survey>, DecodeError> {
        let source = self.window.source();
        let Some(len) = source.byte_len().filter(|_| source.is_end_at_hand()) else { return Ok(None) };
        let Some(part) = self.parts.first().cloned() else { return Ok(None) };
        let (start, first) = part.first;
        let span = len.saturating_sub(start);
        let (mut before, mut per_byte) = (first, None);
        let mut is_joined = false;
        for probe in 1..=SURVEY_PROBES {
            // The last one is near the end, but never before the others.
            let eighths = span / SURVEY_PROBES * probe.min(SURVEY_PROBES - 1);
            let tail = if probe == SURVEY_PROBES { len.saturating_sub(TAIL) } else { 0 };
            let offset = tail.max(start + eighths);
            match self.probe(&part, offset)? {
                Probe::Frame(sample, _) if sample >= before => {
                    let covered = (self.window.offset() - start, sample - first);
                    per_byte = Some(covered).filter(|&(bytes, _)| !is_joined && bytes > 0).or(per_byte);
                    before = sample;
                }
                Probe::End => {}
                _ => is_joined = true,
            }
        }
        let mut total = None;
        if !is_joined {
            let Some(end) = self.read_to_end(&part)? else {
                self.go(start)?;
                return Ok(Some(Survey { total: part.info.total, estimate: None }));
            };
            total = end.0;
            is_joined = end.1;
        }
        self.go(start)?;
        self.is_unordered = is_joined;
        if !is_joined {
            return Ok(Some(Survey { total, estimate: None }));
        }
        let estimate = per_byte.and_then(|(bytes, samples)| {
            let seconds = span as f64 * samples as f64 / bytes as f64 / f64::from(part.shape.sample_rate);
            Duration::try_from_secs_f64(seconds).ok()
        });
        Ok(Some(Survey { total: None, estimate }))
    }

    /// Reads on from the window's position. Gives the sample number behind the last frame, and whether
    /// another stream follows. `None` without a frame.
    fn read_to_end(&mut self, part: &Part) -> Result<Option<(Option<u64>, bool)>, DecodeError> {
        let mut end = None;
        while let Some((frame, passed)) = self.locate(part.info.total)? {
            let sample = part.sample_of(&frame.header);
            if passed.is_some() || end.is_some_and(|end| sample < end) {
                return Ok(Some((None, true)));
            }
            end = Some(sample.saturating_add(frame.header.block.into()));
            self.given = frame.len;
        }
        Ok(end.map(|end| (Some(end), false)))
    }

    /// Moves so that the next frame holds `position`. `false` when the file ends before it.
    pub(super) fn seek_to(&mut self, position: u64) -> Result<bool, DecodeError> {
        let rate = self.parts.first().map_or(1, |part| part.shape.sample_rate);
        let index = self.parts.partition_point(|part| part.base <= position).saturating_sub(1);
        let Some(part) = self.parts.get(index).cloned() else { return Ok(false) };
        self.current = index;
        let sample = part.sample_at(position, rate);
        if !self.approach(&part, sample)? {
            self.go(part.first.0)?;
        }
        self.end = part.base;
        while let Some((frame, sample)) = self.advance()? {
            let before = (self.expected, self.end);
            let (start, frames) = self.pass(&frame, sample);
            if start.saturating_add(frames) > position {
                // Found, and not passed.
                (self.expected, self.end) = before;
                self.given = 0;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves to a frame of `part` at or before `sample`, as near as a few probes allow. `false` when only
    /// reading from the start of the part tells where the sample is.
    fn approach(&mut self, part: &Part, sample: u64) -> Result<bool, DecodeError> {
        let limit = self.parts.get(self.current + 1).map(|next| next.first.0);
        if self.is_unordered && limit.is_none() {
            return Ok(false);
        }
        let source = self.window.source();
        let end = limit.or_else(|| source.byte_len().filter(|_| source.is_seekable()));
        let near = NEAR_SECONDS * u64::from(part.shape.sample_rate);
        let mut low = part.first;
        let (mut high, mut is_stated) = (end.zip(part.info.total), false);
        let after = part.points.partition_point(|&(point, _)| point <= sample);
        let is_inside = |offset: u64| end.is_none_or(|end| offset < end);
        if let Some(&(_, offset)) = after.checked_sub(1).and_then(|index| part.points.get(index))
            && is_inside(offset)
            && let Probe::Frame(found, _) = self.probe(part, offset)?
            && found <= sample
        {
            low = (self.window.offset(), found);
            let point = part.points.get(after).filter(|&&(_, offset)| is_inside(offset));
            is_stated = point.is_some();
            high = point.map(|&(point, offset)| (offset, point)).or(high);
        }
        let Some(mut high) = high.filter(|high| high.0 > low.0) else {
            self.go(low.0)?;
            return Ok(true);
        };
        for _ in 0..MAX_PROBES {
            if sample.saturating_sub(low.1) <= near || high.0.saturating_sub(low.0) <= TAIL / 8 {
                break;
            }
            let share = u128::from(sample - low.1) * u128::from(high.0 - low.0)
                / u128::from((high.1.max(sample) - low.1).max(1));
            // Rather before the target than behind it; and never where the search has been.
            let step = (share as u64).saturating_sub((high.0 - low.0) / 64).max((high.0 - low.0) / 8);
            let guess = low.0 + step.min((high.0 - low.0) / 8 * 7);
            match self.probe(part, guess)? {
                Probe::Frame(found, offset) if found < low.1 && offset < high.0 && !is_stated => {
                    self.is_unordered = limit.is_none();
                    return Ok(false);
                }
                Probe::OtherStream if limit.is_none() => {
                    self.is_unordered = true;
                    return Ok(false);
                }
                Probe::Frame(found, offset) if (low.1..=sample).contains(&found) && offset < high.0 => {
                    low = (offset, found);
                }
                Probe::Frame(found, _) if found > sample => high = (guess, found.max(low.1 + 1)),
                _ => high = (guess, high.1),
            }
        }
        self.go(low.0)?;
        Ok(true)
    }

    /// The first frame of `part` from `offset` on, where the window then stands.
    fn probe(&mut self, part: &Part, offset: u64) -> Result<Probe, DecodeError> {
        self.go(offset)?;
        Ok(match self.locate(part.info.total)? {
            None => Probe::End,
            Some((_, Some(_))) => Probe::OtherStream,
            Some((frame, None)) if frame.header.shape(part.shape) != Some(part.shape) => Probe::OtherStream,
            Some((frame, None)) => Probe::Frame(part.sample_of(&frame.header), self.window.offset()),
        })
    }

    fn go(&mut self, offset: u64) -> Result<(), DecodeError> {
        self.given = 0;
        self.expected = None;
        Ok(self.window.move_to(offset)?)
    }
}

/// What a look at a place found.
enum Probe {
    /// A frame: the number of its first sample, and its offset.
    Frame(u64, u64),
    /// The header or a frame of another stream.
    OtherStream,
    End,
}
