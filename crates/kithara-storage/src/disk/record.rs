//! The records in `NAME.part.map`: each states all stored ranges, is appended and checksummed; the last whole one
//! counts. Records are never overwritten, so a crash can only cost the newest one.
//!
//! ```text
//! record    magic "KMAP" | body length u32 | CRC-32 of the body u32 | body          (little-endian)
//! body      version u8 = 1 | flags u8 (1: has session, 2: has expected length) | tag length u16 | durable count u32
//!           | written count u32 | session 16 bytes | expected length u64 | tag | durable ranges | written ranges
//! range     start u64 | end u64
//! ```
//!
//! *Durable* ranges were synchronised with the disk before the record was made. *Written* ones were handed to the operating
//! system: they hold only in the session (run of the kernel, mount of the file system) that wrote them.

use bytes::Bytes;

use crate::RangeSet;

const MAGIC: &[u8; 4] = b"KMAP";
const HEADER: usize = 12;
const FIXED: usize = 36;
const VERSION: u8 = 1;
/// Ranges kept per list. Knowing less than there is costs a download, never correctness.
const MAX_RANGES: usize = 16 * 1024;
/// The longest tag, in bytes.
pub(crate) const MAX_TAG: usize = 4096;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) durable: RangeSet,
    pub(crate) written: RangeSet,
    pub(crate) session: Option<[u8; 16]>,
    pub(crate) expected_len: Option<u64>,
    pub(crate) tag: Option<Bytes>,
}

/// Appends a record to `out`.
pub(crate) fn encode(out: &mut Vec<u8>, record: RecordRef<'_>) {
    let begin = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0; 8]);
    let tag = record.tag.filter(|tag| tag.len() <= MAX_TAG).unwrap_or_default();
    let flags = u8::from(record.session.is_some()) | u8::from(record.expected_len.is_some()) << 1;
    out.extend_from_slice(&[VERSION, flags]);
    out.extend_from_slice(&(tag.len() as u16).to_le_bytes());
    for set in [record.durable, record.written] {
        out.extend_from_slice(&(set.range_count().min(MAX_RANGES) as u32).to_le_bytes());
    }
    out.extend_from_slice(&record.session.unwrap_or_default());
    out.extend_from_slice(&record.expected_len.unwrap_or_default().to_le_bytes());
    out.extend_from_slice(tag);
    for range in record.durable.iter().take(MAX_RANGES).chain(record.written.iter().take(MAX_RANGES)) {
        out.extend_from_slice(&range.start.to_le_bytes());
        out.extend_from_slice(&range.end.to_le_bytes());
    }
    let body = begin + HEADER;
    let (len, crc) = ((out.len() - body) as u32, crc32fast::hash(&out[body..]));
    out[begin + 4..begin + 8].copy_from_slice(&len.to_le_bytes());
    out[begin + 8..body].copy_from_slice(&crc.to_le_bytes());
}

/// A record to [`encode`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordRef<'a> {
    pub(crate) durable: &'a RangeSet,
    pub(crate) written: &'a RangeSet,
    pub(crate) session: Option<[u8; 16]>,
    pub(crate) expected_len: Option<u64>,
    pub(crate) tag: Option<&'a [u8]>,
}

/// The last whole record of a map, and how many bytes of the map are whole records.
pub(crate) fn decode_last(mut map: &[u8]) -> (Option<Record>, usize) {
    let (mut last, mut valid) = (None, 0);
    while let Some((body, rest)) = split_record(map) {
        let Some(record) = decode_body(body) else { break };
        last = Some(record);
        valid += map.len() - rest.len();
        map = rest;
    }
    (last, valid)
}

fn split_record(map: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = map.split_at_checked(HEADER)?;
    let len = u32::from_le_bytes(header.get(4..8)?.try_into().ok()?);
    let crc = u32::from_le_bytes(header.get(8..12)?.try_into().ok()?);
    let (body, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    (header.starts_with(MAGIC) && crc32fast::hash(body) == crc).then_some((body, rest))
}

fn decode_body(body: &[u8]) -> Option<Record> {
    let (fixed, rest) = body.split_at_checked(FIXED)?;
    let [VERSION, flags, tag_low, tag_high, counts @ ..] = fixed else { return None };
    let tag_len = usize::from(u16::from_le_bytes([*tag_low, *tag_high]));
    let (durable, written) = (le_u32(counts.get(0..4)?)?, le_u32(counts.get(4..8)?)?);
    let session: [u8; 16] = counts.get(8..24)?.try_into().ok()?;
    let expected_len = le_u64(counts.get(24..32)?)?;
    let (tag, ranges) = rest.split_at_checked(tag_len)?;
    if durable.max(written) > MAX_RANGES || (durable + written) * 16 != ranges.len() {
        return None;
    }
    let (durable, written) = ranges.split_at_checked(durable * 16)?;
    Some(Record {
        durable: decode_ranges(durable)?,
        written: decode_ranges(written)?,
        session: (flags & 1 != 0).then_some(session),
        expected_len: (flags & 2 != 0).then_some(expected_len),
        tag: (!tag.is_empty()).then(|| Bytes::copy_from_slice(tag)),
    })
}

fn decode_ranges(bytes: &[u8]) -> Option<RangeSet> {
    bytes
        .chunks_exact(16)
        .map(|pair| {
            let range = le_u64(&pair[..8])?..le_u64(&pair[8..])?;
            (range.start < range.end).then_some(range)
        })
        .collect()
}

fn le_u32(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

fn le_u64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(end: u64) -> Record {
        Record {
            durable: RangeSet::from(0..end / 2),
            written: [0..end, end + 10..end + 20].into_iter().collect(),
            session: Some([7; 16]),
            expected_len: Some(1 << 40),
            tag: Some(Bytes::from_static(b"\"etag\"")),
        }
    }

    fn encoded(records: &[Record]) -> Vec<u8> {
        let mut out = Vec::new();
        for record in records {
            let Record { durable, written, session, expected_len, tag } = record;
            let (session, expected_len) = (*session, *expected_len);
            encode(&mut out, RecordRef { durable, written, session, expected_len, tag: tag.as_deref() });
        }
        out
    }

    #[test]
    fn the_last_record_counts() {
        let map = encoded(&[Record::default(), sample(100), sample(200)]);
        assert_eq!(decode_last(&map), (Some(sample(200)), map.len()));
        assert_eq!(decode_last(&encoded(&[Record::default()])).0, Some(Record::default()));
        assert_eq!(decode_last(b""), (None, 0));
    }

    #[test]
    fn a_map_cut_anywhere_yields_an_earlier_record() {
        let first = encoded(&[sample(100)]).len();
        let map = encoded(&[sample(100), sample(200)]);
        for cut in 0..map.len() {
            let (record, valid) = decode_last(&map[..cut]);
            assert_eq!(record, (cut >= first).then(|| sample(100)), "cut at {cut}");
            assert_eq!(valid, if cut >= first { first } else { 0 });
        }
    }

    #[test]
    fn a_flipped_bit_never_yields_another_record() {
        let map = encoded(&[sample(100)]);
        for bit in 0..map.len() * 8 {
            let mut bad = map.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_last(&bad).0, None, "bit {bit}");
        }
    }

    #[test]
    fn a_map_that_lies_about_its_counts_is_refused() {
        let mut body = vec![VERSION, 0, 0, 0];
        body.extend_from_slice(&u32::MAX.to_le_bytes());
        body.extend_from_slice(&u32::MAX.to_le_bytes());
        body.extend_from_slice(&[0; 24]);
        let mut map = MAGIC.to_vec();
        map.extend_from_slice(&(body.len() as u32).to_le_bytes());
        map.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        map.extend_from_slice(&body);
        assert_eq!(decode_last(&map), (None, 0));
    }
}
