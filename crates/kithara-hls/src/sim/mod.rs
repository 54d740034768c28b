//! A discrete-event simulator of playback: the very planner, bitrate decisions and timeline that play, in virtual time,
//! against a model of an origin, a network and a listener.
//!
//! [`run`] plays a [`Scenario`], with the policy that its [`AbrOptions`](crate::AbrOptions) name, and gives a [`Log`] of what was fetched, heard and waited for. Nothing is random and no
//! clock is read: the same scenario gives the same log. A simulated hour takes a few milliseconds.
//!
//! What is modelled: lists (written as text and read by the crate's parser), segments with their sizes, a link with a
//! rate and a latency that change, shared by all transfers alike, faults of lists and of single requests, and a listener
//! who plays at a speed, or takes everything at once. What is not: decoding, encryption, init sections, the store beyond
//! one run.
//!
//! ```
//! use std::time::Duration;
//! use kithara_hls::sim::{LinkStep, Scenario, VariantModel, run};
//!
//! let mut scenario = Scenario::ladder(&[64_000, 256_000], Duration::from_secs(4), 30);
//! scenario.link = vec![LinkStep::new(Duration::ZERO, 1_000_000, Duration::from_millis(50))];
//! let log = run(&scenario);
//! assert_eq!(log.outcome, kithara_hls::sim::Outcome::Ended);
//! assert_eq!(log.stalls.len(), 0);
//! assert!(log.played.iter().any(|played| played.variant == 1), "there is room for the better variant");
//! # let _: Vec<VariantModel> = scenario.variants;
//! ```

mod engine;
mod link;
mod listener;
mod log;
mod origin;
mod scenario;

pub use engine::run;
pub use link::LinkStep;
pub use log::{FetchLog, FetchResult, Log, Outcome, Played, Stall};
pub use scenario::{
    Fault, FaultKind, ListFault, ListFaultKind, Listener, Live, Scenario, SegmentModel, Until, VariantModel,
};

#[cfg(test)]
mod tests;
