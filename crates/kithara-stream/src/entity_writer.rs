//! [`EntityWriter`]: the exclusive right to fill a resource with the bytes of one entity.

use kithara_storage::{ResourceStatus, StorageError, Streaming, WriteClaim};

use crate::StoredEntity;

/// The stored bytes that a new download found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// The resource is complete.
    Complete {
        /// Its length in bytes.
        len: u64,
    },
    /// Bytes of this entity; a request with its validator can continue them.
    Resumable(StoredEntity),
    /// No byte. `earlier`: the entity of bytes that could not be continued and were dropped.
    Empty {
        /// Its record, if it had one.
        earlier: Option<StoredEntity>,
    },
}

/// The claim on a resource, and the record of the entity in it. Every download writes through one, so that whoever comes
/// next, in this process or a later one, can continue its bytes.
///
/// Dropping it passes the claim on; what was written stays.
#[derive(Debug)]
pub struct EntityWriter<R> {
    resource: R,
    _claim: WriteClaim,
}

impl<R: Streaming> EntityWriter<R> {
    /// Waits for the exclusive right to fill `resource`.
    ///
    /// # Errors
    /// As [`Streaming::claim`].
    pub async fn claim(resource: &R) -> Result<Self, StorageError> {
        Ok(Self { resource: resource.clone(), _claim: resource.claim().await? })
    }

    /// As [`claim`](Self::claim), but `None` instead of waiting when another download in this process holds the claim.
    ///
    /// # Errors
    /// As [`Streaming::try_claim`].
    pub fn try_claim(resource: &R) -> Result<Option<Self>, StorageError> {
        Ok(resource.try_claim()?.map(|claim| Self { resource: resource.clone(), _claim: claim }))
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> &R {
        &self.resource
    }

    /// Looks at the stored bytes of an earlier download and drops those whose version cannot be told.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self) -> Result<Found, StorageError> {
        if let ResourceStatus::Committed { len } = self.resource.status() {
            return Ok(Found::Complete { len });
        }
        if self.resource.available().is_empty() {
            return Ok(Found::Empty { earlier: None });
        }
        match StoredEntity::beside(&self.resource) {
            Some(entity) if entity.can_be_continued() => Ok(Found::Resumable(entity)),
            earlier => {
                self.reset().await?;
                Ok(Found::Empty { earlier })
            }
        }
    }

    /// Records which entity the stored bytes are part of.
    pub fn record(&self, entity: &StoredEntity) {
        if let Some(total) = entity.total() {
            self.resource.set_expected_len(total);
        }
        self.resource.set_tag(entity.to_bytes());
    }

    /// Announces the length that the resource will probably have.
    pub fn expect_len(&self, len: u64) {
        self.resource.set_expected_len(len);
    }

    /// Stores `data` at `offset`.
    ///
    /// # Errors
    /// The store's.
    pub async fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.resource.write_at(offset, data).await
    }

    /// Whether the bytes of `data` that are stored already are stored with the same values.
    ///
    /// # Errors
    /// The store's.
    pub async fn agrees(&self, offset: u64, data: &[u8]) -> Result<bool, StorageError> {
        let mut buffer = [0; 1024];
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let stored = usize::try_from(self.resource.available_at(at)).unwrap_or(usize::MAX);
            if stored == 0 {
                let next =
                    self.resource.available().iter().map(|range| range.start).find(|&start| start > at);
                let Some(next) = next else { return Ok(true) };
                done = usize::try_from(next - offset).unwrap_or(usize::MAX);
                continue;
            }
            let len = stored.min(data.len() - done).min(buffer.len());
            let read = self.resource.read_at(at, &mut buffer[..len]).await?;
            if read == 0 || buffer[..read] != data[done..done + read] {
                return Ok(false);
            }
            done += read;
        }
        Ok(true)
    }

    /// Makes the stored bytes survive the end of the process.
    ///
    /// # Errors
    /// The store's.
    pub async fn flush(&self) -> Result<(), StorageError> {
        self.resource.flush().await
    }

    /// Drops everything stored: the entity has changed.
    ///
    /// # Errors
    /// The store's.
    pub async fn reset(&self) -> Result<(), StorageError> {
        self.resource.reset().await
    }

    /// Ends the resource with `len` bytes.
    ///
    /// # Errors
    /// As [`Streaming::commit`].
    pub async fn commit(&self, len: u64) -> Result<(), StorageError> {
        self.resource.commit(len).await
    }
}
