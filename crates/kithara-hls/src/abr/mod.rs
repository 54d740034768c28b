//! Adaptive bitrate: which variant the next segment is taken from. Pure: time is an argument.

mod controller;
mod estimator;
mod policy;
mod settings;

pub use controller::{AbrController, Decision, SwitchReason, VariantMode};
pub use estimator::ThroughputEstimator;
pub use policy::{AbrPolicy, AbrView, Candidate, ThroughputPolicy, TransferProgress};
pub use settings::AbrSettings;
