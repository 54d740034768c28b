//! [`ResamplerProcessor`]: exact-length synchronous resampling on Rubato.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use crate::pcm::RATES;
use crate::rescale::rescale;
use crate::{AudioSpec, DecodeError};

/// Largest ratio of the two rates.
const MAX_RATIO: u32 = 256;
/// Samples that one block may have on its longer side: rates without a common divisor make large blocks.
const MAX_BLOCK_SAMPLES: u64 = 1 << 22;

/// The filter of a [`ResamplerProcessor`]: a linear-phase low pass, which rings before and behind each impulse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResampleQuality {
    /// At least 1,024 frames long at the lower rate: aliases below −120 dB, flat to 20 kHz from 44.1 to 48 kHz and back; rings
    /// for up to 15 ms. The default.
    #[default]
    Best,
    /// At least 256 frames long at the lower rate: rings for a quarter of that time and delays a quarter as much; flat to
    /// 15 kHz (within 0.1 dB) from 44.1 to 48 kHz, above which it falls off.
    LowLatency,
}

impl ResampleQuality {
    /// Frames that the shorter side of one FFT block holds at least: the length of the anti-aliasing filter.
    fn min_block(self) -> u32 {
        match self {
            Self::Best => 1024,
            Self::LowLatency => 256,
        }
    }
}

/// Resamples interleaved `f32` from one fixed rate to another, in exact positions.
///
/// Output frame `n` is the sound at `n / to` seconds (the filter's delay is compensated), and input frames `a..b` give
/// output frames `round(a × to / from)..round(b × to / from)`: no frame more, no frame less.
///
/// Blocks lie on a grid of absolute input positions. So what comes out does not depend on where processing started, bit
/// for bit, from [`warm_up`](Self::warm_up) frames after the start on.
///
/// Any number of frames may be given at a time; as many blocks as are complete are processed. When the rates are equal,
/// frames are copied through untouched.
pub struct ResamplerProcessor {
    from: u32,
    to: u32,
    channels: usize,
    engine: Option<Engine>,
    /// Absolute input position of the next input frame.
    position: u64,
    /// Absolute output position of the next output frame.
    produced: u64,
}

/// The filter, present when the rates differ.
struct Engine {
    fft: Fft<f32>,
    block_in: usize,
    block_out: usize,
    /// Input of the block being gathered, interleaved; `filled` frames of it are there.
    input: Vec<f32>,
    filled: usize,
    /// Output of one block, interleaved.
    output: Vec<f32>,
    /// Absolute output position of the first frame that the next block will give; negative at the start.
    next: i64,
}

impl std::fmt::Debug for ResamplerProcessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResamplerProcessor")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("channels", &self.channels)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl ResamplerProcessor {
    /// A resampler of the best quality from `from` Hz to `to` Hz for `channels` channels, started at input frame 0.
    ///
    /// # Errors
    /// As [`with_quality`](Self::with_quality).
    pub fn new(from: u32, to: u32, channels: u16) -> Result<Self, DecodeError> {
        Self::with_quality(from, to, channels, ResampleQuality::Best)
    }

    /// As [`new`](Self::new), with another filter.
    ///
    /// # Errors
    /// [`DecodeError::Resample`] when a rate is not in 4 to 768 kHz, their ratio is above 256, there is no channel, or the two
    /// rates have so small a common divisor that their blocks would take more than 16 MB for so many channels.
    pub fn with_quality(
        from: u32,
        to: u32,
        channels: u16,
        quality: ResampleQuality,
    ) -> Result<Self, DecodeError> {
        let refuse = |reason: &str| DecodeError::Resample { from, to, reason: reason.into() };
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return Err(refuse("rates must lie in 4,000 to 768,000 Hz"));
        }
        if from.max(to) / from.min(to) > MAX_RATIO {
            return Err(refuse("the ratio of the rates is above 256"));
        }
        if channels == 0 {
            return Err(refuse("no channels"));
        }
        let (block_in, block_out) = blocks(from, to, quality);
        if from != to && u64::from(block_in.max(block_out)) * u64::from(channels) > MAX_BLOCK_SAMPLES {
            return Err(refuse("the rates have too small a common divisor for so many channels"));
        }
        let channels = usize::from(channels);
        let engine = if from == to {
            None
        } else {
            Some(Engine::new(from, to, channels, quality).map_err(|error| refuse(&error.to_string()))?)
        };
        Ok(Self { from, to, channels, engine, position: 0, produced: 0 })
    }

    /// Whether the rates are equal, so that frames pass through untouched.
    #[must_use]
    pub fn is_bypass(&self) -> bool {
        self.engine.is_none()
    }

    /// Input rate in Hz.
    #[must_use]
    pub fn input_rate(&self) -> u32 {
        self.from
    }

    /// Output rate in Hz.
    #[must_use]
    pub fn output_rate(&self) -> u32 {
        self.to
    }

    /// The output frame that input frame `input` becomes: `round(input × to / from)`.
    #[must_use]
    pub fn output_position(&self, input: u64) -> u64 {
        rescale(input, self.to, self.from)
    }

    /// Absolute position of the next output frame.
    #[must_use]
    pub fn next_output(&self) -> u64 {
        self.produced
    }

    /// Input frames after a [`start`](Self::start) within which the output may differ from what an earlier start gives.
    #[must_use]
    pub fn warm_up(&self) -> u64 {
        self.engine.as_ref().map_or(0, |engine| 2 * engine.block_in as u64)
    }

    /// [`warm_up`](Self::warm_up) of a resampler that is not made yet.
    pub(crate) fn warm_up_of(from: u32, to: u32, quality: ResampleQuality) -> u64 {
        if from == to || from == 0 || to == 0 { 0 } else { 2 * u64::from(blocks(from, to, quality).0) }
    }

    pub(crate) fn fits(&self, from: u32, spec: AudioSpec) -> bool {
        (self.from, self.to, self.channels) == (from, spec.sample_rate, usize::from(spec.channels))
    }

    /// Forgets everything and goes on at absolute input frame `position`.
    pub fn start(&mut self, position: u64) {
        self.position = position;
        self.produced = self.output_position(position);
        if let Some(engine) = &mut self.engine {
            engine.start(position, self.channels);
        }
    }

    /// Takes whole interleaved frames, and appends the output frames that are complete to `output`.
    ///
    /// # Errors
    /// [`DecodeError::Resample`] when Rubato refuses (it does not, for sound settings).
    pub fn process(&mut self, input: &[f32], output: &mut Vec<f32>) -> Result<(), DecodeError> {
        let frames = input.len() / self.channels;
        self.position += frames as u64;
        let Some(engine) = &mut self.engine else {
            output.extend_from_slice(&input[..frames * self.channels]);
            self.produced += frames as u64;
            return Ok(());
        };
        let mut rest = &input[..frames * self.channels];
        while !rest.is_empty() {
            rest = engine.take(rest, self.channels);
            if engine.filled == engine.block_in {
                engine.run(self.channels).map_err(|error| failure(self.from, self.to, &*error))?;
                self.produced += engine.give(self.produced, u64::MAX, self.channels, output);
            }
        }
        Ok(())
    }

    /// Ends the run: appends what is left, up to the exact output position of the input's end. Call
    /// [`start`](Self::start) before more input.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    pub fn flush(&mut self, output: &mut Vec<f32>) -> Result<(), DecodeError> {
        let end = self.output_position(self.position);
        let Some(engine) = &mut self.engine else { return Ok(()) };
        while self.produced < end {
            engine.input[engine.filled * self.channels..].fill(0.0);
            engine.run(self.channels).map_err(|error| failure(self.from, self.to, &*error))?;
            self.produced += engine.give(self.produced, end, self.channels, output);
        }
        Ok(())
    }
}

fn failure(from: u32, to: u32, error: &dyn std::error::Error) -> DecodeError {
    DecodeError::Resample { from, to, reason: error.to_string() }
}

impl Engine {
    fn new(
        from: u32,
        to: u32,
        channels: usize,
        quality: ResampleQuality,
    ) -> Result<Self, rubato::ResamplerConstructionError> {
        let block_in = blocks(from, to, quality).0 as usize;
        let fft = Fft::new_custom(
            from as usize,
            to as usize,
            block_in,
            1,
            channels,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )?;
        let (block_in, block_out) = (fft.input_frames_next(), fft.output_frames_next());
        let mut engine = Self {
            fft,
            block_in,
            block_out,
            input: vec![0.0; block_in * channels],
            filled: 0,
            output: vec![0.0; block_out * channels],
            next: 0,
        };
        engine.start(0, channels);
        Ok(engine)
    }

    fn start(&mut self, position: u64, channels: usize) {
        self.fft.reset();
        let block = position / self.block_in as u64;
        self.filled = (position % self.block_in as u64) as usize;
        self.input[..self.filled * channels].fill(0.0);
        self.next = (block * self.block_out as u64) as i64 - (self.block_out / 2) as i64;
    }

    /// Moves input into the block; gives back what did not fit.
    fn take<'a>(&mut self, input: &'a [f32], channels: usize) -> &'a [f32] {
        let room = &mut self.input[self.filled * channels..];
        let count = room.len().min(input.len());
        room[..count].copy_from_slice(&input[..count]);
        self.filled += count / channels;
        &input[count..]
    }

    fn run(&mut self, channels: usize) -> Result<(), Box<dyn std::error::Error>> {
        let input = InterleavedSlice::new(&self.input, channels, self.block_in)?;
        let mut output = InterleavedSlice::new_mut(&mut self.output, channels, self.block_out)?;
        self.fft.process_into_buffer(&input, &mut output, None)?;
        self.filled = 0;
        Ok(())
    }

    /// Appends the part of the block just made that lies in `from..end`; gives the number of frames.
    fn give(&mut self, from: u64, end: u64, channels: usize, output: &mut Vec<f32>) -> u64 {
        let start = self.next;
        self.next += self.block_out as i64;
        let first = (i128::from(from) - i128::from(start)).clamp(0, self.block_out as i128) as usize;
        let last =
            (i128::from(end) - i128::from(start)).clamp(first as i128, self.block_out as i128) as usize;
        output.extend_from_slice(&self.output[first * channels..last * channels]);
        (last - first) as u64
    }
}

/// Frames of one FFT block, in and out.
fn blocks(from: u32, to: u32, quality: ResampleQuality) -> (u32, u32) {
    let divisor = gcd(from, to);
    let (unit_in, unit_out) = (from / divisor, to / divisor);
    // Half a block is the delay: it must be a whole number of frames on both sides.
    let units = quality.min_block().div_ceil(unit_in.min(unit_out)).next_multiple_of(2);
    (units * unit_in, units * unit_out)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
