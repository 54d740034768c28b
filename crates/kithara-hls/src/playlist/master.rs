//! The multivariant playlist.

use url::Url;

use super::codecs::Codecs;
use super::error::Warning;
use super::key::KeyInfo;
use super::start::Start;
use super::variables::Variables;

/// A multivariant ("master") playlist.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MasterPlaylist {
    /// `EXT-X-STREAM-INF`, in the order of the file.
    pub variants: Vec<VariantStream>,
    /// `EXT-X-MEDIA` with `TYPE=AUDIO`, in the order of the file.
    pub media: Vec<Rendition>,
    /// `EXT-X-SESSION-KEY`: keys that the media playlists will ask for.
    pub session_keys: Vec<KeyInfo>,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-START`.
    pub start: Option<Start>,
    /// `EXT-X-VERSION`; 1 where there is none.
    pub version: u64,
    /// What the media playlists may import.
    pub variables: Variables,
    /// What was tolerated, the first 32 of it.
    pub warnings: Vec<Warning>,
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    /// Pixels across.
    pub width: u64,
    /// Pixels down.
    pub height: u64,
}

/// `EXT-X-STREAM-INF` and the URI on the line after it.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct VariantStream {
    /// The media playlist, resolved.
    pub uri: Url,
    /// `BANDWIDTH`: peak bits per second, of the variant with its largest renditions. 0 where the tag lacks it.
    pub bandwidth: u64,
    /// `AVERAGE-BANDWIDTH`, bits per second.
    pub average_bandwidth: Option<u64>,
    /// `CODECS`; empty where the tag lacks it.
    pub codecs: Codecs,
    /// `RESOLUTION`.
    pub resolution: Option<Resolution>,
    /// `FRAME-RATE` is present: there is video.
    pub has_frame_rate: bool,
    /// `SCORE`, in the author's order of preference (higher is better).
    pub score: Option<f64>,
    /// `AUDIO`: a group of renditions in [`MasterPlaylist::media`].
    pub audio_group: Option<String>,
    /// `VIDEO`: a group of video renditions.
    pub video_group: Option<String>,
    /// `STABLE-VARIANT-ID`.
    pub stable_id: Option<String>,
    /// `PATHWAY-ID`.
    pub pathway_id: Option<String>,
    /// `NAME` (in no specification, and common).
    pub name: Option<String>,
    /// Line of the tag, from 1.
    pub line: usize,
}

/// `EXT-X-MEDIA` with `TYPE=AUDIO`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rendition {
    /// `GROUP-ID`.
    pub group_id: String,
    /// `NAME`.
    pub name: String,
    /// `LANGUAGE`, a BCP 47 tag.
    pub language: Option<String>,
    /// `ASSOC-LANGUAGE`.
    pub assoc_language: Option<String>,
    /// `URI`, resolved; `None`: the audio is in the variants themselves.
    pub uri: Option<Url>,
    /// `DEFAULT=YES`.
    pub is_default: bool,
    /// `AUTOSELECT=YES`, which a default rendition implies.
    pub autoselect: bool,
    /// `CHARACTERISTICS`, one Uniform Type Identifier each.
    pub characteristics: Vec<String>,
    /// The number of channels, first parameter of `CHANNELS`.
    pub channels: Option<u32>,
    /// `STABLE-RENDITION-ID`.
    pub stable_id: Option<String>,
    /// Line of the tag, from 1.
    pub line: usize,
}

impl std::fmt::Debug for VariantStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VariantStream")
            .field("uri", &format_args!("{}", kithara_net::RedactedUrl(&self.uri)))
            .field("bandwidth", &self.bandwidth)
            .field("codecs", &format_args!("{}", self.codecs))
            .field("resolution", &self.resolution)
            .field("audio_group", &self.audio_group)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Rendition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let uri = self.uri.as_ref().map(|uri| kithara_net::RedactedUrl(uri).to_string());
        f.debug_struct("Rendition")
            .field("group_id", &self.group_id)
            .field("name", &self.name)
            .field("language", &self.language)
            .field("uri", &uri)
            .field("is_default", &self.is_default)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}
