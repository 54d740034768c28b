//! Ogg pages: found, checked, taken apart.

use std::io;

use crate::media::source::Window;

const HEADER: usize = 27;
/// Longest page: header, 255 lacing values, 255 segments of 255 bytes.
pub(super) const MAX_PAGE: usize = HEADER + 255 + 255 * 255;
const CRC: [u32; 256] = crc_table();

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Offset of the page in the file, and of what follows it.
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) is_continued: bool,
    pub(super) is_first: bool,
    pub(super) is_last: bool,
    /// Position of the end of the last packet that ends on this page; `None` when none does.
    pub(super) granule: Option<i64>,
    pub(super) serial: u32,
    pub(super) number: u32,
    pub(super) lacing: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl Page {
    /// Lengths of the pieces of packets on this page, and whether each is the end of its packet.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        let mut rest = self.lacing.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let full = rest.iter().take_while(|&&value| value == 255).count();
            let is_end = full < rest.len();
            let count = (full + 1).min(rest.len());
            let len = rest[..count].iter().map(|&value| usize::from(value)).sum();
            rest = &rest[count..];
            Some((len, is_end))
        })
    }
}

/// Reads the next sound page at or behind the window's position into `page`. `false` at the end, or when none begins
/// before `limit`.
pub(super) fn read(window: &mut Window, page: &mut Page, limit: u64) -> io::Result<bool> {
    loop {
        let data = window.peek(HEADER)?;
        if data.len() < HEADER {
            return Ok(false);
        }
        match find(data) {
            Some(0) => {}
            Some(at) => {
                window.consume(at);
                continue;
            }
            None => {
                let len = data.len() - 3;
                window.consume(len);
                if window.offset() >= limit {
                    return Ok(false);
                }
                continue;
            }
        }
        if window.offset() >= limit {
            return Ok(false);
        }
        if take(window, page)? {
            return Ok(true);
        }
        window.consume(1);
    }
}

fn find(data: &[u8]) -> Option<usize> {
    data.windows(4).position(|word| word == b"OggS")
}

/// Takes the page at the window's position, if it is whole and sound.
fn take(window: &mut Window, page: &mut Page) -> io::Result<bool> {
    let offset = window.offset();
    let segments = window.peek(HEADER)?.get(26).copied().map_or(0, usize::from);
    let header_len = HEADER + segments;
    let body_len = match window.peek(header_len)?.get(HEADER..header_len) {
        Some(lacing) => lacing.iter().map(|&value| usize::from(value)).sum::<usize>(),
        None => return Ok(false),
    };
    let len = header_len + body_len;
    let Some(data) = window.peek(len)?.get(..len) else { return Ok(false) };
    if data[4] != 0 || checksum(data) != le32(data, 22) {
        return Ok(false);
    }
    let granule = i64::from(le32(data, 6)) | i64::from(le32(data, 10)) << 32;
    *page = Page {
        offset,
        end: offset + len as u64,
        is_continued: data[5] & 1 != 0,
        is_first: data[5] & 2 != 0,
        is_last: data[5] & 4 != 0,
        granule: (granule >= 0).then_some(granule),
        serial: le32(data, 14),
        number: le32(data, 18),
        lacing: std::mem::take(&mut page.lacing),
        body: std::mem::take(&mut page.body),
    };
    page.lacing.clear();
    page.lacing.extend_from_slice(&data[HEADER..header_len]);
    page.body.clear();
    page.body.extend_from_slice(&data[header_len..]);
    window.consume(len);
    Ok(true)
}

fn le32(data: &[u8], at: usize) -> u32 {
    data.get(at..).and_then(|rest| rest.first_chunk::<4>()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The page's checksum: of all of it, with the checksum itself as zeros.
fn checksum(page: &[u8]) -> u32 {
    let step = |crc: u32, byte: u8| crc << 8 ^ CRC[usize::from((crc >> 24) as u8 ^ byte)];
    let crc = page[..22].iter().fold(0, |crc, &byte| step(crc, byte));
    let crc = (0..4).fold(crc, |crc, _| step(crc, 0));
    page[26..].iter().fold(crc, |crc, &byte| step(crc, byte))
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 != 0 { crc << 1 ^ 0x04C1_1DB7 } else { crc << 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}
