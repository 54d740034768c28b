//! HLS playback to PCM: playlists, timeline, parallel segment fetching, adaptive bitrate

pub mod abr;
pub mod playlist;
pub mod timeline;
