//! When a failed request is sent again: [`RetryPolicy`].

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::NetError;

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

    /// Sets the number of tries after the first one.
    #[must_use]
    pub fn with_max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// Sets the ceiling of the first pause and the ceiling of all pauses.
    #[must_use]
    pub fn with_pauses(mut self, base: Duration, cap: Duration) -> Self {
        self.base = base;
        self.cap = cap;
        self
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

/// Random pauses, shared by the clones of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(Arc<Mutex<fastrand::Rng>>);

impl Jitter {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        let random = policy.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self(Arc::new(Mutex::new(random)))
    }

    fn below(&self, ceiling: Duration) -> Duration {
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.0.lock().u64(0..=nanos))
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
