//! What the tests of the PCM share.

use std::pin::pin;
use std::time::Duration;

use kithara_file::{FileEvent, FileStream};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

/// Longer than anything takes that is not stuck.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The first chunk, and `frames` frames in all.
pub(crate) async fn some(stream: &mut FileStream, frames: usize) -> (u64, Vec<f32>) {
    let channels = usize::from(stream.spec().channels);
    let mut samples = Vec::new();
    let mut first = None;
    while samples.len() < frames * channels {
        let chunk = timeout(LONG, stream.next_chunk()).await.expect("stuck").unwrap().expect("the end");
        first.get_or_insert(chunk.position());
        samples.extend_from_slice(chunk.samples());
    }
    samples.truncate(frames * channels);
    (first.unwrap(), samples)
}

/// Plays until the byte at `held`, or a later one, is waited for.
#[allow(dead_code, reason = "not in every binary")]
pub(crate) async fn play_until_stalled(stream: &mut FileStream, events: &mut Receiver<FileEvent>, held: u64) {
    loop {
        let mut next = pin!(timeout(LONG, stream.next_chunk()));
        loop {
            tokio::select! {
                event = events.recv() => match event.unwrap() {
                    FileEvent::Stalled { offset } if offset >= held => return,
                    _ => {}
                },
                chunk = &mut next => {
                    chunk.expect("stuck").unwrap().expect("the end");
                    break;
                }
            }
        }
    }
}
