//! The frames that a late decoder still has to give for the packets it was given.

use super::CodecDecoder;
use crate::output::Output;
use crate::{AudioSpec, DecodeError};

/// Frames by which a decoder is late, and its last packet.
#[derive(Debug, Default)]
pub(crate) struct DecoderDelay {
    frames: u64,
    last: Vec<u8>,
}

impl DecoderDelay {
    /// Frames by which the output is behind the packets.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// `packet` was decoded, and its output is `delay` frames late.
    pub(crate) fn note(&mut self, delay: u64, packet: &[u8]) {
        self.frames = delay;
        if delay > 0 {
            self.last.clear();
            self.last.extend_from_slice(packet);
        }
    }

    /// The decoder was reset.
    pub(crate) fn forget(&mut self) {
        self.frames = 0;
    }

    /// Gets the late frames by decoding the last packet again, places them before `next`, at most up to `end`, and resets
    /// the decoder.
    pub(crate) fn drain(
        &mut self,
        codec: &mut CodecDecoder,
        output: &mut Output,
        spec: AudioSpec,
        next: i64,
        end: Option<u64>,
    ) -> Result<(), DecodeError> {
        let mut late = std::mem::take(&mut self.frames);
        if late == 0 {
            return Ok(());
        }
        while late > 0 {
            let Ok(decoded) = codec.decode(&self.last, late) else { break };
            let frames = late.min(decoded.frames() as u64);
            if frames == 0 || decoded.spec() != spec {
                break;
            }
            let position = next.saturating_sub_unsigned(late);
            let kept = left_before(end, position).min(frames as usize);
            output.write(&decoded, 0..kept, position)?;
            late -= frames;
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
