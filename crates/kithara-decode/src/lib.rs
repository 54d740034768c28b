//! Compressed bytes to PCM: incremental demuxers, Symphonia codecs, Rubato resampling
