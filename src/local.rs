//! [`LocalNet`]: lets a playlist on disk name its segments by `file` URLs.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use kithara_net::{
    Body, DefaultNet, HeaderMap, HeaderValue, Net, NetError, Request, Response, ResponseHead, StatusCode,
};

/// Bytes that are read at a time.
const CHUNK: u64 = 64 << 10;

/// Answers `file` URLs of playlists that were opened from disk, as a server of the folder would, and gives everything
/// else to the network.
#[derive(Clone, Debug)]
pub(crate) struct LocalNet {
    inner: DefaultNet,
    is_open: bool,
}

impl LocalNet {
    /// For playlists on disk.
    pub(crate) fn open(inner: DefaultNet) -> Self {
        Self { inner, is_open: true }
    }

    /// For playlists from the network: refuses `file` URLs. One type for both, so that a program holds one copy of the
    /// HLS engine.
    pub(crate) fn closed(inner: DefaultNet) -> Self {
        Self { inner, is_open: false }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Net for LocalNet {
    type Body = LocalBody;

    async fn open(&self, request: Request) -> Result<Response<LocalBody>, NetError> {
        if self.is_open && request.url.scheme() == "file" {
            return open_file(request).await;
        }
        Ok(self.inner.open(request).await?.map_body(|body| LocalBody::Net(Box::new(body))))
    }
}

/// The body of either.
pub(crate) enum LocalBody {
    Net(Box<<DefaultNet as Net>::Body>),
    File { file: Arc<File>, offset: u64, rest: u64 },
}

#[deny(clippy::missing_trait_methods)]
impl Body for LocalBody {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let (file, offset, rest) = match self {
            Self::Net(body) => return body.next_chunk().await,
            Self::File { rest: 0, .. } => return Ok(None),
            Self::File { file, offset, rest } => (Arc::clone(file), offset, rest),
        };
        let (at, count) = (*offset, (*rest).min(CHUNK));
        let read = move || -> std::io::Result<Vec<u8>> {
            let mut file = &*file;
            let mut chunk = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
            file.seek(SeekFrom::Start(at))?;
            file.take(count).read_to_end(&mut chunk)?;
            Ok(chunk)
        };
        let chunk = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(chunk)) if !chunk.is_empty() => chunk,
            // Cut while it was read, or unreadable: not complete.
            _ => {
                return Err(NetError::Interrupted {
                    url: "a local file".into(),
                    received: at,
                    expected: Some(at + *rest),
                    source: None,
                });
            }
        };
        *offset += chunk.len() as u64;
        *rest -= chunk.len() as u64;
        Ok(Some(chunk.into()))
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Net(body) => body.is_complete(),
            Self::File { rest, .. } => *rest == 0,
        }
    }
}

async fn open_file(request: Request) -> Result<Response<LocalBody>, NetError> {
    let path = request.url.to_file_path();
    let open = move || -> std::io::Result<(File, u64)> {
        let path = path.map_err(|()| std::io::ErrorKind::NotFound)?;
        // Looked at before it is opened: opening a pipe would wait for its writer.
        if !std::fs::metadata(&path)?.is_file() {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        let file = File::open(&path)?;
        let len = file.metadata()?.len();
        Ok((file, len))
    };
    let opened =
        tokio::task::spawn_blocking(open).await.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
    let (url, mut headers) = (request.url.clone(), HeaderMap::new());
    let (file, len) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let status = match error.kind() {
                std::io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
                std::io::ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let url = url.path().into();
            return Err(NetError::Status { url, status, retry_after: None });
        }
    };
    let (status, start, end) = match request.range {
        None => (StatusCode::OK, 0, len),
        Some(range) if range.start < len => {
            let end = range.end.map_or(len, |end| end.min(len));
            let value = format!("bytes {}-{}/{len}", range.start, end.saturating_sub(1));
            headers.insert("content-range", header(&value));
            (StatusCode::PARTIAL_CONTENT, range.start, end)
        }
        Some(range) => {
            let url = url.path().into();
            return Err(NetError::RangeNotSatisfiable { url, start: range.start, total: Some(len) });
        }
    };
    headers.insert("content-length", header(&(end - start).to_string()));
    headers.insert("accept-ranges", HeaderValue::from_static("bytes"));
    let head = ResponseHead::new(&request, url, status, headers)?;
    let body = LocalBody::File { file: Arc::new(file), offset: start, rest: end - start };
    Ok(Response { head, body })
}

fn header(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}
