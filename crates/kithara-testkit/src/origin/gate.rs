use std::sync::Arc;

use tokio::sync::watch;

/// Holds a response back until the test opens it, and tells when a response has arrived at it.
///
/// Clones are the same gate. Dropping every clone that the test holds does not open it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    open: bool,
    arrived: usize,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everything through, now and later.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Closes it again for those that have not arrived yet.
    pub fn close(&self) {
        self.0.send_modify(|state| state.open = false);
    }

    /// How many responses have arrived, open or closed.
    pub fn arrived(&self) -> usize {
        self.0.borrow().arrived
    }

    /// Waits until `count` responses have arrived. Cancel-safe.
    pub async fn wait_for_arrivals(&self, count: usize) {
        let mut state = self.0.subscribe();
        // It can only fail when the sender is gone, and `self` holds it.
        let _ = state.wait_for(|state| state.arrived >= count).await;
    }

    /// A response arrives, and waits until the gate is open.
    pub(super) async fn pass(&self) {
        let mut state = self.0.subscribe();
        self.0.send_modify(|state| state.arrived += 1);
        let _ = state.wait_for(|state| state.open).await;
    }
}
