//! The seam between a container and a codec.

use bytes::Bytes;

use super::{DemuxError, TrackInfo};

/// One compressed packet, borrowed from the demuxer until its next call.
#[derive(Clone, Copy, Debug)]
pub struct DemuxedPacket<'a> {
    /// What the codec decodes: a raw AAC access unit, an MPEG audio frame with its header, a FLAC frame, …
    pub data: &'a [u8],
    /// The track that the packet belongs to. A change of [`TrackInfo::serial`] is a new configuration of the codec.
    pub track: &'a TrackInfo,
    /// Start, in [`TrackInfo::timescale`] units. The edit list is *not* applied; wrapping timestamps are unrolled.
    pub pts: i64,
    /// Length, in [`TrackInfo::timescale`] units.
    pub duration: u64,
    /// False when `pts` only counts from the demuxer's start, because the container gave no time.
    pub is_timed: bool,
    /// True when data before this packet was lost or damaged (continuity error, garbage): the codec should be reset.
    pub is_discontinuity: bool,
}

/// An incremental demuxer. See the [module](super) for an example.
///
/// Call order: `push` and `next_packet` until it gives `None`, as often as there are bytes; at the end of a segment
/// `finish`, and `next_packet` until `None` again; then the next segment's bytes. A next segment may continue what the
/// last one left unfinished (a frame cut by the segmenter).
pub trait Demuxer: Send + Sync {
    /// Takes the next bytes of the stream, cut anywhere. Keeps a reference to them and copies nothing; parsing happens in
    /// [`next_packet`](Self::next_packet).
    ///
    /// # Errors
    /// None today; reserved.
    fn push(&mut self, data: Bytes) -> Result<(), DemuxError>;

    /// The next packet whose bytes are complete, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// Any [`DemuxError`]. After [`DemuxError::Truncated`] the next segment may follow; after any other error only
    /// [`reset`](Self::reset) makes sense, and until then the same error comes again.
    fn next_packet(&mut self) -> Result<Option<DemuxedPacket<'_>>, DemuxError>;

    /// Declares the end of the segment: what had to wait for more bytes becomes available to `next_packet`, which after
    /// the last packet reports an incomplete one as [`DemuxError::Truncated`], once.
    ///
    /// # Errors
    /// None today; reserved.
    fn finish(&mut self) -> Result<(), DemuxError>;

    /// Forgets everything: the state of a new demuxer.
    fn reset(&mut self);

    /// Forgets buffered bytes and running timestamps, but keeps the description of the track (the `moov` box, the
    /// program tables): what a seek needs, when the next push begins at a segment start.
    fn discard(&mut self);

    /// The track described by what has been parsed so far: known at the latest when [`next_packet`](Self::next_packet)
    /// gives its first packet, and for fMP4 once `next_packet` was called after the init section was pushed.
    fn track(&self) -> Option<&TrackInfo>;

    /// Says which (unrolled) time the next timestamp is near to, in 90 kHz units, for containers whose timestamps wrap
    /// at 33 bits (MPEG-TS, ID3). Others ignore it.
    fn set_time_hint(&mut self, near: i64);
}
