//! The narrow trait that everything which yields PCM implements.

use std::future::Future;
use std::time::Duration;

use crate::{AudioSpec, PcmChunk};

/// Something that yields PCM chunk by chunk and can be moved to a position.
///
/// Chunks of one pass are gapless: each begins at the frame where the one before it ended.
pub trait PcmSource: Send {
    /// Why PCM could not be had.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Rate and channels of every chunk of this source. Does not change.
    fn spec(&self) -> AudioSpec;

    /// Length of the whole presentation, if it is known.
    fn duration(&self) -> Option<Duration>;

    /// The next chunk; `None` at the end of the presentation (a later [`seek`](Self::seek) plays on).
    ///
    /// Cancel-safe: dropping the future loses no PCM.
    fn next_chunk(&mut self) -> impl Future<Output = Result<Option<PcmChunk>, Self::Error>> + Send;

    /// Moves to `to`: the next chunk begins at exactly the returned frame, `round(to × rate)`, or at the end of the
    /// presentation if `to` lies behind it.
    ///
    /// Dropping the future may leave the move done or not done; call it again to be sure.
    fn seek(&mut self, to: Duration) -> impl Future<Output = Result<u64, Self::Error>> + Send;
}
