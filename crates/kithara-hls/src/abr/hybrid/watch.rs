//! How fast a segment is arriving at this moment.

use crate::abr::view::TransferProgress;

/// The rate is taken over at least this time, and at most over twice as much.
const WINDOW: f64 = 1.086;

/// Less than this tells nothing.
const MIN_WINDOW: f64 = 0.5;

/// A transfer that goes on after nothing came for this long was interrupted: what came before does not count, and the
/// interruption itself not before there is a second one. While nothing comes, the interruption counts.
const GAP: f64 = 0.4;

/// A point of a transfer: seconds since the request, bytes received.
type Mark = (f64, u64);

/// The last seconds of the arriving segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    /// Begin of the last two windows; `None` before the first look.
    windows: Option<(Mark, Mark)>,
    /// Variant, bytes in all and bytes received of what was looked at last, and when that was.
    segment: (usize, u64, u64),
    looked: f64,
    interrupted: bool,
}

impl Watch {
    /// Bits per second over the last second or two; `None` while that is too early to tell.
    pub(super) fn rate(&mut self, transfer: &TransferProgress) -> Option<f64> {
        let first_byte = transfer.first_byte?.as_secs_f64();
        let now: Mark = (transfer.elapsed.as_secs_f64(), transfer.received);
        let (variant, total, received) = self.segment;
        let is_same = (variant, total) == (transfer.variant, transfer.total) && received <= transfer.received;
        if now.0 < self.looked || !is_same {
            *self = Self::default();
        }
        let has_come = received < transfer.received || !is_same;
        self.segment = (transfer.variant, transfer.total, transfer.received);
        let begin = (first_byte, 0);
        let (older, newer) = self.windows.get_or_insert((begin, begin));
        if now.0 - self.looked.max(first_byte) <= GAP {
            self.interrupted = false;
        } else if has_come && !self.interrupted {
            self.interrupted = true;
            (*older, *newer) = (now, now);
        }
        self.looked = now.0;
        if now.0 - newer.0 >= WINDOW {
            *older = std::mem::replace(newer, now);
        }
        let elapsed = now.0 - older.0;
        let bits = now.1.saturating_sub(older.1) as f64 * 8.0;
        (elapsed >= MIN_WINDOW).then(|| bits / elapsed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Looks at a transfer of 1 MB each 0.2 s from 0.6 s on, its first byte at 0.5 s.
    fn rates(watch: &mut Watch, bytes: impl Fn(f64) -> u64, until: f64) -> Vec<Option<f64>> {
        let looks = (1..).map(|look| 0.5 + f64::from(look) * 0.1).take_while(|at| *at <= until);
        let first_byte = Some(Duration::from_millis(500));
        let looks = looks.map(|at| {
            let transfer = TransferProgress::new(1, 1_000_000, Duration::from_secs(6));
            watch.rate(&transfer.with_received(bytes(at), Duration::from_secs_f64(at), first_byte))
        });
        looks.collect()
    }

    #[test]
    fn rate_is_that_of_the_last_second_or_two() {
        // 100 kB per second, and 10 kB per second from 5.5 s on.
        let bytes = |at: f64| (((at - 0.5).min(5.0)) * 1e5 + (at - 5.5).max(0.0) * 1e4) as u64;
        let rates = rates(&mut Watch::default(), bytes, 9.0);
        assert!(rates[..4].iter().all(Option::is_none), "too early: {:?}", &rates[..5]);
        let before = rates[45].unwrap();
        let after = rates.last().unwrap().unwrap();
        assert!((7.9e5..8.1e5).contains(&before) && (7.9e4..8.1e4).contains(&after), "{before} {after}");
    }

    #[test]
    fn another_segment_is_looked_at_from_its_beginning() {
        let mut watch = Watch::default();
        rates(&mut watch, |at| ((at - 0.5) * 1e5) as u64, 3.0);
        let of_next = rates(&mut watch, |at| ((at - 0.5) * 1e4) as u64, 3.0);
        assert!(of_next[..4].iter().all(Option::is_none));
        assert!((7.5e4..8.5e4).contains(&of_next.last().unwrap().unwrap()));
    }

    #[test]
    fn silence_counts_while_it_lasts() {
        let mut watch = Watch::default();
        rates(&mut watch, |at| ((at - 0.5) * 1e5) as u64, 1.5);
        let transfer = TransferProgress::new(1, 1_000_000, Duration::from_secs(6));
        let first_byte = Some(Duration::from_millis(500));
        let silent = transfer.with_received(100_000, Duration::from_secs(8), first_byte);
        assert!(watch.rate(&silent).is_some_and(|rate| rate < 1.2e5));
    }

    #[test]
    fn one_interruption_does_not_count() {
        let mut watch = Watch::default();
        rates(&mut watch, |at| ((at - 0.5) * 1e5) as u64, 3.0);
        let transfer = TransferProgress::new(1, 1_000_000, Duration::from_secs(6));
        let first_byte = Some(Duration::from_millis(500));
        let later = transfer.with_received(260_000, Duration::from_secs(20), first_byte);
        assert_eq!(watch.rate(&later), None);
    }
}
