//! The erased twin of [`Net`], for applications that choose a stack at run time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::NetError;
use crate::net::{Body, Net, Response};
use crate::request::Request;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, NetError>> + Send + 'a>>;

/// Any stack. Costs one allocation for each request and each chunk; the static stacks cost none.
#[derive(Clone)]
pub struct DynNet(Arc<dyn ErasedNet>);

impl DynNet {
    /// Erases a stack.
    pub fn new(net: impl Net + fmt::Display) -> Self {
        Self(Arc::new(net))
    }
}

impl fmt::Display for DynNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dyn({})", self.0)
    }
}

impl fmt::Debug for DynNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Net for DynNet {
    type Body = DynBody;

    async fn open(&self, request: Request) -> Result<Response<DynBody>, NetError> {
        self.0.open(request).await
    }
}

/// Any body.
pub struct DynBody(Box<dyn ErasedBody>);

impl fmt::Debug for DynBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynBody").field("is_complete", &self.0.is_complete()).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl Body for DynBody {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        self.0.next_chunk().await
    }

    fn is_complete(&self) -> bool {
        self.0.is_complete()
    }
}

trait ErasedNet: Send + Sync + fmt::Display {
    fn open(&self, request: Request) -> Boxed<'_, Response<DynBody>>;
}

impl<N: Net + fmt::Display> ErasedNet for N {
    fn open(&self, request: Request) -> Boxed<'_, Response<DynBody>> {
        Box::pin(async move { Ok(Net::open(self, request).await?.map_body(|body| DynBody(Box::new(body)))) })
    }
}

trait ErasedBody: Send {
    fn next_chunk(&mut self) -> Boxed<'_, Option<Bytes>>;
    fn is_complete(&self) -> bool;
}

impl<B: Body> ErasedBody for B {
    fn next_chunk(&mut self) -> Boxed<'_, Option<Bytes>> {
        Box::pin(Body::next_chunk(self))
    }

    fn is_complete(&self) -> bool {
        Body::is_complete(self)
    }
}
