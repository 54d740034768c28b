//! Getting bytes: going on with a transfer, moving to another place, opening a request, taking what came.

use std::sync::Arc;

use kithara_net::{ByteRange, HeaderValue, Net, NetError, Request, Response, RetryPolicy};
use kithara_storage::{Atomic, Streaming};
use tokio::time::{Instant, sleep_until};

use crate::FileEvent;
use crate::plan::{Decision, TransferView};
use crate::stats::Counters;

use super::transfer::{Step, Transfer};
use super::{EARNED, Engine, Trouble};

impl<N: Net, R: Streaming, T: Atomic> Engine<N, R, T> {
    /// Gets bytes at `offset`: goes on with a transfer that is there, or opens one.
    pub(super) async fn fetch(&mut self, offset: u64) -> Result<(), Trouble> {
        if self.writer.is_none() {
            // The last holder of the claim may have done the work meanwhile: decide again.
            return self.claim().await;
        }
        let shared = Arc::clone(&self.shared);
        let patience = self.pace.patience();
        let may_skip = !self.sequential && !self.pace.is_stalled();
        let waited_for = self.waited_for();
        if !self.aim(offset) {
            return self.jump(offset).await;
        }
        let (Some(transfer), Some(writer)) = (&mut self.transfer, &self.writer) else { return Ok(()) };
        let is_new = shared.resource.available_at(transfer.offset()) == 0;
        // Waiting for bytes that lie further on pays only while bytes come.
        let is_skipping = may_skip && transfer.offset() < waited_for;
        let heading = shared.head_for(transfer.offset());
        let step = tokio::select! {
            biased;
            () = shared.engine.notified() => return Ok(()),
            step = transfer.step(writer) => step,
            () = sleep_until(patience), if is_skipping => {
                self.pace.stalled();
                return Ok(());
            }
        };
        drop(heading);
        self.stepped(step, is_new).await
    }

    /// Whether the current transfer will bring `offset` soon; makes the parked one current if that will.
    pub(super) fn aim(&mut self, offset: u64) -> bool {
        let reach = self.pace.reach();
        let sequential = self.sequential;
        let serves = |transfer: &Transfer<N::Body>| {
            offset.checked_sub(transfer.offset()).is_some_and(|distance| sequential || distance <= reach)
        };
        if !self.transfer.as_ref().is_some_and(serves) && self.parked.as_ref().is_some_and(serves) {
            std::mem::swap(&mut self.transfer, &mut self.parked);
            self.pace.interrupted();
        }
        self.transfer.as_ref().is_some_and(serves)
    }

    /// The furthest byte that somebody waits for.
    pub(super) fn waited_for(&self) -> u64 {
        let views = self.shared.views();
        views.iter().filter(|view| view.waits_since.is_some()).map(|view| view.position).max().unwrap_or(0)
    }

    /// Opens a transfer at `offset`, unless readers jump about so fast that it pays to see where they land.
    pub(super) async fn jump(&mut self, offset: u64) -> Result<(), Trouble> {
        if offset != self.resume_at
            && let Err(later) = self.jumps.allow(offset, Instant::now())
        {
            tokio::select! {
                biased;
                () = self.shared.engine.notified() => {}
                () = sleep_until(later) => {}
            }
            return Ok(());
        }
        self.open(offset).await
    }

    /// Sends a request for the bytes from `offset` on, unless something else is needed more before it is answered.
    pub(super) async fn open(&mut self, offset: u64) -> Result<(), Trouble> {
        self.park();
        let start = if self.sequential { 0 } else { offset };
        self.resume_at = start;
        let request = self.request(start);
        let asked = request.range.map(|range| range.start);
        Counters::add(&self.shared.counters.requests, 1);
        self.shared.emit(&FileEvent::Request { offset: start });
        let began = Instant::now();
        let Some(response) = self.answer(request, start).await else { return Ok(()) };
        let latency = began.elapsed();
        self.pace.opened(latency);
        match response {
            Ok(response) => self.accept(response, asked, latency).await,
            Err(error) => self.refused(error, start).await,
        }
    }

    /// Waits for the answer; `None` if the request was given up.
    pub(super) async fn answer(
        &mut self,
        request: Request,
        start: u64,
    ) -> Option<Result<Response<N::Body>, NetError>> {
        let net = self.net.clone();
        let shared = Arc::clone(&self.shared);
        let mut response = std::pin::pin!(net.open(request));
        let began = Instant::now();
        let mut give_up: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                response = &mut response => return Some(response),
                () = shared.engine.notified() => {}
                () = sleep_until(give_up.unwrap_or(began)), if give_up.is_some() => {}
            }
            let Some(offset) = self.needed_elsewhere(start) else {
                give_up = None;
                continue;
            };
            match self.jumps.allow(offset, Instant::now()) {
                Ok(()) => {
                    self.resume_at = offset;
                    return None;
                }
                Err(later) => give_up = Some(later),
            }
        }
    }

    /// What is needed more than an answer to the request for `start`.
    pub(super) fn needed_elsewhere(&self, start: u64) -> Option<u64> {
        let opening = TransferView { offset: start, delivered: 0 };
        match self.decide(Some(opening)) {
            Decision::Fetch(offset) if offset != start => Some(offset),
            _ => None,
        }
    }

    /// Leaves the current transfer where it is, if it may be wanted again.
    pub(super) fn park(&mut self) {
        self.pace.interrupted();
        if let Some(transfer) = self.transfer.take()
            && self.shared.resource.available_at(transfer.offset()) == 0
            && self.shared.end().is_none_or(|end| transfer.offset() < end)
        {
            self.parked = Some(transfer);
        }
    }

    pub(super) fn request(&self, start: u64) -> Request {
        let mut request = Request::new(self.settings.url.clone())
            .with_headers(&self.settings.headers)
            .with_tag("file")
            .with_retry(RetryPolicy::none());
        let entity = self.shared.entity();
        let end = self.hole_end(start).filter(|_| !self.sequential);
        if start > 0 || end.is_some() {
            let range = ByteRange { start: start - self.overlap(start), end };
            request = request.with_range(range).with_if_range(entity.guard().if_range());
        } else if self.settings.icy && !self.checked {
            request.headers.entry("icy-metadata").or_insert(HeaderValue::from_static("1"));
        }
        request
    }

    /// Stored bytes before `start` that are asked for again and compared, because no validator names the version. None
    /// where fewer than that are left of the file.
    fn overlap(&self, start: u64) -> u64 {
        const OVERLAP: u64 = 1024;
        let entity = self.shared.entity();
        let is_near_end = entity.total().is_some_and(|total| total.saturating_sub(start) < OVERLAP);
        if !self.checked || entity.can_be_continued() || is_near_end || start < OVERLAP {
            return 0;
        }
        let is_stored = self.shared.resource.available_at(start - OVERLAP) >= OVERLAP;
        if is_stored { OVERLAP } else { 0 }
    }

    /// Where the hole that begins at `start` ends, if what follows is worth a request of its own later; `None`: ask for
    /// everything.
    pub(super) fn hole_end(&self, start: u64) -> Option<u64> {
        const WORTH: u64 = 256 * 1024;
        let end = self.shared.end();
        let stored = self.shared.resource.available();
        let next = stored.iter().find(|range| {
            range.start > start
                && (range.end - range.start >= WORTH || end.is_some_and(|end| range.end >= end))
        });
        next.map(|range| range.start)
    }

    /// `is_new`: what was written was not stored before.
    pub(super) async fn stepped(&mut self, step: Step, is_new: bool) -> Result<(), Trouble> {
        match step {
            Step::Wrote(len) => {
                if is_new {
                    self.tries = 0;
                }
                self.pace.received(len);
                Counters::add(&self.shared.counters.bytes, len);
                self.report();
                self.guard_unknown_len();
                if self.pace.trickles() {
                    self.leave();
                    return Err(self.too_slow());
                }
                Ok(())
            }
            Step::Differs => {
                self.pace.interrupted();
                match self.transfer.take() {
                    Some(transfer) if self.may_be_station => self.go_live(transfer).await,
                    _ => {
                        self.replaced().await?;
                        Err(self.passing("other bytes than before"))
                    }
                }
            }
            Step::End { at, proven, delivered, is_last } => {
                self.leave();
                self.pace.interrupted();
                match self.shared.end() {
                    None if is_last && !proven && self.may_be_station => return self.rejoin(at).await,
                    None if is_last => self.shared.set_end(at, proven),
                    Some(end) if is_last && at < end => {
                        return Err(self.passing("a body that ends before the file"));
                    }
                    _ if delivered == 0 => return Err(self.passing("an empty part")),
                    _ => {}
                }
                Ok(())
            }
            Step::Failed { error, delivered } => {
                self.leave();
                self.pace.interrupted();
                Err(Trouble { earned: delivered >= EARNED, ..Trouble::from(error) })
            }
        }
    }

    /// Bytes come more slowly than any audio is played. Once this has happened more often than the policy retries, the
    /// download fails for good: bytes do come, so that no later wait would meet another end.
    pub(super) fn too_slow(&mut self) -> Trouble {
        self.slow += 1;
        let permanent = self.slow > self.settings.retry.max_retries;
        self.heard = self.heard.filter(|_| !permanent);
        Trouble {
            earned: false,
            permanent,
            ..self.passing("bytes that come more slowly than they are played")
        }
    }

    /// A body of unknown length that outgrows its bound is kept only as it is played from here on.
    pub(super) fn guard_unknown_len(&mut self) {
        if let Some(transfer) = &self.transfer
            && self.shared.end().is_none()
            && transfer.offset() >= self.settings.max_unknown_len
        {
            tracing::debug!(offset = transfer.offset(), "a body without a length is no longer stored");
            self.shared.set_live(transfer.offset());
        }
    }

    /// The current transfer has ended.
    pub(super) fn leave(&mut self) {
        if let Some(transfer) = self.transfer.take() {
            self.resume_at = transfer.offset();
        }
    }
}
