//! "Never splice two versions": what is known of the entity whose bytes were delivered, and the checks of a response
//! that continues them.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use crate::digest::Digest;
use crate::error::NetError;
use crate::head::{ResponseHead, is_gzip};
use crate::validator::{Sameness, Validator};

/// Bytes of an entity without a validator that are asked for twice, and compared, when it is continued.
const TAIL: usize = 1024;

/// The entity that a body delivers.
pub(crate) struct Version {
    /// `ETag` and `Last-Modified` of the first response.
    tags: HeaderMap,
    validator: Option<Validator>,
    pub(crate) total: Option<u64>,
    /// The body is compressed: another one that is not is another body.
    pub(crate) is_gzip: bool,
    /// Offset of the first byte delivered.
    start: u64,
    /// What was delivered, where no validator tells versions apart.
    seen: Option<Seen>,
}

/// Evidence of what was delivered.
struct Seen {
    digest: Digest,
    tail: Vec<u8>,
}

impl Version {
    pub(crate) fn of(head: &ResponseHead, start: u64) -> Self {
        let mut tags = HeaderMap::new();
        for name in [header::ETAG, header::LAST_MODIFIED] {
            if let Some(value) = head.headers.get(&name) {
                tags.insert(name, value.clone());
            }
        }
        let validator = head.validator.clone().filter(Validator::is_strong);
        let seen = validator.is_none().then(|| Seen { digest: Digest::new(), tail: Vec::new() });
        Self { tags, validator, total: head.total_len, is_gzip: is_gzip(&head.headers), start, seen }
    }

    /// What the request that continues sends as `If-Range`.
    pub(crate) fn validator(&self) -> Option<Validator> {
        self.validator.clone()
    }

    /// How many delivered bytes the request that continues asks for again.
    pub(crate) fn overlap(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.tail.len() as u64)
    }

    /// Remembers what is delivered.
    pub(crate) fn delivered(&mut self, data: &[u8]) {
        let Some(seen) = &mut self.seen else { return };
        seen.digest.update(data);
        if data.len() >= TAIL {
            seen.tail.clear();
            seen.tail.extend_from_slice(&data[data.len() - TAIL..]);
        } else {
            let surplus = (seen.tail.len() + data.len()).saturating_sub(TAIL);
            seen.tail.drain(..surplus);
            seen.tail.extend_from_slice(data);
        }
    }

    /// Checks the head of a response that is to continue at `offset`, and says what its bytes below `offset` must be.
    pub(crate) fn join(&mut self, head: &ResponseHead, offset: u64) -> Result<Skip, NetError> {
        let changed = |what| Err(NetError::changed(&head.url, offset, what));
        if is_gzip(&head.headers) != self.is_gzip {
            return changed("its encoding");
        }
        if let (Some(old), Some(new)) = (self.total, head.total_len)
            && old != new
        {
            return changed("its length");
        }
        if head.total_len.is_some_and(|total| total < offset) {
            return changed("it is shorter");
        }
        let sameness = self.sameness(&head.headers);
        let is_part = head.status == StatusCode::PARTIAL_CONTENT;
        let check = match (&self.seen, sameness) {
            (_, Sameness::Changed) => return changed("its validator"),
            (_, Sameness::Same) => Check::Nothing,
            // The server applied If-Range, and then a part is a part of the same entity.
            (None, Sameness::Unknown) if is_part => Check::Nothing,
            (None, Sameness::Unknown) => return changed("its validator is gone"),
            (Some(seen), Sameness::Unknown) if head.body_offset > self.start => {
                Check::tail(&seen.tail, offset)
            }
            (Some(_), Sameness::Unknown) => Check::Digest { digest: Digest::new(), start: self.start },
        };
        self.total = self.total.or(head.total_len);
        Ok(Skip { at: head.body_offset, to: offset, check })
    }

    /// True when all that was skipped is what was delivered.
    pub(crate) fn confirms(&self, skip: &Skip) -> bool {
        match (&skip.check, &self.seen) {
            (Check::Nothing, _) => true,
            (Check::Tail { matched, .. }, _) => *matched,
            (Check::Digest { digest, .. }, Some(seen)) => *digest == seen.digest,
            (Check::Digest { .. }, None) => false,
        }
    }

    /// True when what was skipped so far differs from what was delivered.
    pub(crate) fn denies(&self, skip: &Skip) -> bool {
        match (&skip.check, &self.seen) {
            (Check::Tail { matched, .. }, _) => !matched,
            (Check::Digest { digest, .. }, Some(seen)) => !digest.may_become(&seen.digest),
            _ => false,
        }
    }

    fn sameness(&self, new: &HeaderMap) -> Sameness {
        let etag =
            |headers: &HeaderMap| headers.get(header::ETAG).and_then(|v| Validator::etag(v.to_str().ok()?));
        if let (Some(old), Some(_)) = (etag(&self.tags), etag(new)) {
            match old.compare(new) {
                Sameness::Unknown => {}
                known => return known,
            }
        }
        let Some(date) = self.tags.get(header::LAST_MODIFIED).and_then(|v| v.to_str().ok()) else {
            return Sameness::Unknown;
        };
        match Validator::LastModified(date.trim().to_owned()).compare(new) {
            // A date that is no strong validator proves a change, not the absence of one.
            Sameness::Same if !matches!(self.validator, Some(Validator::LastModified(_))) => {
                Sameness::Unknown
            }
            known => known,
        }
    }
}

/// Bytes of a continuing response that were delivered before.
pub(crate) struct Skip {
    /// Offset of the next byte to skip.
    pub(crate) at: u64,
    /// Offset of the first byte that is new.
    pub(crate) to: u64,
    check: Check,
}

enum Check {
    /// The validator vouches for them.
    Nothing,
    /// Bytes from `start` on must be `tail`.
    Tail { tail: Vec<u8>, start: u64, matched: bool },
    /// Bytes from `start` on must have the digest of what was delivered.
    Digest { digest: Digest, start: u64 },
}

impl Check {
    fn tail(tail: &[u8], offset: u64) -> Self {
        Self::Tail { tail: tail.to_vec(), start: offset.saturating_sub(tail.len() as u64), matched: true }
    }
}

impl Skip {
    /// Bytes before `to` that nobody asked for.
    pub(crate) fn unasked(at: u64, to: u64) -> Self {
        Self { at, to, check: Check::Nothing }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.to
    }

    /// Takes what is to be skipped off the front of `data`.
    pub(crate) fn take(&mut self, data: &mut Bytes) {
        let len = usize::try_from(self.to.saturating_sub(self.at)).unwrap_or(usize::MAX).min(data.len());
        let skipped = data.split_to(len);
        let at = self.at;
        self.at += len as u64;
        match &mut self.check {
            Check::Nothing => {}
            Check::Digest { digest, start } => digest.update(from(&skipped, at, *start).0),
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
