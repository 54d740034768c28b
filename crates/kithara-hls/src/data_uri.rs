//! `data:` URIs (RFC 2397): keys and init sections that stand in the playlist itself.

use bytes::Bytes;
use data_url::DataUrl;
use url::Url;

use crate::error::{Fetching, HlsError};

/// The content of a `data:` URI; `None` for any other URL.
///
/// # Errors
/// It is not well formed.
pub(crate) fn content(what: Fetching, url: &Url) -> Option<Result<Bytes, HlsError>> {
    if url.scheme() != "data" {
        return None;
    }
    let read = || {
        let parsed = DataUrl::process(url.as_str()).ok()?;
        parsed.decode_to_vec().ok().map(|(content, _)| Bytes::from(content))
    };
    Some(read().ok_or(HlsError::BadDataUri { what }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_of(url: &str) -> Option<Vec<u8>> {
        let url = Url::parse(url).unwrap();
        content(Fetching::Key, &url).map(|content| content.unwrap_or_default().to_vec())
    }

    #[test]
    fn base64_and_percent_encoding_are_read() {
        let key: Vec<u8> = (0..16).map(|n| n * 0x11).collect();
        for url in [
            "data:;base64,ABEiM0RVZneImaq7zN3u/w==",
            "data:application/octet-stream;base64,ABEiM0RVZneImaq7zN3u/w",
            "data:text/plain;charset=UTF-8;base64,ABEi%0AM0RVZneImaq7zN3u%2Fw%3D%3D",
            "data:,%00%11%223DUfw%88%99%AA%BB%CC%DD%EE%FF",
        ] {
            assert_eq!(content_of(url), Some(key.clone()), "{url}");
        }
        assert_eq!(content_of("https://example.com/key"), None);
    }

    #[test]
    fn a_broken_one_is_an_error_that_does_not_show_it() {
        let url = Url::parse("data:;base64,c2VjcmV0!").unwrap();
        let error = content(Fetching::Key, &url).unwrap().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("c2VjcmV0"), "{error}");
    }
}
