use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What ffmpeg decodes from a fixture, in a compact form that still shows any wrong, missing or displaced sample.
///
/// Lossless sound is compared by SHA-256 over all of it. Lossy sound is compared at single frames in a constant
/// stride over the whole track, and in windows at the start, the end and around each segment boundary, within
/// `tolerance` per sample.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reference {
    /// Samples per frame.
    pub channels: u16,
    /// Frames in all.
    pub frames: u64,
    /// Largest difference of one sample, full scale being 1.0; 0 where the decode is exact.
    pub tolerance: f32,
    /// SHA-256 of all samples as interleaved little-endian `f32`, as ffmpeg decodes them.
    pub f32le_sha256: &'static str,
    /// SHA-256 of all samples as interleaved little-endian `i16`, of lossless fixtures only.
    pub s16le_sha256: Option<&'static str>,
    /// A probed sample is its integer times 2^-scale_bits.
    pub scale_bits: u32,
    /// Frames from one single probe to the next, from frame 0 on.
    pub stride: u64,
    /// Start and length in frames of the windows.
    pub windows: &'static [(u64, u64)],
    /// Samples of the single probes, then of the windows: `i16`, little endian, interleaved.
    pub probes: &'static [u8],
}

/// The largest deviation from a reference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MaxError {
    /// Absolute difference, beyond what the reference's own quantisation explains.
    pub error: f32,
    /// The frame where it is.
    pub frame: u64,
    /// The channel where it is.
    pub channel: u16,
    /// Samples compared.
    pub compared: u64,
}

/// Why a decode is not what the reference says.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The samples are no whole number of frames.
    #[error("{samples} samples are no whole number of frames of {channels} channels")]
    Ragged {
        /// Samples given.
        samples: usize,
        /// Samples per frame.
        channels: u16,
    },
    /// Too many frames or too few.
    #[error("{actual} frames where {expected} are right")]
    FrameCount {
        /// Frames of the reference.
        expected: u64,
        /// Frames given.
        actual: u64,
    },
    /// A lossless decode differs (in a place that the probes do not hold).
    #[error("SHA-256 of the 16-bit samples is {actual} where {expected} is right")]
    Hash {
        /// Hexadecimal, of the reference.
        expected: &'static str,
        /// Hexadecimal, of what was given.
        actual: String,
    },
    /// A sample is further off than the tolerance.
    #[error("sample off by {} at frame {}, channel {} (tolerance {tolerance}, {} of {} samples beyond it)",
        .max.error, .max.frame, .max.channel, .beyond, .max.compared)]
    Sample {
        /// The worst one.
        max: MaxError,
        /// What was allowed.
        tolerance: f32,
        /// The first frame that is off.
        first: u64,
        /// How many are beyond the tolerance.
        beyond: u64,
    },
    /// A sample is not a number.
    #[error("sample at frame {frame} is not finite")]
    NotFinite {
        /// The frame.
        frame: u64,
    },
}

impl Reference {
    /// Compares a whole decode: interleaved samples, full scale 1.0.
    ///
    /// # Errors
    /// Says what differs first or most: count of frames, a sample, the hash.
    pub fn check(&self, samples: &[f32]) -> Result<MaxError, Mismatch> {
        let actual = self.count(samples)?;
        if actual != self.frames {
            return Err(Mismatch::FrameCount { expected: self.frames, actual });
        }
        let max = self.check_from(0, samples)?;
        if let Some(expected) = self.s16le_sha256 {
            let actual = s16le_sha256(samples);
            if actual != expected {
                return Err(Mismatch::Hash { expected, actual });
            }
        }
        Ok(max)
    }

    /// Compares a part of a decode that begins at frame `start`, at the probes that fall into it.
    ///
    /// About one frame in 331 is probed, every one of the first and last 1024, and 192 around each segment boundary:
    /// `compared` in the result tells how many were.
    ///
    /// # Errors
    /// Samples beyond the tolerance, or frames beyond the end of the reference.
    pub fn check_from(&self, start: u64, samples: &[f32]) -> Result<MaxError, Mismatch> {
        let count = self.count(samples)?;
        if start.saturating_add(count) > self.frames {
            return Err(Mismatch::FrameCount { expected: self.frames, actual: start.saturating_add(count) });
        }
        let mut tally = Tally { tolerance: self.tolerance, ..Tally::default() };
        for (frame, expected) in self.probes() {
            let Some(at) = frame.checked_sub(start).filter(|at| *at < count) else { continue };
            let at = at as usize * usize::from(self.channels);
            let Some(actual) = samples.get(at..at + usize::from(self.channels)) else { continue };
            tally.frame(frame, actual, expected, self.scale())?;
        }
        tally.verdict()
    }

    /// Frame and exact value of the single probes, for tests that look for a displacement.
    pub fn probes(&self) -> impl Iterator<Item = (u64, &'static [u8])> {
        let singles = (0..self.frames).step_by(self.stride.max(1) as usize);
        let windows = self.windows.iter().flat_map(|&(start, length)| start..start + length);
        singles.chain(windows).zip(self.probes.chunks_exact(2 * usize::from(self.channels.max(1))))
    }

    fn scale(&self) -> f32 {
        (0..self.scale_bits).fold(1.0, |scale, _| scale / 2.0)
    }

    fn count(&self, samples: &[f32]) -> Result<u64, Mismatch> {
        let channels = usize::from(self.channels.max(1));
        if samples.len().is_multiple_of(channels) {
            Ok((samples.len() / channels) as u64)
        } else {
            Err(Mismatch::Ragged { samples: samples.len(), channels: self.channels })
        }
    }
}

#[derive(Default)]
struct Tally {
    max: MaxError,
    tolerance: f32,
    first: Option<u64>,
    beyond: u64,
}

impl Tally {
    fn frame(&mut self, frame: u64, actual: &[f32], expected: &[u8], scale: f32) -> Result<(), Mismatch> {
        for (channel, (&actual, expected)) in actual.iter().zip(expected.chunks_exact(2)).enumerate() {
            if !actual.is_finite() {
                return Err(Mismatch::NotFinite { frame });
            }
            let quantised = match expected {
                &[low, high] => i16::from_le_bytes([low, high]),
                _ => 0,
            };
            let error = ((actual - f32::from(quantised) * scale).abs() - 0.501 * scale).max(0.0);
            self.max.compared += 1;
            if error > self.tolerance {
                self.beyond += 1;
                self.first.get_or_insert(frame);
            }
            if error > self.max.error {
                self.max = MaxError { error, frame, channel: channel as u16, ..self.max };
            }
        }
        Ok(())
    }

    fn verdict(self) -> Result<MaxError, Mismatch> {
        match self.first {
            None => Ok(self.max),
            Some(first) => {
                Err(Mismatch::Sample { max: self.max, tolerance: self.tolerance, first, beyond: self.beyond })
            }
        }
    }
}

/// Hexadecimal SHA-256 of samples as interleaved little-endian `i16` (scaled by 32768, rounded, clamped).
fn s16le_sha256(samples: &[f32]) -> String {
    let mut hash = Sha256::new();
    let mut block = Vec::with_capacity(8192);
    for part in samples.chunks(4096) {
        block.clear();
        block.extend(part.iter().flat_map(|s| ((s * 32768.0).round() as i16).to_le_bytes()));
        hash.update(&block);
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
