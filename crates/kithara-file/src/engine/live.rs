//! Endless bodies: what comes is kept until it is played, and no longer.

use bytes::Bytes;
use kithara_net::{Body, HeaderValue, Net, Request, ResponseHead, RetryPolicy, StatusCode};
use kithara_storage::{Atomic, Streaming};
use kithara_stream::StoredEntity;
use tokio::time::Instant;

use crate::FileEvent;
use crate::icy::{IcyFilter, Piece};
use crate::stats::Counters;

use super::transfer::Transfer;
use super::{Engine, Trouble};

/// What a station says of itself; `None` if the response is no station's.
pub(super) fn station(head: &ResponseHead) -> Option<FileEvent> {
    let text = |name: &str| {
        let value = head.headers.get(name)?;
        let text = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let is_station =
        ["icy-metaint", "icy-name", "icy-br"].iter().any(|name| head.headers.contains_key(*name));
    is_station.then(|| FileEvent::Station {
        name: text("icy-name"),
        genre: text("icy-genre"),
        bitrate: text("icy-br").and_then(|rate| rate.split(',').next()?.trim().parse().ok()),
    })
}

fn filter(head: &ResponseHead) -> Option<IcyFilter> {
    let interval = head.headers.get("icy-metaint")?.to_str().ok()?.trim().parse().ok()?;
    IcyFilter::new(interval)
}

/// An endless body, and the metadata that is mixed into it.
pub(super) struct Live<B> {
    body: B,
    filter: Option<IcyFilter>,
}

impl<N: Net, R: Streaming, T: Atomic> Engine<N, R, T> {
    /// The first response is a station's.
    pub(super) async fn begin_live(&mut self, head: ResponseHead, body: N::Body) -> Result<(), Trouble> {
        let mut entity = StoredEntity::of(&head);
        entity.set_total(None);
        self.shared.set_entity(entity);
        self.shared.set_live(0);
        if let Some(event) = station(&head) {
            self.shared.emit(&event);
        }
        self.checked = true;
        self.shared.set_ready();
        self.listen(Live { body, filter: filter(&head) }).await
    }

    /// One connection's worth of an endless body.
    pub(super) async fn live(&mut self) -> Result<(), Trouble> {
        if self.shared.end().is_some() {
            // It ended after all.
            self.shared.engine.notified().await;
            return Ok(());
        }
        if let Some(transfer) = self.transfer.take() {
            return self.listen(Live { body: Transfer::into_body(transfer), filter: None }).await;
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
        Ok(Live { filter: filter(&response.head), body: response.body })
    }

    async fn listen(&mut self, mut live: Live<N::Body>) -> Result<(), Trouble> {
        self.writer = None;
        loop {
            while !self.shared.ring.has_room() {
                self.shared.engine.notified().await;
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
