//! What a decoder notes while it decodes.

use std::time::Duration;

use super::tags::Tags;

/// Something that turned out while a file was decoded; see [`MediaDecoder::take_event`](crate::MediaDecoder::take_event).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MediaEvent {
    /// The file ends before audio that its index names: playback ended with the last packet that is there.
    Truncated,
    /// The end was reached, and the length is another than was stated or estimated. At most once for each length.
    LengthCorrected(Duration),
    /// Other metadata holds from here on: another stream begins in the file.
    TagsChanged(Box<Tags>),
}

/// Events that are kept until they are taken.
pub(super) const MAX_EVENTS: usize = 64;
