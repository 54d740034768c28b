//! Whether another fetch may begin.

use std::time::{Duration, Instant};

use super::latency::{FetchLatency, GRACE};
use super::queue::{Entry, SegmentQueue};
use crate::abr::AbrController;
use crate::options::LookAhead;

/// The bounds of the look-ahead, and how quickly segments come.
#[derive(Debug)]
pub(super) struct LookAheadPolicy {
    pub(super) bounds: LookAhead,
    pub(super) latency: FetchLatency,
    /// Only the first segment is wanted, for its format and time; a command follows.
    pub(super) only_first: bool,
}

/// What the policy decides by, beside the queue.
pub(super) struct Conditions<'a> {
    pub(super) abr: &'a AbrController,
    /// The variant that is being fetched.
    pub(super) variant: Option<usize>,
    /// Start of the segment that the reader is in.
    pub(super) reader: Duration,
    pub(super) played: Duration,
    /// The reader waits for a segment that nothing is planned for.
    pub(super) is_awaited: bool,
    pub(super) now: Instant,
}

impl LookAheadPolicy {
    /// Whether another fetch may begin.
    pub(super) fn may_fetch(&self, queue: &SegmentQueue, on: &Conditions<'_>) -> bool {
        let Some(last) = queue.iter().next_back() else { return true };
        if self.only_first && !on.is_awaited {
            return false;
        }
        let span = last.place().end().saturating_sub(on.reader);
        let count = queue.len();
        let bytes: u64 = queue.iter().map(Entry::expected_len).sum();
        let arriving: u64 = queue.iter().map(Entry::missing).sum();
        // The one that is being read, and the next: whatever the bounds, the reader must come to it.
        let is_needed = count < 2 || on.is_awaited;
        let is_within =
            count < self.bounds.segments && span < self.bounds.duration && bytes < self.bounds.bytes;
        let in_flight = queue.iter().filter(|entry| entry.is_arriving()).count();
        let is_bearable = in_flight == 0
            || on.is_awaited
            || (in_flight < self.parallel(queue, on) && arriving < self.bounds.bytes_in_flight);
        (is_needed || is_within) && is_bearable
    }

    /// Fetches that the network bears at the same moment without making the next segment wait; one where that brings
    /// enough. While less than a segment is buffered, each has to come four times as fast as it is heard.
    fn parallel(&self, queue: &SegmentQueue, on: &Conditions<'_>) -> usize {
        let most = self.bounds.parallel.max(1);
        let is_new = |entry: &Entry| on.now.saturating_duration_since(entry.begun) < GRACE;
        if self.is_prompt(queue, on.abr) && arriving(queue).is_none_or(is_new) {
            return 1;
        }
        let bandwidth = on.variant.map_or(0, |variant| on.abr.bandwidth(variant));
        match on.abr.throughput() {
            Some(throughput) if bandwidth > 0 => {
                let is_low = queue
                    .iter()
                    .next()
                    .is_some_and(|entry| queue.buffered(on.played) < entry.place().duration);
                let speed = on.abr.speed() * if is_low { 4.0 } else { 1.0 };
                let needed = (bandwidth as f64 * speed) as u64;
                usize::try_from(throughput / needed.max(1)).unwrap_or(most).clamp(1, most)
            }
            Some(_) => most,
            None => 1,
        }
    }

    /// Whether segments come so soon that one fetch at a time is enough.
    fn is_prompt(&self, queue: &SegmentQueue, abr: &AbrController) -> bool {
        let next = queue.iter().next();
        next.is_some_and(|next| self.latency.is_prompt(next.place().duration, abr.speed()))
    }

    /// When another fetch may begin beside one that was to be here at once, and is not.
    pub(super) fn parallel_fetch_at(
        &self,
        queue: &SegmentQueue,
        abr: &AbrController,
        now: Instant,
    ) -> Option<Instant> {
        let entry = arriving(queue).filter(|_| self.is_prompt(queue, abr))?;
        Some(entry.begun + GRACE).filter(|due| *due > now)
    }

    /// The most audio that may be buffered, where segments are as long as those in the queue.
    pub(super) fn capacity(&self, queue: &SegmentQueue) -> Option<Duration> {
        let longest = queue.iter().map(|entry| entry.place().duration).max()?;
        let segments = u32::try_from(self.bounds.segments.max(1)).unwrap_or(u32::MAX);
        Some(longest.saturating_mul(segments).min(self.bounds.duration))
    }
}

/// The first planned segment that is still arriving.
pub(super) fn arriving(queue: &SegmentQueue) -> Option<&Entry> {
    queue.iter().find(|entry| entry.is_arriving())
}
