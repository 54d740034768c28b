//! The links of a chain: where each begins, and how its granule positions are counted.

use super::mapping::Mapping;
use super::page::Page;
use crate::resample::rescale_signed;

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
}

impl Link {
    /// Where a granule position stands in the file, at the rate of the first link.
    pub(super) fn frame_of(&self, granule: i64) -> i64 {
        let frames = granule - self.origin - i64::from(self.mapping.pre_skip);
        self.base + rescale_signed(frames, self.rate, self.mapping.sample_rate)
    }

    pub(super) fn granule_of(&self, frame: i64) -> i64 {
        let frames = rescale_signed(frame.saturating_sub(self.base), self.mapping.sample_rate, self.rate);
        frames.saturating_add(self.origin + i64::from(self.mapping.pre_skip))
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
