//! `EXT-X-KEY` and `EXT-X-SESSION-KEY`.

use kithara_net::RedactedUrl;
use url::Url;

/// `METHOD` of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyMethod {
    /// AES-128 in CBC mode with PKCS#7 padding over the whole segment.
    Aes128,
    /// The same with a key of 256 bits.
    Aes256,
    /// Samples are encrypted one by one. Unsupported.
    SampleAes,
    /// As [`SampleAes`](Self::SampleAes) with AES in CTR mode. Unsupported.
    SampleAesCtr,
    /// A method that this version does not know. Unsupported.
    Other(String),
}

impl KeyMethod {
    /// Bytes of a key of this method; `None` where the method is unsupported.
    #[must_use]
    pub fn key_len(&self) -> Option<usize> {
        match self {
            Self::Aes128 => Some(16),
            Self::Aes256 => Some(32),
            _ => None,
        }
    }
}

impl std::fmt::Display for KeyMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Aes128 => "AES-128",
            Self::Aes256 => "AES-256",
            Self::SampleAes => "SAMPLE-AES",
            Self::SampleAesCtr => "SAMPLE-AES-CTR",
            Self::Other(name) => name,
        })
    }
}

/// How segments and maps are encrypted.
///
/// `Debug` shows the method and the redacted URL only.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The method.
    pub method: KeyMethod,
    /// Where the key is.
    pub uri: Url,
    /// The initialization vector, where the tag gives one. See [`iv_for`](Self::iv_for).
    pub iv: Option<[u8; 16]>,
    /// `KEYFORMAT`; `identity` where the tag gives none: the resource is the key itself.
    pub key_format: String,
    /// `KEYFORMATVERSIONS`; empty where the tag gives none (which means 1).
    pub key_format_versions: Vec<u32>,
}

impl KeyInfo {
    /// The initialization vector of a segment: the tag's, or else the media sequence number as a 128-bit big-endian
    /// integer.
    #[must_use]
    pub fn iv_for(&self, media_sequence: u64) -> [u8; 16] {
        self.iv.unwrap_or_else(|| u128::from(media_sequence).to_be_bytes())
    }

    /// Why this key cannot be used; `None` if it can.
    #[must_use]
    pub fn unsupported(&self) -> Option<String> {
        if self.method.key_len().is_none() {
            return Some(format!("encryption method {}", self.method));
        }
        if self.key_format != "identity" {
            return Some(format!("key format {}", self.key_format));
        }
        let versions = &self.key_format_versions;
        (!versions.is_empty() && !versions.contains(&1))
            .then(|| format!("versions {versions:?} of the key format identity"))
    }
}

impl std::fmt::Debug for KeyInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyInfo")
            .field("method", &self.method)
            .field("uri", &format_args!("{}", RedactedUrl(&self.uri)))
            .finish_non_exhaustive()
    }
}
