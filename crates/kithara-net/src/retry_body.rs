//! The body that continues at its offset: [`RetryBody`].

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, header};
use tokio::time::{Instant, sleep_until};

use crate::entity::EntityGuard;
use crate::error::NetError;
use crate::head::ResponseHead;
use crate::net::{Body, Net, Response};
use crate::overlap::{Delivered, Overlap};
use crate::policy::{Jitter, RetryPolicy};
use crate::redact::redacted;
use crate::request::{ByteRange, Request};
use crate::validator::EntityMatch;

type Opening<B> = Pin<Box<dyn Future<Output = Result<Response<B>, NetError>> + Send>>;

/// The body of [`RetryNet`](crate::RetryNet): it continues at its offset when it breaks off, stalls (under a
/// [`TimeoutNet`](crate::TimeoutNet)) or ends too early.
///
/// **Delivery.** A range with an end is delivered exactly, also when the server answers with more (status 200) or in
/// pieces. A range without an end that the server answers with 200 is delivered from offset 0: `head.body_offset` tells.
/// A request for the exact end of the entity (416 with `bytes */N`) has an empty, complete body, and `head.total_len`
/// is `N`.
///
/// **Continuation.** `Range` from its offset with `If-Range` (strong `ETag`, else `Last-Modified`), whatever
/// `Accept-Ranges` says. Two versions of the entity are never spliced: a response with another validator or another
/// total length is [`NetError::EntityChanged`]. A 200 answer is skipped up to the offset when its validator is the
/// same. Without a strong validator the bytes themselves must prove it: the last KiB delivered is asked for again and
/// compared, or, of a 200 answer, the fingerprint of all that was delivered.
///
/// **Budget.** The policy's budget starts anew whenever new bytes arrive; each continuation waits its jittered pause.
/// Errors that are not retryable end the body at once. Bodies of radio stations (`icy-*` headers) are never continued:
/// their offsets name no bytes.
///
/// **Ends.** `None` with [`is_complete`](Body::is_complete): the whole of the range, or all of the entity, was
/// delivered. `None` without it: only the close of the connection delimits the body; play it, do not commit it. An
/// error is final: further calls repeat it.
///
/// Cancel-safe: [`next_chunk`](Body::next_chunk) may be dropped at any time, a reconnection under way included, and
/// goes on where it was. Dropping the body cancels the transfer.
pub struct RetryBody<N: Net> {
    inner: Inner<N>,
}

enum Inner<N: Net> {
    /// The response as it came: nothing is retried.
    Passed(N::Body),
    /// Boxed: it is about 800 bytes, and every holder of a passed body would have room for it.
    Resuming(Box<Resuming<N>>),
}

struct Resuming<N: Net> {
    net: N,
    request: Request,
    policy: RetryPolicy,
    jitter: Jitter,
    connection: Connection<N::Body>,
    delivered: Delivered,
    overlap: Overlap,
    /// Offset of the next byte to deliver.
    offset: u64,
    /// Offset behind the last byte to deliver, as far as it is known.
    end: Option<u64>,
    /// New bytes of the present response.
    progress: u64,
    retries: u32,
    resumptions: u64,
    /// The next continuation asks again for bytes that were delivered, to compare them.
    asks_again: bool,
    is_radio: bool,
    /// `Ok(is_complete)` at the end.
    outcome: Option<Result<bool, NetError>>,
}

impl<N: Net> fmt::Debug for RetryBody<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RetryBody");
        if let Inner::Resuming(body) = &self.inner {
            out.field("request", &body.request)
                .field("offset", &body.offset)
                .field("end", &body.end)
                .field("resumptions", &body.resumptions);
        }
        out.finish_non_exhaustive()
    }
}

enum Connection<B> {
    Open(Part<B>),
    Pause(Instant),
    Opening(Opening<B>),
    Closed,
}

/// The response that is being read.
struct Part<B> {
    body: B,
    /// Offset behind its last byte, if declared.
    end: Option<u64>,
    /// Its end says nothing about the end of the entity: a part, the total unknown.
    is_inconclusive: bool,
}

impl<B> Part<B> {
    fn new(head: &ResponseHead, body: B) -> Self {
        let is_part = head.status == StatusCode::PARTIAL_CONTENT;
        Self { body, end: head.body_end(), is_inconclusive: is_part && head.total_len.is_none() }
    }
}

impl<N: Net> RetryBody<N> {
    /// The body as it came.
    pub(crate) fn passed(body: N::Body) -> Self {
        Self { inner: Inner::Passed(body) }
    }

    pub(crate) async fn open(
        net: N,
        mut request: Request,
        policy: RetryPolicy,
        jitter: Jitter,
    ) -> Result<Response<Self>, NetError> {
        let Response { mut head, body } = match retrying(&net, &request, &policy, &jitter).await {
            Ok(Response { head, body }) => Response { head, body: Some(body) },
            Err(error) => Response { head: empty_head(&request, error)?, body: None },
        };
        let part = body.map(|body| Part::new(&head, body));
        let (arrives_at, arrives_until) = (head.body_offset, head.body_end());
        place(&mut head, &mut request)?;
        let start = head.body_offset;
        let body = Resuming {
            net,
            policy,
            jitter,
            delivered: Delivered::of(&head, start),
            overlap: Overlap::unasked(arrives_at, start),
            offset: start,
            end: if head.has_entity() { planned_end(&request, head.total_len) } else { Some(start) },
            request,
            progress: 0,
            retries: 0,
            resumptions: 0,
            asks_again: true,
            is_radio: head.headers.keys().any(|name| name.as_str().starts_with("icy-")),
            outcome: part.is_none().then_some(Ok(true)),
            connection: part.map_or(Connection::Closed, Connection::Open),
        };
        // Without a total, the end of the range is a wish unless the response reaches it.
        let is_certain = head.total_len.is_some() || body.end <= arrives_until;
        head.body_len = body.end.filter(|_| is_certain).map(|end| end.saturating_sub(start));
        Ok(Response { head, body: Self { inner: Inner::Resuming(Box::new(body)) } })
    }

    /// Offset in the entity of the next byte; `None` for a response that is passed on as it came.
    pub fn offset(&self) -> Option<u64> {
        match &self.inner {
            Inner::Passed(_) => None,
            Inner::Resuming(body) => Some(body.offset),
        }
    }

    /// Length of the entity, as far as it is known by now: a later response, or the end, may tell it.
    pub fn total_len(&self) -> Option<u64> {
        match &self.inner {
            Inner::Passed(_) => None,
            Inner::Resuming(body) => body.delivered.total(),
        }
    }

    /// How often the body asked to be continued.
    pub fn resumptions(&self) -> u64 {
        match &self.inner {
            Inner::Passed(_) => 0,
            Inner::Resuming(body) => body.resumptions,
        }
    }
}

/// Sends the request by the policy.
async fn retrying<N: Net>(
    net: &N,
    request: &Request,
    policy: &RetryPolicy,
    jitter: &Jitter,
) -> Result<Response<N::Body>, NetError> {
    let mut retry = 0;
    loop {
        let error = match net.open(request.clone()).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let Some(pause) = policy.pause(retry, &error, jitter) else { return Err(error) };
        tracing::debug!(%error, retry, ?pause, "request failed, trying again");
        tokio::time::sleep(pause).await;
        retry += 1;
    }
}

impl<N: Net> Resuming<N> {
    fn finish(&mut self, proven: bool) {
        self.connection = Connection::Closed;
        self.outcome = Some(Ok(proven));
    }

    fn fail(&mut self, error: NetError) {
        self.connection = Connection::Closed;
        self.outcome = Some(Err(error));
    }

    fn changed(&mut self, what: &'static str) {
        let error = NetError::changed(&self.request.url, self.offset, what);
        self.fail(error);
    }

    /// New bytes of `data`, once those that were delivered before are checked and gone.
    fn accept(&mut self, mut data: Bytes) -> Option<Bytes> {
        if !self.overlap.is_done() {
            self.overlap.take(&mut data);
            if self.delivered.denies(&self.overlap)
                || (self.overlap.is_done() && !self.delivered.confirms(&self.overlap))
            {
                self.changed("its bytes");
                return None;
            }
        }
        if let Some(end) = self.end {
            let left = end.saturating_sub(self.offset);
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if data.is_empty() {
            return None;
        }
        self.delivered.push(&data);
        self.offset = self.offset.saturating_add(data.len() as u64);
        self.progress = self.progress.saturating_add(data.len() as u64);
        self.retries = 0;
        self.asks_again = true;
        Some(data)
    }

    /// The present response ended cleanly before the end of what is wanted.
    fn part_ended(&mut self, proven: bool, is_inconclusive: bool) {
        if self.delivered.total().is_none() && !is_inconclusive {
            // The end of the response is the end of the entity.
            return match (self.overlap.is_done(), proven) {
                (true, proven) => {
                    self.delivered.set_total(proven.then_some(self.offset));
                    self.finish(proven);
                }
                (false, true) => self.changed("it is shorter"),
                (false, false) => self.interrupted(),
            };
        }
        if self.progress > 0 {
            // A server that answers in pieces.
            return self.reopen();
        }
        if self.overlap.is_done() && std::mem::take(&mut self.asks_again) && self.delivered.overlap() > 0 {
            // What was delivered is confirmed, and nothing lies behind it: ask for exactly that.
            return self.reopen();
        }
        self.interrupted();
    }

    fn interrupted(&mut self) {
        let error = NetError::Interrupted {
            url: redacted(&self.request.url),
            received: self.offset,
            expected: self.end,
            source: None,
        };
        self.broke(error);
    }

    /// The present response, or the attempt to get one, failed.
    fn broke(&mut self, error: NetError) {
        self.asks_again = true;
        match self.policy.pause(self.retries, &error, &self.jitter) {
            Some(pause) if !self.is_radio => {
                tracing::debug!(%error, offset = self.offset, retry = self.retries, ?pause, "body broke off");
                self.retries += 1;
                self.connection = Connection::Pause(later(pause));
            }
            _ => self.fail(error),
        }
    }

    fn reopen(&mut self) {
        let start = self.offset - if self.asks_again { self.delivered.overlap() } else { 0 };
        let range = ByteRange { start, end: self.request.range.and_then(|range| range.end) };
        let mut request = self.request.clone().with_range(range).with_if_range(self.delivered.validator());
        request.accepts_gzip = self.delivered.is_gzip;
        request.headers.remove(header::IF_NONE_MATCH);
        request.headers.remove(header::IF_MODIFIED_SINCE);
        let net = self.net.clone();
        self.resumptions += 1;
        self.progress = 0;
        // Boxed, so that a dropped `next_chunk` does not drop the reconnection.
        self.connection = Connection::Opening(Box::pin(async move { net.open(request).await }));
    }

    fn opened(&mut self, result: Result<Response<N::Body>, NetError>) {
        match result {
            Ok(Response { head, .. }) if !head.has_entity() => {
                self.fail(NetError::wrong_range(&head.url, self.offset, "an answer without a body"));
            }
            Ok(Response { head, body }) => match self.delivered.join(&head, self.offset) {
                Ok(overlap) => {
                    self.overlap = overlap;
                    self.end = planned_end(&self.request, self.delivered.total());
                    self.connection = Connection::Open(Part::new(&head, body));
                }
                Err(error) => self.fail(error),
            },
            Err(NetError::RangeNotSatisfiable { total: Some(total), .. })
                if self.delivered.total().is_some_and(|known| known != total) || total < self.offset =>
            {
                self.changed("its length");
            }
            Err(NetError::RangeNotSatisfiable { total: Some(total), .. }) if total == self.offset => {
                self.delivered.set_total(Some(total));
                self.finish(true);
            }
            // It said before that there are such bytes.
            Err(NetError::RangeNotSatisfiable { total: None, .. })
                if self.delivered.total().is_some_and(|known| self.offset < known) =>
            {
                self.interrupted();
            }
            Err(error) => self.broke(error),
        }
    }

    /// All that is wanted is delivered: lets the response see its end, if it is there, so that its connection is kept.
    async fn complete(&mut self) {
        if let Connection::Open(part) = &mut self.connection
            && part.end == Some(self.offset)
        {
            let mut last = pin!(part.body.next_chunk());
            poll_fn(|cx| Poll::Ready(last.as_mut().poll(cx).is_ready())).await;
        }
        self.finish(true);
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        loop {
            match &self.outcome {
                Some(Ok(_)) => return Ok(None),
                Some(Err(error)) => return Err(error.clone()),
                None => {}
            }
            if self.overlap.is_done() && self.end.is_some_and(|end| self.offset >= end) {
                self.complete().await;
                continue;
            }
            match &mut self.connection {
                Connection::Open(part) => match part.body.next_chunk().await {
                    Ok(Some(data)) => {
                        if let Some(data) = self.accept(data) {
                            return Ok(Some(data));
                        }
                    }
                    Ok(None) => {
                        let (proven, is_inconclusive) = (part.body.is_complete(), part.is_inconclusive);
                        self.part_ended(proven, is_inconclusive);
                    }
                    Err(error) => self.broke(error),
                },
                Connection::Pause(until) => {
                    sleep_until(*until).await;
                    self.reopen();
                }
                Connection::Opening(opening) => {
                    let result = opening.await;
                    self.opened(result);
                }
                Connection::Closed => self.finish(false),
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<N: Net> Body for RetryBody<N> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        match &mut self.inner {
            Inner::Passed(body) => body.next_chunk().await,
            Inner::Resuming(body) => body.next_chunk().await,
        }
    }

    fn is_complete(&self) -> bool {
        match &self.inner {
            Inner::Passed(body) => body.is_complete(),
            Inner::Resuming(body) => matches!(body.outcome, Some(Ok(true))),
        }
    }
}

/// The head of an empty body, when the request was for the exact end of the entity.
fn empty_head(request: &Request, error: NetError) -> Result<ResponseHead, NetError> {
    match error {
        NetError::RangeNotSatisfiable { start, total: Some(total), .. } if start == total => {
            Ok(ResponseHead::at_end(request, total))
        }
        error => Err(error),
    }
}

/// Moves the head to the first byte that is delivered.
fn place(head: &mut ResponseHead, request: &mut Request) -> Result<(), NetError> {
    let Some(range) = request.range else { return Ok(()) };
    let is_part = head.status == StatusCode::PARTIAL_CONTENT;
    if is_part
        && request
            .if_range
            .as_ref()
            .is_some_and(|v| EntityGuard::from(v).compare(head) == EntityMatch::Changed)
    {
        return Err(NetError::changed(&head.url, range.start, "its validator"));
    }
    if head.body_offset >= range.start || !head.has_entity() {
        return Ok(());
    }
    if !is_part && range.end.is_none() {
        // From 0, as the head says.
        request.range = None;
        return Ok(());
    }
    if let Some(total) = head.total_len.filter(|&total| total <= range.start) {
        return Err(NetError::RangeNotSatisfiable {
            url: redacted(&head.url),
            start: range.start,
            total: Some(total),
        });
    }
    head.body_offset = range.start;
    Ok(())
}

/// Offset behind the last byte to deliver, as far as it is known.
fn planned_end(request: &Request, total: Option<u64>) -> Option<u64> {
    let wanted = request.range.and_then(|range| range.end);
    match (wanted, total) {
        (Some(wanted), Some(total)) => Some(wanted.min(total)),
        (wanted, total) => wanted.or(total),
    }
}

fn later(pause: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(pause).unwrap_or(now)
}
