//! What can be done with any [`Net`].

use std::future::Future;

use bytes::Bytes;

use crate::error::NetError;
use crate::head::ResponseHead;
use crate::net::{Body, Net, Response};
use crate::redact::redacted;
use crate::request::Request;
use crate::resume::ResumingBody;
use crate::retry::RetryPolicy;

/// Reserved at most before bytes arrive: a declared length is a claim.
const RESERVE: usize = 64 * 1024;

/// Conveniences over every [`Net`].
pub trait NetExt: Net {
    /// The whole of a small body: a playlist, a key, an init section. A range that is asked for is delivered exactly,
    /// also by a server that ignores ranges: `head.body_offset` and `head.body_len` tell what was delivered. A body
    /// that breaks off is continued, as [`ResumingBody`] does, by the stack's own policy ([`Net::retry_policy`]).
    ///
    /// # Errors
    /// [`NetError::TooLarge`] above `limit` bytes (before they are fetched, when the length is declared), and whatever
    /// the request or the body gives.
    fn get_bytes(
        &self,
        request: Request,
        limit: usize,
    ) -> impl Future<Output = Result<(ResponseHead, Bytes), NetError>> + Send {
        async move {
            let policy = self.retry_policy();
            let Response { mut head, mut body } =
                ResumingBody::open(self.clone(), request, policy, true).await?;
            let too_large = NetError::TooLarge { url: redacted(&head.url), limit: limit as u64 };
            let declared = usize::try_from(head.body_len.unwrap_or(0)).unwrap_or(usize::MAX);
            if declared > limit {
                return Err(too_large);
            }
            let mut bytes = Vec::with_capacity(declared.min(RESERVE));
            while let Some(chunk) = body.next_chunk().await? {
                if chunk.len() > limit - bytes.len() {
                    return Err(too_large);
                }
                bytes.extend_from_slice(&chunk);
            }
            head.body_len = Some(bytes.len() as u64);
            head.total_len = body.total_len();
            Ok((head, bytes.into()))
        }
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
