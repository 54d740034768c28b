//! How fast a segment is arriving at this moment.

use crate::abr::view::TransferProgress;

/// The rate is taken over at least this time, and at most over twice as much.
const WINDOW: f64 = 1.086;

/// Less than this tells nothing.
const MIN_WINDOW: f64 = 0.5;

/// A transfer of which nothing was heard for this long has been interrupted: what came before does not count, and the
/// interruption itself not before there is a second one.
const GAP: f64 = 0.4;

/// A point of a transfer: seconds since the request, bytes received.
type Mark = (f64, u64);

/// The last seconds of the arriving segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    /// Begin of the last two windows; `None` before the first look.
    windows: Option<(Mark, Mark)>,
    /// When it was looked at last.
    looked: f64,
    interrupted: bool,
}

impl Watch {
    /// Bits per second over the last second or two; `None` while that is too early to tell.
    pub(super) fn rate(&mut self, transfer: &TransferProgress) -> Option<f64> {
        let first_byte = transfer.first_byte?.as_secs_f64();
        let now: Mark = (transfer.elapsed.as_secs_f64(), transfer.received);
        if now.0 < self.looked {
            *self = Self::default();
        }
        let begin = (first_byte, 0);
        let (older, newer) = self.windows.get_or_insert((begin, begin));
        if now.0 - self.looked.max(first_byte) <= GAP {
            self.interrupted = false;
        } else if !self.interrupted {
            self.interrupted = true;
            (*older, *newer) = (now, now);
        }
        self.looked = now.0;
        if now.0 - newer.0 >= WINDOW {
            *older = std::mem::replace(newer, now);
        }
        let elapsed = now.0 - older.0;
        let bits = now.1.saturating_sub(older.1) as f64 * 8.0;
        (elapsed >= MIN_WINDOW).then(|| bits / elapsed)
    }
}
