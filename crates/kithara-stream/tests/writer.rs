//! `Writer`: bodies into resources.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use kithara_net::{Body, MockAnswer, MockNet, MockStep, Net, NetError, Request};
use kithara_storage::{StorageOptions, Streaming, StreamingResource};
use kithara_stream::{EntityWriter, WriteError, Writer};
use tokio::time::timeout;
use url::Url;

/// Chunks that are ready at once; `None` is a moment without any.
struct Ready(VecDeque<Option<Bytes>>);

impl Body for Ready {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        match self.0.front() {
            Some(None) => pending().await,
            _ => Ok(self.0.pop_front().flatten()),
        }
    }

    fn is_complete(&self) -> bool {
        self.0.is_empty()
    }
}

fn small(count: usize, len: usize) -> Ready {
    Ready((0..count).map(|at| Some(Bytes::from(vec![at as u8; len]))).collect())
}

#[tokio::test]
async fn small_chunks_are_put_together_and_long_ones_are_not_held_back() {
    let resource = StreamingResource::memory();
    let into = EntityWriter::claim(&resource).await.unwrap();
    let mut writer = Writer::new(5);
    let mut body = small(100, 1000);
    assert_eq!(writer.step(&mut body, &into).await.unwrap(), Some(66_000), "what is ready, up to a batch");
    assert_eq!(writer.step(&mut body, &into).await.unwrap(), Some(34_000));
    assert_eq!(writer.step(&mut body, &into).await.unwrap(), None);
    assert_eq!(writer.step(&mut body, &into).await.unwrap(), None, "the end stays the end");
    assert_eq!((resource.available_at(5), writer.offset()), (100_000, 100_005));
    let mut read = vec![0; 100_000];
    let mut done = 0;
    while done < read.len() {
        done += resource.read_at(5 + done as u64, &mut read[done..]).await.unwrap();
    }
    assert!(read.chunks(1000).enumerate().all(|(at, chunk)| chunk.iter().all(|&byte| byte == at as u8)));
}

#[tokio::test]
async fn the_first_bytes_are_readable_before_the_second_come() {
    let resource = StreamingResource::memory();
    let into = EntityWriter::claim(&resource).await.unwrap();
    let mut writer = Writer::new(0);
    let mut body = Ready(VecDeque::from([Some(Bytes::from_static(b"a")), None]));
    assert_eq!(writer.step(&mut body, &into).await.unwrap(), Some(1));
    assert_eq!(resource.available_at(0), 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_dropped_loses_nothing() {
    let entity = Bytes::from((0..200_000u32).map(|at| (at / 7) as u8).collect::<Vec<_>>());
    let url = Url::parse("http://mock/a").unwrap();
    let served = entity.clone();
    let net = MockNet::new(move |_: &Request| {
        let mut answer = MockAnswer::ok(Bytes::new());
        for chunk in served.chunks(3001) {
            answer = answer
                .then(MockStep::Data(Bytes::copy_from_slice(chunk)))
                .then(MockStep::Wait(Duration::from_millis(2)));
        }
        answer.chunked()
    });
    let mut body = net.open(Request::new(url)).await.unwrap().body;
    let resource = StreamingResource::memory();
    let into = EntityWriter::claim(&resource).await.unwrap();
    let mut writer = Writer::new(0);
    let mut dropped = 0;
    loop {
        match timeout(Duration::from_millis(1), writer.step(&mut body, &into)).await {
            Err(_) => dropped += 1,
            Ok(step) => {
                if step.unwrap().is_none() {
                    break;
                }
            }
        }
    }
    assert!(dropped > 50, "{dropped}");
    resource.commit(entity.len() as u64).await.unwrap();
    let mut read = vec![0; entity.len()];
    let mut done = 0;
    while done < read.len() {
        done += resource.read_at(done as u64, &mut read[done..]).await.unwrap();
    }
    assert!(read == entity);
}

#[tokio::test]
async fn what_came_before_a_failure_is_written() {
    let net = MockNet::new(|_: &Request| {
        MockAnswer::ok(vec![7; 10_000]).in_chunks(1000).cut(5000, MockStep::Break)
    });
    let mut body = net.open(Request::new(Url::parse("http://mock/a").unwrap())).await.unwrap().body;
    let resource = StreamingResource::memory();
    let into = EntityWriter::claim(&resource).await.unwrap();
    let mut writer = Writer::new(0);
    let error = writer.copy(&mut body, &into).await.unwrap_err();
    assert!(matches!(error, WriteError::Net(_)) && error.is_retryable(), "{error:?}");
    assert_eq!(resource.available_at(0), 5000);
}

#[tokio::test(start_paused = true)]
async fn a_slow_download_survives_the_end_of_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("song");
    let resource = StreamingResource::disk(&path, StorageOptions::default()).unwrap();
    let into = EntityWriter::claim(&resource).await.unwrap();
    let mut writer = Writer::new(0);
    let mut body = Ready((0..4).flat_map(|_| [Some(Bytes::from_static(&[7; 1000])), None]).collect());
    for _ in 0..4 {
        writer.step(&mut body, &into).await.unwrap();
        body.0.pop_front();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // What another process finds, without a word from this one.
    let other = StreamingResource::disk(&path, StorageOptions::default()).unwrap();
    assert!(other.available_at(0) >= 3000, "{:?}", other.available());
}

#[tokio::test]
async fn bytes_that_differ_from_the_stored_ones_are_not_spliced() {
    for (stored, served, at, fits) in [
        (b"abcdef", b"abcdefgh", 0, true),
        (b"abcdef", b"abcdeXgh", 0, false),
        (b"abcdef", b"defghijk", 3, true),
        (b"abcdef", b"deXghijk", 3, false),
    ] {
        let resource = StreamingResource::memory();
        let into = EntityWriter::claim(&resource).await.unwrap();
        into.write_at(0, stored).await.unwrap();
        let mut body = Ready(VecDeque::from([Some(Bytes::from_static(served))]));
        let copied = Writer::new(at).comparing(true).copy(&mut body, &into).await;
        assert_eq!(copied.is_ok(), fits, "{copied:?}");
        let expected = if fits { at + 8 } else { 6 };
        assert_eq!(resource.available_at(0), expected);
    }
}
