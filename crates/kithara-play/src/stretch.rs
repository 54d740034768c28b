//! Speed without a change of pitch: waveform-similarity overlap-add (WSOLA; Verhelst and Roelands, 1993). Pure.

/// Slowest and fastest speed.
pub(crate) const SPEEDS: std::ops::RangeInclusive<f32> = 0.5..=2.0;

/// Stretches interleaved PCM. At speed 1 frames pass through untouched.
#[derive(Debug)]
pub(crate) struct Stretcher {
    channels: usize,
    speed: f64,
    /// Frames between two output segments; a segment is twice as long.
    hop: usize,
    /// How far a segment may be moved to match its predecessor, either way.
    reach: usize,
    /// The rising half of a Hann window.
    window: Vec<f32>,
    /// Input from frame `start` on, interleaved.
    input: Vec<f32>,
    start: u64,
    /// Where the next segment is wanted, in input frames.
    wanted: f64,
    /// The end of the last segment's first half: what follows it would continue the sound without a seam.
    continuation: Option<u64>,
}

impl Stretcher {
    pub(crate) fn new(sample_rate: u32, channels: u16) -> Self {
        let frames = |milliseconds: u32| (sample_rate as usize * milliseconds as usize / 1_000).max(8);
        let hop = frames(12);
        let window = (0..hop)
            .map(|frame| 0.5 - 0.5 * ((frame as f32 + 0.5) / hop as f32 * std::f32::consts::PI).cos())
            .collect();
        Self {
            channels: usize::from(channels.max(1)),
            speed: 1.0,
            hop,
            reach: frames(8),
            window,
            input: Vec::new(),
            start: 0,
            wanted: 0.0,
            continuation: None,
        }
    }

    pub(crate) fn set_speed(&mut self, speed: f32) {
        self.speed = f64::from(speed.clamp(*SPEEDS.start(), *SPEEDS.end()));
    }

    /// Whether frames pass through untouched and none are held.
    pub(crate) fn is_bypass(&self) -> bool {
        self.speed == 1.0 && self.continuation.is_none() && self.input.is_empty()
    }

    /// Forgets the sound so far: what comes next does not follow it.
    pub(crate) fn reset(&mut self) {
        self.input.clear();
        self.continuation = None;
        self.start = 0;
        self.wanted = 0.0;
    }

    /// Input frames that were taken and are not yet heard.
    pub(crate) fn held(&self) -> usize {
        let heard = self.continuation.unwrap_or(self.start);
        (self.start + (self.input.len() / self.channels) as u64).saturating_sub(heard) as usize
    }

    /// Takes whole frames and appends what they become.
    pub(crate) fn process(&mut self, input: &[f32], output: &mut Vec<f32>) {
        self.input.extend_from_slice(input);
        if self.speed == 1.0 {
            self.drain(output);
            return;
        }
        while self.step(output) {}
        self.forget();
    }

    /// Appends what is held: the input has ended, or plays at speed 1 from here on.
    pub(crate) fn drain(&mut self, output: &mut Vec<f32>) {
        let from = self.continuation.take().unwrap_or(self.start);
        let skip = (from.saturating_sub(self.start) as usize * self.channels).min(self.input.len());
        output.extend_from_slice(&self.input[skip..]);
        self.reset();
    }

    /// Adds one segment; `false` while the input for it is not complete.
    fn step(&mut self, output: &mut Vec<f32>) -> bool {
        let Some(continuation) = self.continuation else {
            // The first segment: its first half as it is.
            let Some(first) = self.frames(self.start, self.hop) else { return false };
            output.extend_from_slice(first);
            self.wanted = self.start as f64 + self.hop as f64 * self.speed;
            self.continuation = Some(self.start + self.hop as u64);
            return true;
        };
        let end = self.start + (self.input.len() / self.channels) as u64;
        let last = self.wanted.max(0.0) as u64 + self.reach as u64 + 2 * self.hop as u64;
        if end < last.max(continuation + self.hop as u64) {
            return false;
        }
        let place = self.best(continuation);
        let (Some(old), Some(new)) = (self.frames(continuation, self.hop), self.frames(place, self.hop))
        else {
            return false;
        };
        for (index, (old, new)) in old.iter().zip(new).enumerate() {
            let rising = self.window[index / self.channels];
            output.push(old * (1.0 - rising) + new * rising);
        }
        self.wanted += self.hop as f64 * self.speed;
        self.continuation = Some(place + self.hop as u64);
        true
    }

    /// The place near `wanted` that sounds most like what follows the last segment.
    fn best(&self, continuation: u64) -> u64 {
        let wanted = self.wanted as u64;
        let lowest = wanted.saturating_sub(self.reach as u64).max(self.start);
        let highest = wanted + self.reach as u64;
        if (lowest..=highest).contains(&continuation) && (continuation as f64 - self.wanted).abs() < 1.0 {
            return continuation;
        }
        let coarse = self.search(continuation, lowest, highest, 4);
        self.search(continuation, coarse.saturating_sub(3).max(lowest), (coarse + 3).min(highest), 1)
    }

    fn search(&self, continuation: u64, lowest: u64, highest: u64, stride: usize) -> u64 {
        let mut best = (f32::MIN, lowest);
        for place in (lowest..=highest).step_by(stride) {
            let score = self.similarity(continuation, place, stride);
            if score > best.0 {
                best = (score, place);
            }
        }
        best.1
    }

    /// Normalised correlation of two stretches of one hop, over every `stride`-th frame.
    fn similarity(&self, a: u64, b: u64, stride: usize) -> f32 {
        let (Some(a), Some(b)) = (self.frames(a, self.hop), self.frames(b, self.hop)) else {
            return f32::MIN;
        };
        let (mut product, mut energy) = (0.0f32, 1e-9f32);
        for (a, b) in a.chunks(self.channels).step_by(stride).zip(b.chunks(self.channels).step_by(stride)) {
            let (a, b) = (a.iter().sum::<f32>(), b.iter().sum::<f32>());
            product += a * b;
            energy += b * b;
        }
        product / energy.sqrt()
    }

    fn frames(&self, from: u64, count: usize) -> Option<&[f32]> {
        let first = usize::try_from(from.checked_sub(self.start)?).ok()? * self.channels;
        self.input.get(first..first + count * self.channels)
    }

    /// Drops input that no later segment can need.
    fn forget(&mut self) {
        let Some(continuation) = self.continuation else { return };
        let oldest = ((self.wanted as u64).saturating_sub(self.reach as u64)).min(continuation);
        let surplus = (oldest.saturating_sub(self.start) as usize).min(self.input.len() / self.channels);
        self.input.drain(..surplus * self.channels);
        self.start += surplus as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    fn tone(frames: usize, hertz: f32) -> Vec<f32> {
        (0..frames)
            .flat_map(|frame| {
                let sample = (frame as f32 * hertz / RATE as f32 * std::f32::consts::TAU).sin() * 0.5;
                [sample, sample]
            })
            .collect()
    }

    /// Rising zero crossings per second.
    fn pitch(samples: &[f32]) -> f32 {
        let left: Vec<f32> = samples.iter().step_by(2).copied().collect();
        let crossings = left.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        crossings as f32 * RATE as f32 / left.len() as f32
    }

    fn stretch(input: &[f32], speed: f32) -> Vec<f32> {
        let mut stretcher = Stretcher::new(RATE, 2);
        stretcher.set_speed(speed);
        let mut out = Vec::new();
        for block in input.chunks(2 * 441) {
            stretcher.process(block, &mut out);
        }
        stretcher.drain(&mut out);
        out
    }

    #[test]
    fn speed_changes_the_length_and_keeps_the_pitch() {
        let input = tone(RATE as usize * 4, 440.0);
        for speed in [0.5, 0.75, 0.97, 1.03, 1.25, 1.5, 2.0] {
            let out = stretch(&input, speed);
            let length = out.len() as f32 / input.len() as f32 * speed;
            assert!((length - 1.0).abs() < 0.02, "{speed}: length is off by {length}");
            let pitch = pitch(&out);
            assert!((pitch - 440.0).abs() < 3.0, "{speed}: pitch {pitch}");
            // A tone has no seam: no step is larger than the tone's own.
            let step = out.iter().step_by(2).zip(out.iter().step_by(2).skip(1)).map(|(a, b)| (b - a).abs());
            let own = 0.5 * std::f32::consts::TAU * 440.0 / RATE as f32;
            assert!(step.fold(0.0, f32::max) < own * 1.5, "{speed}: a step");
        }
    }

    #[test]
    fn speed_one_passes_every_frame_untouched() {
        let input = tone(10_000, 330.0);
        assert_eq!(stretch(&input, 1.0), input);
    }

    #[test]
    fn going_back_to_speed_one_loses_no_frame_of_the_input() {
        let input = tone(48_000, 300.0);
        let mut stretcher = Stretcher::new(RATE, 2);
        let mut out = Vec::new();
        stretcher.set_speed(1.5);
        stretcher.process(&input[..48_000], &mut out);
        stretcher.set_speed(1.0);
        stretcher.process(&input[48_000..], &mut out);
        assert!(stretcher.is_bypass());
        // The end is the input's own.
        assert_eq!(out[out.len() - 40_000..], input[input.len() - 40_000..]);
    }

    #[test]
    fn input_is_not_kept() {
        let mut stretcher = Stretcher::new(RATE, 2);
        stretcher.set_speed(0.5);
        let (input, mut out) = (tone(4_800, 200.0), Vec::new());
        for _ in 0..200 {
            out.clear();
            stretcher.process(&input, &mut out);
        }
        assert!(stretcher.input.len() < 2 * 10_000);
        assert!(stretcher.held() < 5_000);
    }
}
