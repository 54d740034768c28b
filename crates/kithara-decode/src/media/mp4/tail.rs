//! A file from an offset on, as the MP4 reader wants it.

use std::io::{self, Read, Seek, SeekFrom};

use crate::media::source::Window;

/// A window from `tail` on.
pub(super) struct Tail {
    window: Window,
    tail: u64,
    position: u64,
}

impl Tail {
    /// The window from its position on.
    pub(super) fn new(window: Window) -> Self {
        Self { tail: window.offset(), window, position: 0 }
    }

    pub(super) fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }
}

impl Read for Tail {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let offset = self.tail.saturating_add(self.position);
        if self.window.offset() != offset {
            self.window.move_to(offset)?;
        }
        let data = self.window.peek(1)?;
        let count = data.len().min(buf.len());
        buf[..count].copy_from_slice(&data[..count]);
        self.window.consume(count);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Tail {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => match self.window.byte_len() {
                Some(len) => len.saturating_sub(self.tail).checked_add_signed(delta),
                None => return Err(io::Error::new(io::ErrorKind::Unsupported, "the length is not known")),
            },
        };
        let before_start = || io::Error::new(io::ErrorKind::InvalidInput, "seek before the start");
        self.position = position.ok_or_else(before_start)?;
        Ok(self.position)
    }
}
