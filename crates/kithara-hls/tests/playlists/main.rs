//! The playlist parser against a corpus, against m3u8-rs, and against random input.

#![allow(clippy::unwrap_used)]

mod corpus;
mod oracle;
mod properties;
mod writer;

use kithara_hls::playlist::Playlist;
use url::Url;

/// Where the corpus is parsed as if it came from.
const BASE: &str = "https://example.com/live/index.m3u8?token=s3cr%2Bet&enc=x%20%2Fy&void=";

fn base() -> Url {
    Url::parse(BASE).unwrap()
}

fn parse(text: &[u8]) -> Result<Playlist, kithara_hls::playlist::PlaylistError> {
    kithara_hls::playlist::parse(text, &base())
}
