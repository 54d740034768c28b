/// How a disk resource remembers what it has, between the moments that it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageSettings {
    /// Bytes written between two notes of what is stored, which survive a crash of the process. Default 256 KiB: what such a
    /// crash loses at most. A note costs one small append to a file.
    pub journal_every: u64,
    /// Bytes written between two synchronisations with the disk, which make the notes survive a power failure. Default
    /// 16 MiB: what such a failure loses at most, or what came in the last quarter of a second (15 ns for each byte of this
    /// setting), if that is more. They run beside the download; `u64::MAX` leaves it to `flush` and `commit`.
    pub sync_every: u64,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self { journal_every: 256 * 1024, sync_every: 16 * 1024 * 1024 }
    }
}
