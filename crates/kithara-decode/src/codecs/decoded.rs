//! The frames of the packet decoded last.

use std::ops::Range;

use ::symphonia::core::audio::conv::{ConvertibleSample, FromSample};
use ::symphonia::core::audio::sample::Sample;
use ::symphonia::core::audio::{Audio, AudioBuffer, GenericAudioBufferRef};

use super::interleave::{append_planes, append_stereo};
use crate::{AudioSpec, ChannelLayout};

/// The frames of one decoded packet, in the codec's own sample format.
pub struct Decoded<'a> {
    samples: Samples<'a>,
    sample_rate: u32,
    layout: ChannelLayout,
    delay: u64,
}

enum Samples<'a> {
    Symphonia(GenericAudioBufferRef<'a>),
    Interleaved(&'a [f32]),
    Planar(&'a [&'a [f32]]),
}

impl std::fmt::Debug for Decoded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoded").field("spec", &self.spec()).field("frames", &self.frames()).finish()
    }
}

impl<'a> Decoded<'a> {
    /// Frames in a buffer of Symphonia's, in the layout that the buffer says, or else `declared`.
    pub(super) fn of_symphonia(buffer: GenericAudioBufferRef<'a>, declared: ChannelLayout) -> Self {
        let channels = u16::try_from(buffer.num_planes()).unwrap_or(0);
        let layout = if declared.channels() == channels && channels <= 2 {
            declared
        } else {
            super::symphonia::layout_of(buffer.spec().channels())
                .filter(|layout| layout.channels() == channels)
                .or(Some(declared).filter(|layout| layout.channels() == channels))
                .unwrap_or(ChannelLayout::of_count(channels))
        };
        let sample_rate = buffer.spec().rate();
        Self { samples: Samples::Symphonia(buffer), sample_rate, layout, delay: 0 }
    }

    /// Interleaved frames, in the order of `layout`.
    #[must_use]
    pub fn interleaved(samples: &'a [f32], sample_rate: u32, layout: ChannelLayout) -> Self {
        Self { samples: Samples::Interleaved(samples), sample_rate, layout, delay: 0 }
    }

    /// One plane for each channel, in the order of `layout`; all of one length.
    #[must_use]
    pub fn planar(planes: &'a [&'a [f32]], sample_rate: u32, layout: ChannelLayout) -> Self {
        Self { samples: Samples::Planar(planes), sample_rate, layout, delay: 0 }
    }

    pub(crate) fn late_by(self, delay: u64) -> Self {
        Self { delay, ..self }
    }

    /// Frames by which these come later than their packet.
    pub(crate) fn delay(&self) -> u64 {
        self.delay
    }

    /// Rate and channels of these frames; either may be 0 in what a codec makes of damaged media.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        AudioSpec::with_layout(self.sample_rate, self.layout)
    }

    /// Number of frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        match &self.samples {
            Samples::Symphonia(buffer) => buffer.frames(),
            Samples::Interleaved(samples) => samples.len() / usize::from(self.layout.channels().max(1)),
            Samples::Planar(planes) => planes.first().map_or(0, |plane| plane.len()),
        }
    }

    /// Appends `range` of the frames to `out`, interleaved and as `f32`. A range beyond the end is cut.
    pub fn append_to(&self, range: Range<usize>, out: &mut Vec<f32>) {
        let range = range.start.min(self.frames())..range.end.min(self.frames());
        if range.start >= range.end {
            return;
        }
        let buffer = match &self.samples {
            Samples::Symphonia(buffer) => buffer,
            Samples::Interleaved(samples) => {
                let channels = usize::from(self.layout.channels());
                out.extend_from_slice(&samples[range.start * channels..range.end * channels]);
                return;
            }
            Samples::Planar([mono]) => return out.extend_from_slice(&mono[range]),
            Samples::Planar([left, right]) => return append_stereo(left, right, range, out),
            Samples::Planar(planes) => {
                out.extend(range.flat_map(|frame| planes.iter().map(move |plane| plane[frame])));
                return;
            }
        };
        match buffer {
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
