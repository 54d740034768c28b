//! What a codec that lags behind its packets still owes for them.

use super::CodecDecoder;
use crate::output::Output;
use crate::{AudioSpec, DecodeError};

/// Frames that a codec owes for the packets it was given, and the last of those packets.
#[derive(Debug, Default)]
pub(crate) struct Debt {
    frames: u64,
    last: Vec<u8>,
}

impl Debt {
    /// Frames by which the output is behind the packets.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// `packet` was decoded, and what came out is `lag` frames late.
    pub(crate) fn note(&mut self, lag: u64, packet: &[u8]) {
        self.frames = lag;
        if lag > 0 {
            self.last.clear();
            self.last.extend_from_slice(packet);
        }
    }

    /// The codec began anew.
    pub(crate) fn forget(&mut self) {
        self.frames = 0;
    }

    /// Gets what is owed, by giving the codec its last packet again, and places it before `next`: at most up to `end`. The
    /// codec begins anew after that.
    pub(crate) fn collect(
        &mut self,
        codec: &mut CodecDecoder,
        output: &mut Output,
        spec: AudioSpec,
        next: i64,
        end: Option<u64>,
    ) -> Result<(), DecodeError> {
        let mut owed = std::mem::take(&mut self.frames);
        if owed == 0 {
            return Ok(());
        }
        while owed > 0 {
            let Ok(decoded) = codec.decode(&self.last, owed) else { break };
            let frames = owed.min(decoded.frames() as u64);
            if frames == 0 || decoded.spec() != spec {
                break;
            }
            let position = next.saturating_sub_unsigned(owed);
            let kept = left_before(end, position).min(frames as usize);
            output.write(&decoded, 0..kept, position)?;
            owed -= frames;
        }
        codec.reset();
        Ok(())
    }
}

/// Frames between `position` and the end.
pub(crate) fn left_before(end: Option<u64>, position: i64) -> usize {
    let Some(end) = end else { return usize::MAX };
    let left = i128::from(end) - i128::from(position);
    usize::try_from(left.max(0)).unwrap_or(usize::MAX)
}
