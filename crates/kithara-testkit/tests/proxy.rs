//! The proxy's line is as long as it says, in virtual time.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use kithara_testkit::{Content, Cut, DelayProxy, HeldClock, Origin, Reply, pattern};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::Instant,
};

const ONE_WAY: Duration = Duration::from_millis(25);
/// A timer counts in milliseconds.
const SLACK: Duration = Duration::from_millis(4);

/// Time to an answer that is a head and nothing else: one parcel on each way. So there is never a timer while a socket has
/// bytes that the machine has not delivered yet, and the clock does not jump ahead of them.
async fn answered(stream: &mut TcpStream) -> Duration {
    let start = Instant::now();
    stream.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut bytes = Vec::with_capacity(1024);
    stream.read_buf(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("HTTP/1.1 204") && text.ends_with("\r\n\r\n"), "{text:?}");
    start.elapsed()
}

fn near(elapsed: Duration, expected: Duration) {
    assert!(elapsed >= expected && elapsed < expected + SLACK, "{elapsed:?} for {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn two_round_trips_on_a_new_connection_and_one_on_an_old() {
    let origin = Origin::start().await.unwrap();
    origin.always("/a", Reply::status(204));
    let proxy = DelayProxy::start(origin.address(), ONE_WAY).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    near(answered(&mut stream).await, 4 * ONE_WAY);
    near(answered(&mut stream).await, 2 * ONE_WAY);
    assert!(proxy.url("/a").starts_with(&format!("http://{}/", proxy.address())));
}

#[tokio::test(start_paused = true)]
async fn bandwidth_and_ends_come_across() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a", Content::pattern(1, 100_000));
    origin.script("/a", [Reply::ok(), Reply::ok().cut_at(5_000, Cut::Close)]);
    let proxy = DelayProxy::start(origin.address(), ONE_WAY).await.unwrap();
    proxy.set_bandwidth(Some(50_000));
    for (size, seconds) in [(100_000, 2), (5_000, 0)] {
        let start = Instant::now();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(pattern::mismatch(1, 0, &bytes[bytes.len() - size..]), None);
        // What the machine delivers late leaves the line idle for `ONE_WAY` at most, seven times: far from a second.
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
    // A server that is not there: the connection ends.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let nowhere = DelayProxy::start(taken.local_addr().unwrap(), ONE_WAY).await.unwrap();
    let mut stream = TcpStream::connect(nowhere.address()).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    drop(proxy);
}

#[tokio::test(start_paused = true)]
async fn a_held_clock_moves_by_hand_alone() {
    let clock = HeldClock::new();
    let start = Instant::now();
    let late = tokio::time::sleep(Duration::from_secs(1));
    tokio::pin!(late);
    let origin = Origin::start_blocking().unwrap();
    origin.always("/a", Reply::status(204));
    let mut stream = TcpStream::connect(origin.address()).await.unwrap();
    tokio::select! {
        biased;
        () = &mut late => panic!("the clock went on while a socket was waited for"),
        _ = answered(&mut stream) => {}
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    late.await;
    drop(clock);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[test]
fn runs_on_a_thread_of_its_own() {
    use std::io::{Read as _, Write as _};
    let origin = Origin::start_blocking().unwrap();
    let proxy = DelayProxy::start_blocking(origin.address(), Duration::ZERO).unwrap();
    let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
    stream.write_all(b"GET /hls/aac4/master.m3u8 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("#EXTM3U"));
}
