//! APEv2 tags.

use super::Tags;

/// Items of a tag that are read.
const MAX_ITEMS: usize = 1024;

impl Tags {
    /// Takes the items of a tag: the bytes between its header and its footer.
    pub(in crate::media) fn take_ape_items(&mut self, mut items: &[u8]) {
        for _ in 0..MAX_ITEMS {
            let Some((name, flags, value, rest)) = item(items) else { break };
            let name = String::from_utf8_lossy(name);
            match flags >> 1 & 3 {
                0 => {
                    let text = String::from_utf8_lossy(value);
                    let text: Vec<_> = text.split('\0').filter(|part| !part.is_empty()).collect();
                    self.take(&name, &text.join("; "));
                }
                1 if name.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("Cover Art")) => {
                    // The name of a file, and the file.
                    if let Some(end) = value.iter().position(|&byte| byte == 0) {
                        let kind = if name.to_ascii_lowercase().contains("back") { 4 } else { 3 };
                        self.take_picture("", kind, "", &value[end + 1..]);
                    }
                }
                _ => {}
            }
            items = rest;
        }
    }
}

/// Name, flags, value and rest of the item that `data` begins with.
#[allow(clippy::type_complexity)]
fn item(data: &[u8]) -> Option<(&[u8], u32, &[u8], &[u8])> {
    let (len, rest) = data.split_first_chunk::<4>()?;
    let (flags, rest) = rest.split_first_chunk::<4>()?;
    let end = rest.iter().take(256).position(|&byte| byte == 0).filter(|&end| end > 0)?;
    let (value, behind) = rest[end + 1..].split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((&rest[..end], u32::from_le_bytes(*flags), value, behind))
}
