//! Decryption while bytes arrive.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use aes::cipher::{BlockModeEncrypt, KeyIvInit};
use kithara_assets::{
    AssetResource, AssetSettings, AssetStore, Assets, AssetsError, BaseStore, ChunkProcessor,
    MemoryAssetStore, ProcessError, Processor,
};
use kithara_storage::{ResourceStatus, StorageError, Streaming, StreamingExt, WaitOutcome};
use proptest::prelude::*;

use super::{body, fill, key, stores};

const KEY: [u8; 16] = *b"0123456789abcdef";
const IV: [u8; 16] = *b"fedcba9876543210";

fn aes128() -> Processor {
    Processor::Aes128Cbc { key: KEY, iv: IV }
}

fn pad(plain: &[u8]) -> Vec<u8> {
    let pad = 16 - plain.len() % 16;
    let mut padded = plain.to_vec();
    padded.resize(plain.len() + pad, pad as u8);
    padded
}

fn blocks(bytes: &mut [u8]) -> &mut [aes::cipher::Array<u8, aes::cipher::consts::U16>] {
    aes::cipher::Array::slice_as_chunks_mut(bytes).0
}

fn encrypt(plain: &[u8]) -> Vec<u8> {
    let mut bytes = pad(plain);
    cbc::Encryptor::<aes::Aes128>::new(&KEY.into(), &IV.into()).encrypt_blocks(blocks(&mut bytes));
    bytes
}

fn is_error(error: &StorageError, expected: &ProcessError) -> bool {
    let StorageError::Source { source, retryable } = error else { return false };
    !retryable && source.downcast_ref::<ProcessError>() == Some(expected)
}

async fn read_all(resource: &AssetResource) -> Result<Vec<u8>, StorageError> {
    resource.read_to_end(usize::MAX).await.map(|bytes| bytes.to_vec())
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn every_length_around_a_block_and_a_chunk_decrypts() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &AssetSettings::default()) {
        for len in [0, 1, 15, 16, 17, 31, 32, 33, 32_767, 32_768, 32_769, 65_535, 65_536, 100_001] {
            let (song, plain) = (key("album", &format!("{len}")), body(len));
            fill(&store, &song, &encrypt(&plain)).await;
            let view = store.open_processed_resource(&song, aes128()).await.unwrap();
            assert!(view.is_processed());
            assert_eq!(view.len(), Some(len as u64));
            assert!(matches!(view.status(), ResourceStatus::Committed { len: l } if l == len as u64));
            assert_eq!(read_all(&view).await.unwrap(), plain, "{len}");
            assert_eq!(view.available().covered(), len as u64);
            assert_eq!(view.read_at(len as u64, &mut [0; 4]).await.unwrap(), 0);
            assert_eq!(view.read_at(u64::MAX, &mut [0; 4]).await.unwrap(), 0);
            let past = view.wait_range(len as u64..len as u64 + 1).await.unwrap();
            assert_eq!(past, WaitOutcome::Eof);
        }
    }
}

#[tokio::test]
async fn aes_256_decrypts() {
    let (secret, plain) = ([7; 32], body(5000));
    let mut bytes = pad(&plain);
    cbc::Encryptor::<aes::Aes256>::new(&secret.into(), &IV.into()).encrypt_blocks(blocks(&mut bytes));
    let store = AssetStore::memory(AssetSettings::default());
    fill(&store, &key("a", "1"), &bytes).await;
    let processor = Processor::Aes256Cbc { key: secret, iv: IV };
    let view = store.open_processed_resource(&key("a", "1"), processor).await.unwrap();
    assert_eq!(read_all(&view).await.unwrap(), plain);
}

/// A reader gets each block as soon as it can be one that is not the last.
#[tokio::test]
async fn a_reader_starts_before_the_body_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &AssetSettings::default()) {
        let (song, plain) = (key("album", "song"), body(100_000));
        let encrypted = encrypt(&plain);
        let view = store.open_processed_resource(&song, aes128()).await.unwrap();
        let raw = view.raw();
        assert!(!raw.is_processed());
        let claim = raw.claim().await.unwrap();
        raw.set_expected_len(encrypted.len() as u64);

        let mut first = pin!(view.wait_range(0..16));
        raw.write_at(0, &encrypted[..16]).await.unwrap();
        assert!(poll_once(first.as_mut()).is_pending(), "it may be the last block");
        let mut buf = vec![0; 100_000];
        let early = view.read_at(0, &mut buf).await;
        assert!(matches!(early, Err(StorageError::NotAvailable { offset: 0 })), "{early:?}");
        assert_eq!((view.available_at(0), view.len()), (0, None));

        raw.write_at(16, &encrypted[16..17]).await.unwrap();
        assert!(matches!(poll_once(first.as_mut()), Poll::Ready(Ok(WaitOutcome::Ready))));
        assert_eq!(view.available_at(0), 16);
        assert_eq!(view.read_at(3, &mut buf).await.unwrap(), 13);
        assert_eq!(buf[..13], plain[3..16]);

        // Byte by byte for a while, then in pieces that are no multiples of anything.
        let mut at = 17;
        let mut read = 16;
        while at < encrypted.len() {
            let step = if at < 200 { 1 } else { 4097 }.min(encrypted.len() - at);
            raw.write_at(at as u64, &encrypted[at..at + step]).await.unwrap();
            at += step;
            assert_eq!(view.available_at(read as u64), ((at - 1) / 16 * 16 - read) as u64);
            while let Ok(n) = view.read_at(read as u64, &mut buf).await {
                assert_eq!(buf[..n], plain[read..read + n]);
                read += n;
            }
            assert_eq!(read, (at - 1) / 16 * 16, "everything that can be given out is");
        }
        let mut last = pin!(view.wait_range(99_999..100_001));
        assert!(poll_once(last.as_mut()).is_pending());
        raw.commit(encrypted.len() as u64).await.unwrap();
        drop(claim);
        assert_eq!(last.await.unwrap(), WaitOutcome::Ready);
        assert_eq!(view.len(), Some(100_000));
        assert_eq!(read_all(&view).await.unwrap(), plain);
    }
}

#[tokio::test]
async fn holes_and_pieces_in_any_order() {
    let store = AssetStore::memory(AssetSettings::default());
    let (song, plain) = (key("album", "song"), body(90_000));
    let encrypted = encrypt(&plain);
    let view = store.open_processed_resource(&song, aes128()).await.unwrap();
    let raw = view.raw();
    let _claim = raw.claim().await.unwrap();
    raw.write_at(50_000, &encrypted[50_000..70_000]).await.unwrap();
    // 50,000 is a multiple of 16: the block there needs the one before, which is missing.
    assert_eq!(view.available(), std::iter::once(50_016..69_984).collect());
    assert_eq!(view.available_at(50_000), 0);
    assert_eq!(view.available_at(50_016), 69_984 - 50_016);
    assert!(matches!(view.wait_range(50_016..69_984).await, Ok(WaitOutcome::Ready)));
    assert!(poll_once(pin!(view.wait_range(50_015..50_020))).is_pending());
    // Chunks begin at multiples of 32 KiB; reading in the middle of one needs its start.
    let mut buf = vec![0; 4];
    raw.write_at(32_752, &encrypted[32_752..50_000]).await.unwrap();
    let mut at = 60_000;
    while at < 65_536 {
        let n = view.read_at(at as u64, &mut buf).await.unwrap();
        assert_eq!(buf[..n], plain[at..at + n]);
        at += n;
    }
    raw.write_at(0, &encrypted[..32_752]).await.unwrap();
    raw.write_at(70_000, &encrypted[70_000..]).await.unwrap();
    raw.commit(encrypted.len() as u64).await.unwrap();
    assert_eq!(read_all(&view).await.unwrap(), plain);
}

#[tokio::test]
async fn a_wrong_key_is_a_typed_error_that_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &AssetSettings::default()) {
        let (song, plain) = (key("album", "song"), body(1000));
        fill(&store, &song, &encrypt(&plain)).await;
        let wrong = Processor::Aes128Cbc { key: [1; 16], iv: IV };
        let view = store.open_processed_resource(&song, wrong.clone()).await.unwrap();
        for _ in 0..2 {
            let error = read_all(&view).await.unwrap_err();
            assert!(is_error(&error, &ProcessError::Padding), "{error:?}");
            assert!(!format!("{error:?} {error} {wrong:?} {view:?}").contains("[1, 1"));
            let waited = view.wait_range(0..1).await.unwrap_err();
            assert!(is_error(&waited, &ProcessError::Padding));
            assert!(matches!(view.status(), ResourceStatus::Failed(_)));
        }
        let right = store.open_processed_resource(&song, aes128()).await.unwrap();
        assert_eq!(read_all(&right).await.unwrap(), plain);
        drop(view);
        // Whoever asks for the plain resource gets what the server sent.
        assert_eq!(super::content(&store, &song).await, encrypt(&plain));
    }
}

#[tokio::test]
async fn a_body_of_half_blocks_is_a_typed_error() {
    let store = AssetStore::memory(AssetSettings::default());
    for (name, len) in [("empty", 0), ("cut", 1000), ("one", 1)] {
        fill(&store, &key("album", name), &vec![0; len]).await;
        let view = store.open_processed_resource(&key("album", name), aes128()).await.unwrap();
        let error = read_all(&view).await.unwrap_err();
        assert!(is_error(&error, &ProcessError::Length { len: len as u64, unit: 16 }), "{error:?}");
    }
}

#[tokio::test]
async fn a_decrypting_handle_is_for_reading() {
    let store = AssetStore::memory(AssetSettings::default());
    let view = store.open_processed_resource(&key("a", "1"), aes128()).await.unwrap();
    assert!(is_error(&view.write_at(0, b"x").await.unwrap_err(), &ProcessError::ReadOnly));
    assert!(is_error(&view.commit(0).await.unwrap_err(), &ProcessError::ReadOnly));
    let base = BaseStore::Memory(MemoryAssetStore::new(&AssetSettings::default()));
    let none = base.open_processed_resource(&key("a", "1"), aes128()).await;
    assert!(matches!(none, Err(AssetsError::NoProcessing)));
}

#[tokio::test]
async fn a_new_entity_is_not_mixed_with_the_old_one() {
    let store = AssetStore::memory(AssetSettings::default());
    let (song, old, new) = (key("album", "song"), body(50_000), vec![9; 40_000]);
    let raw = fill(&store, &song, &encrypt(&old)).await;
    let view = store.open_processed_resource(&song, aes128()).await.unwrap();
    assert_eq!(read_all(&view).await.unwrap(), old);
    let _claim = raw.claim().await.unwrap();
    raw.reset().await.unwrap();
    assert!(matches!(view.read_at(0, &mut [0; 16]).await, Err(StorageError::NotAvailable { .. })));
    let encrypted = encrypt(&new);
    raw.write_at(0, &encrypted).await.unwrap();
    raw.commit(encrypted.len() as u64).await.unwrap();
    assert_eq!(view.len(), Some(40_000));
    assert_eq!(read_all(&view).await.unwrap(), new);
}

#[tokio::test]
async fn a_failed_download_reaches_who_reads_decrypted() {
    let store = AssetStore::memory(AssetSettings::default());
    let view = store.open_processed_resource(&key("a", "1"), aes128()).await.unwrap();
    let raw = view.raw();
    let claim = raw.claim().await.unwrap();
    raw.write_at(0, &encrypt(&body(100))[..40]).await.unwrap();
    raw.fail(StorageError::source("connection lost", true));
    drop(claim);
    assert!(view.wait_range(0..16).await.is_ok());
    assert!(view.wait_range(0..100).await.unwrap_err().is_retryable());
    assert!(view.read_at(32, &mut [0; 9]).await.unwrap_err().is_retryable());
    assert_eq!(view.read_at(0, &mut [0; 99]).await.unwrap(), 32);
}

/// Turns every byte round, and counts; may refuse, or wait for nobody.
#[derive(Debug, Default)]
struct Flip {
    bytes: AtomicUsize,
    failures: AtomicUsize,
}

impl ChunkProcessor for Flip {
    fn unit(&self) -> usize {
        1
    }

    fn lookback(&self) -> usize {
        0
    }

    fn trims_end(&self) -> bool {
        false
    }

    fn process(&self, _: u64, before: &[u8], data: &mut [u8]) -> Result<(), ProcessError> {
        assert!(before.is_empty());
        if self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
        {
            return Err(ProcessError::Other("not now".into()));
        }
        self.bytes.fetch_add(data.len(), Ordering::Relaxed);
        data.iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    }

    fn last_unit(&self, last: &[u8]) -> Result<usize, ProcessError> {
        Ok(last.len())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_readers_process_once() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &AssetSettings::default()) {
        let (song, plain) = (key("album", "song"), body(200_000));
        let flipped: Vec<u8> = plain.iter().map(|byte| !byte).collect();
        let flip = Arc::new(Flip::default());
        let raw = store.open_streaming_resource(&song).await.unwrap();
        let claim = raw.claim().await.unwrap();
        let mut readers = Vec::new();
        for _ in 0..8 {
            let view = store.open_processed_resource(&song, Processor::Custom(flip.clone())).await.unwrap();
            readers.push(tokio::spawn(async move { read_all(&view).await.unwrap() }));
        }
        for (index, chunk) in flipped.chunks(7_000).enumerate() {
            raw.write_at(index as u64 * 7_000, chunk).await.unwrap();
            tokio::task::yield_now().await;
        }
        raw.commit(200_000).await.unwrap();
        drop(claim);
        for reader in readers {
            assert!(reader.await.unwrap() == plain);
        }
        assert_eq!(flip.bytes.load(Ordering::Relaxed), 200_000, "each byte once");
    }
}

#[tokio::test]
async fn a_failure_is_tried_again_by_the_next_reader() {
    let store = AssetStore::memory(AssetSettings::default());
    fill(&store, &key("a", "1"), &[0; 100]).await;
    let flip = Arc::new(Flip { failures: 2.into(), ..Flip::default() });
    let view = store.open_processed_resource(&key("a", "1"), Processor::Custom(flip)).await.unwrap();
    for _ in 0..2 {
        assert!(is_error(&read_all(&view).await.unwrap_err(), &ProcessError::Other("not now".into())));
    }
    assert_eq!(read_all(&view).await.unwrap(), [0xff; 100]);
}

/// What is kept is bounded: a resource read twice from its start is processed twice when it is longer than the window.
#[tokio::test]
async fn a_window_bounds_what_is_kept() {
    let store = AssetStore::memory(AssetSettings::default().with_processed_window(64 << 10));
    fill(&store, &key("a", "1"), &vec![0; 1 << 20]).await;
    let flip = Arc::new(Flip::default());
    let view = store.open_processed_resource(&key("a", "1"), Processor::Custom(flip.clone())).await.unwrap();
    for round in 1..=2 {
        assert_eq!(read_all(&view).await.unwrap().len(), 1 << 20);
        assert_eq!(flip.bytes.load(Ordering::Relaxed), round << 20);
    }
    // Small reads within a chunk do not process it again.
    for offset in 0..1000 {
        view.read_at(offset * 3, &mut [0; 3]).await.unwrap();
    }
    assert_eq!(flip.bytes.load(Ordering::Relaxed), (2 << 20) + (32 << 10));
}

/// A reader that is cancelled in the middle of a chunk hands the work on.
#[tokio::test]
async fn a_cancelled_reader_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let [store, _] = stores(folder.path(), &AssetSettings::default());
    let (song, plain) = (key("album", "song"), body(100_000));
    fill(&store, &song, &encrypt(&plain)).await;
    for _ in 0..20 {
        let view = store.open_processed_resource(&song, aes128()).await.unwrap();
        let mut buf = [0; 100];
        let _ = poll_once(pin!(view.read_at(50_000, &mut buf)));
        let other = view.clone();
        assert!(other.read_at(50_000, &mut buf).await.unwrap() > 0);
        assert_eq!(buf[..10], plain[50_000..50_010]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any length, any cut of the arriving body, any reads, any window: always the bytes of the whole decryption.
    #[test]
    fn any_schedule_gives_the_same_bytes(
        len in 0_usize..150_000,
        cuts in prop::collection::vec(1_usize..40_000, 1..12),
        reads in prop::collection::vec((0_usize..150_000, 1_usize..50_000), 1..30),
        window in prop::sample::select(vec![0_usize, 64 << 10, 1 << 20]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = AssetStore::memory(AssetSettings::default().with_processed_window(window));
            let (song, plain) = (key("a", "1"), body(len));
            let encrypted = encrypt(&plain);
            let view = store.open_processed_resource(&song, aes128()).await.unwrap();
            let raw = view.raw();
            let _claim = raw.claim().await.unwrap();
            let mut buf = vec![0; 50_000];
            let mut cuts = cuts.iter().cycle();
            let mut at = 0;
            let mut reads = reads.iter().cycle();
            while at < encrypted.len() {
                let end = (at + cuts.next().unwrap()).min(encrypted.len());
                raw.write_at(at as u64, &encrypted[at..end]).await.unwrap();
                at = end;
                if at == encrypted.len() {
                    raw.commit(at as u64).await.unwrap();
                }
                for (offset, want) in reads.by_ref().take(5) {
                    let there = view.available_at(*offset as u64) as usize;
                    match view.read_at(*offset as u64, &mut buf[..*want]).await {
                        Ok(n) => {
                            assert!(n <= there.min(*want));
                            assert_eq!(&buf[..n], &plain[*offset.min(&len)..(offset + n).min(len)]);
                            assert!(n > 0 || (at == encrypted.len() && *offset >= len));
                        }
                        Err(StorageError::NotAvailable { .. }) => assert_eq!(there, 0),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            assert_eq!(read_all(&view).await.unwrap(), plain);
        });
    }
}
