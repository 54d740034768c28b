//! Outputs: where a player's sound goes.
//!
//! An output takes a [`Renderer`](crate::Renderer) from [`Player::attach`](crate::Player::attach) and fills its buffers
//! with it. Any callback of the shape `FnMut(&mut [f32])` is one: call
//! [`Renderer::fill`](crate::Renderer::fill) in it.

#[cfg(feature = "cpal")]
mod device;
mod null;
mod wav;

#[cfg(feature = "cpal")]
pub use device::{Device, DeviceError};
pub use null::Null;
pub use wav::write_wav;
