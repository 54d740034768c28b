use std::pin::pin;

use bytes::Bytes;

use super::poll_once;
use crate::Streaming;

pub(super) async fn one_holds_the_claim_at_a_time<S: Streaming>(resource: S) {
    let first = resource.claim().await.unwrap();
    assert!(resource.try_claim().unwrap().is_none());
    let mut second = pin!(resource.claim());
    assert!(poll_once(second.as_mut()).is_pending());
    let (second, ()) = tokio::join!(second, async { drop(first) });
    let second = second.unwrap();
    assert!(resource.clone().try_claim().unwrap().is_none(), "clones are one resource");
    drop(second);
    let third = resource.try_claim().unwrap().expect("free again");
    // A claim does not outlive its purpose when the resource is complete.
    resource.write_at(0, b"x").await.unwrap();
    resource.commit(1).await.unwrap();
    drop(third);
    assert!(resource.try_claim().unwrap().is_some());
}

pub(super) async fn a_dropped_wait_for_the_claim_leaves_no_trace<S: Streaming>(resource: S) {
    let held = resource.claim().await.unwrap();
    let mut given_up = Box::pin(resource.claim());
    let mut patient = pin!(resource.claim());
    assert!(poll_once(given_up.as_mut()).is_pending());
    assert!(poll_once(patient.as_mut()).is_pending());
    drop(held);
    drop(given_up);
    drop(patient.await.expect("passed on although another was first in line"));
    drop(resource.try_claim().unwrap().expect("free again"));
}

pub(super) async fn hints_and_notes_are_kept_until_a_reset<S: Streaming>(resource: S) {
    resource.set_expected_len(10);
    resource.set_expected_len(20);
    assert_eq!((resource.expected_len(), resource.len()), (Some(20), None));
    resource.set_tag(Some(Bytes::from_static(b"note")));
    assert_eq!(resource.tag().as_deref(), Some(&b"note"[..]));
    resource.set_tag(Some(vec![0; 5000].into()));
    assert_eq!(resource.tag(), None, "too long to be kept");
    resource.set_tag(None);
    resource.flush().await.unwrap();
    // A hint is no end.
    assert!(poll_once(pin!(resource.wait_range(20..21))).is_pending());
    resource.write_at(0, &[1; 30]).await.unwrap();
    resource.flush().await.unwrap();
    assert_eq!(resource.available_at(0), 30, "a hint is no limit either");
}
