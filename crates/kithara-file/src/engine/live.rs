//! Endless bodies: what comes is kept until it is played, and no longer.

use bytes::Bytes;
use kithara_net::{Body, HeaderValue, Net, Request, Response, ResponseHead, RetryPolicy, StatusCode};
use kithara_storage::{Atomic, Streaming};
use kithara_stream::StoredEntity;
use tokio::time::Instant;

use crate::FileEvent;
use crate::icy::{IcyFilter, Piece};
use crate::stats::Counters;

use super::transfer::{Step, Transfer};
use super::{Engine, Trouble};

/// Whether a response is a radio station's: it names itself one, or mixes metadata into the audio.
pub(super) fn is_station(head: &ResponseHead) -> bool {
    let has_metadata = head.headers.contains_key("icy-metaint");
    let is_named = head.headers.keys().any(|name| name.as_str().starts_with("icy-"));
    has_metadata || (is_named && head.total_len.is_none())
}

/// Whether a response may be a station's that does not name itself: audio without a length, a validator or ranges.
pub(super) fn may_be_station(head: &ResponseHead) -> bool {
    let is_audio = head
        .content_type
        .as_deref()
        .is_some_and(|kind| kind.starts_with("audio/") || kind == "application/ogg");
    is_audio && head.total_len.is_none() && head.validator.is_none() && !head.accepts_ranges
}

/// The station's description of itself.
fn description(head: &ResponseHead) -> FileEvent {
    let text = |name: &str| {
        let value = head.headers.get(name)?;
        let text = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    FileEvent::Station {
        name: text("icy-name"),
        genre: text("icy-genre"),
        bitrate: text("icy-br").and_then(|rate| rate.split(',').next()?.trim().parse().ok()),
    }
}

fn filter(head: &ResponseHead) -> Option<IcyFilter> {
    let interval = head.headers.get("icy-metaint")?.to_str().ok()?.trim().parse().ok()?;
    IcyFilter::new(interval)
}

/// An endless body, and the metadata that is mixed into it.
pub(super) struct Live<B> {
    body: B,
    filter: Option<IcyFilter>,
    /// Bytes of the body that were received before.
    received: Vec<Bytes>,
}

impl<N: Net, R: Streaming, T: Atomic> Engine<N, R, T> {
    /// The first response is a station's.
    pub(super) async fn begin_live(&mut self, head: ResponseHead, body: N::Body) -> Result<(), Trouble> {
        self.shared.set_entity(StoredEntity::of(&head).without_validators());
        self.shared.set_live(0);
        self.shared.emit(&description(&head));
        self.checked = true;
        self.shared.set_ready();
        self.listen(Live { body, filter: filter(&head), received: Vec::new() }).await
    }

    /// The body goes on with other bytes than those that are stored, and no header said what it is: a station.
    pub(super) async fn go_live(&mut self, transfer: Transfer<N::Body>) -> Result<(), Trouble> {
        tracing::debug!(url = %self.shared.url, "a body that goes on with other bytes is played as a station");
        self.disconnect();
        self.shared.set_live(self.shared.resource.available_at(0));
        let (body, received) = transfer.into_body();
        self.listen(Live { body, filter: None, received }).await
    }

    /// Only the close of its connection ended a body at `at` that may be a station's: one more answer tells. The same bytes
    /// again: it was a file.
    pub(super) async fn rejoin(&mut self, at: u64) -> Result<(), Trouble> {
        const COMPARED: u64 = 4096;
        self.may_be_station = false;
        let opened = self.net.clone().open(self.request_live()).await;
        let Ok(Response { head, body }) = opened else {
            self.shared.set_end(at, false);
            return Ok(());
        };
        if is_station(&head) {
            self.shared.set_live(at);
            return self.listen(Live { filter: filter(&head), body, received: Vec::new() }).await;
        }
        let mut transfer = Transfer::new(&head, body).comparing(true);
        let differs = loop {
            let writer = self.writer().await?;
            match transfer.step(writer).await {
                Step::Wrote(_) if transfer.offset() < COMPARED.min(at) => {}
                step => break matches!(step, Step::Differs),
            }
        };
        if differs && may_be_station(&head) {
            return self.go_live(transfer).await;
        }
        self.shared.set_end(at, false);
        Ok(())
    }

    fn request_live(&self) -> Request {
        let mut request = Request::new(self.settings.url.clone())
            .with_headers(&self.settings.headers)
            .with_tag("live")
            .with_retry(RetryPolicy::none());
        if self.settings.icy {
            request.headers.entry("icy-metadata").or_insert(HeaderValue::from_static("1"));
        }
        Counters::add(&self.shared.counters.requests, 1);
        self.shared.emit(&FileEvent::Request { offset: 0 });
        request
    }

    /// One connection's worth of an endless body.
    pub(super) async fn live(&mut self) -> Result<(), Trouble> {
        if self.shared.end().is_some() {
            // It ended after all.
            self.shared.engine.notified().await;
            return Ok(());
        }
        if let Some(transfer) = self.transfer.take() {
            let (body, received) = transfer.into_body();
            return self.listen(Live { body, filter: None, received }).await;
        }
        let live = self.reconnect().await?;
        self.listen(live).await
    }

    /// Connects again: a station goes on with what it plays now; a long file goes on where it broke off.
    async fn reconnect(&mut self) -> Result<Live<N::Body>, Trouble> {
        let mut request = Request::new(self.settings.url.clone())
            .with_headers(&self.settings.headers)
            .with_tag("live")
            .with_retry(RetryPolicy::none());
        let validator = self.shared.entity().validator();
        if let Some(validator) = validator.clone() {
            request = request.with_range(self.shared.ring.end()..).with_if_range(Some(validator));
        } else if self.settings.icy {
            request.headers.entry("icy-metadata").or_insert(HeaderValue::from_static("1"));
        }
        Counters::add(&self.shared.counters.requests, 1);
        self.shared.emit(&FileEvent::Request { offset: self.shared.ring.end() });
        // It was there a moment ago: no answer is taken for its last word.
        let response = self.net.clone().open(request).await;
        let response = response.map_err(|error| Trouble { permanent: false, ..Trouble::from(error) })?;
        if validator.is_some()
            && (response.head.status != StatusCode::PARTIAL_CONTENT
                || response.head.body_offset != self.shared.ring.end())
        {
            return Err(self.nonsense("a long body that cannot be continued"));
        }
        Ok(Live { filter: filter(&response.head), body: response.body, received: Vec::new() })
    }

    async fn listen(&mut self, mut live: Live<N::Body>) -> Result<(), Trouble> {
        self.writer = None;
        self.pace.interrupted();
        for data in std::mem::take(&mut live.received) {
            self.heard(&mut live.filter, data);
        }
        loop {
            if self.pace.trickles() {
                return Err(self.too_slow());
            }
            while !self.shared.ring.has_room() {
                self.shared.engine.notified().await;
                self.pace.interrupted();
            }
            match live.body.next_chunk().await? {
                Some(data) => self.heard(&mut live.filter, data),
                None if live.body.is_complete() => {
                    self.shared.set_end(self.shared.ring.end(), true);
                    return Ok(());
                }
                // A station that closes the connection is asked again; too often and too long in a row is an error.
                None => return Err(self.closed()),
            }
        }
    }

    fn heard(&mut self, filter: &mut Option<IcyFilter>, data: Bytes) {
        self.tries = 0;
        self.heard = Some(Instant::now());
        self.pace.received(data.len() as u64);
        Counters::add(&self.shared.counters.bytes, data.len() as u64);
        match filter {
            None => self.shared.ring.push(data),
            Some(filter) => filter.push(data, |piece| match piece {
                Piece::Audio(audio) => self.shared.ring.push(audio),
                Piece::Title(found) => {
                    self.shared.emit(&FileEvent::Title { title: found.title, url: found.url });
                }
            }),
        }
        self.shared.changed.notify_waiters();
    }

    fn closed(&self) -> Trouble {
        let error =
            crate::FileError::Server { url: self.shared.url.clone(), what: "the connection is closed" };
        Trouble { error, permanent: false, earned: false }
    }
}
