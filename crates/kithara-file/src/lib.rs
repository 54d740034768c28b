#![doc = include_str!("../README.md")]

mod download;
mod engine;
mod error;
mod events;
mod file;
mod icy;
mod options;
mod plan;
mod ring;
mod shared;
mod source;
mod stats;
mod stream;

pub use download::Downloads;
pub use error::FileError;
pub use events::FileEvent;
pub use file::File;
pub use kithara_stream::Validation;
pub use options::{FileOptions, LookAhead};
pub use source::FileSource;
pub use stats::FileStats;
pub use stream::{FilePcm, FileStream};
