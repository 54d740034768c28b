//! The tags that the specification knows, where each belongs, and what is done with it.

use Scope::{Any, Master, Media};
use Support::{Ignored, Refused, Supported};

/// In which kind of playlist a tag may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Any,
    Master,
    Media,
}

impl Scope {
    pub(super) fn name(self) -> &'static str {
        match self {
            Any => "any",
            Master => "multivariant",
            Media => "media",
        }
    }
}

/// What is done with a tag or an attribute. The table in `docs/hls.md` is checked against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))]
pub(super) enum Support {
    Supported,
    Ignored,
    Refused,
}

/// A known tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    ExtM3u,
    Version,
    IndependentSegments,
    Start,
    Define,
    StreamInf,
    Rendition,
    SessionKey,
    TargetDuration,
    MediaSequence,
    DiscontinuitySequence,
    EndList,
    PlaylistType,
    IFramesOnly,
    Inf,
    ByteRange,
    Discontinuity,
    Key,
    Map,
    ProgramDateTime,
    Gap,
    Bitrate,
    Skip,
    /// Of the low-latency extension; whole segments are played instead.
    LowLatency,
    ServerControl,
    /// Known, and of no consequence for audio; still says which kind of playlist this is.
    Ignored,
}

/// A tag of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct TagInfo {
    /// As in the playlist, without `#`.
    pub(super) name: &'static str,
    pub(super) tag: Tag,
    pub(super) scope: Scope,
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) support: Support,
}

const fn row(name: &'static str, tag: Tag, scope: Scope, support: Support) -> TagInfo {
    TagInfo { name, tag, scope, support }
}

/// Every tag of RFC 8216 and draft-pantos-hls-rfc8216bis.
pub(super) const TAGS: &[TagInfo] = &[
    row("EXTM3U", Tag::ExtM3u, Any, Supported),
    row("EXT-X-VERSION", Tag::Version, Any, Supported),
    row("EXT-X-INDEPENDENT-SEGMENTS", Tag::IndependentSegments, Any, Supported),
    row("EXT-X-START", Tag::Start, Any, Supported),
    row("EXT-X-DEFINE", Tag::Define, Any, Supported),
    row("EXT-X-STREAM-INF", Tag::StreamInf, Master, Supported),
    row("EXT-X-MEDIA", Tag::Rendition, Master, Supported),
    row("EXT-X-I-FRAME-STREAM-INF", Tag::Ignored, Master, Ignored),
    row("EXT-X-SESSION-DATA", Tag::Ignored, Master, Ignored),
    row("EXT-X-SESSION-KEY", Tag::SessionKey, Master, Supported),
    row("EXT-X-CONTENT-STEERING", Tag::Ignored, Master, Ignored),
    row("EXTINF", Tag::Inf, Media, Supported),
    row("EXT-X-TARGETDURATION", Tag::TargetDuration, Media, Supported),
    row("EXT-X-MEDIA-SEQUENCE", Tag::MediaSequence, Media, Supported),
    row("EXT-X-DISCONTINUITY-SEQUENCE", Tag::DiscontinuitySequence, Media, Supported),
    row("EXT-X-ENDLIST", Tag::EndList, Media, Supported),
    row("EXT-X-PLAYLIST-TYPE", Tag::PlaylistType, Media, Supported),
    row("EXT-X-I-FRAMES-ONLY", Tag::IFramesOnly, Media, Refused),
    row("EXT-X-BYTERANGE", Tag::ByteRange, Media, Supported),
    row("EXT-X-DISCONTINUITY", Tag::Discontinuity, Media, Supported),
    row("EXT-X-KEY", Tag::Key, Media, Supported),
    row("EXT-X-MAP", Tag::Map, Media, Supported),
    row("EXT-X-PROGRAM-DATE-TIME", Tag::ProgramDateTime, Media, Supported),
    row("EXT-X-GAP", Tag::Gap, Media, Supported),
    row("EXT-X-BITRATE", Tag::Bitrate, Media, Supported),
    row("EXT-X-DATERANGE", Tag::Ignored, Media, Ignored),
    row("EXT-X-SKIP", Tag::Skip, Media, Refused),
    row("EXT-X-PART-INF", Tag::LowLatency, Media, Ignored),
    row("EXT-X-PART", Tag::LowLatency, Media, Ignored),
    row("EXT-X-PRELOAD-HINT", Tag::LowLatency, Media, Ignored),
    row("EXT-X-RENDITION-REPORT", Tag::LowLatency, Media, Ignored),
    row("EXT-X-SERVER-CONTROL", Tag::ServerControl, Media, Supported),
    // Gone since protocol version 7, and still written, in either kind of playlist.
    row("EXT-X-ALLOW-CACHE", Tag::Ignored, Any, Ignored),
];

/// The tag of a line without `#`, and what stands after its colon.
pub(super) fn find(line: &str) -> Option<(&'static TagInfo, &str)> {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let name = name.trim_end();
    TAGS.iter().find(|info| info.name == name).map(|info| (info, value.trim()))
}

/// Every attribute that the specification gives to a tag that has attributes.
#[cfg(test)]
pub(super) const ATTRIBUTES: &[(&str, &[(&str, Support)])] = &[
    ("EXT-X-START", &[("TIME-OFFSET", Supported), ("PRECISE", Supported)]),
    (
        "EXT-X-DEFINE",
        &[("NAME", Supported), ("VALUE", Supported), ("IMPORT", Supported), ("QUERYPARAM", Supported)],
    ),
    (
        "EXT-X-STREAM-INF",
        &[
            ("BANDWIDTH", Supported),
            ("AVERAGE-BANDWIDTH", Supported),
            ("SCORE", Supported),
            ("CODECS", Supported),
            ("SUPPLEMENTAL-CODECS", Ignored),
            ("RESOLUTION", Supported),
            ("FRAME-RATE", Supported),
            ("HDCP-LEVEL", Ignored),
            ("ALLOWED-CPC", Ignored),
            ("VIDEO-RANGE", Ignored),
            ("REQ-VIDEO-LAYOUT", Ignored),
            ("STABLE-VARIANT-ID", Supported),
            ("AUDIO", Supported),
            ("VIDEO", Supported),
            ("SUBTITLES", Ignored),
            ("CLOSED-CAPTIONS", Ignored),
            ("PATHWAY-ID", Supported),
            ("PROGRAM-ID", Ignored),
            ("NAME", Supported),
        ],
    ),
    (
        "EXT-X-MEDIA",
        &[
            ("TYPE", Supported),
            ("URI", Supported),
            ("GROUP-ID", Supported),
            ("LANGUAGE", Supported),
            ("ASSOC-LANGUAGE", Supported),
            ("NAME", Supported),
            ("STABLE-RENDITION-ID", Supported),
            ("DEFAULT", Supported),
            ("AUTOSELECT", Supported),
            ("FORCED", Ignored),
            ("INSTREAM-ID", Ignored),
            ("BIT-DEPTH", Ignored),
            ("SAMPLE-RATE", Ignored),
            ("CHARACTERISTICS", Supported),
            ("CHANNELS", Supported),
        ],
    ),
    (
        "EXT-X-SESSION-KEY",
        &[
            ("METHOD", Supported),
            ("URI", Supported),
            ("IV", Supported),
            ("KEYFORMAT", Supported),
            ("KEYFORMATVERSIONS", Supported),
        ],
    ),
    (
        "EXT-X-KEY",
        &[
            ("METHOD", Supported),
            ("URI", Supported),
            ("IV", Supported),
            ("KEYFORMAT", Supported),
            ("KEYFORMATVERSIONS", Supported),
        ],
    ),
    ("EXT-X-MAP", &[("URI", Supported), ("BYTERANGE", Supported)]),
];
