//! The handles: on a body, and on a small object.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use kithara_storage::{
    Atomic, AtomicResource, RangeSet, ResourceStatus, StorageError, Streaming, WaitOutcome, WriteClaim,
};

use super::backing::StoreInner;
use super::entry::{Current, OpenEntry};
use crate::catalog::Place;
use crate::index::frame;
use crate::index::frame::{HEADER, Kind};
use crate::{AssetsError, ResourceKey};

/// A handle on a body in a folder or in memory; see [`DiskAssetStore`](crate::DiskAssetStore) for when it moves.
///
/// Keeps the store's folder open: the folder is let go when the last store and the last handle are dropped.
#[derive(Clone)]
pub struct BaseResource {
    entry: Arc<OpenEntry>,
}

impl BaseResource {
    pub(super) fn new(entry: Arc<OpenEntry>) -> Self {
        Self { entry }
    }

    /// The key it was opened by.
    #[must_use]
    pub fn key(&self) -> &ResourceKey {
        &self.entry.key
    }

    /// Where its bytes are, and go.
    #[must_use]
    pub fn place(&self) -> Place {
        self.entry.look(|current| current.place)
    }

    /// Runs an operation that changes the resource; if the disk refuses it, once more in memory.
    async fn changing<T, F>(&self, operation: impl Fn(Current) -> F) -> Result<(T, Current), StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let current = self.entry.current();
        let place = current.place;
        match operation(current.clone()).await {
            Ok(done) => Ok((done, current)),
            Err(error) if place == Place::Disk && is_trouble(&error) => {
                self.entry.move_to_memory(&error, true).await?;
                let current = self.entry.current();
                operation(current.clone()).await.map(|done| (done, current))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether the disk, not the caller, is to blame for a failed write.
fn is_trouble(error: &StorageError) -> bool {
    matches!(error, StorageError::Io { .. } | StorageError::LockedElsewhere { .. })
}

#[deny(clippy::missing_trait_methods)]
impl Streaming for BaseResource {
    async fn wait_range(&self, range: Range<u64>) -> Result<WaitOutcome, StorageError> {
        loop {
            let moved = self.entry.moved.notified();
            let current = self.entry.current();
            if current.place == Place::Memory {
                return current.resource.wait_range(range).await;
            }
            tokio::select! {
                biased;
                done = current.resource.wait_range(range.clone()) => return done,
                () = moved => {}
            }
        }
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        let current = self.entry.current();
        let read = current.resource.read_at(offset, buf).await;
        if let Err(error) = &read
            && error.is_damage()
        {
            self.entry.note_damage(error);
        }
        read
    }

    async fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        let len = data.len() as u64;
        let write = |current: Current| async move {
            let known = current.resource.available_at(offset).min(len);
            self.entry.check_growth(&current, len - known)?;
            self.entry.before_write(&current);
            current.resource.write_at(offset, data).await.map(|()| len - known)
        };
        let (new, current) = self.changing(write).await?;
        if new > 0 {
            self.entry.grew(current.place, new);
            self.entry.keep_limits().await;
        }
        Ok(())
    }

    fn available(&self) -> RangeSet {
        self.entry.look(|current| current.resource.available())
    }

    fn available_at(&self, offset: u64) -> u64 {
        self.entry.look(|current| current.resource.available_at(offset))
    }

    fn status(&self) -> ResourceStatus {
        let status = self.entry.look(|current| current.resource.status());
        match status {
            // Stored bytes are gone: the next open empties it.
            ResourceStatus::Committed { len } if self.entry.is_lost() => {
                ResourceStatus::Failed(StorageError::Truncated { expected: len, actual: 0, committed: true })
            }
            status => status,
        }
    }

    fn len(&self) -> Option<u64> {
        self.entry.look(|current| current.resource.len())
    }

    fn expected_len(&self) -> Option<u64> {
        self.entry.look(|current| current.resource.expected_len())
    }

    fn set_expected_len(&self, len: u64) {
        self.entry.look(|current| current.resource.set_expected_len(len));
    }

    fn tag(&self) -> Option<Bytes> {
        self.entry.look(|current| current.resource.tag())
    }

    fn set_tag(&self, tag: Option<Bytes>) {
        self.entry.look(|current| current.resource.set_tag(tag));
    }

    fn generation(&self) -> u64 {
        self.entry.look(|current| current.past_generations + current.resource.generation())
    }

    async fn commit(&self, len: u64) -> Result<(), StorageError> {
        let current = self.entry.current();
        self.entry.before_write(&current);
        let done = current.resource.commit(len).await;
        let ended = current.resource.len().is_some();
        match done {
            Ok(()) => self.entry.completed(current.place, len),
            // Every byte is there and can be read; only the next process will not find it complete.
            Err(error) if current.place == Place::Disk && is_trouble(&error) && ended => {
                self.entry.note_unsafe_commit(&error);
            }
            Err(error) if current.place == Place::Disk && is_trouble(&error) => {
                self.entry.move_to_memory(&error, true).await?;
                let current = self.entry.current();
                current.resource.commit(len).await?;
                self.entry.completed(current.place, len);
            }
            Err(error) => return Err(error),
        }
        self.entry.keep_limits().await;
        Ok(())
    }

    fn fail(&self, error: StorageError) {
        self.entry.current().resource.fail(error);
    }

    async fn reset(&self) -> Result<(), StorageError> {
        let current = self.entry.current();
        match current.resource.reset().await {
            Ok(()) => self.entry.emptied(current.place),
            Err(error) if current.place == Place::Disk && is_trouble(&error) => {
                self.entry.move_to_memory(&error, false).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn discard(&self, range: Range<u64>) -> Result<(), StorageError> {
        let current = self.entry.current();
        current.resource.discard(range).await?;
        // A committed resource keeps its bytes.
        if current.resource.len().is_none() {
            self.entry.shrank(&current);
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), StorageError> {
        self.entry.current().resource.flush().await
    }

    async fn claim(&self) -> Result<WriteClaim, StorageError> {
        loop {
            let moved = self.entry.moved.notified();
            let current = self.entry.current();
            self.entry.before_claim(&current);
            let claim = tokio::select! {
                biased;
                claim = current.resource.claim() => claim,
                () = moved => continue,
            };
            match claim {
                Ok(claim) => {
                    if let Some(claim) = self.entry.hand_out(current.place, claim) {
                        return Ok(claim);
                    }
                }
                Err(error) if current.place == Place::Disk && is_trouble(&error) => {
                    self.entry.move_to_memory(&error, true).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn try_claim(&self) -> Result<Option<WriteClaim>, StorageError> {
        let current = self.entry.current();
        self.entry.before_claim(&current);
        // An error of the disk shows here; whoever gets it and waits with `claim` goes on in memory.
        let Some(claim) = current.resource.try_claim()? else { return Ok(None) };
        Ok(self.entry.hand_out(current.place, claim))
    }
}

impl fmt::Debug for BaseResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseResource")
            .field("key", self.key())
            .field("resource", &self.entry.current().resource)
            .finish()
    }
}

/// A handle on a small object in a folder, or in memory where the folder cannot take it.
#[derive(Clone)]
pub struct BaseAtomic {
    backing: Arc<StoreInner>,
    key: ResourceKey,
}

impl BaseAtomic {
    pub(super) fn new(backing: Arc<StoreInner>, key: ResourceKey) -> Self {
        Self { backing, key }
    }

    /// The key it was opened by.
    #[must_use]
    pub fn key(&self) -> &ResourceKey {
        &self.key
    }

    fn on_disk(&self) -> Option<AtomicResource> {
        self.backing.folder().map(|folder| AtomicResource::at(self.key.file_in(&folder.path)))
    }

    /// The content in a stored file; `None` where it is damaged, or where another program put the file there.
    fn content(&self, stored: Bytes) -> Option<Bytes> {
        match frame::object(&stored) {
            Ok(Some(content)) => Some(content),
            // Written before there were frames: the index has to know it.
            Ok(None) => {
                let known = self.backing.catalog().entry(&self.key);
                let is_known = known.is_some_and(|entry| entry.complete && entry.disk == stored.len() as u64);
                is_known.then_some(stored)
            }
            Err(error) => {
                tracing::warn!(key = %self.key, %error, "a stored object is damaged and counts as absent");
                None
            }
        }
    }

    async fn write_to_disk(&self, content: &[u8]) -> Result<bool, StorageError> {
        let Some(folder) = self.backing.writable_folder() else { return Ok(false) };
        let object = AtomicResource::at(self.key.file_in(&folder.path));
        self.backing.note_change(&self.key);
        let mut framed = Vec::with_capacity(HEADER + content.len());
        let encoded = frame::append(&mut framed, Kind::Object, |out| {
            out.extend_from_slice(content);
            Some(())
        });
        if encoded.is_none() {
            let (size, limit) = (content.len() as u64, u64::from(u32::MAX));
            return Err(StorageError::TooLarge { size, limit });
        }
        match object.write(&framed).await {
            Ok(()) => Ok(true),
            Err(error @ StorageError::Io { .. }) => {
                self.backing.catalog().note_trouble(&AssetsError::storage(&self.key, error));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Atomic for BaseAtomic {
    async fn read(&self) -> Result<Option<Bytes>, StorageError> {
        // Content in memory could not be written to disk: it is newer.
        match (self.backing.memory_tier.atomic(&self.key), self.on_disk()) {
            (Some(memory), _) => memory.read().await,
            (None, Some(disk)) => match disk.read().await {
                // An unreadable object counts as absent and is fetched again.
                Err(error @ StorageError::Io { .. }) => {
                    self.backing.catalog().note_trouble(&AssetsError::storage(&self.key, error));
                    Ok(None)
                }
                Ok(Some(stored)) => Ok(self.content(stored)),
                other => other,
            },
            (None, None) => Ok(None),
        }
    }

    async fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        let len = content.len() as u64;
        if self.write_to_disk(content).await? {
            self.backing.catalog().completed(&self.key, Place::Disk, len);
            if self.backing.memory_tier.take_atomic(&self.key) {
                self.backing.catalog().forget_memory(&self.key);
            }
        } else {
            self.backing.memory_tier.atomic_or_new(&self.key).write(content).await?;
            self.backing.catalog().completed(&self.key, Place::Memory, len);
        }
        self.backing.catalog().keep_limits().await;
        Ok(())
    }

    async fn remove(&self) -> Result<(), StorageError> {
        if let Some(disk) = self.on_disk().filter(|_| self.backing.writable_folder().is_some()) {
            match disk.remove().await {
                // An unreadable object counts as absent, see above.
                Err(StorageError::Io { .. }) if matches!(disk.read().await, Err(_) | Ok(None)) => {}
                removed => removed?,
            }
        }
        self.backing.memory_tier.take_atomic(&self.key);
        self.backing.catalog().forget(&self.key);
        Ok(())
    }
}

impl fmt::Debug for BaseAtomic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseAtomic({})", self.key)
    }
}
