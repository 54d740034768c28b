//! A progressive file decoded ahead by a thread of its own: [`DecodeAhead`].

use std::time::Duration;

use kithara_stream::MediaInfo;

use crate::{AudioSpec, ByteSource, DecodeError, DecodeOptions, MediaDetails, PcmChunk, PcmSource};

/// Chunks decoded ahead of the reader.
pub const PCM_CHANNEL_CAPACITY: usize = 20;

/// How far ahead to decode, and how to wake a blocked source.
#[non_exhaustive]
pub struct DecodeAheadSettings {
    /// Chunks decoded ahead of the reader. Default [`PCM_CHANNEL_CAPACITY`].
    pub capacity: usize,
    /// Called before the worker is joined on drop: must make a blocked `read` of the source return (with an error).
    /// Default `None`: the source never blocks for long.
    pub interrupt: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Default for DecodeAheadSettings {
    fn default() -> Self {
        Self { capacity: PCM_CHANNEL_CAPACITY, interrupt: None }
    }
}

/// Async [`PcmSource`] over a [`MediaDecoder`](crate::MediaDecoder) that runs on a thread of its own.
pub struct DecodeAhead {
    details: MediaDetails,
    spec: AudioSpec,
}

impl DecodeAhead {
    /// Starts the thread, which probes `source` and begins to decode; returns once the format is known.
    ///
    /// Cancel-safe: dropping the future stops and joins the thread.
    ///
    /// # Errors
    /// As [`MediaDecoder::open`](crate::MediaDecoder::open).
    pub async fn open(
        source: impl ByteSource + 'static,
        hint: MediaInfo,
        options: DecodeOptions,
        settings: DecodeAheadSettings,
    ) -> Result<Self, DecodeError> {
        let _ = (source, hint, options, settings);
        todo!()
    }

    /// What the media says about itself.
    #[must_use]
    pub fn details(&self) -> &MediaDetails {
        &self.details
    }
}

impl PcmSource for DecodeAhead {
    type Error = DecodeError;

    fn spec(&self) -> AudioSpec {
        self.spec
    }

    fn duration(&self) -> Option<Duration> {
        self.details.duration
    }

    async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, DecodeError> {
        todo!()
    }

    async fn seek(&mut self, to: Duration) -> Result<u64, DecodeError> {
        let _ = to;
        todo!()
    }
}
