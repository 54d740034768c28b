//! What streams of every kind tell.

use std::time::Duration;

use kithara_file::FileEvent;
use kithara_hls::HlsEvent;

/// Something that happened in a [`Stream`](crate::Stream). The kinds that a user interface shows are the same for all
/// protocols; everything else comes as the protocol's own event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StreamEvent {
    /// Reading waits for the network.
    Stalled,
    /// Reading goes on.
    Resumed {
        /// How long it waited.
        waited: Duration,
    },
    /// A station says what is playing.
    Title {
        /// The title.
        title: Option<String>,
        /// A page about it.
        url: Option<String>,
    },
    /// Another HLS variant is heard.
    VariantSwitched {
        /// Position of the switch.
        at: Duration,
        /// Index of the variant before.
        from: usize,
        /// Index of the variant from here on.
        to: usize,
    },
    /// A part of an HLS presentation is silence because it could not be had.
    Gap {
        /// Where it begins.
        start: Duration,
        /// How long it is.
        duration: Duration,
    },
    /// Another event of an HLS presentation.
    Hls(HlsEvent),
    /// Another event of a file or a station.
    File(FileEvent),
}

impl From<HlsEvent> for StreamEvent {
    fn from(event: HlsEvent) -> Self {
        match event {
            HlsEvent::VariantSwitched { at, from, to, .. } => Self::VariantSwitched { at, from, to },
            HlsEvent::Gap { start, duration, .. } => Self::Gap { start, duration },
            event => Self::Hls(event),
        }
    }
}

impl From<FileEvent> for StreamEvent {
    fn from(event: FileEvent) -> Self {
        match event {
            FileEvent::Stalled { .. } => Self::Stalled,
            FileEvent::Resumed { waited } => Self::Resumed { waited },
            FileEvent::Title { title, url } => Self::Title { title, url },
            event => Self::File(event),
        }
    }
}

/// A snapshot of a stream for a user interface: [`StreamHandle::state`](crate::StreamHandle::state).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StreamState {
    /// End of the PCM that was given out.
    pub position: Duration,
    /// Length, if known.
    pub duration: Option<Duration>,
    /// Index of the HLS variant that is heard.
    pub variant: Option<usize>,
    /// Reading waits for the network.
    pub stalled: bool,
    /// What a station plays.
    pub title: Option<String>,
}
