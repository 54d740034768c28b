//! User data of MP4 and QuickTime: iTunes' list, QuickTime's texts and keys, and the chapters of Nero (`chpl`).

use std::time::Duration;

use super::{Field, Tags, values};

/// Items and keys that are read.
const MAX_ITEMS: usize = 4096;

impl Tags {
    /// Takes the payload of a `udta` box, or of a `meta` box where `is_meta`.
    pub(in crate::media) fn take_mp4(&mut self, payload: &[u8], is_meta: bool) {
        if is_meta {
            return self.take_meta(payload);
        }
        for (kind, body) in boxes(payload) {
            match &kind {
                b"meta" => self.take_meta(body),
                b"chpl" => self.take_chpl(body),
                [0xA9, ..] => {
                    // QuickTime: length, language, text.
                    let len = body.first_chunk::<2>().map_or(0, |len| u16::from_be_bytes(*len).into());
                    if let Some(text) = body.get(4..).and_then(|rest| rest.get(..len)) {
                        let text = String::from_utf8_lossy(text);
                        self.take_as(field_of(kind), &name_of(kind), &text);
                    }
                }
                _ => {}
            }
        }
    }

    fn take_meta(&mut self, payload: &[u8]) {
        // ISO's is a full box, QuickTime's is not.
        let is_full =
            boxes(payload).next().is_none_or(|(kind, _)| !kind.iter().all(|byte| byte.is_ascii_graphic()));
        let payload = if is_full { payload.get(4..).unwrap_or_default() } else { payload };
        let mut keys = Vec::new();
        for (kind, body) in boxes(payload) {
            match &kind {
                b"keys" => keys = read_keys(body),
                b"ilst" => {
                    for (kind, item) in boxes(body).take(MAX_ITEMS) {
                        self.take_item(kind, item, &keys);
                    }
                }
                _ => {}
            }
        }
    }

    fn take_item(&mut self, kind: [u8; 4], item: &[u8], keys: &[String]) {
        let data = boxes(item).filter(|(kind, _)| kind == b"data");
        for (_, data) in data {
            let Some((head, value)) = data.split_at_checked(8) else { continue };
            let code = head.first_chunk::<4>().map_or(0, |code| u32::from_be_bytes(*code) & 0xFF_FFFF);
            match &kind {
                b"covr" => {
                    let mime = match code {
                        13 => "image/jpeg",
                        14 => "image/png",
                        27 => "image/bmp",
                        _ => "",
                    };
                    self.take_picture(mime, 3, "", value);
                }
                b"trkn" | b"disk" => {
                    if let &[_, _, a, b, c, d, ..] = value {
                        let (number, total) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                        self.take_as(field_of(kind), &name_of(kind), &format!("{number}/{total}"));
                    }
                }
                b"gnre" => {
                    if let Some(genre) =
                        value.get(1).and_then(|&n| values::genre(usize::from(n).checked_sub(1)?))
                    {
                        self.take_as(Some(Field::Genre), "gnre", genre);
                    }
                }
                b"----" => {
                    let name =
                        boxes(item).find(|(kind, _)| kind == b"name").and_then(|(_, name)| name.get(4..));
                    let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
                    if code <= 1 {
                        self.take(&name, &String::from_utf8_lossy(value));
                    }
                }
                _ if code == 1 || code == 2 => {
                    let text = if code == 1 {
                        String::from_utf8_lossy(value).into_owned()
                    } else {
                        let units = value.as_chunks::<2>().0.iter().map(|&pair| u16::from_be_bytes(pair));
                        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
                    };
                    let number = u32::from_be_bytes(kind) as usize;
                    match number.checked_sub(1).and_then(|index| keys.get(index)) {
                        Some(key) => {
                            let short = key.rsplit('.').next().unwrap_or(key);
                            self.take_as(Field::of_name(short), key, &text);
                        }
                        None => self.take_as(field_of(kind), &name_of(kind), &text),
                    }
                }
                _ => {}
            }
        }
    }

    /// Chapters: starts in units of 100 ns, and titles.
    fn take_chpl(&mut self, body: &[u8]) {
        let skip = if body.first() == Some(&1) { 8 } else { 4 };
        let Some((&count, mut rest)) = body.get(skip..).and_then(<[u8]>::split_first) else { return };
        for _ in 0..count {
            let Some((start, tail)) = rest.split_first_chunk::<8>() else { break };
            let Some((&len, tail)) = tail.split_first() else { break };
            let Some((title, behind)) = tail.split_at_checked(len.into()) else { break };
            let ticks = u64::from_be_bytes(*start);
            let start = Duration::new(ticks / 10_000_000, (ticks % 10_000_000) as u32 * 100);
            self.take_chapter(start, None, Some(String::from_utf8_lossy(title).into_owned()));
            rest = behind;
        }
    }
}

fn field_of(kind: [u8; 4]) -> Option<Field> {
    Some(match &kind {
        b"\xA9nam" => Field::Title,
        b"\xA9ART" => Field::Artist,
        b"\xA9alb" => Field::Album,
        b"aART" => Field::AlbumArtist,
        b"\xA9wrt" => Field::Composer,
        b"\xA9gen" => Field::Genre,
        b"\xA9day" => Field::Date,
        b"\xA9cmt" => Field::Comment,
        b"trkn" => Field::Track,
        b"disk" => Field::Disc,
        _ => return None,
    })
}

fn name_of(kind: [u8; 4]) -> String {
    kind.iter().map(|&byte| char::from(byte)).collect()
}

/// The names of QuickTime's keys.
fn read_keys(body: &[u8]) -> Vec<String> {
    let entries = boxes(body.get(8..).unwrap_or_default()).take(MAX_ITEMS);
    entries.map(|(_, name)| String::from_utf8_lossy(name).chars().take(super::MAX_NAME).collect()).collect()
}

/// Kinds and payloads of the boxes in `data`, as far as they are whole.
fn boxes(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (size, rest) = data.split_first_chunk::<4>()?;
        let kind = *rest.first_chunk::<4>()?;
        let size = u32::from_be_bytes(*size) as usize;
        let body = data.get(8..size)?;
        data = &data[size..];
        Some((kind, body))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    fn item(kind: &[u8; 4], code: u32, value: &[u8]) -> Vec<u8> {
        make(kind, &make(b"data", &[&code.to_be_bytes()[..], &[0; 4], value].concat()))
    }

    #[test]
    fn itunes_list_becomes_fields() {
        let free =
            [make(b"mean", b"\0\0\0\0com.apple.iTunes"), make(b"name", b"\0\0\0\0replaygain_track_gain")]
                .concat();
        let free = make(b"----", &[free, make(b"data", b"\0\0\0\x01\0\0\0\0-7.1 dB")].concat());
        let list = [
            item(b"\xA9nam", 1, b"Song"),
            item(b"trkn", 0, &[0, 0, 0, 4, 0, 10, 0, 0]),
            item(b"gnre", 0, &[0, 18]),
            item(b"covr", 14, b"\x89PNG"),
            free,
        ]
        .concat();
        let meta = make(b"meta", &[&[0; 4][..], &make(b"hdlr", &[0; 24]), &make(b"ilst", &list)].concat());
        let mut chapters = b"\x01\0\0\0\0\0\0\0\x02".to_vec();
        for (seconds, title) in [(0u64, "One"), (90, "Two")] {
            chapters.extend_from_slice(&(seconds * 10_000_000).to_be_bytes());
            chapters.push(title.len() as u8);
            chapters.extend_from_slice(title.as_bytes());
        }
        let udta = [meta, make(b"chpl", &chapters)].concat();
        let mut tags = Tags::default();
        tags.take_mp4(&udta, false);
        assert_eq!((tags.title.as_deref(), tags.track, tags.track_total), (Some("Song"), Some(4), Some(10)));
        assert_eq!((tags.genre.as_deref(), tags.replay_gain.track_gain), (Some("Rock"), Some(-7.1)));
        assert_eq!((&*tags.pictures[0].mime, tags.chapters.len()), ("image/png", 2));
        assert_eq!((tags.chapters[1].start.as_secs(), tags.chapters[1].title.as_deref()), (90, Some("Two")));
        for cut in 0..udta.len() {
            Tags::default().take_mp4(&udta[..cut], false);
        }
    }
}
