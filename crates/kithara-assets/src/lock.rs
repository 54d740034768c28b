//! Locks on files, which are given back and not left to the closing of the file.

use std::fs::{File, TryLockError};
use std::ops::Deref;

/// A file that is locked, and unlocked again. Not by closing alone: a process that is being started at this moment has a copy
/// of every open file until it runs its own program, and with it the lock.
pub(crate) struct Locked(File);

impl Locked {
    pub(crate) fn new(file: File) -> Result<Self, TryLockError> {
        file.try_lock().map(|()| Self(file))
    }

    /// The file in any case, also where it could not be locked.
    pub(crate) fn if_possible(file: File) -> Self {
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
        let _ = self.0.unlock();
    }
}
