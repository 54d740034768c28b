//! What is ahead of the reader, and whether there may be more.

use std::time::Duration;

use kithara_assets::Assets;
use kithara_net::Net;
use kithara_storage::Streaming;
use tokio::time::Instant;

use super::pace::GRACE;
use super::source::HlsWorkerSource;
use crate::body::SegmentBody;
use crate::message::{HlsMessage, SegmentPlace};

/// A planned segment that the reader has not passed.
pub(super) struct Planned<R> {
    pub(super) segment: SegmentPlace,
    /// Index in the list as it was when this was planned, for people.
    pub(super) index: usize,
    /// Expected length in bytes.
    pub(super) bytes: u64,
    pub(super) body: Option<SegmentBody<R>>,
    /// When its fetch began.
    pub(super) begun: Instant,
    /// Bytes that were in the store by then.
    pub(super) found: u64,
}

/// A planned segment, and the message that its reader does not get yet.
pub(super) type Withheld<R> = (Planned<R>, HlsMessage<R>);

impl<R: Streaming> Planned<R> {
    /// Length of its body in bytes: declared, or by the variant's bandwidth.
    pub(super) fn expected_len(&self) -> u64 {
        self.body.as_ref().and_then(SegmentBody::len).unwrap_or(self.bytes)
    }

    /// Bytes that are still to come.
    pub(super) fn missing(&self) -> u64 {
        let received = |body: &SegmentBody<R>| self.expected_len().saturating_sub(body.received());
        self.body.as_ref().filter(|body| !body.is_complete()).map_or(0, received)
    }
}

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    /// What is planned and not passed, in order: what the reader was told of, then what is withheld from it.
    pub(super) fn planned(&self) -> impl DoubleEndedIterator<Item = &Planned<A::Streaming>> {
        self.ahead.iter().chain(self.withheld.iter().map(|(planned, _)| planned))
    }

    /// Audio that is in the store without a gap, from the reader's place on.
    pub(super) fn buffered(&self) -> Duration {
        let mut buffered = Duration::ZERO;
        for planned in self.planned() {
            let fraction = planned.body.as_ref().map_or(1.0, SegmentBody::fraction);
            buffered += planned.segment.duration.mul_f64(fraction);
            if fraction < 1.0 {
                break;
            }
        }
        let begins = self.planned().next().map_or(Duration::ZERO, |planned| planned.segment.start);
        buffered.saturating_sub(self.parts.shared.played().saturating_sub(begins))
    }

    /// Whether another fetch may begin.
    pub(super) fn has_room(&self) -> bool {
        let look_ahead = &self.parts.look_ahead;
        let Some(last) = self.planned().next_back() else { return true };
        if self.parts.only_first {
            return false;
        }
        let span = last.segment.end().saturating_sub(self.parts.shared.reader());
        // On the way to what was withheld from it, the reader passes what it was told of before: that was room enough.
        if self.given_up.is_none() && !self.withheld.is_empty() {
            return true;
        }
        let count = self.ahead.len() + self.withheld.len();
        let bytes: u64 = self.planned().map(Planned::expected_len).sum();
        let arriving: u64 = self.planned().map(Planned::missing).sum();
        // The one that is being read, and the next: whatever the bounds, the reader must come to it.
        let is_needed = count < 2;
        let is_within = count < look_ahead.segments && span < look_ahead.duration && bytes < look_ahead.bytes;
        let in_flight = self.parts.fetches.in_flight();
        let bears = in_flight == 0 || (in_flight < self.parallel() && arriving < look_ahead.bytes_in_flight);
        (is_needed || is_within) && bears
    }

    /// Fetches that the network bears at the same moment without making the next segment wait; one where that brings
    /// enough. While less than a segment is buffered, each has to come four times as fast as it is heard.
    fn parallel(&self) -> usize {
        let most = self.parts.look_ahead.parallel.max(1);
        if self.is_prompt() && self.arriving().is_none_or(|(_, planned)| planned.begun.elapsed() < GRACE) {
            return 1;
        }
        let bandwidth = self.variant.map_or(0, |variant| self.parts.abr.bandwidth(variant));
        match self.parts.abr.throughput() {
            Some(throughput) if bandwidth > 0 => {
                let is_low =
                    self.planned().next().is_some_and(|planned| self.buffered() < planned.segment.duration);
                let speed = self.parts.abr.speed() * if is_low { 4.0 } else { 1.0 };
                let needed = (bandwidth as f64 * speed) as u64;
                usize::try_from(throughput / needed).unwrap_or(most).clamp(1, most)
            }
            Some(_) => most,
            None => 1,
        }
    }

    /// Whether segments come so soon that one fetch at a time is enough.
    pub(super) fn is_prompt(&self) -> bool {
        let next = self.planned().next();
        next.is_some_and(|next| self.pace.is_prompt(next.segment.duration, self.parts.abr.speed()))
    }

    /// When another fetch may begin beside one that was to be here at once, and is not.
    pub(super) fn company_due(&self) -> Option<Instant> {
        let (_, planned) = self.arriving().filter(|_| self.is_prompt())?;
        Some(planned.begun + GRACE).filter(|due| *due > Instant::now())
    }
}
