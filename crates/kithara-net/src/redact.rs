//! URLs as they may be shown: in errors, in logs, in `Display`.

use std::fmt;

use url::Url;

/// Longest path that is printed; a longer one ends in `…`.
const MAX_PATH: usize = 256;

/// A URL without what may be a secret: credentials, query values and the fragment.
///
/// Query *names* stay (`?token=…&part=…`), because they tell requests apart; a query item without a name is a
/// value, and is dropped.
///
/// ```
/// use kithara_net::RedactedUrl;
/// let url = "https://me:secret@host:8443/a/b.m3u8?token=abc&x#y".parse()?;
/// assert_eq!(RedactedUrl(&url).to_string(), "https://host:8443/a/b.m3u8?token=…&…");
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Copy)]
pub struct RedactedUrl<'a>(pub &'a Url);

impl fmt::Display for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0;
        write!(f, "{}:", url.scheme())?;
        if url.has_authority() || url.scheme() == "file" {
            write!(f, "//{}", url.host_str().unwrap_or_default())?;
        }
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        if url.cannot_be_a_base() {
            // data:, mailto: … : everything after the scheme is content.
            return f.write_str("…");
        }
        let path = url.path();
        match path.char_indices().nth(MAX_PATH) {
            Some((cut, _)) => write!(f, "{}…", &path[..cut])?,
            None => f.write_str(path)?,
        }
        let Some(query) = url.query() else { return Ok(()) };
        let mut written = 0;
        for (index, item) in query.split('&').enumerate() {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            match item.split_once('=') {
                Some((name, _)) if written + name.len() <= MAX_PATH => {
                    written += name.len();
                    write!(f, "{name}=…")?;
                }
                _ => f.write_str("…")?,
            }
            if index == 16 {
                break;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The redacted form, kept: what errors carry.
pub(crate) fn redacted(url: &Url) -> Box<str> {
    RedactedUrl(url).to_string().into_boxed_str()
}

/// Headers as `Debug` may show them: names, never values.
pub(crate) struct HeaderNames<'a>(pub(crate) &'a http::HeaderMap);

impl fmt::Debug for HeaderNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shows(url: &str, expected: &str) {
        assert_eq!(RedactedUrl(&Url::parse(url).unwrap()).to_string(), expected);
    }

    #[test]
    fn secrets_are_dropped() {
        shows("http://u:p@h/a?k=v#frag", "http://h/a?k=…");
        shows("http://h/a?justatoken", "http://h/a?…");
        shows("http://h/a?a=1&b=2&c", "http://h/a?a=…&b=…&…");
        shows("http://[::1]:81/", "http://[::1]:81/");
        shows("data:audio/aac;base64,AAAA", "data:…");
        shows("file:///etc/x", "file:///etc/x");
    }

    #[test]
    fn hostile_urls_stay_short() {
        let long = format!("http://h/{}?{}", "ä".repeat(5000), "n=v&".repeat(5000));
        assert!(RedactedUrl(&Url::parse(&long).unwrap()).to_string().len() < 1000);
        let name = format!("http://h/?{}=secret", "n".repeat(5000));
        assert!(RedactedUrl(&Url::parse(&name).unwrap()).to_string().len() < 100);
    }
}
