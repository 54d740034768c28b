//! Tracks whose every frame says which track and which frame it is.
#![allow(dead_code)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kithara_bufpool::{PoolSettings, SamplePool};
use kithara_decode::{AudioSpec, PcmChunk, PcmSource};
use kithara_play::{Player, Renderer, Track};
use tokio::sync::Notify;

/// How a test source behaves.
#[derive(Clone)]
pub struct Script {
    pub spec: AudioSpec,
    pub frames: u64,
    pub chunk: u64,
    /// The sample at a frame.
    pub sample: fn(u64) -> f32,
    /// Fails when this frame is reached.
    pub fails_at: Option<u64>,
    /// Chunks are held back while it is closed.
    pub gate: Option<Arc<Gate>>,
    pub opened: Arc<AtomicUsize>,
}

#[derive(Default)]
pub struct Gate {
    open: AtomicBool,
    moved: Notify,
}

impl Gate {
    pub fn set(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    async fn pass(&self) {
        loop {
            let moved = self.moved.notified();
            if self.open.load(Ordering::SeqCst) {
                return;
            }
            moved.await;
        }
    }
}

impl Script {
    pub fn new(spec: AudioSpec, frames: u64, sample: fn(u64) -> f32) -> Self {
        Self { spec, frames, chunk: 1_000, sample, fails_at: None, gate: None, opened: Arc::default() }
    }

    pub fn track(self) -> Track {
        Track::new("scripted", move |_| {
            self.opened.fetch_add(1, Ordering::SeqCst);
            let pool = SamplePool::new(PoolSettings::default());
            std::future::ready(Ok::<_, io::Error>(Source { script: self.clone(), position: 0, pool }))
        })
    }
}

pub fn failing() -> Track {
    Track::new("failing", |_| std::future::ready(Err::<Source, _>(io::Error::other("404 Not Found"))))
}

pub struct Source {
    script: Script,
    position: u64,
    pool: SamplePool,
}

impl PcmSource for Source {
    type Error = io::Error;

    fn spec(&self) -> AudioSpec {
        self.script.spec
    }

    fn duration(&self) -> Option<Duration> {
        Some(self.script.spec.position_of(self.script.frames))
    }

    async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, io::Error> {
        if let Some(gate) = &self.script.gate {
            gate.pass().await;
        }
        if self.script.fails_at.is_some_and(|frame| self.position >= frame) {
            return Err(io::Error::other("connection reset"));
        }
        let count = self.script.chunk.min(self.script.frames.saturating_sub(self.position));
        if count == 0 {
            return Ok(None);
        }
        let (first, channels) = (self.position, usize::from(self.script.spec.channels));
        let samples = self.pool.get_with(|samples| {
            samples.clear();
            for frame in first..first + count {
                let value = (self.script.sample)(frame);
                samples.extend(std::iter::repeat_n(value, channels));
            }
        });
        self.position += count;
        Ok(Some(PcmChunk::new(self.script.spec, first, samples)))
    }

    async fn seek(&mut self, to: Duration) -> Result<u64, io::Error> {
        self.position = self.script.spec.frame_at(to).min(self.script.frames);
        Ok(self.position)
    }
}

/// Everything up to the end of the queue, as it leaves the ring.
pub async fn drain(renderer: &mut Renderer) -> Vec<f32> {
    let mut out = Vec::new();
    let mut block = vec![0.0; 4_096 * usize::from(renderer.spec().channels)];
    while renderer.ready().await {
        let frames = renderer.take(&mut block);
        out.extend_from_slice(&block[..frames * usize::from(renderer.spec().channels)]);
    }
    out
}

/// Plays the queue from its beginning into an offline output.
pub async fn play_all(player: &Player, spec: AudioSpec) -> Vec<f32> {
    let mut renderer = player.attach(spec);
    player.play();
    drain(&mut renderer).await
}
