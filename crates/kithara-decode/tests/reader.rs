//! `PcmReader` over a made-up source, and `DecodeAhead` over files.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::Pcm;
use kithara_bufpool::SamplePool;
use kithara_decode::{
    AudioSpec, BlockingError, ByteSource, DecodeAhead, DecodeAheadSettings, DecodeError, DecodeOptions,
    Interrupter, MediaDecoder, PcmChunk, PcmReader, PcmSource,
};
use kithara_stream::MediaInfo;
use kithara_testkit::media;
use parking_lot::{Condvar, Mutex};

/// Ten chunks of ten stereo frames whose samples are their frame numbers.
struct Counting {
    next: u64,
    pool: SamplePool,
}

impl PcmSource for Counting {
    type Error = DecodeError;

    fn spec(&self) -> AudioSpec {
        AudioSpec::new(10, 2)
    }

    fn duration(&self) -> Option<Duration> {
        Some(Duration::from_secs(10))
    }

    async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, DecodeError> {
        tokio::task::yield_now().await;
        if self.next >= 100 {
            return Ok(None);
        }
        let start = self.next;
        self.next = (start / 10 + 1) * 10;
        let samples = self.pool.get_with(|out| out.extend((start..self.next).flat_map(|n| [n as f32; 2])));
        Ok(Some(PcmChunk::new(self.spec(), start, samples)))
    }

    async fn seek(&mut self, to: Duration) -> Result<u64, DecodeError> {
        self.next = self.spec().frame_at(to).min(100);
        Ok(self.next)
    }
}

fn counting() -> PcmReader<Counting> {
    PcmReader::new(Counting { next: 0, pool: SamplePool::default() })
}

#[tokio::test]
async fn reads_of_any_size_give_all_samples_in_order() {
    let mut reader = counting();
    let (mut all, mut buffer) = (Vec::new(), [0.0; 14]);
    for size in [1, 2, 3, 14, 5].into_iter().cycle() {
        let position = reader.position();
        match reader.read(&mut buffer[..size]).await.unwrap() {
            0 if size >= 2 => break,
            read => {
                assert_eq!(read % 2, 0);
                assert_eq!(reader.position(), position + read as u64 / 2);
                all.extend_from_slice(&buffer[..read]);
            }
        }
    }
    assert_eq!(all, (0..100).flat_map(|n| [n as f32; 2]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_seek_drops_what_was_left_of_a_chunk() {
    let mut reader = counting();
    reader.read(&mut [0.0; 4]).await.unwrap();
    assert_eq!(reader.next_chunk().await.unwrap().unwrap().position(), 2);
    assert_eq!(reader.seek(Duration::from_millis(5550)).await.unwrap(), 56);
    assert_eq!(reader.position(), 56);
    assert_eq!(reader.next_chunk().await.unwrap().unwrap().samples()[0], 56.0);
}

#[test]
fn the_blocking_and_the_iterator_face_work_on_plain_threads() {
    let mut reader = counting();
    assert_eq!(reader.read_blocking(&mut [0.0; 4]).unwrap(), 4);
    assert_eq!(reader.seek_blocking(Duration::from_secs(3)).unwrap(), 30);
    assert_eq!(reader.next_chunk_blocking().unwrap().unwrap().position(), 30);
    let frames: usize = reader.by_ref().map(|chunk| chunk.unwrap().frames()).sum();
    assert_eq!(frames, 60);
    assert!(reader.next().is_none());
}

#[tokio::test]
async fn the_blocking_face_says_so_inside_a_runtime() {
    let mut reader = counting();
    let error = reader.next_chunk_blocking().unwrap_err();
    assert!(matches!(error, BlockingError::InsideRuntime));
    assert!(error.to_string().contains("async"));
    assert!(matches!(reader.next(), Some(Err(BlockingError::InsideRuntime))));
    let read = tokio::task::spawn_blocking(move || reader.read_blocking(&mut [0.0; 8]).unwrap());
    assert_eq!(read.await.unwrap(), 8, "a blocking task may block");
}

fn options() -> DecodeOptions {
    DecodeOptions::new(SamplePool::default())
}

async fn ahead(bytes: &'static [u8]) -> Result<DecodeAhead, DecodeError> {
    DecodeAhead::open(Cursor::new(bytes), MediaInfo::default(), options(), DecodeAheadSettings::default())
        .await
}

fn whole(bytes: &'static [u8]) -> Pcm {
    let mut decoder = MediaDecoder::open(Cursor::new(bytes), &MediaInfo::default(), options()).unwrap();
    let mut pcm = Pcm::default();
    while let Some(chunk) = decoder.next_chunk().unwrap() {
        pcm.add(&chunk);
    }
    pcm
}

#[tokio::test]
async fn decoding_ahead_gives_the_same_as_decoding() {
    for name in ["file/cbr.mp3", "file/faststart.m4a", "file/lossless.flac", "file/vorbis.ogg"] {
        let bytes = media::file(name).unwrap();
        let expected = whole(bytes);
        let mut source = ahead(bytes).await.unwrap();
        assert_eq!(Some(source.spec()), expected.spec);
        assert_eq!(source.details().total_frames, Some(expected.frames()));
        let mut pcm = Pcm::default();
        while let Some(chunk) = source.next_chunk().await.unwrap() {
            pcm.add(&chunk);
        }
        assert_eq!(pcm.frames(), expected.frames());
        pcm.assert_part_of(&expected);
        assert!(source.next_chunk().await.unwrap().is_none());
        for second in [3, 1, 6] {
            let target = source.seek(Duration::from_secs(second)).await.unwrap();
            let mut part = Pcm { start: target, ..Pcm::default() };
            for _ in 0..3 {
                part.add(&source.next_chunk().await.unwrap().unwrap());
            }
            part.assert_part_of(&expected);
        }
    }
}

#[tokio::test]
async fn a_burst_of_seeks_ends_at_the_last_one() {
    let bytes = media::file("file/vbr.mp3").unwrap();
    let expected = whole(bytes);
    let mut source = ahead(bytes).await.unwrap();
    for step in 0..200u64 {
        source.seek(Duration::from_millis(step * 37 % 9000)).await.unwrap();
    }
    let target = source.seek(Duration::from_millis(4321)).await.unwrap();
    let mut part = Pcm { start: target, ..Pcm::default() };
    part.add(&source.next_chunk().await.unwrap().unwrap());
    part.assert_part_of(&expected);
}

#[tokio::test]
async fn what_is_no_media_fails_to_open() {
    let error = ahead(b"<html>").await.unwrap_err();
    assert!(matches!(error, DecodeError::NotMedia(_)));
}

/// A source whose reads block behind an offset until bytes are let through, or it is interrupted.
struct Gated {
    inner: Cursor<&'static [u8]>,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    open_to: Mutex<u64>,
    changed: Condvar,
    interrupted: AtomicBool,
    blocked: AtomicU64,
    fails: AtomicBool,
}

impl Gate {
    fn open_to(&self, offset: u64) {
        *self.open_to.lock() = offset;
        self.changed.notify_all();
    }
}

impl Read for Gated {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.gate.fails.swap(false, Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        let mut open_to = self.gate.open_to.lock();
        while self.inner.position() >= *open_to {
            if self.gate.interrupted.load(Ordering::SeqCst) {
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
            }
            self.gate.blocked.fetch_add(1, Ordering::SeqCst);
            self.gate.changed.wait(&mut open_to);
        }
        let len = buf.len().min((*open_to - self.inner.position()) as usize);
        self.inner.read(&mut buf[..len])
    }
}

impl Seek for Gated {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl ByteSource for Gated {
    fn byte_len(&self) -> Option<u64> {
        Some(self.inner.get_ref().len() as u64)
    }

    fn interrupter(&self) -> Option<Interrupter> {
        let gate = Arc::clone(&self.gate);
        Some(Box::new(move || {
            let _lock = gate.open_to.lock();
            gate.interrupted.store(true, Ordering::SeqCst);
            gate.changed.notify_all();
        }))
    }

    fn resume(&mut self) {
        self.gate.interrupted.store(false, Ordering::SeqCst);
    }
}

async fn gated(bytes: &'static [u8], open_to: u64) -> (Arc<Gate>, DecodeAhead) {
    let gate = Arc::new(Gate::default());
    gate.open_to(open_to);
    let source = Gated { inner: Cursor::new(bytes), gate: Arc::clone(&gate) };
    let settings = DecodeAheadSettings::default();
    let ahead = DecodeAhead::open(source, MediaInfo::default(), options(), settings).await.unwrap();
    (gate, ahead)
}

/// Takes chunks until the thread is blocked in a read; gives the position of the last one.
async fn play_until_blocked(gate: &Gate, source: &mut DecodeAhead) -> u64 {
    let mut last = 0;
    while gate.blocked.load(Ordering::SeqCst) == 0 {
        tokio::select! {
            biased;
            chunk = source.next_chunk() => last = chunk.unwrap().unwrap().position(),
            () = tokio::task::yield_now() => {}
        }
    }
    last
}

#[tokio::test]
async fn a_seek_calls_the_thread_back_from_a_blocked_read() {
    let bytes = media::file("file/cbr.mp3").unwrap();
    let expected = whole(bytes);
    // Everything up to 60 kB is there: some 3.7 s. The thread reads on and blocks.
    let (gate, mut source) = gated(bytes, 60_000).await;
    assert!(play_until_blocked(&gate, &mut source).await > 0);
    for _ in 0..50 {
        let target = source.seek(Duration::from_millis(500)).await.unwrap();
        let mut part = Pcm { start: target, ..Pcm::default() };
        part.add(&source.next_chunk().await.unwrap().unwrap());
        part.assert_part_of(&expected);
    }
    gate.open_to(u64::MAX);
    source.seek(Duration::ZERO).await.unwrap();
    let mut pcm = Pcm::default();
    while let Some(chunk) = source.next_chunk().await.unwrap() {
        pcm.add(&chunk);
    }
    assert_eq!(pcm.frames(), expected.frames());
}

#[tokio::test]
async fn dropping_joins_a_thread_that_is_blocked_in_a_read() {
    let bytes = media::file("file/cbr.mp3").unwrap();
    let (gate, mut source) = gated(bytes, 60_000).await;
    play_until_blocked(&gate, &mut source).await;
    drop(source);
    assert_eq!(Arc::strong_count(&gate), 1, "the thread is gone, and its source with it");
}

#[tokio::test]
async fn dropping_the_opening_ends_its_thread() {
    let gate = Arc::new(Gate::default());
    let source = Gated { inner: Cursor::new(media::file("file/cbr.mp3").unwrap()), gate: Arc::clone(&gate) };
    let mut opening =
        Box::pin(DecodeAhead::open(source, MediaInfo::default(), options(), DecodeAheadSettings::default()));
    while gate.blocked.load(Ordering::SeqCst) == 0 {
        tokio::select! {
            biased;
            _ = &mut opening => panic!("nothing is there to open"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(opening);
    assert_eq!(Arc::strong_count(&gate), 1);
}

#[tokio::test]
async fn after_an_error_the_next_call_goes_on_where_it_was() {
    let bytes = media::file("file/cbr.mp3").unwrap();
    let expected = whole(bytes);
    let (gate, mut source) = gated(bytes, u64::MAX).await;
    let mut pcm = Pcm::default();
    pcm.add(&source.next_chunk().await.unwrap().unwrap());
    gate.fails.store(true, Ordering::SeqCst);
    let mut errors = 0;
    loop {
        match source.next_chunk().await {
            Ok(Some(chunk)) => pcm.add(&chunk),
            Ok(None) => break,
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                errors += 1;
            }
        }
    }
    assert_eq!(errors, 1);
    assert_eq!(pcm.frames(), expected.frames());
    pcm.assert_part_of(&expected);
}

/// A source that panics when it is read behind an offset.
struct Panicking(Cursor<&'static [u8]>);

impl Read for Panicking {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(self.0.position() < 50_000, "read too far");
        let len = buf.len().min(4096);
        self.0.read(&mut buf[..len])
    }
}

impl Seek for Panicking {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl ByteSource for Panicking {
    fn byte_len(&self) -> Option<u64> {
        Some(self.0.get_ref().len() as u64)
    }
}

#[tokio::test]
async fn a_panic_of_the_source_arrives_as_an_error() {
    let source = Panicking(Cursor::new(media::file("file/cbr.mp3").unwrap()));
    let settings = DecodeAheadSettings::default();
    let mut source = DecodeAhead::open(source, MediaInfo::default(), options(), settings).await.unwrap();
    let error = loop {
        match source.next_chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a clean end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, DecodeError::Worker(what) if what.contains("read too far")), "{error:?}");
    assert!(source.next_chunk().await.is_err());
}
