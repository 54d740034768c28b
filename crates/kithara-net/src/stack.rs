//! The default stack.

use std::sync::Arc;

use crate::client::HttpClient;
use crate::observe::{NetObserver, ObserveNet};
use crate::retry::RetryNet;
use crate::settings::NetSettings;
use crate::timeout::TimeoutNet;

/// The default stack: `Retry(3, Observe(Timeout(15s, Http)))`. Clones share connections.
pub type DefaultNet = RetryNet<ObserveNet<TimeoutNet<HttpClient>>>;

impl DefaultNet {
    /// The same as [`NetSettings::build`].
    pub fn with(settings: NetSettings) -> Self {
        settings.build()
    }

    /// The same stack, connections shared, with one observer more.
    #[must_use]
    pub fn observed_by(&self, observer: Arc<dyn NetObserver>) -> Self {
        self.clone().map_inner(|inner| inner.observed_by(observer))
    }
}

impl Default for DefaultNet {
    fn default() -> Self {
        NetSettings::default().build()
    }
}
