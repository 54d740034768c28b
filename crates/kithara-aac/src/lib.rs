#![doc = include_str!("../README.md")]
// Signal processing reads best with the indices and the digits of the standard.
#![allow(clippy::needless_range_loop, clippy::excessive_precision)]

mod adts;
mod bits;
mod config;
mod core;
mod decoder;
mod error;
mod fft;
mod filterbank;
mod huffman;
mod ics;
mod latm;
mod layout;
mod ltp;
mod mdct;
mod noise;
mod output;
mod predict;
mod ps;
mod sbr;
mod simd;
mod spectrum;
mod tables;
mod tns;

pub use adts::{AdtsFrames, AdtsHeader};
pub use config::{Config, ObjectType, Signalling};
pub use decoder::Decoder;
pub use error::{Error, Result};
pub use latm::LoasFrames;
pub use layout::Channel;
pub use output::Frame;
