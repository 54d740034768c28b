//! Time of frames: from timestamps, and counted between them.

use std::collections::VecDeque;

use super::{TIMESCALE, WRAP};
use crate::rescale::rescale;

/// Counts time between timestamps.
#[derive(Debug, Default)]
pub(super) struct Clock {
    base: i64,
    frames: u64,
    rate: u32,
    /// A timestamp has been seen.
    pub(super) is_timed: bool,
    /// The first frame that begins at or behind the offset has the timestamp.
    marks: VecDeque<(u64, Option<u64>)>,
    /// What the first timestamp is near to.
    pub(super) hint: Option<i64>,
}

impl Clock {
    /// The first frame that begins at `offset` or behind it has this time. Everything before `consumed` has been framed.
    pub(super) fn mark(&mut self, offset: u64, timestamp: Option<u64>, consumed: u64) {
        // Only the last mark before a frame counts.
        while self.marks.get(1).is_some_and(|&(second, _)| second <= consumed) {
            self.marks.pop_front();
        }
        self.marks.push_back((offset, timestamp));
    }

    /// Time, duration and whether the container told the time, of `frames` PCM frames that begin at `offset`.
    pub(super) fn tick(&mut self, offset: u64, frames: u32, rate: u32) -> (i64, u64, bool) {
        if self.rate != rate {
            self.rebase(self.now());
            self.rate = rate;
        }
        let mut latest = None;
        while let Some(&(mark, timestamp)) = self.marks.front()
            && mark <= offset
        {
            latest = Some(timestamp);
            self.marks.pop_front();
        }
        if let Some(Some(raw)) = latest {
            let raw = i64::try_from(raw).unwrap_or(0);
            let near = if self.is_timed { Some(self.now()) } else { self.hint };
            self.rebase(near.map_or(raw, |near| WRAP.unroll(raw, near)));
            self.is_timed = true;
        }
        let start = self.now();
        self.frames += u64::from(frames);
        let duration = self.now().saturating_sub(start);
        (start, duration.unsigned_abs(), self.is_timed)
    }

    fn rebase(&mut self, base: i64) {
        self.base = base;
        self.frames = 0;
    }

    pub(super) fn now(&self) -> i64 {
        let ticks = rescale(self.frames, TIMESCALE, self.rate.max(1));
        self.base.saturating_add(i64::try_from(ticks).unwrap_or(i64::MAX))
    }
}
