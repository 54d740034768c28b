use std::pin::pin;

use bytes::Bytes;

use super::{body, poll_once, read};
use crate::{RangeSet, ResourceStatus, StorageError, Streaming, WaitOutcome};

pub(super) async fn a_commit_ends_every_wait<S: Streaming>(resource: S) {
    let body = body(1000);
    resource.write_at(0, &body).await.unwrap();
    let mut buf = [0; 16];
    let early = resource.read_at(1000, &mut buf).await;
    assert!(matches!(early, Err(StorageError::NotAvailable { .. })), "no end before the commit: {early:?}");
    let across = resource.wait_range(900..1100);
    let at_end = resource.wait_range(1000..1001);
    let empty_at_end = resource.wait_range(1000..1000);
    let beyond = resource.wait_range(5000..6000);
    let (mut across, mut at_end, mut beyond) = (pin!(across), pin!(at_end), pin!(beyond));
    assert!(poll_once(across.as_mut()).is_pending());
    assert!(poll_once(at_end.as_mut()).is_pending());
    assert!(poll_once(beyond.as_mut()).is_pending());
    assert_eq!(empty_at_end.await.unwrap(), WaitOutcome::Ready, "an empty range, before the end is known");
    let (across, at_end, beyond, commit) = tokio::join!(across, at_end, beyond, resource.commit(1000));
    commit.unwrap();
    assert_eq!(across.unwrap(), WaitOutcome::Ready);
    assert_eq!((at_end.unwrap(), beyond.unwrap()), (WaitOutcome::Eof, WaitOutcome::Eof));
    assert_eq!(resource.wait_range(1000..1000).await.unwrap(), WaitOutcome::Eof);

    assert!(matches!(resource.status(), ResourceStatus::Committed { len: 1000 }));
    assert_eq!((resource.len(), resource.expected_len()), (Some(1000), Some(1000)));
    assert_eq!(resource.read_at(1000, &mut buf).await.unwrap(), 0);
    assert_eq!(resource.read_at(u64::MAX, &mut buf).await.unwrap(), 0);
    assert_eq!(read(&resource, 0, 1000).await, body);

    let write = resource.write_at(0, b"x").await;
    assert!(matches!(write, Err(StorageError::AlreadyCommitted { len: 1000 })), "{write:?}");
    resource.commit(1000).await.expect("again with the same length");
    assert!(matches!(resource.commit(999).await, Err(StorageError::AlreadyCommitted { len: 1000 })));
    resource.fail(StorageError::source("too late", false));
    resource.set_expected_len(7);
    resource.discard(0..1000).await.unwrap();
    assert!(matches!(resource.status(), ResourceStatus::Committed { len: 1000 }));
    assert_eq!(resource.expected_len(), Some(1000));
    assert_eq!(read(&resource, 0, 1000).await, body, "nothing takes a commit back");
}

pub(super) async fn a_commit_with_a_gap_changes_nothing<S: Streaming>(resource: S) {
    let body = body(1000);
    resource.write_at(0, &body[..400]).await.unwrap();
    resource.write_at(500, &body[500..]).await.unwrap();
    match resource.commit(1000).await {
        Err(StorageError::Incomplete { len: 1000, gap }) => assert_eq!(gap, 400..500),
        other => panic!("{other:?}"),
    }
    assert!(matches!(resource.commit(1001).await, Err(StorageError::Incomplete { .. })));
    assert!(matches!(resource.status(), ResourceStatus::Open));
    assert!(poll_once(pin!(resource.wait_range(300..500))).is_pending());
    resource.write_at(400, &body[400..500]).await.unwrap();
    resource.commit(1000).await.unwrap();
    assert_eq!(read(&resource, 0, 1000).await, body);
}

pub(super) async fn a_commit_may_be_shorter_than_what_was_written<S: Streaming>(resource: S) {
    let body = body(100_000);
    resource.write_at(0, &body).await.unwrap();
    resource.commit(60_000).await.unwrap();
    assert_eq!(resource.len(), Some(60_000));
    assert_eq!(resource.available(), RangeSet::from(0..60_000));
    assert_eq!(resource.read_at(60_000, &mut [0; 9]).await.unwrap(), 0);
    assert_eq!(read(&resource, 0, 60_000).await, body[..60_000]);
}

pub(super) async fn an_empty_resource_can_be_committed<S: Streaming>(resource: S) {
    let (wait, commit) = tokio::join!(resource.wait_range(0..10), resource.commit(0));
    commit.unwrap();
    assert_eq!(wait.unwrap(), WaitOutcome::Eof);
    assert_eq!(resource.len(), Some(0));
    assert_eq!(resource.read_at(0, &mut [0; 9]).await.unwrap(), 0);
}

pub(super) async fn a_failure_reaches_those_who_wait_and_keeps_what_is_stored<S: Streaming>(resource: S) {
    let body = body(1000);
    resource.write_at(0, &body[..500]).await.unwrap();
    let (wait, ()) = tokio::join!(resource.wait_range(400..600), async {
        resource.fail(StorageError::source("the line is dead", true));
    });
    let error = wait.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("the line is dead"), "{error}");
    assert!(matches!(resource.status(), ResourceStatus::Failed(_)));
    assert!(resource.read_at(500, &mut [0; 9]).await.unwrap_err().to_string().contains("the line is dead"));
    assert!(resource.wait_range(900..901).await.is_err(), "also for those who come later");
    assert_eq!(resource.wait_range(0..500).await.unwrap(), WaitOutcome::Ready);
    assert_eq!(read(&resource, 0, 500).await, body[..500]);

    let claim = resource.claim().await.unwrap();
    assert!(matches!(resource.status(), ResourceStatus::Open), "a new attempt");
    assert!(poll_once(pin!(resource.wait_range(400..600))).is_pending());
    resource.write_at(500, &body[500..]).await.unwrap();
    resource.commit(1000).await.unwrap();
    drop(claim);
    assert_eq!(read(&resource, 0, 1000).await, body);
}

pub(super) async fn a_reset_begins_anew<S: Streaming>(resource: S) {
    let body = body(100_000);
    assert!(matches!(resource.reset().await, Err(StorageError::NotClaimed)));
    let claim = resource.claim().await.unwrap();
    resource.write_at(0, &vec![7; 100_000]).await.unwrap();
    resource.set_tag(Some(Bytes::from_static(b"old")));
    resource.set_expected_len(100_000);
    let generation = resource.generation();
    let mut wait = pin!(resource.wait_range(90_000..100_001));
    assert!(poll_once(wait.as_mut()).is_pending());
    resource.reset().await.unwrap();
    assert_eq!(resource.generation(), generation + 1);
    assert!(resource.available().is_empty());
    assert_eq!((resource.expected_len(), resource.tag()), (None, None));
    let nothing = resource.read_at(0, &mut [0; 9]).await;
    assert!(matches!(nothing, Err(StorageError::NotAvailable { .. })), "{nothing:?}");
    assert!(poll_once(wait.as_mut()).is_pending(), "who waits goes on waiting");
    resource.write_at(0, &body).await.unwrap();
    let (wait, commit) = tokio::join!(wait, resource.commit(100_000));
    commit.unwrap();
    assert_eq!(wait.unwrap(), WaitOutcome::Ready);
    assert_eq!(read(&resource, 0, 100_000).await, body);
    drop(claim);
}

pub(super) async fn a_committed_resource_can_be_reset<S: Streaming>(resource: S) {
    resource.write_at(0, b"the old entity").await.unwrap();
    resource.commit(14).await.unwrap();
    let claim = resource.claim().await.unwrap();
    resource.reset().await.unwrap();
    assert!(matches!(resource.status(), ResourceStatus::Open));
    assert_eq!((resource.len(), resource.available_at(0)), (None, 0));
    resource.write_at(0, b"new").await.unwrap();
    assert!(matches!(resource.read_at(3, &mut [0; 9]).await, Err(StorageError::NotAvailable { .. })));
    resource.commit(3).await.unwrap();
    drop(claim);
    assert_eq!(read(&resource, 0, 3).await, b"new");
    assert_eq!(resource.read_at(3, &mut [0; 9]).await.unwrap(), 0);
}
