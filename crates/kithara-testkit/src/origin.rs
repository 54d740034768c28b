//! The HTTP origin: see [`Origin`].

mod body;
mod connection;
mod content;
mod control;
mod gate;
mod gzip;
mod link;
mod log;
mod range;
mod reply;
mod resource;
mod respond;
mod server;
mod shared;

pub use content::Content;
pub use control::{Control, Gone};
pub use gate::Gate;
pub use log::Received;
pub use reply::{Cut, Reply};
pub use resource::Resource;
pub use server::Origin;
pub use shared::Counters;

pub(crate) use link::Link;
use shared::Shared;
