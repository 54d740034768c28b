//! Progressive media (`Read + Seek`) to PCM.

use std::io::{Cursor, Read, Seek};
use std::time::Duration;

use kithara_bufpool::SamplePool;
use kithara_stream::MediaInfo;

use crate::{AudioSpec, DecodeError, PcmChunk};

/// Bytes that can be read and moved about in, whose length may be known.
pub trait ByteSource: Read + Seek + Send + Sync {
    /// Total length in bytes, if known now. May become known later.
    fn byte_len(&self) -> Option<u64>;

    /// Whether seeking works. Default `true`.
    fn is_seekable(&self) -> bool {
        true
    }
}

impl<T: AsRef<[u8]> + Send + Sync> ByteSource for Cursor<T> {
    fn byte_len(&self) -> Option<u64> {
        Some(self.get_ref().as_ref().len() as u64)
    }
}

impl ByteSource for std::fs::File {
    fn byte_len(&self) -> Option<u64> {
        self.metadata().ok().map(|meta| meta.len())
    }
}

/// How a [`MediaDecoder`] is to decode.
#[derive(Clone)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// Where the sample buffers of the chunks come from.
    pub pool: SamplePool,
    /// Output rate in Hz. Default `None`: the rate of the media.
    pub sample_rate: Option<u32>,
    /// Output channels. Default `None`: those of the media.
    pub channels: Option<u16>,
    /// Trim encoder delay and padding, as the reference decoder does. Default `true`.
    pub gapless: bool,
    /// Bytes of leading garbage that are searched for the start of the media. Default 1 MiB.
    pub probe_budget: u64,
    /// Packets in a row that may fail to decode (each is replaced by silence) before it is an error. Default 64.
    pub max_bad_packets: u32,
}

impl DecodeOptions {
    /// Options with `pool` and the defaults for everything else.
    #[must_use]
    pub fn new(pool: SamplePool) -> Self {
        Self {
            pool,
            sample_rate: None,
            channels: None,
            gapless: true,
            probe_budget: 1 << 20,
            max_bad_packets: 64,
        }
    }
}

/// What the media says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MediaDetails {
    /// Container: "mp4", "mp3", "adts", "flac", "ogg", "wav", "aiff", "caf", "matroska".
    pub container: &'static str,
    /// Codec: "aac", "mp3", "flac", "alac", "vorbis", "opus", "pcm", …
    pub codec: &'static str,
    /// Rate of the media in Hz, before any resampling.
    pub sample_rate: u32,
    /// Channels of the media, before any remixing.
    pub channels: u16,
    /// Frames that a whole decode gives at the output rate, if the media tells before it is decoded.
    pub total_frames: Option<u64>,
    /// Length, if the media tells or it can be estimated.
    pub duration: Option<Duration>,
    /// Bits per sample of lossless media.
    pub bits_per_sample: Option<u32>,
    /// Tags that stood before the audio.
    pub tags: Tags,
}

/// Tags that were read on the way; never looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tags {
    /// Title of the track.
    pub title: Option<String>,
    /// Artist of the track.
    pub artist: Option<String>,
    /// Album it belongs to.
    pub album: Option<String>,
}

/// Decodes one progressive file. Blocking: every call may read the source.
pub struct MediaDecoder {
    details: MediaDetails,
}

impl MediaDecoder {
    /// Finds the format from the bytes (`hint` only orders the guesses) and prepares to decode.
    ///
    /// # Errors
    /// The source cannot be read, is not media, or is media that this build cannot decode.
    pub fn open(
        source: impl ByteSource + 'static,
        hint: &MediaInfo,
        options: DecodeOptions,
    ) -> Result<Self, DecodeError> {
        let _ = (source, hint, options);
        todo!()
    }

    /// Rate and channels of the output.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        todo!()
    }

    /// What the media says about itself.
    #[must_use]
    pub fn details(&self) -> &MediaDetails {
        &self.details
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// The source cannot be read, or the media is damaged beyond what can be skipped.
    pub fn next_chunk(&mut self) -> Result<Option<PcmChunk>, DecodeError> {
        todo!()
    }

    /// Moves to `frame` (output rate): the next chunk begins exactly there, or playback is at its end if `frame` lies
    /// behind it. Returns the frame.
    ///
    /// # Errors
    /// The source cannot be read or moved.
    pub fn seek(&mut self, frame: u64) -> Result<u64, DecodeError> {
        let _ = frame;
        todo!()
    }
}
