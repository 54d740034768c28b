use std::fmt;
use std::ops::Range;

/// A set of byte offsets as sorted ranges that neither touch nor overlap.
///
/// Sequential insertion keeps one range. `insert` and `remove` cost the ranges that they merge; the questions cost a binary
/// search.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<Range<u64>>,
}

impl RangeSet {
    /// The empty set. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Adds `range`, and joins it with what it touches. An empty range adds nothing.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.ranges.partition_point(|known| known.end < range.start);
        let last = first + self.ranges[first..].partition_point(|known| known.start <= range.end);
        if first == last {
            self.ranges.insert(first, range);
            return;
        }
        let start = self.ranges[first].start.min(range.start);
        let end = self.ranges[last - 1].end.max(range.end);
        self.ranges[first] = start..end;
        self.ranges.drain(first + 1..last);
    }

    /// Takes `range` out.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.ranges.partition_point(|known| known.end <= range.start);
        let last = first + self.ranges[first..].partition_point(|known| known.start < range.end);
        if first == last {
            return;
        }
        let head = self.ranges[first].start..range.start;
        let tail = range.end..self.ranges[last - 1].end;
        let rest = [head, tail].into_iter().filter(|part| part.start < part.end);
        self.ranges.splice(first..last, rest);
    }

    /// Adds everything that is in `other`.
    pub fn extend(&mut self, other: &Self) {
        other.ranges.iter().for_each(|range| self.insert(range.clone()));
    }

    /// Takes out everything from `len` on.
    pub fn truncate(&mut self, len: u64) {
        self.remove(len..u64::MAX);
    }

    /// Whether every offset of `range` is in the set. True for an empty range.
    #[must_use]
    pub fn contains(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.contiguous_from(range.start) >= range.end - range.start
    }

    /// How many offsets from `offset` on are in the set without a gap; zero if `offset` itself is not.
    #[must_use]
    pub fn contiguous_from(&self, offset: u64) -> u64 {
        let at = self.ranges.partition_point(|known| known.end <= offset);
        match self.ranges.get(at) {
            Some(known) if known.start <= offset => known.end - offset,
            _ => 0,
        }
    }

    /// The first range within `within` that is not in the set.
    #[must_use]
    pub fn first_gap(&self, within: Range<u64>) -> Option<Range<u64>> {
        self.gaps(within).next()
    }

    /// The ranges within `within` that are not in the set, in order.
    pub fn gaps(&self, within: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.ranges.partition_point(|known| known.end <= within.start);
        let mut known = self.ranges[first..].iter();
        let mut at = within.start;
        std::iter::from_fn(move || {
            while at < within.end {
                let (gap, next) = match known.next() {
                    Some(range) => (at..range.start.min(within.end), range.end),
                    None => (at..within.end, within.end),
                };
                at = next;
                if !gap.is_empty() {
                    return Some(gap);
                }
            }
            None
        })
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }

    /// How many ranges there are.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.ranges.len()
    }

    /// How many offsets are in the set.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// The offset after the last one in the set.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |range| range.end)
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }
}

impl From<Range<u64>> for RangeSet {
    fn from(range: Range<u64>) -> Self {
        Self::from_iter(std::iter::once(range))
    }
}

impl FromIterator<Range<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::new();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

impl fmt::Debug for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.ranges).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::RangeSet;

    const SIZE: u64 = 48;

    fn members(set: &RangeSet) -> Vec<bool> {
        (0..SIZE).map(|at| set.contains(&(at..at + 1))).collect()
    }

    fn assert_canonical(set: &RangeSet) {
        let ranges: Vec<_> = set.iter().collect();
        assert!(ranges.iter().all(|range| range.start < range.end), "{set:?}");
        assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "{set:?}");
    }

    /// Random insertions and removals, compared with an array of flags.
    #[test]
    fn agrees_with_a_plain_array() {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for _ in 0..400 {
            let mut set = RangeSet::new();
            let mut plain = vec![false; SIZE as usize];
            for _ in 0..30 {
                let start = random(SIZE);
                let end = start + random(SIZE - start + 1);
                let add = random(3) > 0;
                if add {
                    set.insert(start..end)
                } else {
                    set.remove(start..end)
                }
                plain[start as usize..end as usize].fill(add);
                assert_canonical(&set);
                assert_eq!(members(&set), plain);
                assert_eq!(set.covered(), plain.iter().filter(|flag| **flag).count() as u64);
                let at = random(SIZE);
                let run = plain[at as usize..].iter().take_while(|flag| **flag).count() as u64;
                assert_eq!(set.contiguous_from(at), run);
                let gaps: RangeSet = set.gaps(0..SIZE).collect();
                assert!(members(&gaps).iter().zip(&plain).all(|(gap, flag)| gap != flag));
            }
        }
    }

    #[test]
    fn sequential_writes_keep_one_range() {
        let mut set = RangeSet::new();
        (0..1000).for_each(|at| set.insert(at * 64..(at + 1) * 64));
        assert_eq!(set.range_count(), 1);
        assert_eq!(set.end(), 64_000);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut set = RangeSet::new();
        set.insert(u64::MAX - 1..u64::MAX);
        assert_eq!(set.contiguous_from(u64::MAX - 1), 1);
        assert_eq!(set.contiguous_from(u64::MAX), 0);
        assert!(set.contains(&(7..7)));
        set.truncate(0);
        assert!(set.is_empty());
        assert_eq!(set.first_gap(3..5), Some(3..5));
    }
}
