//! The origin behind TLS: a listener that decrypts and passes on, with HTTP/2 where the client asks for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a client must trust beside the system's roots.
pub const ROOT: &[u8] = include_bytes!("../../crates/kithara-net/tests/tls/ca.pem");

/// Serves `localhost` on a thread of its own until the process ends: the port.
pub fn serve(origin: SocketAddr) -> u16 {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        super::runtime().block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            sender.send(listener.local_addr().unwrap().port()).unwrap();
            let acceptor = acceptor();
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let (Ok(mut client), Ok(mut server)) =
                        tokio::join!(acceptor.accept(client), TcpStream::connect(origin))
                    else {
                        return;
                    };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
    });
    receiver.recv().unwrap()
}

fn acceptor() -> TlsAcceptor {
    let cert =
        CertificateDer::from_pem_slice(include_bytes!("../../crates/kithara-net/tests/tls/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../crates/kithara-net/tests/tls/server.key"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.unwrap()], key.unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
