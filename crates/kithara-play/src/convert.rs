//! From a source's format to the output's: exact lengths, also where the format changes inside a track.

use kithara_decode::{AudioSpec, DecodeError, PcmChunk, ResamplerProcessor};

/// Converts the chunks of one track to the output's format.
#[derive(Debug)]
pub(crate) struct Converter {
    output: AudioSpec,
    stage: Option<Stage>,
    remixed: Vec<f32>,
}

#[derive(Debug)]
struct Stage {
    from: AudioSpec,
    resampler: ResamplerProcessor,
}

impl Converter {
    pub(crate) fn new(output: AudioSpec) -> Self {
        Self { output, stage: None, remixed: Vec::new() }
    }

    /// Forgets what is under way: the next chunk may begin anywhere.
    pub(crate) fn reset(&mut self) {
        self.stage = None;
    }

    /// Appends the frames of `chunk`, as far as they are complete, to `output`.
    pub(crate) fn push(&mut self, chunk: &PcmChunk, output: &mut Vec<f32>) -> Result<(), DecodeError> {
        let from = chunk.spec();
        if from == self.output {
            self.finish(output)?;
            output.extend_from_slice(chunk.samples());
            return Ok(());
        }
        if self.stage.as_ref().is_none_or(|stage| stage.from != from) {
            self.finish(output)?;
            let (rate, channels) = (self.output.sample_rate, self.output.channels);
            let mut resampler = ResamplerProcessor::new(from.sample_rate, rate, channels)?;
            resampler.start(chunk.position());
            self.stage = Some(Stage { from, resampler });
        }
        let Some(stage) = &mut self.stage else { return Ok(()) };
        self.remixed.clear();
        remix(chunk.samples(), from.channels, self.output.channels, &mut self.remixed);
        stage.resampler.process(&self.remixed, output)
    }

    /// Appends what the resampler still holds: the track, or its format, has ended.
    pub(crate) fn finish(&mut self, output: &mut Vec<f32>) -> Result<(), DecodeError> {
        match self.stage.take() {
            Some(mut stage) => stage.resampler.flush(output),
            None => Ok(()),
        }
    }
}

/// Appends `input` with `to` instead of `from` channels: mono goes to both front speakers, stereo becomes mono as the
/// mean, further channels of a wider output stay silent, and those of a wider input are left out. Open a track with the
/// output's channels where its stream has a layout: the stream's own downmix knows centre and surrounds.
fn remix(input: &[f32], from: u16, to: u16, output: &mut Vec<f32>) {
    let (from, to) = (usize::from(from.max(1)), usize::from(to.max(1)));
    if from == to {
        output.extend_from_slice(input);
        return;
    }
    for frame in input.chunks_exact(from) {
        let start = output.len();
        output.resize(start + to, 0.0);
        let out = &mut output[start..];
        match (from, to) {
            (1, _) => out[..2].fill(frame[0]),
            (_, 1) => out[0] = (frame[0] + frame[1]) / 2.0,
            _ => {
                let count = from.min(to);
                out[..count].copy_from_slice(&frame[..count]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kithara_bufpool::{PoolSettings, SamplePool};

    use super::*;

    fn chunk(spec: AudioSpec, position: u64, frames: usize) -> PcmChunk {
        let pool = SamplePool::new(PoolSettings::default());
        let samples = pool.get_with(|samples| {
            samples.clear();
            samples.resize(frames * usize::from(spec.channels), 0.25);
        });
        PcmChunk::new(spec, position, samples)
    }

    #[test]
    fn the_output_format_passes_untouched() {
        let spec = AudioSpec::new(48_000, 2);
        let mut converter = Converter::new(spec);
        let mut out = Vec::new();
        converter.push(&chunk(spec, 7, 100), &mut out).unwrap();
        assert_eq!(out, vec![0.25; 200]);
    }

    #[test]
    fn a_change_of_format_keeps_the_exact_length() {
        let output = AudioSpec::new(48_000, 2);
        let mut converter = Converter::new(output);
        let mut out = Vec::new();
        converter.push(&chunk(AudioSpec::new(44_100, 1), 0, 44_100), &mut out).unwrap();
        converter.push(&chunk(output, 48_000, 480), &mut out).unwrap();
        converter.push(&chunk(AudioSpec::new(22_050, 2), 22_271, 2_205), &mut out).unwrap();
        converter.finish(&mut out).unwrap();
        assert_eq!(out.len() / 2, 48_000 + 480 + 4_800);
    }

    #[test]
    fn mono_is_heard_on_both_sides_and_stereo_becomes_its_mean() {
        let mut out = Vec::new();
        remix(&[0.5, -0.5], 1, 2, &mut out);
        assert_eq!(out, [0.5, 0.5, -0.5, -0.5]);
        out.clear();
        remix(&[0.5, 0.25], 2, 1, &mut out);
        assert_eq!(out, [0.375]);
        out.clear();
        remix(&[0.5], 1, 4, &mut out);
        assert_eq!(out, [0.5, 0.5, 0.0, 0.0]);
    }
}
