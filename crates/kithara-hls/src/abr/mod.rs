//! Adaptive bitrate: which variant the next segment is taken from. Pure: time is an argument.

mod control;
mod controller;
mod hybrid;
mod ladder;
pub mod model;
mod options;
mod published;
mod rate;
mod view;

pub use control::AbrControl;
pub use controller::{AbrController, Decision, DecisionInputs, SwitchReason, VariantMode};
pub use hybrid::Hybrid;
pub use options::{AbrOptions, AbrPolicyKind};
pub use published::{Bola, BolaE, Throughput};
pub use rate::{RateEstimate, RateEstimator, RateSample};
pub use view::{AbrPolicy, Candidate, Choice, Finished, PlanView, TransferProgress};

pub(crate) use hybrid::HORIZON;
