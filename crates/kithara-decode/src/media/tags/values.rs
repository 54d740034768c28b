//! Values that several kinds of tags write alike.

/// A decimal number, with a unit behind it or not; of a sane size.
pub(super) fn decimal(value: &str) -> Option<f32> {
    let end = value.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.')).unwrap_or(value.len());
    let number: f32 = value[..end].parse().ok()?;
    (number.abs() <= 1000.0).then_some(number)
}

/// `3`, or `3/12`.
pub(super) fn number_of_total(value: &str) -> (Option<u32>, Option<u32>) {
    let parse = |text: &str| text.trim().parse().ok().filter(|&number| number > 0);
    match value.split_once('/') {
        Some((number, total)) => (parse(number), parse(total)),
        None => (parse(value), None),
    }
}

/// The MIME type of a picture: as stated, or by its first bytes.
pub(super) fn mime(stated: &str, data: &[u8]) -> String {
    let known = match data {
        [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'B', b'M', ..] => "image/bmp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => "",
    };
    let stated = stated.trim_matches(['\0', ' ']);
    if stated.contains('/') || stated == "-->" {
        // "image/jpg" is written as often as the registered name.
        let stated = if stated.eq_ignore_ascii_case("image/jpg") { "image/jpeg" } else { stated };
        return stated.chars().take(64).collect();
    }
    known.into()
}

/// Decodes base64 (RFC 4648, 4); padding may be missing. `None` for other characters.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

/// The genre that ID3v1 numbers so: those of its specification and of Winamp's first extension.
pub(super) fn genre(number: usize) -> Option<&'static str> {
    const GENRES: &str = "Blues,Classic Rock,Country,Dance,Disco,Funk,Grunge,Hip-Hop,Jazz,Metal,New Age,Oldies,Other,Pop,\
        R&B,Rap,Reggae,Rock,Techno,Industrial,Alternative,Ska,Death Metal,Pranks,Soundtrack,Euro-Techno,Ambient,Trip-Hop,\
        Vocal,Jazz+Funk,Fusion,Trance,Classical,Instrumental,Acid,House,Game,Sound Clip,Gospel,Noise,Alternative Rock,Bass,\
        Soul,Punk,Space,Meditative,Instrumental Pop,Instrumental Rock,Ethnic,Gothic,Darkwave,Techno-Industrial,Electronic,\
        Pop-Folk,Eurodance,Dream,Southern Rock,Comedy,Cult,Gangsta,Top 40,Christian Rap,Pop/Funk,Jungle,Native American,\
        Cabaret,New Wave,Psychedelic,Rave,Showtunes,Trailer,Lo-Fi,Tribal,Acid Punk,Acid Jazz,Polka,Retro,Musical,\
        Rock & Roll,Hard Rock,Folk,Folk-Rock,National Folk,Swing,Fast Fusion,Bebop,Latin,Revival,Celtic,Bluegrass,\
        Avantgarde,Gothic Rock,Progressive Rock,Psychedelic Rock,Symphonic Rock,Slow Rock,Big Band,Chorus,Easy Listening,\
        Acoustic,Humour,Speech,Chanson,Opera,Chamber Music,Sonata,Symphony,Booty Bass,Primus,Porn Groove,Satire,Slow Jam,\
        Club,Tango,Samba,Folklore,Ballad,Power Ballad,Rhythmic Soul,Freestyle,Duet,Punk Rock,Drum Solo,A capella,\
        Euro-House,Dance Hall";
    GENRES.split(',').nth(number).map(str::trim)
}

/// A genre as ID3 writes it: in words, as `(17)`, as `(17)Rock`, or as `17`.
pub(super) fn genre_text(value: &str) -> String {
    let numbered = value.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (number, words) = numbered.unwrap_or((value, ""));
    match number.parse().ok().and_then(genre) {
        Some(genre) if words.is_empty() => genre.into(),
        Some(_) => words.into(),
        None => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        assert_eq!(
            (decimal("+2.5 dB"), decimal("-3.25dB"), decimal("dB"), decimal("5000")),
            (Some(2.5), Some(-3.25), None, None)
        );
        assert_eq!(base64("SGk="), Some(b"Hi".to_vec()));
        assert_eq!(base64("SG!"), None);
        assert_eq!(genre_text("(17)"), "Rock");
        assert_eq!(
            (genre_text("(17)Krautrock"), genre_text("8"), genre_text("Dub")),
            ("Krautrock".into(), "Jazz".into(), "Dub".into())
        );
        assert_eq!((genre(79), genre(125), genre(400)), (Some("Hard Rock"), Some("Dance Hall"), None));
        assert_eq!(mime("JPG", &[0xFF, 0xD8, 0xFF, 0xE0]), "image/jpeg");
    }
}
