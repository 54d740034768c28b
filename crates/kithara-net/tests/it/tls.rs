//! TLS: verified, lazily, with roots of the application.

use std::sync::Arc;
use std::time::Duration;

use kithara_net::{
    HttpClient, HttpOptions, Net, NetError, NetExt, Phase, Request, RootCertificate, Url, VersionSetting,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::server::read_head;

const ROOT: &[u8] = include_bytes!("../tls/ca.pem");

struct Server {
    task: JoinHandle<()>,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(alpn: &[&[u8]]) -> Self {
        let cert = CertificateDer::from_pem_slice(include_bytes!("../tls/server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../tls/server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        let service = hyper::service::service_fn(|_| async {
                            Ok::<_, std::convert::Infallible>(http::Response::new(String::from("secure")))
                        });
                        let io = hyper_util::rt::TokioIo::new(stream);
                        let executor = hyper_util::rt::TokioExecutor::new();
                        let _ = hyper::server::conn::http2::Builder::new(executor)
                            .serve_connection(io, service)
                            .await;
                        return;
                    }
                    while read_head(&mut stream).await.is_some() {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecure";
                        if stream.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { task, port }
    }

    fn url(&self, host: &str) -> Url {
        Url::parse(&format!("https://{host}:{}/", self.port)).unwrap()
    }
}

fn trusting(only: bool) -> HttpOptions {
    HttpOptions::default().with_extra_roots(vec![RootCertificate::new(ROOT)]).with_only_extra_roots(only)
}

#[tokio::test]
async fn roots_of_the_application_are_trusted() {
    let server = Server::start(&[b"http/1.1"]).await;
    for only in [true, false] {
        let client = HttpClient::new(trusting(only));
        let (_, bytes) = client.get_bytes(Request::new(server.url("localhost")), 10).await.unwrap();
        assert_eq!(&bytes[..], b"secure");
    }
    let der = CertificateDer::from_pem_slice(ROOT).unwrap().to_vec();
    let settings = trusting(true).with_extra_roots(vec![RootCertificate::new(der)]);
    HttpClient::new(settings).open(Request::new(server.url("localhost"))).await.unwrap();
}

#[tokio::test]
async fn http2_is_negotiated() {
    let server = Server::start(&[b"h2", b"http/1.1"]).await;
    for (version, expected) in
        [(VersionSetting::Negotiate, http::Version::HTTP_2), (VersionSetting::Http1, http::Version::HTTP_11)]
    {
        let client = HttpClient::new(trusting(true).with_version(version));
        let (head, bytes) = client.get_bytes(Request::new(server.url("localhost")), 10).await.unwrap();
        assert_eq!((head.version, &bytes[..]), (expected, &b"secure"[..]));
    }
}

#[tokio::test]
async fn strangers_are_refused_and_not_asked_again() {
    let server = Server::start(&[]).await;
    let error = HttpClient::default().open(Request::new(server.url("localhost"))).await.err().unwrap();
    assert!(matches!(error, NetError::Tls { .. }), "{error:?}");
    assert!(!error.is_retryable());
    // The certificate is not for this name.
    let error =
        HttpClient::new(trusting(true)).open(Request::new(server.url("127.0.0.1"))).await.err().unwrap();
    assert!(matches!(error, NetError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn bad_roots_show_as_an_error() {
    let server = Server::start(&[]).await;
    for bad in [&b"junk"[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b""] {
        let settings = trusting(true).with_extra_roots(vec![RootCertificate::new(bad)]);
        let error =
            HttpClient::new(settings).open(Request::new(server.url("localhost"))).await.err().unwrap();
        assert!(matches!(error, NetError::Tls { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn connecting_has_a_limit_of_its_own() {
    // Accepts, and never shakes hands.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let limit = Duration::from_millis(50);
    let client = HttpClient::with_connect_timeout(trusting(true), limit);
    let error = client.open(Request::new(url)).await.err().unwrap();
    assert!(
        matches!(error, NetError::Timeout { phase: Phase::Connect, after, .. } if after == limit),
        "{error:?}"
    );
    assert!(error.is_retryable());
}
