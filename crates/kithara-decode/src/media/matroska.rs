//! Matroska and WebM, read by Symphonia.

use super::format_reader::Opened;
use super::formats::FormatDescriptor;
use super::source::Window;
use super::symphonia_file::{SymphoniaFile, SymphoniaFormat, opened_by_symphonia};
use crate::DecodeError;

pub(super) const FORMAT: FormatDescriptor = FormatDescriptor::new(
    "matroska",
    |head| head.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]),
    |window, _context| open(window),
);

/// Opens the file that begins at the window's position.
fn open(window: Window) -> Result<Opened, DecodeError> {
    let tail = window.offset();
    let (file, track) = SymphoniaFile::open(SymphoniaFormat::Matroska, window, Vec::new(), tail, false)?;
    opened_by_symphonia("matroska", file, track)
}
