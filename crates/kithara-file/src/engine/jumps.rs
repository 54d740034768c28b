//! [`Jumps`]: a burst of seeks costs few requests.

use std::time::Duration;

use tokio::time::Instant;

/// Jumps that are obeyed at once.
const AT_ONCE: u32 = 2;
/// One more of them is earned in this time.
const EARNED_IN: Duration = Duration::from_millis(500);
/// When they are used up, a place has to be wanted for this long before it is jumped to.
const SETTLED: Duration = Duration::from_millis(50);

/// Decides whether to move the download now, or to see first whether the reader moves on.
#[derive(Debug)]
pub(super) struct Jumps {
    at_once: u32,
    earned: Instant,
    wanted: Option<(u64, Instant)>,
}

impl Jumps {
    pub(super) fn new(now: Instant) -> Self {
        Self { at_once: AT_ONCE, earned: now, wanted: None }
    }

    /// Whether to jump to `offset` now, or when to ask again.
    pub(super) fn allow(&mut self, offset: u64, now: Instant) -> Result<(), Instant> {
        while self.at_once < AT_ONCE && now.duration_since(self.earned) >= EARNED_IN {
            self.at_once += 1;
            self.earned += EARNED_IN;
        }
        if self.at_once > 0 {
            if self.at_once == AT_ONCE {
                self.earned = now;
            }
            self.at_once -= 1;
            return Ok(());
        }
        let since = match self.wanted {
            Some((wanted, since)) if wanted == offset => since,
            _ => self.wanted.insert((offset, now)).1,
        };
        if now >= since + SETTLED { Ok(()) } else { Err(since + SETTLED) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Jumps;

    #[test]
    fn a_burst_costs_two_requests_and_the_last() {
        let start = Instant::now();
        let mut jumps = Jumps::new(start);
        let mut now = start;
        let mut allowed = 0;
        for offset in 0..100 {
            now += Duration::from_millis(3);
            allowed += u32::from(jumps.allow(offset, now).is_ok());
        }
        assert_eq!(allowed, 2);
        let later = jumps.allow(99, now).unwrap_err();
        assert!(later <= now + Duration::from_millis(50));
        assert!(jumps.allow(99, later).is_ok());
    }

    #[test]
    fn unhurried_jumps_are_obeyed_at_once() {
        let mut now = Instant::now();
        let mut jumps = Jumps::new(now);
        for offset in 0..100 {
            assert!(jumps.allow(offset, now).is_ok());
            now += Duration::from_millis(500);
        }
    }
}
