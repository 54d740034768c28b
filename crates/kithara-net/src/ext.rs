//! What can be done with any [`Net`].

use std::future::Future;

use bytes::{Bytes, BytesMut};

use crate::error::NetError;
use crate::head::ResponseHead;
use crate::net::{Body, Net, Response};
use crate::redact::redacted;
use crate::request::Request;
use crate::resume::ResumingBody;
use crate::retry::RetryPolicy;

/// Conveniences over every [`Net`].
pub trait NetExt: Net {
    /// The whole of a small body: a playlist, a key, an init section. A range that is asked for is delivered exactly,
    /// also by a server that ignores ranges: `head.body_offset` and `head.body_len` tell what was delivered.
    ///
    /// The body is read once: wrap it in [`open_resuming`](Self::open_resuming) when it is large.
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
            let url = request.url.clone();
            let too_large = || NetError::TooLarge { url: redacted(&url), limit: limit as u64 };
            let mut response = self.open(request).await?;
            let mut bytes = BytesMut::new();
            while let Some(chunk) = response.body.next_chunk().await? {
                if bytes.len() + chunk.len() > limit {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok((response.head, bytes.freeze()))
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
        ResumingBody::open(self.clone(), request, policy)
    }
}

impl<N: Net> NetExt for N {}
