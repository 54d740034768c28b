//! A source as Symphonia's format readers see it: with another beginning, and with or without its length.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use symphonia::core::io::MediaSource;

use super::source::Window;

/// What is known about a [`View`] from outside while a format reader owns it.
#[derive(Clone, Default)]
pub(super) struct ViewState {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    hides_length: AtomicBool,
    hides_seeking: AtomicBool,
    resume: AtomicBool,
    fault: Mutex<Option<io::Error>>,
}

impl ViewState {
    /// Whether the reader is told no length (so that it does not go and look at the end).
    pub(super) fn hide_length(&self, hide: bool) {
        self.shared.hides_length.store(hide, Ordering::Relaxed);
    }

    /// Whether the reader is told that it cannot move (so that it takes what comes, and looks for nothing behind it).
    pub(super) fn hide_seeking(&self, hide: bool) {
        self.shared.hides_seeking.store(hide, Ordering::Relaxed);
    }

    /// The source's own error behind whatever the format reader made of it.
    pub(super) fn take_fault(&self) -> Option<io::Error> {
        self.shared.fault.lock().take()
    }

    /// Ends an interruption of the source, before its next read.
    pub(super) fn resume(&self) {
        self.shared.resume.store(true, Ordering::Relaxed);
        self.shared.fault.lock().take();
    }
}

/// A window that outlives the format reader that reads through it.
pub(super) type SharedWindow = Arc<Mutex<Window>>;

/// `head`, and then the source from `tail` on.
pub(super) struct View {
    window: SharedWindow,
    head: Arc<[u8]>,
    tail: u64,
    position: u64,
    state: ViewState,
}

impl View {
    pub(super) fn new(window: SharedWindow, head: Arc<[u8]>, tail: u64, state: ViewState) -> Self {
        Self { window, head, tail, position: 0, state }
    }

    fn read_source(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut window = self.window.lock();
        if self.state.shared.resume.swap(false, Ordering::Relaxed) {
            window.source_mut().resume();
        }
        let offset = self.position - self.head.len() as u64 + self.tail;
        if window.offset() != offset {
            window.move_to(offset)?;
        }
        let data = window.peek(1)?;
        let count = data.len().min(buf.len());
        buf[..count].copy_from_slice(&data[..count]);
        window.consume(count);
        Ok(count)
    }

    fn length(&self) -> Option<u64> {
        Some(self.window.lock().byte_len()?.saturating_sub(self.tail) + self.head.len() as u64)
    }
}

impl Read for View {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(self.position).unwrap_or(usize::MAX);
        let read = if let Some(rest) = self.head.get(at..).filter(|rest| !rest.is_empty()) {
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            count
        } else {
            self.read_source(buf).map_err(|error| {
                // The reader gets the kind, and whoever drives it the error itself.
                let kind = error.kind();
                *self.state.shared.fault.lock() = Some(error);
                io::Error::from(kind)
            })?
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for View {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, delta) = match to {
            SeekFrom::Start(offset) => (offset, 0),
            SeekFrom::Current(delta) => (self.position, delta),
            SeekFrom::End(delta) => match self.length() {
                Some(length) => (length, delta),
                None => return Err(io::Error::new(io::ErrorKind::Unsupported, "the length is not known")),
            },
        };
        self.position = base
            .checked_add_signed(delta)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the start"))?;
        Ok(self.position)
    }
}

impl MediaSource for View {
    fn is_seekable(&self) -> bool {
        !self.state.shared.hides_seeking.load(Ordering::Relaxed) && self.window.lock().source().is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        let hides = [&self.state.shared.hides_length, &self.state.shared.hides_seeking]
            .map(|hides| hides.load(Ordering::Relaxed));
        if hides.contains(&true) { None } else { self.length() }
    }
}
