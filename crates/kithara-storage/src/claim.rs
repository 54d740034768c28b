use std::fmt;
use std::sync::Arc;

/// Gives a claim back to the resource that it belongs to.
pub trait ReleaseClaim: Send + Sync {
    /// Called exactly once, when the claim is dropped. Must not block for long.
    fn release_claim(&self);
}

/// The exclusive right to fill a resource, from [`Streaming::claim`](crate::Streaming::claim). Dropping it passes it on.
///
/// Keeps its resource alive.
#[must_use = "dropping a claim releases it"]
pub struct WriteClaim {
    owner: Arc<dyn ReleaseClaim>,
}

impl WriteClaim {
    /// For other implementations of [`Streaming`](crate::Streaming).
    pub fn new(owner: Arc<dyn ReleaseClaim>) -> Self {
        Self { owner }
    }
}

impl Drop for WriteClaim {
    fn drop(&mut self) {
        self.owner.release_claim();
    }
}

impl fmt::Debug for WriteClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteClaim")
    }
}
