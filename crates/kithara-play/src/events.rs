//! What a player tells.

use std::time::Duration;

use crate::queue::{Repeat, TrackId};
use crate::source::TrackError;

/// Something that happened in a player, told when it is heard.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PlayerEvent {
    /// The first frame of this track is heard.
    TrackStarted {
        /// The track.
        id: TrackId,
    },
    /// The last frame of this track was heard.
    TrackEnded {
        /// The track.
        id: TrackId,
    },
    /// This track cannot be opened or goes no further. What was decoded of it is heard, then the next track begins.
    TrackFailed {
        /// The track.
        id: TrackId,
        /// Why.
        error: TrackError,
    },
    /// The output ran dry: the track's stream waits for bytes.
    Stalled,
    /// Sound goes on after a stall.
    Resumed {
        /// How long it was silent.
        waited: Duration,
    },
    /// The last track of the queue was heard to its end.
    QueueEnded,
    /// The output is gone (its device was unplugged, its renderer dropped). Attach another one to go on where it was.
    OutputLost,
}

/// A snapshot for a user interface. The position is [`PlayerHandle::position`](crate::PlayerHandle::position).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PlayerState {
    /// The track that is heard, or about to be.
    pub track: Option<TrackId>,
    /// Its length, if known.
    pub duration: Option<Duration>,
    /// `false` while paused.
    pub playing: bool,
    /// Silent because the track's stream waits for bytes.
    pub stalled: bool,
    /// The queue has ended.
    pub ended: bool,
    /// Factor of the volume.
    pub volume: f32,
    /// Speed, 1 is the track's own.
    pub speed: f32,
    /// What follows the end.
    pub repeat: Repeat,
    /// Whether the queue is shuffled.
    pub shuffled: bool,
}
