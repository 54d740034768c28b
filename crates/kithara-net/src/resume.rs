//! The body that continues itself.

use bytes::Bytes;

use crate::error::NetError;
use crate::net::{Body, Net, Response};
use crate::request::Request;
use crate::retry::RetryPolicy;

/// A body that continues at its offset when it breaks off.
pub struct ResumingBody<N: Net> {
    inner: N::Body,
}

impl<N: Net> ResumingBody<N> {
    pub(crate) async fn open(
        _net: N,
        _request: Request,
        _policy: RetryPolicy,
    ) -> Result<Response<Self>, NetError> {
        todo!()
    }

    /// Offset in the entity of the next byte.
    pub fn offset(&self) -> u64 {
        todo!()
    }

    /// Length of the entity, as far as it is known by now.
    pub fn total_len(&self) -> Option<u64> {
        todo!()
    }

    /// How often the body was continued.
    pub fn resumptions(&self) -> u64 {
        todo!()
    }
}

impl<N: Net> Body for ResumingBody<N> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        self.inner.next_chunk().await
    }

    fn end_is_proven(&self) -> bool {
        self.inner.end_is_proven()
    }
}
