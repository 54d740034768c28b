//! Synthetic traces: made anew from a name and a seed, the same ones on every machine.

use super::{Period, Trace, TraceError};

/// The names that [`named`] knows.
pub const NAMES: &[&str] =
    &["cell-3g", "cell-4g", "broadband", "markov", "walk", "outages", "ramps", "high-latency", "constant"];

/// The trace `NAME` or `NAME:NUMBER`. The number is the seed, default 0; for `constant` it is the bandwidth in kbit/s,
/// default 1,000. `None` for an unknown name.
///
/// | name | stands for |
/// |---|---|
/// | `cell-3g` | a moving 3G receiver: samples of 1 s, about 1.2 Mbit/s, fading and tunnels |
/// | `cell-4g` | the same with 4G: about 30 Mbit/s, drops |
/// | `broadband` | a shared line: steps of 5 s, 0.3 to 4 Mbit/s, other users' downloads |
/// | `markov` | a chain of five levels from 100 kbit/s to 3 Mbit/s |
/// | `walk` | a random walk between 50 kbit/s and 4 Mbit/s |
/// | `outages` | 2 Mbit/s that vanishes for 2 to 25 s |
/// | `ramps` | slow rises and falls between 100 kbit/s and 2.5 Mbit/s |
/// | `high-latency` | `walk` with 600 ms to the first byte |
/// | `constant` | no change at all, 50 ms |
///
/// # Errors
/// [`TraceError`] for a constant bandwidth that no session can have.
pub fn named(name: &str) -> Option<Result<Trace, TraceError>> {
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (kind, Some(number.parse::<u64>().ok()?)),
        None => (name, None),
    };
    let mut random = Random::new(kind, number.unwrap_or(0));
    let periods = match kind {
        "cell-3g" => cell_3g(&mut random),
        "cell-4g" => cell_4g(&mut random),
        "broadband" => broadband(&mut random),
        "markov" => markov(&mut random),
        "walk" => walk(&mut random, 50.0),
        "outages" => outages(&mut random),
        "ramps" => ramps(&mut random),
        "high-latency" => walk(&mut random, 600.0),
        "constant" => vec![Period::from_units(60_000.0, number.unwrap_or(1000) as f64, 50.0)],
        _ => return None,
    };
    Some(Trace::new(periods))
}

/// SplitMix64: the traces must never change with a version of a library.
struct Random(u64);

impl Random {
    fn new(kind: &str, seed: u64) -> Self {
        let name = kind.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(name ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// In 0..1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Of mean 0 and variance 1: near enough to normal.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    fn happens(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }
}

/// A value that wanders around 0 and forgets where it was.
struct Wander {
    value: f64,
    keep: f64,
    spread: f64,
}

impl Wander {
    /// `memory` is in steps.
    fn new(random: &mut Random, spread: f64, memory: f64) -> Self {
        Self { value: spread * random.normal(), keep: (-1.0 / memory).exp(), spread }
    }

    fn step(&mut self, random: &mut Random) -> f64 {
        let fresh = (1.0 - self.keep * self.keep).sqrt() * self.spread * random.normal();
        self.value = self.value * self.keep + fresh;
        self.value
    }
}

/// How a mobile link varies.
struct Fading {
    /// Median of the traces' levels, kbit/s, and the spread of its logarithm between traces.
    level: (f64, f64),
    /// Spread and memory in seconds of the slow and of the fast variation.
    slow: (f64, f64),
    fast: (f64, f64),
    /// Seconds between outages and seconds of one, both on average, and the share of the bandwidth that is left.
    outages: (f64, f64, f64),
    latency: f64,
}

fn fading(random: &mut Random, kind: &Fading) -> Vec<Period> {
    let level = kind.level.0 * (kind.level.1 * random.normal()).exp();
    let mut slow = Wander::new(random, kind.slow.0, kind.slow.1);
    let mut fast = Wander::new(random, kind.fast.0, kind.fast.1);
    let mut out = 0.0_f64;
    let mut periods = Vec::new();
    for _ in 0..random.between(400.0, 900.0) as u32 {
        if out <= 0.0 && random.happens(1.0 / kind.outages.0) {
            out = random.exponential(kind.outages.1);
        }
        let mut kbps = level * (slow.step(random) + fast.step(random)).exp();
        if out > 0.0 {
            kbps *= kind.outages.2 * random.unit();
            out -= 1.0;
        }
        periods.push(Period::from_units(1000.0, kbps, kind.latency));
    }
    periods
}

fn cell_3g(random: &mut Random) -> Vec<Period> {
    let kind = Fading {
        level: (1300.0, 0.45),
        slow: (0.40, 60.0),
        fast: (0.35, 3.0),
        outages: (180.0, 20.0, 0.05),
        latency: 100.0,
    };
    fading(random, &kind)
}

fn cell_4g(random: &mut Random) -> Vec<Period> {
    let kind = Fading {
        level: (31_000.0, 0.45),
        slow: (0.30, 60.0),
        fast: (0.30, 3.0),
        outages: (400.0, 20.0, 0.05),
        latency: 50.0,
    };
    fading(random, &kind)
}

fn broadband(random: &mut Random) -> Vec<Period> {
    let level = 1100.0 * (0.4 * random.normal()).exp();
    let mut drift = Wander::new(random, 0.15, 20.0);
    let (mut share, mut left) = (1.0, 0.0);
    let mut periods = Vec::new();
    for _ in 0..100 {
        if left <= 0.0 {
            let busy = random.happens(0.25);
            share = if busy { random.between(0.25, 0.7) } else { 1.0 };
            left = random.exponential(if busy { 20.0 } else { 60.0 });
        }
        left -= 5.0;
        let kbps = level * share * (drift.step(random) + 0.1 * random.normal()).exp();
        periods.push(Period::from_units(5000.0, kbps, 80.0));
    }
    periods
}

fn markov(random: &mut Random) -> Vec<Period> {
    const LEVELS: [f64; 5] = [100.0, 300.0, 700.0, 1500.0, 3000.0];
    let mut at = (random.unit() * 5.0) as usize;
    let mut periods = Vec::new();
    for _ in 0..random.between(150.0, 300.0) as u32 {
        if random.happens(0.25) {
            let up = at == 0 || (at < 4 && random.happens(0.5));
            at = if up { at + 1 } else { at - 1 };
        }
        let kbps = LEVELS[at.min(4)] * (0.2 * random.normal()).exp();
        periods.push(Period::from_units(2000.0, kbps, 80.0));
    }
    periods
}

fn walk(random: &mut Random, latency: f64) -> Vec<Period> {
    let (low, high) = (50_f64.ln(), 4000_f64.ln());
    let mut at = random.between(300_f64.ln(), 2000_f64.ln());
    let mut periods = Vec::new();
    for _ in 0..600 {
        at = (at + 0.13 * random.normal()).clamp(low, high);
        periods.push(Period::from_units(1000.0, at.exp(), latency));
    }
    periods
}

fn outages(random: &mut Random) -> Vec<Period> {
    let mut periods = Vec::new();
    for _ in 0..12 {
        let up = random.between(15.0, 70.0) * 1e3;
        periods.push(Period::from_units(up, 2000.0 * random.between(0.7, 1.3), 60.0));
        periods.push(Period::from_units(random.between(2.0, 25.0) * 1e3, 0.0, 60.0));
    }
    periods
}

fn ramps(random: &mut Random) -> Vec<Period> {
    let (low, high) = (100_f64.ln(), 2500_f64.ln());
    let mut at = random.between(low, high);
    let mut periods = Vec::new();
    for _ in 0..8 {
        let (to, steps) = (random.between(low, high), random.between(20.0, 90.0) as u32);
        for step in 0..steps {
            let kbps = (at + (to - at) * f64::from(step) / f64::from(steps)).exp();
            periods.push(Period::from_units(1000.0, kbps * random.between(0.9, 1.1), 60.0));
        }
        at = to;
    }
    periods
}
