//! The application's say in each request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kithara_net::{HookReason, HttpClient, HttpOptions, Net, NetError, NetOptions, Request, RetryPolicy};

use crate::server::{Server, answer, ok};

fn settings(hook: impl kithara_net::RequestHook) -> HttpOptions {
    HttpOptions::default().with_hook(hook)
}

#[tokio::test]
async fn an_expired_token_is_replaced_once() {
    for status in ["401 Unauthorized", "403 Forbidden", "410 Gone"] {
        let server = Server::start(move |seen, _| match seen.path() {
            "/a?token=2" => vec![ok(&[], b"")],
            _ => vec![answer(status, &["content-length: 0"], b"")],
        })
        .await;
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&reasons);
        let client = HttpClient::new(settings(move |mut request: Request, reason: HookReason| {
            assert_eq!(request.url.query(), None, "the hook sees the caller's request");
            let token = if reason == HookReason::Send { "1" } else { "2" };
            request.url.query_pairs_mut().append_pair("token", token);
            log.lock().unwrap().push(reason);
            async move { Ok(request) }
        }));
        client.open(Request::new(server.url("/a"))).await.unwrap();
        let expected = status[..3].parse::<u16>().unwrap();
        let reasons = reasons.lock().unwrap();
        assert!(matches!(reasons[..], [HookReason::Send, HookReason::Refused(s)] if s.as_u16() == expected));
    }
}

#[tokio::test]
async fn a_second_refusal_is_the_callers() {
    let server = Server::start(|_, _| vec![answer("403 Forbidden", &["content-length: 0"], b"")]).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let net = NetOptions::default()
        .with_hook(move |request: Request, _: HookReason| {
            count.fetch_add(1, Ordering::Relaxed);
            async move { Ok(request) }
        })
        .build();
    let error = net.open(Request::new(server.url("/"))).await.err().unwrap();
    assert_eq!(error.status().map(|s| s.as_u16()), Some(403));
    assert_eq!((calls.load(Ordering::Relaxed), server.seen().len()), (2, 2));
}

#[tokio::test]
async fn without_a_hook_a_refusal_is_one_request() {
    let server = Server::start(|_, _| vec![answer("401 Unauthorized", &["content-length: 0"], b"")]).await;
    assert!(HttpClient::default().open(Request::new(server.url("/"))).await.is_err());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_failing_hook_is_a_typed_error_and_not_retried() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let mut settings = NetOptions::default().with_hook(move |_: Request, _: HookReason| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Err("no token".into()) }
    });
    settings.retry = RetryPolicy { max_retries: 5, ..RetryPolicy::default() };
    let server = Server::start(|_, _| vec![]).await;
    let error = settings.build().open(Request::new(server.url("/"))).await.err().unwrap();
    assert!(matches!(error, NetError::Hook { .. }), "{error}");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_hook_cannot_leave_http() {
    let client = HttpClient::new(settings(|mut request: Request, _: HookReason| {
        request.url = "file:///etc/passwd".parse().unwrap();
        async move { Ok(request) }
    }));
    let server = Server::start(|_, _| vec![]).await;
    let error = client.open(Request::new(server.url("/"))).await.err().unwrap();
    assert!(matches!(error, NetError::UnsupportedScheme { .. }), "{error}");
}

#[tokio::test]
async fn the_hook_is_asked_for_the_target_of_a_redirect_too() {
    let cdn = Server::start(|_, _| vec![ok(&[], b"")]).await;
    let location = format!("location: {}", cdn.url("/edge"));
    let first =
        Server::start(move |_, _| vec![answer("302 Found", &[&location, "content-length: 0"], b"")]).await;
    let client = HttpClient::new(settings(|mut request: Request, reason: HookReason| {
        assert_eq!(request.headers.contains_key("x-own"), reason == HookReason::Send);
        let signature = if reason == HookReason::Redirected { "edge" } else { "home" };
        request.headers.insert("x-signature", signature.parse().unwrap());
        async move { Ok(request) }
    }));
    let request = Request::new(first.url("/")).with_header("x-own".parse().unwrap(), "1".parse().unwrap());
    client.open(request).await.unwrap();
    assert_eq!(first.seen()[0].header("x-signature"), Some("home"));
    assert_eq!(cdn.seen()[0].header("x-signature"), Some("edge"));
    assert_eq!(cdn.seen()[0].header("x-own"), None);
}
