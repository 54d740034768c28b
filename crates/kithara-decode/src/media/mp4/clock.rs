//! The one clock of an MP4 track, by which playback counts and seeks find their place: packets follow each other without
//! a gap, except where a timestamp leaves a hole of more than half a packet.
//!
//! Timestamps alone would not do: many writers round them to milliseconds, or let them drift.

use crate::rescale::{rescale, rescale_signed};

/// Frames of a hole in media whose packets have no fixed length.
const MIN_HOLE: u64 = 480;

/// Positions of the packets of a sample table.
#[derive(Debug)]
pub(super) struct TableClock {
    /// In order: the number of a packet, its position, and frames from there to each next packet.
    runs: Vec<(u32, u64, u64)>,
}

impl TableClock {
    /// The clock of `packets` packets of `frames` frames each, whose stated durations are `durations`.
    pub(super) fn new(
        durations: impl Iterator<Item = (u32, u32)>,
        packets: u32,
        frames: u32,
        units: Units,
    ) -> Self {
        let frames = u64::from(frames.max(1));
        let mut runs = vec![(0, 0, frames)];
        let (mut number, mut position, mut sparse) = (0u32, 0u64, 0u64);
        for (count, duration) in durations {
            let stated = units.frames(duration.into());
            let is_sparse = stated.saturating_sub(frames) > units.tolerance(Some(frames));
            let step = if is_sparse { stated } else { frames };
            if runs.last().is_none_or(|&(_, _, last)| last != step) {
                runs.push((number, position, step));
            }
            sparse += if is_sparse { u64::from(count) } else { 0 };
            number = number.saturating_add(count);
            position = position.saturating_add(u64::from(count).saturating_mul(step));
        }
        // Where most packets leave a hole, the durations are wrong rather than the packets missing.
        if sparse > 1 && sparse > u64::from(packets) / 2 {
            runs = vec![(0, 0, frames)];
        }
        Self { runs }
    }

    /// Position of a packet.
    pub(super) fn position(&self, number: u32) -> u64 {
        let run = self.runs.partition_point(|&(first, ..)| first <= number).saturating_sub(1);
        let Some(&(first, position, step)) = self.runs.get(run) else { return 0 };
        position.saturating_add(u64::from(number - first).saturating_mul(step))
    }

    /// The packet at a position, or the one before the hole that is there.
    pub(super) fn packet_at(&self, frame: u64) -> u32 {
        let run = self.runs.partition_point(|&(_, position, _)| position <= frame).saturating_sub(1);
        let Some(&(first, position, step)) = self.runs.get(run) else { return 0 };
        let ahead = frame.saturating_sub(position) / step.max(1);
        first.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX))
    }
}

/// Units of time, and of frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Units {
    pub(super) rate: u32,
    pub(super) timescale: u32,
}

impl Units {
    pub(super) fn frames(self, ticks: u64) -> u64 {
        rescale(ticks, self.rate, self.timescale)
    }

    pub(super) fn position(self, pts: i64) -> i64 {
        rescale_signed(pts, self.rate, self.timescale)
    }

    pub(super) fn pts(self, frame: u64) -> u64 {
        rescale(frame, self.timescale, self.rate)
    }

    /// Frames by which timestamps may be off without a hole.
    pub(super) fn tolerance(self, frames: Option<u64>) -> u64 {
        frames.map_or(MIN_HOLE, |frames| frames / 2).max(2 * self.tick())
    }

    fn tick(self) -> u64 {
        u64::from(self.rate.div_ceil(self.timescale.max(1)))
    }
}

/// Positions of packets without a table: those of fragments.
#[derive(Debug, Default)]
pub(super) struct FragmentClock {
    /// Position by its timestamp of the last packet, its counted position, and its frames.
    last: Option<(i64, i64, u64)>,
}

impl FragmentClock {
    /// The next packet does not follow the last.
    pub(super) fn reset(&mut self) {
        self.last = None;
    }

    /// A packet of the table before the fragments was placed.
    pub(super) fn follow(&mut self, pts: i64, position: u64, frames: u64, units: Units) {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        self.last = Some((units.position(pts), position, frames));
    }

    /// Position of the next packet of `frames` frames (`fixed`: as all are), and whether a hole is before it.
    pub(super) fn place(&mut self, pts: i64, frames: u64, fixed: Option<u64>, units: Units) -> (i64, bool) {
        let stated = units.position(pts);
        let (position, is_hole) = match self.last {
            None => (snap(stated, fixed, units), false),
            Some((last, counted, len)) => {
                let hole = stated.saturating_sub(last).saturating_sub_unsigned(len);
                let is_hole = u64::try_from(hole).is_ok_and(|hole| hole > units.tolerance(fixed));
                let next = counted.saturating_add_unsigned(len);
                (if is_hole { stated.max(next) } else { next }, is_hole)
            }
        };
        self.last = Some((stated, position, frames));
        (position, is_hole)
    }
}

/// Makes a rounded timestamp exact, where packets of one length follow each other from 0 on.
fn snap(stated: i64, fixed: Option<u64>, units: Units) -> i64 {
    let Some(step) = fixed.and_then(|fixed| i64::try_from(fixed).ok()).filter(|&step| step > 0) else {
        return stated;
    };
    let multiple = stated.saturating_add(step / 2).div_euclid(step).saturating_mul(step);
    if multiple.abs_diff(stated) <= 2 * units.tick() && units.tick() > 1 { multiple } else { stated }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIS: Units = Units { rate: 44_100, timescale: 1000 };

    #[test]
    fn rounded_durations_leave_no_hole() {
        let clock = TableClock::new([(3, 23), (1, 24), (900, 23)].into_iter(), 904, 1024, MILLIS);
        for number in [0, 3, 4, 900] {
            assert_eq!(clock.position(number), u64::from(number) * 1024);
            assert_eq!(clock.packet_at(u64::from(number) * 1024 + 1023), number);
        }
    }

    #[test]
    fn long_duration_is_a_hole() {
        let units = Units { rate: 44_100, timescale: 44_100 };
        let clock = TableClock::new([(10, 1024), (1, 45_124), (10, 1024)].into_iter(), 21, 1024, units);
        assert_eq!((clock.position(10), clock.position(11), clock.position(12)), (10_240, 55_364, 56_388));
        assert_eq!((clock.packet_at(30_000), clock.packet_at(55_364), clock.packet_at(56_400)), (10, 11, 12));
        // Durations that are all wrong.
        let clock = TableClock::new([(20, 4096)].into_iter(), 20, 1024, units);
        assert_eq!((clock.position(19), clock.packet_at(5000)), (19 * 1024, 4));
    }

    #[test]
    fn fragments_keep_their_place_behind_a_hole() {
        let units = Units { rate: 44_100, timescale: 44_100 };
        let mut clock = FragmentClock::default();
        assert_eq!(clock.place(0, 1024, Some(1024), units), (0, false));
        assert_eq!(clock.place(1026, 1024, Some(1024), units), (1024, false));
        assert_eq!(clock.place(45_056, 1024, Some(1024), units), (45_056, true));
        // What goes back is counted on.
        assert_eq!(clock.place(3000, 1024, Some(1024), units), (46_080, false));
        clock.reset();
        assert_eq!(clock.place(i64::MAX, 1024, Some(1024), units), (i64::MAX, false));
        assert_eq!(clock.place(i64::MIN, u64::MAX, Some(1024), units), (i64::MAX, false));
    }
}
