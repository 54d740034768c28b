//! Files that go on as something else: packets of another length or rate.

use super::Header;
use crate::resample::{rescale, rescale_signed};

/// Packets of one kind in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Number of its first packet.
    number: u64,
    /// Where that stands, at the rate of the first piece.
    frame: i64,
    pub(super) header: Header,
}

/// The pieces of a file, as far as they were found: at least one.
#[derive(Debug)]
pub(super) struct Pieces {
    first: Piece,
    more: Vec<Piece>,
}

impl Pieces {
    /// One piece, whose first packet stands at `frame`.
    pub(super) fn new(header: Header, frame: i64) -> Self {
        Self { first: Piece { number: 0, frame, header }, more: Vec::new() }
    }

    /// From packet `number` on the packets are such as `header`, unless that is known.
    pub(super) fn begin(&mut self, number: u64, header: Header) {
        if self.at(number).number < number {
            let frame = self.position_of(number);
            self.more.push(Piece { number, frame, header });
        }
    }

    /// The piece that holds packet `number`.
    pub(super) fn at(&self, number: u64) -> &Piece {
        self.more.iter().rfind(|piece| piece.number <= number).unwrap_or(&self.first)
    }

    /// Whether a piece begins with packet `number`.
    pub(super) fn begins_with(&self, number: u64) -> bool {
        self.at(number).number == number
    }

    /// Where packet `number` stands, at the rate of the first piece.
    pub(super) fn position_of(&self, number: u64) -> i64 {
        let piece = self.at(number);
        let frames = (number - piece.number).saturating_mul(u64::from(piece.header.frames));
        let frames = i64::try_from(frames).unwrap_or(i64::MAX);
        let frames = rescale_signed(frames, self.first.header.sample_rate, piece.header.sample_rate);
        piece.frame.saturating_add(frames)
    }

    /// Frames of a packet such as `header`, at the rate of the first piece.
    pub(super) fn in_first(&self, frames: u64, header: &Header) -> u64 {
        rescale(frames, self.first.header.sample_rate, header.sample_rate)
    }

    /// The packet that holds `frame`, by what is known.
    pub(super) fn number_of(&self, frame: i64) -> u64 {
        let piece = self.more.iter().rfind(|piece| piece.frame <= frame).unwrap_or(&self.first);
        let frames = u128::from(frame.saturating_sub(piece.frame).max(0).unsigned_abs());
        let rate = u128::from(self.first.header.sample_rate.max(1));
        let packets =
            frames * u128::from(piece.header.sample_rate) / rate / u128::from(piece.header.frames.max(1));
        piece.number.saturating_add(u64::try_from(packets).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    #[test]
    fn positions_go_on_over_a_change() {
        // 44.1 kHz, 1152 frames; then 22.05 kHz, 576 frames: as long in time.
        let one = Kind::MpegAudio.parse(&[0xFF, 0xFB, 0x90, 0x00, 0, 0, 0]).unwrap();
        let other = Kind::MpegAudio.parse(&[0xFF, 0xF3, 0x80, 0x00, 0, 0, 0]).unwrap();
        assert_eq!(
            (one.sample_rate, one.frames, other.sample_rate, other.frames),
            (44_100, 1152, 22_050, 576)
        );
        let mut pieces = Pieces::new(one, -1105);
        assert_eq!((pieces.position_of(0), pieces.position_of(10)), (-1105, 10_415));
        pieces.begin(10, other);
        pieces.begin(10, other);
        for number in 0..30 {
            let position = pieces.position_of(number);
            assert_eq!(position, number as i64 * 1152 - 1105);
            assert_eq!((pieces.number_of(position), pieces.number_of(position + 1151)), (number, number));
        }
        assert_eq!((pieces.at(9).header, pieces.at(10).header), (one, other));
        assert_eq!(pieces.number_of(-9999), 0);
    }
}
