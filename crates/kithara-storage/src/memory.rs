use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLock;

/// Bytes per page.
const PAGE: u64 = 16 * 1024;

/// What was written of a page, from its first byte on; nothing behind it was written yet.
type Page = RwLock<Vec<u8>>;

/// Bytes in memory, in pages that exist once they are written to; a far offset costs one page.
///
/// The map is locked only to find a page, and a page only while it is copied from or to.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pages: RwLock<BTreeMap<u64, Arc<Page>>>,
}

impl Memory {
    pub(crate) fn write(&self, mut offset: u64, mut data: &[u8]) {
        while !data.is_empty() {
            let (index, within) = (offset / PAGE, to_index(offset % PAGE));
            let (now, rest) = data.split_at(data.len().min(to_index(PAGE) - within));
            let page = self.page_for_writing(index);
            put(&mut page.write(), within, now);
            offset += now.len() as u64;
            data = rest;
        }
    }

    fn page_for_writing(&self, index: u64) -> Arc<Page> {
        if let Some(page) = self.pages.read().get(&index) {
            return Arc::clone(page);
        }
        let fresh = || Arc::new(RwLock::new(Vec::with_capacity(to_index(PAGE))));
        Arc::clone(self.pages.write().entry(index).or_insert_with(fresh))
    }

    /// Fills `buf` from `offset` on, as far as anything was written.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let (index, within) = (at / PAGE, to_index(at % PAGE));
            let Some(page) = self.pages.read().get(&index).cloned() else { break };
            let page = page.read();
            let Some(stored) = page.get(within..).filter(|stored| !stored.is_empty()) else { break };
            let now = stored.len().min(buf.len() - done);
            buf[done..done + now].copy_from_slice(&stored[..now]);
            done += now;
        }
        done
    }

    /// Frees the pages that lie wholly in `range`.
    pub(crate) fn discard(&self, range: Range<u64>) {
        let (first, end) = (range.start.div_ceil(PAGE), range.end / PAGE);
        if first >= end {
            return;
        }
        let mut pages = self.pages.write();
        let mut freed = pages.split_off(&first);
        let mut kept = freed.split_off(&end);
        pages.append(&mut kept);
        drop(pages);
        drop(freed);
    }
}

/// Puts `data` at `at` of a page. What lies behind the end of the page so far is not filled with zeros first.
fn put(page: &mut Vec<u8>, at: usize, data: &[u8]) {
    if page.len() < at {
        page.resize(at, 0);
    }
    let (over, beyond) = data.split_at(data.len().min(page.len() - at));
    page[at..at + over.len()].copy_from_slice(over);
    page.extend_from_slice(beyond);
}

fn to_index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Memory, PAGE};

    #[test]
    fn pages_are_filled_in_any_order() {
        let memory = Memory::default();
        let mut truth = vec![0; 3 * PAGE as usize];
        // Into the middle, over its end, before it, across pages, over everything.
        for (at, len) in [(5000, 100), (5050, 200), (10, 20), (16_000, 1000), (40_000, 3000), (0, 45_000)] {
            let data: Vec<u8> = (0..len).map(|n| (at + n) as u8 ^ (len >> 3) as u8 | 1).collect();
            memory.write(at as u64, &data);
            truth[at..at + len].copy_from_slice(&data);
            for (from, end) in [(at, at + len), (at + len / 2, at + len)] {
                let mut read = vec![0; end - from];
                assert_eq!(memory.read(from as u64, &mut read), end - from);
                assert!(read == truth[from..end], "{at}");
            }
        }
        assert_eq!(memory.read(44_990, &mut [0; 100]), 10, "no further than was written");
    }
}
