//! "Never splice two versions": the checks of a response that continues a body, and of the bytes that both hold.

use bytes::Bytes;
use http::StatusCode;

use crate::entity::EntityGuard;
use crate::error::NetError;
use crate::fingerprint::Fingerprint;
use crate::head::{ResponseHead, is_gzip};
use crate::validator::{EntityMatch, Validator};

/// Bytes of an entity without a validator that are asked for twice, and compared, when it is continued.
const TAIL: usize = 1024;

/// The part of an entity that a body has delivered.
pub(crate) struct Delivered {
    entity: EntityGuard,
    /// The body is compressed: another one that is not is another body.
    pub(crate) is_gzip: bool,
    /// Offset of the first byte delivered.
    start: u64,
    /// Evidence of the bytes, where no validator tells versions apart.
    seen: Option<Seen>,
}

/// Evidence of the bytes that were delivered.
struct Seen {
    fingerprint: Fingerprint,
    tail: Vec<u8>,
}

impl Delivered {
    pub(crate) fn of(head: &ResponseHead, start: u64) -> Self {
        let entity = EntityGuard::of(head);
        let seen = (!entity.is_strong()).then(|| Seen { fingerprint: Fingerprint::new(), tail: Vec::new() });
        Self { entity, is_gzip: is_gzip(&head.headers), start, seen }
    }

    /// Length of the whole entity, as far as it is known.
    pub(crate) fn total(&self) -> Option<u64> {
        self.entity.total()
    }

    pub(crate) fn set_total(&mut self, total: Option<u64>) {
        self.entity.set_total(total);
    }

    /// The `If-Range` of the request that continues.
    pub(crate) fn validator(&self) -> Option<Validator> {
        self.entity.if_range()
    }

    /// How many delivered bytes the request that continues asks for again.
    pub(crate) fn overlap(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.tail.len() as u64)
    }

    /// Notes delivered bytes.
    pub(crate) fn push(&mut self, data: &[u8]) {
        let Some(seen) = &mut self.seen else { return };
        seen.fingerprint.update(data);
        if data.len() >= TAIL {
            seen.tail.clear();
            seen.tail.extend_from_slice(&data[data.len() - TAIL..]);
        } else {
            let surplus = (seen.tail.len() + data.len()).saturating_sub(TAIL);
            seen.tail.drain(..surplus);
            seen.tail.extend_from_slice(data);
        }
    }

    /// Checks the head of a response that is to continue at `offset`, and says how its bytes below `offset` are checked.
    pub(crate) fn join(&mut self, head: &ResponseHead, offset: u64) -> Result<Overlap, NetError> {
        let changed = |what| Err(NetError::changed(&head.url, offset, what));
        if is_gzip(&head.headers) != self.is_gzip {
            return changed("its encoding");
        }
        if let Some(what) = self.entity.difference(head) {
            return changed(what);
        }
        if head.total_len.is_some_and(|total| total < offset) {
            return changed("it is shorter");
        }
        let is_part = head.status == StatusCode::PARTIAL_CONTENT;
        let check = match (&self.seen, self.entity.compare(head)) {
            (_, EntityMatch::Changed) => return changed("its validator"),
            (_, EntityMatch::Same) => Check::None,
            // The server applied If-Range, and then a part is a part of the same entity.
            (None, EntityMatch::Unknown) if is_part => Check::None,
            (None, EntityMatch::Unknown) => return changed("its validator is gone"),
            (Some(seen), EntityMatch::Unknown) if head.body_offset > self.start => {
                Check::tail(&seen.tail, offset)
            }
            (Some(_), EntityMatch::Unknown) => {
                Check::Fingerprint { fingerprint: Fingerprint::new(), start: self.start }
            }
        };
        self.entity.set_total(self.entity.total().or(head.total_len));
        Ok(Overlap { at: head.body_offset, to: offset, check })
    }

    /// True when every byte of the overlap is the byte that was delivered.
    pub(crate) fn confirms(&self, overlap: &Overlap) -> bool {
        match (&overlap.check, &self.seen) {
            (Check::None, _) => true,
            (Check::Tail { matched, .. }, _) => *matched,
            (Check::Fingerprint { fingerprint, .. }, Some(seen)) => *fingerprint == seen.fingerprint,
            (Check::Fingerprint { .. }, None) => false,
        }
    }

    /// True when the overlap so far differs from the bytes that were delivered.
    pub(crate) fn denies(&self, overlap: &Overlap) -> bool {
        match (&overlap.check, &self.seen) {
            (Check::Tail { matched, .. }, _) => !matched,
            (Check::Fingerprint { fingerprint, .. }, Some(seen)) => {
                !fingerprint.may_become(&seen.fingerprint)
            }
            _ => false,
        }
    }
}

/// Bytes of a continuing response that were delivered before.
pub(crate) struct Overlap {
    /// Offset of the next byte to skip.
    pub(crate) at: u64,
    /// Offset of the first byte that is new.
    pub(crate) to: u64,
    check: Check,
}

enum Check {
    /// The validator vouches for them.
    None,
    /// Bytes from `start` on must be `tail`.
    Tail { tail: Vec<u8>, start: u64, matched: bool },
    /// Bytes from `start` on must have the fingerprint of the delivered bytes.
    Fingerprint { fingerprint: Fingerprint, start: u64 },
}

impl Check {
    fn tail(tail: &[u8], offset: u64) -> Self {
        Self::Tail { tail: tail.to_vec(), start: offset.saturating_sub(tail.len() as u64), matched: true }
    }
}

impl Overlap {
    /// Bytes before `to` that nobody asked for.
    pub(crate) fn unasked(at: u64, to: u64) -> Self {
        Self { at, to, check: Check::None }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.to
    }

    /// Takes the bytes that were delivered before off the front of `data`.
    pub(crate) fn take(&mut self, data: &mut Bytes) {
        let len = usize::try_from(self.to.saturating_sub(self.at)).unwrap_or(usize::MAX).min(data.len());
        let skipped = data.split_to(len);
        let at = self.at;
        self.at += len as u64;
        match &mut self.check {
            Check::None => {}
            Check::Fingerprint { fingerprint, start } => fingerprint.update(from(&skipped, at, *start).0),
            Check::Tail { tail, start, matched } => {
                let (bytes, at) = from(&skipped, at, *start);
                let index = usize::try_from(at - *start).unwrap_or(usize::MAX);
                let expected = tail.get(index..).and_then(|rest| rest.get(..bytes.len()));
                *matched &= expected == Some(bytes);
            }
        }
    }
}

/// The bytes of `data` (which begins at `at`) that lie at `start` or behind, and their offset.
fn from(data: &[u8], at: u64, start: u64) -> (&[u8], u64) {
    let before = usize::try_from(start.saturating_sub(at)).unwrap_or(usize::MAX).min(data.len());
    (&data[before..], (at + before as u64).max(start))
}
