//! The player's task: reconciles what the session wants with what is open, and keeps the output's ring filled.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kithara_decode::{AudioSpec, PcmChunk};
use rtrb::Producer;
use tokio::time::Instant;

use crate::events::PlayerEvent;
use crate::mixer::{Deck, Mixer, Need, Run};
use crate::player::Shared;
use crate::queue::TrackId;
use crate::renderer::Link;
use crate::session::{Attached, Mark, Wish};
use crate::source::{BoxFuture, TrackError, TrackSource};
use crate::stretch::Stretcher;

/// How long before its end the current track's successor is opened.
const PRELOAD: Duration = Duration::from_secs(20);
/// Converted PCM of the next track that waits for the join, beside the crossfade.
const NEXT_READY: Duration = Duration::from_millis(100);
/// Sound in the ring before the output begins, or goes on after a stall.
const PREBUFFER: Duration = Duration::from_millis(100);

/// A track that is open or being opened. Its PCM waits in a deck of the mixer.
struct Slot {
    id: TrackId,
    serial: u64,
    opening: Option<BoxFuture<'static, Result<Box<dyn TrackSource>, TrackError>>>,
    source: Option<Box<dyn TrackSource>>,
    seek: Option<Duration>,
}

/// What a slot has done.
enum Step {
    Opened(Result<Box<dyn TrackSource>, TrackError>),
    Sought(Result<u64, TrackError>),
    Chunk(Result<Option<PcmChunk>, TrackError>),
}

impl Slot {
    /// The next thing that this track needs. Cancel-safe: a seek that was dropped is done again.
    async fn step(slot: &mut Option<Self>) -> Step {
        let Some(slot) = slot else { return std::future::pending().await };
        if let Some(opening) = &mut slot.opening {
            return Step::Opened(opening.await);
        }
        match (&mut slot.source, slot.seek) {
            (Some(source), Some(to)) => Step::Sought(source.seek(to).await),
            (Some(source), None) => Step::Chunk(source.next_chunk().await),
            (None, _) => std::future::pending().await,
        }
    }
}

/// The output, and what leads there.
struct Output {
    producer: Producer<f32>,
    link: Arc<Link>,
    spec: AudioSpec,
    capacity: u64,
    mixer: Mixer,
    stretcher: Stretcher,
    /// Rendered samples that wait for room in the ring.
    pending: Vec<f32>,
    /// Frames written to the ring.
    written: u64,
    mixed: Vec<f32>,
    runs: Vec<Run>,
}

impl Output {
    fn new(attached: Attached, crossfade: Duration) -> Self {
        let Attached { producer, link, spec, capacity } = attached;
        Self {
            producer,
            link,
            spec,
            capacity,
            mixer: Mixer::new(spec, crossfade),
            stretcher: Stretcher::new(spec.sample_rate, spec.channels),
            pending: Vec::new(),
            written: 0,
            mixed: Vec::new(),
            runs: Vec::new(),
        }
    }

    fn channels(&self) -> usize {
        usize::from(self.spec.channels.max(1))
    }

    /// Frames that are rendered and not heard.
    fn ahead(&self) -> u64 {
        self.written.saturating_sub(self.link.consumed.load(Ordering::Acquire))
    }

    /// Moves what waits into the ring, as far as there is room.
    fn write(&mut self) {
        let channels = self.channels();
        let count = self.producer.slots().min(self.pending.len()) / channels * channels;
        if count > 0
            && let Ok(chunk) = self.producer.write_chunk_uninit(count)
        {
            chunk.fill_from_iter(self.pending.drain(..count));
            self.written += (count / channels) as u64;
            self.link.filled.notify_waiters();
        }
    }

    /// Drops everything that is not heard yet.
    fn flush(&mut self) {
        self.pending.clear();
        self.stretcher.reset();
        self.link.flush_to.store(self.written, Ordering::Release);
        self.link.end.store(u64::MAX, Ordering::Release);
        self.link.starved.store(true, Ordering::Release);
    }
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    output: Option<Output>,
    current: Option<Slot>,
    next: Option<Slot>,
    serial: u64,
    /// Tracks in a row that gave no frame.
    barren: usize,
    starved: bool,
    stalled: Option<Instant>,
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            output: None,
            current: None,
            next: None,
            serial: 0,
            barren: 0,
            starved: true,
            stalled: None,
        }
    }

    /// Runs until the player is dropped, which aborts it.
    pub(crate) async fn run(mut self) {
        loop {
            self.attach();
            self.obey();
            let need = self.render();
            self.report();
            self.prepare_next(need);
            self.shared.publish(self.stalled.is_some());
            self.wait(need).await;
        }
    }

    /// Takes over a new output, or lets go of one that is gone.
    fn attach(&mut self) {
        let attached = self.shared.session.lock().attached.take();
        let is_lost = self.output.as_ref().is_some_and(|output| output.link.closed.load(Ordering::Acquire));
        if is_lost && attached.is_none() {
            let mut session = self.shared.session.lock();
            let (heard, position) = (session.heard(), session.position());
            // Without an output nothing is heard: the next one goes on here.
            if session.wish.is_none()
                && !session.ended
                && let Some(heard) = heard
            {
                session.wish = Some(Wish::Start(heard, position));
            }
            session.link = None;
            drop(session);
            (self.output, self.current, self.next) = (None, None, None);
            self.shared.emit(PlayerEvent::OutputLost);
        }
        if let Some(attached) = attached {
            let crossfade = self.shared.session.lock().crossfade;
            self.output = Some(Output::new(attached, crossfade));
            (self.current, self.next) = (None, None);
            (self.starved, self.stalled) = (true, None);
        }
    }

    fn obey(&mut self) {
        let Some(output) = &mut self.output else { return };
        let mut session = self.shared.session.lock();
        output.mixer.set_crossfade(session.crossfade);
        output.stretcher.set_speed(session.speed);
        for deck in [&mut output.mixer.current, &mut output.mixer.next].into_iter().flatten() {
            if let Some(track) = session.queue.track(deck.id) {
                deck.set_gain(session.loudness.factor(track.gain()));
            }
        }
        let Some(wish) = session.wish.take() else { return };
        output.flush();
        session.ended = false;
        (self.starved, self.stalled) = (true, None);
        let mark = |id, position| Mark { at: output.written, id, position, speed: 1.0, begins: false };
        match wish {
            Wish::Stop => {
                output.mixer.stop();
                session.replace_marks(None);
                session.duration = None;
                (self.current, self.next) = (None, None);
                if let Some(id) = session.started.take() {
                    self.shared.emit(PlayerEvent::TrackEnded { id });
                }
            }
            Wish::Seek(to) => {
                let Some(slot) = &mut self.current else { return };
                slot.seek = Some(to);
                output.mixer.next = None;
                self.next = None;
                match &mut output.mixer.current {
                    Some(deck) => deck.restart(),
                    None => return,
                }
                session.replace_marks(Some(mark(slot.id, output.spec.frame_at(to))));
            }
            Wish::Start(id, from) => {
                let Some(track) = session.queue.track(id).cloned() else { return };
                session.queue.set_current(id);
                session.duration = None;
                session.replace_marks(Some(mark(id, output.spec.frame_at(from))));
                let gain = session.loudness.factor(track.gain());
                drop(session);
                self.serial += 1;
                output.mixer.start(Deck::new(id, self.serial, output.spec, gain));
                let seek = Some(from).filter(|from| !from.is_zero());
                let opening = Some(track.open(output.spec));
                self.current = Some(Slot { id, serial: self.serial, opening, source: None, seek });
                self.next = None;
                self.barren = 0;
            }
        }
    }

    /// Renders until the ring is full or a track's next chunk is needed.
    fn render(&mut self) -> Need {
        loop {
            let Some(output) = &mut self.output else { return Need::Full };
            output.write();
            if !output.pending.is_empty() {
                return Need::Full;
            }
            let room = output.producer.slots() / output.channels();
            if room == 0 {
                return Need::Full;
            }
            output.mixed.clear();
            output.runs.clear();
            let need = output.mixer.render(room, &mut output.mixed, &mut output.runs);
            self.barren = if output.runs.is_empty() { self.barren } else { 0 };
            Self::stretch(output, &self.shared);
            self.follow_mixer();
            if need != Need::Full {
                if let Some(output) = &mut self.output {
                    output.write();
                }
                return need;
            }
        }
    }

    /// Sends what was mixed through the speed change, and notes which frame of the output is which of a track.
    fn stretch(output: &mut Output, shared: &Shared) {
        let channels = output.channels();
        let mut session = shared.session.lock();
        let speed = f64::from(session.speed);
        let mut from = 0;
        for run in output.runs.drain(..) {
            let to = from + run.frames * channels;
            let at = output.written + (output.pending.len() / channels) as u64;
            let position = run.position.saturating_sub(output.stretcher.held() as u64);
            session.push_mark(Mark { at, id: run.id, position, speed, begins: run.begins });
            if speed == 1.0 && output.stretcher.is_bypass() {
                output.pending.extend_from_slice(&output.mixed[from..to]);
            } else {
                output.stretcher.process(&output.mixed[from..to], &mut output.pending);
            }
            from = to;
        }
    }

    /// The slot of a track goes where its deck went, also if the deck was used up at once.
    fn follow_mixer(&mut self) {
        let Some(output) = &self.output else { return };
        if self.next.as_ref().is_some_and(|slot| Some(slot.serial) == output.mixer.serial) {
            self.current = self.next.take();
        }
        if let Some(slot) = &self.current {
            self.shared.session.lock().queue.set_current(slot.id);
        }
    }

    /// Tells which track is heard, whether the output starves, and that the queue has ended.
    fn report(&mut self) {
        let Some(output) = &self.output else { return };
        let mut session = self.shared.session.lock();
        let mut events = Vec::new();
        while let Some(mark) = session.pass_mark() {
            if mark.begins {
                events.extend(session.started.replace(mark.id).map(|id| PlayerEvent::TrackEnded { id }));
                events.push(PlayerEvent::TrackStarted { id: mark.id });
                session.duration = None;
            }
        }
        if let Some(slot) = &self.current
            && session.heard() == Some(slot.id)
            && let Some(source) = &slot.source
        {
            session.duration = source.duration();
        }
        let consumed = output.link.consumed.load(Ordering::Acquire);
        if consumed >= output.link.end.load(Ordering::Acquire) && !session.ended {
            session.ended = true;
            events.extend(session.started.take().map(|id| PlayerEvent::TrackEnded { id }));
            events.push(PlayerEvent::QueueEnded);
        }
        drop(session);
        self.watch_stall(&mut events);
        for event in events {
            self.shared.emit(event);
        }
    }

    fn watch_stall(&mut self, events: &mut Vec<PlayerEvent>) {
        let Some(output) = &self.output else { return };
        let starves = output.link.starved.load(Ordering::Acquire);
        if starves && !self.starved {
            self.starved = true;
            self.stalled = Some(Instant::now());
            events.push(PlayerEvent::Stalled);
        }
        let enough = output.spec.frame_at(PREBUFFER).min(output.capacity / 2);
        let is_complete = output.link.end.load(Ordering::Acquire) != u64::MAX;
        if self.starved && (output.ahead() >= enough || is_complete) {
            self.starved = false;
            output.link.starved.store(false, Ordering::Release);
            output.link.filled.notify_waiters();
            let waited = self.stalled.take().map(|since| since.elapsed());
            events.extend(waited.map(|waited| PlayerEvent::Resumed { waited }));
        }
    }

    /// Opens the track that follows, in time for a join without a gap; ends the queue where none does.
    fn prepare_next(&mut self, need: Need) {
        let Some(output) = &mut self.output else { return };
        let session = self.shared.session.lock();
        if self.current.is_none() && self.next.is_none() && need != Need::Track {
            return;
        }
        let played_something = self.current.is_some() || self.next.is_some();
        let exhausted = self.barren > session.queue.entries().len();
        let wanted = session.queue.after_end().filter(|_| !exhausted && played_something);
        output.mixer.is_last = wanted.is_none();
        if !output.mixer.is_fading() && self.next.as_ref().is_some_and(|slot| Some(slot.id) != wanted) {
            self.next = None;
            output.mixer.next = None;
        }
        let is_near = need == Need::Track || output.mixer.current.as_ref().is_none_or(Deck::has_ended) || {
            let duration = self.current.as_ref().and_then(|slot| slot.source.as_ref()?.duration());
            let deck = output.mixer.current.as_ref();
            duration.zip(deck).is_some_and(|(duration, deck)| {
                output.spec.position_of(deck.position()) + PRELOAD + session.crossfade >= duration
            })
        };
        match wanted {
            Some(id) if self.next.is_none() && is_near && !output.mixer.is_fading() => {
                let Some(track) = session.queue.track(id).cloned() else { return };
                output.link.end.store(u64::MAX, Ordering::Release);
                let gain = session.loudness.factor(track.gain());
                drop(session);
                self.serial += 1;
                output.mixer.next = Some(Deck::new(id, self.serial, output.spec, gain));
                let opening = Some(track.open(output.spec));
                self.next = Some(Slot { id, serial: self.serial, opening, source: None, seek: None });
            }
            None if need == Need::Track && played_something => {
                self.current = None;
                if !output.stretcher.is_bypass() {
                    output.stretcher.drain(&mut output.pending);
                    output.write();
                }
                let channels = output.channels();
                let end = output.written + (output.pending.len() / channels) as u64;
                output.link.end.store(end, Ordering::Release);
                output.link.filled.notify_waiters();
            }
            _ => {}
        }
    }

    /// Waits for whichever comes first: a wish, room in the ring, or the next piece of a track.
    async fn wait(&mut self, need: Need) {
        let shared = Arc::clone(&self.shared);
        let link = self.output.as_ref().map(|output| Arc::clone(&output.link));
        if self.is_due() {
            return;
        }
        let wants_current = self.current.as_ref().is_some_and(|slot| slot.opening.is_some())
            || (need == Need::Current && self.current.is_some());
        let wants_next = self.wants_next();
        let woken = async {
            match &link {
                Some(link) => link.wake.notified().await,
                None => std::future::pending().await,
            }
        };
        let step = tokio::select! {
            biased;
            () = shared.wake.notified() => return,
            () = woken => return,
            step = Slot::step(&mut self.current), if wants_current => (true, step),
            step = Slot::step(&mut self.next), if wants_next => (false, step),
        };
        self.took(step.0, step.1);
    }

    /// Asks the output to wake this task; `true` if there is something to do right now.
    fn is_due(&self) -> bool {
        let Some(output) = &self.output else { return false };
        let session = self.shared.session.lock();
        let refill = output.written.saturating_sub(output.capacity / 2);
        let is_filling = self.current.is_some() || self.next.is_some() || !output.pending.is_empty();
        let consumed = output.link.consumed.load(Ordering::Acquire);
        let end = output.link.end.load(Ordering::Acquire);
        let wake_at = [
            Some(refill).filter(|_| is_filling && output.ahead() > output.capacity / 2),
            session.next_begin(),
            Some(end).filter(|_| !session.ended),
        ];
        let wake_at = wake_at.into_iter().flatten().min().unwrap_or(u64::MAX);
        output.link.wake_at.store(wake_at, Ordering::Release);
        // The output may have passed it before it was stored.
        wake_at != u64::MAX && wake_at > consumed && output.link.consumed.load(Ordering::Acquire) >= wake_at
    }

    fn wants_next(&self) -> bool {
        let (Some(slot), Some(output)) = (&self.next, &self.output) else { return false };
        let crossfade = self.shared.session.lock().crossfade;
        let enough = output.spec.frame_at(crossfade + NEXT_READY);
        slot.opening.is_some()
            || output
                .mixer
                .next
                .as_ref()
                .is_some_and(|deck| !deck.has_ended() && (deck.frames() as u64) < enough)
    }

    fn took(&mut self, is_current: bool, step: Step) {
        let Some(output) = &mut self.output else { return };
        let (slot, deck) = if is_current {
            (&mut self.current, &mut output.mixer.current)
        } else {
            (&mut self.next, &mut output.mixer.next)
        };
        let (Some(open), Some(deck)) = (slot.as_mut(), deck.as_mut()) else { return };
        let failure = match step {
            Step::Opened(opened) => {
                open.opening = None;
                opened.map(|source| open.source = Some(source)).err()
            }
            Step::Sought(sought) => {
                open.seek = None;
                sought.err()
            }
            Step::Chunk(Ok(Some(chunk))) => {
                deck.push(&chunk, output.spec).err().map(|error| Arc::new(error) as TrackError)
            }
            Step::Chunk(Ok(None)) => {
                self.barren += usize::from(deck.frames() == 0);
                deck.end().err().map(|error| Arc::new(error) as TrackError)
            }
            Step::Chunk(Err(error)) => Some(error),
        };
        let Some(error) = failure else { return };
        // What was decoded before the failure is still heard, then the next track begins.
        let id = open.id;
        open.source = None;
        let _ = deck.end();
        self.barren += 1;
        tracing::debug!(%id, %error, "a track failed");
        self.shared.emit(PlayerEvent::TrackFailed { id, error });
    }
}
