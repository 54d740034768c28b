//! Playlists: text in, model out. No I/O, no clock.
//!
//! [`parse`] reads a multivariant ("master") or a media playlist, found by its content. What the specification forbids
//! and players accept is accepted and told as a [`Warning`]; what cannot be played rightly is a [`PlaylistError`] with
//! its line number.
//!
//! Everything a playlist can make us store is bounded by [`Limits`].

mod attributes;
mod codecs;
mod context;
mod decimal;
mod error;
mod key;
mod ladder;
mod language;
mod limits;
mod lines;
mod master;
mod master_builder;
mod media;
mod media_builder;
mod parser;
mod segments;
mod start;
mod tags;
mod truncation;
mod variables;

pub use codecs::{CodecKind, CodecTag, Codecs};
pub use error::{PlaylistError, PlaylistErrorKind, Warning};
pub use key::{KeyInfo, KeyMethod};
pub use ladder::{AudioPreference, LadderVariant, audio_ladder};
pub use limits::{Limits, ParseOptions};
pub use master::{MasterPlaylist, Rendition, Resolution, VariantStream};
pub use media::{Map, MediaPlaylist, PlaylistType, Segment};
pub use start::Start;
pub use truncation::{Truncation, truncation};
pub use variables::Variables;

use url::Url;

/// A parsed playlist.
#[derive(Debug, Clone)]
pub enum Playlist {
    /// A multivariant playlist: it lists other playlists.
    Master(MasterPlaylist),
    /// A media playlist: it lists segments.
    Media(MediaPlaylist),
}

/// Parses `text`, resolving its URIs against `base`, the URL that it came from after redirects.
///
/// # Errors
/// [`PlaylistError`] names the line and what is wrong with it.
pub fn parse(text: &[u8], base: &Url) -> Result<Playlist, PlaylistError> {
    parse_with(text, base, &ParseOptions::default())
}

/// Whether a body that begins with `text` may be a playlist.
pub(crate) fn may_begin(text: &[u8]) -> bool {
    parser::may_begin(text)
}

/// [`parse`] with limits of one's own and the variables of a multivariant playlist (for `EXT-X-DEFINE:IMPORT`).
///
/// # Errors
/// As [`parse`].
pub fn parse_with(text: &[u8], base: &Url, options: &ParseOptions<'_>) -> Result<Playlist, PlaylistError> {
    parser::parse(text, base, options)
}

#[cfg(test)]
mod tests;
