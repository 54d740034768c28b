//! What can be done with any [`Net`].

use std::future::Future;

use bytes::Bytes;
use http::header;

use crate::error::NetError;
use crate::gzip::{Bad, inflate};
use crate::head::{ResponseHead, is_gzip};
use crate::net::{Body, Net, Response};
use crate::redact::redacted;
use crate::request::Request;
use crate::resume::ResumingBody;
use crate::retry::RetryPolicy;

/// Reserved at most before bytes arrive: a declared length is a claim.
const RESERVE: usize = 64 * 1024;

/// Bytes by which a body is judged.
const FIRST_BYTES: usize = 512;

/// Conveniences over every [`Net`].
pub trait NetExt: Net {
    /// The whole of a small body: a playlist, a key, an init section. A range that is asked for is delivered exactly,
    /// also by a server that ignores ranges: `head.body_offset` and `head.body_len` tell what was delivered. A body
    /// that breaks off is continued, as [`ResumingBody`] does, by the stack's own policy ([`Net::retry_policy`]).
    ///
    /// Asks for gzip unless a range is asked for (a playlist of ten hours is a tenth of its size), and takes it also from
    /// servers that compress unasked: what is delivered, and what `head` tells, is inflated.
    ///
    /// # Errors
    /// [`NetError::TooLarge`] above `limit` bytes (before they are fetched, when the length is declared; inflated ones
    /// count too), and whatever the request or the body gives.
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

    /// Opens a body that continues at its offset when it breaks off, stalls or ends too early
    /// ([`ResumingBody`] says how). `policy` rules all of it; a [`RetryNet`](crate::RetryNet) below passes its requests
    /// through.
    ///
    /// # Errors
    /// What the first request gives when the policy's tries are spent.
    fn open_resuming(
        &self,
        request: Request,
        policy: RetryPolicy,
    ) -> impl Future<Output = Result<Response<ResumingBody<Self>>, NetError>> + Send {
        ResumingBody::open(self.clone(), request, policy, false)
    }
}

impl<N: Net> NetExt for N {}

async fn small_body<N: Net>(
    net: N,
    mut request: Request,
    limit: usize,
    mut wanted: Option<impl Fn(&[u8]) -> bool + Send>,
) -> Result<(ResponseHead, Bytes), NetError> {
    request.accepts_gzip = request.range.is_none();
    let policy = net.retry_policy();
    let Response { mut head, mut body } = ResumingBody::open(net, request, policy, true).await?;
    let too_large = NetError::TooLarge { url: redacted(&head.url), limit: limit as u64 };
    let declared = usize::try_from(head.body_len.unwrap_or(0)).unwrap_or(usize::MAX);
    let is_compressed = is_gzip(&head.headers);
    wanted = wanted.filter(|_| !is_compressed);
    if declared > limit && wanted.is_none() {
        return Err(too_large);
    }
    let mut bytes = Vec::with_capacity(declared.min(RESERVE));
    while let Some(chunk) = body.next_chunk().await? {
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
    head.total_len = body.total_len();
    if is_compressed {
        bytes = inflate(&bytes, limit).map_err(|bad| match bad {
            Bad::TooLarge => too_large,
            Bad::Malformed => NetError::encoding(&head.url, "gzip that is damaged"),
        })?;
        head.headers.remove(header::CONTENT_ENCODING);
        head.headers.remove(header::CONTENT_LENGTH);
        head.total_len = Some(bytes.len() as u64);
    }
    head.body_len = Some(bytes.len() as u64);
    Ok((head, bytes.into()))
}
