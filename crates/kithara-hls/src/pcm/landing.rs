//! Where a seek lands.

use std::time::Duration;

use bytes::BytesMut;
use kithara_decode::{Anchor, SegmentDecoder};

use crate::message::HlsMessage;

/// How far behind the playlist's end a seek may go, and how far off its durations may be, beside a share of them.
pub(super) const SLACK: Duration = Duration::from_secs(10);

/// A seek, until it is known where the segment that it landed in really begins.
///
/// The playlist's durations may be rounded, to whole seconds in the oldest version of the protocol: after some minutes
/// the segment that should hold a place begins behind it. Its timestamps tell, and the seek goes back by as much.
pub(super) struct Landing {
    /// Place on the timeline from which decoding must begin.
    wanted: Duration,
    tries: u32,
    /// What was read of the segment so far.
    head: BytesMut,
}

pub(super) enum Landed {
    /// At or before the wanted place, or nothing tells.
    Well,
    /// More bytes are needed.
    Unknown(Landing),
    /// Behind it: begin at `from` instead.
    Late { landing: Landing, from: Duration },
}

impl Landing {
    /// Bytes in which the first packet of a segment should be found.
    const HEAD: usize = 192 * 1024;
    /// Steps back at most.
    const TRIES: u32 = 6;

    /// A seek to `wanted`, of whose segment nothing was read.
    pub(super) fn new(wanted: Duration) -> Self {
        Self { wanted, tries: 0, head: BytesMut::new() }
    }

    /// Looks at the next bytes of the segment.
    pub(super) fn look<R>(mut self, message: &HlsMessage<R>, data: &[u8], anchor: Option<Anchor>) -> Landed {
        let Some(anchor) = anchor.filter(|_| message.start > Duration::ZERO) else { return Landed::Well };
        self.head.extend_from_slice(data);
        let Some(first) = SegmentDecoder::probe_anchor(message.init.as_ref(), &self.head) else {
            return if self.head.len() < Self::HEAD { Landed::Unknown(self) } else { Landed::Well };
        };
        let begins = place_of(first).saturating_sub(place_of(anchor));
        // Another timeline, behind a discontinuity or a wrap: nothing to compare with.
        if begins <= self.wanted || begins.abs_diff(message.start) > SLACK + message.start / 4 {
            return Landed::Well;
        }
        let drift = begins.saturating_sub(message.start);
        let back =
            self.wanted.saturating_sub(drift).min(message.start.saturating_sub(Duration::from_millis(1)));
        Landed::Late { landing: self, from: back }
    }

    /// To look at the segment where the step back leads; `None` after too many steps.
    pub(super) fn again(self) -> Option<Self> {
        let Self { wanted, tries, mut head } = self;
        head.clear();
        (tries < Self::TRIES).then_some(Self { wanted, tries: tries + 1, head })
    }
}

/// A media time as a duration; before zero is zero.
fn place_of(anchor: Anchor) -> Duration {
    let ticks = u64::try_from(anchor.media_time).unwrap_or(0);
    let timescale = u64::from(anchor.timescale.max(1));
    let rest = Duration::from_nanos((ticks % timescale).saturating_mul(1_000_000_000) / timescale);
    Duration::from_secs(ticks / timescale) + rest
}
