//! TLS, loaded at the first https handshake and not before.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::options::{HttpOptions, RootCertificate, VersionSetting};

/// TLS sessions remembered for resumption; the default of rustls (256) reserves room for all of them.
const RESUMABLE_SESSIONS: usize = 32;

type Verifier = Arc<dyn ServerCertVerifier>;

/// The configuration of a client. Building it reads no certificate.
pub(crate) fn client_config(
    options: &HttpOptions,
) -> Result<(ClientConfig, Arc<LazyVerifier>), rustls::Error> {
    let provider = provider();
    let verifier = Arc::new(LazyVerifier {
        provider: Arc::clone(&provider),
        roots: options.extra_roots.clone(),
        only: options.only_extra_roots,
        own: OnceLock::new(),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Verifier)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
    config.alpn_protocols = match options.version {
        VersionSetting::Negotiate => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        VersionSetting::Http1 => vec![b"http/1.1".to_vec()],
        VersionSetting::Http2PriorKnowledge => vec![b"h2".to_vec()],
    };
    Ok((config, verifier))
}

/// The provider that the application installed for the process, else ours.
fn provider() -> Arc<CryptoProvider> {
    static OURS: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    if let Some(installed) = CryptoProvider::get_default() {
        return Arc::clone(installed);
    }
    #[cfg(feature = "aws-lc")]
    use rustls::crypto::aws_lc_rs::default_provider;
    #[cfg(not(feature = "aws-lc"))]
    use rustls::crypto::ring::default_provider;
    Arc::clone(OURS.get_or_init(|| Arc::new(default_provider())))
}

/// Verifies as the platform does (or by the application's roots alone), and loads what that needs when it is first
/// asked. The platform's roots are loaded once in the process.
pub(crate) struct LazyVerifier {
    provider: Arc<CryptoProvider>,
    roots: Vec<RootCertificate>,
    only: bool,
    own: OnceLock<Result<Verifier, rustls::Error>>,
}

impl LazyVerifier {
    /// Loads the roots (3 to 5 ms of file reading) unless they are there; a failure shows at the handshake.
    pub(crate) fn load(&self) {
        let _ = self.get();
    }

    /// True once nothing is left to load.
    pub(crate) fn is_loaded(&self) -> bool {
        self.cell().get().is_some()
    }

    fn cell(&self) -> &OnceLock<Result<Verifier, rustls::Error>> {
        static PLATFORM: OnceLock<Result<Verifier, rustls::Error>> = OnceLock::new();
        if self.roots.is_empty() && !self.only { &PLATFORM } else { &self.own }
    }

    fn get(&self) -> Result<&Verifier, rustls::Error> {
        self.cell().get_or_init(|| self.build()).as_ref().map_err(Clone::clone)
    }

    fn build(&self) -> Result<Verifier, rustls::Error> {
        let extra = self.roots.iter().map(der).collect::<Result<Vec<_>, _>>()?;
        if !self.only {
            return self.platform(extra);
        }
        let mut store = RootCertStore::empty();
        for root in extra {
            store.add(root)?;
        }
        let built =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&self.provider)).build();
        let verifier: Verifier =
            built.map_err(|error| rustls::Error::General(format!("extra roots: {error}")))?;
        Ok(verifier)
    }

    #[cfg(any(all(unix, not(target_os = "android")), target_os = "windows"))]
    fn platform(&self, extra: Vec<CertificateDer<'static>>) -> Result<Verifier, rustls::Error> {
        let provider = Arc::clone(&self.provider);
        Ok(Arc::new(rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider)?))
    }

    #[cfg(not(any(all(unix, not(target_os = "android")), target_os = "windows")))]
    fn platform(&self, extra: Vec<CertificateDer<'static>>) -> Result<Verifier, rustls::Error> {
        if !extra.is_empty() {
            return Err(rustls::Error::General("this platform takes extra roots only alone".into()));
        }
        Ok(Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&self.provider))?))
    }
}

fn der(root: &RootCertificate) -> Result<CertificateDer<'static>, rustls::Error> {
    let bytes = &root.0[..];
    if bytes.trim_ascii_start().starts_with(b"-----") {
        return CertificateDer::from_pem_slice(bytes)
            .map_err(|error| rustls::Error::General(format!("root certificate: {error}")));
    }
    Ok(CertificateDer::from(bytes.to_vec()))
}

impl fmt::Debug for LazyVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyVerifier").field("loaded", &self.is_loaded()).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl ServerCertVerifier for LazyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.get()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.get()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.get()?.verify_tls13_signature(message, cert, dss)
    }

    // Asked for the hello, before anything needs to be loaded.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> Option<&[rustls::DistinguishedName]> {
        None
    }
}
