//! MPEG-TS.

use bytes::Bytes;

use super::{DemuxError, DemuxedPacket, Demuxer, TrackInfo};

/// The byte that every packet begins with.
pub(super) const SYNC: u8 = 0x47;
/// Packet sizes, and where in them the sync byte stands: plain, with a timestamp in front (M2TS), with parity behind.
pub(super) const PACKET_LAYOUTS: [(usize, usize); 3] = [(188, 0), (192, 4), (204, 0)];

/// MPEG-TS demuxer.
#[derive(Debug, Default)]
pub struct TsDemuxer {}

impl TsDemuxer {
    /// An empty demuxer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Demuxer for TsDemuxer {
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
