//! Builders of media that no packager writes: MP4 boxes and fragments, MPEG-TS packets, ADTS frames, ID3 tags.
//!
//! They put together what the test says, right or wrong, from the frames of a fixture: see [`adts::frames`].

pub mod adts;
pub mod id3;
pub mod mp4;
pub mod ts;
