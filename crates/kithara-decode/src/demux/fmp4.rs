//! Fragmented MP4.

use bytes::Bytes;

use super::{DemuxError, DemuxedPacket, Demuxer, TrackInfo};

/// Fragmented MP4 demuxer.
#[derive(Debug, Default)]
pub struct Fmp4Demuxer {}

impl Fmp4Demuxer {
    /// An empty demuxer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Demuxer for Fmp4Demuxer {
    fn push(&mut self, _data: Bytes) -> Result<(), DemuxError> {
        todo!()
    }
    fn next_packet(&mut self) -> Result<Option<DemuxedPacket<'_>>, DemuxError> {
        todo!()
    }
    fn finish(&mut self) -> Result<(), DemuxError> {
        todo!()
    }
    fn reset(&mut self) {
        todo!()
    }
    fn discard(&mut self) {
        todo!()
    }
    fn track(&self) -> Option<&TrackInfo> {
        todo!()
    }
    fn set_time_hint(&mut self, _near: i64) {
        todo!()
    }
}
