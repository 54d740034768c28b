//! The links of a chain: where each begins, and how its granule positions are counted.

use super::mapping::Mapping;
use super::page::Page;
use crate::rescale::rescale_signed;

/// One link of a chain: a stream with headers of its own.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) serial: u32,
    pub(super) mapping: Mapping,
    /// Offset of its very first page.
    pub(super) head: u64,
    /// Offset of the first page of audio.
    pub(super) start: u64,
    /// Granule position of its first frame.
    pub(super) origin: i64,
    /// Frames of the links before it, at the rate of the first one.
    pub(super) base: i64,
    /// The rate of the first link.
    pub(super) rate: u32,
    /// Granule positions go back somewhere, as where pieces of a stream were joined: only counting from the start tells where
    /// a page stands.
    pub(super) is_unordered: bool,
}

impl Link {
    /// Where a granule position stands in the file, at the rate of the first link.
    pub(super) fn frame_of(&self, granule: i64) -> i64 {
        self.base.saturating_add(self.in_first(self.presented_before(granule)))
    }

    /// Frames that are presented before a granule position.
    pub(super) fn presented_before(&self, granule: i64) -> i64 {
        granule.saturating_sub(self.origin).saturating_sub(i64::from(self.mapping.pre_skip))
    }

    /// Frames of this link at the rate of the first one.
    pub(super) fn in_first(&self, frames: i64) -> i64 {
        rescale_signed(frames, self.rate, self.mapping.sample_rate)
    }

    pub(super) fn granule_of(&self, frame: i64) -> i64 {
        let frames = rescale_signed(frame.saturating_sub(self.base), self.mapping.sample_rate, self.rate);
        frames.saturating_add(self.origin).saturating_add(i64::from(self.mapping.pre_skip))
    }
}

/// Frames of the packets that end on the pages it was given, as far as they began there.
#[derive(Default)]
pub(super) struct Count {
    pub(super) frames: i64,
    /// Frames of the packet that goes on on the next page.
    open: Option<i64>,
}

impl Count {
    pub(super) fn add(&mut self, page: &Page, mapping: &mut Mapping) {
        let mut at = 0;
        let mut is_rest = page.is_continued;
        for (len, is_end) in page.pieces() {
            // A packet over several pages is measured by its beginning.
            if !is_rest {
                self.open = Some(mapping.frames_of(&page.body[at..at + len]) as i64);
            }
            if is_end {
                self.frames += self.open.take().unwrap_or(0);
            }
            is_rest = false;
            at += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::super::format_reader::Event;
    use super::super::super::source::Window;
    use super::*;

    /// What stands in for packets that do not decode is as long as they are, in a link of another rate too.
    #[test]
    fn packets_are_as_long_as_the_way_to_the_next() {
        let bytes = include_bytes!("../../../tests/media/chain.ogg");
        let mut file =
            super::super::open(Window::new(Box::new(Cursor::new(bytes))), crate::CodecTable::default())
                .unwrap()
                .reader;
        let (mut streams, mut packets, mut expected) = (1, 0, 0);
        loop {
            match file.next().unwrap() {
                Event::Packet(packet) => {
                    let position = packet.position.unwrap();
                    assert!((position - expected).abs() <= 1, "{position}, {expected} expected");
                    expected = position + packet.frames as i64 - packet.trim_end as i64;
                    packets += 1;
                }
                Event::NewStream(_) => streams += 1,
                Event::Silence { .. } => {}
                Event::End => break,
            }
        }
        assert_eq!(streams, 2);
        assert!(packets > 100, "{packets}");
    }

    #[test]
    fn granule_positions_of_any_size_have_a_place() {
        let mut head = b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0".to_vec();
        head.resize(64, 0);
        let mapping = Mapping::detect(&head).unwrap();
        assert_eq!(mapping.pre_skip, 312);
        let link = Link {
            serial: 0,
            mapping,
            head: 0,
            start: 0,
            origin: 0,
            base: 0,
            rate: 44_100,
            is_unordered: false,
        };
        let edges = [i64::MIN, i64::MIN + 1, -1_000_000, -1, 0, 312, 48_312, i64::MAX - 1, i64::MAX];
        for origin in edges {
            for base in edges {
                let link = Link { origin, base, ..link.clone() };
                for value in edges {
                    let (_, _) = (link.frame_of(value), link.granule_of(value));
                    for end in edges {
                        assert!(link.mapping.padding(value, end, 960) <= 960);
                    }
                }
            }
        }
        let vorbis = [&b"\x01vorbis\0\0\0\0\x02\x44\xAC\0\0"[..], &[0; 12], &[0xB8, 1]].concat();
        let mut vorbis = Mapping::detect(&vorbis).unwrap();
        vorbis.frames_of(&[0]);
        for (after, end) in edges.into_iter().flat_map(|after| edges.map(|end| (after, end))) {
            assert!(vorbis.padding(after, end, 1024) <= 1024);
        }
        assert_eq!((link.frame_of(48_312), link.granule_of(44_100)), (44_100, 48_312));
        assert_eq!(link.frame_of(i64::MAX), Link { origin: -5, ..link.clone() }.frame_of(i64::MAX));
    }
}
