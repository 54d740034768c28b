//! The retrying layer.

use std::fmt;

use crate::error::NetError;
use crate::net::{Net, Response};
use crate::policy::{Jitter, RetryPolicy};
use crate::request::Request;
use crate::retry_body::RetryBody;

/// Retries what may succeed a moment later ([`NetError::is_retryable`]): the head of a response, and its body, which
/// continues at its offset when it breaks off ([`RetryBody`] says how). Both use one policy;
/// [`Request::with_retry`] overrides it for one request.
///
/// A request that overrides it with [`RetryPolicy::none`] gets the response exactly as it came, for callers that decide
/// about each answer themselves.
///
/// Stand outside of [`TimeoutNet`](crate::TimeoutNet): `Retry(3, Timeout(15s, Http))`. The other way round one slow try
/// spends the time of all of them.
#[derive(Clone, Debug)]
pub struct RetryNet<N> {
    inner: N,
    policy: RetryPolicy,
    jitter: Jitter,
}

impl<N> RetryNet<N> {
    /// Retries `inner`.
    pub fn new(inner: N, policy: RetryPolicy) -> Self {
        let jitter = Jitter::new(&policy);
        Self { inner, policy, jitter }
    }

    /// The net inside.
    pub fn inner(&self) -> &N {
        &self.inner
    }

    /// Takes the layer off.
    pub fn into_inner(self) -> N {
        self.inner
    }

    /// The same layer around another net.
    pub fn map_inner<M>(self, map: impl FnOnce(N) -> M) -> RetryNet<M> {
        RetryNet { inner: map(self.inner), policy: self.policy, jitter: self.jitter }
    }
}

impl<N: fmt::Display> fmt::Display for RetryNet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Retry({}, {})", self.policy.max_retries, self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<N: Net> Net for RetryNet<N> {
    type Body = RetryBody<N>;

    async fn open(&self, mut request: Request) -> Result<Response<Self::Body>, NetError> {
        // Boxed: these futures are about 5 KB and would enlarge every caller's future.
        let (policy, jitter) = match request.retry.take() {
            Some(policy) if policy.max_retries == 0 => {
                let response = Box::pin(self.inner.open(request)).await?;
                return Ok(response.map_body(RetryBody::passed));
            }
            Some(policy) => {
                let jitter = Jitter::new(&policy);
                (policy, jitter)
            }
            None => (self.policy.clone(), self.jitter.clone()),
        };
        Box::pin(RetryBody::open(self.inner.clone(), request, policy, jitter)).await
    }
}
