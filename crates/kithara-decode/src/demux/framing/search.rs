//! Finding frames: the next one where it should be, and the first one behind garbage.

use super::super::{DemuxError, id3, limits};
use super::{Format, Framer};

enum Peek<H> {
    Header(H),
    Invalid,
    NeedsMore,
}

enum Verdict {
    Yes,
    No,
    NeedsMore,
}

impl<F: Format> Framer<F> {
    /// The header of the frame that begins at `at` (after moving `at` there) and is there in full.
    pub(super) fn find_frame(&mut self) -> Result<Option<F::Header>, DemuxError> {
        let limit = self.limit();
        while self.is_synced {
            if self.is_packed {
                match self.skip_tag(limit) {
                    Verdict::Yes => continue,
                    Verdict::No => {}
                    Verdict::NeedsMore => return Ok(None),
                }
            }
            match (self.peek(self.at, limit), &self.reference) {
                (Peek::NeedsMore, _) => return Ok(None),
                (Peek::Header(header), Some(last)) if F::is_same(last, &header) => {
                    let end = self.at + F::frame_len(&header) as u64;
                    return Ok((end <= limit).then_some(header));
                }
                _ => {
                    self.is_synced = false;
                    self.expected = self.at;
                }
            }
        }
        self.scan(limit)
    }

    /// Searches for a frame that those behind it confirm.
    fn scan(&mut self, limit: u64) -> Result<Option<F::Header>, DemuxError> {
        let mut from = self.at;
        let mut incomplete = None;
        loop {
            let Some(found) = self.queue.find(0xFF, from).filter(|&found| found < limit) else {
                self.skip_to(incomplete.unwrap_or(limit.max(self.at)))?;
                return Ok(None);
            };
            let header = match self.peek(found, limit) {
                Peek::Header(header) => header,
                Peek::Invalid => {
                    self.check_unsupported(found)?;
                    from = found + 1;
                    continue;
                }
                Peek::NeedsMore => {
                    self.skip_to(incomplete.unwrap_or(found))?;
                    return Ok(None);
                }
            };
            match self.confirm(found, &header, limit) {
                Verdict::Yes => {
                    self.skip_to(found)?;
                    return Ok(Some(header));
                }
                Verdict::No => {}
                Verdict::NeedsMore if self.boundary.is_none() => {
                    self.skip_to(found)?;
                    return Ok(None);
                }
                // The end is known: a later candidate may prove itself before it.
                Verdict::NeedsMore => incomplete = incomplete.or(Some(found)),
            }
            from = found + 1;
        }
    }

    /// A stream that begins with a frame of a form that we do not support is refused rather than searched.
    fn check_unsupported(&self, offset: u64) -> Result<(), DemuxError> {
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..F::HEADER_LEN];
        let is_first = self.info.is_none() && offset == self.expected;
        if is_first && self.queue.copy_to(offset, bytes) && F::is_unsupported(bytes) {
            return Err(DemuxError::Unsupported { container: F::CONTAINER, what: F::UNSUPPORTED });
        }
        Ok(())
    }

    fn skip_to(&mut self, offset: u64) -> Result<(), DemuxError> {
        if offset > self.at {
            self.garbage += offset - self.at;
            self.is_lost |= self.info.is_some() && !(self.is_segment_start && self.is_padding(offset));
            self.at = offset;
        }
        if self.garbage > limits::MAX_GARBAGE {
            let container = F::CONTAINER;
            return Err(DemuxError::Malformed { container, what: "no frame found", offset: self.at });
        }
        Ok(())
    }

    /// Whether nothing but zeros lies before `end`: some packagers fill the start of a file.
    fn is_padding(&self, end: u64) -> bool {
        let (mut at, mut bytes) = (self.at, [0; 256]);
        while at < end {
            let wanted = (end - at).min(bytes.len() as u64) as usize;
            let found = self.queue.peek(at, &mut bytes[..wanted]);
            if found == 0 || bytes[..found].iter().any(|byte| *byte != 0) {
                return false;
            }
            at += found as u64;
        }
        true
    }

    fn peek(&self, offset: u64, limit: u64) -> Peek<F::Header> {
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..F::HEADER_LEN];
        if offset + bytes.len() as u64 > limit || !self.queue.copy_to(offset, bytes) {
            return Peek::NeedsMore;
        }
        match F::parse(bytes) {
            Some(header) => Peek::Header(header),
            None => Peek::Invalid,
        }
    }

    fn confirm(&self, offset: u64, first: &F::Header, limit: u64) -> Verdict {
        let depth = if offset == self.expected { 1 } else { F::RESYNC_DEPTH };
        let mut at = offset + F::frame_len(first) as u64;
        for _ in 0..depth {
            if at > limit {
                return Verdict::NeedsMore;
            }
            match self.peek(at, limit) {
                Peek::Header(header) if F::is_same(first, &header) => at += F::frame_len(&header) as u64,
                Peek::Header(_) => return Verdict::No,
                Peek::Invalid => return if self.is_tag(at) { Verdict::Yes } else { Verdict::No },
                Peek::NeedsMore if self.boundary.is_none() => return Verdict::NeedsMore,
                Peek::NeedsMore => {
                    let mut byte = [0];
                    let is_open = at == limit || self.queue.copy_to(at, &mut byte) && byte[0] == 0xFF;
                    return if is_open { Verdict::Yes } else { Verdict::No };
                }
            }
        }
        Verdict::Yes
    }

    fn is_tag(&self, offset: u64) -> bool {
        let start = self.queue.read::<3>(offset);
        self.is_packed && start.is_some_and(|start| &start == b"ID3" || &start == b"TAG")
    }

    /// Steps over an ID3v2 tag at `at`.
    fn skip_tag(&mut self, limit: u64) -> Verdict {
        let mut bytes = [0; id3::HEADER_LEN];
        let wanted = (limit.saturating_sub(self.at)).min(bytes.len() as u64) as usize;
        let available = self.queue.peek(self.at, &mut bytes[..wanted]);
        let start = &bytes[..available];
        if available == 0 || !start.starts_with(&b"ID3"[..available.min(3)]) {
            return Verdict::No;
        }
        match id3::tag_len(start) {
            Some(len) => {
                self.at += len;
                self.queue.discard_to(self.at);
                Verdict::Yes
            }
            None if available < id3::HEADER_LEN => Verdict::NeedsMore,
            None => Verdict::No,
        }
    }
}
