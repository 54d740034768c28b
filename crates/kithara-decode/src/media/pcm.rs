//! PCM, G.711 and blocks of ADPCM as they lie in WAV, AIFF, AU and CAF once the header is read.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::CODEC_ID_ADPCM_IMA_QT;

use super::details::Tags;
use super::format_reader::{Event, FormatReader, Opened, Packet, Stream};
use super::source::Window;
use crate::DecodeError;
use crate::codecs::CodecParameters;

/// Frames of a packet, and bytes that it does not exceed for them.
const FRAMES: u64 = 1152;
const MAX_BYTES: u64 = 64 * 1024;
/// A larger count is refused.
const MAX_CHANNELS: u16 = 255;

/// Sample format and shape.
pub(super) struct Layout {
    pub(super) codec: AudioCodecId,
    /// Bytes of one channel's part of a block.
    pub(super) bytes: u16,
    /// Frames of a block: 1, except for ADPCM.
    pub(super) frames: u16,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
}

impl Layout {
    /// Samples of `bytes` bytes each.
    pub(super) fn pcm(codec: AudioCodecId, bytes: u16, sample_rate: u32, channels: u16) -> Self {
        Self { codec, bytes, frames: 1, sample_rate, channels }
    }

    /// IMA ADPCM as QuickTime has it (`ima4`): 64 frames in 34 bytes for each channel.
    pub(super) fn ima4(sample_rate: u32, channels: u16) -> Self {
        Self { codec: CODEC_ID_ADPCM_IMA_QT, bytes: 34, frames: 64, sample_rate, channels }
    }

    /// Parameters of the codec.
    pub(super) fn params(&self) -> CodecParameters {
        let mut params = CodecParameters::new(self.codec, self.sample_rate, self.channels);
        if self.frames > 1 {
            let frames = u64::from(self.frames);
            params.with_blocks(frames, FRAMES.max(frames));
        }
        params
    }
}

/// Blocks from `start` of the window on, up to its end.
struct PcmFile {
    window: Window,
    start: u64,
    /// Bytes of a block.
    block: u64,
    /// Frames of a block.
    frames: u64,
    /// Bytes of the packet that was given last.
    given: usize,
}

/// Opens the samples that begin at the window's position, and end with it.
pub(super) fn open(container: &'static str, window: Window, layout: &Layout) -> Result<Opened, DecodeError> {
    let Layout { bytes, sample_rate, channels, .. } = *layout;
    let frames = u64::from(layout.frames.max(1));
    let block = u64::from(bytes) * u64::from(channels);
    if block == 0 || sample_rate == 0 {
        return Err(DecodeError::Malformed("audio without a rate or channels".into()));
    }
    if channels > MAX_CHANNELS {
        return Err(DecodeError::Unsupported(format!("PCM with {channels} channels")));
    }
    let start = window.offset();
    let total = window.byte_len().map(|len| (len.saturating_sub(start) / block).saturating_mul(frames));
    let codec = layout.params();
    let stream = Stream {
        container,
        sample_rate,
        channels,
        bits_per_sample: (frames == 1).then_some(8 * u32::from(bytes)),
        end: total,
        total,
        estimate: None,
        frames_per_packet: None,
        tags: Tags::default(),
    };
    let reader = Box::new(PcmFile { window, start, block, frames, given: 0 });
    Ok(Opened { reader, codec, stream })
}

impl FormatReader for PcmFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        self.window.consume(std::mem::take(&mut self.given));
        let frame = (self.window.offset() - self.start) / self.block * self.frames;
        let most = (FRAMES / self.frames).min(MAX_BYTES / self.block).max(1) * self.block;
        let available = self.window.peek(most as usize)?.len() as u64;
        let blocks = available.min(most) / self.block;
        if blocks == 0 {
            return Ok(Event::End);
        }
        self.given = (blocks * self.block) as usize;
        let frames = blocks * self.frames;
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
        let ahead = (frame.max(0).unsigned_abs() / self.frames).checked_mul(self.block);
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
