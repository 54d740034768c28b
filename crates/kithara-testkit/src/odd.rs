//! Builders of media that no packager writes: MP4 boxes and fragments, MPEG-TS packets, ADTS and MPEG audio frames, ID3
//! tags, encryption.
//!
//! They put together what the test says, right or wrong, from the frames of a fixture: see [`adts::frames`].

pub mod adts;
pub mod aes;
pub mod id3;
pub mod mp3;
pub mod mp4;
pub mod ts;
