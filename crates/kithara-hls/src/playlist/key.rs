//! `EXT-X-KEY` and `EXT-X-SESSION-KEY`.

use kithara_net::RedactedUrl;
use url::Url;

use super::attributes::Attributes;
use super::context::Context;
use super::error::PlaylistError;

/// The key format whose resource is the key itself.
const IDENTITY: &str = "identity";

/// Versions of a key format that are read.
const MAX_VERSIONS: usize = 16;

/// Characters of a method's or key format's name that are kept.
const MAX_NAME: usize = 128;

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
#[derive(Clone, PartialEq, Eq, Hash)]
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
        if self.key_format != IDENTITY {
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

/// Reads an `EXT-X-KEY` or `EXT-X-SESSION-KEY`; `None` for `METHOD=NONE`.
pub(super) fn parse(
    cx: &mut Context<'_>,
    tag: &'static str,
    text: &str,
) -> Result<Option<KeyInfo>, PlaylistError> {
    let attributes = Attributes::parse(cx, tag, text)?;
    let method = match attributes.raw("METHOD") {
        None | Some("") => return Err(cx.malformed(tag, "METHOD is missing")),
        Some("NONE") => return Ok(None),
        Some("AES-128") => KeyMethod::Aes128,
        Some("AES-256") => KeyMethod::Aes256,
        Some("SAMPLE-AES") => KeyMethod::SampleAes,
        Some("SAMPLE-AES-CTR") => KeyMethod::SampleAesCtr,
        Some(other) => KeyMethod::Other(printable(other)),
    };
    let key_format = attributes.string(cx, "KEYFORMAT")?;
    let key_format = key_format.map_or_else(|| IDENTITY.to_owned(), |format| printable(&format));
    Ok(Some(KeyInfo {
        uri: attributes.required_url(cx, "URI")?,
        iv: attributes.hex128(cx, "IV")?,
        key_format_versions: versions(attributes.raw("KEYFORMATVERSIONS").unwrap_or("")),
        method,
        key_format,
    }))
}

fn versions(list: &str) -> Vec<u32> {
    list.split('/').filter_map(|version| version.trim().parse().ok()).take(MAX_VERSIONS).collect()
}

/// A name that comes from outside, short and harmless in an error or a log.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}
