//! Which segment is fetched when: the planner, and the driver that does what it says.

mod driver;
mod init;
mod latency;
mod lookahead;
mod message_builder;
mod planner;
mod queue;
mod recovery;

pub use driver::HLS_CHUNK_CHANNEL_CAPACITY;
pub(crate) use driver::{HlsWorkerSource, Parts};
pub(crate) use planner::{Action, Event, FetchOrder, Planner};
pub(crate) use queue::{Ticket, Transfer};
