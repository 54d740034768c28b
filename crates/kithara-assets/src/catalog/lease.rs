use std::fmt;
use std::sync::Arc;

use super::Catalog;
use crate::ResourceKey;

/// Keeps a resource, or a whole asset, from being evicted or removed while it lives.
///
/// Leases are of this process and of this moment: they are counted in memory, dropping one is a lock of nanoseconds, and
/// a crash leaves none behind. For a promise that outlives the process there is `pin`.
#[must_use = "dropping a lease ends it"]
pub struct LeaseGuard {
    catalog: Arc<Catalog>,
    what: What,
}

enum What {
    Resource(ResourceKey),
    Asset(Arc<str>),
}

impl LeaseGuard {
    pub(super) fn resource(catalog: Arc<Catalog>, key: ResourceKey) -> Self {
        Self { catalog, what: What::Resource(key) }
    }

    pub(super) fn asset(catalog: Arc<Catalog>, root: Arc<str>) -> Self {
        Self { catalog, what: What::Asset(root) }
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        let mut state = self.catalog.state.lock();
        match &self.what {
            What::Resource(key) => state.release(key),
            What::Asset(root) => state.release_asset(root),
        }
    }
}

impl fmt::Debug for LeaseGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Resource(key) => write!(f, "LeaseGuard({key})"),
            What::Asset(root) => write!(f, "LeaseGuard({root})"),
        }
    }
}
