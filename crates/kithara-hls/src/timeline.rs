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

/// A place that lies so little before a segment's end counts as the next segment's beginning: durations in playlists
/// are rounded.
const TOLERANCE: i64 = 20_000_000;

/// Drifts that differ by less are one.
const SAME_DRIFT: i64 = 1_000_000;

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
}

impl SegmentRef {
    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.start.saturating_add(self.duration)
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
        let (base, pins, beginnings) = match self.tracks.remove(&variant) {
            Some(old) => {
                let (base, beginnings) = match renumbered(&old.playlist, &playlist) {
                    Some(Renumbered::Anew) => self.begin_anew(&old, &playlist),
                    Some(Renumbered::From(index)) => (old.end_of_first(index), old.beginnings),
                    None => (old.base_of_successor(&playlist), old.beginnings),
                };
                (base, old.pins, beginnings)
            }
            None if playlist.is_complete() => (0, BTreeMap::new(), 0),
            None => {
                let known = self.tracks.values().next();
                (known.map_or(0, |known| known.base_of_sibling(&playlist)), BTreeMap::new(), 0)
            }
        };
        self.tracks.insert(variant, Track { playlist, base: base.clamp(-LIMIT, LIMIT), pins, beginnings });
    }

    /// Where a list stands that has begun anew, and which beginning that is: beside another variant that has done so
    /// already, else behind everything that is known. Who plays the others has gone on in the meantime.
    fn begin_anew(&self, old: &Track, playlist: &MediaPlaylist) -> (i64, u64) {
        let newest = self.tracks.values().max_by_key(|track| track.beginnings);
        match newest.filter(|track| track.beginnings > old.beginnings) {
            Some(sibling) => (sibling.base_of_sibling(playlist), sibling.beginnings),
            None => {
                let ends = self.tracks.values().map(Track::end);
                (ends.fold(old.end(), i64::max), old.beginnings + 1)
            }
        }
    }

    /// How often who writes a variant's list has begun anew: names then mean other segments than before.
    pub(crate) fn beginnings(&self, variant: usize) -> u64 {
        self.tracks.get(&variant).map_or(0, |track| track.beginnings)
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
        })
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
    /// How often the list has begun anew.
    beginnings: u64,
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

    /// Where the first segment of another variant's live playlist stands: by the wall clock, or else by a
    /// discontinuity that both show, or else so that both end together.
    fn base_of_sibling(&self, sibling: &MediaPlaylist) -> i64 {
        if let (Some(own), Some(other)) = (self.playlist.date_time_of(0), sibling.date_time_of(0)) {
            return self.base.saturating_add(difference(other, own));
        }
        let first = self.playlist.discontinuity_sequence_of(0).max(sibling.discontinuity_sequence_of(0));
        let shared = first.and_then(|first| {
            (first..=first.saturating_add(1)).find_map(|number| {
                let own = visible_domain(&self.playlist, number)?.start;
                let other = visible_domain(sibling, number)?.start;
                Some(self.nominal(own)?.saturating_sub(nanos(sibling.start_of(other)?)))
            })
        });
        shared.unwrap_or_else(|| self.end().saturating_sub(nanos(sibling.duration())))
    }
}

/// What became of the numbers of segments in a reload, where they say nothing.
enum Renumbered {
    /// The first segment of the successor is this one.
    From(usize),
    /// Who writes the list has begun anew: nothing of it was there before.
    Anew,
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
    (fell && is_new(&first) && is_new(&last)).then_some(Renumbered::Anew)
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
