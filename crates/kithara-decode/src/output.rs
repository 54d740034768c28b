//! Decoded frames to positioned chunks: trims, fills holes, remixes, resamples.

use std::collections::VecDeque;
use std::ops::Range;

use kithara_bufpool::{PooledSamples, SamplePool};

use crate::channels::Mixer;
use crate::codecs::Decoded;
use crate::resample::{ResampleQuality, ResamplerProcessor};
use crate::rescale::rescale_signed;
use crate::{AudioSpec, ChannelLayout, DecodeError, PcmChunk};

/// Frames that a chunk should hold at least, so that codecs with tiny packets do not give tiny chunks.
const CHUNK_FRAMES: usize = 1024;
/// Frames of a chunk, once playback is under way. Four packets of AAC at once, with their tables in the processor's cache, take
/// three quarters of the time of one by one, where many streams take turns; and a thread that decodes ahead hands over, and
/// wakes its reader, a quarter as often.
const LARGE_CHUNK: usize = 4096;
/// Frames of one chunk of silence.
const SILENCE_FRAMES: u64 = 4096;

/// What PCM is to look like, whatever the media is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputOptions {
    /// Rate in Hz, from 4,000 to 768,000. Default `None`: that of the media (the first of it).
    pub rate: Option<u32>,
    /// Channels. Default `None`: those of the media (the first of it). Fewer are made by the downmix of ITU-R BS.775, more
    /// by leaving the positions that the media lacks silent; from mono, front left and right get a copy each.
    pub layout: Option<ChannelLayout>,
    /// Filter of the resampler, where the rate of the media is another. Default [`ResampleQuality::Best`].
    pub quality: ResampleQuality,
}

impl OutputOptions {
    /// Sets [`quality`](Self::quality).
    #[must_use]
    pub fn with_quality(mut self, quality: ResampleQuality) -> Self {
        self.quality = quality;
        self
    }

    /// Sets [`rate`](Self::rate).
    #[must_use]
    pub fn with_rate(mut self, rate: impl Into<Option<u32>>) -> Self {
        self.rate = rate.into();
        self
    }

    /// Sets [`layout`](Self::layout).
    #[must_use]
    pub fn with_layout(mut self, layout: impl Into<Option<ChannelLayout>>) -> Self {
        self.layout = layout.into();
        self
    }

    /// Sets [`layout`](Self::layout) to the usual one of so many channels; 0 or `None`: that of the media.
    #[must_use]
    pub fn with_channels(self, channels: impl Into<Option<u16>>) -> Self {
        self.with_layout(channels.into().filter(|&channels| channels > 0).map(ChannelLayout::of_count))
    }
}

/// What comes out is one gapless run of frames from the start, or from the last [`seek`](Self::seek), on.
///
/// Input comes in *runs* of one rate and channel count whose positions follow each other. Where the positions of two runs
/// overlap, the later one loses its beginning; where they leave a hole, there is silence.
pub(crate) struct Output {
    pool: SamplePool,
    options: OutputOptions,
    /// What comes in goes out as it is; positions count frames of the rate that rules.
    is_native: bool,
    /// Frames of the next chunk, if the packets come out even: grows from a small one, at the start and after each seek, up to
    /// `LARGE_CHUNK`.
    target: usize,
    /// Frames that were added last.
    added: usize,
    spec: Option<AudioSpec>,
    run: Option<Run>,
    /// The resampler of the last run: its tables take longer to make than a seek should.
    spare: Option<ResamplerProcessor>,
    mixed: Vec<f32>,
    mixer: Option<Mixer>,
    /// Made, in order, perhaps with holes between them.
    ready: VecDeque<PcmChunk>,
    fill: Option<PcmChunk>,
    /// The frame that the next frame made will have. `None` before the first.
    made: Option<u64>,
    /// The frame that the next chunk handed out begins at.
    given: Option<u64>,
}

struct Run {
    input: AudioSpec,
    /// Position of the next input frame, at the input rate.
    next: i64,
    resampler: Option<ResamplerProcessor>,
}

/// Where frames come from.
#[derive(Clone, Copy)]
enum Frames<'a> {
    Decoded(&'a Decoded<'a>),
    Silence,
}

impl Output {
    pub(crate) fn new(pool: SamplePool, options: OutputOptions) -> Self {
        Self {
            pool,
            options,
            is_native: false,
            target: CHUNK_FRAMES,
            added: 0,
            spec: None,
            run: None,
            spare: None,
            mixed: Vec::new(),
            mixer: None,
            ready: VecDeque::new(),
            fill: None,
            made: None,
            given: None,
        }
    }

    /// Gives out every format as it comes in, where `native`, instead of one format for all.
    pub(crate) fn native(mut self, native: bool) -> Self {
        self.is_native = native;
        self
    }

    /// What comes out; known once the first input is.
    pub(crate) fn spec(&self) -> Option<AudioSpec> {
        self.spec
    }

    /// Fixes the output by the first input, if it is not fixed yet.
    pub(crate) fn learn_spec(&mut self, input: AudioSpec) -> AudioSpec {
        let OutputOptions { rate, layout, .. } = self.options;
        let rate = rate.filter(|&rate| rate > 0).unwrap_or(input.sample_rate);
        let layout = layout.filter(|layout| layout.channels() > 0).unwrap_or(input.layout);
        *self.spec.get_or_insert(AudioSpec::with_layout(rate, layout))
    }

    /// Position of the next output frame, at the output rate.
    pub(crate) fn made(&self) -> Option<u64> {
        self.made
    }

    /// How many frames at `input_rate` before a target must be given for the target to come out as in straight playback.
    pub(crate) fn warm_up(&self, input_rate: u32) -> u64 {
        let Some(spec) = self.spec else { return 0 };
        ResamplerProcessor::warm_up_of(input_rate, spec.sample_rate, self.options.quality)
    }

    /// Throws away what is not handed out yet; the next chunk begins at `frame`.
    pub(crate) fn seek(&mut self, frame: u64) {
        if let Some(Run { resampler: Some(resampler), .. }) = self.run.take() {
            self.spare = Some(resampler);
        }
        self.ready.clear();
        self.fill = None;
        self.target = CHUNK_FRAMES;
        self.made = Some(frame);
        self.given = Some(frame);
    }

    /// Takes `range` of the decoded frames, the first of which stands at `position` (frames at the input rate; before 0 is
    /// never heard).
    pub(crate) fn write(
        &mut self,
        decoded: &Decoded<'_>,
        range: Range<usize>,
        position: i64,
    ) -> Result<(), DecodeError> {
        self.take(Frames::Decoded(decoded), decoded.spec(), range, position)
    }

    /// Takes silence in place of `frames` frames that could not be decoded.
    pub(crate) fn write_silence(
        &mut self,
        input: AudioSpec,
        frames: u64,
        position: i64,
    ) -> Result<(), DecodeError> {
        let mut done = 0;
        while done < frames {
            let step = (frames - done).min(SILENCE_FRAMES);
            self.take(Frames::Silence, input, 0..step as usize, position.saturating_add_unsigned(done))?;
            done += step;
        }
        Ok(())
    }

    /// Ends the run: what the resampler holds back comes out.
    pub(crate) fn end_run(&mut self) -> Result<(), DecodeError> {
        let Some(Run { resampler: Some(mut resampler), .. }) = self.run.take() else { return Ok(()) };
        let ended = self.with_fill(resampler.next_output(), |_, out| resampler.flush(out));
        self.spare = Some(resampler);
        ended
    }

    /// Goes on after `frames` (at the output rate) of silence.
    pub(crate) fn skip(&mut self, frames: u64) -> Result<(), DecodeError> {
        self.end_run()?;
        self.seal();
        let made = self.made.unwrap_or(0);
        self.given.get_or_insert(self.ready.front().map_or(made, PcmChunk::position));
        self.made = Some(made.saturating_add(frames));
        Ok(())
    }

    /// The next chunk. Unless `all`, a chunk that is still small is kept to grow.
    pub(crate) fn next_chunk(&mut self, all: bool) -> Option<PcmChunk> {
        if self.ready.is_empty() && (all || self.is_full()) {
            self.seal();
        }
        let spec = self.ready.front().map(PcmChunk::spec).or(self.spec)?;
        let until =
            self.ready.front().map(PcmChunk::position).or_else(|| all.then_some(self.made).flatten())?;
        let given = *self.given.get_or_insert(until);
        if given < until {
            let frames = (until - given).min(SILENCE_FRAMES);
            self.given = Some(given + frames);
            let samples =
                self.pool.get_with(|out| out.resize(frames as usize * usize::from(spec.channels), 0.0));
            return Some(PcmChunk::new(spec, given, samples));
        }
        let chunk = self.ready.pop_front()?;
        let end = chunk.position() + chunk.frames() as u64;
        let follows = self.ready.front().map(PcmChunk::spec).or(self.spec);
        self.given = Some(follows.map_or(end, |follows| rescale(end, chunk.spec(), follows)));
        Some(chunk)
    }

    /// Whether another packet like the last one would be too much.
    fn is_full(&self) -> bool {
        let frames = self.fill.as_ref().map_or(0, PcmChunk::frames);
        frames >= CHUNK_FRAMES && frames + self.added > self.target
    }

    fn seal(&mut self) {
        if let Some(fill) = self.fill.take().filter(|fill| fill.frames() > 0) {
            self.ready.push_back(fill);
            self.target = (self.target * 2).min(LARGE_CHUNK);
        }
    }

    fn take(
        &mut self,
        frames: Frames<'_>,
        input: AudioSpec,
        mut range: Range<usize>,
        mut position: i64,
    ) -> Result<(), DecodeError> {
        input.check()?;
        let before_zero = usize::try_from(position.min(0).unsigned_abs()).unwrap_or(usize::MAX);
        range.start = range.start.saturating_add(before_zero).min(range.end);
        position = position.max(0);
        if range.is_empty() {
            return Ok(());
        }
        let mut spec = self.learn_spec(input);
        spec.check()?;
        if self.is_native && spec != input {
            self.change_spec(spec, input)?;
            spec = input;
        }
        self.continue_run(input, position, spec)?;
        if let Some(run) = &mut self.run {
            run.next = position.saturating_add_unsigned(range.len() as u64);
        }
        if input == spec {
            self.take_straight(frames, spec, range, position.unsigned_abs())
        } else {
            self.take_converted(frames, input, spec, range)
        }
    }

    /// From here on frames come out as `to`.
    fn change_spec(&mut self, from: AudioSpec, to: AudioSpec) -> Result<(), DecodeError> {
        self.end_run()?;
        self.seal();
        self.made = self.made.map(|made| rescale(made, from, to));
        self.spec = Some(to);
        if self.ready.is_empty() {
            self.given = self.given.map(|given| rescale(given, from, to));
        }
        Ok(())
    }

    /// Begins a new run unless this input continues the last.
    fn continue_run(&mut self, input: AudioSpec, position: i64, spec: AudioSpec) -> Result<(), DecodeError> {
        if self.run.as_ref().is_some_and(|run| run.input == input && run.next == position) {
            return Ok(());
        }
        self.end_run()?;
        let resampler = if input.sample_rate == spec.sample_rate {
            None
        } else {
            let spare = self.spare.take().filter(|spare| spare.fits(input.sample_rate, spec));
            let mut made = match spare {
                Some(spare) => spare,
                None => {
                    let (from, to) = (input.sample_rate, spec.sample_rate);
                    ResamplerProcessor::with_quality(from, to, spec.channels, self.options.quality)?
                }
            };
            made.start(position.unsigned_abs());
            Some(made)
        };
        self.run = Some(Run { input, next: position, resampler });
        Ok(())
    }

    /// The usual case: frames go as they are, from the codec's buffer to the chunk.
    fn take_straight(
        &mut self,
        frames: Frames<'_>,
        spec: AudioSpec,
        mut range: Range<usize>,
        position: u64,
    ) -> Result<(), DecodeError> {
        let surplus = self.made.map_or(0, |made| made.saturating_sub(position)).min(range.len() as u64);
        range.start += surplus as usize;
        if range.is_empty() {
            return Ok(());
        }
        self.with_fill(position + surplus, |_, out| {
            append(frames, range, spec, out);
            Ok(())
        })
    }

    fn take_converted(
        &mut self,
        frames: Frames<'_>,
        input: AudioSpec,
        spec: AudioSpec,
        range: Range<usize>,
    ) -> Result<(), DecodeError> {
        let Some(mut run) = self.run.take() else { return Ok(()) };
        let mut mixed = std::mem::take(&mut self.mixed);
        mixed.clear();
        let count = range.len();
        append(frames, range, input, &mut mixed);
        if input.layout != spec.layout {
            let mixer = self.mixer.take().filter(|mixer| mixer.fits(input.layout, spec.layout));
            let mut mixer = mixer.unwrap_or_else(|| Mixer::new(input.layout, spec.layout));
            mixer.mix(&mut mixed);
            self.mixer = Some(mixer);
        }
        let done = match &mut run.resampler {
            Some(resampler) => {
                self.with_fill(resampler.next_output(), |_, out| resampler.process(&mixed, out))
            }
            None => self.with_fill(run.next.unsigned_abs() - count as u64, |_, out| {
                out.extend_from_slice(&mixed);
                Ok(())
            }),
        };
        self.mixed = mixed;
        self.run = Some(run);
        done
    }

    /// Lets `append` add frames that stand at `position` to the chunk being filled, and drops those that come too late.
    fn with_fill(
        &mut self,
        position: u64,
        append: impl FnOnce(AudioSpec, &mut Vec<f32>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let Some(spec) = self.spec else { return Ok(()) };
        let channels = usize::from(spec.channels);
        if self.fill.as_ref().is_some_and(|fill| fill.position() + fill.frames() as u64 != position) {
            self.seal();
        }
        let mut fill = match self.fill.take() {
            Some(fill) => fill,
            None => PcmChunk::new(spec, position, self.new_buffer(channels)),
        };
        let before = fill.frames();
        let result = append(spec, fill.samples_vec());
        self.added = fill.frames() - before;
        let added = self.added as u64;
        let made = self.made.unwrap_or(position);
        if before == 0 {
            fill.drop_before(made);
        }
        self.made = Some(made.max(position + added));
        self.fill = (fill.frames() > 0).then_some(fill);
        result
    }

    fn new_buffer(&self, channels: usize) -> PooledSamples {
        self.pool.get_with(|samples| samples.reserve_exact(self.target * channels))
    }
}

/// A position in frames of another rate, as the placing of packets rounds it.
fn rescale(frames: u64, from: AudioSpec, to: AudioSpec) -> u64 {
    if from.sample_rate == to.sample_rate {
        return frames;
    }
    let frames = i64::try_from(frames).unwrap_or(i64::MAX);
    rescale_signed(frames, to.sample_rate, from.sample_rate.max(1)).unsigned_abs()
}

fn append(frames: Frames<'_>, range: Range<usize>, spec: AudioSpec, out: &mut Vec<f32>) {
    match frames {
        Frames::Decoded(decoded) => decoded.append_to(range, out),
        Frames::Silence => out.resize(out.len() + range.len() * usize::from(spec.channels), 0.0),
    }
}
