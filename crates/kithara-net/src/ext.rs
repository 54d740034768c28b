//! What can be done with any [`Net`].

use std::future::Future;

use bytes::Bytes;
use http::header;

use crate::error::{NetError, Phase};
use crate::gzip::{InflateError, inflate};
use crate::head::{ResponseHead, is_gzip};
use crate::net::{Body, Net, Response};
use crate::redact::redacted;
use crate::request::{ByteRange, Request};

/// Reserved at most before bytes arrive: a declared length is a claim.
const RESERVE: usize = 64 * 1024;

/// Bytes by which a body is judged.
const FIRST_BYTES: usize = 512;

/// Conveniences over every [`Net`].
pub trait NetExt: Net {
    /// The whole of a small body: a playlist, a key, an init section. A range that is asked for is delivered exactly,
    /// also by a server that ignores ranges: `head.body_offset` and `head.body_len` tell what was delivered. A body
    /// that breaks off is continued by the stack's [`RetryNet`](crate::RetryNet).
    ///
    /// Asks for gzip unless a range is asked for (a playlist of ten hours is a tenth of its size), and takes it also from
    /// servers that compress unasked: what is delivered, and what `head` tells, is inflated.
    ///
    /// # Errors
    /// [`NetError::TooLarge`] above `limit` bytes (before they are fetched, when the length is declared; inflated ones
    /// count too), [`NetError::Timeout`] when all of it takes longer than [`Request::deadline`], and whatever the request
    /// or the body gives.
    fn get_bytes(
        &self,
        request: Request,
        limit: usize,
    ) -> impl Future<Output = Result<(ResponseHead, Bytes), NetError>> + Send {
        small_body(self.clone(), request, limit, None::<fn(&[u8]) -> bool>)
    }

    /// [`get_bytes`](Self::get_bytes) of a body that is read on only if `wanted` says so of its first bytes (512 of them,
    /// or all there are; not asked of what is compressed). Otherwise the bytes that came until then are the answer: enough
    /// to tell what it is, when it may be large, or endless.
    ///
    /// # Errors
    /// As `get_bytes`.
    fn get_bytes_if(
        &self,
        request: Request,
        limit: usize,
        wanted: impl Fn(&[u8]) -> bool + Send,
    ) -> impl Future<Output = Result<(ResponseHead, Bytes), NetError>> + Send {
        small_body(self.clone(), request, limit, Some(wanted))
    }
}

impl<N: Net> NetExt for N {}

async fn small_body<N: Net>(
    net: N,
    request: Request,
    limit: usize,
    wanted: Option<impl Fn(&[u8]) -> bool + Send>,
) -> Result<(ResponseHead, Bytes), NetError> {
    let (url, deadline) = (request.url.clone(), request.deadline);
    let body = tokio::time::timeout(deadline, read_small_body(net, request, limit, wanted));
    body.await.unwrap_or_else(|_| Err(NetError::timeout(&url, Phase::Total, deadline)))
}

async fn read_small_body<N: Net>(
    net: N,
    mut request: Request,
    limit: usize,
    mut wanted: Option<impl Fn(&[u8]) -> bool + Send>,
) -> Result<(ResponseHead, Bytes), NetError> {
    request.accepts_gzip = request.range.is_none();
    let range = request.range;
    let Response { mut head, mut body } = net.open(request).await?;
    let too_large = NetError::TooLarge { url: redacted(&head.url), limit: limit as u64 };
    let mut window = Window::of(range, &mut head)?;
    let declared = usize::try_from(head.body_len.unwrap_or(0)).unwrap_or(usize::MAX);
    let is_compressed = is_gzip(&head.headers);
    wanted = wanted.filter(|_| !is_compressed);
    if declared > limit && wanted.is_none() {
        return Err(too_large);
    }
    let mut bytes = Vec::with_capacity(declared.min(RESERVE));
    let mut is_whole = false;
    while !window.is_cut_off() {
        let Some(chunk) = body.next_chunk().await? else {
            is_whole = body.is_complete() && range.is_none();
            break;
        };
        let chunk = window.cut(chunk);
        if chunk.len() > limit - bytes.len() {
            return Err(too_large);
        }
        bytes.extend_from_slice(&chunk);
        if let Some(wanted) = wanted.take_if(|_| bytes.len() >= FIRST_BYTES) {
            if !wanted(&bytes) {
                break;
            } else if declared > limit {
                return Err(too_large);
            }
        }
    }
    if is_whole {
        head.total_len = Some(bytes.len() as u64);
    }
    if is_compressed {
        bytes = inflate(&bytes, limit).map_err(|error| match error {
            InflateError::TooLarge => too_large,
            InflateError::Malformed => NetError::encoding(&head.url, "gzip that is damaged"),
        })?;
        head.headers.remove(header::CONTENT_ENCODING);
        head.headers.remove(header::CONTENT_LENGTH);
        head.total_len = Some(bytes.len() as u64);
    }
    head.body_len = Some(bytes.len() as u64);
    Ok((head, bytes.into()))
}

/// The part of a body that lies in the range asked for: servers that ignore ranges send all of the entity.
struct Window {
    /// Bytes before the range that are still to come.
    before: u64,
    /// Bytes of the range that are still to come; `None` without a range.
    left: Option<u64>,
    /// The response goes on behind the range: its end is not waited for.
    goes_on: bool,
}

impl Window {
    fn of(range: Option<ByteRange>, head: &mut ResponseHead) -> Result<Self, NetError> {
        let Some(range) = range.filter(|_| head.has_entity()) else {
            return Ok(Self { before: 0, left: None, goes_on: false });
        };
        let before = range.start.saturating_sub(head.body_offset);
        if let Some(total) = head.total_len.filter(|&total| before > 0 && total <= range.start) {
            let url = redacted(&head.url);
            return Err(NetError::RangeNotSatisfiable { url, start: range.start, total: Some(total) });
        }
        let start = range.start.max(head.body_offset);
        let arriving = head.body_end().map(|end| end.saturating_sub(start));
        let wanted = range.end.map(|end| end.saturating_sub(start));
        let left = match (wanted, arriving) {
            (Some(wanted), Some(arriving)) => Some(wanted.min(arriving)),
            (wanted, arriving) => wanted.or(arriving),
        };
        let goes_on = wanted.is_some_and(|wanted| arriving.is_none_or(|arriving| arriving > wanted));
        (head.body_offset, head.body_len) = (start, left);
        Ok(Self { before, left, goes_on })
    }

    fn is_cut_off(&self) -> bool {
        self.goes_on && self.left == Some(0)
    }

    fn cut(&mut self, mut chunk: Bytes) -> Bytes {
        let skipped = usize::try_from(self.before).unwrap_or(usize::MAX).min(chunk.len());
        self.before -= skipped as u64;
        let mut chunk = chunk.split_off(skipped);
        if let Some(left) = &mut self.left {
            chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= chunk.len() as u64;
        }
        chunk
    }
}
