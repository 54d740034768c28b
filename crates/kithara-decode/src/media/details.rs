//! What a file says about itself.

use std::time::Duration;

pub use super::tags::Tags;

/// What the media says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MediaDetails {
    /// Container: "mp4", "mp3", "adts", "flac", "ogg", "wav", "w64", "au", "aiff", "caf", "matroska", "mpegts".
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
    /// Metadata that was read before the audio, or last announced by
    /// [`MediaEvent::TagsChanged`](crate::MediaEvent::TagsChanged).
    pub tags: Tags,
}
