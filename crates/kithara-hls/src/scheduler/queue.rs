//! The segments that are planned and not yet passed by the reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::abr::SwitchReason;
use crate::error::HlsError;
use crate::message::Failure;
use crate::segment::{SAME_TIME, SegmentPlace, SegmentPlan};

/// Names one fetch of one segment between the planner and its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// What is there of a segment's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Bytes that are there, from the beginning on.
    pub received: u64,
    /// Bytes in all, once that is known.
    pub len: Option<u64>,
    /// All of them are there.
    pub is_complete: bool,
}

/// What became of a planned segment.
#[derive(Debug, Clone)]
pub(super) enum EntryState {
    /// It is fetched then.
    Waiting { until: Instant },
    /// The driver was told to fetch it.
    Starting,
    /// It is being downloaded, or is all there.
    Fetched(Transfer),
    /// It failed, and nothing was done about it yet.
    Failed(Failure),
    /// Silence stands in its place.
    Gap { error: Option<Arc<HlsError>> },
}

/// A planned segment.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ticket: Ticket,
    pub(super) plan: SegmentPlan,
    pub(super) reason: SwitchReason,
    pub(super) state: EntryState,
    /// Its init section and key are there.
    pub(super) is_prepared: bool,
    /// Its message was handed out.
    pub(super) is_emitted: bool,
    /// When its fetch began.
    pub(super) begun: Instant,
    /// From then to the first byte.
    pub(super) first_byte: Option<Duration>,
    /// Bytes that were in the store by then.
    pub(super) found: u64,
    /// Expected length in bytes, as long as it is not known.
    pub(super) estimate: u64,
}

impl Entry {
    pub(super) fn place(&self) -> SegmentPlace {
        self.plan.place
    }

    /// How much of it is there from its beginning on, between 0 and 1.
    pub(super) fn fraction(&self) -> f64 {
        match self.state {
            EntryState::Gap { .. } | EntryState::Fetched(Transfer { is_complete: true, .. }) => 1.0,
            EntryState::Fetched(Transfer { received, len: Some(len), .. }) if len > 0 => {
                received.min(len) as f64 / len as f64
            }
            _ => 0.0,
        }
    }

    /// Length of its body in bytes: declared, or by the variant's bandwidth.
    pub(super) fn expected_len(&self) -> u64 {
        match self.state {
            EntryState::Fetched(Transfer { len: Some(len), .. }) => len,
            EntryState::Gap { .. } => 0,
            _ => self.estimate,
        }
    }

    /// Bytes that are still to come.
    pub(super) fn missing(&self) -> u64 {
        match self.state {
            EntryState::Fetched(Transfer { is_complete: false, received, .. }) => {
                self.expected_len().saturating_sub(received)
            }
            _ => 0,
        }
    }

    /// Its transfer is under way.
    pub(super) fn is_arriving(&self) -> bool {
        matches!(self.state, EntryState::Starting | EntryState::Fetched(Transfer { is_complete: false, .. }))
    }
}

/// Where the reader, or the plan, goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    pub(super) position: Duration,
    /// The segment before it, if it was reached through that.
    pub(super) after: Option<SegmentPlace>,
    /// All audio up to the position is there, of whatever variant: a segment that begins [`SAME_TIME`] later will do.
    pub(super) is_joined: bool,
}

impl Cursor {
    /// Behind a segment.
    pub(super) fn behind(place: SegmentPlace, position: Duration) -> Self {
        Self { position: place.end().max(position), after: Some(place), is_joined: true }
    }

    /// Whether a segment is the next one.
    fn is_met_by(&self, next: SegmentPlace) -> bool {
        let tolerance = if self.is_joined { SAME_TIME } else { Duration::ZERO };
        let follows = |after: SegmentPlace| {
            after.id.variant == next.id.variant && after.id.number.checked_add(1) == Some(next.id.number)
        };
        next.start <= self.position.saturating_add(tolerance) || self.after.is_some_and(follows)
    }
}

/// Where the next segment is to be planned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hole {
    pub(super) cursor: Cursor,
    /// Where its entry belongs.
    pub(super) index: usize,
}

/// Planned segments by their position. Those that were handed out come first; behind them there may be holes, where
/// something was given up, and what was planned behind it is kept.
#[derive(Debug, Default)]
pub(super) struct SegmentQueue {
    entries: VecDeque<Entry>,
}

impl SegmentQueue {
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.ticket == ticket)
    }

    pub(super) fn emitted(&self) -> usize {
        self.entries.iter().take_while(|entry| entry.is_emitted).count()
    }

    /// The first entry that was not handed out, if it is the one that a reader at `cursor` needs.
    pub(super) fn next(&mut self, cursor: Cursor) -> Option<&mut Entry> {
        let index = self.emitted();
        self.entries.get_mut(index).filter(|entry| cursor.is_met_by(entry.place()))
    }

    /// The first position from `cursor` on that nothing is planned for.
    pub(super) fn hole(&self, mut cursor: Cursor) -> Hole {
        let mut index = self.emitted();
        for entry in self.entries.iter().skip(index) {
            let place = entry.place();
            if !cursor.is_met_by(place) {
                break;
            }
            cursor = Cursor::behind(place, cursor.position);
            index += 1;
        }
        Hole { cursor, index }
    }

    /// Brings in an entry. Those behind it that it overlaps are given back.
    pub(super) fn insert(&mut self, index: usize, entry: Entry) -> Vec<Ticket> {
        let end = entry.place().end();
        self.entries.insert(index, entry);
        self.drop_overlapped(index, end)
    }

    /// Removes the entries behind `index` that begin before `end`.
    pub(super) fn drop_overlapped(&mut self, index: usize, end: Duration) -> Vec<Ticket> {
        let mut dropped = Vec::new();
        while let Some(next) = self.entries.get(index + 1) {
            if next.place().start.saturating_add(SAME_TIME.min(next.place().duration / 2)) >= end {
                break;
            }
            dropped.extend(self.entries.remove(index + 1).map(|entry| entry.ticket));
        }
        dropped
    }

    /// Position of an entry.
    pub(super) fn index_of(&self, ticket: Ticket) -> Option<usize> {
        self.entries.iter().position(|entry| entry.ticket == ticket)
    }

    /// Removes the entries that a reader in the segment that begins at `segment` has passed. The one that was handed out
    /// last is being read: rounding may leave it without any duration.
    pub(super) fn pass(&mut self, segment: Duration) -> Vec<Ticket> {
        let mut passed = Vec::new();
        while self.entries.front().is_some_and(|entry| entry.place().end() <= segment)
            && self.entries.get(1).is_some_and(|next| next.is_emitted)
        {
            passed.extend(self.entries.pop_front().map(|entry| entry.ticket));
        }
        passed
    }

    /// Removes the entries that `keep` says no to.
    pub(super) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) -> Vec<Ticket> {
        let dropped = self.entries.iter().filter(|entry| !keep(entry)).map(|entry| entry.ticket).collect();
        self.entries.retain(keep);
        dropped
    }

    /// The messages that were handed out are out of date.
    pub(super) fn recall(&mut self) {
        for entry in &mut self.entries {
            entry.is_emitted = false;
        }
    }

    /// Audio that is there without a gap from the first entry on, less what was `played`.
    pub(super) fn buffered(&self, played: Duration) -> Duration {
        let mut buffered = Duration::ZERO;
        let mut end: Option<Duration> = None;
        for entry in &self.entries {
            let place = entry.place();
            if end.is_some_and(|end| place.start > end + SAME_TIME) {
                break;
            }
            end = Some(place.end());
            let fraction = entry.fraction();
            buffered += place.duration.mul_f64(fraction);
            if fraction < 1.0 {
                break;
            }
        }
        let begins = self.entries.front().map_or(Duration::ZERO, |entry| entry.place().start);
        buffered.saturating_sub(played.saturating_sub(begins))
    }

    /// Stretches of audio that are there, ascending and apart from each other.
    pub(super) fn ranges(&self) -> Vec<std::ops::Range<Duration>> {
        let mut ranges: Vec<std::ops::Range<Duration>> = Vec::new();
        for entry in &self.entries {
            let place = entry.place();
            let end = place.start + place.duration.mul_f64(entry.fraction());
            match ranges.last_mut().filter(|last| place.start <= last.end + SAME_TIME) {
                Some(last) => last.end = end.max(last.end),
                None if end > place.start => ranges.push(place.start..end),
                None => {}
            }
        }
        ranges
    }
}
