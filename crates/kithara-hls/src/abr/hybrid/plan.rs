//! The expected worth of choices, by dynamic programming over buffer levels, variants and states of the network.

use crate::abr::rate::RateEstimate;
use crate::abr::view::{PlanView, TransferProgress};

/// Segments that a plan covers.
pub(crate) const HORIZON: usize = 6;

/// Buffer levels for which the worth is kept; between them it is interpolated.
const LEVELS: usize = 13;

/// More buffered seconds than this are worth no more.
const DEEPEST: f64 = 60.0;

/// The most candidates that are weighed; of more, the lowest.
const MAX_CANDIDATES: usize = 16;

/// States of the network: a near-outage, and five shares of the distribution of rates.
const STATES: usize = 6;

/// Chance of each state.
const CHANCES: [f64; STATES] = {
    let rest = (1.0 - OUTAGE_CHANCE) / 0.97;
    [OUTAGE_CHANCE, 0.13 * rest, 0.22 * rest, 0.25 * rest, 0.22 * rest, 0.15 * rest]
};

/// Where the five shares lie, in spreads from the median of the logarithm.
const SHARES: [f64; STATES - 1] = [-1.4, -0.6, 0.05, 0.7, 1.5];

const OUTAGE_CHANCE: f64 = 0.03;

/// Rate in a near-outage, as a share of the median, and as a share of the lowest variant's bandwidth if that is more.
const OUTAGE_RATE: (f64, f64) = (0.024, 0.5);

/// Chance that the network's state stays for another segment; otherwise all states are possible again.
const PERSISTENCE: f64 = 0.601;

/// Share of the measured spread that is planned with.
const SPREAD_SHARE: f64 = 0.979;

/// The least and the most spread that is planned with. A rate that has just jumped was mispredicted by far, and will not
/// therefore jump again.
const SPREADS: (f64, f64) = (0.118, 0.6);

/// Cost of a second without audio, of an interruption whatever its length, and of a change of bitrate, in units of the
/// top bitrate, of the top bitrate, and of the change.
const STALL_COST: f64 = 1.6;
const EVENT_COST: f64 = 0.602;
const CHANGE_COST: f64 = 0.9;

/// A switch up goes no higher than what a rate of so many spreads above the median carries: on a steady link a variant
/// that does not fit would be left again as soon as the buffer is spent.
const REACH: f64 = 2.0;

/// A segment that would stall is given up after about this many seconds, in the plan.
const ABANDON_AFTER: f64 = 0.5;

/// The least that a segment on the way is assumed to get from now on, as a share of the median.
const ABANDON_FLOOR: f64 = 0.074;

/// Going on is worth so much less than its figures say, in top bitrates: the rate of a second may still be falling.
const ABANDON_BIAS: f64 = 0.255;

/// A segment is given up only if its rest takes so many times longer than the buffer lasts, divided by this.
const ABANDON_MARGIN: f64 = 1.251;

/// Worth of a buffered second when a segment is given up, in segments of the top bitrate.
const ABANDON_BUFFER_WORTH: f64 = 0.522;

/// Computes plans. Holds its tables between decisions, so that a decision allocates only when the ladder grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Planner {
    /// Worth of what follows, by state, candidate fetched last, and buffer level.
    worth: Vec<f64>,
    /// The same for one segment more, by state and candidate fetched, before the choice.
    gain: Vec<f64>,
    /// `gain` over all states by their chances.
    mean: Vec<f64>,
}

/// What does not change within a plan. Bitrates are Mbit/s, times seconds of wall-clock time.
struct Terms {
    candidates: usize,
    bitrates: [f64; MAX_CANDIDATES],
    top: f64,
    segment: f64,
    /// Distance of two buffer levels.
    step: f64,
    latency: f64,
    /// Seconds per bit in each state.
    pace: [f64; STATES],
}

impl Terms {
    fn new(view: &PlanView<'_>, rate: &RateEstimate) -> Self {
        let count = view.candidates.len().min(MAX_CANDIDATES);
        let reach = rate.median * (REACH * rate.spread).exp();
        let highest = (1..count).take_while(|candidate| view.bandwidth(*candidate) <= reach).last();
        let candidates = highest.unwrap_or(0).max(view.current.unwrap_or(0)).min(count - 1) + 1;
        let segment = view.segment.as_secs_f64() / view.speed;
        // A request goes out when there is room for its segment.
        let fullest = (view.capacity.as_secs_f64().min(DEEPEST) / view.speed - segment).max(segment);
        let spread = (rate.spread * SPREAD_SHARE).clamp(SPREADS.0, SPREADS.1);
        let outage = (rate.median * OUTAGE_RATE.0).max(view.bandwidth(0) * OUTAGE_RATE.1);
        let rates: [f64; STATES] = std::array::from_fn(|state| match state.checked_sub(1) {
            None => outage.min(rate.median),
            Some(share) => rate.median * (spread * SHARES[share]).exp(),
        });
        let mut bitrates = [0.0; MAX_CANDIDATES];
        for (candidate, bitrate) in bitrates.iter_mut().enumerate().take(candidates) {
            *bitrate = view.bandwidth(candidate) / 1e6;
        }
        let top = view.bandwidth(count - 1) / 1e6;
        Self {
            candidates,
            bitrates,
            top,
            segment,
            step: fullest / (LEVELS - 1) as f64,
            latency: rate.latency.as_secs_f64(),
            pace: rates.map(|rate| 1.0 / rate.max(1.0)),
        }
    }

    /// What a fetch of `seconds` at `level` leaves: the worth of the buffer after it, less the time without audio.
    fn after(&self, worth: &[f64], level: f64, seconds: f64) -> f64 {
        let left = (level - seconds).max(0.0) + self.segment;
        let place = (left / self.step).min((LEVELS - 1) as f64);
        let below = (place as usize).min(LEVELS - 2);
        let share = place - below as f64;
        let worth = worth[below] * (1.0 - share) + worth[below + 1] * share;
        if seconds > level { worth - self.top * (STALL_COST * (seconds - level) + EVENT_COST) } else { worth }
    }

    /// The same for a fetch of `candidate`, which is given up for the lowest one if that is better. `worth` is of one
    /// state of the network, `bits` are those of the candidate and of the lowest.
    fn fetch(&self, worth: &[f64], state: usize, candidate: usize, level: f64, bits: (f64, f64)) -> f64 {
        let seconds = self.latency + bits.0 * self.pace[state];
        let complete = self.after(&worth[candidate * LEVELS..][..LEVELS], level, seconds);
        if candidate == 0 || seconds <= level {
            return complete;
        }
        let instead = ABANDON_AFTER + self.latency + bits.1 * self.pace[state];
        let lost = self.bitrates[candidate] - self.bitrates[0] + self.change(candidate, 0);
        complete.max(self.after(&worth[..LEVELS], level, instead) - lost)
    }

    fn change(&self, from: usize, to: usize) -> f64 {
        CHANGE_COST * (self.bitrates[to] - self.bitrates[from]).abs()
    }
}

impl Planner {
    /// The candidate with the best expected worth.
    pub(super) fn best(&mut self, view: &PlanView<'_>, rate: &RateEstimate) -> usize {
        let terms = Terms::new(view, rate);
        let horizon = view.remaining.unwrap_or(HORIZON).clamp(1, HORIZON);
        let row = terms.candidates * LEVELS;
        // Behind the horizon a buffer is worth nothing: the plan is long enough to need it before.
        self.worth.clear();
        self.worth.resize(STATES * row, 0.0);
        self.gain.resize(STATES * row, 0.0);
        self.mean.resize(row, 0.0);
        for ahead in (1..horizon).rev() {
            self.fetch_all(view, &terms, ahead);
            self.choose_all(&terms);
        }
        let buffered = view.buffered.as_secs_f64() / view.speed;
        let worth_of = |candidate: usize| {
            let change =
                view.current.map_or(0.0, |from| terms.change(from.min(terms.candidates - 1), candidate));
            let bits = (view.bits(0, candidate), view.bits(0, 0));
            let expected = (0..STATES).map(|state| {
                let worth = &self.worth[state * row..][..row];
                CHANCES[state] * terms.fetch(worth, state, candidate, buffered, bits)
            });
            terms.bitrates[candidate] - change + expected.sum::<f64>()
        };
        let current = view.current.unwrap_or(0).min(terms.candidates - 1);
        let start = (current, worth_of(current));
        let others = (0..terms.candidates).filter(|candidate| *candidate != current);
        let worths = others.map(|candidate| (candidate, worth_of(candidate)));
        worths.fold(start, |best, next| if next.1 > best.1 { next } else { best }).0
    }

    /// Fills `gain` and `mean` for the segment `ahead`.
    fn fetch_all(&mut self, view: &PlanView<'_>, terms: &Terms, ahead: usize) {
        let row = terms.candidates * LEVELS;
        let lowest = view.bits(ahead, 0);
        self.mean.fill(0.0);
        #[allow(clippy::needless_range_loop)]
        for state in 0..STATES {
            let worth = &self.worth[state * row..][..row];
            let gain = &mut self.gain[state * row..][..row];
            for candidate in 0..terms.candidates {
                let bits = (view.bits(ahead, candidate), lowest);
                for level in 0..LEVELS {
                    let at = candidate * LEVELS + level;
                    gain[at] = terms.fetch(worth, state, candidate, level as f64 * terms.step, bits);
                    self.mean[at] += CHANCES[state] * gain[at];
                }
            }
        }
    }

    /// Replaces `worth` by that of one segment more, chosen in the best way.
    fn choose_all(&mut self, terms: &Terms) {
        let row = terms.candidates * LEVELS;
        #[allow(clippy::needless_range_loop)]
        for state in 0..STATES {
            for from in 0..terms.candidates {
                let worth = &mut self.worth[state * row + from * LEVELS..][..LEVELS];
                worth.fill(f64::NEG_INFINITY);
                for to in 0..terms.candidates {
                    let reward = terms.bitrates[to] - terms.change(from, to);
                    let gain = &self.gain[state * row + to * LEVELS..][..LEVELS];
                    let mean = &self.mean[to * LEVELS..][..LEVELS];
                    for ((worth, gain), mean) in worth.iter_mut().zip(gain).zip(mean) {
                        *worth = worth.max(reward + PERSISTENCE * gain + (1.0 - PERSISTENCE) * mean);
                    }
                }
            }
        }
    }

    /// The variant for which an arriving segment is given up, if that is worth it at `rate` bits per second.
    pub(super) fn instead_of(
        &self,
        view: &PlanView<'_>,
        transfer: &TransferProgress,
        rate: f64,
    ) -> Option<usize> {
        let current = view.at_or_below(transfer.variant);
        let floor = view.rate.map_or(1.0, |rate| rate.median * ABANDON_FLOOR);
        let rate = rate.max(floor).max(1.0);
        let buffered = view.buffered.as_secs_f64() / view.speed;
        let rest = transfer.bits_left() / rate;
        if current == 0 || rest * ABANDON_MARGIN <= buffered {
            return None;
        }
        let bitrate = |candidate: usize| view.bandwidth(candidate) / 1e6;
        let top = bitrate(view.candidates.len() - 1);
        let buffer_worth = ABANDON_BUFFER_WORTH * top / view.segment.as_secs_f64();
        let worth = |seconds: f64| match seconds - buffered {
            late if late > 0.0 => -top * STALL_COST * late,
            early => buffer_worth * -early,
        };
        let latency = transfer.first_byte.unwrap_or_default().as_secs_f64();
        let mut best = (bitrate(current) + worth(rest) - ABANDON_BIAS * top, None);
        for lower in 0..current {
            let bits = transfer.total as f64 * 8.0 * view.bandwidth(lower) / view.bandwidth(current);
            let lost = CHANGE_COST * (bitrate(current) - bitrate(lower));
            let value = bitrate(lower) - lost + worth(latency + bits / rate);
            if value > best.0 {
                best = (value, Some(view.candidates[lower].variant));
            }
        }
        best.1
    }
}
