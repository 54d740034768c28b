use crate::sync::{AtomicUsize, Ordering};

/// A number of units (bytes or buffers) that the shards of a pool share.
///
/// A shard takes an advance of `granule` units more than it needs, and spends it under its own lock; so threads meet here
/// only when an advance is used up or has grown too large.
#[derive(Debug)]
pub(crate) struct Limit {
    left: AtomicUsize,
    granule: usize,
}

impl Limit {
    pub(crate) fn new(units: usize, shards: usize) -> Self {
        Self { left: AtomicUsize::new(units), granule: units / (4 * shards.max(1)) }
    }

    /// Takes `need` units out of `advance`, and tops that up from what is left. False, and nothing taken, if there are
    /// too few.
    pub(crate) fn draw(&self, advance: &mut usize, need: usize) -> bool {
        if *advance < need && !self.top_up(advance, need - *advance) {
            return false;
        }
        *advance -= need;
        true
    }

    fn top_up(&self, advance: &mut usize, missing: usize) -> bool {
        let mut left = self.left.load(Ordering::Relaxed);
        loop {
            if left < missing {
                return false;
            }
            let take = missing.saturating_add(self.granule).min(left);
            match self.left.compare_exchange_weak(left, left - take, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    *advance += take;
                    return true;
                }
                Err(now) => left = now,
            }
        }
    }

    /// Returns `units` that were drawn before, and gives back what exceeds twice the granule.
    pub(crate) fn give_back(&self, advance: &mut usize, units: usize) {
        *advance += units;
        let keep = self.granule * 2;
        if *advance > keep {
            self.left.fetch_add(*advance - keep, Ordering::Relaxed);
            *advance = keep;
        }
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}
