//! What a response says about being stored: `Cache-Control`, `Expires`, `Age` (RFC 9111 §5).

use std::time::{Duration, SystemTime};

use kithara_net::{HeaderMap, ResponseHead};

/// The directives of a response that decide whether and for how long it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// How long no question to the server is needed, counted from the response; `None` where it states no time.
    pub lifetime: Option<Duration>,
    /// `no-store`: no copy outlives the playback.
    pub no_store: bool,
    /// `private`: for one user alone.
    pub private: bool,
    /// `public`, `must-revalidate` or `s-maxage`: may be stored even of a request with `Authorization` (RFC 9111 §3.5).
    pub public: bool,
}

impl Freshness {
    /// Reads the headers of a response.
    #[must_use]
    pub fn of(head: &ResponseHead) -> Self {
        let mut this = Self::default();
        let mut has_to_be_asked = false;
        for value in head.headers.get_all("cache-control") {
            for directive in value.to_str().unwrap_or_default().split(',') {
                let directive = directive.trim().to_ascii_lowercase();
                let (name, argument) = directive.split_once('=').unwrap_or((&directive, ""));
                match name.trim() {
                    "no-store" => this.no_store = true,
                    "no-cache" => has_to_be_asked = true,
                    "private" => this.private = true,
                    "public" | "must-revalidate" | "s-maxage" => this.public = true,
                    "max-age" => {
                        let seconds = argument.trim().trim_matches('"').parse().ok();
                        this.lifetime = seconds.map(Duration::from_secs).or(this.lifetime);
                    }
                    _ => {}
                }
            }
        }
        if this.lifetime.is_none() {
            this.lifetime = expires_in(&head.headers);
        }
        let age = head.headers.get("age").and_then(|age| age.to_str().ok()?.trim().parse().ok());
        this.lifetime = this.lifetime.map(|time| time.saturating_sub(Duration::from_secs(age.unwrap_or(0))));
        if has_to_be_asked || this.no_store {
            this.lifetime = Some(Duration::ZERO);
        }
        this
    }

    /// Whether the body may outlive the playback. `is_authorized`: the request carried credentials.
    #[must_use]
    pub fn may_be_stored(&self, is_authorized: bool) -> bool {
        !self.no_store && !self.private && (self.public || !is_authorized)
    }
}

/// `Expires`, counted from `Date`. A date that cannot be read has passed (RFC 9111 §5.3).
fn expires_in(headers: &HeaderMap) -> Option<Duration> {
    let read = |name| {
        headers.get(name).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?.trim()).ok())
    };
    headers.get("expires")?;
    let from = read("date").unwrap_or_else(SystemTime::now);
    Some(read("expires").and_then(|until| until.duration_since(from).ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use kithara_net::{Request, StatusCode};
    use url::Url;

    use super::*;

    fn of(headers: &[(&'static str, &str)]) -> Freshness {
        let url = Url::parse("http://h/x").unwrap();
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        Freshness::of(&ResponseHead::new(&Request::new(url.clone()), url, StatusCode::OK, headers).unwrap())
    }

    #[test]
    fn lifetimes_come_from_max_age_then_expires_and_count_the_age() {
        let seconds = |headers: &[(&'static str, &str)]| of(headers).lifetime.map(|time| time.as_secs());
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&[("cache-control", "public, Max-Age=\"60\"")]), Some(60));
        assert_eq!(seconds(&[("cache-control", "max-age=60"), ("age", "20")]), Some(40));
        assert_eq!(seconds(&[("cache-control", "max-age=60, no-cache")]), Some(0));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(seconds(&[date, ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")]), Some(60));
        assert_eq!(seconds(&[date, ("expires", "0")]), Some(0));
    }

    #[test]
    fn private_and_authorized_bodies_are_not_stored() {
        assert!(of(&[]).may_be_stored(false) && !of(&[]).may_be_stored(true));
        assert!(of(&[("cache-control", "public")]).may_be_stored(true));
        for refused in ["no-store", "private", "private=\"x\", max-age=9"] {
            assert!(!of(&[("cache-control", refused)]).may_be_stored(false), "{refused}");
        }
    }
}
