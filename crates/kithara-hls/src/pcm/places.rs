//! Where segments begin, in frames. Pure.
//!
//! Straight playback counts decoded frames, so a segment's place is the sum of the frames before it. Behind a seek that sum
//! is not known, but mostly it can be computed: segments hold whole packets, and a packet has a fixed number of frames. If
//! every duration of an encode is a multiple of a packet, but for the rounding of its decimals, then the playlist gives
//! the count of packets exactly, however many roundings add up.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use kithara_decode::Expected;

use crate::playlist::MediaPlaylist;

/// Known places that are kept.
const MAX_KNOWN: usize = 512;

/// A packet's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// Frames per second.
    pub(super) rate: u32,
    /// Frames of a packet.
    pub(super) step: u32,
}

/// Packets of AAC and MPEG audio at the usual rates, the most frequent first.
const USUAL: [Grid; 15] = [
    grid(48_000, 1024),
    grid(44_100, 1024),
    grid(44_100, 1152),
    grid(48_000, 1152),
    grid(32_000, 1024),
    grid(24_000, 1024),
    grid(22_050, 1024),
    grid(16_000, 1024),
    grid(88_200, 1024),
    grid(96_000, 1024),
    grid(32_000, 1152),
    grid(24_000, 576),
    grid(22_050, 576),
    grid(16_000, 576),
    grid(48_000, 960),
];

const fn grid(rate: u32, step: u32) -> Grid {
    Grid { rate, step }
}

impl Grid {
    fn packet_nanos(self) -> u64 {
        u64::from(self.step) * 1_000_000_000 / u64::from(self.rate.max(1))
    }

    /// The number of packets in a duration, and how far the duration is from it, in nanoseconds.
    fn packets(self, nanos: u64) -> (u64, u64) {
        let (rate, step) = (u128::from(self.rate.max(1)), u128::from(self.step.max(1)) * 1_000_000_000);
        let packets = (u128::from(nanos) * rate + step / 2) / step;
        let exact = packets * step / rate;
        let off = exact.abs_diff(u128::from(nanos));
        (u64::try_from(packets).unwrap_or(u64::MAX), u64::try_from(off).unwrap_or(u64::MAX))
    }
}

/// A segment whose place is known.
#[derive(Debug, Clone, Copy)]
struct Known {
    variant: usize,
    frame: i64,
    rate: u32,
}

/// The places learned so far, by the segments' positions on the timeline.
#[derive(Debug, Default)]
pub(super) struct Places {
    known: BTreeMap<Duration, Known>,
}

impl Places {
    /// The first packet of the segment at `start` lies at `frame`, at `rate`.
    pub(super) fn learn(&mut self, start: Duration, variant: usize, frame: i64, rate: u32) {
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(&start) {
            // The one nearest to the first says least: the first place reaches as far.
            let second = self.known.keys().nth(1).copied();
            second.map(|second| self.known.remove(&second));
        }
        self.known.insert(start, Known { variant, frame, rate });
    }

    /// Where the first packet of segment `index` of `list` is expected, whose place on the timeline is `start`. `packets`
    /// are those of the encodes decoded so far.
    pub(super) fn expect(
        &self,
        list: &MediaPlaylist,
        index: usize,
        variant: usize,
        start: Duration,
        packets: &[Grid],
    ) -> Option<Expected> {
        let first = start.checked_sub(list.start_of(index)?)?;
        let index_of = |at: Duration| {
            let at = at.checked_sub(first)? + SAME;
            let found = list.index_at(at)?;
            (list.start_of(found)?.abs_diff(at) <= 2 * SAME).then_some(found)
        };
        let usable = |(at, known): (&Duration, &Known)| {
            let is_own = known.variant == variant || at.is_zero();
            is_own.then(|| index_of(*at)).flatten().map(|from| (from, *known))
        };
        let before = self.known.range(..=start).rev().find_map(usable);
        let after = || self.known.range(start..).find_map(usable);
        let (from, place, is_known) = match before.or_else(after) {
            Some((from, known)) => (from, (known.frame, known.rate), true),
            None if list.is_complete() && first.is_zero() => {
                (0, (0, packets.first().map_or(48_000, |grid| grid.rate)), true)
            }
            None => (index, (frames(start, 48_000), 48_000), false),
        };
        let ((frame, rate), is_exact) = advance(list, from, index, place, packets);
        Some(Expected::new(frame, rate, is_exact && is_known))
    }
}

/// Playlist positions that are no further apart belong to one segment.
const SAME: Duration = Duration::from_millis(1);

/// The place of segment `to` from that of segment `from`, and whether it is exact.
fn advance(
    list: &MediaPlaylist,
    from: usize,
    to: usize,
    place: (i64, u32),
    packets: &[Grid],
) -> ((i64, u32), bool) {
    let (mut frame, mut rate) = place;
    let (range, sign) = if from <= to { (from..to, 1) } else { (to..from, -1) };
    let resolution = list.duration_resolution();
    let mut is_exact = true;
    let mut at = range.start;
    while at < range.end {
        let encode = list.encode_of(at);
        let end = encode.end.min(range.end).max(at + 1);
        match grid_of(list, encode, resolution, packets) {
            Some(grid) => {
                let count: u64 = (at..end).map(|index| grid.packets(nanos_of(list, index)).0).sum();
                frame = rescale(frame, grid.rate, rate);
                rate = grid.rate;
                let frames = i64::try_from(count.saturating_mul(grid.step.into())).unwrap_or(i64::MAX);
                frame = frame.saturating_add(frames.saturating_mul(sign));
            }
            None => {
                is_exact = false;
                let nanos: u64 = (at..end).map(|index| nanos_of(list, index)).sum();
                frame = frame.saturating_add(frames(Duration::from_nanos(nanos), rate).saturating_mul(sign));
            }
        }
        at = end;
    }
    ((frame, rate), is_exact)
}

/// The packets of which all segments of an encode are made, if the durations tell.
fn grid_of(list: &MediaPlaylist, encode: Range<usize>, resolution: u64, packets: &[Grid]) -> Option<Grid> {
    let fits = |grid: &Grid| {
        // Coarser decimals would fit to anything.
        resolution.saturating_mul(8) <= grid.packet_nanos()
            && encode.clone().all(|index| {
                let (count, off) = grid.packets(nanos_of(list, index));
                count > 0 && off <= resolution
            })
    };
    let worst = |grid: &Grid| {
        encode.clone().map(|index| grid.packets(nanos_of(list, index)).1).max().unwrap_or(u64::MAX)
    };
    let best =
        |grids: &[Grid]| grids.iter().filter(|grid| fits(grid)).min_by_key(|grid| worst(grid)).copied();
    best(packets).or_else(|| best(&USUAL))
}

fn nanos_of(list: &MediaPlaylist, index: usize) -> u64 {
    let ends = list.start_of(index).zip(list.start_of(index + 1));
    let nanos = ends.map_or(0, |(start, end)| end.saturating_sub(start).as_nanos());
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

fn frames(duration: Duration, rate: u32) -> i64 {
    let frames = (duration.as_nanos() * u128::from(rate) + 500_000_000) / 1_000_000_000;
    i64::try_from(frames).unwrap_or(i64::MAX)
}

/// Rounds as the decoder does where the rate changes.
fn rescale(frame: i64, to: u32, from: u32) -> i64 {
    let from = i128::from(from.max(1));
    let scaled = (i128::from(frame) * i128::from(to) + from / 2).div_euclid(from);
    i64::try_from(scaled).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::playlist::{Playlist, parse};

    const AAC: Grid = grid(48_000, 1024);

    /// A list of `(packets, grid)` segments with durations of so many decimals; `None` is a discontinuity.
    fn list(decimals: usize, segments: &[Option<(u64, Grid)>]) -> MediaPlaylist {
        let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-PLAYLIST-TYPE:VOD\n".to_owned();
        for segment in segments {
            match segment {
                Some((packets, grid)) => {
                    let seconds = (packets * u64::from(grid.step)) as f64 / f64::from(grid.rate);
                    write!(text, "#EXTINF:{seconds:.decimals$},\na.ts\n").unwrap();
                }
                None => text.push_str("#EXT-X-DISCONTINUITY\n"),
            }
        }
        let base = url::Url::parse("https://example.com/a.m3u8").unwrap();
        match parse(text.as_bytes(), &base).unwrap() {
            Playlist::Media(media) => media,
            Playlist::Master(_) => panic!("not a media playlist"),
        }
    }

    fn expect(list: &MediaPlaylist, places: &Places, index: usize) -> Expected {
        let start = list.start_of(index).unwrap();
        places.expect(list, index, 0, start, &[AAC]).unwrap()
    }

    #[test]
    fn packets_are_counted_however_many_roundings_add_up() {
        let segments: Vec<_> = (0..600).map(|n| Some((187 + n % 2, AAC))).collect();
        for decimals in [3, 4, 5, 6, 9] {
            let list = list(decimals, &segments);
            let mut packets = 0;
            for (index, segment) in segments.iter().enumerate() {
                let right = Expected::new(packets * 1024, 48_000, true);
                assert_eq!(expect(&list, &Places::default(), index), right, "{decimals} decimals, {index}");
                packets += segment.unwrap().0 as i64;
            }
        }
    }

    #[test]
    fn coarse_durations_and_those_of_a_video_are_rough() {
        let audio = [Some((188, AAC)); 10];
        for decimals in [0, 1, 2] {
            assert!(!expect(&list(decimals, &audio), &Places::default(), 5).is_exact, "{decimals} decimals");
        }
        let video = [Some((100, grid(30_000, 1001))); 10];
        assert!(!expect(&list(6, &video), &Places::default(), 5).is_exact);
    }

    #[test]
    fn another_rate_behind_a_discontinuity_is_found_from_its_durations() {
        let other = grid(44_100, 1024);
        let mut segments = vec![Some((188, AAC)); 3];
        segments.extend([None, Some((174, other)), Some((172, other)), None]);
        segments.extend([Some((187, AAC)); 3]);
        let list = list(6, &segments);
        let after_first = 3 * 188 * 1024;
        assert_eq!(expect(&list, &Places::default(), 3), Expected::new(after_first, 48_000, true));
        let in_other = rescale(after_first, 44_100, 48_000) + 174 * 1024;
        assert_eq!(expect(&list, &Places::default(), 4), Expected::new(in_other, 44_100, true));
        let behind = rescale(in_other + 172 * 1024, 48_000, 44_100) + 187 * 1024;
        assert_eq!(expect(&list, &Places::default(), 6), Expected::new(behind, 48_000, true));
    }

    #[test]
    fn the_nearest_known_place_counts() {
        let list = list(6, &[Some((188, AAC)); 6]);
        let mut places = Places::default();
        // An encoder delay of 1,105 frames is hidden.
        places.learn(Duration::ZERO, 0, -1105, 48_000);
        assert_eq!(expect(&list, &places, 2), Expected::new(2 * 188 * 1024 - 1105, 48_000, true));
        places.learn(list.start_of(3).unwrap(), 0, 700_000, 48_000);
        assert_eq!(expect(&list, &places, 4), Expected::new(700_000 + 188 * 1024, 48_000, true));
        assert_eq!(expect(&list, &places, 1), Expected::new(188 * 1024 - 1105, 48_000, true));
        // Of a live list that has lost its beginning, from the one place that is known.
        let mut places = Places::default();
        places.learn(list.start_of(3).unwrap(), 0, 700_000, 48_000);
        assert_eq!(expect(&list, &places, 1), Expected::new(700_000 - 2 * 188 * 1024, 48_000, true));
    }
}
