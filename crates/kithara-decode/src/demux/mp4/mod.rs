//! MP4 structures, shared by the incremental demuxer and the whole-file reader. Pure parsing of slices.

pub(super) mod boxes;
mod esds;
pub(super) mod fragment;
pub(super) mod moov;
pub(super) mod sample_entry;
pub(super) mod table;
mod udta;
