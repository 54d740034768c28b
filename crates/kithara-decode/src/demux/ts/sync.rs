//! Finding the packets of a transport stream.

use bytes::Bytes;

use super::super::queue::ByteQueue;
use super::super::{Container, DemuxError, limits};

/// The byte that every packet begins with.
pub(crate) const SYNC: u8 = 0x47;
/// Bytes of a packet, without what some layouts put around it.
pub(super) const PACKET: usize = 188;
/// Packet sizes, and where in them the sync byte stands: plain, with a timestamp in front (M2TS), with parity behind.
pub(crate) const PACKET_LAYOUTS: [(usize, usize); 3] = [(PACKET, 0), (192, 4), (204, 0)];

/// Cuts pushed bytes into packets of 188 bytes.
#[derive(Debug, Default)]
pub(super) struct PacketReader {
    queue: ByteQueue,
    /// Where the next packet begins; with a layout that has something in front, where that begins.
    at: u64,
    /// Where a packet should have begun when the search for one started.
    expected: u64,
    layout: Option<(usize, usize)>,
    boundary: Option<u64>,
    garbage: u64,
}

/// What came next.
#[derive(Debug)]
pub(super) enum Next {
    /// A packet of 188 bytes; `is_after_loss` when bytes before it were skipped.
    Packet {
        data: Bytes,
        is_after_loss: bool,
    },
    /// The segment is over.
    End,
    NeedsMore,
}

impl PacketReader {
    pub(super) fn push(&mut self, data: Bytes) {
        self.queue.push(data);
    }

    pub(super) fn finish(&mut self) {
        self.boundary = Some(self.queue.end());
        self.queue.stop_discarding();
    }

    pub(super) fn clear(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.clear();
        *self = Self { queue, ..Self::default() };
    }

    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    fn limit(&self) -> u64 {
        self.boundary.unwrap_or(self.queue.end())
    }

    pub(super) fn next(&mut self) -> Result<Next, DemuxError> {
        let before = self.garbage;
        loop {
            self.queue.discard_to(self.at.min(self.limit()));
            let Some((size, offset)) = self.layout else {
                if self.find_layout()? {
                    continue;
                }
                return Ok(self.starved());
            };
            let sync = self.at + offset as u64;
            if sync + PACKET as u64 > self.limit() {
                return Ok(self.starved());
            }
            match self.queue.bytes(sync, PACKET) {
                Some(data) if data[0] == SYNC => {
                    self.at += size as u64;
                    let is_after_loss = std::mem::take(&mut self.garbage) > 0 || before > 0;
                    return Ok(Next::Packet { data, is_after_loss });
                }
                _ => {
                    self.layout = None;
                    self.expected = sync;
                }
            }
        }
    }

    fn starved(&mut self) -> Next {
        let Some(boundary) = self.boundary.take() else { return Next::NeedsMore };
        if self.at < boundary {
            // The rest of a packet may come in the next segment, or not: let what follows it prove it.
            self.layout = None;
            self.expected = self.at;
            if boundary - self.at >= PACKET_LAYOUTS[2].0 as u64 {
                self.at = boundary;
            }
        } else {
            self.at = boundary;
        }
        if self.at == boundary {
            self.expected = boundary;
        }
        Next::End
    }

    /// Searches for sync bytes at the distance of a packet size. True when a layout was found, and `at` moved there.
    fn find_layout(&mut self) -> Result<bool, DemuxError> {
        let limit = self.limit();
        let mut from = self.at;
        loop {
            let Some(found) = self.queue.find(SYNC, from).filter(|&found| found < limit) else {
                self.skip_to(self.keep_at_end(limit))?;
                return Ok(false);
            };
            let mut is_open = false;
            for (size, offset) in PACKET_LAYOUTS {
                // What stands in front of the sync byte belongs to the packet.
                let Some(start) = found.checked_sub(offset as u64).filter(|&start| start >= self.at) else {
                    continue;
                };
                match self.check(found, size as u64, start == self.expected, limit) {
                    Some(true) => {
                        self.skip_to(start)?;
                        self.layout = Some((size, offset));
                        return Ok(true);
                    }
                    Some(false) => {}
                    None => is_open = true,
                }
            }
            if is_open {
                // The bytes in front of the sync byte may belong to its packet.
                self.skip_to(found.saturating_sub(4).max(self.at))?;
                return Ok(false);
            }
            from = found + 1;
        }
    }

    /// At the end of a segment without a packet its last bytes may go on in the next.
    fn keep_at_end(&self, limit: u64) -> u64 {
        limit.saturating_sub(if self.boundary.is_some() { 0 } else { 4 }).max(self.at)
    }

    /// Whether sync bytes follow `found` at this distance. `None`: more bytes are needed.
    fn check(&self, found: u64, size: u64, is_expected: bool, limit: u64) -> Option<bool> {
        let wanted: u64 = if is_expected { 2 } else { 4 };
        for index in 1..=wanted {
            let at = found + index * size;
            if at >= limit {
                self.boundary?;
                // The end is known: what is there must do.
                return Some(found + PACKET as u64 <= limit && (is_expected || index > 1));
            }
            if self.queue.read::<1>(at) != Some([SYNC]) {
                return Some(false);
            }
        }
        Some(true)
    }

    fn skip_to(&mut self, offset: u64) -> Result<(), DemuxError> {
        self.garbage += offset - self.at;
        self.at = offset;
        if self.garbage > limits::MAX_GARBAGE {
            let what = "no packet sync";
            return Err(DemuxError::Malformed { container: Container::MpegTs, what, offset });
        }
        Ok(())
    }
}
