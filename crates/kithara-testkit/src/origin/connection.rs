use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, Bytes};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::Cut;

/// The means by which a response ends its connection, or speaks past HTTP.
///
/// The connection looks at it when everything before has been flushed, so no byte that was sent gets lost here.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: u64,
    state: Mutex<State>,
    flushes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    cut: Option<Cut>,
    raw: Option<Bytes>,
    waker: Option<Waker>,
}

impl Connection {
    pub(super) fn new(id: u64) -> Arc<Self> {
        Arc::new(Self { id, state: Mutex::default(), flushes: AtomicU64::new(0) })
    }

    /// Ends the connection once everything written so far has been flushed.
    pub(super) fn cut(&self, cut: Cut) {
        let waker = {
            let mut state = self.state.lock();
            state.cut.get_or_insert(cut);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Gives an HTTP/2 connection, which is another task, the time to write what a stream handed to it: a reset
    /// throws away what is still queued.
    pub(super) async fn let_flush(&self, is_taken: impl Fn() -> bool) {
        let before = self.flushes.load(Relaxed);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
            if is_taken() && self.flushes.load(Relaxed) != before {
                return;
            }
        }
    }

    /// Sends these bytes in place of the answer that follows, then closes.
    pub(super) fn send_raw(&self, bytes: Bytes) {
        self.state.lock().raw = Some(bytes);
    }
}

/// A socket that obeys its [`Connection`] and counts what is written to it.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    connection: Arc<Connection>,
    written: Arc<AtomicU64>,
    /// The rest of the raw bytes.
    raw: Option<Bytes>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>, written: Arc<AtomicU64>) -> Self {
        Self { stream, connection, written, raw: None }
    }

    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.written.fetch_add(*count as u64, Relaxed);
        }
        written
    }

    fn is_raw(&mut self) -> bool {
        if self.raw.is_none() {
            self.raw = self.connection.state.lock().raw.take();
        }
        self.raw.is_some()
    }

    fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(raw) = self.raw.as_mut().filter(|raw| !raw.is_empty()) {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, raw))?;
            raw.advance(count);
            self.written.fetch_add(count as u64, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_raw() {
            return Poll::Ready(Ok(data.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_raw() {
            return Poll::Ready(Ok(data.iter().map(|part| part.len()).sum()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.raw.is_some() {
            ready!(self.poll_raw(cx))?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let cut = {
            let mut state = self.connection.state.lock();
            if state.cut.is_none() && !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.waker = Some(cx.waker().clone());
            }
            state.cut
        };
        match cut {
            None => {
                self.connection.flushes.fetch_add(1, Relaxed);
                Pin::new(&mut self.stream).poll_flush(cx)
            }
            Some(cut) => {
                if cut == Cut::Reset {
                    self.stream.set_zero_linger()?;
                }
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
