//! ADTS.

use bytes::Bytes;

use super::{DemuxError, DemuxedPacket, Demuxer, TrackInfo};

/// ADTS demuxer.
#[derive(Debug, Default)]
pub struct AdtsDemuxer {}

impl AdtsDemuxer {
    /// An empty demuxer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Demuxer for AdtsDemuxer {
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
