//! The output's side: frames from a lock-free ring, with ramps instead of clicks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kithara_decode::AudioSpec;
use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::Notify;

/// Milliseconds of a ramp to or from silence, at pause, seek and the end of a stall.
const RAMP_MS: u32 = 5;
/// Milliseconds of a change of volume.
const VOLUME_MS: u32 = 20;

/// What the output and the player know together. Frames are counted from the player's start.
#[derive(Debug)]
pub(crate) struct Link {
    /// Frames taken out of the ring, discarded ones included.
    pub(crate) consumed: AtomicU64,
    /// Frames before this one are discarded: a seek or a skip has replaced them.
    pub(crate) flush_to: AtomicU64,
    /// The player wants to be woken when so many frames were consumed. `u64::MAX`: not at all.
    pub(crate) wake_at: AtomicU64,
    /// Frames written in all, once the queue has ended; `u64::MAX` before.
    pub(crate) end: AtomicU64,
    /// Bits of the volume, an `f32`.
    volume: AtomicU32,
    pub(crate) playing: AtomicBool,
    /// The ring ran dry. The output is silent until the player says that enough is there.
    pub(crate) starved: AtomicBool,
    /// The renderer was dropped.
    pub(crate) closed: AtomicBool,
    /// Wakes the player.
    pub(crate) wake: Notify,
    /// Wakes an output that waits for frames.
    pub(crate) filled: Notify,
}

impl Link {
    fn new() -> Self {
        Self {
            consumed: AtomicU64::new(0),
            flush_to: AtomicU64::new(0),
            wake_at: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(u64::MAX),
            volume: AtomicU32::new(1f32.to_bits()),
            playing: AtomicBool::new(true),
            starved: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            wake: Notify::new(),
            filled: Notify::new(),
        }
    }

    pub(crate) fn set_volume(&self, volume: f32) {
        let volume = if volume.is_finite() { volume.clamp(0.0, 4.0) } else { 1.0 };
        self.volume.store(volume.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn volume(&self) -> f32 {
        f32::from_bits(self.volume.load(Ordering::Relaxed))
    }

    fn at_end(&self, consumed: u64) -> bool {
        consumed >= self.end.load(Ordering::Acquire)
    }
}

/// A ring of `frames` frames and the link beside it.
pub(crate) fn ring(spec: AudioSpec, frames: usize) -> (Producer<f32>, Renderer) {
    let channels = usize::from(spec.channels.max(1));
    let (producer, consumer) = RingBuffer::new(frames * channels);
    let step = |milliseconds: u32| 1.0 / (spec.sample_rate as f32 * milliseconds as f32 / 1_000.0).max(1.0);
    let renderer = Renderer {
        spec,
        channels,
        consumer,
        link: Arc::new(Link::new()),
        level: 0.0,
        volume: 1.0,
        ramp: step(RAMP_MS),
        volume_step: step(VOLUME_MS),
    };
    (producer, renderer)
}

/// Gives a player's sound to an output. [`fill`](Self::fill) is made for audio callbacks: it never waits, locks,
/// allocates or does I/O; waking the player's task a few times per second is all that it does beside copying.
///
/// Dropping it stops the player's output; the player waits for another one
/// ([`Player::attach`](crate::Player::attach)).
pub struct Renderer {
    spec: AudioSpec,
    channels: usize,
    consumer: Consumer<f32>,
    link: Arc<Link>,
    /// Factor between silence and sound, for pauses, seeks and stalls.
    level: f32,
    volume: f32,
    ramp: f32,
    volume_step: f32,
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Renderer {
    /// Rate and channels of the frames.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        self.spec
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Fills `out`, interleaved, with sound, and with silence where there is none. Gives the number of frames that are
    /// sound; the rest of `out` is silence because of a pause, a stall or the end.
    pub fn fill(&mut self, out: &mut [f32]) -> usize {
        let whole = out.len() / self.channels * self.channels;
        let (frames, rest) = out.split_at_mut(whole);
        rest.fill(0.0);
        let mut heard = 0;
        let mut done = 0;
        while done < frames.len() {
            let (count, sound) = self.run(&mut frames[done..]);
            done += count * self.channels;
            heard += if sound { count } else { 0 };
        }
        self.tell();
        heard
    }

    /// Whether the queue has ended and all of it was taken.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.link.at_end(self.link.consumed.load(Ordering::Relaxed))
    }

    /// Waits until frames can be taken: `false` when the queue has ended. For outputs that are not real-time, such as
    /// files: they never hear a stall. Cancel-safe.
    pub async fn ready(&mut self) -> bool {
        loop {
            let link = Arc::clone(&self.link);
            let mut filled = std::pin::pin!(link.filled.notified());
            filled.as_mut().enable();
            if self.is_at_end() {
                return false;
            }
            if link.playing.load(Ordering::Acquire) {
                self.skip_flushed();
                if self.consumer.slots() >= self.channels {
                    return true;
                }
                self.tell();
            }
            filled.await;
        }
    }

    /// Takes up to `out.len()` samples, whole frames, without ramps, pauses and silence; gives the number of frames.
    /// Follow [`ready`](Self::ready) with it.
    pub fn take(&mut self, out: &mut [f32]) -> usize {
        self.skip_flushed();
        let count = (out.len().min(self.consumer.slots())) / self.channels;
        let volume = self.link.volume();
        self.copy(&mut out[..count * self.channels], |_, sample| sample * volume);
        self.tell();
        count
    }

    /// One stretch of frames of one kind.
    fn run(&mut self, out: &mut [f32]) -> (usize, bool) {
        let flushing =
            self.link.flush_to.load(Ordering::Acquire) > self.link.consumed.load(Ordering::Relaxed);
        let silent = flushing
            || !self.link.playing.load(Ordering::Relaxed)
            || self.link.starved.load(Ordering::Acquire);
        if silent && self.level <= 0.0 {
            if flushing && self.skip_flushed() {
                return (0, false);
            }
            out.fill(0.0);
            return (out.len() / self.channels, false);
        }
        let available = self.consumer.slots() / self.channels;
        let mut count = (out.len() / self.channels).min(available);
        if silent {
            // Only as far as the ramp goes.
            count = count.min((self.level / self.ramp).ceil().max(1.0) as usize);
        }
        if count == 0 {
            self.level = 0.0;
            if !silent && !self.is_at_end() {
                self.link.starved.store(true, Ordering::Release);
                self.link.wake.notify_one();
            }
            out.fill(0.0);
            return (out.len() / self.channels, false);
        }
        let (target, ramp) = (if silent { 0.0 } else { 1.0 }, self.ramp);
        let (mut level, mut volume) = (self.level, self.volume);
        let (wanted, step) = (self.link.volume(), self.volume_step);
        let channels = self.channels;
        self.copy(&mut out[..count * channels], |index, sample| {
            if index % channels == 0 {
                level = approach(level, target, ramp);
                volume = approach(volume, wanted, step);
            }
            sample * level * volume
        });
        (self.level, self.volume) = (level, volume);
        (count, true)
    }

    fn copy(&mut self, out: &mut [f32], mut change: impl FnMut(usize, f32) -> f32) {
        let Ok(chunk) = self.consumer.read_chunk(out.len()) else { return };
        let (first, second) = chunk.as_slices();
        for (index, (out, sample)) in out.iter_mut().zip(first.iter().chain(second)).enumerate() {
            *out = change(index, *sample);
        }
        chunk.commit_all();
        self.link.consumed.fetch_add((out.len() / self.channels) as u64, Ordering::Release);
    }

    /// Discards what a seek or a skip has replaced; tells whether there was any.
    fn skip_flushed(&mut self) -> bool {
        let behind = self
            .link
            .flush_to
            .load(Ordering::Acquire)
            .saturating_sub(self.link.consumed.load(Ordering::Relaxed));
        let count = usize::try_from(behind).unwrap_or(usize::MAX).min(self.consumer.slots() / self.channels);
        if let Ok(chunk) = self.consumer.read_chunk(count * self.channels) {
            chunk.commit_all();
            self.link.consumed.fetch_add(count as u64, Ordering::Release);
        }
        count > 0
    }

    /// Wakes the player where it has asked for it.
    fn tell(&self) {
        let consumed = self.link.consumed.load(Ordering::Relaxed);
        if consumed >= self.link.wake_at.load(Ordering::Acquire) {
            self.link.wake_at.store(u64::MAX, Ordering::Release);
            self.link.wake.notify_one();
        }
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        self.link.closed.store(true, Ordering::Release);
        self.link.wake.notify_one();
    }
}

fn approach(value: f32, target: f32, step: f32) -> f32 {
    // A little more than a step: the sum of steps is not exact.
    if (target - value).abs() <= step * 1.001 { target } else { value + step.copysign(target - value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: AudioSpec = AudioSpec::new(1_000, 1);

    fn write(producer: &mut Producer<f32>, samples: &[f32]) {
        for sample in samples {
            producer.push(*sample).unwrap();
        }
    }

    fn playing(frames: usize) -> (Producer<f32>, Renderer) {
        let (producer, renderer) = ring(SPEC, frames);
        renderer.link.starved.store(false, Ordering::Release);
        (producer, renderer)
    }

    #[test]
    fn sound_begins_with_a_ramp_and_is_then_untouched() {
        let (mut producer, mut renderer) = playing(100);
        write(&mut producer, &[0.5; 100]);
        let mut out = [0.0; 20];
        assert_eq!(renderer.fill(&mut out), 20);
        assert!(out[0] < 0.2 && out[..5].windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(out[5..], [0.5; 15]);
    }

    #[test]
    fn a_ring_that_ran_dry_is_silent_until_the_player_has_enough() {
        let (mut producer, mut renderer) = playing(100);
        write(&mut producer, &[0.5; 10]);
        let mut out = [1.0; 20];
        assert_eq!(renderer.fill(&mut out), 10);
        assert_eq!(out[10..], [0.0; 10]);
        assert!(renderer.link.starved.load(Ordering::Acquire));
        write(&mut producer, &[0.5; 10]);
        assert_eq!(renderer.fill(&mut out), 0, "not yet");
        renderer.link.starved.store(false, Ordering::Release);
        assert_eq!(renderer.fill(&mut out[..10]), 10);
    }

    #[test]
    fn a_flush_fades_out_and_continues_with_the_new_frames() {
        let (mut producer, mut renderer) = playing(200);
        write(&mut producer, &[0.5; 100]);
        let mut out = [0.0; 50];
        renderer.fill(&mut out);
        renderer.link.flush_to.store(100, Ordering::Release);
        write(&mut producer, &[-0.5; 50]);
        let mut out = [0.0; 30];
        renderer.fill(&mut out);
        let steps: Vec<f32> = out.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        assert!(steps.iter().all(|step| *step < 0.11), "no click: {out:?}");
        assert_eq!(out[29], -0.5);
        assert_eq!(renderer.link.consumed.load(Ordering::Relaxed), 100 + 30 - 5);
    }

    #[test]
    fn a_pause_takes_nothing_out_of_the_ring() {
        let (mut producer, mut renderer) = playing(100);
        write(&mut producer, &[0.5; 100]);
        let mut out = [0.0; 20];
        renderer.fill(&mut out);
        renderer.link.playing.store(false, Ordering::Relaxed);
        assert_eq!(renderer.fill(&mut out), 5, "the ramp");
        assert_eq!(renderer.fill(&mut out), 0);
        assert_eq!(renderer.link.consumed.load(Ordering::Relaxed), 25);
    }

    #[test]
    fn the_end_of_the_queue_is_no_stall() {
        let (mut producer, mut renderer) = playing(100);
        write(&mut producer, &[0.5; 10]);
        renderer.link.end.store(10, Ordering::Release);
        let mut out = [1.0; 20];
        assert_eq!(renderer.fill(&mut out), 10);
        assert!(renderer.is_at_end() && !renderer.link.starved.load(Ordering::Acquire));
    }

    #[test]
    fn volume_moves_without_a_step() {
        let (mut producer, mut renderer) = playing(200);
        write(&mut producer, &[1.0; 200]);
        let mut out = [0.0; 100];
        renderer.fill(&mut out[..50]);
        renderer.link.set_volume(0.25);
        renderer.fill(&mut out);
        assert!(out.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.051));
        assert_eq!(out[99], 0.25);
        renderer.link.set_volume(f32::NAN);
        assert_eq!(renderer.link.volume(), 1.0);
    }
}
