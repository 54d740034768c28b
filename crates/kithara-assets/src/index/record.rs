//! The payloads of the frames, in bincode. The one place that knows of bincode.

use bincode::config;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::frame;
use super::frame::{FrameError, Frames, Kind};
use crate::catalog::{Entry, State};
use crate::key::check_asset_root;

/// Largest index file that is read, and the most memory that decoding one may claim. A resource takes about 80 bytes.
pub(crate) const MAX_INDEX: usize = 256 << 20;

/// The index entry of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResourceRecord<'a> {
    pub(crate) rel: &'a str,
    pub(crate) bytes: u64,
    /// The clock of its last use: milliseconds since 1970, made unique by counting on.
    pub(crate) touched: u64,
    pub(crate) complete: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AssetRecord<'a> {
    pub(crate) root: &'a str,
    /// A copy of the pin index, in case that one is damaged.
    pub(crate) pinned: bool,
    #[serde(borrow)]
    pub(crate) resources: Vec<ResourceRecord<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot<'a> {
    pub(crate) clock: u64,
    #[serde(borrow)]
    pub(crate) assets: Vec<AssetRecord<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change<'a> {
    /// A resource is new, or has another size or a later use.
    Put {
        root: &'a str,
        #[serde(borrow)]
        resource: ResourceRecord<'a>,
    },
    /// A resource is gone.
    Remove { root: &'a str, rel: &'a str },
    /// An asset was pinned or unpinned.
    Pin { root: &'a str, pinned: bool },
}

/// The pins of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pins<'a> {
    #[serde(borrow)]
    pub(crate) pinned: Vec<&'a str>,
}

/// Appends `record` to `out` as one frame; `None` (and nothing appended) if it cannot be encoded.
pub(crate) fn append<T: Serialize + ?Sized>(out: &mut Vec<u8>, kind: Kind, record: &T) -> Option<()> {
    frame::append(out, kind, |out| {
        bincode::serde::encode_into_std_write(record, out, config::standard()).ok().map(drop)
    })
}

/// Decodes the payload of a frame; never claims more than [`MAX_INDEX`] bytes, and wants every byte used.
pub(crate) fn decode<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, FrameError> {
    let config = config::standard().with_limit::<MAX_INDEX>();
    match bincode::serde::borrow_decode_from_slice(payload, config) {
        Ok((record, used)) if used == payload.len() => Ok(record),
        _ => Err(FrameError::Payload),
    }
}

/// The only record of a file that holds one.
pub(crate) fn decode_only<'a, T: Deserialize<'a>>(bytes: &'a [u8], kind: Kind) -> Result<T, FrameError> {
    let mut frames = Frames::new(bytes);
    match (frames.next().ok_or(FrameError::Truncated)??, frames.next()) {
        ((found, payload), None) if found == kind => decode(payload),
        _ => Err(FrameError::Payload),
    }
}

/// The uses in a JSON index: each asset with the clock of its last use.
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
mod legacy_tests {
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

/// Everything the index says, as one record.
pub(crate) fn snapshot(state: &State) -> Snapshot<'_> {
    let assets = state.assets.iter().map(|(root, asset)| AssetRecord {
        root,
        pinned: state.pins.contains(root),
        resources: asset
            .resources
            .iter()
            .filter(|(_, entry)| entry.on_disk)
            .map(|(rel, entry)| resource_record(rel, entry))
            .collect(),
    });
    // An asset may be pinned before anything of it is here.
    let pinned_only = state
        .pins
        .iter()
        .filter(|root| !state.assets.contains_key(*root))
        .map(|root| AssetRecord { root, pinned: true, resources: Vec::new() });
    let assets = assets.chain(pinned_only).filter(|asset| asset.pinned || !asset.resources.is_empty());
    Snapshot { clock: state.clock, assets: assets.collect() }
}

/// The pending changes of the index.
pub(crate) fn changes(state: &State) -> Vec<Change<'_>> {
    let resources = state.unsaved.keys.iter().map(|key| match state.entry(key) {
        Some(entry) if entry.on_disk => {
            Change::Put { root: key.asset_root(), resource: resource_record(key.rel_path(), entry) }
        }
        _ => Change::Remove { root: key.asset_root(), rel: key.rel_path() },
    });
    let pins = state.unsaved.pins.iter().map(|root| Change::Pin { root, pinned: state.pins.contains(root) });
    resources.chain(pins).collect()
}

fn resource_record<'a>(rel: &'a str, entry: &Entry) -> ResourceRecord<'a> {
    ResourceRecord { rel, bytes: entry.disk, touched: entry.touched, complete: entry.complete }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let resource =
            ResourceRecord { rel: "v0/seg_1.m4s", bytes: 65_536, touched: 1_700_000_000_000, complete: true };
        let snapshot = Snapshot {
            clock: 7,
            assets: vec![AssetRecord { root: "album", pinned: true, resources: vec![resource; 3] }],
        };
        let mut bytes = Vec::new();
        append(&mut bytes, Kind::Snapshot, &snapshot).unwrap();
        assert_eq!(decode_only::<Snapshot<'_>>(&bytes, Kind::Snapshot), Ok(snapshot));
        assert_eq!(decode_only::<Pins<'_>>(&bytes, Kind::Pins), Err(FrameError::Payload));

        let changes = vec![
            Change::Put { root: "album", resource },
            Change::Remove { root: "album", rel: "x" },
            Change::Pin { root: "album", pinned: false },
        ];
        let mut bytes = Vec::new();
        append(&mut bytes, Kind::Changes, &changes).unwrap();
        assert_eq!(decode_only::<Vec<Change<'_>>>(&bytes, Kind::Changes), Ok(changes));
    }

    #[test]
    fn a_payload_cannot_claim_memory_that_it_does_not_have() {
        // A list of 2^62 pins, then nothing.
        let mut payload = vec![253];
        payload.extend_from_slice(&(1u64 << 62).to_le_bytes());
        assert_eq!(decode::<Pins<'_>>(&payload), Err(FrameError::Payload));
        // Trailing bytes are damage too.
        assert_eq!(decode::<Pins<'_>>(&[0, 0]), Err(FrameError::Payload));
        assert_eq!(decode::<Pins<'_>>(&[0]), Ok(Pins { pinned: vec![] }));
    }
}
