use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLock;

/// Bytes per page.
const PAGE: u64 = 16 * 1024;

type Page = RwLock<Box<[u8]>>;

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
            page.write()[within..within + now.len()].copy_from_slice(now);
            offset += now.len() as u64;
            data = rest;
        }
    }

    fn page_for_writing(&self, index: u64) -> Arc<Page> {
        if let Some(page) = self.pages.read().get(&index) {
            return Arc::clone(page);
        }
        let fresh = || Arc::new(RwLock::new(vec![0; to_index(PAGE)].into_boxed_slice()));
        Arc::clone(self.pages.write().entry(index).or_insert_with(fresh))
    }

    /// Fills `buf` from `offset` on, as far as there are pages.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let (index, within) = (at / PAGE, to_index(at % PAGE));
            let Some(page) = self.pages.read().get(&index).cloned() else { break };
            let now = (buf.len() - done).min(to_index(PAGE) - within);
            buf[done..done + now].copy_from_slice(&page.read()[within..within + now]);
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

fn to_index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
