//! Bounds on what a playlist may make us store.

use super::variables::Variables;

/// Bounds on a playlist; whatever exceeds one is refused with
/// [`TooLarge`](super::PlaylistErrorKind::TooLarge).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the playlist's text. Default 16 MiB.
    pub bytes: usize,
    /// Bytes of one line, before and after variable substitution. Default 1 MiB.
    pub line_bytes: usize,
    /// Bytes of all URIs and titles after variable substitution. Default 64 MiB.
    pub expanded_bytes: usize,
    /// Segments of a media playlist. Default 1,000,000.
    pub segments: usize,
    /// `EXT-X-STREAM-INF` tags of a multivariant playlist. Default 1,000.
    pub variants: usize,
    /// `EXT-X-MEDIA` and `EXT-X-SESSION-KEY` tags of a multivariant playlist. Default 10,000.
    pub renditions: usize,
    /// Different keys, and different maps, of a media playlist. Default 100,000 each.
    pub keys: usize,
    /// `EXT-X-DEFINE` tags. Default 10,000.
    pub variables: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            line_bytes: 1 << 20,
            expanded_bytes: 64 << 20,
            segments: 1_000_000,
            variants: 1_000,
            renditions: 10_000,
            keys: 100_000,
            variables: 10_000,
        }
    }
}

/// How to parse a playlist.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions<'a> {
    /// Bounds.
    pub limits: Limits,
    /// Variables of the multivariant playlist that led here: what `EXT-X-DEFINE:IMPORT` may import. Default: none.
    pub imported: Option<&'a Variables>,
}
