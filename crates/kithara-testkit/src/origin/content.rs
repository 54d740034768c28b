use std::{fmt, fs::File, io, path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};

use crate::pattern;

/// Writes the bytes of a generated body from an offset on.
type Fill = Arc<dyn Fn(u64, &mut [u8]) + Send + Sync>;

/// The bytes of a resource: held, computed on demand, or in a file.
#[derive(Clone)]
pub struct Content(Inner);

#[derive(Clone)]
enum Inner {
    Bytes(Bytes),
    Generated { len: Option<u64>, fill: Fill },
    File { path: PathBuf, len: u64 },
}

impl Content {
    /// A body of `len` bytes that [`pattern`] knows: any byte can be checked, none is stored.
    pub fn pattern(seed: u64, len: u64) -> Self {
        Self::generated(Some(len), move |offset, buffer| pattern::fill(seed, offset, buffer))
    }

    /// A pattern that never ends: no length, no ranges, chunked.
    pub fn endless(seed: u64) -> Self {
        Self::generated(None, move |offset, buffer| pattern::fill(seed, offset, buffer))
    }

    /// A body that `fill` computes: it writes all of the buffer, from that offset on. Without `len` it is endless.
    pub fn generated(len: Option<u64>, fill: impl Fn(u64, &mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Inner::Generated { len, fill: Arc::new(fill) })
    }

    /// Bytes that repeat for ever, like a radio station with one song.
    ///
    /// Empty `bytes` make an empty body.
    pub fn repeat(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Self(Inner::Bytes(bytes));
        }
        Self::generated(None, move |offset, mut buffer| {
            let mut at = (offset % bytes.len() as u64) as usize;
            while !buffer.is_empty() {
                let count = buffer.len().min(bytes.len() - at);
                let (head, tail) = buffer.split_at_mut(count);
                head.copy_from_slice(&bytes[at..at + count]);
                (buffer, at) = (tail, 0);
            }
        })
    }

    /// A file on disk with the length that it has now.
    pub(super) fn file(path: PathBuf) -> io::Result<Self> {
        let meta = std::fs::metadata(&path)?;
        if !meta.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self(Inner::File { path, len: meta.len() }))
    }

    /// Length in bytes; `None` for an endless body.
    pub fn len(&self) -> Option<u64> {
        match &self.0 {
            Inner::Bytes(bytes) => Some(bytes.len() as u64),
            Inner::Generated { len, .. } => *len,
            Inner::File { len, .. } => Some(*len),
        }
    }

    /// Whether the body has no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Up to `max` bytes from `offset` on; fewer only at the end (or where a file on disk was cut meanwhile).
    pub(super) fn read(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        let left = self.len().map_or(u64::MAX, |len| len.saturating_sub(offset));
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(max);
        match &self.0 {
            Inner::Bytes(bytes) => {
                let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at..at + count))
            }
            Inner::Generated { fill, .. } => {
                let mut buffer = BytesMut::zeroed(count);
                fill(offset, &mut buffer);
                Ok(buffer.freeze())
            }
            Inner::File { path, .. } => read_file(path, offset, count),
        }
    }
}

fn read_file(path: &PathBuf, offset: u64, count: usize) -> io::Result<Bytes> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut buffer = Vec::with_capacity(count);
    file.take(count as u64).read_to_end(&mut buffer)?;
    Ok(buffer.into())
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Inner::Bytes(_) => "Bytes",
            Inner::Generated { .. } => "Generated",
            Inner::File { .. } => "File",
        };
        f.debug_struct(kind).field("len", &self.len()).finish()
    }
}

macro_rules! content_from {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Content {
            fn from(bytes: $kind) -> Self {
                Self(Inner::Bytes(Bytes::from(bytes)))
            }
        }
    )*};
}
content_from!(Bytes, Vec<u8>, String, &'static [u8], &'static str);
