//! MP4 structures, shared by the incremental demuxer and the whole-file reader. Pure parsing of slices.

pub(super) mod boxes;
pub(super) mod described;
mod esds;
pub(super) mod fragment;
pub(super) mod moov;
mod sample_entry;
pub(super) mod sidx;
pub(super) mod table;
mod udta;
