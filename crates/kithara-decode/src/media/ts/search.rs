//! Where a time stands in a transport stream, and how long one is: by looks at timestamps here and there.

use super::{MAX_HOLE_SECONDS, TsFile};
use crate::DecodeError;

/// Looks at timestamps that one seek may take.
const MAX_LOOKS: u32 = 12;
/// Bytes that are read through rather than looked for a nearer place in.
const READ_THROUGH: u64 = 96 * 1024;
/// Bytes at the end that are read for the last packet.
const TAIL: u64 = 4 * READ_THROUGH;
/// A stretch of a file may take so many times longer than its bytes do elsewhere.
const MOST_UNUSUAL: f64 = 4.0;
/// Parts of a file between which timestamps are looked at.
const PARTS: u64 = 8;

impl TsFile {
    /// Goes to the packet that holds `frame`, by the timestamps between the start and the end. `false` when it is not there,
    /// or when timestamps turn out to tell nothing.
    pub(super) fn search(&mut self, frame: i64) -> Result<bool, DecodeError> {
        let mut slope = self.frames_per_byte();
        let (mut low, mut low_frame) = (self.first, 0);
        let (mut high, mut high_frame) = (self.window.byte_len().unwrap_or(u64::MAX), i64::MAX);
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
            let found = self.glance(guess, frame)?;
            here = Some(guess);
            if let Some(found) = found {
                let slack = 2 * self.step();
                self.must_count |= found < low_frame - slack || found > high_frame.saturating_add(slack);
            }
            if self.must_count {
                return Ok(false);
            }
            match found {
                Some(found) if found <= frame => {
                    if found > low_frame {
                        slope = (found - low_frame) as f64 / (guess - low) as f64;
                    }
                    (low, low_frame) = (guess, found.max(low_frame));
                    if (frame - low_frame) as f64 / slope <= READ_THROUGH as f64 {
                        break;
                    }
                }
                found => (high, high_frame) = (guess, found.unwrap_or(high_frame)),
            }
        }
        if here != Some(low) {
            self.look(low, frame)?;
        }
        self.walk(frame)
    }

    /// As [`look`](Self::look), where what cannot be demuxed has no time.
    fn glance(&mut self, offset: u64, near: i64) -> Result<Option<i64>, DecodeError> {
        match self.look(offset, near) {
            Err(error @ DecodeError::Io(_)) => Err(error),
            Err(error) => {
                tracing::debug!(%error, offset, "no timestamp");
                Ok(None)
            }
            found => found,
        }
    }

    /// Frames per byte, by what was told of the whole.
    fn frames_per_byte(&self) -> f64 {
        let len = self.window.byte_len().unwrap_or(0).saturating_sub(self.first);
        if self.promised > 0 && len > 0 {
            return self.promised as f64 / len as f64;
        }
        let bytes = self.window.offset().saturating_sub(self.first).max(1);
        self.at.frame.max(self.step()) as f64 / bytes as f64
    }

    /// Frames in all: by timestamps where the end is at hand, else by the size of the file and by what was read to find its
    /// first packet. That is at hand before and after the call.
    pub(super) fn estimate_frames(&mut self) -> Result<Option<f64>, DecodeError> {
        let Some(len) = self.window.byte_len() else { return Ok(None) };
        let len = len.saturating_sub(self.first);
        let end = self.window.offset();
        let can_return =
            self.window.source().is_seekable() || end - self.first <= self.window.history().len() as u64;
        if can_return {
            // Packets before the first that could be demuxed can be by now.
            self.look(self.first, 0)?;
        }
        let mut frames = None;
        if self.window.source().is_end_at_hand() {
            frames = self.survey(len + self.first)?;
            self.look(self.first, 0)?;
        }
        if frames.is_none() && can_return {
            // The packets of the bytes that were read, and no others.
            self.limit = end.max(self.window.offset());
            let bytes = self.limit - self.first;
            let (last, _) = self.last_frame()?;
            frames = Some(last as f64 / bytes as f64 * len as f64);
            self.look(self.first, 0)?;
        }
        Ok(frames)
    }

    /// Whether timestamps begin anew somewhere, by looks at some places and at the end.
    pub(super) fn finds_joint(&mut self) -> Result<bool, DecodeError> {
        if let Some(len) = self.window.byte_len() {
            self.survey(len)?;
        }
        Ok(self.must_count)
    }

    /// Frames in all by the timestamps at some places and at the end. `None` when there are none at the end.
    fn survey(&mut self, len: u64) -> Result<Option<f64>, DecodeError> {
        let part = len.saturating_sub(self.first) / PARTS;
        let tail = len.saturating_sub(TAIL).max(self.first);
        let places = (1..PARTS).map(|number| self.first + number * part);
        let places: Vec<_> = places.filter(|&place| place < tail).collect();
        let mut marks = vec![(self.first, 0)];
        for place in places {
            if let Some(found) = self.glance(place, 0)? {
                marks.push((place, found));
            }
        }
        let Some(found) = self.glance(tail, 0)? else { return Ok(None) };
        marks.push((tail, found));
        let (last, is_sound) = self.last_frame()?;
        if !is_sound {
            return Ok(None);
        }
        marks.push((len, last));
        let Some(slope) = joined_slope(&marks, self.rate) else { return Ok(Some(last as f64)) };
        // As where recordings were joined whose times all begin at 0, or that were made on different days.
        self.must_count = true;
        Ok(slope.map(|slope| slope * (len - self.first) as f64))
    }

    /// Where the last packet before the limit ends, and whether nothing else is there.
    fn last_frame(&mut self) -> Result<(i64, bool), DecodeError> {
        loop {
            let end = self.at.frame.saturating_add(self.step());
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return Ok((end, true)),
                Err(error @ DecodeError::Io(_)) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "the last packets cannot be read");
                    return Ok((end, false));
                }
            }
        }
    }
}

/// Frames per byte of the stretches between `marks` (offsets and their frames) in which nothing is joined, if something is in
/// others: where timestamps go back, or further ahead than the bytes of most stretches allow. `None`: nowhere.
fn joined_slope(marks: &[(u64, i64)], rate: u32) -> Option<Option<f64>> {
    let stretches =
        marks.windows(2).map(|pair| ((pair[1].1 - pair[0].1) as f64, (pair[1].0 - pair[0].0) as f64));
    let stretches: Vec<_> = stretches.filter(|&(_, bytes)| bytes > 0.0).collect();
    let mut slopes: Vec<_> = stretches.iter().map(|(frames, bytes)| frames / bytes).collect();
    slopes.sort_by(f64::total_cmp);
    let usual = slopes.get(slopes.len() / 2).copied().unwrap_or(0.0);
    let is_whole = |&&(frames, bytes): &&(f64, f64)| {
        let usual = usual * bytes;
        frames >= 0.0
            && (frames <= MOST_UNUSUAL * usual || frames - usual <= MAX_HOLE_SECONDS as f64 * f64::from(rate))
    };
    let whole: Vec<_> = stretches.iter().filter(is_whole).collect();
    if whole.len() == stretches.len() {
        return None;
    }
    let (frames, bytes) = whole.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    Some((bytes > 0.0).then(|| frames / bytes))
}
