//! HLS playback to PCM: playlists, timeline, parallel segment fetching, adaptive bitrate
