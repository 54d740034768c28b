//! What an application may rely on without thinking of it: what moves between threads, and what may be printed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::error::Error;
use std::fmt::Debug;

use kithara::assets::{AssetStore, AssetsError};
use kithara::decode::{DecodeError, PcmChunk};
use kithara::file::{FileError, FileEvent, FileOptions, FileStream};
use kithara::hls::{HlsError, HlsEvent, HlsOptions, HlsStream};
use kithara::net::{DefaultNet, DynNet, HeaderValue, NetError, NetOptions};
use kithara::storage::{StorageError, StreamingResource};

#[test]
fn what_an_application_holds_goes_to_any_thread() {
    fn goes<T: Send + 'static>() {}
    fn is_shared<T: Send + Sync + 'static>() {}
    goes::<HlsStream>();
    goes::<FileStream>();
    is_shared::<HlsOptions>();
    is_shared::<FileOptions>();
    is_shared::<DefaultNet>();
    is_shared::<DynNet>();
    is_shared::<AssetStore>();
    is_shared::<StreamingResource>();
    is_shared::<PcmChunk>();
    is_shared::<HlsEvent>();
    is_shared::<FileEvent>();
}

#[test]
fn every_error_boxes() {
    fn is_error<T: Error + Send + Sync + 'static>() {}
    is_error::<HlsError>();
    is_error::<FileError>();
    is_error::<DecodeError>();
    is_error::<NetError>();
    is_error::<AssetsError>();
    is_error::<StorageError>();
}

#[test]
fn options_are_printed_without_what_is_secret() {
    let mut net = NetOptions::default();
    net.http.headers.insert("authorization", HeaderValue::from_static("hunter2"));
    let mut file = FileOptions::new(net.clone().build(), FileOptions::default().assets);
    file.headers.insert("authorization", HeaderValue::from_static("hunter2"));
    let hls = HlsOptions::new(net.build(), HlsOptions::default().assets);
    let printed: [&dyn Debug; 2] = [&file, &hls];
    for options in printed {
        let text = format!("{options:?}");
        assert!(text.contains("authorization") && text.contains("look_ahead"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
