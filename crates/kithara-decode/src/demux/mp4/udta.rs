//! User data: the iTunes gapless comment.

use super::super::track::Gapless;
use super::boxes::Boxes;

/// The `iTunSMPB` comment of a `udta` payload (`meta/ilst/----`).
pub(super) fn gapless(udta: &[u8]) -> Option<Gapless> {
    let meta = Boxes::new(udta).find(b"meta").ok()??;
    // ISO `meta` is a full box, QuickTime's is not.
    let ilst = match Boxes::new(meta.get(4..)?).find(b"ilst") {
        Ok(Some(ilst)) => ilst,
        _ => Boxes::new(meta).find(b"ilst").ok()??,
    };
    let mut items = Boxes::new(ilst);
    while let Ok(Some((kind, item))) = items.next_box() {
        if &kind.0 != b"----" {
            continue;
        }
        let name = Boxes::new(item).find(b"name").ok().flatten().and_then(|name| name.get(4..));
        if name == Some(b"iTunSMPB") {
            let value = Boxes::new(item).find(b"data").ok()??.get(8..)?;
            return parse_smpb(value);
        }
    }
    None
}

/// ` 00000000 00000840 000001CA 00000000003F31F6 …`: zero, delay, padding, total frames, all hexadecimal.
fn parse_smpb(value: &[u8]) -> Option<Gapless> {
    let text = std::str::from_utf8(value).ok()?;
    let mut numbers = text.split_ascii_whitespace().skip(1).map(|word| u64::from_str_radix(word, 16));
    let mut next = || numbers.next()?.ok();
    let delay = u32::try_from(next()?).ok()?;
    let padding = u32::try_from(next()?).ok()?;
    let total_frames = next().filter(|&total| total > 0);
    Some(Gapless { delay, padding, total_frames })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn itunes_comment() {
        let parsed = parse_smpb(b" 00000000 00000840 000001CA 00000000003F31F6 00000000 00000000").unwrap();
        assert_eq!((parsed.delay, parsed.padding, parsed.total_frames), (2112, 458, Some(4_141_558)));
        assert_eq!(parse_smpb(b" 0 zz"), None);
        assert_eq!(parse_smpb(&[0xFF, 0xFE]), None);
    }
}
