//! What once went wrong, by name.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use bytes::Bytes;
use kithara_testkit::{Origin, Resource, media};
use support::{check, hls_options, open_hls, read_all};

/// ffmpeg ends a FLAC presentation with a media segment that holds a `styp` box and nothing else.
#[tokio::test]
async fn a_last_segment_without_samples_is_no_error() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("aac4/128k").unwrap();
    let list = std::str::from_utf8(media::file(fixture.entry).unwrap()).unwrap();
    let list = list.replace("#EXT-X-ENDLIST", "#EXTINF:0.1,\nempty.m4s\n#EXT-X-ENDLIST");
    let styp = b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix";
    origin.serve("/hls/aac4/128k/empty.m4s", Resource::new(Bytes::from_static(styp)));
    origin.serve("/hls/aac4/128k/with-empty.m3u8", Resource::new(Bytes::from(list)));
    let mut stream = open_hls(&origin.url("/hls/aac4/128k/with-empty.m3u8"), hls_options()).await.unwrap();
    check(fixture, &read_all!(stream));
}
