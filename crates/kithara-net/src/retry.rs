//! The retrying layer and its policy.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::NetError;
use crate::net::{Net, Response};
use crate::request::Request;

/// How often and how soon to try again: exponential backoff with full jitter.
///
/// The pause before retry *n* (from 0) is random between zero and `min(cap, base × 2ⁿ)`; a longer `Retry-After` of the
/// server is obeyed instead, up to `retry_after_cap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries after the first one. Default 3. For a body this budget starts anew whenever bytes arrive.
    pub max_retries: u32,
    /// The first pause is at most this. Default 200 ms; zero retries at once, which only tests should do.
    pub base: Duration,
    /// No pause is longer. Default 10 s.
    pub cap: Duration,
    /// Longest `Retry-After` that is obeyed; a longer one is waited for this long. Default 30 s.
    pub retry_after_cap: Duration,
    /// Makes the pauses the same in each run. Default: random.
    pub seed: Option<u64>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(10),
            retry_after_cap: Duration::from_secs(30),
            seed: None,
        }
    }
}

impl RetryPolicy {
    /// No second try.
    pub fn none() -> Self {
        Self { max_retries: 0, ..Self::default() }
    }

    /// The pause before retry number `retry` (from 0) after `error`; `None` when there is none.
    pub(crate) fn pause(&self, retry: u32, error: &NetError, jitter: &Jitter) -> Option<Duration> {
        if retry >= self.max_retries || !error.is_retryable() {
            return None;
        }
        let ceiling = self.base.saturating_mul(2u32.saturating_pow(retry.min(31))).min(self.cap);
        let pause = jitter.below(ceiling);
        let asked = error.retry_after().map(|after| after.min(self.retry_after_cap));
        Some(asked.map_or(pause, |asked| asked.max(pause)))
    }
}

/// Random pauses (splitmix64), shared by the clones of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(Arc<AtomicU64>);

impl Jitter {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        let seed = policy.seed.unwrap_or_else(|| RandomState::new().hash_one(0u8));
        Self(Arc::new(AtomicU64::new(seed)))
    }

    fn below(&self, ceiling: Duration) -> Duration {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        // The high half of a 128-bit product: uniform in 0..=nanos.
        let picked = (u128::from(z) * (u128::from(nanos) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(picked).unwrap_or(nanos))
    }
}

/// Tries a request again when it failed in a way that may pass ([`NetError::is_retryable`]).
///
/// Retries end with the head of the response. A body that breaks off is the business of
/// [`open_resuming`](crate::NetExt::open_resuming), whose requests this layer passes through once, so that two budgets
/// do not multiply.
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
    type Body = N::Body;

    async fn open(&self, request: Request) -> Result<Response<Self::Body>, NetError> {
        // Five kilobytes while it lasts, which is not long: within the future, whatever asks would have room for them as long
        // as it lives.
        if request.retried_by_caller || self.policy.max_retries == 0 {
            return Box::pin(self.inner.open(request)).await;
        }
        Box::pin(retrying(&self.inner, &request, &self.policy, &self.jitter)).await
    }

    fn retry_policy(&self) -> RetryPolicy {
        self.policy.clone()
    }
}

/// Sends the request by the policy.
pub(crate) async fn retrying<N: Net>(
    net: &N,
    request: &Request,
    policy: &RetryPolicy,
    jitter: &Jitter,
) -> Result<Response<N::Body>, NetError> {
    let mut retry = 0;
    loop {
        let error = match net.open(request.clone()).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let Some(pause) = policy.pause(retry, &error, jitter) else { return Err(error) };
        tracing::debug!(%error, retry, ?pause, "request failed, trying again");
        tokio::time::sleep(pause).await;
        retry += 1;
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn busy(retry_after: Option<u64>) -> NetError {
        NetError::Status {
            url: "http://h/".into(),
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn pauses_grow_to_the_cap_and_are_jittered_and_repeatable() {
        let policy = RetryPolicy { max_retries: 40, seed: Some(7), ..RetryPolicy::default() };
        let pauses = |_| {
            let jitter = Jitter::new(&policy);
            (0..40).map(|n| policy.pause(n, &busy(None), &jitter).unwrap()).collect::<Vec<_>>()
        };
        let (first, second) = (pauses(0), pauses(1));
        assert_eq!(first, second);
        for (n, pause) in first.iter().enumerate() {
            let ceiling =
                Duration::from_millis(200).saturating_mul(1 << n.min(20)).min(Duration::from_secs(10));
            assert!(*pause <= ceiling, "{n}: {pause:?}");
        }
        let capped = &first[6..];
        assert!(capped.iter().any(|p| *p < Duration::from_secs(3)), "jitter is full");
        assert!(capped.iter().any(|p| *p > Duration::from_secs(7)), "jitter is full");
        assert_eq!(policy.pause(40, &busy(None), &Jitter::new(&policy)), None);
    }

    #[test]
    fn retry_after_is_obeyed_up_to_its_cap() {
        let policy = RetryPolicy::default();
        let jitter = Jitter::new(&policy);
        assert_eq!(policy.pause(0, &busy(Some(7)), &jitter), Some(Duration::from_secs(7)));
        assert_eq!(policy.pause(0, &busy(Some(u64::MAX)), &jitter), Some(Duration::from_secs(30)));
        assert!(policy.pause(0, &busy(Some(0)), &jitter).unwrap() <= Duration::from_millis(200));
    }

    #[test]
    fn extreme_policies_do_not_overflow() {
        let policy = RetryPolicy {
            max_retries: u32::MAX,
            base: Duration::MAX,
            cap: Duration::MAX,
            retry_after_cap: Duration::MAX,
            seed: Some(1),
        };
        let jitter = Jitter::new(&policy);
        assert!(policy.pause(u32::MAX - 1, &busy(Some(u64::MAX)), &jitter).is_some());
        let at_once = RetryPolicy { base: Duration::ZERO, ..policy };
        assert_eq!(at_once.pause(5, &busy(None), &jitter), Some(Duration::ZERO));
    }
}
