//! What a codec has just decoded.

use std::ops::Range;

use symphonia::core::audio::conv::{ConvertibleSample, FromSample};
use symphonia::core::audio::sample::Sample;
use symphonia::core::audio::{Audio, AudioBuffer, GenericAudioBufferRef};

use super::interleave::{append_planes, append_stereo};
use crate::AudioSpec;

/// The frames of one decoded packet, still planar and in the codec's own sample format.
pub struct Decoded<'a> {
    buffer: GenericAudioBufferRef<'a>,
    lag: u64,
}

impl std::fmt::Debug for Decoded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoded").field("spec", &self.spec()).field("frames", &self.frames()).finish()
    }
}

impl<'a> Decoded<'a> {
    pub(crate) fn new(buffer: GenericAudioBufferRef<'a>) -> Self {
        Self { buffer, lag: 0 }
    }

    pub(crate) fn lagging(self, lag: u64) -> Self {
        Self { lag, ..self }
    }

    /// Frames by which these come later than their packet.
    pub(crate) fn lag(&self) -> u64 {
        self.lag
    }

    /// Rate and channels of these frames; either may be 0 in what a codec makes of damaged media.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        AudioSpec {
            sample_rate: self.buffer.spec().rate(),
            channels: u16::try_from(self.buffer.num_planes()).unwrap_or(0),
        }
    }

    /// Number of frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.buffer.frames()
    }

    /// Appends `range` of the frames to `out`, interleaved and as `f32`. A range beyond the end is cut.
    pub fn append_to(&self, range: Range<usize>, out: &mut Vec<f32>) {
        let range = range.start.min(self.frames())..range.end.min(self.frames());
        if range.start >= range.end {
            return;
        }
        match &self.buffer {
            GenericAudioBufferRef::F32(buffer) => append_f32(buffer, range, out),
            GenericAudioBufferRef::U8(buffer) => append(buffer, range, out),
            GenericAudioBufferRef::U16(buffer) => append(buffer, range, out),
            GenericAudioBufferRef::U24(buffer) => append(buffer, range, out),
            GenericAudioBufferRef::U32(buffer) => append(buffer, range, out),
            GenericAudioBufferRef::S8(buffer) => append(buffer, range, out),
            GenericAudioBufferRef::S16(buffer) => append(buffer, range, out),
            GenericAudioBufferRef::S24(buffer) => append(buffer, range, out),
            GenericAudioBufferRef::S32(buffer) => append(buffer, range, out),
            GenericAudioBufferRef::F64(buffer) => append(buffer, range, out),
        }
    }
}

fn append_f32(buffer: &AudioBuffer<f32>, range: Range<usize>, out: &mut Vec<f32>) {
    match (buffer.num_planes(), buffer.plane(0), buffer.plane(1)) {
        (1, Some(mono), _) => out.extend_from_slice(&mono[range]),
        (2, Some(left), Some(right)) => append_stereo(left, right, range, out),
        _ => append_planes(buffer, range, out, |sample| sample),
    }
}

fn append<S>(buffer: &AudioBuffer<S>, range: Range<usize>, out: &mut Vec<f32>)
where
    S: Sample,
    f32: FromSample<S> + ConvertibleSample,
{
    append_planes(buffer, range, out, f32::from_sample);
}
