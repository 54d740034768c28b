//! Native FLAC files, also several joined into one.
//!
//! Frames carry their own parameters and numbers, which rule over STREAMINFO and over the seek table:
//! both are often wrong after editing, and libFLAC and ffmpeg play such files by their frames.

mod frame;
mod metadata;
mod search;

use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;

use self::frame::{HEADER_MAX, Header, Shape, StreamInfo};
use self::metadata::Metadata;
use super::ape;
use super::details::Tags;
use super::format_reader::{Event, FormatReader, MAX_HOLE_SECONDS, Opened, Packet, Stream};
use super::formats::FormatDescriptor;
use super::source::Window;
use crate::DecodeError;
use crate::codecs::CodecParameters;
use crate::demux::id3;
use crate::rescale::rescale;

/// Samples that a codec has room for once a block was larger than STREAMINFO allows.
const LARGEST_BLOCK: u32 = 65_535;

pub(super) const FORMAT: FormatDescriptor = FormatDescriptor::new(
    "flac",
    |head| head.starts_with(b"fLaC"),
    |window, context| open(window, context.tags),
)
.with_probe(|window, search| Ok(!search.is_start && window.peek(6)?.starts_with(b"fLaC\0\0")), b"f");

pub(super) struct FlacFile {
    window: Window,
    /// The streams that were joined into this file, as far as they are known, in order: at least one.
    parts: Vec<Part>,
    /// The part being read.
    current: usize,
    /// Bytes of the packet given last.
    given: usize,
    /// The sample that the next frame should begin with; `None` after a move.
    expected: Option<u64>,
    /// Where to end if nothing else follows the packets given so far.
    end: u64,
    /// Sample numbers go back somewhere ahead: only reading from the start finds a sample.
    is_unordered: bool,
    /// Metadata of a part that has begun, until it is taken.
    new_tags: Option<Tags>,
    /// The parameters that the codec was given last.
    announced: (Shape, u32),
}

/// One of the streams joined into a file.
#[derive(Clone, Debug)]
struct Part {
    info: StreamInfo,
    shape: Shape,
    /// Samples per channel that no block exceeds.
    largest: u32,
    /// Samples that frame numbers count in, where blocks are all alike.
    block: u32,
    /// Offset and sample number of the first frame.
    first: (u64, u64),
    /// Position of the first frame, at the rate of the first part.
    base: u64,
    /// Sample numbers and offsets of frames, in order, from the seek table.
    points: Vec<(u64, u64)>,
}

/// A sound frame at the window's position.
#[derive(Clone, Copy, Debug)]
struct Frame {
    header: Header,
    /// Bytes, all of which are at hand.
    len: usize,
}

impl Part {
    fn new(frame: &Header, offset: u64, metadata: Metadata, base: u64) -> Option<Self> {
        let Metadata { info, mut points, .. } = metadata;
        let shape = frame.shape(info.shape())?;
        // A lone frame may be shorter than the others: then the header may know.
        let block = info.fixed_block().filter(|&stated| frame.number > 0 && stated > frame.block);
        let block = block.unwrap_or(frame.block);
        for point in &mut points {
            point.1 = point.1.saturating_add(offset);
        }
        let mut part = Self {
            info,
            shape,
            largest: frame.block.max(info.max_block),
            block,
            first: (offset, 0),
            base,
            points,
        };
        part.first.1 = part.sample_of(frame);
        Some(part)
    }

    /// Number of a frame's first sample.
    fn sample_of(&self, header: &Header) -> u64 {
        let unit = if header.is_variable { 1 } else { u64::from(self.block) };
        header.number.saturating_mul(unit)
    }

    /// Position of a sample, at `rate`, the rate of the first part.
    fn position_of(&self, sample: u64, rate: u32) -> u64 {
        let samples = sample.saturating_sub(self.first.1);
        self.base.saturating_add(rescale(samples, rate, self.shape.sample_rate))
    }

    /// The sample at a position.
    fn sample_at(&self, position: u64, rate: u32) -> u64 {
        let samples = rescale(position.saturating_sub(self.base), self.shape.sample_rate, rate);
        self.first.1.saturating_add(samples)
    }
}

/// Opens the FLAC stream that begins at the window's position.
fn open(mut window: Window, tags: Tags) -> Result<Opened, DecodeError> {
    let mut metadata = metadata::read(&mut window)?;
    let mut file = FlacFile {
        window,
        parts: Vec::new(),
        current: 0,
        given: 0,
        expected: None,
        end: 0,
        is_unordered: false,
        new_tags: None,
        announced: (Shape::default(), 0),
    };
    let Some((frame, _)) = file.locate(metadata.info.total)? else {
        return Err(DecodeError::Malformed("FLAC without a sound frame".into()));
    };
    let mut found = std::mem::take(&mut metadata.tags);
    found.fill_from(tags);
    let stated = metadata.info.total;
    let part = Part::new(&frame.header, file.window.offset(), metadata, 0);
    let part = part.ok_or_else(|| DecodeError::Malformed("FLAC with an impossible STREAMINFO".into()))?;
    let (shape, first) = (part.shape, part.first.1);
    let codec = parameters(shape, part.largest);
    file.announced = (shape, part.largest);
    file.parts.push(part);
    let (total, estimate) = match file.survey()? {
        Some(survey) => (survey.total, survey.estimate),
        None => (stated, None),
    };
    let stream = Stream {
        container: "flac",
        sample_rate: shape.sample_rate,
        channels: shape.channels,
        bits_per_sample: Some(shape.bits),
        end: None,
        total: total.map(|total| total.saturating_sub(first)).filter(|&total| total > 0),
        estimate,
        frames_per_packet: None,
        tags: found,
    };
    Ok(Opened { reader: Box::new(file), codec, stream })
}

fn parameters(shape: Shape, block: u32) -> CodecParameters {
    let mut params = CodecParameters::new(CODEC_ID_FLAC, shape.sample_rate, shape.channels);
    params.with_extra_data(frame::stream_info(shape, block)).with_bits_per_sample(shape.bits);
    params
}

impl FlacFile {
    /// Moves the window to the next sound frame, and tells which metadata it passed on the way: that of
    /// another stream, joined to this one. `total` is the sample number at which frames should end.
    fn locate(&mut self, total: Option<u64>) -> Result<Option<(Frame, Option<Metadata>)>, DecodeError> {
        self.window.consume(std::mem::take(&mut self.given));
        let mut passed = None;
        loop {
            let data = self.window.peek(HEADER_MAX)?;
            if let Some(header) = frame::parse(data) {
                if let Some(len) = self.measure(&header, total)? {
                    return Ok(Some((Frame { header, len }, passed)));
                }
                self.window.consume(1);
                continue;
            }
            if data.len() < 6 {
                return Ok(None);
            }
            if data.starts_with(b"fLaC\0\0\0\x22") {
                let start = self.window.offset();
                match metadata::read(&mut self.window) {
                    Ok(metadata) => passed = Some(metadata),
                    Err(DecodeError::Io(error)) => return Err(DecodeError::Io(error)),
                    Err(_) => self.window.move_to(start + 4)?,
                }
                continue;
            }
            if let Some(len) = id3::tag_len(data).or_else(|| ape::tag_len(data)) {
                self.window.skip(len)?;
                continue;
            }
            let next = data[1..].iter().position(|&byte| matches!(byte, 0xFF | b'f' | b'I' | b'A'));
            let skip = next.unwrap_or(data.len() - 1) + 1;
            self.window.consume(skip);
        }
    }

    /// Length of the frame at the window's position, all of which is then at hand. `None` when it is
    /// damaged or cut off.
    fn measure(&mut self, header: &Header, total: Option<u64>) -> Result<Option<usize>, DecodeError> {
        let longest = header.longest();
        let (shortest, end) = match self.parts.get(self.current) {
            Some(part) => (part.info.min_frame, part.sample_of(header) + u64::from(header.block)),
            // The first frame of the file, with number 0 unless the file was cut out of a longer one.
            None => (0, header.number.saturating_add(header.block.into())),
        };
        let mut searched = shortest as usize;
        loop {
            let wanted = searched + HEADER_MAX + 1;
            let data = self.window.peek(wanted)?;
            let is_all = data.len() < wanted;
            let known = data.len().min(longest + HEADER_MAX);
            if let Some(len) = frame::length_to_next(&data[..known], header, searched) {
                return Ok(Some(len));
            }
            if is_all || known > longest {
                // STREAMINFO may be wrong about the shortest frame.
                if let Some(len) = frame::length_to_next(&data[..known], header, 0) {
                    return Ok(Some(len));
                }
                let is_last = total.is_none_or(|total| end >= total);
                return Ok(frame::length_alone(
                    &data[..known],
                    header,
                    is_all && known == data.len(),
                    is_last,
                ));
            }
            searched = known.saturating_sub(HEADER_MAX);
        }
    }

    /// Moves to the next sound frame, in whichever part it is, and gives the number of its first sample.
    fn advance(&mut self) -> Result<Option<(Frame, u64)>, DecodeError> {
        let total = self.parts.get(self.current).and_then(|part| part.info.total);
        let Some((frame, passed)) = self.locate(total)? else { return Ok(None) };
        let offset = self.window.offset();
        let Some(part) = self.parts.get(self.current) else { return Ok(None) };
        let sample = part.sample_of(&frame.header);
        let goes_back = self.expected.is_some_and(|expected| sample < expected);
        let shape = frame.header.shape(part.shape);
        if passed.is_none() && !goes_back && shape == Some(part.shape) {
            return Ok(Some((frame, sample)));
        }
        if let Some(next) = self.parts.get(self.current + 1)
            && next.first.0 == offset
        {
            self.expected = None;
            self.current += 1;
            return Ok(Some((frame, next.first.1)));
        }
        let info = StreamInfo::unknown(part.shape);
        self.new_tags = passed.as_ref().map(|metadata| metadata.tags.clone());
        let metadata = passed.unwrap_or(Metadata { info, points: Vec::new(), tags: Tags::default() });
        let Some(part) = Part::new(&frame.header, offset, metadata, self.end) else {
            return Err(DecodeError::Malformed("FLAC frames without a sample rate".into()));
        };
        self.expected = None;
        let sample = part.first.1;
        self.parts.truncate(self.current + 1);
        self.parts.push(part);
        self.current += 1;
        Ok(Some((frame, sample)))
    }

    /// Counts the frame at hand as passed. Gives its position and length, at the rate of the first part.
    fn pass(&mut self, frame: &Frame, sample: u64) -> (u64, u64) {
        let rate = self.parts.first().map_or(1, |part| part.shape.sample_rate);
        let Some(part) = self.parts.get_mut(self.current) else { return (0, 0) };
        if frame.header.block > part.largest {
            part.largest = LARGEST_BLOCK;
        }
        let after = sample.saturating_add(frame.header.block.into());
        let (position, end) = (part.position_of(sample, rate), part.position_of(after, rate));
        self.given = frame.len;
        self.expected = Some(after);
        self.end = end;
        (position, end - position)
    }
}

impl FormatReader for FlacFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        let expected = self.expected;
        let part_before = self.current;
        let Some((frame, sample)) = self.advance()? else { return Ok(Event::End) };
        let Some(part) = self.parts.get(self.current) else { return Ok(Event::End) };
        // Frames were lost: the ones behind them keep their place.
        let is_sound = part.info.total.is_none_or(|total| sample < total);
        let most = u64::from(part.shape.sample_rate) * MAX_HOLE_SECONDS.unsigned_abs();
        let is_hole = |expected: u64| (expected + 1..=expected.saturating_add(most)).contains(&sample);
        let is_discontinuity = is_sound && self.current == part_before && expected.is_some_and(is_hole);
        let (position, frames) = self.pass(&frame, sample);
        let Some(part) = self.parts.get(self.current) else { return Ok(Event::End) };
        let wanted = (part.shape, part.largest);
        let change = (wanted != self.announced).then(|| parameters(wanted.0, wanted.1));
        self.announced = wanted;
        Ok(Event::Packet(Packet {
            data: &self.window.available()[..frame.len],
            position: i64::try_from(position).ok(),
            frames: frames.max(1),
            trim_end: 0,
            change,
            is_discontinuity,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        self.seek_to(frame.max(0).unsigned_abs())
    }

    fn exceeds_declared_length(&self) -> bool {
        self.parts.len() > 1
    }

    fn take_tags(&mut self) -> Option<Tags> {
        self.new_tags.take()
    }

    fn resume(&mut self) {
        self.window.source_mut().resume();
    }
}
