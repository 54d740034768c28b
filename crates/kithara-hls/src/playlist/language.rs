//! Language tags (BCP 47), as far as renditions are chosen by them.

/// ISO 639-2 codes, which packagers write where BCP 47 wants the two letters of ISO 639-1.
const THREE_LETTERS: &[(&str, &str)] = &[
    ("ara", "ar"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("chi", "zh"),
    ("cze", "cs"),
    ("dan", "da"),
    ("deu", "de"),
    ("dut", "nl"),
    ("ell", "el"),
    ("eng", "en"),
    ("est", "et"),
    ("fas", "fa"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("fre", "fr"),
    ("ger", "de"),
    ("gre", "el"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("ind", "id"),
    ("ita", "it"),
    ("jpn", "ja"),
    ("kor", "ko"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("msa", "ms"),
    ("nld", "nl"),
    ("nor", "no"),
    ("per", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("ron", "ro"),
    ("rum", "ro"),
    ("rus", "ru"),
    ("slk", "sk"),
    ("slo", "sk"),
    ("slv", "sl"),
    ("spa", "es"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("tha", "th"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("vie", "vi"),
    ("zho", "zh"),
];

/// 3: the very language; 2: one is a dialect of the other; 1: two dialects of one language; 0: different languages.
pub(super) fn similarity(one: &str, other: &str) -> u8 {
    let (one, other) = (normal(one), normal(other));
    let primary = |tag: &str| tag.split('-').next().unwrap_or("").to_owned();
    if one == other {
        3
    } else if primary(&one) != primary(&other) || primary(&one).is_empty() {
        0
    } else if is_dialect(&one, &other) || is_dialect(&other, &one) {
        2
    } else {
        1
    }
}

fn is_dialect(tag: &str, of: &str) -> bool {
    tag.strip_prefix(of).is_some_and(|rest| rest.starts_with('-'))
}

fn normal(tag: &str) -> String {
    let tag = tag.trim().to_ascii_lowercase().replace('_', "-");
    let (primary, rest) = tag.split_at(tag.find('-').unwrap_or(tag.len()));
    let primary = THREE_LETTERS.iter().find(|(three, _)| *three == primary).map_or(primary, |(_, two)| two);
    format!("{primary}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_are_closer_than_strangers() {
        assert_eq!(similarity("pt-BR", "pt-br"), 3);
        assert_eq!(similarity("eng", "en"), 3);
        assert_eq!(similarity("ger", "deu"), 3);
        assert_eq!(similarity("pt-BR", "pt"), 2);
        assert_eq!(similarity("en_US", "eng"), 2);
        assert_eq!(similarity("pt-BR", "pt-PT"), 1);
        assert_eq!(similarity("en", "eno"), 0);
        assert_eq!(similarity("", "en"), 0);
    }
}
