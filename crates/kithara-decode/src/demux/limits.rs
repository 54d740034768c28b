//! Bounds on what an input may make the demuxers hold. Sane media stays far below each.

/// Largest `moov` box, in bytes (a progressive file of 24 hours has about 20 MiB).
pub const MAX_MOOV: u64 = 64 << 20;

/// Largest `moof` box, in bytes.
pub const MAX_MOOF: u64 = 16 << 20;

/// Largest packet, in bytes (a FLAC frame of 65,535 frames, 8 channels, 32 bits is 2 MiB).
pub const MAX_PACKET: u64 = 4 << 20;

/// Bytes of an `mdat` held while the `moof` that describes it has not come yet.
pub const MAX_EARLY_MDAT: u64 = 32 << 20;

/// Track runs in one `moof`.
pub const MAX_RUNS: u64 = 65_536;

/// Samples in one `trun` box, or in one track.
pub const MAX_SAMPLES: u64 = 1 << 28;

/// Largest ID3v2 tag, in bytes (cover art included). A tag is skipped, never held.
pub const MAX_ID3: u64 = 256 << 20;

/// Bytes of an ID3v2 tag that are searched for a timestamp.
pub const MAX_ID3_SCAN: usize = 64 << 10;

/// Bytes of an MPEG-TS section (PAT, PMT): the standard's bound.
pub const MAX_SECTION: usize = 1024;

/// Bytes of garbage before the first sync that a demuxer scans before it gives up with an error.
pub const MAX_GARBAGE: u64 = 4 << 20;
