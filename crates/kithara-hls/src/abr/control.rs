//! Changing the rules while a stream plays.

use std::sync::Arc;

use parking_lot::Mutex;

use super::AbrPolicyKind;

/// Changes the bitrate rules of a stream while it plays. Clones change the same stream; the next decision obeys.
#[derive(Debug, Clone, Default)]
pub struct AbrControl {
    changes: Arc<Mutex<Changes>>,
}

/// What was changed and not yet applied.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) policy: Option<AbrPolicyKind>,
    pub(super) max_bandwidth: Option<Option<u64>>,
    pub(super) data_saver: Option<bool>,
}

impl AbrControl {
    /// Chooses by another policy. What was measured stays.
    pub fn set_policy(&self, policy: AbrPolicyKind) {
        self.changes.lock().policy = Some(policy);
    }

    /// Sets the bandwidth that no variant should exceed, bits per second; `None` for no limit.
    pub fn set_max_bandwidth(&self, bandwidth: Option<u64>) {
        self.changes.lock().max_bandwidth = Some(bandwidth);
    }

    /// Turns [`AbrOptions::data_saver`](super::AbrOptions::data_saver) on or off.
    pub fn set_data_saver(&self, data_saver: bool) {
        self.changes.lock().data_saver = Some(data_saver);
    }

    pub(super) fn take(&self) -> Changes {
        std::mem::take(&mut *self.changes.lock())
    }
}
