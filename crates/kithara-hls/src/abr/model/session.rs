//! The session itself.

use std::collections::VecDeque;
use std::time::Duration;

use super::outcome::Sums;
use super::{Link, Outcome, Segments, Trace};
use crate::abr::view::{AbrPolicy, Candidate, Choice, Finished, PlanView, TransferProgress};
use crate::abr::{RateEstimator, RateSample};

/// An arriving segment is looked at after this many bits and seconds at least.
const PROGRESS: (f64, f64) = (12_000.0, 0.05);

/// The conditions of a session.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The network.
    pub trace: &'a Trace,
    /// The presentation.
    pub segments: &'a Segments,
    /// The most audio that may be buffered, in seconds.
    pub max_buffer: f64,
}

/// Plays all segments with this policy.
#[must_use]
pub fn play(setup: &Setup<'_>, policy: &mut dyn AbrPolicy) -> Outcome {
    let mut session = Session::new(setup);
    session.start();
    while session.next < setup.segments.count() {
        session.step(policy);
    }
    session.deplete(session.level());
    session.sums.finish(setup.segments.seconds(), setup.segments.ladder())
}

struct Session<'a> {
    setup: &'a Setup<'a>,
    link: Link<'a>,
    candidates: Vec<Candidate>,
    estimator: RateEstimator,
    /// Variants of the segments that are buffered.
    buffer: VecDeque<usize>,
    /// Seconds of the first one that were played.
    consumed: f64,
    next: usize,
    /// Variant that was fetched last.
    current: usize,
    /// Sizes of the segments ahead, in bits.
    sizes: Vec<u64>,
    sums: Sums,
}

impl<'a> Session<'a> {
    fn new(setup: &'a Setup<'a>) -> Self {
        let ladder = setup.segments.ladder().iter().enumerate();
        Self {
            setup,
            link: Link::new(setup.trace),
            candidates: ladder
                .map(|(variant, bits)| Candidate { variant, bandwidth: *bits as u64 })
                .collect(),
            estimator: RateEstimator::new(),
            buffer: VecDeque::new(),
            consumed: 0.0,
            next: 0,
            current: 0,
            sizes: Vec::new(),
            sums: Sums::default(),
        }
    }

    fn level(&self) -> f64 {
        self.setup.segments.seconds() * self.buffer.len() as f64 - self.consumed
    }

    fn view(&self, level: f64) -> PlanView<'_> {
        PlanView {
            candidates: &self.candidates,
            current: Some(self.current),
            buffered: seconds(level),
            capacity: seconds(self.setup.max_buffer),
            segment: seconds(self.setup.segments.seconds()),
            index: self.next,
            remaining: Some(self.setup.segments.count() - self.next),
            rate: self.estimator.estimate(),
            sizes: &self.sizes,
            speed: 1.0,
        }
    }

    /// Audio is heard for so long.
    fn deplete(&mut self, mut time: f64) {
        let segment = self.setup.segments.seconds();
        if self.buffer.is_empty() {
            self.sums.wait(time, false);
            return;
        }
        if self.consumed > 0.0 {
            if time + self.consumed < segment {
                self.consumed += time;
                self.sums.now += time;
                return;
            }
            time -= segment - self.consumed;
            self.sums.now += segment - self.consumed;
            self.buffer.pop_front();
            self.consumed = 0.0;
        }
        while time > 0.0
            && let Some(variant) = self.buffer.front().copied()
        {
            self.sums.play(variant, self.setup.segments.ladder());
            if time >= segment {
                self.buffer.pop_front();
                self.sums.now += segment;
                time -= segment;
            } else {
                self.consumed = time;
                self.sums.now += time;
                time = 0.0;
            }
        }
        if time > 0.0 {
            self.sums.wait(time, true);
        }
    }

    fn note(&mut self) {
        let level = self.level();
        self.sums.outcome.buffer.push((self.sums.now, level));
    }

    /// The first segment, of the lowest variant: nothing is known yet.
    fn start(&mut self) {
        let bits = self.setup.segments.bits(0, 0);
        let first_byte = self.link.first_byte();
        let (_, elapsed) = self.link.receive(bits, bits, 0.0);
        self.record(bits, elapsed, first_byte);
        self.buffer.push_back(0);
        self.next = 1;
        self.sums.now += first_byte + elapsed;
        self.sums.outcome.startup_s = self.sums.now;
        self.note();
    }

    fn record(&mut self, bits: f64, elapsed: f64, first_byte: f64) {
        let sample = RateSample::new(bits, seconds(elapsed))
            .with_first_byte(seconds(first_byte))
            .with_audio(seconds(self.setup.segments.seconds()));
        self.estimator.add(sample);
    }

    /// Decides, fetches one segment, and plays meanwhile.
    fn step(&mut self, policy: &mut dyn AbrPolicy) {
        let surplus = self.level() + self.setup.segments.seconds() - self.setup.max_buffer;
        if surplus > 0.0 {
            self.rest(surplus);
            policy.idled(seconds(surplus));
        }
        self.look_ahead();
        let choice = policy.choose(&self.view(self.level()));
        if let Choice::Switch(variant, _) = choice {
            self.current = variant.min(self.candidates.len() - 1);
        }
        let estimate = self.estimator.estimate().map_or(0.0, |estimate| estimate.throughput);
        self.sums.outcome.estimates.push((self.sums.now, estimate));
        let pause = policy.pause().as_secs_f64();
        if pause > 0.0 {
            self.rest(pause);
        }
        self.fetch(policy);
    }

    fn rest(&mut self, time: f64) {
        self.deplete(time);
        self.link.idle(time);
        self.note();
    }

    /// Tells the sizes of the next segments.
    fn look_ahead(&mut self) {
        let segments = self.setup.segments;
        let last = segments.count().min(self.next + crate::abr::HORIZON);
        self.sizes.clear();
        for segment in self.next..last {
            self.sizes
                .extend((0..segments.ladder().len()).map(|variant| segments.bits(segment, variant) as u64));
        }
    }

    fn fetch(&mut self, policy: &mut dyn AbrPolicy) {
        let (variant, level) = (self.current, self.level());
        let size = self.setup.segments.bits(self.next, variant);
        let bytes = |bits: f64| (bits / 8.0).round() as u64;
        let first_byte = self.link.first_byte();
        let (mut elapsed, mut received, mut abandoned_for) = (first_byte, 0.0, None);
        let mut least = PROGRESS.1 - first_byte;
        while received < size && abandoned_for.is_none() {
            let (bits, time) = self.link.receive(size - received, PROGRESS.0, least);
            elapsed += time;
            received += bits;
            least = PROGRESS.1;
            // Rounding must not leave a rest that never comes.
            if size - received < 1e-6 {
                received = size;
            } else {
                let duration = seconds(self.setup.segments.seconds());
                let transfer = TransferProgress::new(variant, bytes(size), duration).with_received(
                    bytes(received),
                    seconds(elapsed),
                    Some(seconds(first_byte)),
                );
                abandoned_for = policy.abandon(&self.view((level - elapsed).max(0.0)), &transfer);
            }
        }
        self.deplete(elapsed);
        if abandoned_for.is_none() {
            self.buffer.push_back(variant);
            self.next += 1;
        }
        self.note();
        policy.finished(&self.view(self.level()), Finished::new(variant, seconds(elapsed), abandoned_for));
        if abandoned_for.is_none() {
            self.record(size, elapsed - first_byte, first_byte);
        }
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
