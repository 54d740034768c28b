//! PCM as it leaves the decoder: a specification, and pooled chunks with an exact position.

use std::fmt;
use std::time::Duration;

use kithara_bufpool::PooledSamples;

use crate::{ChannelLayout, DecodeError};

/// Rates that are played, in Hz.
pub(crate) const RATES: std::ops::RangeInclusive<u32> = 4_000..=768_000;
/// Channels that are played.
pub(crate) const MAX_CHANNELS: u16 = 255;

/// The shape of interleaved PCM: how many frames per second, and which channels in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AudioSpec {
    /// Frames per second, in Hz. Never zero in anything this crate hands out.
    pub sample_rate: u32,
    /// Samples per frame: as many as `layout` has channels. Never zero in anything this crate hands out.
    pub channels: u16,
    /// Which loudspeaker each sample of a frame belongs to.
    pub layout: ChannelLayout,
}

impl AudioSpec {
    /// A specification of `sample_rate` Hz and so many channels in their [usual layout](ChannelLayout::of_count).
    #[must_use]
    pub const fn new(sample_rate: u32, channels: u16) -> Self {
        Self::with_layout(sample_rate, ChannelLayout::of_count(channels))
    }

    /// A specification of `sample_rate` Hz and the channels of `layout`.
    #[must_use]
    pub const fn with_layout(sample_rate: u32, layout: ChannelLayout) -> Self {
        Self { sample_rate, channels: layout.channels(), layout }
    }

    /// Refuses shapes that would size buffers beyond reason.
    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        let Self { sample_rate, channels, .. } = *self;
        if sample_rate == 0 || channels == 0 {
            return Err(DecodeError::Malformed("audio without a rate or channels".into()));
        }
        if !RATES.contains(&sample_rate) {
            let range = "rates from 4 to 768 kHz can be played";
            return Err(DecodeError::Unsupported(format!("audio at {sample_rate} Hz ({range})")));
        }
        if channels > MAX_CHANNELS {
            let limit = format!("at most {MAX_CHANNELS} can be played");
            return Err(DecodeError::Unsupported(format!("audio with {channels} channels ({limit})")));
        }
        Ok(())
    }

    /// The frame that sounds at `position`: `round(position × rate)`.
    #[must_use]
    pub fn frame_at(&self, position: Duration) -> u64 {
        let nanos = position.as_nanos().saturating_mul(u128::from(self.sample_rate));
        u64::try_from((nanos + 500_000_000) / 1_000_000_000).unwrap_or(u64::MAX)
    }

    /// The position of `frame`, rounded to the nearest nanosecond.
    #[must_use]
    pub fn position_of(&self, frame: u64) -> Duration {
        let rate = u64::from(self.sample_rate.max(1));
        let rest = (u128::from(frame % rate) * 1_000_000_000 + u128::from(rate / 2)) / u128::from(rate);
        Duration::from_secs(frame / rate) + Duration::from_nanos(u64::try_from(rest).unwrap_or(0))
    }
}

impl fmt::Display for AudioSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz, {} ch", self.sample_rate, self.channels)
    }
}

/// A run of PCM: interleaved `f32` frames (nominal range −1 to 1) and the exact frame they begin at.
///
/// The samples live in a pooled buffer that returns to its pool when the chunk is dropped.
#[derive(Debug)]
pub struct PcmChunk {
    spec: AudioSpec,
    position: u64,
    samples: PooledSamples,
}

impl PcmChunk {
    /// Wraps interleaved `samples` that begin at frame `position` of the presentation.
    #[must_use]
    pub fn new(spec: AudioSpec, position: u64, samples: PooledSamples) -> Self {
        Self { spec, position, samples }
    }

    /// Rate and channels of these samples.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        self.spec
    }

    /// First frame of the chunk, counted from the start of the presentation at [`spec`](Self::spec)'s rate.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// First frame of the chunk as a time.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.spec.position_of(self.position)
    }

    /// Number of frames (samples per channel).
    #[must_use]
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.spec.channels.max(1))
    }

    /// The interleaved samples: `frames() × channels` of them.
    #[must_use]
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// The interleaved samples, to be changed in place.
    pub fn samples_mut(&mut self) -> &mut [f32] {
        &mut self.samples
    }

    /// Gives the pooled buffer away.
    #[must_use]
    pub fn into_samples(self) -> PooledSamples {
        self.samples
    }

    /// Drops everything before frame `frame`, if the chunk begins earlier.
    pub fn drop_before(&mut self, frame: u64) {
        let surplus = frame.saturating_sub(self.position).min(self.frames() as u64);
        self.remove_frames(0, surplus as usize);
        self.position += surplus;
    }

    /// Takes `count` frames out from frame `at` (counted in the chunk) on.
    pub(crate) fn remove_frames(&mut self, at: usize, count: usize) {
        let channels = usize::from(self.spec.channels);
        if count > 0 {
            self.samples.drain(at * channels..(at + count) * channels);
        }
    }

    /// The buffer, to append whole frames to.
    pub(crate) fn samples_vec(&mut self) -> &mut Vec<f32> {
        &mut self.samples
    }
}
