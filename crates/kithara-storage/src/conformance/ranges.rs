use std::pin::pin;

use super::{body, byte_at, poll_once, read};
use crate::{RangeSet, ResourceStatus, StorageError, Streaming, WaitOutcome};

pub(super) async fn an_empty_resource_has_nothing<S: Streaming>(resource: S) {
    assert!(resource.available().is_empty());
    assert_eq!(resource.available_at(0), 0);
    assert!(matches!(resource.status(), ResourceStatus::Open));
    assert_eq!((resource.len(), resource.expected_len(), resource.tag()), (None, None, None));
    let mut buf = [0; 8];
    let nothing = resource.read_at(0, &mut buf).await;
    assert!(matches!(nothing, Err(StorageError::NotAvailable { offset: 0 })), "{nothing:?}");
    assert!(poll_once(pin!(resource.wait_range(0..1))).is_pending());
    assert_eq!(resource.wait_range(5..5).await.unwrap(), WaitOutcome::Ready);
}

pub(super) async fn what_was_written_is_read<S: Streaming>(resource: S) {
    let body = body(100_000);
    resource.write_at(1000, &body[1000..50_000]).await.unwrap();
    resource.write_at(70_000, &body[70_000..]).await.unwrap();
    for (offset, len) in [(1000, 49_000), (1000, 1), (49_999, 1), (16_383, 2), (70_000, 30_000)] {
        assert_eq!(read(&resource, offset, len).await, body[offset as usize..offset as usize + len]);
    }
    assert_eq!((resource.available_at(1000), resource.available_at(50_000)), (49_000, 0));
    // A read stops at a gap, and never gives what was not written.
    let mut buf = vec![0; 100];
    let at_gap = resource.read_at(49_990, &mut buf).await.unwrap();
    assert!((1..=10).contains(&at_gap));
    for offset in [0, 999, 50_000, 69_999, 100_000] {
        let gap = resource.read_at(offset, &mut buf).await;
        assert!(matches!(gap, Err(StorageError::NotAvailable { .. })), "at {offset}: {gap:?}");
    }
    assert_eq!(resource.read_at(1000, &mut []).await.unwrap(), 0);
    resource.write_at(0, &[]).await.unwrap();
    assert_eq!(resource.available().iter().collect::<Vec<_>>(), [1000..50_000, 70_000..100_000]);
}

pub(super) async fn ranges_coalesce<S: Streaming>(resource: S) {
    let body = body(64 * 64);
    for part in 0..32 {
        resource.write_at(part * 64, &body[..64]).await.unwrap();
        assert_eq!(resource.available().range_count(), 1, "sequential writes keep one range");
    }
    for part in (32..64).rev().filter(|part| part % 2 == 1).chain((32..64).filter(|part| part % 2 == 0)) {
        resource.write_at(part * 64, &body[..64]).await.unwrap();
    }
    assert_eq!(resource.available(), RangeSet::from(0..64 * 64));
    resource.write_at(100, &body[..1000]).await.unwrap();
    assert_eq!(resource.available(), RangeSet::from(0..64 * 64));
}

pub(super) async fn a_wait_ends_when_its_range_is_complete<S: Streaming>(resource: S) {
    let body = body(300);
    let mut wait = pin!(resource.wait_range(100..200));
    let mut dropped = Box::pin(resource.wait_range(100..101));
    assert!(poll_once(wait.as_mut()).is_pending());
    assert!(poll_once(dropped.as_mut()).is_pending());
    drop(dropped);
    for part in [0..100, 200..300, 100..150, 151..200] {
        resource.write_at(part.start as u64, &body[part]).await.unwrap();
        assert!(poll_once(wait.as_mut()).is_pending(), "one byte is missing");
    }
    let (outcome, ()) = tokio::join!(wait, async { resource.write_at(150, &body[150..151]).await.unwrap() });
    assert_eq!(outcome.unwrap(), WaitOutcome::Ready);
    assert_eq!(read(&resource, 0, 300).await, body);
}

/// Also shows a backend that cuts long reads.
pub(super) async fn large_bodies_are_read_whole<S: Streaming>(resource: S) {
    let body = body(5 * 1024 * 1024 + 77);
    for (index, part) in body.chunks(1024 * 1024 + 13).enumerate() {
        resource.write_at(index as u64 * (1024 * 1024 + 13), part).await.unwrap();
    }
    assert!(read(&resource, 0, body.len()).await == body, "one large read");
    assert!(read(&resource, 1_500_001, 3_000_000).await == body[1_500_001..4_500_001]);
    resource.commit(body.len() as u64).await.unwrap();
    assert!(read(&resource, 0, body.len()).await == body, "after the commit");
}

pub(super) async fn readers_beside_a_writer_see_what_was_announced<S: Streaming>(resource: S) {
    const CHUNKS: usize = 64;
    const CHUNK: usize = 10_000;
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let resource = resource.clone();
            tokio::spawn(async move {
                let (mut at, mut buf) = (0, vec![0; 7_000 + reader * 3_000]);
                loop {
                    let want = at as u64..(at + 1 + reader * 2_000) as u64;
                    if resource.wait_range(want).await.unwrap() == WaitOutcome::Eof {
                        return at;
                    }
                    let read = resource.read_at(at as u64, &mut buf).await.unwrap();
                    assert!(read > 0, "announced bytes can be read");
                    assert!((0..read).all(|i| buf[i] == byte_at(at + i)), "wrong bytes at {at}");
                    at += read;
                }
            })
        })
        .collect();
    for index in (0..CHUNKS).map(|index| (index * 37 + 11) % CHUNKS) {
        let part: Vec<u8> = (index * CHUNK..(index + 1) * CHUNK).map(byte_at).collect();
        resource.write_at((index * CHUNK) as u64, &part).await.unwrap();
        tokio::task::yield_now().await;
    }
    resource.commit((CHUNKS * CHUNK) as u64).await.unwrap();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), CHUNKS * CHUNK);
    }
}

pub(super) async fn bad_ranges_are_refused<S: Streaming>(resource: S) {
    let (start, end) = (9, 3);
    let backwards = resource.wait_range(start..end).await;
    assert!(matches!(backwards, Err(StorageError::InvalidRange { .. })), "{backwards:?}");
    for offset in [u64::MAX, u64::MAX - 1, i64::MAX as u64] {
        let far = resource.write_at(offset, b"xy").await;
        assert!(matches!(far, Err(StorageError::InvalidRange { .. })), "{far:?}");
    }
    let mut buf = [0; 4];
    let far = resource.read_at(u64::MAX, &mut buf).await;
    assert!(matches!(far, Err(StorageError::NotAvailable { .. })), "{far:?}");
    assert!(resource.commit(u64::MAX).await.is_err());
    assert!(resource.available().is_empty());
}

pub(super) async fn discarded_bytes_are_gone_and_can_be_written_again<S: Streaming>(resource: S) {
    let body = body(200_000);
    resource.write_at(0, &body).await.unwrap();
    resource.discard(1_000..150_000).await.unwrap();
    assert_eq!(resource.available().iter().collect::<Vec<_>>(), [0..1_000, 150_000..200_000]);
    let mut buf = [0; 64];
    let gone = resource.read_at(1_000, &mut buf).await;
    assert!(matches!(gone, Err(StorageError::NotAvailable { .. })), "{gone:?}");
    assert_eq!(read(&resource, 0, 1_000).await, body[..1_000]);
    assert_eq!(read(&resource, 150_000, 50_000).await, body[150_000..]);
    assert!(poll_once(pin!(resource.wait_range(0..2_000))).is_pending());
    resource.write_at(1_000, &body[1_000..150_000]).await.unwrap();
    assert!(read(&resource, 0, body.len()).await == body);
}
