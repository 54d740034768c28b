#![doc = include_str!("../README.md")]

mod convert;
mod driver;
mod events;
mod gain;
mod mixer;
pub mod output;
mod player;
mod queue;
mod renderer;
mod session;
mod source;
mod stretch;

pub use events::{PlayerEvent, PlayerState};
pub use gain::{Loudness, LoudnessOptions};
pub use player::{NoRuntime, Player, PlayerHandle, PlayerOptions};
pub use queue::{Repeat, TrackId};
pub use renderer::Renderer;
pub use source::{BoxFuture, ReplayGain, Track, TrackError, TrackSource};
