//! Where a packet of a file of bare frames stands: by what was passed, by the bit rate, or by an estimate.

use super::super::header::{HEADER_LEN, Header};
use super::{CONFIRMATIONS, FramedFile, Kind, MAX_FRAME, average, confirm};
use crate::DecodeError;
use crate::headers::xing::XingTag;

/// Packets between two entries of an index.
const INDEX_STEP: u64 = 64;
/// No packet's number.
const NOWHERE: u64 = u64::MAX;
/// Frames of one bit rate that are taken for a constant one.
const ALIKE: usize = 12;
/// Bytes that are read through for an exact position although they are not at hand: they come in the time of a request.
const READ_THROUGH: u64 = 128 * 1024;

/// Offsets of every 64th packet, as far as packets were passed without a break.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The number of the first packet.
    base: u64,
    offsets: Vec<u64>,
}

impl Index {
    fn begin(base: u64) -> Self {
        Self { base, offsets: Vec::new() }
    }

    fn note(&mut self, number: u64, offset: u64) {
        if number == self.end() {
            self.offsets.push(offset);
        }
    }

    /// The number that is noted next.
    fn end(&self) -> u64 {
        self.base + self.offsets.len() as u64 * INDEX_STEP
    }

    /// Number and offset of the last noted packet before `target`.
    fn before(&self, target: u64) -> Option<(u64, u64)> {
        let last = (self.offsets.len() as u64).checked_sub(1)?;
        let entry = (target.checked_sub(self.base)? / INDEX_STEP).min(last);
        let offset = *self.offsets.get(usize::try_from(entry).ok()?)?;
        Some((self.base + entry * INDEX_STEP, offset))
    }
}

/// Tells about where a packet stands in a file of variable bit rate, by the tag in front of it.
#[derive(Debug)]
pub(super) struct Guess {
    /// Offset that `bytes` count from.
    start: u64,
    bytes: u64,
    packets: u64,
    /// In 256ths of `bytes`, at each hundredth of the packets.
    table: Option<[u8; 100]>,
}

impl Guess {
    pub(super) fn by_tag(tag: &XingTag, tag_at: u64) -> Option<Self> {
        let packets = tag.packets.filter(|&packets| packets > 0)?;
        Some(Self { start: tag_at, bytes: tag.bytes?, packets, table: tag.table })
    }

    fn offset_of(&self, packet: u64) -> u64 {
        let share = packet as f64 / self.packets as f64;
        let share = match &self.table {
            Some(table) if share < 1.0 => {
                let place = share * 100.0;
                let at = (place as usize).min(99);
                let low = f64::from(table[at]);
                let high = table.get(at + 1).map_or(256.0, |&next| f64::from(next));
                (low + (high - low) * place.fract()) / 256.0
            }
            _ => share,
        };
        self.start.saturating_add((share * self.bytes as f64) as u64)
    }
}

impl FramedFile {
    /// Moves so that the next packet is `target`. `false` at the end.
    pub(super) fn go_to(&mut self, target: u64) -> Result<bool, DecodeError> {
        if target >= self.index.end()
            && self.estimated.end() > target
            && self.estimated.before(target).is_some()
        {
            // Played since an estimate: it stays where it was heard.
            self.rewind(target, true)?;
            return self.walk(target);
        }
        self.rewind(target, false)?;
        if !self.jump(target)?
            && let Some(guess) = self.shortcut(target, self.window.offset())
        {
            self.jump_about(target, guess)?;
        }
        self.walk(target)
    }

    /// Notes where the packet at the window's position stands.
    pub(super) fn note(&mut self, header: &Header) {
        if self.is_estimated {
            self.estimated.note(self.number, self.window.offset());
        } else {
            self.index.note(self.number, self.window.offset());
        }
        if self.number == 0 && !self.is_variable && self.kind == Kind::MpegAudio {
            self.constant = Some(average(header));
        }
        if self.constant.is_some() && header.bitrate != self.reference.bitrate {
            self.constant = None;
        }
    }

    /// Steps to packet `target` by reading headers. `false` at the end.
    fn walk(&mut self, target: u64) -> Result<bool, DecodeError> {
        while self.number < target {
            let Some(header) = self.find()? else { return Ok(false) };
            self.note(&header);
            self.number += 1;
            self.current = header.len;
        }
        Ok(true)
    }

    /// Goes to the last place before packet `target` whose number is known, or known to be an estimate.
    fn rewind(&mut self, target: u64, estimated: bool) -> Result<(), DecodeError> {
        let index = if estimated { &self.estimated } else { &self.index };
        let (number, offset) = index.before(target).unwrap_or((0, self.first));
        if self.is_estimated == estimated && (number..=target).contains(&self.number) {
            return Ok(());
        }
        self.leave_place();
        self.window.move_to(offset)?;
        self.number = number;
        self.is_estimated = estimated;
        Ok(())
    }

    /// In a file of constant bit rate the number of a packet follows from its offset. `false` when it does not, and the
    /// window has not moved.
    fn jump(&mut self, target: u64) -> Result<bool, DecodeError> {
        let Some((bytes, packets)) =
            self.constant.filter(|_| target > self.index.end() && self.window.source().is_seekable())
        else {
            return Ok(false);
        };
        let back = self.leave_place();
        let guess = self.first + (u128::from(target) * u128::from(bytes) / u128::from(packets)) as u64;
        self.window.move_to(guess.saturating_sub(4))?;
        if let Some(header) = self.next_frames()? {
            let distance = u128::from(self.window.offset() - self.first) * u128::from(packets);
            let number = (distance + u128::from(bytes) / 2) / u128::from(bytes);
            let drift = distance.abs_diff(number * u128::from(bytes));
            // Padding keeps a frame within a byte (layer I: four) of its exact place.
            let slack = if header.layer == 1 { 4 } else { 1 };
            let fits = drift <= slack * u128::from(packets) && number <= u128::from(target);
            if fits && self.is_constant_here()? {
                self.number = number as u64;
                return Ok(true);
            }
            if self.shortcut(target, back.0).is_some() {
                // Not constant after all: then this is about the place, and has been asked for.
                self.constant = None;
                self.estimate(target);
                return Ok(true);
            }
        }
        self.constant = None;
        self.return_to(back)?;
        Ok(false)
    }

    /// Offset and number of the next packet. From here on the window stands nowhere that has a number: a read may fail, or be
    /// called off by the next seek, before it does again.
    fn leave_place(&mut self) -> (u64, u64) {
        let current = std::mem::take(&mut self.current) as u64;
        (self.window.offset() + current, std::mem::replace(&mut self.number, NOWHERE))
    }

    fn return_to(&mut self, (offset, number): (u64, u64)) -> Result<(), DecodeError> {
        self.window.move_to(offset)?;
        (self.number, self.current) = (number, 0);
        Ok(())
    }

    /// Whether the next frames have the bit rate of the first one. A file of variable bit rate without a tag that says so may
    /// begin with many frames of one, and have a frame where that would put it by chance.
    fn is_constant_here(&mut self) -> Result<bool, DecodeError> {
        let mut at = 0;
        for _ in 0..ALIKE {
            let data = self.window.peek(at + HEADER_LEN)?.get(at..).unwrap_or_default();
            match self.kind.parse(data) {
                Some(header) if header.bitrate != self.reference.bitrate => return Ok(false),
                Some(header) => at += header.len,
                None => break,
            }
        }
        Ok(at > 0)
    }

    /// Makes the window begin with the next frame that others follow, if one comes soon.
    fn next_frames(&mut self) -> Result<Option<Header>, DecodeError> {
        for _ in 0..MAX_FRAME {
            if let Some(header) = confirm(&mut self.window, self.kind, CONFIRMATIONS)?
                && header.agrees(&self.reference)
            {
                return Ok(Some(header));
            }
            if self.window.available().is_empty() {
                break;
            }
            self.window.consume(1);
        }
        Ok(None)
    }

    /// About where packet `target` stands: by the tag, else by the bytes per packet of what was passed.
    fn guess(&self, target: u64) -> Option<u64> {
        if let Some(guess) = &self.guess {
            return Some(guess.offset_of(target));
        }
        let (bytes, packets) = match self.index.before(u64::MAX) {
            Some((packets @ 1.., offset)) => (offset.checked_sub(self.first)?, packets),
            _ => self.rate?,
        };
        let distance = u128::from(target) * u128::from(bytes) / u128::from(packets);
        Some(self.first.saturating_add(u64::try_from(distance).unwrap_or(u64::MAX)))
    }

    /// Where to look for packet `target`, if the way there from `here` leads over more bytes that would have to be downloaded than an
    /// exact number is worth.
    fn shortcut(&self, target: u64, here: u64) -> Option<u64> {
        let source = self.window.source();
        let guess = self.guess(target).filter(|_| self.may_estimate && source.is_seekable())?;
        let at_hand = source.at_hand(here).max(self.window.available().len() as u64);
        (guess > here.saturating_add(at_hand).saturating_add(READ_THROUGH)).then_some(guess)
    }

    /// Goes to `guess`, and calls the packet that is found there `target`.
    fn jump_about(&mut self, target: u64, guess: u64) -> Result<(), DecodeError> {
        let back = self.leave_place();
        // Behind the end there is nothing to land on.
        let end = self.window.byte_len().unwrap_or(u64::MAX);
        let offset = guess.min(end);
        self.window.move_to(offset)?;
        if self.next_frames()?.is_none() && offset < end.saturating_sub(MAX_FRAME as u64) {
            // Not the media that the estimate is of: the whole way then.
            return self.return_to(back);
        }
        self.estimate(target);
        Ok(())
    }

    /// Calls the packet at the window's position `target`.
    fn estimate(&mut self, target: u64) {
        self.number = target;
        self.is_estimated = true;
        self.estimated = Index::begin(target);
    }
}

#[cfg(test)]
mod tests {
    use super::{Guess, Index};

    #[test]
    fn an_index_knows_what_was_passed() {
        let mut index = Index::begin(10);
        assert_eq!((index.end(), index.before(10)), (10, None));
        for number in 10..200 {
            index.note(number, number * 100);
        }
        assert_eq!(index.end(), 202);
        assert_eq!(index.before(73), Some((10, 1000)));
        assert_eq!(index.before(74), Some((74, 7400)));
        assert_eq!(index.before(999), Some((138, 13_800)));
        assert_eq!(index.before(9), None);
    }

    #[test]
    fn a_guess_follows_the_table() {
        let mut table = [0; 100];
        for (at, entry) in table.iter_mut().enumerate() {
            // The first half of the time takes a quarter of the bytes.
            *entry = if at < 50 { at * 64 / 50 } else { 64 + (at - 50) * 192 / 50 } as u8;
        }
        let guess = Guess { start: 1000, bytes: 256_000, packets: 10_000, table: Some(table) };
        assert_eq!(guess.offset_of(0), 1000);
        assert_eq!(guess.offset_of(5000), 65_000);
        assert!((159_000..162_000).contains(&guess.offset_of(7500)));
        assert_eq!(guess.offset_of(10_000), 257_000);
        assert_eq!(guess.offset_of(20_000), 513_000, "behind the end");
        let plain = Guess { table: None, ..guess };
        assert_eq!(plain.offset_of(5000), 129_000);
    }
}
