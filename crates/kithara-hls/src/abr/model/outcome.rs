//! What a session was like for its listener.

/// A segment that was played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Played {
    /// When it began to be heard, seconds from the start of the session.
    pub at: f64,
    /// Index in the ladder.
    pub variant: usize,
}

/// Playback that waited for audio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stall {
    /// When it began, seconds from the start of the session.
    pub at: f64,
    /// Seconds.
    pub seconds: f64,
}

/// The figures of a session, in the definitions of Sabre, and what a picture of it needs.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Time that playback waited for audio, as a share of all time; the start does not count as waiting.
    pub rebuffer_ratio: f64,
    /// How often it ran dry.
    pub rebuffer_events: u32,
    /// Seconds from the first request to the first complete segment.
    pub startup_s: f64,
    /// Bitrate played, in kbit/s, averaged over all time: waiting counts as 0.
    pub avg_kbps: f64,
    /// Change of bitrate in kbit/s, per duration of a segment.
    pub change_kbps_per_segment: f64,
    /// How often the variant changed.
    pub switches: u32,
    /// The linear quality of experience of Pensieve, per segment: bitrate less changes in Mbit/s, less the top bitrate in
    /// Mbit/s for each second of waiting.
    pub score: f64,
    /// The segments that were heard.
    pub played: Vec<Played>,
    /// The waits.
    pub stalls: Vec<Stall>,
    /// Buffered seconds after each event, with the time.
    pub buffer: Vec<(f64, f64)>,
    /// The estimate of throughput in bits per second at each decision, with the time.
    pub estimates: Vec<(f64, f64)>,
}

/// Sums that become an [`Outcome`].
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) now: f64,
    pub(super) rebuffer: f64,
    pub(super) bitrate: f64,
    pub(super) change: f64,
    pub(super) outcome: Outcome,
}

impl Sums {
    pub(super) fn wait(&mut self, seconds: f64, is_new: bool) {
        match self.outcome.stalls.last_mut() {
            Some(stall) if !is_new => stall.seconds += seconds,
            _ => self.outcome.stalls.push(Stall { at: self.now, seconds }),
        }
        self.outcome.rebuffer_events += u32::from(is_new);
        self.rebuffer += seconds;
        self.now += seconds;
    }

    pub(super) fn play(&mut self, variant: usize, ladder: &[f64]) {
        self.bitrate += ladder[variant];
        if let Some(last) = self.outcome.played.last().filter(|last| last.variant != variant) {
            self.change += (ladder[variant] - ladder[last.variant]).abs();
            self.outcome.switches += 1;
        }
        self.outcome.played.push(Played { at: self.now, variant });
    }

    pub(super) fn finish(mut self, segment: f64, ladder: &[f64]) -> Outcome {
        let count = self.outcome.played.len().max(1) as f64;
        let top = ladder.last().copied().unwrap_or(0.0);
        let periods = (self.now / segment).max(f64::MIN_POSITIVE);
        self.outcome.rebuffer_ratio = self.rebuffer / self.now.max(f64::MIN_POSITIVE);
        self.outcome.avg_kbps = self.bitrate / periods / 1e3;
        self.outcome.change_kbps_per_segment = self.change / periods / 1e3;
        self.outcome.score = (self.bitrate - self.change - top * self.rebuffer) / count / 1e6;
        self.outcome
    }
}
