//! `SyncReader` over a resource that is written meanwhile, with both feeds.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::future::pending;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use kithara_bufpool::{BytePool, PoolSettings};
use kithara_storage::{StorageError, Streaming, StreamingResource, WaitOutcome};
use kithara_stream::{MediaInfo, PrefetchSettings, ReadStopped, Reader, Source, SyncReader};
use tokio::runtime::{Builder, Runtime};

type Resource = Reader<StreamingResource>;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).build().unwrap()
}

fn byte(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn truth(range: Range<u64>) -> Vec<u8> {
    range.map(byte).collect()
}

/// The same reader, fed in both ways.
fn both(runtime: &Runtime, resource: &StreamingResource) -> [SyncReader<Resource>; 2] {
    let _context = runtime.enter();
    let source = || Reader::new(resource.clone(), MediaInfo::default());
    let mut settings = PrefetchSettings::new(BytePool::new(PoolSettings::default()));
    settings.chunk_len = 1000;
    [SyncReader::direct(source()), SyncReader::prefetching(source(), settings).unwrap()]
}

#[test]
fn bytes_come_in_order_while_they_are_written_in_any() {
    let runtime = runtime();
    let resource = StreamingResource::memory();
    let readers = both(&runtime, &resource).map(|mut reader| {
        thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            (all, reader.byte_len(), reader.read(&mut [0; 9]).unwrap())
        })
    });
    runtime.block_on(async {
        for start in [40_000, 10_000, 0, 30_000, 20_000] {
            resource.write_at(start, &truth(start..start + 10_000)).await.unwrap();
        }
        resource.commit(50_000).await.unwrap();
    });
    for reader in readers {
        let (all, len, after) = reader.join().unwrap();
        assert!(all == truth(0..50_000));
        assert_eq!((len, after), (Some(50_000), 0));
    }
}

#[test]
fn a_seek_reads_there_whatever_was_read_ahead() {
    let runtime = runtime();
    let resource = StreamingResource::memory();
    runtime.block_on(async {
        resource.write_at(0, &truth(0..100_000)).await.unwrap();
        resource.commit(100_000).await.unwrap();
    });
    for mut reader in both(&runtime, &resource) {
        let mut buf = vec![0; 3000];
        for (to, at) in [
            (SeekFrom::Start(90_000), 90_000),
            (SeekFrom::Start(5), 5),
            (SeekFrom::Current(7000), 10_005),
            (SeekFrom::Current(-9000), 4005),
            (SeekFrom::End(-4000), 96_000),
            (SeekFrom::Start(4500), 4500),
        ] {
            assert_eq!(reader.seek(to).unwrap(), at);
            reader.read_exact(&mut buf).unwrap();
            assert!(buf == truth(at..at + 3000), "{to:?}");
            assert_eq!(reader.stream_position().unwrap(), at + 3000);
        }
        assert_eq!(reader.seek(SeekFrom::End(10)).unwrap(), 100_010);
        assert_eq!(reader.read(&mut buf).unwrap(), 0, "behind the end is the end");
        assert_eq!(reader.seek(SeekFrom::Start(99_999)).unwrap(), 99_999);
        assert_eq!(reader.read(&mut buf).unwrap(), 1, "and back again");
        assert_eq!(reader.seek(SeekFrom::Current(-200_000)).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn the_end_can_be_sought_once_it_is_known() {
    let runtime = runtime();
    let resource = StreamingResource::memory();
    for mut reader in both(&runtime, &resource) {
        let error = reader.seek(SeekFrom::End(-1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(reader.byte_len(), None);
    }
    resource.set_expected_len(10);
    for mut reader in both(&runtime, &resource) {
        assert_eq!(reader.seek(SeekFrom::End(-4)).unwrap(), 6);
        assert_eq!(reader.byte_len(), Some(10));
    }
}

#[test]
fn cancelling_ends_a_blocked_read_from_another_thread() {
    let runtime = runtime();
    let resource = StreamingResource::memory();
    for mut reader in both(&runtime, &resource) {
        let cancel = reader.cancel_handle();
        let reading = thread::spawn(move || {
            let first = reader.read(&mut [0; 8]).unwrap_err();
            let second = reader.read(&mut [0; 8]).unwrap_err();
            (first, second)
        });
        cancel.cancel();
        let (first, second) = reading.join().unwrap();
        for error in [first, second] {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ReadStopped>());
            assert_eq!(inner, Some(&ReadStopped::Cancelled));
        }
    }
}

#[test]
fn an_interrupted_read_goes_on_elsewhere() {
    let runtime = runtime();
    let resource = StreamingResource::memory();
    runtime.block_on(resource.write_at(500, &truth(500..600))).unwrap();
    for mut reader in both(&runtime, &resource) {
        let cancel = reader.cancel_handle();
        let back = cancel.clone();
        let reading = thread::spawn(move || {
            let error = reader.read(&mut [0; 8]).unwrap_err();
            back.resume();
            reader.seek(SeekFrom::Start(500)).unwrap();
            let mut buf = [0; 8];
            reader.read_exact(&mut buf).unwrap();
            (error.kind(), buf)
        });
        cancel.interrupt();
        let (kind, buf) = reading.join().unwrap();
        assert_eq!(kind, ErrorKind::ConnectionAborted);
        assert!(buf == *truth(500..508));
    }
}

#[test]
fn a_failure_arrives_with_its_type_and_reading_again_tries_again() {
    let runtime = runtime();
    let resource = StreamingResource::memory();
    resource.fail(StorageError::source("no network", true));
    for mut reader in both(&runtime, &resource) {
        for _ in 0..2 {
            let error = reader.read(&mut [0; 8]).unwrap_err();
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<StorageError>());
            assert!(inner.is_some_and(|inner| inner.is_retryable()), "{error:?}");
        }
    }
    runtime.block_on(async {
        let _claim = resource.claim().await.unwrap();
        resource.write_at(0, &truth(0..100)).await.unwrap();
    });
    for mut reader in both(&runtime, &resource) {
        let mut buf = [0; 100];
        reader.read_exact(&mut buf).unwrap();
        assert!(buf == *truth(0..100));
    }
}

/// A source that has everything, and remembers which threads read it.
struct Stored {
    reads: Arc<Mutex<Vec<ThreadId>>>,
    /// It has to fetch each time what it has, as from a cold disk.
    is_cold: bool,
}

impl Source for Stored {
    type Error = StorageError;

    async fn wait_range(&self, _: Range<u64>) -> Result<WaitOutcome, StorageError> {
        Ok(WaitOutcome::Ready)
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        self.reads.lock().unwrap().push(thread::current().id());
        if self.is_cold {
            tokio::task::yield_now().await;
        }
        let len = buf.len().min(usize::try_from(100_000 - offset).unwrap());
        buf[..len].copy_from_slice(&truth(offset..offset + len as u64));
        Ok(len)
    }

    fn len(&self) -> Option<u64> {
        Some(100_000)
    }

    fn available_at(&self, offset: u64) -> u64 {
        100_000_u64.saturating_sub(offset)
    }

    fn media_info(&self) -> MediaInfo {
        MediaInfo::default()
    }
}

#[test]
fn stored_bytes_cost_no_task() {
    let runtime = runtime();
    let threads = Arc::new(Mutex::new(Vec::new()));
    let mut reader = {
        let _context = runtime.enter();
        let settings = PrefetchSettings::new(BytePool::new(PoolSettings::default()));
        SyncReader::prefetching(Stored { reads: Arc::clone(&threads), is_cold: false }, settings).unwrap()
    };
    let mut all = vec![0; 100_000];
    for part in all.chunks_mut(10_000) {
        reader.read_exact(part).unwrap();
    }
    assert!(all == truth(0..100_000));
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(*threads.lock().unwrap(), vec![thread::current().id(); 5], "four chunks, and the end");

    threads.lock().unwrap().clear();
    reader.rewind().unwrap();
    for part in all.chunks_mut(20_000) {
        reader.read_exact(part).unwrap();
    }
    assert!(all == truth(0..100_000));
    assert_eq!(*threads.lock().unwrap(), vec![thread::current().id(); 5], "long reads go past the chunks");
}

#[test]
fn what_has_to_be_fetched_is_not_read_twice() {
    let runtime = runtime();
    let reads = Arc::new(Mutex::new(Vec::new()));
    let mut reader = {
        let _context = runtime.enter();
        let settings = PrefetchSettings::new(BytePool::new(PoolSettings::default()));
        SyncReader::prefetching(Stored { reads: Arc::clone(&reads), is_cold: true }, settings).unwrap()
    };
    for seeks in 1..=3 {
        reader.rewind().unwrap();
        let mut all = vec![0; 100_000];
        for part in all.chunks_mut(10_000) {
            reader.read_exact(part).unwrap();
        }
        assert!(all == truth(0..100_000));
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        // 8, 16, 32 and 44 kilobytes, the end, and the one that found the disk cold.
        assert_eq!(reads.lock().unwrap().len(), seeks * 6);
    }
}

#[test]
fn reads_and_seeks_among_bytes_that_arrive_in_any_order_are_true() {
    const LEN: u64 = 60_000;
    const PIECE: u64 = 500;
    let runtime = runtime();
    for seed in 0..40 {
        let resource = StreamingResource::memory();
        resource.set_expected_len(LEN);
        let readers = both(&runtime, &resource).map(|mut reader| {
            thread::spawn(move || {
                for step in 0..60 {
                    let at = byte(seed * 1000 + step) as u64 * LEN / 256;
                    if step % 4 == 0 {
                        reader.seek(SeekFrom::Start(at)).unwrap();
                    }
                    let at = reader.stream_position().unwrap();
                    let mut buf = vec![0; 10 + usize::from(byte(step)) * 20];
                    let read = reader.read(&mut buf).unwrap() as u64;
                    assert!(buf[..read as usize] == truth(at..at + read), "{at}");
                    assert_eq!(read == 0, at == LEN);
                }
            })
        });
        // 7 and 120 have no common divisor: each piece once.
        for piece in (0..LEN / PIECE).map(|n| (n * 7 + seed) % (LEN / PIECE)) {
            let at = piece * PIECE;
            runtime.block_on(resource.write_at(at, &truth(at..at + PIECE))).unwrap();
        }
        runtime.block_on(resource.commit(LEN)).unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
}

/// Counts its reads; has no byte from 1 MiB on until the end of time.
/// Whether it says what it has is the second part.
struct Counting(Arc<AtomicU64>, bool);

impl Source for Counting {
    type Error = StorageError;

    async fn wait_range(&self, _: Range<u64>) -> Result<WaitOutcome, StorageError> {
        pending().await
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        if offset >= 1 << 20 {
            return pending().await;
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        buf.fill(1);
        Ok(buf.len())
    }

    fn available_at(&self, offset: u64) -> u64 {
        if self.1 { (1u64 << 20).saturating_sub(offset) } else { 0 }
    }

    fn len(&self) -> Option<u64> {
        None
    }

    fn media_info(&self) -> MediaInfo {
        MediaInfo::default()
    }
}

#[test]
fn a_burst_of_seeks_costs_what_the_last_one_costs() {
    let runtime = runtime();
    let _context = runtime.enter();
    let reads = Arc::new(AtomicU64::new(0));
    let mut reader = SyncReader::direct(Counting(Arc::clone(&reads), false));
    for offset in 0..1000 {
        reader.seek(SeekFrom::Start(offset)).unwrap();
    }
    reader.read_exact(&mut [0; 10]).unwrap();
    assert_eq!(reads.load(Ordering::SeqCst), 1);
}

#[test]
fn short_reads_are_served_from_one_chunk() {
    let runtime = runtime();
    let _context = runtime.enter();
    for is_direct in [true, false] {
        let reads = Arc::new(AtomicU64::new(0));
        let source = Counting(Arc::clone(&reads), true);
        let mut reader = if is_direct {
            SyncReader::direct(source)
        } else {
            let pool = BytePool::new(PoolSettings::default());
            SyncReader::prefetching(source, PrefetchSettings::new(pool)).unwrap()
        };
        let count = |reader: &mut SyncReader<Counting>, reading: &dyn Fn(&mut SyncReader<Counting>)| {
            let before = reads.load(Ordering::SeqCst);
            reading(reader);
            reads.load(Ordering::SeqCst) - before
        };
        let all = |len: usize| {
            move |reader: &mut SyncReader<Counting>| reader.read_exact(&mut vec![0; len]).unwrap()
        };
        for _ in 0..64 {
            assert!(count(&mut reader, &all(1000)) <= 1);
        }
        reader.seek(SeekFrom::Start(0)).unwrap();
        let in_steps = |reader: &mut SyncReader<Counting>| (0..128).for_each(|_| all(1024)(reader));
        assert_eq!(count(&mut reader, &in_steps), 4, "128 KiB in chunks of 32");
        let about = |reader: &mut SyncReader<Counting>| {
            for offset in [100_000, 129_000, 98_304, 131_000] {
                reader.seek(SeekFrom::Start(offset)).unwrap();
                all(72)(reader);
            }
        };
        assert_eq!(count(&mut reader, &about), 0, "seeks within the chunk");
        assert_eq!(count(&mut reader, &all(16 * 1024)), 1, "a long read goes straight to the source");
    }
}

#[test]
fn what_is_in_hand_is_void_when_the_resource_begins_anew() {
    let runtime = runtime();
    let resource = StreamingResource::memory();
    let _claim = resource.try_claim().unwrap();
    for mut reader in both(&runtime, &resource) {
        runtime.block_on(async {
            resource.write_at(0, &truth(0..5000)).await.unwrap();
            let mut buf = [0; 100];
            reader.read_exact(&mut buf).unwrap();
            assert!(buf == truth(0..100)[..]);
            resource.write_at(5000, &truth(5000..6000)).await.unwrap();
            reader.seek(SeekFrom::Start(4950)).unwrap();
            reader.read_exact(&mut buf).unwrap();
            assert!(buf == truth(4950..5050)[..], "what comes behind the chunk is seen");
            reader.seek(SeekFrom::Start(100)).unwrap();
            reader.read_exact(&mut buf).unwrap();
            resource.reset().await.unwrap();
            resource.write_at(0, &truth(7000..9000)).await.unwrap();
            reader.read_exact(&mut buf).unwrap();
            assert!(buf == truth(7200..7300)[..], "the new bytes");
            resource.reset().await.unwrap();
        });
    }
}

#[test]
fn prefetching_is_bounded_and_starts_small() {
    let runtime = runtime();
    let _context = runtime.enter();
    let reads = Arc::new(AtomicU64::new(0));
    let pool = BytePool::new(PoolSettings::default());
    let mut reader =
        SyncReader::prefetching(Counting(Arc::clone(&reads), false), PrefetchSettings::new(pool)).unwrap();
    let mut buf = vec![0; 1 << 20];
    assert_eq!(reader.read(&mut buf).unwrap(), 8 * 1024, "the first chunk is small");
    assert_eq!(reader.read(&mut buf).unwrap(), 16 * 1024);
    // One in hand, four in the channel, one waiting for room.
    assert!(reads.load(Ordering::SeqCst) <= 2 + 4 + 1);
}

#[test]
fn a_runtime_that_ends_under_a_prefetching_reader_ends_its_reads() {
    let runtime = runtime();
    let resource = StreamingResource::memory();
    let [_, mut reader] = both(&runtime, &resource);
    let reading = thread::spawn(move || reader.read(&mut [0; 8]).map_err(|error| error.kind()));
    runtime.shutdown_background();
    assert!(reading.join().unwrap().is_err());
}
