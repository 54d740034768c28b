//! Redirects: bounded, http alone, credentials stay at home.

use std::sync::Arc;

use kithara_net::{HeaderValue, HttpClient, HttpOptions, Net, NetError, Request};

use crate::server::{Act, Server, answer, ok};

fn to(location: &str) -> Vec<Act> {
    vec![answer("302 Found", &[&format!("location: {location}"), "content-length: 4"], b"gone")]
}

#[tokio::test]
async fn the_final_url_is_reported_and_relative_locations_resolve() {
    let server = Server::start(|seen, _| match seen.path() {
        "/a/b" => to("../c?x=1"),
        "/c?x=1" => to("//127.0.0.1:PORT/d").into_iter().take(0).chain(to("/d")).collect(),
        _ => vec![ok(&[], b"here")],
    })
    .await;
    let response = HttpClient::default().open(Request::new(server.url("/a/b"))).await.unwrap();
    assert_eq!(response.head.url, server.url("/d"));
    assert_eq!(server.connections(), 1, "the connection is kept over redirects");
}

#[tokio::test]
async fn loops_end() {
    let server = Server::start(|_, _| to("/again?token=secret")).await;
    let error = HttpClient::default().open(Request::new(server.url("/"))).await.err().unwrap();
    assert!(matches!(error, NetError::Redirect { reason: "too many redirects", .. }), "{error}");
    assert!(!error.to_string().contains("secret"));
    assert_eq!(server.seen().len(), 11);
    let none = HttpClient::new(HttpOptions::default().with_max_redirects(0));
    assert!(none.open(Request::new(server.url("/"))).await.is_err());
    assert_eq!(server.seen().len(), 12);
}

#[tokio::test]
async fn bad_targets_are_refused() {
    for location in ["file:///etc/passwd", "data:,x", "ftp://h/", "http://", "http://h:99999/"] {
        let server = Server::start(move |_, _| to(location)).await;
        let error = HttpClient::default().open(Request::new(server.url("/"))).await.err().unwrap();
        assert!(matches!(error, NetError::Redirect { .. }), "{location}: {error}");
        assert!(!error.is_retryable());
    }
    let server = Server::start(|_, _| vec![answer("302 Found", &["content-length: 0"], b"")]).await;
    let error = HttpClient::default().open(Request::new(server.url("/"))).await.err().unwrap();
    assert!(matches!(error, NetError::Redirect { reason: "no Location", .. }));
}

#[tokio::test]
async fn headers_of_the_application_stay_with_their_origin() {
    let other = Arc::new(Server::start(|_, _| vec![ok(&[], b"")]).await);
    let target = other.url("/there").to_string();
    let first = Server::start(move |seen, _| match seen.path() {
        "/local" => to("/here"),
        "/here" => to(&target),
        _ => vec![],
    })
    .await;
    let mut request = Request::new(first.url("/local")).with_range(5..);
    for (name, value) in [
        ("authorization", "Bearer s"),
        ("cookie", "c=s"),
        ("x-api-key", "s"),
        ("x-marked", "s"),
        ("x-plain", "p"),
    ] {
        let mut value = HeaderValue::from_static(value);
        value.set_sensitive(name == "x-marked");
        request.headers.insert(http::HeaderName::from_static(name), value);
    }
    let shared = [("x-shared".parse().unwrap(), HeaderValue::from_static("all"))].into_iter().collect();
    let settings = HttpOptions::default().with_shared_headers(shared);
    // The second server answers 200 to the range: that is its right.
    HttpClient::new(settings).open(request).await.unwrap();
    let [local, here] = &first.seen()[..] else { panic!("two requests") };
    for seen in [local, here] {
        assert_eq!(seen.header("authorization"), Some("Bearer s"));
        assert_eq!(seen.header("cookie"), Some("c=s"));
        assert_eq!(seen.header("x-api-key"), Some("s"));
        assert_eq!(seen.header("x-marked"), Some("s"));
    }
    let there = &other.seen()[0];
    for name in ["authorization", "cookie", "x-api-key", "x-marked", "x-plain"] {
        assert_eq!(there.header(name), None, "{name}");
    }
    assert_eq!(there.header("x-shared"), Some("all"), "said to be for every host");
    assert_eq!(there.header("range"), Some("bytes=5-"));
}

#[tokio::test]
async fn credentials_in_the_url_stay_with_their_origin_too() {
    let other = Server::start(|_, _| vec![ok(&[], b"")]).await;
    let target = other.url("/there").to_string();
    let first = Server::start(move |seen, _| match seen.path() {
        "/local" => to("/here"),
        _ => to(&target),
    })
    .await;
    let mut url = first.url("/local");
    url.set_username("me").unwrap();
    url.set_password(Some("pw")).unwrap();
    HttpClient::default().open(Request::new(url)).await.unwrap();
    assert_eq!(first.seen()[1].header("authorization"), Some("Basic bWU6cHc="));
    assert_eq!(other.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn headers_go_to_the_origin_that_was_opened_and_not_to_hosts_that_a_playlist_names() {
    let opened = Server::start(|_, _| vec![ok(&[], b"")]).await;
    let cdn = Server::start(|_, _| vec![ok(&[], b"")]).await;
    let mut options = HttpOptions::default();
    options.headers.insert("authorization", HeaderValue::from_static("Bearer s"));
    let client = HttpClient::new(options);
    let playlist = Arc::new(opened.url("/list.m3u8"));
    for url in [opened.url("/list.m3u8"), opened.url("/segment"), cdn.url("/segment")] {
        let request = Request::new(url)
            .with_opened(Arc::clone(&playlist))
            .with_header("x-api-key".parse().unwrap(), HeaderValue::from_static("s"));
        client.open(request).await.unwrap();
    }
    for seen in opened.seen() {
        assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (Some("Bearer s"), Some("s")));
    }
    let seen = &cdn.seen()[0];
    assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (None, None));
}

#[tokio::test]
async fn cookies_of_a_redirect_come_back_beside_those_of_the_application() {
    let server = Server::start(|seen, _| match seen.path() {
        "/login" => vec![answer(
            "302 Found",
            &["location: /list", "set-cookie: pass=7; Path=/", "content-length: 0"],
            b"",
        )],
        _ => vec![ok(&[], b"")],
    })
    .await;
    let client = HttpClient::default();
    client.open(Request::new(server.url("/login"))).await.unwrap();
    let own = Request::new(server.url("/segment"))
        .with_header(http::header::COOKIE, HeaderValue::from_static("app=1"));
    client.open(own).await.unwrap();
    assert_eq!(server.seen()[1].header("cookie"), Some("pass=7"));
    assert_eq!(server.seen()[2].header("cookie"), Some("app=1; pass=7"));
}

#[tokio::test]
async fn authentication_that_is_not_supported_is_refused_by_name() {
    for (status, header) in [("401 Unauthorized", "www-authenticate"), ("407 Proxy", "proxy-authenticate")] {
        let digest = format!("{header}: Digest realm=\"r\", nonce=\"n\"");
        let basic = format!("{header}: Basic realm=\"r\"");
        for (challenges, is_named) in [(vec![&*digest], true), (vec![&*digest, &*basic], false)] {
            let headers: Vec<String> = challenges.iter().map(|text| (*text).to_owned()).collect();
            let server = Server::start(move |_, _| {
                let mut all: Vec<&str> = headers.iter().map(String::as_str).collect();
                all.push("content-length: 0");
                vec![answer(status, &all, b"")]
            })
            .await;
            let error = HttpClient::default().open(Request::new(server.url("/"))).await.err().unwrap();
            assert_eq!(error.status().unwrap().as_str(), &status[..3]);
            assert_eq!(matches!(error, NetError::Authentication { .. }), is_named, "{error}");
            assert_eq!(error.to_string().contains("Digest"), is_named, "{error}");
        }
    }
}
