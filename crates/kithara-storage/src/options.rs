use std::time::Duration;

/// How a disk resource records its stored ranges, and whether it keeps checksums.
///
/// ```
/// # use kithara_storage::StorageOptions;
/// let options = StorageOptions::new().with_journal_every(64 * 1024).with_checksums(false);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageOptions {
    /// Bytes written between two journal records of what is stored, which survive a crash of the process. Default 256 KiB:
    /// what such a crash loses at most. A record costs one small append to a file. `u64::MAX`: none until the resource is
    /// closed.
    pub journal_every: u64,
    /// Time after which a record is made with the next write although fewer bytes came. Default 1 s: what a crash loses at
    /// most of a slow download.
    pub journal_after: Duration,
    /// Bytes written between two synchronisations with the disk, which make the records survive a power failure. Default
    /// 16 MiB: what such a failure loses at most, or what came in the last quarter of a second (15 ns for each byte of this
    /// setting), if that is more. They run beside the download; `u64::MAX` leaves it to `flush` and `commit`.
    pub sync_every: u64,
    /// Whether a commit stores a checksum of each 64 KiB in `NAME.crc`, against which an opened resource is verified as it is
    /// first read. Default true. Costs a read of the body from the page cache and one small file per commit, and one more
    /// read of each block that is first read after opening.
    pub checksums: bool,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl StorageOptions {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            journal_every: 256 * 1024,
            journal_after: Duration::from_secs(1),
            sync_every: 16 * 1024 * 1024,
            checksums: true,
        }
    }

    /// Sets [`journal_every`](Self::journal_every).
    #[must_use]
    pub const fn with_journal_every(mut self, bytes: u64) -> Self {
        self.journal_every = bytes;
        self
    }

    /// Sets [`journal_after`](Self::journal_after).
    #[must_use]
    pub const fn with_journal_after(mut self, time: Duration) -> Self {
        self.journal_after = time;
        self
    }

    /// Sets [`sync_every`](Self::sync_every).
    #[must_use]
    pub const fn with_sync_every(mut self, bytes: u64) -> Self {
        self.sync_every = bytes;
        self
    }

    /// Sets [`checksums`](Self::checksums).
    #[must_use]
    pub const fn with_checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }
}
