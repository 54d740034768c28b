//! Incremental demuxers: pushed bytes in, packets out, without I/O, threads or async.
//!
//! A [`Demuxer`] takes the bytes of a stream in whatever cuts they arrive in and gives compressed audio packets as soon
//! as their last byte is there. A packet that lies within one pushed chunk is borrowed from that chunk; only one that
//! straddles chunks is gathered into a scratch buffer. Positions are what the container says, in the units of
//! [`TrackInfo::timescale`]: edit lists, encoder delay and padding are *described* in [`TrackInfo`], and applied by
//! the decoder above.
//!
//! ```
//! use bytes::Bytes;
//! use kithara_decode::demux::{self, Demuxer, Sniff};
//!
//! fn count_packets(pieces: Vec<Bytes>) -> Result<usize, demux::DemuxError> {
//!     // The container is chosen from the bytes, never from a file name.
//!     let Sniff::Found(container) = demux::sniff(&pieces[0]) else { return Ok(0) };
//!     let mut demuxer = container.demuxer();
//!     let mut packets = 0;
//!     for piece in pieces {
//!         demuxer.push(piece)?;
//!         while let Some(packet) = demuxer.next_packet()? {
//!             assert!(!packet.data.is_empty());
//!             packets += 1;
//!         }
//!     }
//!     demuxer.finish()?; // the segment ended: what had waited for more bytes comes now
//!     while demuxer.next_packet()?.is_some() {
//!         packets += 1;
//!     }
//!     Ok(packets)
//! }
//! # assert_eq!(count_packets(vec![Bytes::from_static(b"no media")]).unwrap(), 0);
//! ```
//!
//! **Invariants.** No input panics, loops for ever, or makes memory grow beyond what is pushed plus the bounds in
//! [`limits`]. Every cut of the same input gives the same packets. A demuxer never probes: bytes of another container
//! are an error or garbage, not a guess.

pub mod aac;
mod adts;
mod bits;
mod codec;
mod error;
mod fmp4;
mod framing;
pub mod id3;
pub mod limits;
mod mp4;
pub mod mp4_file;
mod mpeg_audio;
mod packed;
mod packet;
mod queue;
mod sniff;
#[cfg(test)]
mod tests;
mod track;
mod ts;

pub use crate::headers::adts::AdtsHeader;
pub use adts::AdtsDemuxer;
pub use codec::{Codec, FourCc, SampleAesCodec, SampleFormat};
pub use error::DemuxError;
pub use fmp4::Fmp4Demuxer;
pub use mpeg_audio::MpegAudioDemuxer;
pub use packet::{DemuxedPacket, Demuxer};
pub use sniff::{Container, Sniff, sniff, sniff_at_end};
pub use track::{EditList, Gapless, TimestampWrap, TrackInfo};
pub use ts::TsDemuxer;
pub(crate) use ts::{PACKET_LAYOUTS, SYNC};
