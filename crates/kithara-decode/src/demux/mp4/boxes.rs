//! Boxes (ISO/IEC 14496-12, 4.2).

use super::super::FourCc;
use super::super::bits::Fields;

/// Why a box is malformed.
pub(in super::super) type Parsed<T> = Result<T, &'static str>;

/// The header of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct BoxHeader {
    pub(in super::super) kind: FourCc,
    pub(in super::super) header_len: u64,
    /// Size with the header; `None` when the box reaches to the end of the file.
    pub(in super::super) size: Option<u64>,
}

impl BoxHeader {
    /// Reads a header from the first bytes of a box: `None` when more bytes are needed (16 always suffice).
    pub(in super::super) fn parse(data: &[u8]) -> Parsed<Option<Self>> {
        let mut fields = Fields::new(data);
        let (Some(size), Some(kind)) = (fields.u32(), fields.array()) else { return Ok(None) };
        let kind = FourCc(kind);
        match size {
            0 => Ok(Some(Self { kind, header_len: 8, size: None })),
            1 => match fields.u64() {
                None => Ok(None),
                Some(16..=0x7FFF_FFFF_FFFF_FFFF) => {
                    Ok(Some(Self { kind, header_len: 16, size: Fields::new(&data[8..]).u64() }))
                }
                Some(_) => Err("box size"),
            },
            2..8 => Err("box size"),
            size => Ok(Some(Self { kind, header_len: 8, size: Some(u64::from(size)) })),
        }
    }
}

/// The children of a container box.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Boxes<'a> {
    data: &'a [u8],
}

impl<'a> Boxes<'a> {
    pub(in super::super) fn new(data: &'a [u8]) -> Self {
        Self { data }
    }

    /// The next child, `None` at the end. Fewer than eight bytes at the end are padding (QuickTime ends a list by four
    /// zero bytes), and so is a run of zeros.
    pub(in super::super) fn next_box(&mut self) -> Parsed<Option<(FourCc, &'a [u8])>> {
        let Some(header) = BoxHeader::parse(self.data)? else {
            return Ok(None);
        };
        if header.kind.0 == [0; 4] && header.size.is_none() {
            return Ok(None);
        }
        let size = match header.size {
            None => self.data.len(),
            Some(size) => usize::try_from(size).map_err(|_| "box size")?,
        };
        let (this, rest) = self.data.split_at_checked(size).ok_or("box exceeds its parent")?;
        self.data = rest;
        Ok(Some((header.kind, &this[header.header_len as usize..])))
    }

    /// The first child of a kind. Damage before it is an error, damage behind it is not seen.
    pub(in super::super) fn find(mut self, kind: &[u8; 4]) -> Parsed<Option<&'a [u8]>> {
        while let Some((found, payload)) = self.next_box()? {
            if &found.0 == kind {
                return Ok(Some(payload));
            }
        }
        Ok(None)
    }
}

/// Version and flags of a full box, and what follows.
pub(in super::super) fn full_box(payload: &[u8]) -> Parsed<(u8, u32, Fields<'_>)> {
    let mut fields = Fields::new(payload);
    let version_and_flags = fields.u32().ok_or("full box cut short")?;
    Ok(((version_and_flags >> 24) as u8, version_and_flags & 0x00FF_FFFF, fields))
}
