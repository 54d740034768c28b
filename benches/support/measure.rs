//! Times of ours and of the floor, taken in turns, so that both see the same machine.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use kithara_testkit::process;

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub wall: Duration,
    pub cpu: Duration,
}

/// Runs it.
pub fn cost(run: impl FnOnce()) -> Cost {
    let (begun, cpu) = (Instant::now(), process::cpu_time().unwrap_or_default());
    run();
    Cost { wall: begun.elapsed(), cpu: process::cpu_time().unwrap_or_default() - cpu }
}

/// Pairs of figures of ours and of the floor.
#[derive(Debug, Default)]
pub struct Pairs(RefCell<Vec<(f64, f64)>>);

impl Pairs {
    pub fn push(&self, ours: f64, floor: f64) {
        self.0.borrow_mut().push((ours, floor));
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub fn ours(&self) -> f64 {
        self.median(|(ours, _)| ours)
    }

    pub fn floor(&self) -> f64 {
        self.median(|(_, floor)| floor)
    }

    /// The median of the pairs' quotients: what disturbs one pair moves it little.
    pub fn ratio(&self) -> f64 {
        self.median(|(ours, floor)| ours / floor)
    }

    /// The median of the pairs' differences.
    pub fn difference(&self) -> f64 {
        self.median(|(ours, floor)| ours - floor)
    }

    fn median(&self, of: impl Fn((f64, f64)) -> f64) -> f64 {
        let mut values: Vec<f64> = self.0.borrow().iter().copied().map(of).collect();
        values.sort_by(f64::total_cmp);
        match values.len() {
            0 => f64::NAN,
            len => f64::midpoint(values[(len - 1) / 2], values[len / 2]),
        }
    }
}
