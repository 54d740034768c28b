//! Progressive HTTP playback to PCM
