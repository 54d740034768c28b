//! kithara-net against servers that behave, break and lie: one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod client;
mod framing;
mod hook;
mod http2;
mod layers;
mod redirect;
mod resume;
mod schedules;
mod server;
#[cfg(any(feature = "rustls", feature = "aws-lc"))]
mod tls;

use bytes::Bytes;
use kithara_net::{Body, NetError};

/// Bytes that differ everywhere: `version` tells entities apart.
fn entity(len: usize, version: u8) -> Bytes {
    let mut state = u64::from(version) + 1;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..len).map(step).collect()
}

/// All of a body; the error if it ends in one.
async fn read_all(body: &mut impl Body) -> (Vec<u8>, Result<(), NetError>) {
    let mut bytes = Vec::new();
    loop {
        match body.next_chunk().await {
            Ok(Some(chunk)) => {
                assert!(!chunk.is_empty(), "chunks are never empty");
                bytes.extend_from_slice(&chunk);
            }
            Ok(None) => return (bytes, Ok(())),
            Err(error) => return (bytes, Err(error)),
        }
    }
}

/// Lets the tasks of the client come to rest: a connection whose response was read goes back to the pool by one of them.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
