//! Answers: whether they are of the file that is stored, and what they teach.

use std::time::Duration;

use kithara_net::{EntityMatch, Net, NetError, Request, Response, ResponseHead, RetryPolicy, StatusCode};
use kithara_storage::{Atomic, ResourceStatus, Streaming};
use kithara_stream::{Freshness, StoredEntity, Validation};

use crate::stats::Counters;
use crate::{FileError, FileEvent};

use super::live::{is_station, may_be_station};
use super::transfer::Transfer;
use super::{Engine, Trouble};

/// Answers in a row that give one and the same other length than the known one to the same version, until they are believed.
/// Fewer may be one server of many that has not heard of a change yet.
const INSISTED: u32 = 3;

/// Another length than the known one, which answers give to the same version.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherLen {
    total: u64,
    /// By so many answers in a row.
    times: u32,
}

impl<N: Net, R: Streaming, T: Atomic> Engine<N, R, T> {
    /// Takes a response into use.
    pub(super) async fn accept(
        &mut self,
        response: Response<N::Body>,
        asked: Option<u64>,
        latency: Duration,
    ) -> Result<(), Trouble> {
        let Response { head, body } = response;
        let (offset, total) = (head.body_offset, head.total_len);
        self.shared.emit(&FileEvent::Response { offset, total, latency });
        if !self.checked && is_station(&head) {
            return self.begin_live(head, body).await;
        }
        if asked.is_some_and(|asked| head.status == StatusCode::PARTIAL_CONTENT && offset != asked) {
            // Its ranges are of no use: what is wanted comes in order from now on.
            self.read_in_order();
            return Err(self.passing("another part than asked for"));
        }
        let contradicts = match self.shared.entity().guard().contradicted_by(&head) {
            Some(total) => {
                self.weigh(total)?;
                if self.may_end_at(total) {
                    return self.shorten(total).await;
                }
                true
            }
            None => {
                self.other_len = None;
                false
            }
        };
        self.compare(&head, asked.is_some(), contradicts).await?;
        if asked.is_some() && head.status == StatusCode::OK {
            self.read_in_order();
        }
        let compares = !self.shared.entity().can_be_continued();
        self.transfer = Some(Transfer::new(&head, body).comparing(compares));
        self.shared.set_ready();
        Ok(())
    }

    /// An answer says that the file is `total` bytes long, which is not what was known. Who insists is believed (it was the
    /// length known before that was wrong); until then it is an error that passes, after a pause.
    fn weigh(&mut self, total: u64) -> Result<(), Trouble> {
        if self.shared.entity().insisted() == Some(total) {
            // When the file was played before, it did.
            self.other_len = None;
            return Ok(());
        }
        let before = self.other_len.filter(|other| other.total == total).map_or(0, |other| other.times);
        self.other_len = Some(OtherLen { total, times: before + 1 });
        if before + 1 < INSISTED {
            return Err(Trouble { earned: false, ..self.passing("two lengths of one version") });
        }
        self.other_len = None;
        Ok(())
    }

    /// Whether a file of `total` bytes may be what the stored bytes are of, although it was said to be longer.
    fn may_end_at(&self, total: u64) -> bool {
        let stored = self.shared.resource.available().iter().last().map_or(0, |range| range.end);
        let is_shorter = self.shared.end().is_some_and(|end| total < end);
        // Where nothing names the version, that it brought exactly so much and no more.
        let fits = if self.shared.entity().can_be_continued() { stored <= total } else { stored == total };
        is_shorter && fits
    }

    /// Believes that the file ends at `total`, and keeps what is stored of it. It was said to be longer.
    async fn shorten(&mut self, total: u64) -> Result<(), Trouble> {
        tracing::debug!(total, url = %self.shared.url, "the file is shorter than the server said first");
        self.disconnect();
        let mut entity = self.shared.entity();
        entity.shorten(total);
        self.shared.set_end(total, entity.is_length_proven());
        self.learn(entity).await?;
        self.shared.set_ready();
        Ok(())
    }

    /// Makes sure that the response is of the version that is stored, or that nothing is stored.
    async fn compare(&mut self, head: &ResponseHead, asked: bool, contradicts: bool) -> Result<(), Trouble> {
        self.is_kept = self.settings.store_private || Freshness::of(head).may_be_stored(head.is_authorized);
        let mut entity = self.shared.entity();
        let known = self.checked || !self.shared.resource.available().is_empty();
        if known && (contradicts || changed(&entity, head, asked)) {
            self.replaced().await?;
            self.learn(StoredEntity::of(head)).await?;
            // A part of the new version is asked for again, from where it is needed.
            return if head.body_offset == 0 {
                Ok(())
            } else {
                Err(self.passing("another version of the file"))
            };
        }
        if known {
            entity.set_total(entity.total().or(head.total_len));
            entity.confirm(head);
        } else {
            self.forget();
            self.may_be_station = may_be_station(head);
            entity = StoredEntity::of(head);
            entity.recall(self.earlier.as_ref());
        }
        self.learn(entity).await?;
        Ok(())
    }

    /// Records which version the stored bytes are of, with them and for the readers.
    async fn learn(&mut self, entity: StoredEntity) -> Result<(), Trouble> {
        self.checked = true;
        let is_kept = self.is_kept;
        let writer = self.writer().await?;
        match entity.total() {
            _ if is_kept => writer.record(&entity),
            Some(total) => writer.expect_len(total),
            None => {}
        }
        self.shared.set_entity(entity);
        Ok(())
    }

    /// The server has another version: drops what is stored. An error if some of it was given out.
    pub(super) async fn replaced(&mut self) -> Result<(), Trouble> {
        self.disconnect();
        let delivered = self.shared.was_delivered();
        self.writer().await?.reset().await?;
        self.generation = self.shared.resource.generation();
        self.record.remove().await?;
        if delivered {
            let error = FileError::EntityChanged { url: self.shared.url.clone() };
            return Err(Trouble { error, permanent: true, earned: false });
        }
        self.forget();
        self.shared.emit(&FileEvent::EntityChanged);
        Ok(())
    }

    /// Nothing is known of the file any more.
    pub(super) fn forget(&mut self) {
        self.other_len = None;
        self.shared.forget();
    }

    /// Something that the next request puts right.
    pub(super) fn passing(&self, what: &'static str) -> Trouble {
        let error = FileError::Server { url: self.shared.url.clone(), what };
        Trouble { error, permanent: false, earned: true }
    }

    fn read_in_order(&mut self) {
        if !std::mem::replace(&mut self.sequential, true) {
            self.shared.emit(&FileEvent::NoRanges);
        }
    }

    /// The request failed.
    pub(super) async fn refused(&mut self, error: NetError, start: u64) -> Result<(), Trouble> {
        if self.cannot_serve_parts(&error, start) {
            self.read_in_order();
            self.tries = 0;
            return Err(self.passing("parts that were not asked for, or none"));
        }
        let NetError::RangeNotSatisfiable { total, .. } = error else { return Err(error.into()) };
        match (total, self.shared.end()) {
            // The range begins at or behind the end, which is learned from this.
            (Some(total), None) if total <= start => {
                let mut entity = self.shared.entity();
                entity.set_total(Some(total));
                self.learn(entity).await?;
                self.shared.set_end(total, true);
                self.shared.set_ready();
                Ok(())
            }
            (Some(total), Some(end)) if total != end => {
                self.weigh(total)?;
                if self.may_end_at(total) {
                    return self.shorten(total).await;
                }
                self.replaced().await?;
                Err(self.passing("another length of the file"))
            }
            // It may be the end, and the whole file tells.
            (None, None) if !self.sequential && start > 0 => {
                self.sequential = true;
                Err(self.passing("no bytes where the file goes on"))
            }
            // No bytes where it said that there are some. (If it still says so, the error itself says to try again.)
            (None, Some(end)) if start < end => Err(Trouble { permanent: false, ..error.into() }),
            _ => Err(error.into()),
        }
    }

    /// Whether a server that has sent the file from its start has shown that it sends no part of it: at once where it does not
    /// say which part it sends or refuses the request, and by refusing again and again what it says is there.
    fn cannot_serve_parts(&self, error: &NetError, start: u64) -> bool {
        let is_shown = match error {
            NetError::WrongRange { .. } => true,
            // A server, or a firewall before it, that refuses ranges: the body from the start may flow on.
            NetError::Status { status, .. } => {
                matches!(status.as_u16(), 400 | 403..=406 | 412 | 413 | 501 | 505)
            }
            NetError::RangeNotSatisfiable { total, .. } => {
                let end = self.shared.end();
                let is_there =
                    end.is_some_and(|end| start < end) && total.is_none_or(|total| Some(total) == end);
                is_there && self.tries >= self.settings.retry.max_retries
            }
            _ => false,
        };
        is_shown && start > 0 && self.checked && !self.sequential
    }

    /// Asks the server whether the complete file that is stored is still current, if the options want that.
    pub(super) async fn validate(&mut self) -> Result<(), Trouble> {
        if self.settings.validation == Validation::Never {
            return Ok(());
        }
        let entity =
            self.record.read().await?.and_then(|note| StoredEntity::from_bytes(&note)).unwrap_or_default();
        let fresh = self.settings.validation.accepts(&entity);
        self.shared.set_entity(entity.clone());
        if fresh {
            return Ok(());
        }
        let mut request = Request::new(self.settings.url.clone())
            .with_headers(&self.settings.headers)
            .with_tag("validate")
            .with_retry(RetryPolicy::none());
        if let Some(validator) = entity.validator() {
            request = request.with_if_changed(&validator);
        }
        Counters::add(&self.shared.counters.requests, 1);
        self.shared.emit(&FileEvent::Request { offset: 0 });
        let net = self.net.clone();
        match net.open(request).await {
            Ok(response) => self.validated(entity, response).await,
            Err(error) => {
                self.shared.emit(&FileEvent::NotValidated { error: error.into() });
                Ok(())
            }
        }
    }

    async fn validated(
        &mut self,
        mut entity: StoredEntity,
        response: Response<N::Body>,
    ) -> Result<(), Trouble> {
        let Response { head, body } = response;
        let same = head.status == StatusCode::NOT_MODIFIED
            || match entity.compare(&head) {
                EntityMatch::Same => true,
                EntityMatch::Changed => false,
                // Nothing tells versions apart but their length.
                _ => self.committed_len() == head.total_len,
            };
        if same {
            entity.confirm(&head);
            self.shared.set_entity(entity);
            return Ok(self.save_record().await?);
        }
        self.replaced().await?;
        self.learn(StoredEntity::of(&head)).await?;
        self.transfer = Some(Transfer::new(&head, body));
        Ok(())
    }

    fn committed_len(&self) -> Option<u64> {
        match self.shared.resource.status() {
            ResourceStatus::Committed { len } => Some(len),
            _ => None,
        }
    }
}

/// Whether a response is of another version than `entity`.
fn changed(entity: &StoredEntity, head: &ResponseHead, asked: bool) -> bool {
    match entity.compare(head) {
        EntityMatch::Same => false,
        EntityMatch::Changed => true,
        // Asked for a part of this very version, the server sends the whole of something that it does not name; or it
        // begins to name something, and no length says that it is what came without a name.
        EntityMatch::Unknown => {
            let unnamed_whole = asked && head.status == StatusCode::OK && entity.can_be_continued();
            let lengths_agree = entity.total().is_some() && entity.total() == head.total_len;
            unnamed_whole || (entity.validator().is_none() && head.validator.is_some() && !lengths_agree)
        }
    }
}
