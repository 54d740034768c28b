//! Streams for programs without an async runtime: the runtime stands behind them.
//!
//! ```no_run
//! # fn main() -> Result<(), kithara::Error> {
//! let mut stream = kithara::blocking::open("https://example.com/song.mp3")?;
//! while let Some(chunk) = stream.next_chunk()? {
//!     println!("{} frames", chunk.frames());
//! }
//! # Ok(())
//! # }
//! ```

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use kithara_decode::{AudioSpec, PcmChunk};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{Error, Options, StreamHandle};

/// Opens `target` as [`kithara::open`](crate::open) does, and waits until PCM can be read.
///
/// Downloads run on one thread that all blocking streams of the program share.
///
/// # Errors
/// [`Error`]; [`Error::InsideRuntime`] on a thread that drives an async runtime.
pub fn open(target: impl AsRef<str>) -> Result<Stream, Error> {
    open_with(target, &Options::new())
}

/// [`open`] with options.
///
/// # Errors
/// As [`open`].
pub fn open_with(target: impl AsRef<str>, options: &Options) -> Result<Stream, Error> {
    let runtime = runtime()?;
    let stream = wait(runtime, options.open(target))??;
    Ok(Stream { stream, runtime, rest: None })
}

/// The runtime of all blocking streams: one thread, started by the first of them.
fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let built = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("kithara")
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    // Of two first streams at once, one throws its runtime away.
    if let Err(surplus) = RUNTIME.set(built) {
        surplus.shutdown_background();
    }
    RUNTIME.get().ok_or_else(|| Error::Runtime(io::Error::other("it is gone")))
}

fn wait<T>(runtime: &Runtime, future: impl Future<Output = T>) -> Result<T, Error> {
    if Handle::try_current().is_ok() {
        return Err(Error::InsideRuntime);
    }
    Ok(runtime.block_on(future))
}

/// An open stream whose methods wait. [`kithara::Stream`](crate::Stream) has the async ones.
///
/// It is also an `Iterator` over chunks.
#[derive(Debug)]
pub struct Stream {
    stream: crate::Stream,
    runtime: &'static Runtime,
    rest: Option<(PcmChunk, usize)>,
}

impl Stream {
    /// Rate and channels of the PCM.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        self.stream.spec()
    }

    /// Length, if known.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.stream.duration()
    }

    /// The next PCM; `None` at the end.
    ///
    /// # Errors
    /// [`Error`].
    pub fn next_chunk(&mut self) -> Result<Option<PcmChunk>, Error> {
        if let Some((mut chunk, taken)) = self.rest.take() {
            let first = chunk.position() + (taken / usize::from(chunk.spec().channels.max(1))) as u64;
            chunk.drop_before(first);
            if chunk.frames() > 0 {
                return Ok(Some(chunk));
            }
        }
        wait(self.runtime, self.stream.next_chunk())?
    }

    /// Fills `out` with interleaved samples and returns how many were written, 0 at the end.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read(&mut self, out: &mut [f32]) -> Result<usize, Error> {
        loop {
            if let Some((chunk, taken)) = &mut self.rest {
                let samples = &chunk.samples()[*taken..];
                let count = samples.len().min(out.len());
                if count > 0 || out.is_empty() {
                    out[..count].copy_from_slice(&samples[..count]);
                    *taken += count;
                    return Ok(count);
                }
                self.rest = None;
            }
            match wait(self.runtime, self.stream.next_chunk())?? {
                Some(chunk) => self.rest = Some((chunk, 0)),
                None => return Ok(0),
            }
        }
    }

    /// Moves to `to`; the next PCM begins at exactly the returned frame.
    ///
    /// # Errors
    /// [`Error`].
    pub fn seek(&mut self, to: Duration) -> Result<u64, Error> {
        self.rest = None;
        wait(self.runtime, self.stream.seek(to))?
    }

    /// A handle for other threads: its [`cancel`](StreamHandle::cancel) ends a read that waits.
    #[must_use]
    pub fn handle(&self) -> StreamHandle {
        self.stream.handle()
    }

    /// The async stream behind it.
    pub fn stream(&mut self) -> &mut crate::Stream {
        &mut self.stream
    }
}

impl Iterator for Stream {
    type Item = Result<PcmChunk, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_chunk().transpose()
    }
}
