use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{Gate, Resource};

/// How a connection ends where a script cuts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// The connection is closed in an orderly way (FIN) right after the last byte.
    Close,
    /// The connection is reset (RST). What the client had not read yet may be lost to it.
    Reset,
    /// Only this response fails: RST_STREAM on HTTP/2; on HTTP/1 the same as `Close`.
    Stream,
}

/// One answer, as a script wants it: everything that is not said here is what a well-kept server does.
///
/// ```
/// use std::time::Duration;
/// use kithara_testkit::{Cut, Reply};
///
/// let busy = Reply::status(503).header("retry-after", "1");
/// let slow = Reply::ok().latency(Duration::from_millis(200)).bandwidth(16_000);
/// let broken = Reply::ok().cut_at(10_000, Cut::Reset);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Reply {
    pub(super) status: Option<StatusCode>,
    pub(super) headers: HeaderMap,
    pub(super) removed: Vec<HeaderName>,
    pub(super) resource: Option<Resource>,
    pub(super) latency: Duration,
    pub(super) gate: Option<Gate>,
    pub(super) bandwidth: Option<u64>,
    pub(super) chunk_size: Option<usize>,
    pub(super) stalls: Vec<(u64, Gate)>,
    pub(super) pauses: Vec<(u64, Duration)>,
    pub(super) cut: Option<(u64, Cut)>,
    pub(super) cut_before_head: Option<Cut>,
    pub(super) framing: Framing,
    pub(super) ignore_range: bool,
    pub(super) shift_range: i64,
    pub(super) gzip: bool,
    pub(super) icy: Option<Icy>,
    pub(super) raw: Option<Bytes>,
}

/// How the end of the body is told to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// Content-Length where the length is known, chunked otherwise.
    #[default]
    Right,
    /// No Content-Length though the length is known: chunked.
    Chunked,
    /// A status line of HTTP/1.0 and no length: the end of the connection is the end of the body.
    CloseDelimited,
    /// A Content-Length that is wrong.
    Declared(u64),
}

/// Titles interleaved with the sound, as internet radio does.
#[derive(Clone, Debug)]
pub(super) struct Icy {
    pub(super) interval: usize,
    pub(super) titles: Arc<[String]>,
}

impl Reply {
    /// What the resource says.
    pub fn ok() -> Self {
        Self::default()
    }

    /// This status with a short text as body, instead of the resource. A code outside 100–999 is 500.
    pub fn status(code: u16) -> Self {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let text = format!("{status}\n");
        let resource =
            Resource::new(text).content_type("text/plain").etag(None).last_modified(None).without_ranges();
        Self { status: Some(status), resource: Some(resource), ..Self::default() }
    }

    /// 302 to this location, which may be relative or on another host (see `Origin::url_on`).
    pub fn redirect(location: &str) -> Self {
        Self::status(302).header("location", location)
    }

    /// These bytes instead of any HTTP answer; then the connection is closed. HTTP/1 only.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { raw: Some(bytes.into()), ..Self::default() }
    }

    /// Another resource under the same path: a changed entity.
    pub fn resource(mut self, resource: impl Into<Resource>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// The status without touching anything else, such as a 200 that carries an error page or a 206 with all of it.
    pub fn with_status(mut self, code: u16) -> Self {
        self.status = StatusCode::from_u16(code).ok();
        self
    }

    /// Sets a header, in place of what the server would send. What HTTP forbids is left out.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            self.headers.append(name, value);
        }
        self
    }

    /// Leaves a header out.
    pub fn without_header(mut self, name: &str) -> Self {
        self.removed.extend(name.parse::<HeaderName>());
        self
    }

    /// Leaves Accept-Ranges out, but serves ranges.
    pub fn without_accept_ranges(self) -> Self {
        self.without_header(header::ACCEPT_RANGES.as_str())
    }

    /// Waits this long before the head (on tokio's clock).
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Holds the head back until the gate is open.
    pub fn gate(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Sends the body at this many bytes per second; 0 stands still.
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.bandwidth = Some(bytes_per_second);
        self
    }

    /// The largest piece handed to the connection at once. Default 16 KiB.
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = Some(bytes.max(1));
        self
    }

    /// Stands still after this many bytes of the body, until the gate is open.
    pub fn stall_at(mut self, bytes: u64, gate: &Gate) -> Self {
        self.stalls.push((bytes, gate.clone()));
        self.stalls.sort_by_key(|(at, _)| *at);
        self
    }

    /// Stands still for a while after this many bytes of the body (on tokio's clock).
    pub fn pause_at(mut self, bytes: u64, pause: Duration) -> Self {
        self.pauses.push((bytes, pause));
        self.pauses.sort_by_key(|(at, _)| *at);
        self
    }

    /// Ends the connection after this many bytes of the body.
    pub fn cut_at(mut self, bytes: u64, cut: Cut) -> Self {
        self.cut = Some((bytes, cut));
        self
    }

    /// Ends the connection without an answer.
    pub fn cut_before_head(mut self, cut: Cut) -> Self {
        self.cut_before_head = Some(cut);
        self
    }

    /// Sends no Content-Length: chunked on HTTP/1.1.
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Answers as an HTTP/1.0 server: no length, the close of the connection ends the body. HTTP/1 only.
    pub fn close_delimited(mut self) -> Self {
        self.framing = Framing::CloseDelimited;
        self
    }

    /// Declares this Content-Length, whatever the body has: a longer one makes the body end short.
    ///
    /// On HTTP/1 the connection is then closed in an orderly way; on HTTP/2 the stream ends.
    pub fn declare_len(mut self, bytes: u64) -> Self {
        self.framing = Framing::Declared(bytes);
        self
    }

    /// Answers a range request with all of it and 200.
    pub fn ignore_range(mut self) -> Self {
        self.ignore_range = true;
        self
    }

    /// Serves a range that begins this many bytes later (or earlier) than asked, and says so in Content-Range.
    pub fn shift_range(mut self, bytes: i64) -> Self {
        self.shift_range = bytes;
        self
    }

    /// Compresses the body (stored blocks) and says `Content-Encoding: gzip`, whatever the client accepts.
    ///
    /// Content of more than 16 MiB, or endless, is sent as it is under the wrong header.
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// Interleaves a title after each `interval` bytes when the client asks for it by `Icy-MetaData: 1`: each of
    /// `titles` once, then empty blocks.
    pub fn icy<T: Into<String>>(mut self, interval: usize, titles: impl IntoIterator<Item = T>) -> Self {
        self.icy =
            Some(Icy { interval: interval.max(1), titles: titles.into_iter().map(Into::into).collect() });
        self
    }
}
