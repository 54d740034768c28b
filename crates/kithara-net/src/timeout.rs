//! The layer of time limits.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::error::{NetError, Phase};
use crate::net::{Body, Net, Response};
use crate::request::Request;

/// Time limits of a request. There is none for a whole body: a song takes as long as it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, TCP and TLS, for one connection. Default 10 s. Held by the client that connects
    /// ([`NetOptions::build`](crate::NetOptions::build) passes it there), not by [`TimeoutNet`].
    pub connect: Duration,
    /// From the request to the head of its response: hook, connecting and redirects included. Default 15 s. Not less
    /// than `connect`.
    pub head: Duration,
    /// Waiting for the next bytes of a body. Default 15 s. Counts only while somebody waits for them: a paused reader
    /// times nothing out.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(15),
            idle: Duration::from_secs(15),
        }
    }
}

/// Ends a request whose head, or a body whose next bytes, do not come in time.
///
/// Stand *inside* [`RetryNet`](crate::RetryNet): `Retry(3, Timeout(15s, Http))` limits each try.
/// `Timeout(15s, Retry(3, Http))` is wrong: one slow try spends the time of all of them.
#[derive(Clone, Debug)]
pub struct TimeoutNet<N> {
    inner: N,
    timeouts: Timeouts,
}

impl<N> TimeoutNet<N> {
    /// Limits `inner`.
    pub fn new(inner: N, timeouts: Timeouts) -> Self {
        Self { inner, timeouts }
    }

    /// The net inside.
    pub fn inner(&self) -> &N {
        &self.inner
    }

    /// Takes the layer off.
    pub fn into_inner(self) -> N {
        self.inner
    }
}

impl<N: fmt::Display> fmt::Display for TimeoutNet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timeout({:?}, {})", self.timeouts.head, self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<N: Net> Net for TimeoutNet<N> {
    type Body = TimeoutBody<N::Body>;

    async fn open(&self, request: Request) -> Result<Response<Self::Body>, NetError> {
        let url = request.url.clone();
        let Timeouts { head, idle, .. } = self.timeouts;
        let response = timeout(head, self.inner.open(request))
            .await
            .map_err(|_| NetError::timeout(&url, Phase::Head, head))??;
        Ok(response.map_body(|inner| TimeoutBody { inner, url, idle, waited: Duration::ZERO }))
    }
}

/// The body of [`TimeoutNet`].
pub struct TimeoutBody<B> {
    inner: B,
    url: Url,
    idle: Duration,
    /// Time spent waiting for the next chunk in calls that were dropped: a caller that polls in a `select!` must not
    /// start the limit anew each time.
    waited: Duration,
}

impl<B: fmt::Debug> fmt::Debug for TimeoutBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutBody")
            .field("inner", &self.inner)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

/// Adds the time of a wait that is dropped.
struct Waiting<'a> {
    since: Instant,
    waited: &'a mut Duration,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.waited = self.waited.saturating_add(self.since.elapsed());
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: Body> Body for TimeoutBody<B> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let left = self.idle.saturating_sub(self.waited);
        let waiting = Waiting { since: Instant::now(), waited: &mut self.waited };
        let result = timeout(left, self.inner.next_chunk()).await;
        drop(waiting);
        match result {
            Ok(result) => {
                self.waited = Duration::ZERO;
                result
            }
            Err(_) => Err(NetError::timeout(&self.url, Phase::Idle, self.idle)),
        }
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }
}
