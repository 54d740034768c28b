//! Joins tracks: gapless to the frame, or with an equal-power crossfade. Pure.

use std::f32::consts::FRAC_PI_2;
use std::time::Duration;

use kithara_decode::{AudioSpec, DecodeError, PcmChunk};

use crate::convert::Converter;
use crate::queue::TrackId;

/// One track on its way to the output.
#[derive(Debug)]
pub(crate) struct Deck {
    pub(crate) id: TrackId,
    /// Tells two plays of one track apart.
    pub(crate) serial: u64,
    converter: Converter,
    channels: usize,
    /// Converted PCM that waits, interleaved, from sample `head` on.
    pcm: Vec<f32>,
    head: usize,
    /// The frame of the track, at the output's rate, that `head` is.
    position: u64,
    gain: f32,
    ended: bool,
    /// The next chunk tells the position, after opening and after a seek.
    anchored: bool,
}

impl Deck {
    pub(crate) fn new(id: TrackId, serial: u64, output: AudioSpec, gain: f32) -> Self {
        Self {
            id,
            serial,
            converter: Converter::new(output),
            channels: usize::from(output.channels.max(1)),
            pcm: Vec::new(),
            head: 0,
            position: 0,
            gain,
            ended: false,
            anchored: false,
        }
    }

    pub(crate) fn set_gain(&mut self, gain: f32) {
        self.gain = gain;
    }

    /// Takes a chunk of the track.
    pub(crate) fn push(&mut self, chunk: &PcmChunk, output: AudioSpec) -> Result<(), DecodeError> {
        if !self.anchored {
            self.position = output.frame_at(chunk.time());
            self.anchored = true;
        }
        if self.head > 0 && self.head * 2 >= self.pcm.len() {
            self.pcm.drain(..self.head);
            self.head = 0;
        }
        self.converter.push(chunk, &mut self.pcm)
    }

    /// The track has no more chunks.
    pub(crate) fn end(&mut self) -> Result<(), DecodeError> {
        self.ended = true;
        self.converter.finish(&mut self.pcm)
    }

    /// Drops what waits: the track's source was moved.
    pub(crate) fn restart(&mut self) {
        self.converter.reset();
        self.pcm.clear();
        self.head = 0;
        self.ended = false;
        self.anchored = false;
    }

    /// Frames that wait.
    pub(crate) fn frames(&self) -> usize {
        (self.pcm.len() - self.head) / self.channels
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next frame, at the output's rate.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    fn samples(&self, frames: usize) -> &[f32] {
        &self.pcm[self.head..self.head + frames * self.channels]
    }

    fn skip(&mut self, frames: usize) {
        self.head += frames * self.channels;
        self.position += frames as u64;
        if self.head == self.pcm.len() {
            self.pcm.clear();
            self.head = 0;
        }
    }
}

/// Why [`Mixer::render`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The output has as many frames as it wanted.
    Full,
    /// The current track's next chunk.
    Current,
    /// The next track's next chunk, for the join.
    Next,
    /// The next track, if there is one: the current one is over or there is none.
    Track,
}

/// Where a run of rendered frames comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) id: TrackId,
    /// First frame, at the output's rate.
    pub(crate) position: u64,
    pub(crate) frames: usize,
    /// The track before it ended here.
    pub(crate) begins: bool,
}

/// Two decks, and how one follows the other.
#[derive(Debug)]
pub(crate) struct Mixer {
    output: AudioSpec,
    fade: usize,
    /// Frames of the crossfade that is under way, and how many of them are done.
    fading: Option<(usize, usize)>,
    pub(crate) current: Option<Deck>,
    pub(crate) next: Option<Deck>,
    /// The deck that became the current one last.
    pub(crate) serial: Option<u64>,
    /// No other track will follow the current one.
    pub(crate) is_last: bool,
    begins: bool,
}

impl Mixer {
    pub(crate) fn new(output: AudioSpec, crossfade: Duration) -> Self {
        let mut mixer = Self {
            output,
            fade: 0,
            fading: None,
            current: None,
            next: None,
            serial: None,
            is_last: true,
            begins: false,
        };
        mixer.set_crossfade(crossfade);
        mixer
    }

    /// Takes effect at the next join.
    pub(crate) fn set_crossfade(&mut self, crossfade: Duration) {
        self.fade = usize::try_from(self.output.frame_at(crossfade)).unwrap_or(0);
    }

    /// Plays `deck` now, in place of everything.
    pub(crate) fn start(&mut self, deck: Deck) {
        self.serial = Some(deck.serial);
        self.current = Some(deck);
        self.next = None;
        self.fading = None;
        self.begins = true;
    }

    /// Drops both tracks.
    pub(crate) fn stop(&mut self) {
        self.current = None;
        self.next = None;
        self.fading = None;
    }

    /// Whether the join to the next track is audible already, so that it cannot be exchanged.
    pub(crate) fn is_fading(&self) -> bool {
        self.fading.is_some()
    }

    /// Appends up to `frames` frames to `out`, and tells each run's origin to `runs`.
    pub(crate) fn render(&mut self, frames: usize, out: &mut Vec<f32>, runs: &mut Vec<Run>) -> Need {
        let mut room = frames;
        loop {
            if room == 0 {
                return Need::Full;
            }
            let Some(current) = &self.current else {
                if !self.promote() {
                    return Need::Track;
                }
                continue;
            };
            let waiting = current.frames();
            if !current.has_ended() {
                // What may have to be faded is held back until the end is known.
                let count = waiting.saturating_sub(self.fade).min(room);
                if count == 0 {
                    return Need::Current;
                }
                room -= self.emit(count, out, runs);
                continue;
            }
            if waiting == 0 {
                self.current = None;
                self.fading = None;
                continue;
            }
            let done = match self.join(waiting, room, out, runs) {
                Ok(done) => done,
                Err(need) => return need,
            };
            room -= done;
        }
    }

    /// Renders of a track whose end is known: plainly, or faded into the next one.
    fn join(
        &mut self,
        waiting: usize,
        room: usize,
        out: &mut Vec<f32>,
        runs: &mut Vec<Run>,
    ) -> Result<usize, Need> {
        if self.fading.is_none() {
            let mut fade = self.fade.min(waiting);
            if fade == 0 || (self.is_last && self.next.is_none()) {
                return Ok(self.emit(waiting.min(room), out, runs));
            }
            let Some(next) = &self.next else { return Err(Need::Track) };
            if next.has_ended() {
                // A track that is shorter than two fades keeps a middle.
                fade = fade.min(next.frames() / 2);
            } else if next.frames() < fade {
                return Err(Need::Next);
            }
            if waiting > fade || fade == 0 {
                let plain = if fade == 0 { waiting } else { waiting - fade };
                return Ok(self.emit(plain.min(room), out, runs));
            }
            self.fading = Some((fade, 0));
            self.begins = true;
        }
        Ok(self.crossfade(room, out, runs))
    }

    fn emit(&mut self, count: usize, out: &mut Vec<f32>, runs: &mut Vec<Run>) -> usize {
        let Some(deck) = &mut self.current else { return 0 };
        let begins = std::mem::take(&mut self.begins);
        runs.push(Run { id: deck.id, position: deck.position(), frames: count, begins });
        let gain = deck.gain;
        if gain == 1.0 {
            out.extend_from_slice(deck.samples(count));
        } else {
            out.extend(deck.samples(count).iter().map(|sample| sample * gain));
        }
        deck.skip(count);
        count
    }

    /// Equal power: the squares of both factors add up to one, so that unrelated tracks keep their loudness.
    fn crossfade(&mut self, room: usize, out: &mut Vec<f32>, runs: &mut Vec<Run>) -> usize {
        let (Some((total, done)), Some(old), Some(new)) =
            (&mut self.fading, &mut self.current, &mut self.next)
        else {
            return 0;
        };
        let count = (*total - *done).min(room).min(old.frames()).min(new.frames());
        let begins = std::mem::take(&mut self.begins);
        runs.push(Run { id: new.id, position: new.position(), frames: count, begins });
        let channels = old.channels;
        let (fading, rising) = (old.samples(count), new.samples(count));
        for (index, (a, b)) in fading.iter().zip(rising).enumerate() {
            let frame = *done + index / channels;
            let angle = (frame as f32 + 0.5) / *total as f32 * FRAC_PI_2;
            out.push(a * old.gain * angle.cos() + b * new.gain * angle.sin());
        }
        old.skip(count);
        new.skip(count);
        *done += count;
        if *done == *total {
            self.fading = None;
            self.serial = Some(new.serial);
            self.current = self.next.take();
        }
        count
    }

    /// The next track becomes the current one, without a frame between them.
    fn promote(&mut self) -> bool {
        let Some(deck) = self.next.take() else { return false };
        self.serial = Some(deck.serial);
        self.current = Some(deck);
        self.begins = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use kithara_bufpool::{PoolSettings, SamplePool};

    use super::*;

    const SPEC: AudioSpec = AudioSpec::new(1_000, 1);

    fn deck(id: u64, samples: &[f32], ended: bool) -> Deck {
        let mut deck = Deck::new(TrackId(id), id, SPEC, 1.0);
        push(&mut deck, samples);
        if ended {
            deck.end().unwrap();
        }
        deck
    }

    fn push(deck: &mut Deck, samples: &[f32]) {
        let pool = SamplePool::new(PoolSettings::default());
        let samples = pool.get_with(|buffer| {
            buffer.clear();
            buffer.extend_from_slice(samples);
        });
        deck.push(&PcmChunk::new(SPEC, 0, samples), SPEC).unwrap();
    }

    fn ramp(frames: usize, from: f32) -> Vec<f32> {
        (0..frames).map(|frame| from + frame as f32).collect()
    }

    #[test]
    fn tracks_join_without_a_frame_more_or_less() {
        let mut mixer = Mixer::new(SPEC, Duration::ZERO);
        mixer.start(deck(0, &ramp(100, 0.0), true));
        mixer.next = Some(deck(1, &ramp(50, 1000.0), true));
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        assert_eq!(mixer.render(1_000, &mut out, &mut runs), Need::Track);
        let mut expected = ramp(100, 0.0);
        expected.extend(ramp(50, 1000.0));
        assert_eq!(out, expected);
        assert_eq!(runs.iter().filter(|run| run.begins).count(), 2);
        assert_eq!((runs[1].id, runs[1].position), (TrackId(1), 0));
    }

    #[test]
    fn a_track_whose_end_is_not_known_holds_the_fade_back() {
        let mut mixer = Mixer::new(SPEC, Duration::from_millis(20));
        mixer.start(deck(0, &[1.0; 100], false));
        mixer.is_last = false;
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        assert_eq!(mixer.render(1_000, &mut out, &mut runs), Need::Current);
        assert_eq!(out.len(), 80);
        mixer.current.as_mut().unwrap().end().unwrap();
        assert_eq!(mixer.render(1_000, &mut out, &mut runs), Need::Track);
        mixer.next = Some(deck(1, &[0.0; 10], false));
        assert_eq!(mixer.render(1_000, &mut out, &mut runs), Need::Next);
        push(mixer.next.as_mut().unwrap(), &[0.0; 40]);
        assert_eq!(mixer.render(1_000, &mut out, &mut runs), Need::Current);
        // 100 frames, 20 of them shared with the next track's 50; 20 more are held back.
        assert_eq!(out.len(), 100 + 30 - 20);
        let faded: Vec<f32> = out[80..100].to_vec();
        assert!(faded.windows(2).all(|pair| pair[0] > pair[1]), "falls: {faded:?}");
        assert!((faded[0] * faded[0] - 1.0).abs() < 0.01 && faded[19] < 0.1);
    }

    #[test]
    fn a_crossfade_keeps_power() {
        let mut mixer = Mixer::new(SPEC, Duration::from_millis(50));
        mixer.start(deck(0, &[1.0; 50], true));
        mixer.next = Some(deck(1, &[1.0; 200], true));
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        mixer.render(50, &mut out, &mut runs);
        for (frame, sample) in out.iter().enumerate() {
            let angle = (frame as f32 + 0.5) / 50.0 * FRAC_PI_2;
            assert!((sample - (angle.sin() + angle.cos())).abs() < 1e-6);
        }
    }

    #[test]
    fn a_short_track_keeps_a_middle_and_the_last_one_its_end() {
        let mut mixer = Mixer::new(SPEC, Duration::from_millis(50));
        mixer.start(deck(0, &[1.0; 60], true));
        mixer.next = Some(deck(1, &[1.0; 20], true));
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        assert_eq!(mixer.render(1_000, &mut out, &mut runs), Need::Track);
        assert_eq!(out.len(), 60 + 20 - 10);
        assert_eq!(out[69], 1.0, "nothing follows: no fade");
    }

    #[test]
    fn gain_applies_to_its_own_track() {
        let mut mixer = Mixer::new(SPEC, Duration::ZERO);
        let mut quiet = deck(0, &[1.0; 3], true);
        quiet.set_gain(0.5);
        mixer.start(quiet);
        mixer.next = Some(deck(1, &[1.0; 3], true));
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        mixer.render(10, &mut out, &mut runs);
        assert_eq!(out, [0.5, 0.5, 0.5, 1.0, 1.0, 1.0]);
    }
}
