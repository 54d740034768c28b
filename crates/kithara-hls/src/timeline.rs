//! The timeline: variant × segment ↔ time. Pure.
//!
//! A segment's *nominal* place is the sum of the `EXTINF` durations before it. What the media itself says
//! ([`Timeline::correct`]) moves the places from there on. Variants are aligned by time and by discontinuity sequence,
//! never by media sequence number.
//!
//! # How corrections spread
//! A correction pins the drift (real place less nominal place) of one variant at one place. It holds until the next
//! pin of that variant. A variant that was not measured as far moves along with the one that was measured last: where
//! `EXTINF` is rounded, it is rounded in all variants alike, and after an hour the nominal places of them all are the
//! same seconds off.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::playlist::MediaPlaylist;
use crate::segment::{SAME_TIME, SegmentId, SegmentPlace, is_same_time};

/// [`SAME_TIME`] in nanoseconds: a position so little before a segment's end is the next segment's beginning.
const TOLERANCE: i64 = SAME_TIME.as_nanos() as i64;

/// Drifts that differ by less are one.
const SAME_DRIFT: i64 = 1_000_000;

/// Segments that may lie between the lists of two variants that are taken to number alike.
const MAX_MISSED: u64 = 32;

/// Places and measures are cut here, at four and a half years, so that no sum of a few of them overflows.
const LIMIT: i64 = i64::MAX / 64;

/// One segment's place on the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentRef {
    /// Index in the ladder.
    pub variant: usize,
    /// Index in the media playlist.
    pub segment: usize,
    /// Where it begins, corrected.
    pub start: Duration,
    /// How long it is, corrected.
    pub duration: Duration,
    /// Number of its discontinuity domain.
    pub discontinuity_sequence: u64,
    /// Its number in its own playlist: what stays the same over a reload.
    pub media_sequence: u64,
    /// Its number among all segments that this variant ever listed: what stays the same where the numbers of a list
    /// stand still or fall.
    pub number: u64,
}

impl SegmentRef {
    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.start.saturating_add(self.duration)
    }

    /// The segment by what it keeps over reloads.
    #[must_use]
    pub fn place(&self) -> SegmentPlace {
        SegmentPlace {
            id: SegmentId { variant: self.variant, number: self.number },
            discontinuity_sequence: self.discontinuity_sequence,
            start: self.start,
            duration: self.duration,
        }
    }
}

/// Where every segment of every known variant stands in time.
#[derive(Debug, Default)]
pub struct Timeline {
    tracks: BTreeMap<usize, Track>,
    /// The variant that was corrected last.
    reference: Option<usize>,
}

impl Timeline {
    /// A timeline without variants.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings in a variant's playlist, or its reloaded successor: segments that both have keep their places.
    pub fn insert(&mut self, variant: usize, playlist: Arc<MediaPlaylist>) {
        // A list that was empty so far has no position that the first segments could be counted from.
        let track = match self.tracks.remove(&variant).filter(|old| !old.playlist.is_empty()) {
            Some(old) => {
                let after = |count: usize| old.first_number.saturating_add(count as u64);
                let (base, restarts, first_number) = match renumbered(&old.playlist, &playlist) {
                    Some(Renumbered::Restart) => {
                        let (base, restarts) = self.restart(&old, &playlist);
                        (base, restarts, after(old.playlist.len()))
                    }
                    Some(Renumbered::From(index)) => (old.end_of_first(index), old.restarts, after(index)),
                    None => {
                        let steps =
                            i128::from(playlist.media_sequence) - i128::from(old.playlist.media_sequence);
                        let number = i128::from(old.first_number) + steps;
                        let number = u64::try_from(number.max(0)).unwrap_or(u64::MAX);
                        let base = self.beside_newer(&old, &playlist);
                        (base.unwrap_or_else(|| old.base_of_successor(&playlist)), old.restarts, number)
                    }
                };
                Track { playlist, base, first_number, pins: old.pins, restarts }
            }
            None => {
                // The variant that was loaded last, as far as one can tell.
                let known = self.tracks.values().filter(|known| !known.playlist.is_empty());
                let base = match known.max_by_key(|known| known.end()) {
                    // Complete lists begin at the same moment; what a live list has lost by its end does not.
                    Some(known)
                        if playlist.is_complete() && known.playlist.is_complete() && known.base == 0 =>
                    {
                        0
                    }
                    Some(known) => known.base_of_sibling(&playlist),
                    None => 0,
                };
                // Room below: an older load of the list may follow.
                let first_number = playlist.media_sequence;
                Track { playlist, base, first_number, pins: BTreeMap::new(), restarts: 0 }
            }
        };
        let base = track.base.clamp(-LIMIT, LIMIT);
        self.tracks.insert(variant, Track { base, ..track });
    }

    /// What a reload of a variant's list is to what is known of it.
    pub(crate) fn reload_kind(&self, variant: usize, playlist: &MediaPlaylist) -> ReloadKind {
        let Some(old) = self.tracks.get(&variant) else { return ReloadKind::Newer };
        match renumbered(&old.playlist, playlist) {
            Some(Renumbered::Restart) => ReloadKind::Restart,
            Some(Renumbered::From(0)) if playlist.len() < old.playlist.len() => ReloadKind::Older,
            Some(Renumbered::From(_)) => ReloadKind::Newer,
            None => {
                let end = |list: &MediaPlaylist| list.media_sequence.saturating_add(list.len() as u64);
                let is_older = end(playlist) < end(&old.playlist)
                    && playlist.media_sequence <= old.playlist.media_sequence;
                if is_older { ReloadKind::Older } else { ReloadKind::Newer }
            }
        }
    }

    /// Where the first segment of a list stands that has moved on by more than its length since it was loaded last, beside
    /// a variant that was loaded since: what was missed in between is not known by itself.
    fn beside_newer(&self, old: &Track, playlist: &MediaPlaylist) -> Option<i64> {
        let is_continued = old.playlist.index_of(playlist.media_sequence).is_some()
            || playlist.index_of(old.playlist.media_sequence).is_some()
            || old.playlist.is_empty();
        let newest = self.tracks.values().max_by_key(|track| track.end())?;
        if is_continued || newest.end() <= old.end() || newest.restarts != old.restarts {
            return None;
        }
        newest.base_by_date(playlist).or_else(|| newest.base_by_numbers(playlist))
    }

    /// Where the list of a restarted encoder stands, and which restart that is: beside another variant that has
    /// restarted already, else behind everything that is known.
    fn restart(&self, old: &Track, playlist: &MediaPlaylist) -> (i64, u64) {
        let newest = self.tracks.values().max_by_key(|track| track.restarts);
        match newest.filter(|track| track.restarts > old.restarts) {
            Some(sibling) => (sibling.base_of_sibling(playlist), sibling.restarts),
            None => {
                let ends = self.tracks.values().map(Track::end);
                (ends.fold(old.end(), i64::max), old.restarts + 1)
            }
        }
    }

    /// How often the encoder of a variant has restarted: names then mean other segments than before.
    pub(crate) fn restarts(&self, variant: usize) -> u64 {
        self.tracks.get(&variant).map_or(0, |track| track.restarts)
    }

    /// The playlist of a variant, if it is known.
    #[must_use]
    pub fn playlist(&self, variant: usize) -> Option<&Arc<MediaPlaylist>> {
        self.tracks.get(&variant).map(|track| &track.playlist)
    }

    /// The segment of `variant` that holds `position`: the first for a position before all of them, the last for one
    /// at or after the end; `None` if the variant is unknown or has no segment.
    #[must_use]
    pub fn segment_at(&self, variant: usize, position: Duration) -> Option<SegmentRef> {
        self.segment(variant, self.index_at(variant, nanos(position))?)
    }

    /// A segment by its index; `None` past the end.
    #[must_use]
    pub fn segment(&self, variant: usize, segment: usize) -> Option<SegmentRef> {
        let playlist = self.playlist(variant)?;
        let start = self.start_of(variant, segment)?;
        Some(SegmentRef {
            variant,
            segment,
            start,
            duration: self.start_of(variant, segment + 1)?.saturating_sub(start),
            discontinuity_sequence: playlist.discontinuity_sequence_of(segment)?,
            media_sequence: playlist.media_sequence.saturating_add(segment as u64),
            number: self.tracks.get(&variant)?.first_number.saturating_add(segment as u64),
        })
    }

    /// The segment of `variant` with which to go on at `position` in place of another variant's: the one that holds the
    /// position, or the next where no more than [`SAME_TIME`] of that is left; `None` at the end.
    #[must_use]
    pub fn next_at(&self, variant: usize, position: Duration) -> Option<SegmentRef> {
        let found = self.segment_at(variant, position)?;
        let next = || self.segment(variant, found.segment + 1);
        if found.place().is_worth_at(position) { Some(found) } else { next() }
    }

    /// The index of a segment by its number; `None` where the list does not have it.
    #[must_use]
    pub fn index_of(&self, id: SegmentId) -> Option<usize> {
        let track = self.tracks.get(&id.variant)?;
        let index = usize::try_from(id.number.checked_sub(track.first_number)?).ok()?;
        (index < track.playlist.len()).then_some(index)
    }

    /// The number of the first listed segment of a variant, and the number behind its last one.
    #[must_use]
    pub fn numbers(&self, variant: usize) -> Option<Range<u64>> {
        let track = self.tracks.get(&variant)?;
        Some(track.first_number..track.first_number.saturating_add(track.playlist.len() as u64))
    }

    /// Where a segment begins; for the index after the last one, where the variant ends.
    #[must_use]
    pub fn start_of(&self, variant: usize, segment: usize) -> Option<Duration> {
        self.place(variant, segment).map(|place| Duration::from_nanos(u64::try_from(place).unwrap_or(0)))
    }

    /// Where to go on in variant `to` instead of with `segment` of variant `from`: the segment of `to` that holds
    /// that segment's beginning.
    ///
    /// Where both variants show the beginning of the segment's discontinuity domain, time is counted from there.
    #[must_use]
    pub fn aligned(&self, from: usize, segment: usize, to: usize) -> Option<SegmentRef> {
        let place = self.place(from, segment)?;
        if from == to {
            return self.segment(to, segment);
        }
        let (source, target) = (self.playlist(from)?, self.playlist(to)?);
        let number = source.discontinuity_sequence_of(segment)?;
        let domains = count_alike(source, target)
            .then(|| visible_domain(source, number).zip(visible_domain(target, number)))
            .flatten();
        let Some((source, target)) = domains else {
            return self.segment(to, self.index_at(to, place.saturating_add(TOLERANCE))?);
        };
        let since = place.saturating_sub(self.place(from, source.start)?);
        let place = self.place(to, target.start)?.saturating_add(since);
        let index = self.index_at(to, place.saturating_add(TOLERANCE))?;
        // Past the domain's end in the other variant: what it has next.
        let last = self.playlist(to)?.len().saturating_sub(1);
        self.segment(to, index.clamp(target.start, target.end).min(last))
    }

    /// Tells where a segment's media really begins and how long it really is. Segments after it move with it.
    ///
    /// A measure that contradicts the ones around it is fitted between them.
    pub fn correct(&mut self, variant: usize, segment: usize, start: Duration, duration: Duration) {
        let Some(track) = self.tracks.get_mut(&variant) else { return };
        let Some(from) = track.nominal(segment) else { return };
        let Some(to) = track.nominal(segment + 1) else { return };
        let before =
            track.pins.range(..from).next_back().map_or(i64::MIN, |(at, drift)| at.saturating_add(*drift));
        let after = track.pins.range(to.saturating_add(1)..).next();
        let after = after.map_or(i64::MAX, |(at, drift)| at.saturating_add(*drift));
        let start = nanos(start).clamp(before, after.max(before));
        let end = start.saturating_add(nanos(duration)).min(after).max(start);
        track.pin(from, start);
        track.pin(to, end);
        self.reference = Some(variant);
    }

    /// Where a variant ends.
    #[must_use]
    pub fn duration_of(&self, variant: usize) -> Option<Duration> {
        self.start_of(variant, self.playlist(variant)?.len())
    }

    /// Where the longest known variant ends; `None` while no variant is known.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.tracks.keys().filter_map(|variant| self.duration_of(*variant)).max()
    }

    /// Nanoseconds of the beginning of a segment, corrected.
    fn place(&self, variant: usize, segment: usize) -> Option<i64> {
        let track = self.tracks.get(&variant)?;
        let nominal = track.nominal(segment)?;
        let (measured_at, _) = track.drift(nominal);
        let reference = self.reference.filter(|reference| *reference != variant);
        let moved = reference.and_then(|reference| self.tracks.get(&reference)).map_or(0, |reference| {
            let before = measured_at.map_or(0, |at| reference.fitted(at, 0).saturating_sub(at));
            reference.fitted(nominal, 0).saturating_sub(nominal).saturating_sub(before)
        });
        Some(track.fitted(nominal, moved))
    }

    fn index_at(&self, variant: usize, place: i64) -> Option<usize> {
        let len = self.playlist(variant)?.len();
        // Places ascend: halve until the last segment that begins at or before the place is left.
        let (mut first, mut after) = (0, len);
        while first < after {
            let middle = first + (after - first) / 2;
            if self.place(variant, middle)? <= place {
                first = middle + 1;
            } else {
                after = middle;
            }
        }
        (len > 0).then(|| first.saturating_sub(1))
    }
}

/// One variant's playlist and what was measured of it. Places are nanoseconds; they can be negative in a live
/// playlist that shows more of the past than the one that was there first.
#[derive(Debug)]
struct Track {
    playlist: Arc<MediaPlaylist>,
    /// Nominal place of the playlist's first segment.
    base: i64,
    /// Nominal place → drift.
    pins: BTreeMap<i64, i64>,
    /// Number of the playlist's first segment, see [`SegmentRef::number`].
    first_number: u64,
    /// How often the encoder has restarted.
    restarts: u64,
}

impl Track {
    fn nominal(&self, segment: usize) -> Option<i64> {
        self.playlist.start_of(segment).map(|start| self.base.saturating_add(nanos(start)))
    }

    /// The last pin at or before a nominal place: where it is, and the drift from there on.
    fn drift(&self, nominal: i64) -> (Option<i64>, i64) {
        self.pins.range(..=nominal).next_back().map_or((None, 0), |(at, drift)| (Some(*at), *drift))
    }

    /// A nominal place with its drift and `moved` beside it, but never after the next pin.
    fn fitted(&self, nominal: i64, moved: i64) -> i64 {
        let place = nominal.saturating_add(self.drift(nominal).1).saturating_add(moved);
        let next = self.pins.range(nominal.saturating_add(1)..).next();
        next.map_or(place, |(at, drift)| place.min(at.saturating_add(*drift)))
    }

    fn pin(&mut self, nominal: i64, real: i64) {
        let drift = real.saturating_sub(nominal);
        // Of a run of equal drifts the two ends are enough.
        let mut before = self.pins.range(..nominal).rev().map(|(at, drift)| (*at, *drift));
        if let (Some((middle, one)), Some((_, other))) = (before.next(), before.next()) {
            let is_same = |known: i64| known.abs_diff(drift) <= SAME_DRIFT.unsigned_abs();
            if is_same(one) && is_same(other) {
                self.pins.remove(&middle);
            }
        }
        self.pins.insert(nominal, drift);
    }

    /// Nominal place of the playlist's end.
    fn end(&self) -> i64 {
        self.base.saturating_add(nanos(self.playlist.duration()))
    }

    /// Nominal place of what begins behind the first `count` segments.
    fn end_of_first(&self, count: usize) -> i64 {
        self.nominal(count).unwrap_or(self.base)
    }

    /// Where the first segment of this playlist's reloaded successor stands, by the numbers.
    fn base_of_successor(&self, successor: &MediaPlaylist) -> i64 {
        let old = &self.playlist;
        if let Some(index) = old.index_of(successor.media_sequence) {
            return self.end_of_first(index);
        }
        if let Some(index) = successor.index_of(old.media_sequence) {
            return self.base.saturating_sub(nanos(successor.start_of(index).unwrap_or_default()));
        }
        let missed =
            successor.media_sequence.checked_sub(old.media_sequence.saturating_add(old.len() as u64));
        let Some(missed) = missed else { return self.base };
        let missed =
            i64::try_from(missed).unwrap_or(i64::MAX).saturating_mul(nanos(successor.target_duration));
        self.end().saturating_add(missed)
    }

    /// Where the first segment of another variant's live playlist stands: by the wall clock, or else by the media
    /// sequence numbers, where both lists number alike, or else by a discontinuity that both show, or else so that both
    /// end together.
    fn base_of_sibling(&self, sibling: &MediaPlaylist) -> i64 {
        if let Some(base) = self.base_by_date(sibling).or_else(|| self.base_by_numbers(sibling)) {
            return base;
        }
        let first = self.playlist.discontinuity_sequence_of(0).max(sibling.discontinuity_sequence_of(0));
        let shared = first.and_then(|first| {
            (first..=first.saturating_add(1)).find_map(|number| {
                let own = visible_domain(&self.playlist, number)?.start;
                let other = visible_domain(sibling, number)?.start;
                Some(self.nominal(own)?.saturating_sub(nanos(sibling.start_of(other)?)))
            })
        });
        let by_ends = || self.end().saturating_sub(nanos(sibling.duration()));
        shared.or_else(|| self.base_by_count(sibling)).unwrap_or_else(by_ends)
    }

    /// Where the first segment of another variant's list stands by the wall clock.
    fn base_by_date(&self, sibling: &MediaPlaylist) -> Option<i64> {
        let (own, other) = self.playlist.date_time_of(0).zip(sibling.date_time_of(0))?;
        Some(self.base.saturating_add(difference(other, own)))
    }

    /// Where the first segment of another variant's list stands if it follows soon behind this one by its number: this one
    /// was loaded longer ago than its window lasts.
    fn base_by_count(&self, sibling: &MediaPlaylist) -> Option<i64> {
        let own = &self.playlist;
        let missed =
            sibling.media_sequence.checked_sub(own.media_sequence.saturating_add(own.len() as u64))?;
        let average = nanos(own.duration()) / i64::try_from(own.len().max(1)).ok()?;
        (missed <= MAX_MISSED).then(|| self.end().saturating_add(average.saturating_mul(missed as i64)))
    }

    /// Where the first segment of another variant's list stands if both number alike: where the segments that have the
    /// same numbers are equally long, and the list that was loaded later has moved on by less than its own length.
    ///
    /// The lists of a ladder are rarely loaded at the same moment: brought together by their ends they would be off by
    /// the segments that were added in between.
    fn base_by_numbers(&self, sibling: &MediaPlaylist) -> Option<i64> {
        let own = &self.playlist;
        let first = own.media_sequence.max(sibling.media_sequence);
        let (own_first, other_first) = (own.index_of(first)?, sibling.index_of(first)?);
        let common = (own.len() - own_first).min(sibling.len() - other_first);
        let length = |list: &MediaPlaylist, index: usize| {
            Some(list.start_of(index + 1)?.saturating_sub(list.start_of(index)?))
        };
        let is_alike = |step: usize| {
            let lengths = length(own, own_first + step).zip(length(sibling, other_first + step));
            lengths.is_some_and(|(one, other)| is_same_time(one, other))
        };
        // A single common segment proves little; lists that only begin have no more.
        let is_enough = common >= 2 || (own.len().min(sibling.len()) == 1 && common == 1);
        if !is_enough || !(0..common).all(is_alike) {
            return None;
        }
        let place = self.nominal(own_first)?;
        Some(place.saturating_sub(nanos(sibling.start_of(other_first)?)))
    }
}

/// What a reload is to the list that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReloadKind {
    /// As new or newer.
    Newer,
    /// It ends before the known one: an edge of the network that is behind, or a cache.
    Older,
    /// The encoder has restarted: nothing of it was there before.
    Restart,
}

/// What became of the numbers of segments in a reload, where they say nothing.
enum Renumbered {
    /// The first segment of the successor is this one.
    From(usize),
    /// The encoder has restarted: nothing of the list was there before.
    Restart,
}

/// Whether a list goes on although its numbers say something else: the names of the segments tell.
fn renumbered(old: &MediaPlaylist, successor: &MediaPlaylist) -> Option<Renumbered> {
    let first = successor.name_of(0)?;
    let is_named = |index: usize| old.name_of(index).as_ref() == Some(&first);
    let rises = successor.media_sequence > old.media_sequence;
    let steps_back = successor.index_of(old.media_sequence).and_then(|index| successor.name_of(index));
    let numbers_hold = old.index_of(successor.media_sequence).is_some_and(is_named)
        || steps_back.is_some_and(|name| old.name_of(0) == Some(name));
    if rises || numbers_hold {
        return None;
    }
    if let Some(index) = (0..old.len()).rev().find(|&index| is_named(index)) {
        return Some(Renumbered::From(index));
    }
    let is_new =
        |name: &(&str, Range<u64>)| (0..old.len()).all(|index| old.name_of(index).as_ref() != Some(name));
    let fell = successor.media_sequence.saturating_mul(2) < old.media_sequence;
    let last = successor.name_of(successor.len() - 1)?;
    (fell && is_new(&first) && is_new(&last)).then_some(Renumbered::Restart)
}

/// Whether two playlists number their discontinuity domains from the same beginning. Two complete ones do if their
/// first segments have the same number: packagers put a discontinuity before the first segment of some variants only.
fn count_alike(one: &MediaPlaylist, other: &MediaPlaylist) -> bool {
    !(one.is_complete() && other.is_complete())
        || one.discontinuity_sequence_of(0) == other.discontinuity_sequence_of(0)
}

/// The segments of a discontinuity domain whose very beginning is in the list.
fn visible_domain(playlist: &MediaPlaylist, sequence: u64) -> Option<std::ops::Range<usize>> {
    let domain = playlist.discontinuity_domain(sequence);
    let begins_here = domain.start > 0 || playlist.is_complete() || playlist.begins_with_discontinuity();
    (!domain.is_empty() && begins_here).then_some(domain)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).map_or(LIMIT, |nanos| nanos.min(LIMIT))
}

fn difference(later: SystemTime, earlier: SystemTime) -> i64 {
    match later.duration_since(earlier) {
        Ok(duration) => nanos(duration),
        Err(error) => -nanos(error.duration()),
    }
}

#[cfg(test)]
mod tests;
