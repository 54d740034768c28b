//! Locks on files that end when they are dropped.

use std::fs::{File, TryLockError};
use std::ops::Deref;

/// A locked file, unlocked on drop.
///
/// Between fork and exec a child process inherits the descriptor, so closing the file alone would keep the lock.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// Locks `file` against other processes and other opens of it.
    ///
    /// # Errors
    /// `WouldBlock` while it is locked elsewhere; `Error` where the file system has no locks.
    pub fn new(file: File) -> Result<Self, TryLockError> {
        file.try_lock().map(|()| Self(file))
    }

    /// Locks `file` if that is possible, and takes it in any case.
    #[must_use]
    pub fn if_possible(file: File) -> Self {
        // A file system without locks lets nobody else have one either.
        let _ = file.try_lock();
        Self(file)
    }
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // At the latest, closing the file unlocks it.
        let _ = self.0.unlock();
    }
}
