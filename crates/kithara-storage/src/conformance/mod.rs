//! What every implementation of [`Streaming`] and [`Atomic`] has to do, as a suite for tests (feature `conformance`).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use kithara_storage::{StreamingResource, conformance};
//!
//! conformance::streaming(async || StreamingResource::memory()).await;
//! # }
//! ```
//!
//! The suite panics where an implementation breaks a promise. It runs in a tokio runtime of either kind, and reads no clock.
//!
//! [`Streaming`]: crate::Streaming
//! [`Atomic`]: crate::Atomic
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test suite")]

mod atomic;
mod claims;
mod ends;
mod ranges;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::{Atomic, Streaming};

/// Runs the suite. `make` gives a new, empty resource each time.
///
/// # Panics
/// Where a promise is broken.
pub async fn streaming<S: Streaming>(make: impl AsyncFn() -> S) {
    ranges::an_empty_resource_has_nothing(make().await).await;
    ranges::what_was_written_is_read(make().await).await;
    ranges::ranges_coalesce(make().await).await;
    ranges::a_wait_ends_when_its_range_is_complete(make().await).await;
    ranges::large_bodies_are_read_whole(make().await).await;
    ranges::readers_beside_a_writer_see_what_was_announced(make().await).await;
    ranges::bad_ranges_are_refused(make().await).await;
    ranges::discarded_bytes_are_gone_and_can_be_written_again(make().await).await;
    ends::a_commit_ends_every_wait(make().await).await;
    ends::a_commit_with_a_gap_changes_nothing(make().await).await;
    ends::a_commit_may_be_shorter_than_what_was_written(make().await).await;
    ends::an_empty_resource_can_be_committed(make().await).await;
    ends::a_failure_reaches_those_who_wait_and_keeps_what_is_stored(make().await).await;
    ends::a_reset_begins_anew(make().await).await;
    ends::a_committed_resource_can_be_reset(make().await).await;
    claims::one_holds_the_claim_at_a_time(make().await).await;
    claims::a_dropped_wait_for_the_claim_leaves_no_trace(make().await).await;
    claims::hints_and_notes_are_kept_until_a_reset(make().await).await;
}

/// Runs the suite. `make` gives a new object without content each time.
///
/// # Panics
/// Where a promise is broken.
pub async fn atomic<A: Atomic>(make: impl AsyncFn() -> A) {
    atomic::content_is_replaced_as_a_whole(make().await).await;
    atomic::removal_is_idempotent(make().await).await;
    atomic::writers_never_mix(make().await).await;
}

/// The body of the tests: every byte tells its offset.
fn body(len: usize) -> Vec<u8> {
    (0..len).map(byte_at).collect()
}

fn byte_at(offset: usize) -> u8 {
    ((offset as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

/// Polls once, without a waker.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Reads exactly `len` bytes that are there.
async fn read<S: Streaming>(resource: &S, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        let read =
            resource.read_at(offset + done as u64, &mut bytes[done..]).await.expect("stored bytes are read");
        assert!(read > 0, "stored bytes are no end");
        done += read;
    }
    bytes
}
