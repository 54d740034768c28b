//! Files that go on as something else: packets of another length or rate.

use super::Header;
use crate::rescale::{rescale, rescale_signed};

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
    /// The others, in order.
    more: Vec<Piece>,
}

impl Pieces {
    /// One piece, whose first packet stands at `frame`.
    pub(super) fn new(header: Header, frame: i64) -> Self {
        Self { first: Piece { number: 0, frame, header }, more: Vec::new() }
    }

    /// From packet `number` on the packets are such as `header`, unless that is known. What was found behind it, after a jump,
    /// was numbered by what came before it then, and is forgotten.
    pub(super) fn begin(&mut self, number: u64, header: Header) {
        if self.at(number).number < number {
            let frame = self.position_of(number);
            self.more.truncate(self.count_to(number));
            self.more.push(Piece { number, frame, header });
        }
    }

    /// How many pieces behind the first one begin with packet `number` or before it.
    fn count_to(&self, number: u64) -> usize {
        self.more.partition_point(|piece| piece.number <= number)
    }

    /// The piece that follows `count` others.
    fn behind(&self, count: usize) -> &Piece {
        count.checked_sub(1).and_then(|index| self.more.get(index)).unwrap_or(&self.first)
    }

    /// The piece that holds packet `number`.
    pub(super) fn at(&self, number: u64) -> &Piece {
        self.behind(self.count_to(number))
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
        let piece = self.behind(self.more.partition_point(|piece| piece.frame <= frame));
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

    fn headers() -> (Header, Header) {
        // 44.1 kHz, 1152 frames; 22.05 kHz, 576 frames: as long in time.
        let one = Kind::MpegAudio.parse(&[0xFF, 0xFB, 0x90, 0x00, 0, 0, 0]).unwrap();
        (one, Kind::MpegAudio.parse(&[0xFF, 0xF3, 0x80, 0x00, 0, 0, 0]).unwrap())
    }

    #[test]
    fn a_piece_that_is_found_late_stands_where_it_belongs() {
        let (one, other) = headers();
        let mut pieces = Pieces::new(one, 0);
        pieces.begin(5000, other);
        pieces.begin(9000, one);
        // On the way there after all.
        pieces.begin(300, other);
        assert_eq!((pieces.at(299).header, pieces.at(300).header), (one, other));
        assert!(pieces.begins_with(300) && !pieces.begins_with(5000));
        pieces.begin(600, one);
        for number in [0, 299, 300, 599, 600, 6000, 10_000] {
            let position = pieces.position_of(number);
            assert_eq!((position, pieces.number_of(position)), (number as i64 * 1152, number));
        }
        assert_eq!((pieces.at(300).number, pieces.at(9999).number), (300, 600));
    }

    #[test]
    fn many_pieces_are_found_again() {
        let (one, other) = headers();
        let mut pieces = Pieces::new(one, 0);
        for piece in 1..100_000 {
            pieces.begin(piece * 9, if piece % 2 == 0 { one } else { other });
        }
        for number in (0..900_000).step_by(7) {
            let wanted = if number / 9 % 2 == 0 { one } else { other };
            let piece = pieces.at(number);
            assert_eq!((piece.number, piece.header), (number / 9 * 9, wanted));
            assert_eq!(pieces.number_of(number as i64 * 1152 + 1151), number);
        }
    }

    #[test]
    fn positions_go_on_over_a_change() {
        let (one, other) = headers();
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
