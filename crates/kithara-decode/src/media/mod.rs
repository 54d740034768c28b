//! Progressive media (`Read + Seek`) to PCM.

mod aiff;
mod ape;
mod au;
mod backend;
mod caf;
mod decoder;
mod details;
mod flac;
mod format;
mod framed;
mod header;
mod mp4;
mod ogg;
mod pcm;
mod source;
mod symphonia_file;
mod ts;
mod view;
mod wav;

pub use decoder::{DecodeOptions, MediaDecoder};
pub use details::{MediaDetails, Tags};
pub use source::{ByteSource, Interrupter};
