//! Counting packets whose rate may change on the way.

use crate::rescale::rescale_signed;

/// Counts the frames of packets, each at its own rate, without an error that grows from packet to packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    /// Where the packets of the rate at hand begin, in frames of the file's rate.
    base: i64,
    /// Frames since then, at the rate at hand.
    frames: i64,
    rate: u32,
}

impl Count {
    /// Begins at `frame`.
    pub(super) fn from(frame: i64) -> Self {
        Self { base: frame, frames: 0, rate: 0 }
    }

    /// Where the next packet stands, in frames of `file_rate`.
    pub(super) fn position(&self, file_rate: u32) -> i64 {
        self.base.saturating_add(rescale_signed(self.frames, file_rate, self.rate))
    }

    /// The same behind a packet of `frames` frames at `rate`.
    pub(super) fn plus(self, frames: i64, rate: u32, file_rate: u32) -> Self {
        if rate == self.rate {
            return Self { frames: self.frames.saturating_add(frames), ..self };
        }
        Self { base: self.position(file_rate), frames, rate: rate.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn a_count_over_another_rate_does_not_drift() {
        let mut count = Count::from(100);
        for _ in 0..10 {
            count = count.plus(1152, 48_000, 48_000);
        }
        assert_eq!(count.position(48_000), 11_620);
        for _ in 0..44_100 {
            count = count.plus(1152, 44_100, 48_000);
        }
        assert_eq!(count.position(48_000), 11_620 + 1152 * 48_000);
        count = count.plus(576, 24_000, 48_000);
        assert_eq!(count.position(48_000), 11_620 + 1152 * 48_001);
    }
}
