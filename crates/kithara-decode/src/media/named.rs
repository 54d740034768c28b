//! The names of formats that are recognised and cannot be played.

use crate::headers::mpa::MpaHeader;

/// Bytes that [`name`] looks at.
pub(super) const HEAD: usize = 6 * 1024;

/// First bytes, how far behind the start they stand, and the name.
const MAGIC: [(usize, &[u8], &str); 51] = [
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio (APE)"),
    (0, b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", "ASF (Windows Media: WMA)"),
    (0, b"DSD \x1C\0\0\0", "DSD (DSF)"),
    (0, b"FRM8", "DSD (DSDIFF)"),
    (0, b"#!AMR-WB", "AMR wideband"),
    (0, b"#!AMR", "AMR narrowband"),
    (0, b"#!EVC", "EVRC"),
    (0, b"#!SILK", "SILK"),
    (1, b"#!SILK", "SILK"),
    (0, b"MPCK", "Musepack SV8"),
    (0, b"MP+", "Musepack SV7"),
    (0, b"TTA1", "True Audio (TTA)"),
    (0, b"TTA2", "True Audio (TTA)"),
    (0, b"tBaK", "TAK"),
    (0, b"OFR ", "OptimFROG"),
    (0, b"LA02", "Lossless Audio (LA)"),
    (0, b"LA03", "Lossless Audio (LA)"),
    (0, b"LA04", "Lossless Audio (LA)"),
    (0, b"ajkg", "Shorten"),
    (0, b"RKA", "RK Audio"),
    (0, b"LPAC", "LPAC"),
    (0, b"TWIN", "TwinVQ (VQF)"),
    (0, b"ADIF", "AAC with an ADIF header"),
    (0, b"DTSHDHDR", "DTS-HD"),
    (0, b"\x7F\xFE\x80\x01", "DTS"),
    (0, b"\xFE\x7F\x01\x80", "DTS"),
    (0, b"\x1F\xFF\xE8\x00", "DTS"),
    (0, b"\xFF\x1F\x00\xE8", "DTS"),
    (0, b"\x64\x58\x20\x25", "DTS-HD"),
    (4, b"\xF8\x72\x6F\xBA", "Dolby TrueHD"),
    (4, b"\xF8\x72\x6F\xBB", "MLP"),
    (0, b"\xAC\x40", "AC-4"),
    (0, b"\xAC\x41", "AC-4"),
    (0, b".ra\xFD", "RealAudio"),
    (0, b".RMF", "RealMedia"),
    (0, b"MThd", "MIDI"),
    (0, b"RIFX", "WAV in big-endian order (RIFX)"),
    (0, b"FLV\x01", "Flash Video (FLV)"),
    (0, b"\x00\x00\x01\xBA", "an MPEG program stream"),
    (0, b"Creative Voice File", "Creative Voice (VOC)"),
    (0, b"NIST_1A", "NIST SPHERE"),
    (0, b"8SVX", "8SVX"),
    (8, b"8SVX", "8SVX"),
    (8, b"AVI ", "AVI"),
    (8, b"RMID", "MIDI"),
    (0, b"caf\0", "CAF of an unknown version"),
    (0, b"IMPM", "an Impulse Tracker module"),
    (0, b"Extended Module", "a FastTracker module"),
    (44, b"SCRM", "a Scream Tracker module"),
    (1080, b"M.K.", "a ProTracker module"),
];

/// The name of the format that `head` begins with.
pub(super) fn name(head: &[u8]) -> Option<&'static str> {
    let begins =
        |&&(at, magic, _): &&(usize, &[u8], _)| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let found = MAGIC.iter().find(begins).map(|&(.., name)| name);
    found.or_else(|| dolby(head)).or_else(|| is_latm(head).then_some("AAC in LATM")).or_else(|| {
        is_free_format(head).then_some("MP3 of free format (a bit rate that its frames do not state)")
    })
}

/// AC-3 or E-AC-3: a sync word, and another one frame on.
fn dolby(head: &[u8]) -> Option<&'static str> {
    let head = head.strip_prefix(&[0x77, 0x0B]).map_or(head, |_| &[]);
    let &[0x0B, 0x77, b2, b3, b4, b5, ..] = head else { return None };
    let (name, len) = if b5 >> 3 <= 10 {
        const KBITS: [usize; 19] =
            [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
        let kbits = *KBITS.get(usize::from(b4 & 0x3F) / 2)?;
        let words = match b4 >> 6 {
            0 => kbits * 2,
            1 => kbits * 320 / 147 + usize::from(b4 & 1),
            2 => kbits * 3,
            _ => return None,
        };
        ("AC-3 (Dolby Digital)", 2 * words)
    } else if b5 >> 3 <= 16 {
        ("E-AC-3 (Dolby Digital Plus)", 2 * ((usize::from(b2 & 7) << 8 | usize::from(b3)) + 1))
    } else {
        return None;
    };
    head.get(len..len + 2).is_none_or(|next| next == [0x0B, 0x77]).then_some(name)
}

/// Two LOAS frames in a row.
fn is_latm(head: &[u8]) -> bool {
    let len = |at: usize| match head.get(at..)? {
        &[0x56, b1, b2, ..] if b1 & 0xE0 == 0xE0 => Some(3 + (usize::from(b1 & 0x1F) << 8 | usize::from(b2))),
        _ => None,
    };
    len(0).and_then(len).is_some()
}

/// Frames of MPEG audio without a bit rate: the same header three times at one distance, but for padding.
fn is_free_format(head: &[u8]) -> bool {
    let is_header = |at: usize| {
        let Some(&[a, b, c, d]) = head.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
            return false;
        };
        let same = |index: usize, byte: u8, mask: u8| head[index] & mask == byte & mask;
        // The same header with a bit rate must be one.
        c >> 4 == 0
            && MpaHeader::parse(&[a, b, c | 0x90, d]).is_some()
            && same(1, b, 0xFF)
            && same(2, c, 0xFC)
    };
    if head.len() < 4 || !is_header(0) {
        return false;
    }
    let Some(len) = (32..head.len() / 2).find(|&at| is_header(at)) else { return false };
    let slot = if head[1] >> 1 & 3 == 3 { 4 } else { 1 };
    (2 * len - slot..=2 * len + slot).any(is_header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named_by_their_first_bytes() {
        assert_eq!(name(b"wvpk\0\0\0\0"), Some("WavPack"));
        assert_eq!(name(b"#!AMR-WB\n"), Some("AMR wideband"));
        assert_eq!(name(b"#!AMR\n"), Some("AMR narrowband"));
        let mut ac3 = vec![0; 2000];
        for frame in ac3.chunks_mut(768) {
            frame[..6].copy_from_slice(&[0x0B, 0x77, 0, 0, 0x14, 0x40]);
        }
        assert_eq!(name(&ac3), Some("AC-3 (Dolby Digital)"));
        ac3[768] = 0;
        assert_eq!(name(&ac3), None);
        assert_eq!(name(b""), None);
        assert_eq!(name(b"no media at all, only text"), None);
    }

    #[test]
    fn free_format_shows_by_its_distance() {
        let mut mp3 = vec![0x55; 2000];
        for at in [0, 522, 1045] {
            mp3[at..at + 4].copy_from_slice(&[0xFF, 0xFB, 0x00, 0x40]);
        }
        assert!(is_free_format(&mp3));
        mp3[1045] = 0;
        assert!(!is_free_format(&mp3));
    }
}
