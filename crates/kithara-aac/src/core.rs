//! One raw data block after the other: elements, channels, and their memory between packets.

use crate::bits::BitReader;
use crate::config::{Config, ObjectType, Signalling};
use crate::filterbank::FilterBank;
use crate::ics::{Ics, IcsInfo, NOISE, WindowSequence};
use crate::layout::{Channel, Element, ElementKind, Elements, read_program};
use crate::ltp::LtpState;
use crate::noise::Noise;
use crate::output::Output;
use crate::predict::Predictor;
use crate::sbr::ElementSbr;
use crate::spectrum::{self, StereoMask};
use crate::tables::{self, Bands};
use crate::tns::{self, Direction};
use crate::{Error, Result};

/// What one channel keeps from packet to packet.
#[derive(Debug)]
struct ChannelState {
    spectrum: Vec<f32>,
    overlap: Vec<f32>,
    sequence: WindowSequence,
    /// Window shapes of the previous and of this packet.
    shapes: (usize, usize),
    plane: usize,
    predictor: Option<Box<Predictor>>,
    ltp: Option<Box<LtpState>>,
}

impl ChannelState {
    fn new(config: &Config, plane: usize) -> Self {
        Self {
            spectrum: vec![0.0; config.frame_length],
            overlap: vec![0.0; config.frame_length],
            sequence: WindowSequence::Long,
            shapes: (0, 0),
            plane,
            predictor: (config.object_type == ObjectType::Main).then(Box::default),
            ltp: (config.object_type == ObjectType::Ltp)
                .then(|| Box::new(LtpState::new(config.frame_length))),
        }
    }

    fn reset(&mut self) {
        self.overlap.fill(0.0);
        self.shapes = (0, 0);
        if let Some(predictor) = &mut self.predictor {
            predictor.reset();
        }
        if let Some(ltp) = &mut self.ltp {
            ltp.reset();
        }
    }

    fn take_windows(&mut self, info: &IcsInfo) {
        self.sequence = info.sequence;
        self.shapes = (self.shapes.1, info.shape);
    }

    /// Lets the previous packet fade out: the window's own slope keeps it free of clicks.
    fn conceal(&mut self) {
        self.spectrum.fill(0.0);
        self.sequence = WindowSequence::Long;
        self.shapes.0 = self.shapes.1;
    }
}

#[derive(Debug)]
struct ElementState {
    element: Element,
    channels: Vec<ChannelState>,
    decoded: bool,
    sbr: Option<Box<ElementSbr>>,
}

/// The decoder of raw data blocks of one configuration.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    bands: Bands,
    bank: &'static FilterBank,
    elements: Vec<ElementState>,
    ics: Box<[Ics; 2]>,
    /// The core's sound of one channel, where SBR follows.
    sound: Vec<f32>,
    /// The element that an extension in a fill element belongs to.
    last: Option<usize>,
    layout_changed: bool,
    /// Counts packets: what the noise depends on.
    pub(crate) position: u64,
    /// A tool of the last packet that was passed over.
    pub(crate) skipped: Option<&'static str>,
}

impl Core {
    pub(crate) fn new(config: Config) -> Self {
        let bands = tables::bands(tables::rate_index(config.sample_rate), config.frame_length);
        let bank = FilterBank::of(config.frame_length);
        crate::huffman::Books::get();
        let mut core = Self {
            config,
            bands,
            bank,
            elements: Vec::new(),
            ics: Box::new([Ics::new(), Ics::new()]),
            sound: Vec::new(),
            last: None,
            layout_changed: false,
            position: 0,
            skipped: None,
        };
        core.build();
        core
    }

    /// The output's channels in their order.
    pub(crate) fn channels(&self) -> Vec<Channel> {
        if self.config.ps == Signalling::Present {
            return vec![Channel::FrontLeft, Channel::FrontRight];
        }
        let mut channels: Vec<Channel> =
            self.config.elements.iter().flat_map(|e| e.channels[..e.count()].to_vec()).collect();
        channels.sort();
        channels
    }

    /// The channels are not known yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    fn doubles_rate(&self) -> bool {
        self.config.sbr == Signalling::Present && !self.config.is_downsampled()
    }

    pub(crate) fn output_rate(&self) -> u32 {
        if self.doubles_rate() { 2 * self.config.sample_rate } else { self.config.sample_rate }
    }

    /// Frames of one raw data block.
    pub(crate) fn block_frames(&self) -> usize {
        if self.doubles_rate() { 2 * self.config.frame_length } else { self.config.frame_length }
    }

    fn build(&mut self) {
        let order = self.channels();
        let plane = |channel: Channel| order.iter().position(|&c| c == channel).unwrap_or(0);
        let state = |&element: &Element| ElementState {
            element,
            channels: element.channels[..element.count()]
                .iter()
                .map(|&channel| ChannelState::new(&self.config, plane(channel)))
                .collect(),
            decoded: false,
            sbr: None,
        };
        self.elements = self.config.elements.iter().map(state).collect();
        if self.config.sbr == Signalling::Present {
            self.add_sbr();
        }
        self.layout_changed = true;
    }

    fn add_sbr(&mut self) {
        let config = &self.config;
        self.sound.resize(config.frame_length, 0.0);
        for element in &mut self.elements {
            element.sbr.get_or_insert_with(|| {
                let channels = element.channels.len();
                let (rate, frame) = (config.sample_rate, config.frame_length);
                Box::new(ElementSbr::new(channels, rate, frame, config.is_downsampled()))
            });
        }
        if let (Signalling::Present, [one]) = (config.ps, &mut self.elements[..])
            && let Some(sbr) = &mut one.sbr
        {
            sbr.add_stereo(config.is_downsampled());
        }
    }

    /// SBR has been found in a stream whose configuration does not tell of it. In a mono stream parametric
    /// stereo may begin with any packet, so that the output is stereo from now on.
    fn find_sbr(&mut self) {
        self.config.sbr = Signalling::Present;
        if self.config.ps == Signalling::Unknown {
            self.config.ps = Signalling::Present;
        }
        self.layout_changed = true;
        self.add_sbr();
    }

    pub(crate) fn reset(&mut self) {
        self.position = 0;
        for channel in self.elements.iter_mut().flat_map(|e| &mut e.channels) {
            channel.reset();
        }
        for sbr in self.elements.iter_mut().filter_map(|e| e.sbr.as_mut()) {
            sbr.reset();
        }
    }

    fn set_elements(&mut self, elements: Elements) {
        if self.config.elements != elements {
            self.config.elements = elements;
            self.config.limit_extensions();
            self.build();
        }
    }

    /// Decodes one raw data block to the end of `output`. After an error in the block, its undamaged
    /// elements sound, and the others fade out.
    pub(crate) fn decode(&mut self, reader: &mut BitReader<'_>, output: &mut Output) -> Result<()> {
        self.begin();
        self.skipped = None;
        let parsed = self.parse(reader);
        if self.elements.is_empty() {
            return parsed.and(Err(Error::NotConfigured));
        }
        let missing = self.elements.iter().any(|e| !e.decoded);
        self.render(output);
        self.position = self.position.wrapping_add(1);
        match parsed {
            Ok(()) if missing => Err(Error::packet("a channel of the configuration is missing")),
            other => other,
        }
    }

    fn begin(&mut self) {
        self.last = None;
        for element in &mut self.elements {
            element.decoded = false;
            if let Some(sbr) = &mut element.sbr {
                sbr.begin();
            }
        }
    }

    /// Sounds a packet that has been lost.
    pub(crate) fn conceal(&mut self, output: &mut Output) {
        self.begin();
        self.render(output);
        self.position = self.position.wrapping_add(1);
    }

    fn parse(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        let start = reader.position();
        loop {
            let id = reader.read(3);
            if id == 7 {
                return reader.check("packet");
            }
            let tag = if id == 6 { 0 } else { reader.read(4) as u8 };
            match id {
                0 => self.single(reader, ElementKind::Single, tag)?,
                1 => self.pair(reader, tag)?,
                2 => self.coupling(reader)?,
                3 => self.single(reader, ElementKind::LowFrequency, tag)?,
                4 => skip_data(reader, start),
                5 => self.program(reader, start)?,
                _ => self.fill(reader)?,
            }
            reader.check("packet")?;
        }
    }

    fn program(&mut self, reader: &mut BitReader<'_>, start: usize) -> Result<()> {
        // The tag has been read; the element is read from its start.
        let mut whole = reader.clone();
        whole.rewind(4);
        let elements = read_program(&mut whole, start)?;
        *reader = whole;
        if self.config.channel_configuration == 0 && self.elements.iter().all(|e| !e.decoded) {
            self.set_elements(elements);
        }
        Ok(())
    }

    /// Of the elements that the configuration names, the one that this is.
    fn find(&mut self, kind: ElementKind, tag: u8) -> Result<usize> {
        if self.elements.is_empty() {
            // Broadcasts leave the program configuration out: a pair is stereo, single channels are dual mono.
            let element = |kind, channels| Element { kind, tag: None, channels };
            let (left, right) = (Channel::FrontLeft, Channel::FrontRight);
            self.set_elements(match kind {
                ElementKind::Pair => [element(kind, [left, right])].into_iter().collect(),
                _ => [element(kind, [left; 2]), element(kind, [right; 2])].into_iter().collect(),
            });
        }
        let free = |kind| {
            self.elements.iter().position(|e| {
                !e.decoded && e.element.kind == kind && e.element.tag.is_none_or(|named| named == tag)
            })
        };
        free(kind)
            .or_else(|| match kind {
                ElementKind::Single => free(ElementKind::LowFrequency),
                ElementKind::LowFrequency => free(ElementKind::Single),
                ElementKind::Pair => None,
            })
            .ok_or(Error::packet("an element that the channel configuration does not have"))
    }

    fn single(&mut self, reader: &mut BitReader<'_>, kind: ElementKind, tag: u8) -> Result<()> {
        let index = self.find(kind, tag)?;
        let (bands, frame) = (&self.bands, self.config.frame_length);
        let ics = &mut self.ics[0];
        let channel = &mut self.elements[index].channels[0];
        ics.read(reader, None, self.config.object_type, bands)?;
        spectrum::read(reader, ics, bands, frame, &mut channel.spectrum)?;
        let noise = Noise::new(self.position, channel.plane, channel.plane);
        spectrum::substitute_noise(ics, bands, frame, &noise, &mut channel.spectrum, |_| false);
        predict(channel, ics, bands);
        finish(channel, ics, bands, self.bank)?;
        self.elements[index].decoded = true;
        self.last = Some(index);
        Ok(())
    }

    fn pair(&mut self, reader: &mut BitReader<'_>, tag: u8) -> Result<()> {
        let index = self.find(ElementKind::Pair, tag)?;
        let (bands, frame, object) = (&self.bands, self.config.frame_length, self.config.object_type);
        let [ics_l, ics_r] = &mut *self.ics;
        let [left, right] = &mut self.elements[index].channels[..] else {
            return Err(Error::packet("a channel pair in the place of a single channel"));
        };
        let mut mask = StereoMask::default();
        let (mut common_l, mut common_r) = (None, None);
        if reader.flag() {
            let (info, second) = IcsInfo::read(reader, object, bands, true)?;
            mask = StereoMask::read(reader, info.groups * info.max_sfb)?;
            common_l = Some(info);
            common_r = Some(IcsInfo { ltp: second, ..info });
        }
        let common = common_l.is_some();
        ics_l.read(reader, common_l, object, bands)?;
        spectrum::read(reader, ics_l, bands, frame, &mut left.spectrum)?;
        ics_r.read(reader, common_r, object, bands)?;
        spectrum::read(reader, ics_r, bands, frame, &mut right.spectrum)?;

        let noise = Noise::new(self.position, left.plane, left.plane);
        spectrum::substitute_noise(ics_l, bands, frame, &noise, &mut left.spectrum, |_| false);
        let noise = Noise::new(self.position, right.plane, left.plane);
        let correlated = |band: usize| mask.is_set(band) && ics_l.books[band] == NOISE;
        spectrum::substitute_noise(ics_r, bands, frame, &noise, &mut right.spectrum, correlated);
        if common {
            spectrum::sum_and_difference(
                [ics_l, ics_r],
                &mask,
                bands,
                frame,
                &mut left.spectrum,
                &mut right.spectrum,
            );
        }
        predict(left, ics_l, bands);
        predict(right, ics_r, bands);
        if common {
            spectrum::intensity(ics_r, &mask, bands, frame, &left.spectrum, &mut right.spectrum);
        }
        finish(left, ics_l, bands, self.bank)?;
        finish(right, ics_r, bands, self.bank)?;
        self.elements[index].decoded = true;
        self.last = Some(index);
        Ok(())
    }

    /// Reads past a coupling channel element.
    fn coupling(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        self.skipped = Some("A coupling channel element");
        let independent = reader.flag();
        let mut lists = 0;
        for _ in 0..reader.read(3) + 1 {
            lists += 1;
            let pair = reader.flag();
            reader.skip(4);
            if pair && reader.read(2) == 3 {
                lists += 1;
            }
        }
        reader.skip(4);
        let (bands, ics) = (&self.bands, &mut self.ics[0]);
        ics.read(reader, None, self.config.object_type, bands)?;
        let mut lines = [0.0; 1024];
        spectrum::read(reader, ics, bands, self.config.frame_length, &mut lines[..self.config.frame_length])?;
        let book = &crate::huffman::Books::get().scale_factor;
        for _ in 1..lists {
            if independent || reader.flag() {
                book.read(reader)?;
                continue;
            }
            for index in 0..ics.info.groups * ics.info.max_sfb {
                if ics.books[index] != 0 {
                    book.read(reader)?;
                }
            }
        }
        reader.check("packet")
    }

    fn fill(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        let mut count = reader.read(4) as usize;
        if count == 15 {
            count += reader.read(8) as usize;
            count -= 1;
        }
        let mut payload = reader.sub(8 * count)?;
        reader.skip(8 * count);
        let with_checksum = match (count, payload.read(4)) {
            (1.., 0xd) => false,
            (1.., 0xe) => true,
            _ => return Ok(()),
        };
        let Some(index) = self.last else { return Ok(()) };
        match self.config.sbr {
            Signalling::Absent => return Ok(()),
            Signalling::Unknown => self.find_sbr(),
            Signalling::Present => {}
        }
        if self.config.ps == Signalling::Unknown {
            self.find_sbr();
        }
        match &mut self.elements[index].sbr {
            Some(sbr) => sbr.read(&mut payload, with_checksum),
            None => Ok(()),
        }
    }

    fn render(&mut self, output: &mut Output) {
        let frame = self.config.frame_length;
        if self.layout_changed {
            self.layout_changed = false;
            output.set_channels(self.channels(), self.block_frames());
        }
        let frames = self.block_frames();
        let first = output.extend(frames);
        for element in &mut self.elements {
            for (index, channel) in element.channels.iter_mut().enumerate() {
                if !element.decoded {
                    channel.conceal();
                }
                let (planes, second) = output.planes.split_at_mut(channel.plane + 1);
                let plane = &mut planes[channel.plane][first..first + frames];
                let sound =
                    if element.sbr.is_some() { &mut self.sound[..frame] } else { &mut plane[..frame] };
                self.bank.synthesize(
                    &channel.spectrum,
                    channel.sequence,
                    channel.shapes,
                    &mut channel.overlap,
                    sound,
                );
                if let Some(ltp) = &mut channel.ltp {
                    ltp.update(sound, &channel.overlap);
                }
                let Some(sbr) = &mut element.sbr else { continue };
                let second = second.first_mut().map(|plane| &mut plane[first..first + frames]);
                match second {
                    Some(second) if self.config.ps == Signalling::Present => {
                        sbr.run_stereo(&self.sound, self.position, plane, second);
                    }
                    _ => sbr.run(index, &self.sound, self.position, plane),
                }
            }
        }
    }
}

/// Backward prediction of the Main profile.
fn predict(channel: &mut ChannelState, ics: &Ics, bands: &Bands) {
    if let Some(predictor) = &mut channel.predictor {
        predictor.apply(ics, bands, &mut channel.spectrum);
    }
}

/// Long term prediction and noise shaping; the spectrum is then complete.
fn finish(channel: &mut ChannelState, ics: &Ics, bands: &Bands, bank: &FilterBank) -> Result<()> {
    channel.take_windows(&ics.info);
    if let Some(ltp) = &mut channel.ltp {
        ltp.apply(ics, bands, bank, channel.shapes, &mut channel.spectrum);
    }
    tns::apply(ics, bands, bank.frame, Direction::Synthesis, &mut channel.spectrum);
    // Damaged scale factors and filters reach beyond what floats hold. A value that is no number fails too.
    if channel.spectrum.iter().fold(true, |fits, x| fits & (x.abs() < LOUDEST)) {
        Ok(())
    } else {
        Err(Error::packet("its spectrum is louder than any sound"))
    }
}

/// Full scale is 2^15, and a line's share of it at most 2^10 times that.
const LOUDEST: f32 = 1e12;

fn skip_data(reader: &mut BitReader<'_>, start: usize) {
    let aligned = reader.flag();
    let mut count = reader.read(8) as usize;
    if count == 255 {
        count += reader.read(8) as usize;
    }
    if aligned {
        reader.align_from(start);
    }
    reader.skip(8 * count);
}
