//! Progressive media (`Read + Seek`) to PCM.

mod aiff;
mod ape;
mod au;
mod caf;
mod decoder;
mod details;
mod event;
mod flac;
mod format_reader;
mod formats;
mod framed;
mod header;
mod matroska;
mod mp4;
mod named;
mod ogg;
mod pcm;
mod source;
mod symphonia_file;
mod tags;
mod ts;
mod view;
mod wav;

pub use decoder::{DecodeOptions, MediaDecoder};
pub use details::MediaDetails;
pub use event::MediaEvent;
pub use format_reader::{Event, FormatReader, Opened, Packet, Stream};
pub use formats::{FormatDescriptor, FormatTable, Open, OpenContext, Probe, Search};
pub use source::{ByteSource, Interrupter, Window};
pub use tags::{Chapter, Gains, Picture, Tags};
