//! From a source's format to the output's: exact lengths, also where the format changes inside a track.

use kithara_decode::{AudioSpec, ChannelMixer, DecodeError, PcmChunk, ResamplerProcessor};

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
    channels: ChannelMixer,
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
            let channels = ChannelMixer::new(from.layout, self.output.layout);
            self.stage = Some(Stage { from, channels, resampler });
        }
        let Some(stage) = &mut self.stage else { return Ok(()) };
        self.remixed.clear();
        self.remixed.extend_from_slice(chunk.samples());
        stage.channels.mix(&mut self.remixed);
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
}
