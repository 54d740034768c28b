//! [`Player`] and its handles.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kithara_decode::AudioSpec;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;

use crate::driver::Driver;
use crate::events::{PlayerEvent, PlayerState};
use crate::gain::LoudnessOptions;
use crate::queue::{Repeat, TrackId};
use crate::renderer::{Renderer, ring};
use crate::session::{Attached, Session, Wish};
use crate::source::Track;
use crate::stretch::SPEEDS;

/// Position after which [`PlayerHandle::previous`] goes to the beginning of the track instead of to the one before.
const RESTART_AFTER: Duration = Duration::from_secs(3);

/// How a player is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlayerOptions {
    /// Decoded sound between the player and the output. Default 500 ms: 190 KB at 48 kHz stereo.
    pub buffer: Duration,
    /// How long one track fades into the next. Default zero: tracks join to the frame, as albums need. At most 12 s.
    pub crossfade: Duration,
    /// Levelling of tracks by their loudness information.
    pub loudness: LoudnessOptions,
    /// Events that a slow receiver may be behind before it loses the oldest. Default 64.
    pub event_capacity: usize,
}

impl Default for PlayerOptions {
    fn default() -> Self {
        Self {
            buffer: Duration::from_millis(500),
            crossfade: Duration::ZERO,
            loudness: LoudnessOptions::default(),
            event_capacity: 64,
        }
    }
}

impl PlayerOptions {
    /// Sets [`buffer`](Self::buffer), between 20 ms and 10 s.
    #[must_use]
    pub fn with_buffer(mut self, buffer: Duration) -> Self {
        self.buffer = buffer;
        self
    }

    /// Sets [`crossfade`](Self::crossfade).
    #[must_use]
    pub fn with_crossfade(mut self, crossfade: Duration) -> Self {
        self.crossfade = crossfade;
        self
    }

    /// Sets [`loudness`](Self::loudness).
    #[must_use]
    pub fn with_loudness(mut self, loudness: LoudnessOptions) -> Self {
        self.loudness = loudness;
        self
    }
}

/// What the handles and the task share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) session: Mutex<Session>,
    pub(crate) wake: Notify,
    events: broadcast::Sender<PlayerEvent>,
    state: watch::Sender<PlayerState>,
}

impl Shared {
    pub(crate) fn emit(&self, event: PlayerEvent) {
        // Without a receiver nobody wants to know.
        let _ = self.events.send(event);
    }

    pub(crate) fn publish(&self, stalled: bool) {
        let state = {
            let session = self.session.lock();
            PlayerState {
                track: session.heard(),
                duration: session.duration,
                playing: session.playing,
                stalled,
                ended: session.ended,
                volume: session.volume,
                speed: session.speed,
                repeat: session.queue.repeat,
                shuffled: session.queue.is_shuffled(),
            }
        };
        self.state.send_if_modified(|old| {
            let is_new = *old != state;
            *old = state;
            is_new
        });
    }
}

/// Called outside of a tokio runtime, which the player's task needs.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "a player is made inside a tokio runtime: call it from an async function, or enter the runtime first"
)]
pub struct NoRuntime;

/// A queue of tracks and the task that plays it. Dropping it ends the task and the sound.
///
/// Its methods are those of [`PlayerHandle`], which is cheap to clone and may be used from any thread.
#[derive(Debug)]
pub struct Player {
    handle: PlayerHandle,
    buffer: Duration,
    task: JoinHandle<()>,
}

impl Player {
    /// A player without tracks and without an output.
    ///
    /// # Errors
    /// [`NoRuntime`] outside of a tokio runtime. It needs time enabled.
    pub fn new(options: PlayerOptions) -> Result<Self, NoRuntime> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| NoRuntime)?;
        let crossfade = options.crossfade.min(Duration::from_secs(12));
        let shared = Arc::new(Shared {
            session: Mutex::new(Session::new(crossfade, options.loudness)),
            wake: Notify::new(),
            events: broadcast::Sender::new(options.event_capacity.max(1)),
            state: watch::Sender::new(PlayerState::default()),
        });
        shared.publish(false);
        let task = runtime.spawn(Driver::new(Arc::clone(&shared)).run());
        let buffer = options.buffer.clamp(Duration::from_millis(20), Duration::from_secs(10));
        Ok(Self { handle: PlayerHandle { shared }, buffer, task })
    }

    /// A renderer for an output of this format, in place of the one before. Playback goes on where it was.
    pub fn attach(&self, spec: AudioSpec) -> Renderer {
        let spec = AudioSpec::new(spec.sample_rate.clamp(4_000, 768_000), spec.channels.clamp(1, 32));
        let capacity = spec.frame_at(self.buffer).max(256);
        let (producer, renderer) = ring(spec, usize::try_from(capacity).unwrap_or(usize::MAX));
        let link = Arc::clone(renderer.link());
        {
            let mut session = self.shared.session.lock();
            let (heard, position) = (session.heard(), session.position());
            if session.wish.is_none()
                && session.link.is_some()
                && !session.ended
                && let Some(heard) = heard
            {
                session.wish = Some(Wish::Start(heard, position));
            }
            link.set_volume(session.volume);
            link.playing.store(session.playing, Ordering::Release);
            session.link = Some(Arc::clone(&link));
            session.spec = spec;
            session.replace_marks(None);
            session.attached = Some(Attached { producer, link, spec, capacity });
        }
        self.shared.wake.notify_one();
        renderer
    }

    /// A handle: clone it, keep it anywhere. It outlives the player, without effect.
    #[must_use]
    pub fn handle(&self) -> PlayerHandle {
        self.handle.clone()
    }
}

impl Deref for Player {
    type Target = PlayerHandle;

    fn deref(&self) -> &PlayerHandle {
        &self.handle
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(link) = &self.shared.session.lock().link {
            link.end.store(0, Ordering::Release);
            link.filled.notify_waiters();
        }
    }
}

/// Controls a player from any thread. No method waits; each takes effect within the output's next few milliseconds.
#[derive(Clone, Debug)]
pub struct PlayerHandle {
    shared: Arc<Shared>,
}

impl PlayerHandle {
    /// Appends a track.
    pub fn push(&self, track: Track) -> TrackId {
        self.change(|session| session.queue.push(track))
    }

    /// Inserts a track at `index` of the list, at most at its end.
    pub fn insert(&self, index: usize, track: Track) -> TrackId {
        self.change(|session| session.queue.insert(index, track))
    }

    /// Inserts a track that plays right after the current one.
    pub fn insert_next(&self, track: Track) -> TrackId {
        self.change(|session| session.queue.insert_next(track))
    }

    /// Takes a track out of the queue; one that is heard plays on to its end. `false` if it is not there.
    pub fn remove(&self, id: TrackId) -> bool {
        self.change(|session| session.queue.remove(id))
    }

    /// Empties the queue and falls silent.
    pub fn clear(&self) {
        self.change(|session| {
            session.queue.clear();
            session.wish = Some(Wish::Stop);
        });
    }

    /// The queue, in the order of its list.
    #[must_use]
    pub fn queue(&self) -> Vec<(TrackId, Track)> {
        self.shared.session.lock().queue.entries().to_vec()
    }

    /// Plays: goes on after a pause, begins the queue, or plays on after its end what was added since (or, if that is
    /// no track, the queue again).
    pub fn play(&self) {
        self.change(|session| {
            session.playing = true;
            let idle = session.wish.is_none() && (session.heard().is_none() || session.ended);
            if idle {
                let first = session.queue.entries().first().map(|(id, _)| *id);
                let next = session.queue.skip_forward().or(first);
                session.wish = next.map(|id| Wish::Start(id, Duration::ZERO));
            }
        });
    }

    /// Falls silent within 5 ms and keeps the position.
    pub fn pause(&self) {
        self.change(|session| session.playing = false);
    }

    /// Plays this track from its beginning. `false` if it is not in the queue.
    pub fn play_track(&self, id: TrackId) -> bool {
        self.change(|session| {
            let is_there = session.queue.track(id).is_some();
            if is_there {
                session.playing = true;
                session.wish = Some(Wish::Start(id, Duration::ZERO));
            }
            is_there
        })
    }

    /// Skips to the next track. `false` if there is none.
    pub fn next(&self) -> bool {
        self.change(|session| {
            // The join may be rendered before it is heard.
            let rendered = session.queue.current().filter(|id| Some(*id) != session.heard());
            let next = rendered.or_else(|| session.queue.skip_forward());
            session.wish = next.map(|id| Wish::Start(id, Duration::ZERO)).or(session.wish.take());
            next.is_some()
        })
    }

    /// Goes to the beginning of the track, or within its first 3 s to the track before.
    pub fn previous(&self) {
        self.change(|session| {
            let heard = session.heard();
            let before = session.queue.skip_back().filter(|_| session.position() < RESTART_AFTER);
            if let Some(id) = before.or(heard) {
                session.wish = Some(Wish::Start(id, Duration::ZERO));
            }
        });
    }

    /// Goes on at `to` of the track that is heard, at most at its end. Of several seeks in a row the last one counts; a
    /// seek while the network stalls replaces what is waited for.
    pub fn seek(&self, to: Duration) {
        self.change(|session| {
            let to = session.duration.map_or(to, |duration| to.min(duration));
            let rendered = session.queue.current();
            session.wish = match (session.wish.take(), session.heard()) {
                (Some(Wish::Start(id, _)), _) => Some(Wish::Start(id, to)),
                // The next track is being rendered already: this one is opened again.
                (_, Some(heard)) if rendered != Some(heard) || session.ended => Some(Wish::Start(heard, to)),
                (_, Some(_)) => Some(Wish::Seek(to)),
                (wish, None) => wish,
            };
        });
    }

    /// Position in the track that is heard, exact to the frame that the output took last.
    #[must_use]
    pub fn position(&self) -> Duration {
        self.shared.session.lock().position()
    }

    /// Sets the volume: a factor from 0 to 4, reached within 20 ms.
    pub fn set_volume(&self, volume: f32) {
        let volume = if volume.is_finite() { volume.clamp(0.0, 4.0) } else { 1.0 };
        self.change(|session| session.volume = volume);
    }

    /// Sets the speed, from 0.5 to 2, without changing the pitch.
    pub fn set_speed(&self, speed: f32) {
        let speed = if speed.is_finite() { speed.clamp(*SPEEDS.start(), *SPEEDS.end()) } else { 1.0 };
        self.change(|session| session.speed = speed);
    }

    /// Sets the length of the crossfade for the joins to come, at most 12 s.
    pub fn set_crossfade(&self, crossfade: Duration) {
        self.change(|session| session.crossfade = crossfade.min(Duration::from_secs(12)));
    }

    /// Sets the levelling.
    pub fn set_loudness(&self, loudness: LoudnessOptions) {
        self.change(|session| session.loudness = loudness);
    }

    /// Sets what follows the end of a track and of the queue.
    pub fn set_repeat(&self, repeat: Repeat) {
        self.change(|session| session.queue.repeat = repeat);
    }

    /// Shuffles the tracks behind the current one, differently each time; `false` restores the order of the list.
    pub fn set_shuffle(&self, shuffle: bool) {
        self.change(|session| session.queue.set_shuffle(shuffle.then(|| fastrand::u64(..))));
    }

    /// Events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<PlayerEvent> {
        self.shared.events.subscribe()
    }

    /// The state, and each change of it.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<PlayerState> {
        self.shared.state.subscribe()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Session) -> T) -> T {
        let mut session = self.shared.session.lock();
        let done = change(&mut session);
        if let Some(link) = &session.link {
            link.set_volume(session.volume);
            link.playing.store(session.playing, Ordering::Release);
            link.filled.notify_waiters();
        }
        drop(session);
        self.shared.wake.notify_one();
        done
    }
}
