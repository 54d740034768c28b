//! The checksums of a complete resource, in `NAME.crc`: one for each block, so that a block is verified when it is first read
//! and opening reads none of them.
//!
//! ```text
//! offset 0  4 bytes  magic "KSUM"
//!        4  u32      version, 1
//!        8  u32      length of a block, 65,536
//!       12  u32      0
//!       16  u64      length of the resource
//!       24  u32 …    CRC-32 (IEEE) of each block
//!           u32      CRC-32 of everything before                     (little-endian)
//! ```
//!
//! The file is written before the resource gets its final name, and not synchronised: one that is absent, torn or of another
//! length says that the resource cannot be verified, and never that it is damaged.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::file::DataFile;
use crate::fs::FilePath;

/// The suffix of the file with the checksums of a complete resource.
pub const SUMS_SUFFIX: &str = ".crc";

const MAGIC: [u8; 4] = *b"KSUM";
const VERSION: u32 = 1;
const HEADER: usize = 24;
/// Bytes that one checksum covers.
pub(crate) const BLOCK: u64 = 64 * 1024;
/// Bytes read at a time while a block is verified: on the stack.
const PIECE: usize = 16 * 1024;
/// More blocks (1 TiB) than any resource has.
const MAX_BLOCKS: u64 = 1 << 24;

/// The checksums of an open resource, and which blocks were found to match.
#[derive(Debug)]
pub(crate) struct Sums {
    len: u64,
    sums: Vec<u32>,
    verified: Vec<AtomicU64>,
    /// Blocks not verified yet.
    left: AtomicUsize,
}

/// How a block was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Sound,
    /// These bytes are not those that were stored.
    Damaged(Range<u64>),
    /// The file ends in the block.
    Short,
}

impl Sums {
    /// Reads the checksums beside `file`; `None` if there are none for a resource of `len` bytes.
    pub(crate) fn load(file: &FilePath, len: u64) -> Option<Self> {
        let sums = read(file, len).ok().flatten()?;
        let words = sums.len().div_ceil(64);
        let left = AtomicUsize::new(sums.len());
        Some(Self { len, verified: (0..words).map(|_| AtomicU64::new(0)).collect(), left, sums })
    }

    /// The blocks of `range` that were not verified yet.
    pub(crate) fn unverified(&self, range: Range<u64>) -> impl Iterator<Item = usize> + '_ {
        let end = range.end.min(self.len).div_ceil(BLOCK);
        let end = if self.left.load(Ordering::Relaxed) == 0 { 0 } else { to_index(end) };
        (to_index(range.start / BLOCK)..end).filter(|block| {
            let word = self.verified.get(block / 64).map_or(0, |word| word.load(Ordering::Relaxed));
            word & (1 << (block % 64)) == 0
        })
    }

    /// Compares a block with its checksum. `read` reads at least one byte unless the file ends before.
    pub(crate) fn verify(
        &self,
        block: usize,
        mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<Verdict> {
        let start = block as u64 * BLOCK;
        let range = start..(start + BLOCK).min(self.len);
        let Some(sum) = sum_of(range.clone(), &mut read)? else { return Ok(Verdict::Short) };
        if self.sums.get(block) != Some(&sum) {
            return Ok(Verdict::Damaged(range));
        }
        if let Some(word) = self.verified.get(block / 64)
            && word.fetch_or(1 << (block % 64), Ordering::Relaxed) & (1 << (block % 64)) == 0
        {
            self.left.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(Verdict::Sound)
    }
}

/// The checksum of a range of a file; `None` if the file ends before.
fn sum_of(
    range: Range<u64>,
    read: &mut impl FnMut(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<Option<u32>> {
    let (mut hasher, mut piece, mut at) = (crc32fast::Hasher::new(), [0; PIECE], range.start);
    while at < range.end {
        let want = to_index(range.end - at).min(PIECE);
        match read(&mut piece[..want], at)? {
            0 => return Ok(None),
            read => {
                hasher.update(&piece[..read]);
                at += read as u64;
            }
        }
    }
    Ok(Some(hasher.finalize()))
}

/// Writes the checksums of `data`, of which the first `len` bytes are the resource at `file`. `Ok(false)`: it is shorter.
pub(crate) fn store(file: &FilePath, data: &DataFile, len: u64) -> io::Result<bool> {
    let blocks = len.div_ceil(BLOCK).min(MAX_BLOCKS);
    let mut bytes = Vec::with_capacity(HEADER + to_index(blocks) * 4 + 4);
    bytes.extend_from_slice(&MAGIC);
    for field in [VERSION, BLOCK as u32, 0] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&len.to_le_bytes());
    for block in 0..blocks {
        let start = block * BLOCK;
        let range = start..(start + BLOCK).min(len);
        let Some(sum) = sum_of(range, &mut |buf, offset| data.read(buf, offset))? else { return Ok(false) };
        bytes.extend_from_slice(&sum.to_le_bytes());
    }
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    let sums = file.with_suffix(SUMS_SUFFIX);
    let written = sums.create().and_then(|mut file| file.write_all(&bytes));
    if let Err(error) = written {
        // The resource is complete without them; those of an earlier body must not stay.
        let _ = sums.remove();
        tracing::debug!(path = %sums.path().display(), %error, "cannot store checksums");
    }
    Ok(true)
}

/// Whether the resource at `file` was completed with `len` bytes by a process that stored its checksums.
///
/// # Errors
/// Whatever the system says; no checksums are no error.
pub fn has_sums(file: &FilePath, len: u64) -> io::Result<bool> {
    read(file, len).map(|sums| sums.is_some())
}

fn read(file: &FilePath, len: u64) -> io::Result<Option<Vec<u32>>> {
    let blocks = len.div_ceil(BLOCK);
    let size = HEADER as u64 + blocks * 4 + 4;
    let Some(stored) = file.with_suffix(SUMS_SUFFIX).open()? else { return Ok(None) };
    if blocks > MAX_BLOCKS || stored.metadata()?.len() != size {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(to_index(size));
    stored.take(size).read_to_end(&mut bytes)?;
    Ok(decode(&bytes, len))
}

fn decode(bytes: &[u8], len: u64) -> Option<Vec<u32>> {
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    let (header, sums) = body.split_at_checked(HEADER)?;
    let word = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let is_ours = header.starts_with(&MAGIC)
        && (word(4)?, word(8)?) == (VERSION, BLOCK as u32)
        && header.get(16..24)? == len.to_le_bytes()
        && sums.len() as u64 == len.div_ceil(BLOCK) * 4
        && crc32fast::hash(body) == u32::from_le_bytes(*sum);
    let (sums, _) = sums.as_chunks::<4>();
    is_ours.then(|| sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect())
}

fn to_index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(len: usize) -> (tempfile::TempDir, FilePath, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let file = FilePath::new(folder.path().join("song"));
        let body: Vec<u8> = (0..len).map(|at| (at * 7 + at / 251) as u8).collect();
        std::fs::write(file.path(), &body).unwrap();
        let data = DataFile::new(file.open().unwrap().unwrap());
        assert!(store(&file, &data, len as u64).unwrap());
        assert!(!store(&FilePath::new(folder.path().join("x")), &data, len as u64 + 1).unwrap(), "too short");
        (folder, file, body)
    }

    #[test]
    fn each_block_is_verified_once() {
        let len = 2 * BLOCK as usize + 100;
        for flipped in [None, Some(0), Some(BLOCK as usize), Some(len - 1)] {
            let (_folder, file, mut body) = stored(len);
            if let Some(at) = flipped {
                body[at] ^= 1;
            }
            let sums = Sums::load(&file, len as u64).unwrap();
            assert_eq!(sums.unverified(BLOCK - 1..BLOCK + 1).collect::<Vec<_>>(), [0, 1]);
            for block in 0..3 {
                let verdict = sums.verify(block, |buf, at| {
                    let part = &body[at as usize..];
                    let read = part.len().min(buf.len()).min(1000);
                    buf[..read].copy_from_slice(&part[..read]);
                    Ok(read)
                });
                let is_damaged = flipped.is_some_and(|at| at / BLOCK as usize == block);
                assert_eq!(matches!(verdict.unwrap(), Verdict::Damaged(_)), is_damaged, "{flipped:?}");
                assert_eq!(sums.unverified(0..u64::MAX).any(|left| left == block), is_damaged);
            }
            assert_eq!(sums.verify(2, |_, _| Ok(0)).unwrap(), Verdict::Short);
        }
    }

    #[test]
    fn torn_or_foreign_checksums_are_none() {
        for len in [0, 1, BLOCK as usize, BLOCK as usize + 1] {
            let (_folder, file, _) = stored(len);
            assert!(has_sums(&file, len as u64).unwrap());
            assert!(!has_sums(&file, len as u64 + 1).unwrap());
            let sums = file.with_suffix(SUMS_SUFFIX);
            let sound = std::fs::read(sums.path()).unwrap();
            for cut in 0..sound.len() {
                std::fs::write(sums.path(), &sound[..cut]).unwrap();
                assert!(!has_sums(&file, len as u64).unwrap(), "cut at {cut}");
            }
            for bit in 0..sound.len() * 8 {
                let mut bad = sound.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                std::fs::write(sums.path(), bad).unwrap();
                assert!(!has_sums(&file, len as u64).unwrap(), "bit {bit}");
            }
        }
    }
}
