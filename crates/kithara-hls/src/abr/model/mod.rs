//! A session over a network trace, computed: the model of Sabre, in which segments are fetched one after the other.
//!
//! K. Spiteri, R. Sitaraman, D. Sparacio, *From theory to practice: improving bitrate adaptation in the DASH reference
//! player*, MMSys 2018. It holds a policy against published ones under the same conditions and takes well under a
//! millisecond for a session of minutes.

mod compare;
mod link;
mod outcome;
mod session;
pub mod synthetic;
mod trace;

pub use compare::{Mean, SETS, TraceSet, mean};
pub use link::Link;
pub use outcome::{Outcome, Played, Stall};
pub use session::{Setup, play};
pub use trace::{Period, Segments, Trace, TraceError};

#[cfg(test)]
mod tests;
