use crate::sync::{AtomicUsize, Ordering};

/// A number of units (bytes or buffers) that the shards of a pool share.
///
/// A shard takes an advance, some units more than it needs, and spends it under its own lock; so threads meet here only when
/// an advance is used up or has grown too large.
#[derive(Debug)]
pub(crate) struct Limit {
    left: AtomicUsize,
    granule: usize,
}

/// Units that one shard has in hand.
#[derive(Debug)]
pub(crate) struct Advance {
    units: usize,
    /// The most that it holds on to: at least one unit, so that taking and returning in turn stays in the shard.
    keep: usize,
}

impl Limit {
    pub(crate) fn new(units: usize, shards: usize) -> Self {
        Self { left: AtomicUsize::new(units), granule: units / (4 * shards.max(1)) }
    }

    /// Nothing yet.
    pub(crate) fn advance(&self) -> Advance {
        Advance { units: 0, keep: (2 * self.granule).max(1) }
    }

    #[cold]
    fn top_up(&self, advance: &mut Advance, need: usize) -> bool {
        let missing = need - advance.units;
        let mut left = self.left.load(Ordering::Relaxed);
        loop {
            if left < missing {
                return false;
            }
            let take = missing.saturating_add(self.granule).min(left);
            match self.left.compare_exchange_weak(left, left - take, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    advance.units += take;
                    return true;
                }
                Err(now) => left = now,
            }
        }
    }

    #[cold]
    fn take_back(&self, advance: &mut Advance) {
        self.left.fetch_add(advance.units - advance.keep, Ordering::Relaxed);
        advance.units = advance.keep;
    }
}

impl Advance {
    /// Takes `need` units, from `limit` what is missing. False, and nothing taken, if there are too few.
    #[inline]
    pub(crate) fn draw(&mut self, limit: &Limit, need: usize) -> bool {
        if self.units < need && !limit.top_up(self, need) {
            return false;
        }
        self.units -= need;
        true
    }

    /// Puts back `units` that were drawn before, and gives `limit` what is too much.
    #[inline]
    pub(crate) fn give_back(&mut self, limit: &Limit, units: usize) {
        self.units += units;
        if self.units > self.keep {
            limit.take_back(self);
        }
    }
}
