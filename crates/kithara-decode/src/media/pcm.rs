//! Samples as they lie in the file, one frame behind the other: what is left of a container once its header is read.

use symphonia::core::codecs::audio::AudioCodecId;

use super::backend::{Backend, Event, Opened, Packet, Stream};
use super::details::Tags;
use super::source::Window;
use crate::DecodeError;
use crate::codec::{CodecDecoder, plain_parameters};

/// Frames of a packet, and bytes that it does not exceed for them.
const FRAMES: u64 = 1152;
const MAX_BYTES: u64 = 64 * 1024;
/// More are not believed.
const MAX_CHANNELS: u16 = 255;

/// How samples are written.
pub(super) struct Layout {
    pub(super) codec: AudioCodecId,
    /// Bytes of one sample.
    pub(super) bytes: u16,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
}

/// Frames from `start` of the window on, up to its end.
struct PcmFile {
    window: Window,
    start: u64,
    /// Bytes of a frame.
    block: u64,
    /// Of the packet that was given last.
    given: usize,
}

/// Opens the samples that begin at the window's position, and end with it.
pub(super) fn open(container: &'static str, window: Window, layout: &Layout) -> Result<Opened, DecodeError> {
    let Layout { codec, bytes, sample_rate, channels } = *layout;
    let block = u64::from(bytes) * u64::from(channels);
    if block == 0 || sample_rate == 0 {
        return Err(DecodeError::Malformed("audio without a rate or channels".into()));
    }
    if channels > MAX_CHANNELS {
        return Err(DecodeError::Unsupported(format!("PCM with {channels} channels")));
    }
    let start = window.offset();
    let frames = window.byte_len().map(|len| len.saturating_sub(start) / block);
    let codec = CodecDecoder::for_params(plain_parameters(codec, sample_rate, channels))?;
    let stream = Stream {
        container,
        sample_rate,
        channels,
        bits_per_sample: Some(8 * u32::from(bytes)),
        end: frames,
        total: frames,
        estimate: None,
        preroll: 0,
        tags: Tags::default(),
    };
    let backend = Box::new(PcmFile { window, start, block, given: 0 });
    Ok(Opened { backend, codec, stream })
}

impl Backend for PcmFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        self.window.consume(std::mem::take(&mut self.given));
        let frame = (self.window.offset() - self.start) / self.block;
        let most = FRAMES.min(MAX_BYTES / self.block) * self.block;
        let there = self.window.peek(most as usize)?.len() as u64;
        let frames = there.min(most) / self.block;
        if frames == 0 {
            return Ok(Event::End);
        }
        self.given = (frames * self.block) as usize;
        Ok(Event::Packet(Packet {
            data: &self.window.available()[..self.given],
            position: Some(frame as i64),
            frames,
            trim_end: 0,
            change: None,
            is_discontinuity: false,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        let ahead = frame.max(0).unsigned_abs().checked_mul(self.block);
        let Some(offset) = ahead.and_then(|ahead| ahead.checked_add(self.start)) else { return Ok(false) };
        if self.window.byte_len().is_some_and(|len| offset >= len) {
            return Ok(false);
        }
        self.given = 0;
        self.window.move_to(offset)?;
        Ok(true)
    }

    fn resume(&mut self) {
        self.window.source_mut().resume();
    }
}
