//! Spectral band replication (ISO/IEC 14496-3, 4.6.18).

mod data;
mod header;
mod high;
mod qmf;

use crate::Result;
use crate::bits::BitReader;
use crate::fft::Buffer;
use crate::ps::Stereo;
use crate::simd::Lanes;

use data::ChannelData;
use header::{Bands, Header};
use high::{AHEAD, Shape};
pub(crate) use high::{Plane, SPAN};
use qmf::{Analysis, CHUNK, Synthesis};

/// Samples of a band that are kept for the next packet.
const KEPT: usize = 8;

/// One channel of SBR.
#[derive(Debug)]
struct Channel {
    analysis: Analysis,
    synthesis: Synthesis,
    low: Plane<32>,
    high: Plane<64>,
    data: ChannelData,
    shape: Shape,
    /// Samples of the high range that the last packet made beyond its end, and the range that they have.
    tail: usize,
    tail_range: (usize, usize),
}

impl Channel {
    fn new(bands: usize) -> Self {
        Self {
            analysis: Analysis::new(),
            synthesis: Synthesis::new(bands),
            low: Plane::new(),
            high: Plane::new(),
            data: ChannelData::new(),
            shape: Shape::new(),
            tail: 0,
            tail_range: (32, 0),
        }
    }

    fn reset(&mut self) {
        self.analysis.reset();
        self.synthesis.reset();
        self.low.clear();
        self.high.clear();
        self.data.reset();
        self.shape = Shape::new();
        (self.tail, self.tail_range) = (0, (32, 0));
    }

    fn analyze(&mut self, sound: &[f32]) {
        let mut x = Buffer::new();
        for (chunk, part) in sound.chunks(32 * CHUNK).enumerate() {
            self.analysis.run(part, &mut x);
            let at = KEPT + chunk * CHUNK;
            // Of the last chunk, samples beyond the packet are written too: none of them is read.
            for k in 0..32 {
                self.low.re[k][at..at + CHUNK].copy_from_slice(&x.re[k]);
                self.low.im[k][at..at + CHUNK].copy_from_slice(&x.im[k]);
            }
        }
    }

    /// One band's eight samples from `at` on, of the range given.
    #[inline(always)]
    fn band(&self, k: usize, at: usize, range: (usize, usize)) -> (Lanes, Lanes) {
        let (re, im, first) = if k < range.0.min(32) {
            (&self.low.re[k], &self.low.im[k], at + AHEAD)
        } else if k >= range.0 && k < range.0 + range.1 {
            (&self.high.re[k], &self.high.im[k], at)
        } else {
            return ([0.0; 8], [0.0; 8]);
        };
        let lanes = |row: &[f32; SPAN]| row[first..].first_chunk().copied().unwrap_or_default();
        (lanes(re), lanes(im))
    }

    /// The bands of eight samples from `at` on.
    fn assemble(&self, at: usize, range: (usize, usize), x: &mut Buffer) {
        let before = self.tail.saturating_sub(at).min(CHUNK);
        for k in 0..64 {
            (x.re[k], x.im[k]) = self.band(k, at, range);
        }
        if before > 0 {
            for k in 0..64 {
                let (re, im) = self.band(k, at, self.tail_range);
                for i in 0..before {
                    (x.re[k][i], x.im[k][i]) = (re[i], im[i]);
                }
            }
        }
    }

    /// Moves to the next packet. `end`: where this one's high range ends.
    fn advance(&mut self, samples: usize, end: usize, range: (usize, usize)) {
        self.low.shift::<KEPT>(samples);
        self.high.shift::<SPAN_OF_TAIL>(samples);
        self.tail = end.saturating_sub(samples);
        self.tail_range = range;
        for row in self.high.re.iter_mut().chain(self.high.im.iter_mut()) {
            row[SPAN_OF_TAIL..].fill(0.0);
        }
    }
}

/// The most samples that a packet's envelopes reach beyond its end.
const SPAN_OF_TAIL: usize = 6;

/// Parametric stereo, and the second channel that it makes.
#[derive(Debug)]
struct StereoState {
    stereo: Stereo,
    left: Plane<64>,
    right: Plane<64>,
    synthesis: Synthesis,
}

/// SBR of one syntactic element.
#[derive(Debug)]
pub(crate) struct ElementSbr {
    channels: Vec<Channel>,
    header: Option<Header>,
    bands: Option<Bands>,
    /// This packet has data.
    fresh: bool,
    stereo: Option<Box<StereoState>>,
    rate: u32,
    /// Samples of each core frame.
    frame: usize,
}

impl ElementSbr {
    /// `rate`: of the core. `downsampled`: the output stays at the core's rate.
    pub(crate) fn new(channels: usize, rate: u32, frame: usize, downsampled: bool) -> Self {
        let bands = if downsampled { 32 } else { 64 };
        Self {
            channels: (0..channels).map(|_| Channel::new(bands)).collect(),
            header: None,
            bands: None,
            fresh: false,
            stereo: None,
            rate: 2 * rate,
            frame,
        }
    }

    /// Lets parametric stereo make two channels of the only one.
    pub(crate) fn add_stereo(&mut self, downsampled: bool) {
        self.stereo.get_or_insert_with(|| {
            Box::new(StereoState {
                stereo: Stereo::new(),
                left: Plane::new(),
                right: Plane::new(),
                synthesis: Synthesis::new(if downsampled { 32 } else { 64 }),
            })
        });
    }

    pub(crate) fn reset(&mut self) {
        // The header stays: it may be sent rarely.
        self.fresh = false;
        for channel in &mut self.channels {
            channel.reset();
        }
        if let Some(state) = &mut self.stereo {
            state.stereo.reset();
            state.synthesis.reset();
        }
    }

    /// The packet has begun: its data is not there yet.
    pub(crate) fn begin(&mut self) {
        self.fresh = false;
        if let Some(state) = &mut self.stereo {
            state.stereo.begin();
        }
    }

    /// Reads `sbr_extension_data()`.
    pub(crate) fn read(&mut self, reader: &mut BitReader<'_>, with_checksum: bool) -> Result<()> {
        self.fresh = false;
        if with_checksum {
            reader.skip(10);
        }
        if reader.flag() {
            let header = Header::read(reader);
            self.take_header(header)?;
        }
        let (Some(header), Some(bands)) = (self.header, self.bands) else {
            // Sound begins with the first header: until then the core is heard alone.
            return Ok(());
        };
        match &mut self.channels[..] {
            [one] => read_single(reader, one, &header, &bands, self.frame)?,
            [left, right] => read_pair(reader, left, right, &header, &bands, self.frame)?,
            _ => {}
        }
        if reader.flag() {
            self.read_extensions(reader)?;
        }
        reader.check("SBR data")?;
        self.fresh = true;
        Ok(())
    }

    fn take_header(&mut self, header: Header) -> Result<()> {
        let known = self.header.zip(self.bands);
        match known {
            Some((old, _)) if old.has_same_bands(&header) => {
                if !old.has_same_limiter(&header)
                    && let Some(bands) = &mut self.bands
                {
                    bands.set_limiter(&header)?;
                }
            }
            _ => {
                self.bands = None;
                self.bands = Some(Bands::new(&header, self.rate)?);
                for channel in &mut self.channels {
                    channel.shape.restart();
                }
            }
        }
        self.header = Some(header);
        Ok(())
    }

    fn read_extensions(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        let mut bytes = reader.read(4) as usize;
        if bytes == 15 {
            bytes += reader.read(8) as usize;
        }
        let mut extension = reader.sub(8 * bytes)?;
        reader.skip(8 * bytes);
        // Parametric stereo is the only extension, and of several the first one counts.
        if bytes > 0
            && extension.read(2) == 2
            && let Some(state) = &mut self.stereo
        {
            state.stereo.read(&mut extension, self.frame / 32)?;
        }
        Ok(())
    }

    /// Analyses the core's sound and makes the high range. Returns the ranges of the bands and where the
    /// high range ends.
    fn fill_bands(&mut self, channel: usize, core: &[f32], position: u64) -> ((usize, usize), usize) {
        let samples = self.frame / 32;
        let known = self.header.zip(self.bands).filter(|_| self.fresh);
        let channel = &mut self.channels[channel];
        channel.analyze(core);
        let Some((header, bands)) = known else { return ((32, 0), 0) };
        let first = position.wrapping_mul(samples as u64);
        let Channel { low, high, data, shape, .. } = channel;
        high::generate(low, high, shape, data, &bands, samples);
        high::adjust(high, shape, data, &header, &bands, first);
        ((bands.first, bands.count), 2 * data.grid.end())
    }

    /// Turns the core's sound into the output's. `position`: of the packet in the stream.
    pub(crate) fn run(&mut self, channel: usize, core: &[f32], position: u64, out: &mut [f32]) {
        let samples = self.frame / 32;
        let (range, end) = self.fill_bands(channel, core, position);
        let channel = &mut self.channels[channel];
        let mut x = Buffer::new();
        let per_sample = out.len() / samples;
        for (chunk, part) in out.chunks_mut(CHUNK * per_sample).enumerate() {
            channel.assemble(chunk * CHUNK, range, &mut x);
            channel.synthesis.run(&x, part);
        }
        channel.advance(samples, end, range);
    }

    /// Turns the core's only channel into two. False without parametric stereo.
    pub(crate) fn run_stereo(
        &mut self,
        core: &[f32],
        position: u64,
        left: &mut [f32],
        right: &mut [f32],
    ) -> bool {
        if self.stereo.is_none() {
            return false;
        }
        let samples = self.frame / 32;
        let (range, end) = self.fill_bands(0, core, position);
        let (Some(state), channel) = (&mut self.stereo, &mut self.channels[0]) else { return false };
        let mut x = Buffer::new();
        for chunk in 0..samples.div_ceil(CHUNK) {
            let at = chunk * CHUNK;
            channel.assemble(at, range, &mut x);
            for k in 0..64 {
                state.left.re[k][at..at + CHUNK].copy_from_slice(&x.re[k]);
                state.left.im[k][at..at + CHUNK].copy_from_slice(&x.im[k]);
            }
        }
        // The splitting filters look six samples ahead.
        for k in 0..3 {
            state.left.re[k][samples..samples + 6]
                .copy_from_slice(&channel.low.re[k][samples + AHEAD..][..6]);
            state.left.im[k][samples..samples + 6]
                .copy_from_slice(&channel.low.im[k][samples + AHEAD..][..6]);
        }
        state.stereo.run(&mut state.left, &mut state.right, samples);
        let per_sample = left.len() / samples;
        let sides =
            [(&state.left, &mut channel.synthesis, left), (&state.right, &mut state.synthesis, right)];
        for (plane, synthesis, out) in sides {
            for (chunk, part) in out.chunks_mut(CHUNK * per_sample).enumerate() {
                let at = chunk * CHUNK;
                for k in 0..64 {
                    x.re[k].copy_from_slice(&plane.re[k][at..at + CHUNK]);
                    x.im[k].copy_from_slice(&plane.im[k][at..at + CHUNK]);
                }
                synthesis.run(&x, part);
            }
        }
        channel.advance(samples, end, range);
        true
    }
}

fn read_single(
    reader: &mut BitReader<'_>,
    one: &mut Channel,
    header: &Header,
    bands: &Bands,
    frame: usize,
) -> Result<()> {
    if reader.flag() {
        reader.skip(4);
    }
    let data = &mut one.data;
    data.read_grid(reader, header, frame / 64)?;
    data.read_directions(reader);
    data.read_inverse(reader, bands);
    data.read_envelopes(reader, bands, false)?;
    data.read_noises(reader, bands, false)?;
    data.read_sinusoids(reader, bands);
    data.dequantise();
    Ok(())
}

fn read_pair(
    reader: &mut BitReader<'_>,
    left: &mut Channel,
    right: &mut Channel,
    header: &Header,
    bands: &Bands,
    frame: usize,
) -> Result<()> {
    if reader.flag() {
        reader.skip(8);
    }
    let (l, r) = (&mut left.data, &mut right.data);
    let slots = frame / 64;
    if reader.flag() {
        l.read_grid(reader, header, slots)?;
        r.share_grid(l);
        l.read_directions(reader);
        r.read_directions(reader);
        l.read_inverse(reader, bands);
        r.share_inverse(l);
        l.read_envelopes(reader, bands, false)?;
        l.read_noises(reader, bands, false)?;
        r.read_envelopes(reader, bands, true)?;
        r.read_noises(reader, bands, true)?;
        l.read_sinusoids(reader, bands);
        r.read_sinusoids(reader, bands);
        ChannelData::dequantise_coupled(l, r);
    } else {
        l.read_grid(reader, header, slots)?;
        r.read_grid(reader, header, slots)?;
        l.read_directions(reader);
        r.read_directions(reader);
        l.read_inverse(reader, bands);
        r.read_inverse(reader, bands);
        l.read_envelopes(reader, bands, false)?;
        r.read_envelopes(reader, bands, false)?;
        l.read_noises(reader, bands, false)?;
        r.read_noises(reader, bands, false)?;
        l.read_sinusoids(reader, bands);
        r.read_sinusoids(reader, bands);
        l.dequantise();
        r.dequantise();
    }
    Ok(())
}
