//! What to download next: a pure function of what is stored, who reads where, and what is on the way.

/// Bytes that a connection is left to serve one reader before it may be turned to another.
const QUANTUM: u64 = 256 * 1024;

/// One reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReaderView {
    /// The next byte it will read.
    pub(crate) position: u64,
    /// Since when it waits for that byte (an ever-growing number); `None` if it does not wait.
    pub(crate) waits_since: Option<u64>,
    /// Bytes that may be fetched ahead of it.
    pub(crate) look_ahead: u64,
}

/// A transfer, open or being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransferView {
    /// The next byte that it will deliver.
    pub(crate) offset: u64,
    /// Bytes that it has delivered.
    pub(crate) delivered: u64,
}

/// Everything else that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Where the file ends, if known.
    pub(crate) total: Option<u64>,
    /// The transfer that bytes are being taken from.
    pub(crate) transfer: Option<TransferView>,
    /// A byte this far ahead of the transfer is here sooner by waiting than by a new request.
    pub(crate) reach: u64,
    /// The server answers no ranges: whatever is wanted comes in order, from the start.
    pub(crate) sequential: bool,
    /// Nothing is being fetched because everybody had enough: wait until it is worth the while.
    pub(crate) paused: bool,
    /// Fill what was skipped once nobody needs anything else.
    pub(crate) fill_holes: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Get the bytes from this offset on. Equal to the offset of the current transfer: go on with it.
    Fetch(u64),
    /// Everybody has enough.
    Pause,
    /// Nothing is missing.
    Complete,
}

impl View {
    /// `stored(offset)`: how many bytes are stored from `offset` on without a gap.
    pub(crate) fn decide(&self, readers: &[ReaderView], stored: impl Fn(u64) -> u64) -> Decision {
        // The first byte at or after an offset that is not stored; `None` if there is none before the end.
        let missing = |offset: u64| {
            let at = offset.saturating_add(stored(offset));
            self.total.is_none_or(|total| at < total).then_some(at)
        };
        if let Some(offset) = self.for_waiting(readers, &missing) {
            return Decision::Fetch(offset);
        }
        if let Some(offset) = self.for_ahead(readers, &missing) {
            return Decision::Fetch(offset);
        }
        if readers.iter().any(|reader| missing(reader.position).is_some()) || readers.is_empty() {
            return Decision::Pause;
        }
        match missing(0) {
            Some(hole) if self.fill_holes => Decision::Fetch(self.served(hole).unwrap_or(hole)),
            Some(_) => Decision::Pause,
            None => Decision::Complete,
        }
    }

    /// Where to go for those who wait: the transfer if it will do soon, else the place of the longest wait.
    fn for_waiting(&self, readers: &[ReaderView], missing: &impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let mut longest: Option<(u64, u64)> = None;
        let mut served = None;
        for reader in readers {
            let Some(since) = reader.waits_since else { continue };
            if missing(reader.position) != Some(reader.position) {
                continue;
            }
            if let Some(offset) = self.served(reader.position) {
                served = Some(offset);
            } else if longest.is_none_or(|(other, _)| since < other) {
                longest = Some((since, reader.position));
            }
        }
        let Some((_, elsewhere)) = longest else { return served };
        let busy = self.transfer.filter(|transfer| transfer.delivered < QUANTUM);
        let useful = served.is_some() || self.serves_ahead(readers, missing);
        match busy {
            Some(transfer) if useful => Some(transfer.offset),
            _ => Some(elsewhere),
        }
    }

    /// Whether the transfer brings what some reader will need soon.
    fn serves_ahead(&self, readers: &[ReaderView], missing: &impl Fn(u64) -> Option<u64>) -> bool {
        readers
            .iter()
            .any(|reader| self.ahead_of(reader, missing).is_some_and(|at| self.served(at).is_some()))
    }

    /// Where to go for those who have too little ahead: the transfer if it serves one of them, else the least supplied.
    fn for_ahead(&self, readers: &[ReaderView], missing: &impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let mut poorest: Option<(u64, u64)> = None;
        for reader in readers {
            let Some(at) = self.ahead_of(reader, missing) else { continue };
            if let Some(offset) = self.served(at) {
                return Some(offset);
            }
            let ahead = at - reader.position;
            if poorest.is_none_or(|(other, _)| ahead < other) {
                poorest = Some((ahead, at));
            }
        }
        poorest.map(|(_, at)| at)
    }

    /// The next missing byte ahead of `reader`, if it lies within its look-ahead.
    fn ahead_of(&self, reader: &ReaderView, missing: &impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let bound = if self.paused { resume_below(reader.look_ahead) } else { reader.look_ahead };
        missing(reader.position).filter(|at| at - reader.position < bound.max(1))
    }

    /// The offset of the transfer, if `wanted` comes from it soon.
    fn served(&self, wanted: u64) -> Option<u64> {
        let offset = self.transfer?.offset;
        let distance = wanted.checked_sub(offset)?;
        (self.sequential || distance <= self.reach).then_some(offset)
    }
}

/// A pause ends when a reader has less than this ahead: a little below the bound, so that wake-ups come in batches.
pub(crate) fn resume_below(look_ahead: u64) -> u64 {
    look_ahead - (look_ahead / 4).min(128 * 1024)
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "one stored range is one range")]
mod tests {
    use kithara_storage::RangeSet;

    use super::{Decision, ReaderView, TransferView, View};

    const MB: u64 = 1 << 20;

    fn view() -> View {
        View {
            total: Some(10 * MB),
            transfer: None,
            reach: 64 << 10,
            sequential: false,
            paused: false,
            fill_holes: true,
        }
    }

    fn at(offset: u64) -> Option<TransferView> {
        Some(TransferView { offset, delivered: MB })
    }

    fn reader(position: u64) -> ReaderView {
        ReaderView { position, waits_since: None, look_ahead: MB }
    }

    fn waiting(position: u64, since: u64) -> ReaderView {
        ReaderView { waits_since: Some(since), ..reader(position) }
    }

    fn decide(view: View, readers: &[ReaderView], stored: &[std::ops::Range<u64>]) -> Decision {
        let set: RangeSet = stored.iter().cloned().collect();
        view.decide(readers, |offset| set.contiguous_from(offset))
    }

    #[test]
    fn a_reader_outside_moves_the_download_at_once() {
        let view = View { transfer: at(MB), ..view() };
        assert_eq!(decide(view, &[waiting(5 * MB, 1)], &[0..MB]), Decision::Fetch(5 * MB));
        assert_eq!(decide(view, &[waiting(MB + 1000, 1)], &[0..MB]), Decision::Fetch(MB), "soon here anyway");
        assert_eq!(decide(view, &[waiting(0, 1)], &[4096..MB]), Decision::Fetch(0));
    }

    #[test]
    fn a_server_without_ranges_is_waited_for() {
        let view = View { transfer: at(MB), sequential: true, ..view() };
        assert_eq!(decide(view, &[waiting(5 * MB, 1)], &[0..MB]), Decision::Fetch(MB));
    }

    #[test]
    fn the_look_ahead_is_bounded_and_resumes_below_the_bound() {
        let running = View { transfer: at(MB), ..view() };
        assert_eq!(decide(running, &[reader(1)], &[0..MB]), Decision::Fetch(MB));
        assert_eq!(decide(running, &[reader(0)], &[0..MB]), Decision::Pause);
        let paused = View { paused: true, ..running };
        assert_eq!(decide(paused, &[reader(1)], &[0..MB]), Decision::Pause);
        assert_eq!(decide(paused, &[reader(MB / 2)], &[0..MB]), Decision::Fetch(MB));
    }

    #[test]
    fn holes_are_filled_when_all_else_is_there() {
        let stored = [0..MB, 2 * MB..10 * MB];
        assert_eq!(decide(view(), &[reader(5 * MB)], &stored), Decision::Fetch(MB));
        assert_eq!(decide(View { fill_holes: false, ..view() }, &[reader(5 * MB)], &stored), Decision::Pause);
        assert_eq!(decide(view(), &[reader(5 * MB)], &[0..10 * MB]), Decision::Complete);
        assert_eq!(decide(View { total: None, ..view() }, &[reader(0)], &[0..2 * MB]), Decision::Pause);
    }

    #[test]
    fn two_readers_far_apart_take_turns() {
        let both = [waiting(0, 5), waiting(5 * MB, 4)];
        assert_eq!(decide(view(), &both, &[]), Decision::Fetch(5 * MB), "the longest wait first");
        let fresh = View { transfer: Some(TransferView { offset: 5 * MB, delivered: 0 }), ..view() };
        assert_eq!(decide(fresh, &both, &[]), Decision::Fetch(5 * MB));
        let used = View { transfer: at(5 * MB), ..view() };
        assert_eq!(decide(used, &both, &[]), Decision::Fetch(0), "nobody starves");
        let served = [waiting(0, 9), ReaderView { position: 5 * MB - 10, ..reader(0) }];
        assert_eq!(
            decide(fresh, &served, &[5 * MB - 10..5 * MB]),
            Decision::Fetch(5 * MB),
            "not a request per chunk"
        );
    }

    #[test]
    fn nobody_reads_nothing_is_fetched() {
        assert_eq!(decide(view(), &[], &[]), Decision::Pause);
    }
}
