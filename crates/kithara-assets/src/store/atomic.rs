//! The handle on a small object.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kithara_storage::{Atomic, AtomicResource, StorageError};

use super::backing::StoreInner;
use crate::catalog::Place;
use crate::index::frame::{self, HEADER, Kind};
use crate::{AssetsError, ResourceKey};

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
        // What is in memory is what the disk could not take: it is newer.
        match (self.backing.shelf.atomic(&self.key), self.on_disk()) {
            (Some(memory), _) => memory.read().await,
            (None, Some(disk)) => match disk.read().await {
                // As good as not there: whoever asks fetches it again.
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
            if self.backing.shelf.take_atomic(&self.key) {
                self.backing.catalog().forget_memory(&self.key);
            }
        } else {
            self.backing.shelf.atomic_or_new(&self.key).write(content).await?;
            self.backing.catalog().completed(&self.key, Place::Memory, len);
        }
        self.backing.catalog().keep_limits().await;
        Ok(())
    }

    async fn remove(&self) -> Result<(), StorageError> {
        if let Some(disk) = self.on_disk().filter(|_| self.backing.writable_folder().is_some()) {
            match disk.remove().await {
                // What cannot be read is not there, see above.
                Err(StorageError::Io { .. }) if matches!(disk.read().await, Err(_) | Ok(None)) => {}
                removed => removed?,
            }
        }
        self.backing.shelf.take_atomic(&self.key);
        self.backing.catalog().forget(&self.key);
        Ok(())
    }
}

impl fmt::Debug for BaseAtomic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseAtomic({})", self.key)
    }
}
