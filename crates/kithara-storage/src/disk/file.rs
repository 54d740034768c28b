//! Positioned reads and writes, and what the standard library does not offer: a read that does not wait for the disk,
//! reserving space, and giving back a part of a file.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::RangeSet;
use crate::range_tracker::RangeTracker;

/// An open file, and whether its file system can be read without waiting.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) file: File,
    reads: AtomicU8,
    ahead: Arc<Mutex<Preallocation>>,
}

/// Space is reserved in steps of this, once a file is that long: writing to it then costs a quarter less, and what is left of
/// a download that is given up wastes no more than this for each time that it was opened.
pub(crate) const RESERVE: u64 = 1 << 20;

/// Space that is reserved ahead of the last write.
#[derive(Debug, Default)]
struct Preallocation {
    /// The last reserved range.
    reserved: Range<u64>,
    /// What was reserved before, or is to be given back. Where nothing was written to it, it is.
    left: RangeSet,
    /// Writes that are not announced yet.
    writes: usize,
}

/// A write, until it is announced.
#[derive(Debug)]
#[must_use = "to be kept until the bytes are announced"]
pub(crate) struct Writing(Arc<DataFile>);

impl Writing {
    /// The bytes are announced: gives back space that was reserved where the download has passed by. Not before, because a
    /// file system may take nothing back behind the end of a file.
    pub(crate) fn end(self, tracker: &RangeTracker) {
        let mut ahead = self.0.ahead.lock();
        // Otherwise somebody may have written to it, and not said so yet: next time.
        if ahead.writes == 1 && !ahead.left.is_empty() {
            self.0.punch_left(&mut ahead, tracker);
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.ahead.lock().writes -= 1;
    }
}

const READS_UNKNOWN: u8 = 0;
/// The file lives in memory (tmpfs): a plain read never waits for a disk.
const READS_INLINE: u8 = 1;
/// The file system cannot say whether a read would wait: it is read on a blocking thread.
const READS_ELSEWHERE: u8 = 2;

impl DataFile {
    pub(crate) fn new(file: File) -> Self {
        Self { file, reads: AtomicU8::new(READS_UNKNOWN), ahead: Arc::default() }
    }

    /// Reads from the page cache. `WouldBlock` if the bytes are not in it; `Ok(0)` at the end of the file.
    pub(crate) fn read_cached(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.reads.load(Ordering::Relaxed) {
            READS_INLINE => return self.read(buf, offset),
            READS_ELSEWHERE => return Err(io::ErrorKind::WouldBlock.into()),
            _ => {}
        }
        match os::read_nowait(&self.file, buf, offset) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                let in_memory = os::is_in_memory(&self.file);
                self.reads.store(if in_memory { READS_INLINE } else { READS_ELSEWHERE }, Ordering::Relaxed);
                self.read_cached(buf, offset)
            }
            other => other,
        }
    }

    /// Reads at least one byte unless the file ends before; may wait for the disk.
    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match os::read_at(&self.file, buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// This is `earlier`, opened anew: keeps track of the space that `earlier` reserved.
    pub(crate) fn continues(&mut self, earlier: &Self) {
        self.ahead = Arc::clone(&earlier.ahead);
    }

    /// A write begins: reserves space for what will be written after it, up to `expected_len`, without changing the file's
    /// length. A file system that cannot do it, or has no room, says so when the bytes are written.
    pub(crate) fn begin_write(self: Arc<Self>, write: Range<u64>, expected_len: u64) -> Writing {
        let mut ahead = self.ahead.lock();
        ahead.writes += 1;
        let last = ahead.reserved.clone();
        if write.start >= RESERVE && write.end > last.end {
            ahead.left.insert(last.start..last.end.min(write.start));
            let start = write.start.max(last.end);
            let end = write.end.max(start.saturating_add(RESERVE)).min(expected_len).max(start);
            let done = start == end || os::reserve(&self.file, start..end);
            ahead.reserved = start..if done { end } else { u64::MAX };
        }
        drop(ahead);
        Writing(self)
    }

    /// Makes the file end at `len`, without space that was reserved beyond, by whomever. `found`: its length, where known.
    /// A shorter file is not extended: it would end in zeros that the server did not send.
    pub(crate) fn end_at(&self, len: u64, found: Option<u64>) -> io::Result<()> {
        if (len > RESERVE || found != Some(len)) && self.len()? >= len {
            self.file.set_len(len)?;
        }
        Ok(())
    }

    pub(crate) fn write_all(&self, mut data: &[u8], mut offset: u64) -> io::Result<()> {
        while !data.is_empty() {
            match os::write_at(&self.file, data, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    data = &data[n..];
                    offset += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether the two are one file.
    pub(crate) fn is_same(&self, other: &Self) -> io::Result<bool> {
        os::is_same(&self.file, &other.file)
    }

    /// Lets others lock it. Not by closing alone: a process that is being started at this moment has a copy of every open file
    /// until it runs its own program, and with it the lock. True: done.
    pub(crate) fn unlock(&self) -> bool {
        self.file.unlock().is_ok()
    }

    /// Gives back the blocks of `range`, but for what the tracker says is there; what is being written at this moment sees to
    /// it when it is announced.
    pub(crate) fn punch_hole(&self, range: Range<u64>, tracker: &RangeTracker) {
        let mut ahead = self.ahead.lock();
        ahead.left.insert(range);
        if ahead.writes == 0 {
            self.punch_left(&mut ahead, tracker);
        }
    }

    fn punch_left(&self, ahead: &mut Preallocation, tracker: &RangeTracker) {
        let left = std::mem::take(&mut ahead.left);
        for range in left.iter() {
            let gaps: Vec<_> = tracker.lock().ranges.gaps(range).collect();
            gaps.into_iter().for_each(|gap| self.punch(gap));
        }
    }

    /// Gives the blocks of `range` back to the file system, where that is possible.
    pub(crate) fn punch(&self, range: Range<u64>) {
        os::punch(&self.file, range);
    }
}

/// Whether the two are one file.
#[cfg(windows)]
pub(crate) fn is_same(one: &File, other: &File) -> io::Result<bool> {
    os::is_same(one, other)
}

/// Names the time during which the page cache cannot have lost anything: the run of this kernel and this mounting of the
/// file system. Where that cannot be told: the life of this process.
pub(crate) fn session(file: &File) -> [u8; 16] {
    static PROCESS: OnceLock<[u8; 16]> = OnceLock::new();
    let random = || RandomState::new().build_hasher().finish();
    let process = || (u128::from(random()) << 64 | u128::from(random())).to_le_bytes();
    os::session(file).unwrap_or_else(|| *PROCESS.get_or_init(process))
}

#[cfg(unix)]
mod os {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::{File, Range, io};

    pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buf, offset)
    }

    pub(super) fn write_at(file: &File, data: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(data, offset)
    }

    pub(super) fn is_same(one: &File, other: &File) -> io::Result<bool> {
        let (one, other) = (one.metadata()?, other.metadata()?);
        Ok(one.dev() == other.dev() && one.ino() == other.ino())
    }

    pub(super) use linux_or_not::{is_in_memory, punch, read_nowait, reserve, session};

    #[cfg(target_os = "linux")]
    mod linux_or_not {
        use std::sync::OnceLock;

        use rustix::fs::{AtFlags, FallocateFlags, StatxFlags, fallocate, fstatfs, statx};
        use rustix::io::{Errno, ReadWriteFlags, preadv2};

        use super::{File, Range, io};

        const TMPFS: i64 = 0x0102_1994;
        const RAMFS: i64 = 0x8584_58f6;

        pub(crate) fn read_nowait(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            loop {
                let mut slices = [io::IoSliceMut::new(buf)];
                match preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
                    Ok(read) => return Ok(read),
                    Err(Errno::INTR) => {}
                    Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Err(io::ErrorKind::Unsupported.into()),
                    Err(error) => return Err(error.into()),
                }
            }
        }

        pub(crate) fn is_in_memory(file: &File) -> bool {
            #[allow(clippy::unnecessary_cast, reason = "the type differs between targets")]
            fstatfs(file).is_ok_and(|stat| [TMPFS, RAMFS].contains(&(stat.f_type as i64)))
        }

        pub(crate) fn punch(file: &File, range: Range<u64>) {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Where the file system cannot do it, the bytes merely stay allocated.
            let _ = fallocate(file, flags, range.start, range.end - range.start);
        }

        pub(crate) fn reserve(file: &File, range: Range<u64>) -> bool {
            fallocate(file, FallocateFlags::KEEP_SIZE, range.start, range.end - range.start).is_ok()
        }

        pub(crate) fn session(file: &File) -> Option<[u8; 16]> {
            static BOOT: OnceLock<Option<u128>> = OnceLock::new();
            let boot = (*BOOT.get_or_init(boot_id))?;
            // STATX_MNT_ID_UNIQUE (Linux 6.8) is never used twice in the run of a kernel.
            let mask = StatxFlags::from_bits_retain(0x4000);
            let found = statx(file, "", AtFlags::EMPTY_PATH, mask | StatxFlags::MNT_ID).ok()?;
            Some((boot ^ u128::from(found.stx_mnt_id)).to_le_bytes())
        }

        fn boot_id() -> Option<u128> {
            let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
            let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
            u128::from_str_radix(&hex, 16).ok()
        }
    }

    #[cfg(not(target_os = "linux"))]
    mod linux_or_not {
        use super::{File, Range, io};

        pub(crate) fn read_nowait(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn is_in_memory(_: &File) -> bool {
            false
        }

        pub(crate) fn punch(_: &File, _: Range<u64>) {}

        pub(crate) fn reserve(_: &File, _: Range<u64>) -> bool {
            false
        }

        pub(crate) fn session(_: &File) -> Option<[u8; 16]> {
            None
        }
    }
}

#[cfg(windows)]
mod os {
    use std::os::windows::fs::FileExt;

    use winapi_util::file::information;

    use super::{File, Range, io};

    pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek_read(buf, offset)
    }

    pub(super) fn write_at(file: &File, data: &[u8], offset: u64) -> io::Result<usize> {
        file.seek_write(data, offset)
    }

    pub(super) fn read_nowait(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn is_in_memory(_: &File) -> bool {
        false
    }

    /// The numbers belong to a file for as long as it is open.
    pub(super) fn is_same(one: &File, other: &File) -> io::Result<bool> {
        let (one, other) = (information(one)?, information(other)?);
        let volumes = (one.volume_serial_number(), other.volume_serial_number());
        Ok(volumes.0 == volumes.1 && one.file_index() == other.file_index())
    }

    pub(super) fn punch(_: &File, _: Range<u64>) {}

    pub(super) fn reserve(_: &File, _: Range<u64>) -> bool {
        false
    }

    pub(super) fn session(_: &File) -> Option<[u8; 16]> {
        None
    }
}
