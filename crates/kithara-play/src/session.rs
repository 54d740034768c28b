//! What the handles want and what is heard: the state that the player's handles and its task share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kithara_decode::AudioSpec;
use rtrb::Producer;

use crate::gain::LoudnessOptions;
use crate::queue::{Queue, TrackId};
use crate::renderer::Link;

/// What a handle asked for and the task has not yet done. A later wish replaces an earlier one.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Play this track from there.
    Start(TrackId, Duration),
    /// Go on at another position of the track that is heard.
    Seek(Duration),
    /// Play nothing.
    Stop,
}

/// A new output.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) producer: Producer<f32>,
    pub(crate) link: Arc<Link>,
    pub(crate) spec: AudioSpec,
    pub(crate) capacity: u64,
}

/// Which frame of which track a frame of the output is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// Frame of the output.
    pub(crate) at: u64,
    pub(crate) id: TrackId,
    /// Frame of the track, at the output's rate.
    pub(crate) position: u64,
    pub(crate) speed: f64,
    /// Another track, or another play of it, begins here.
    pub(crate) begins: bool,
}

/// Locked briefly and never across an await.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) queue: Queue,
    pub(crate) loudness: LoudnessOptions,
    pub(crate) crossfade: Duration,
    pub(crate) speed: f32,
    pub(crate) volume: f32,
    pub(crate) playing: bool,
    pub(crate) wish: Option<Wish>,
    pub(crate) attached: Option<Attached>,
    pub(crate) link: Option<Arc<Link>>,
    pub(crate) spec: AudioSpec,
    marks: VecDeque<Mark>,
    /// Marks that were passed.
    passed: Option<Mark>,
    /// Length of the track that is heard, if known.
    pub(crate) duration: Option<Duration>,
    /// The queue has ended, and its end was heard.
    pub(crate) ended: bool,
    /// The track whose start was told and whose end was not.
    pub(crate) started: Option<TrackId>,
}

impl Session {
    pub(crate) fn new(crossfade: Duration, loudness: LoudnessOptions) -> Self {
        Self {
            queue: Queue::default(),
            loudness,
            crossfade,
            speed: 1.0,
            volume: 1.0,
            playing: true,
            wish: None,
            attached: None,
            link: None,
            spec: AudioSpec::new(48_000, 2),
            marks: VecDeque::new(),
            passed: None,
            duration: None,
            ended: false,
            started: None,
        }
    }

    fn consumed(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| link.consumed.load(Ordering::Acquire))
    }

    /// The track that is heard, or is about to be.
    pub(crate) fn heard(&self) -> Option<TrackId> {
        self.mark().map(|mark| mark.id)
    }

    /// The mark that the output's current frame belongs to.
    fn mark(&self) -> Option<Mark> {
        let consumed = self.consumed();
        let later = self.marks.iter().take_while(|mark| mark.at <= consumed).last();
        later.or(self.passed.as_ref()).or(self.marks.front()).copied()
    }

    /// Where the track that is heard is, exact to the frame that the output took last.
    pub(crate) fn position(&self) -> Duration {
        let Some(mark) = self.mark() else { return Duration::ZERO };
        let since = self.consumed().saturating_sub(mark.at) as f64 * mark.speed;
        let position = self.spec.position_of(mark.position + since as u64);
        self.duration.map_or(position, |duration| position.min(duration))
    }

    pub(crate) fn push_mark(&mut self, mark: Mark) {
        let follows = self.marks.back().or(self.passed.as_ref()).is_some_and(|last| {
            let frames = mark.at.saturating_sub(last.at);
            (last.id, last.speed) == (mark.id, mark.speed)
                && mark.speed == 1.0
                && last.position + frames == mark.position
        });
        if !follows || mark.begins {
            self.marks.push_back(mark);
        }
    }

    /// Forgets which frames were to be heard; `mark` is heard instead.
    pub(crate) fn replace_marks(&mut self, mark: Option<Mark>) {
        self.marks.clear();
        self.passed = None;
        self.marks.extend(mark);
    }

    /// Takes the next mark that was reached.
    pub(crate) fn pass_mark(&mut self) -> Option<Mark> {
        let consumed = self.consumed();
        let mark = self.marks.pop_front_if(|mark| mark.at <= consumed)?;
        self.passed = Some(mark);
        Some(mark)
    }

    /// The output's frame at which another track begins.
    pub(crate) fn next_begin(&self) -> Option<u64> {
        self.marks.iter().find(|mark| mark.begins).map(|mark| mark.at)
    }
}
