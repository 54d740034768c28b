//! The default stack.

use std::sync::Arc;

use crate::client::HttpClient;
use crate::observe::{NetObserver, ObserveNet};
use crate::options::NetOptions;
use crate::retry::RetryNet;
use crate::timeout::TimeoutNet;

/// The default stack: `Retry(3, Observe(Timeout(15s, Http)))`. Clones share connections.
pub type DefaultNet = RetryNet<ObserveNet<TimeoutNet<HttpClient>>>;

impl NetOptions {
    /// Builds the stack. Nothing is opened or loaded before the first request; options that do not work show then, as
    /// [`NetError::Options`](crate::NetError::Options).
    pub fn build(self) -> DefaultNet {
        let client = HttpClient::with_connect_timeout(self.http, self.timeouts.connect);
        let limited = TimeoutNet::new(client, self.timeouts);
        RetryNet::new(ObserveNet::with_observers(limited, self.observers), self.retry)
    }
}

impl DefaultNet {
    /// The same as [`NetOptions::build`].
    pub fn with(options: NetOptions) -> Self {
        options.build()
    }

    /// The same stack, connections shared, with one observer more.
    #[must_use]
    pub fn with_observer(&self, observer: Arc<dyn NetObserver>) -> Self {
        self.clone().map_inner(|inner| inner.with_observer(observer))
    }
}

impl Default for DefaultNet {
    fn default() -> Self {
        NetOptions::default().build()
    }
}
