//! The elementary stream descriptor (ISO/IEC 14496-1, 7.2.6).

use super::super::bits::Fields;

/// What an `esds` box says of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Esds<'a> {
    pub(super) object_type_indication: u8,
    /// The DecoderSpecificInfo: an AudioSpecificConfig for MPEG-4 audio.
    pub(super) specific: &'a [u8],
}

const ES_DESCRIPTOR: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC: u8 = 5;

impl<'a> Esds<'a> {
    /// Parses the payload of an `esds` box (version and flags included).
    pub(super) fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        fields.skip(4)?;
        let mut config = match descriptor(&mut fields)? {
            (ES_DESCRIPTOR, mut stream) => {
                stream.skip(2)?;
                let flags = stream.u8()?;
                if flags & 0x80 != 0 {
                    stream.skip(2)?;
                }
                if flags & 0x40 != 0 {
                    let len = stream.u8()?;
                    stream.skip(len.into())?;
                }
                if flags & 0x20 != 0 {
                    stream.skip(2)?;
                }
                find(stream, DECODER_CONFIG)?
            }
            // Some muxers leave out the outer descriptor.
            (DECODER_CONFIG, config) => config,
            _ => return None,
        };
        let object_type_indication = config.u8()?;
        config.skip(12)?;
        let specific = find(config, DECODER_SPECIFIC).map_or(&[][..], |specific| specific.rest());
        Some(Self { object_type_indication, specific })
    }
}

fn find(mut fields: Fields<'_>, wanted: u8) -> Option<Fields<'_>> {
    loop {
        let (tag, body) = descriptor(&mut fields)?;
        if tag == wanted {
            return Some(body);
        }
    }
}

/// One descriptor. A length beyond the end is clipped: muxers write wrong outer lengths.
fn descriptor<'a>(fields: &mut Fields<'a>) -> Option<(u8, Fields<'a>)> {
    let tag = fields.u8()?;
    let mut len = 0usize;
    for _ in 0..4 {
        let byte = fields.u8()?;
        len = len << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let body = fields.take(len.min(fields.rest().len()))?;
    Some((tag, Fields::new(body)))
}
