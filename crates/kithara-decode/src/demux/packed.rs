//! Packed audio: frames in a file of their own, with ID3 tags in front of each segment.

use bytes::Bytes;

use super::framing::{Format, Framer};
use super::id3::{self, Id3Timestamp};
use super::{DemuxError, DemuxedPacket, TrackInfo, limits};

/// Takes the tags off the start of each segment and frames the rest.
#[derive(Debug)]
pub(super) struct Packed<F: Format> {
    framer: Framer<F>,
    front: Front,
    /// Bytes that a tag lacked when its segment ended.
    missing: u64,
    failed: Option<DemuxError>,
}

/// What stands at the front of a segment.
#[derive(Debug)]
enum Front {
    /// Up to ten bytes of what may be a tag.
    Header(Vec<u8>),
    /// A tag: what it may hold of interest, and how many bytes are still to come.
    Tag { head: Vec<u8>, left: u64 },
    /// Frames.
    Frames,
}

impl<F: Format> Packed<F> {
    pub(super) fn new() -> Self {
        Self { framer: Framer::new(true), front: Front::Header(Vec::new()), missing: 0, failed: None }
    }

    pub(super) fn push(&mut self, mut data: Bytes) {
        while !data.is_empty() {
            match &mut self.front {
                Front::Frames => return self.framer.push(data),
                Front::Header(head) => {
                    let wanted = id3::HEADER_LEN - head.len();
                    if head.is_empty() && !data.starts_with(b"I") {
                        self.front = Front::Frames;
                        continue;
                    }
                    head.extend(data.split_to(wanted.min(data.len())));
                    self.settle_header();
                }
                Front::Tag { head, left } => {
                    let part = data.split_to((*left).min(data.len() as u64) as usize);
                    *left -= part.len() as u64;
                    let room = limits::MAX_ID3_SCAN.saturating_sub(head.len());
                    head.extend_from_slice(&part[..part.len().min(room)]);
                    self.settle_tag();
                }
            }
        }
    }

    fn settle_header(&mut self) {
        let Front::Header(head) = &mut self.front else { return };
        if let Some(len) = id3::tag_len(head) {
            let head = std::mem::take(head);
            let left = len - head.len() as u64;
            self.front = Front::Tag { head, left };
            self.settle_tag();
        } else if head.len() >= id3::HEADER_LEN || !b"ID3".starts_with(&head[..head.len().min(3)]) {
            self.release_header();
        }
    }

    fn settle_tag(&mut self) {
        let Front::Tag { head, left: 0 } = &self.front else { return };
        if let Some(timestamp) = Id3Timestamp::find(head) {
            self.framer.mark(Some(timestamp.ticks()));
        }
        self.front = Front::Header(Vec::new());
    }

    /// What looked like a tag is none.
    fn release_header(&mut self) {
        if let Front::Header(head) = std::mem::replace(&mut self.front, Front::Frames) {
            self.framer.push(head.into());
        }
    }

    pub(super) fn next_packet(&mut self) -> Result<Option<DemuxedPacket<'_>>, DemuxError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.framer.advance() {
            Ok(Some(located)) => Ok(self.framer.packet(located)),
            Ok(None) => match std::mem::take(&mut self.missing) {
                0 => Ok(None),
                missing => Err(DemuxError::Truncated { container: F::CONTAINER, missing }),
            },
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    pub(super) fn finish(&mut self) {
        match &self.front {
            Front::Tag { left, .. } => self.missing = *left,
            Front::Header(_) => self.release_header(),
            Front::Frames => {}
        }
        self.framer.finish();
        self.front = Front::Header(Vec::new());
    }

    pub(super) fn reset(&mut self) {
        self.framer.reset();
        self.start();
    }

    pub(super) fn discard(&mut self) {
        self.framer.discard();
        self.start();
    }

    fn start(&mut self) {
        self.front = Front::Header(Vec::new());
        self.missing = 0;
        self.failed = None;
    }

    pub(super) fn track(&self) -> Option<&TrackInfo> {
        self.framer.track()
    }

    pub(super) fn set_time_hint(&mut self, near: i64) {
        self.framer.set_time_hint(near);
    }
}

/// Gives a public demuxer the methods of [`Packed`].
macro_rules! packed_demuxer {
    ($name:ident, $format:ty) => {
        impl $name {
            /// An empty demuxer.
            pub fn new() -> Self {
                Self { packed: Packed::new() }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl Demuxer for $name {
            fn push(&mut self, data: Bytes) -> Result<(), DemuxError> {
                self.packed.push(data);
                Ok(())
            }

            fn next_packet(&mut self) -> Result<Option<DemuxedPacket<'_>>, DemuxError> {
                self.packed.next_packet()
            }

            fn finish(&mut self) -> Result<(), DemuxError> {
                self.packed.finish();
                Ok(())
            }

            fn reset(&mut self) {
                self.packed.reset();
            }

            fn discard(&mut self) {
                self.packed.discard();
            }

            fn track(&self) -> Option<&TrackInfo> {
                self.packed.track()
            }

            fn set_time_hint(&mut self, near: i64) {
                self.packed.set_time_hint(near);
            }
        }
    };
}
pub(super) use packed_demuxer;
