//! APEv2 tags, where they stand in the way.

/// Bytes of a tag's header, and of its footer.
pub(super) const HEADER_LEN: usize = 32;

/// Bytes of the tag that `data` begins with, if it begins with a header that says so. (A tag may have a footer alone.)
pub(super) fn tag_len(data: &[u8]) -> Option<u64> {
    let fields = data.strip_prefix(b"APETAGEX")?.first_chunk::<16>()?;
    let word = |at: usize| u32::from_le_bytes([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]]);
    let is_header = word(12) >> 29 & 1 == 1;
    // The length counts what follows the header: items and footer.
    is_header.then(|| HEADER_LEN as u64 + u64::from(word(4)))
}
