//! The JSON indexes of old, pretty or compact. They are read, and replaced by the next flush.
//!
//! The LRU index knew assets only, in one of these forms, and the pin index names:
//!
//! ```json
//! {"version":1,"clock":9,"entries":[{"asset_root":"a","last_touch":7,"bytes":512}]}
//! {"version":1,"clock":9,"entries":{"a":{"last_touch":7,"bytes":null}}}
//! {"version":1,"pinned":["a","b"]}
//! ```
//! Reading is lenient about which of these a file has, and skips names that are no asset root.

use serde_json::{Map, Value};

use crate::key::check_asset_root;

/// What a JSON index says about recency: each asset with the clock of its last use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LegacyLru {
    pub(crate) clock: u64,
    pub(crate) touched: Vec<(String, u64)>,
}

pub(crate) fn parse_lru(bytes: &[u8]) -> Option<LegacyLru> {
    let Value::Object(file) = serde_json::from_slice(bytes).ok()? else { return None };
    let clock = number(&file, &["clock"]).unwrap_or(0);
    let touched = match first(&file, &["entries", "by_root", "assets", "lru"])? {
        Value::Array(entries) => entries.iter().filter_map(listed_entry).collect(),
        Value::Object(entries) => {
            entries.iter().filter_map(|(root, entry)| mapped_entry(root, entry)).collect()
        }
        _ => return None,
    };
    Some(LegacyLru { clock, touched })
}

pub(crate) fn parse_pins(bytes: &[u8]) -> Option<Vec<String>> {
    let file: Value = serde_json::from_slice(bytes).ok()?;
    let list = match &file {
        Value::Array(list) => list,
        Value::Object(file) => first(file, &["pinned", "pins", "assets", "entries"])?.as_array()?,
        _ => return None,
    };
    Some(list.iter().filter_map(Value::as_str).filter(|root| is_root(root)).map(str::to_owned).collect())
}

fn listed_entry(entry: &Value) -> Option<(String, u64)> {
    let entry = entry.as_object()?;
    let root = first(entry, &["asset_root", "root", "key", "name"])?.as_str()?;
    is_root(root).then(|| (root.to_owned(), touched(entry)))
}

fn mapped_entry(root: &str, entry: &Value) -> Option<(String, u64)> {
    let touched = entry.as_object().map_or_else(|| entry.as_u64().unwrap_or(0), touched);
    is_root(root).then(|| (root.to_owned(), touched))
}

fn touched(entry: &Map<String, Value>) -> u64 {
    number(entry, &["last_touch", "touched", "last_used", "last_access", "clock"]).unwrap_or(0)
}

fn first<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| object.get(*name))
}

fn number(object: &Map<String, Value>, names: &[&str]) -> Option<u64> {
    first(object, names)?.as_u64()
}

fn is_root(root: &str) -> bool {
    check_asset_root(root).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lru(text: &str) -> Option<Vec<(String, u64)>> {
        parse_lru(text.as_bytes()).map(|lru| lru.touched)
    }

    #[test]
    fn both_forms_pretty_and_compact_are_read() {
        let expected = Some(vec![("a".to_owned(), 7), ("b".to_owned(), 8)]);
        let list = r#"{"version":1,"clock":9,"entries":[{"asset_root":"a","last_touch":7,"bytes":512},
                       {"asset_root":"b","last_touch":8,"bytes":null}]}"#;
        assert_eq!(lru(list), expected);
        let map =
            r#"{"version":1,"clock":9,"entries":{"a":{"last_touch":7},"b":{"last_touch":8,"bytes":1}}}"#;
        assert_eq!(lru(map), expected);
        let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(list).unwrap()).unwrap();
        assert_eq!(lru(&pretty), expected);
        assert_eq!(parse_lru(list.as_bytes()).unwrap().clock, 9);
        let pins = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(parse_pins(br#"{"version":1,"pinned":["a","b"]}"#), pins);
        assert_eq!(parse_pins(b"[\n  \"a\",\n  \"b\"\n]"), pins);
    }

    #[test]
    fn names_that_would_leave_the_folder_are_skipped() {
        assert_eq!(parse_pins(br#"{"pinned":["../x","_index","ok",7,""]}"#), Some(vec!["ok".to_owned()]));
        assert_eq!(
            lru(r#"{"entries":{"..":{"last_touch":1},"/":2,"ok":3}}"#),
            Some(vec![("ok".to_owned(), 3)])
        );
    }

    #[test]
    fn anything_else_is_no_index() {
        for text in ["", "{", "[]", "null", "7", "{}", r#"{"entries":3}"#, &"[".repeat(100_000)] {
            assert_eq!(lru(text), None, "{}", &text[..text.len().min(20)]);
        }
        for text in ["", "{", "null", "{}", r#"{"pinned":{}}"#, r#"{"pinned":"#] {
            assert_eq!(parse_pins(text.as_bytes()), None, "{text}");
        }
    }
}
