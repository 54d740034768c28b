//! From a URL to a name.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use url::Url;

/// Most bytes of the readable part of a derived name.
const SLUG_MAX: usize = 48;
/// Bytes of the digest in a derived name: 160 bits, so that nobody finds two URLs with one name.
const DIGEST_BYTES: usize = 20;

type Identity = dyn Fn(&Url) -> String + Send + Sync;

/// Decides which URLs are the same resource.
///
/// The default takes the whole URL but its fragment. Signed URLs carry a token that changes with every visit: ignore
/// it, or nothing is ever found again.
///
/// ```
/// use kithara_assets::{KeyPolicy, ResourceKey};
/// use url::Url;
///
/// let monday = Url::parse("https://cdn.example/a/song.mp3?id=7&token=abc")?;
/// let tuesday = Url::parse("https://cdn.example/a/song.mp3?id=7&token=xyz")?;
/// let policy = KeyPolicy::ignoring_params(["token"]);
/// assert_eq!(
///     ResourceKey::from_url(&monday, &monday, &policy),
///     ResourceKey::from_url(&tuesday, &tuesday, &policy),
/// );
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Default)]
pub struct KeyPolicy(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    WholeUrl,
    IgnoreQuery,
    IgnoreParams(Arc<[String]>),
    Custom(Arc<Identity>),
}

impl KeyPolicy {
    /// The whole URL without its fragment (the default).
    #[must_use]
    pub fn whole_url() -> Self {
        Self(Kind::WholeUrl)
    }

    /// The URL without its query and fragment.
    #[must_use]
    pub fn ignoring_query() -> Self {
        Self(Kind::IgnoreQuery)
    }

    /// The URL without its fragment and without these query parameters. The order of the others counts.
    #[must_use]
    pub fn ignoring_params<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(Kind::IgnoreParams(names.into_iter().map(Into::into).collect()))
    }

    /// Whatever the application says: URLs for which `identity` returns the same text are the same resource.
    #[must_use]
    pub fn custom(identity: impl Fn(&Url) -> String + Send + Sync + 'static) -> Self {
        Self(Kind::Custom(Arc::new(identity)))
    }

    /// The identity of a URL under this policy.
    #[must_use]
    pub fn identity(&self, url: &Url) -> String {
        let mut plain = url.clone();
        plain.set_fragment(None);
        match &self.0 {
            Kind::WholeUrl => {}
            Kind::IgnoreQuery => plain.set_query(None),
            Kind::IgnoreParams(names) => strip_params(&mut plain, names),
            Kind::Custom(identity) => return identity(url),
        }
        plain.into()
    }
}

impl fmt::Debug for KeyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::WholeUrl => f.write_str("KeyPolicy::WholeUrl"),
            Kind::IgnoreQuery => f.write_str("KeyPolicy::IgnoreQuery"),
            Kind::IgnoreParams(names) => write!(f, "KeyPolicy::IgnoreParams({names:?})"),
            Kind::Custom(_) => f.write_str("KeyPolicy::Custom(..)"),
        }
    }
}

/// Works on the raw text, so that the parameters that stay are not re-encoded.
fn strip_params(url: &mut Url, names: &[String]) {
    let Some(query) = url.query() else { return };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
            !decoded.is_some_and(|(name, _)| names.iter().any(|ignored| *ignored == name))
        })
        .collect();
    let kept = kept.join("&");
    url.set_query((!kept.is_empty()).then_some(kept.as_str()));
}

pub(super) fn root_name(url: &Url, policy: &KeyPolicy) -> String {
    derive(&policy.identity(url), "asset", None)
}

pub(super) fn resource_name(url: &Url, range: Option<(u64, u64)>, policy: &KeyPolicy) -> String {
    derive(&policy.identity(url), "resource", range)
}

pub(crate) fn name_of_manifest(name: &str) -> String {
    derive(name, "manifest", None)
}

/// `<digest>` or `<digest>-<slug>`, of `a-z 0-9 . _ -` alone: an allowed component whatever the URL holds.
fn derive(identity: &str, domain: &str, range: Option<(u64, u64)>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(domain.as_bytes());
    if let Some((offset, length)) = range {
        hasher.update(b"#range");
        hasher.update(offset.to_le_bytes());
        hasher.update(length.to_le_bytes());
    }
    // The identity comes last and is the only part of unknown length before the end: no two inputs look the same.
    hasher.update(b"\0");
    hasher.update(identity.as_bytes());
    let digest = hasher.finalize();
    let mut name = String::with_capacity(DIGEST_BYTES * 2 + 1 + SLUG_MAX);
    for byte in digest.iter().take(DIGEST_BYTES) {
        // Writing to a `String` cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    let slug = slug(identity);
    if !slug.is_empty() {
        name.push('-');
        name.push_str(&slug);
    }
    name
}

/// The last segment of the path, for people and for its extension. Never the query: tokens stand there.
fn slug(identity: &str) -> String {
    let path = identity.split(['?', '#']).next().unwrap_or_default();
    let path =
        path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let last = path.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    let mut tail: Vec<u8> = last
        .bytes()
        .rev()
        .take(SLUG_MAX)
        .map(|byte| match byte.to_ascii_lowercase() {
            byte @ (b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-') => byte,
            _ => b'_',
        })
        .collect();
    tail.reverse();
    String::from_utf8_lossy(&tail).trim_matches(['.', '_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::ResourceKey;
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn key(text: &str, policy: &KeyPolicy) -> ResourceKey {
        ResourceKey::from_url(&url("https://h/master.m3u8"), &url(text), policy)
    }

    #[test]
    fn every_derived_name_is_a_valid_key() {
        for text in [
            "https://h/",
            "https://h/a/b/SEG 1.m4s?x=1#y",
            "https://user:secret@h:8443/..%2f..%2fetc/passwd",
            "https://h/con",
            "https://h/a/.",
            "https://h/x.",
            "data:audio/mp3;base64,AAAA////",
            "https://h/%00%0a",
            "https://h/日本語.flac",
            &format!("https://h/{}", "x".repeat(3000)),
        ] {
            let key = key(text, &KeyPolicy::default());
            assert_eq!(ResourceKey::new(key.asset_root(), key.rel_path()).ok(), Some(key.clone()), "{text}");
            assert!(!key.rel_path().contains('/'), "{text}");
            let root = ResourceKey::asset_root_for(&url(text), &KeyPolicy::default());
            assert!(super::super::check_asset_root(&root).is_ok(), "{text}");
        }
    }

    #[test]
    fn names_end_as_the_path_does() {
        assert!(
            key("https://h/a/Song.MP3?token=secret", &KeyPolicy::default()).rel_path().ends_with("-song.mp3")
        );
        assert!(key("https://h/v0/", &KeyPolicy::default()).rel_path().ends_with("-v0"));
        assert_eq!(key("https://h/", &KeyPolicy::default()).rel_path().len(), DIGEST_BYTES * 2);
    }

    #[test]
    fn different_urls_never_share_a_name() {
        let policy = KeyPolicy::default();
        let names = [
            "https://h/a",
            "http://h/a",
            "https://h:444/a",
            "https://h/A",
            "https://h/a/",
            "https://h/a?",
            "https://h/a?x",
            "https://h/a?x=1",
            "https://h/b/a",
            "https://g/a",
            "https://h/%61",
            "https://u@h/a",
        ]
        .map(|text| key(text, &policy));
        for (i, a) in names.iter().enumerate() {
            for b in &names[i + 1..] {
                assert_ne!(a, b);
            }
        }
        assert_eq!(key("https://h/a#one", &policy), key("https://h/a#two", &policy));
    }

    #[test]
    fn parts_of_a_body_have_names_of_their_own() {
        let (root, policy) = (url("https://h/p.m3u8"), KeyPolicy::default());
        let part = |offset, length| ResourceKey::from_url_range(&root, &root, offset, length, &policy);
        assert_eq!(part(0, 10), part(0, 10));
        assert_ne!(part(0, 10), part(10, 0));
        assert_ne!(part(0, 10), part(0, 11));
        assert_ne!(part(0, 10), ResourceKey::from_url(&root, &root, &policy));
    }

    #[test]
    fn a_policy_decides_what_counts() {
        let query = KeyPolicy::ignoring_query();
        assert_eq!(key("https://h/a?sig=1", &query), key("https://h/a?sig=2", &query));
        assert_ne!(key("https://h/a?sig=1", &query), key("https://h/b?sig=1", &query));

        let params = KeyPolicy::ignoring_params(["sig", "e x"]);
        assert_eq!(key("https://h/a?sig=1&id=4&e%20x=9", &params), key("https://h/a?id=4&sig=zz", &params));
        assert_eq!(key("https://h/a?sig=1", &params), key("https://h/a", &params));
        assert_ne!(key("https://h/a?id=4", &params), key("https://h/a?id=5", &params));

        let custom = KeyPolicy::custom(|url| url.query().unwrap_or_default().to_owned());
        assert_eq!(key("https://h/a?track-7", &custom), key("https://other/b?track-7", &custom));
        assert_ne!(key("https://h/a?track-7", &custom), key("https://h/a?track-8", &custom));
        assert!(key("https://h/a?track-7", &custom).rel_path().ends_with("-track-7"));
        assert!(!format!("{params:?} {custom:?}").is_empty());
    }
}
