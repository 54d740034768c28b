//! Keeping bytes: the right to write them, rest when there is nothing to do, and the complete file.

use std::time::Duration;

use kithara_net::Net;
use kithara_storage::{Atomic, ResourceStatus, StorageError, Streaming};
use kithara_stream::{EntityWriter, StoredEntity};
use tokio::time::{Instant, sleep_until};

use crate::plan::Decision;
use crate::{FileError, FileEvent};

use super::{Engine, Trouble};

/// A pause that lasts longer than this gives the write claim back, so that another store user may go on.
const KEEP_CLAIM: Duration = Duration::from_millis(250);

impl<N: Net, R: Streaming, T: Atomic> Engine<N, R, T> {
    /// The writer, claimed if it is not held.
    pub(super) async fn writer(&mut self) -> Result<&EntityWriter<R>, Trouble> {
        if self.writer.is_none() {
            self.claim().await?;
        }
        self.writer.as_ref().ok_or_else(|| StorageError::NotClaimed.into())
    }

    /// Waits for the exclusive right to write, and learns what its last holder stored. Its bytes can be read meanwhile.
    pub(super) async fn claim(&mut self) -> Result<(), Trouble> {
        let resource = self.shared.resource.clone();
        let mut claim = std::pin::pin!(EntityWriter::claim(&resource));
        let mut first_byte = std::pin::pin!(resource.wait_range(0..1));
        let mut is_waiting = true;
        let writer = loop {
            tokio::select! {
                biased;
                claim = &mut claim => break claim?,
                _ = &mut first_byte, if is_waiting => {
                    is_waiting = false;
                    self.learn_from_resource();
                    self.shared.set_ready_if_stored();
                }
            }
        };
        self.writer = Some(writer);
        self.learn_from_resource();
        Ok(())
    }

    /// What others noted who wrote to the resource.
    pub(super) fn learn_from_resource(&mut self) {
        let resource = self.shared.resource.clone();
        if resource.generation() != self.generation {
            self.generation = resource.generation();
            self.forget();
        }
        if let Some(entity) = StoredEntity::beside(&resource)
            && !resource.available().is_empty()
        {
            self.shared.set_entity(entity);
        }
        if let ResourceStatus::Committed { len } = resource.status() {
            self.shared.set_end(len, true);
        }
    }

    /// Nobody needs anything. Waits for a poke; gives up the claim and then the connections as time passes.
    pub(super) async fn pause(&mut self) {
        if !self.shared.views().is_empty() {
            self.shared.set_ready();
        }
        self.pace.interrupted();
        self.paused = true;
        self.shared.arm();
        // A reader that moved before it was armed did not poke.
        if self.decide(self.transfer_view()) != Decision::Pause {
            return;
        }
        let began = Instant::now();
        loop {
            let connected = self.transfer.is_some() || self.parked.is_some();
            tokio::select! {
                biased;
                () = self.shared.engine.notified() => return,
                () = sleep_until(began + KEEP_CLAIM), if self.writer.is_some() => self.writer = None,
                () = sleep_until(began + self.settings.keep_paused), if connected => self.disconnect(),
            }
        }
    }

    /// Everything is there: keeps it for good, and waits.
    pub(super) async fn complete(&mut self) -> Result<(), Trouble> {
        self.disconnect();
        self.shared.set_ready();
        let committed = matches!(self.shared.resource.status(), ResourceStatus::Committed { .. });
        if let Some(len) = self.shared.end()
            && !committed
            && !self.uncommittable
            && self.is_kept
            && self.shared.end_is_proven()
        {
            self.writer().await?;
            self.emit_progress();
            if let Err(error) = self.commit(len).await {
                // It plays all the same, from what is stored.
                self.uncommittable = true;
                self.shared.emit(&FileEvent::CacheUnavailable { error });
            } else {
                self.shared.emit(&FileEvent::Complete { len });
            }
        }
        self.writer = None;
        self.shared.set_kept();
        self.shared.engine.notified().await;
        Ok(())
    }

    /// What was stored is damaged: all of it is dropped. An error if some of it was given out.
    pub(super) async fn start_anew(&mut self, error: FileError) -> Result<(), Trouble> {
        self.disconnect();
        let delivered = self.shared.was_delivered();
        self.writer().await?.reset().await?;
        self.generation = self.shared.resource.generation();
        self.forget();
        self.checked = false;
        self.uncommittable = false;
        if delivered {
            return Err(Trouble { error, permanent: true, earned: false });
        }
        // Whoever waits looks again, and waits for the new bytes.
        self.shared.set_ready();
        Ok(())
    }

    pub(super) async fn commit(&mut self, len: u64) -> Result<(), FileError> {
        self.save_record().await?;
        let writer = self.writer.as_ref().ok_or(StorageError::NotClaimed)?;
        Ok(writer.commit(len).await?)
    }

    /// Writes down which version the bytes are of, for a later question to the server.
    pub(super) async fn save_record(&mut self) -> Result<(), FileError> {
        match self.shared.entity().to_bytes() {
            Some(note) => Ok(self.record.write(&note).await?),
            None => Ok(()),
        }
    }
}
