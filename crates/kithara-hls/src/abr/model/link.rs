//! A link whose bandwidth follows a trace.

use super::Trace;

/// A place in a trace. All times are seconds, all sizes bits.
#[derive(Debug, Clone)]
pub struct Link<'t> {
    trace: &'t Trace,
    index: usize,
    /// Left of the current period.
    left: f64,
}

impl<'t> Link<'t> {
    /// The link at the beginning of its trace.
    #[must_use]
    pub fn new(trace: &'t Trace) -> Self {
        let left = trace.periods().first().map_or(0.0, |period| period.seconds);
        Self { trace, index: 0, left }
    }

    fn next_period(&mut self) {
        self.index = (self.index + 1) % self.trace.periods().len();
        self.left = self.trace.periods()[self.index].seconds;
    }

    fn bandwidth(&self) -> f64 {
        self.trace.periods()[self.index].bandwidth
    }

    /// Time passes without a transfer.
    pub fn idle(&mut self, mut seconds: f64) {
        while seconds > self.left {
            seconds -= self.left;
            self.next_period();
        }
        self.left -= seconds;
    }

    /// Time from a request to its first byte. A wait that reaches into other periods goes on at their latency.
    pub fn first_byte(&mut self) -> f64 {
        let (mut waited, mut share) = (0.0, 1.0);
        loop {
            let latency = self.trace.periods()[self.index].latency;
            let wait = share * latency;
            if wait <= self.left {
                self.left -= wait;
                return waited + wait;
            }
            waited += self.left;
            share -= self.left / latency;
            self.next_period();
        }
    }

    /// Receives up to `bits`, and stops early once at least `min_bits` and at least `min_seconds` have passed. Returns
    /// bits and seconds.
    pub fn receive(&mut self, mut bits: f64, mut min_bits: f64, mut min_seconds: f64) -> (f64, f64) {
        let (mut received, mut elapsed) = (0.0, 0.0);
        while bits > 0.0 && (min_bits > 0.0 || min_seconds > 0.0) {
            let bandwidth = self.bandwidth();
            let wanted = bits.min(min_bits.max(min_seconds * bandwidth));
            let seconds = if bandwidth > 0.0 {
                wanted / bandwidth
            } else if min_bits > 0.0 {
                f64::INFINITY
            } else {
                min_seconds
            };
            if seconds <= self.left {
                self.left -= seconds;
                return (received + wanted, elapsed + seconds);
            }
            let (part, seconds) = (self.left * bandwidth, self.left);
            self.next_period();
            received += part;
            elapsed += seconds;
            bits -= part;
            min_bits -= part;
            min_seconds -= seconds;
        }
        (received, elapsed)
    }
}
