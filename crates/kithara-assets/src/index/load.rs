//! Opening a folder: reads the indexes, or walks the folder where they are damaged.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use kithara_storage::fs::FilePath;

use super::file::{self, LRU, OLD_LRU, OLD_PINS, PINS, index_file};
use super::frame::{FrameError, Frames, HEADER, Kind, has_magic};
use super::record::{self, Change, Pins, ResourceRecord, Snapshot};
use super::walk::{Found, walk, walk_asset};
use crate::ResourceKey;
use crate::catalog::{Entry, State};
use crate::key::{INDEX_FOLDER, check_asset_root};

/// The state of a folder after opening it.
pub(crate) struct Loaded {
    pub(crate) state: State,
    /// Length of the LRU file and of its snapshot, if changes can be appended to it.
    pub(crate) lru: Option<(u64, u64)>,
    pub(crate) stale_sessions: Vec<FilePath>,
}

/// How an index was found.
enum Condition {
    /// Read in full: lengths of the file and of the snapshot at its start.
    Sound(u64, u64),
    /// In the JSON of old, which knew assets only.
    Old,
    Absent,
    Damaged(FrameError),
}

/// Reads the indexes of a store's folder; walks the folder where they are damaged, old or absent.
pub(crate) fn load(folder: &Path) -> io::Result<Loaded> {
    let mut state = State::default();
    // Uses of assets that a JSON index knew.
    let mut old_uses = HashMap::new();
    let condition = load_lru(folder, &mut state, &mut old_uses)?;
    let pins_sound = load_pins(folder, &mut state)?;
    let (noted, stale_sessions) = file::stale_sessions(folder)?;

    let lru = match condition {
        Condition::Sound(len, snapshot) => {
            for root in &noted {
                reconcile_asset(folder, root, &mut state)?;
            }
            Some((len, snapshot))
        }
        _ => {
            let is_old = matches!(condition, Condition::Old);
            rebuild(folder, &mut state, &old_uses, is_old)?;
            None
        }
    };
    report(&folder.join(INDEX_FOLDER), &condition, &state);
    let lru_unsound = lru.is_none() && (state.resources > 0 || !state.pins.is_empty());
    if lru_unsound || !pins_sound || !noted.is_empty() || !stale_sessions.is_empty() {
        state.unsaved.rewrite = true;
        state.unsaved.changes = state.unsaved.changes.max(1);
    }
    Ok(Loaded { state, lru, stale_sessions })
}

fn report(index: &Path, condition: &Condition, state: &State) {
    let (path, resources) = (index.display(), state.resources);
    match condition {
        Condition::Damaged(error) => {
            tracing::warn!(%path, %error, resources, "the LRU index is damaged and was rebuilt from the folder");
        }
        Condition::Absent if resources > 0 => {
            tracing::warn!(%path, resources, "the LRU index is missing and was rebuilt from the folder");
        }
        Condition::Old => {
            tracing::info!(%path, resources, "the LRU index is of the old form and will be replaced")
        }
        Condition::Absent | Condition::Sound(..) => {}
    }
}

fn load_lru(store: &Path, state: &mut State, old_uses: &mut HashMap<String, u64>) -> io::Result<Condition> {
    let (mut damage, mut bytes) = (None, file::read(&index_file(store, LRU))?);
    if let Some(frames) = bytes.take_if(|bytes| has_magic(bytes)) {
        match apply_frames(&frames, state) {
            Ok(snapshot) => return Ok(Condition::Sound(frames.len() as u64, snapshot)),
            Err(error) => damage = Some(error),
        }
    }
    // JSON stands under its own name, or under this one.
    for bytes in bytes.into_iter().chain(file::read(&index_file(store, OLD_LRU))?) {
        match record::parse_lru(&bytes) {
            Some(old) if damage.is_none() => {
                state.clock = old.clock;
                old_uses.extend(old.touched);
                return Ok(Condition::Old);
            }
            Some(_) => {}
            None => damage = damage.or(Some(FrameError::Magic)),
        }
    }
    Ok(damage.map_or(Condition::Absent, Condition::Damaged))
}

/// Applies one frame after another. On damage the state keeps what was read until then: as hints.
fn apply_frames(bytes: &[u8], state: &mut State) -> Result<u64, FrameError> {
    let mut snapshot_len = None;
    for frame in Frames::new(bytes) {
        let (kind, payload) = frame?;
        match kind {
            Kind::Snapshot if snapshot_len.is_none() => {
                apply_snapshot(&record::decode(payload)?, state)?;
                snapshot_len = Some((payload.len() + HEADER) as u64);
            }
            Kind::Changes if snapshot_len.is_some() => {
                for change in record::decode::<Vec<Change<'_>>>(payload)? {
                    apply_change(change, state)?;
                }
            }
            _ => return Err(FrameError::Kind(kind as u16)),
        }
    }
    state.unsaved = Default::default();
    snapshot_len.ok_or(FrameError::Truncated)
}

/// Names are checked although a checksum covers them: they become paths.
fn key_of(root: &Arc<str>, rel: &str) -> Result<ResourceKey, FrameError> {
    ResourceKey::below(root, rel).map_err(|_| FrameError::Payload)
}

fn entry_of(record: &ResourceRecord<'_>) -> Entry {
    Entry {
        // No file is that long: sums cannot overflow.
        disk: record.bytes.min(1 << 62),
        on_disk: true,
        touched: record.touched,
        complete: record.complete,
        ..Entry::default()
    }
}

fn apply_snapshot(snapshot: &Snapshot<'_>, state: &mut State) -> Result<(), FrameError> {
    for asset in &snapshot.assets {
        check_asset_root(asset.root).map_err(|_| FrameError::Payload)?;
        let root: Arc<str> = asset.root.into();
        let resources = asset
            .resources
            .iter()
            .map(|record| Ok((key_of(&root, record.rel)?.into_rel(), entry_of(record))));
        // They stand in order: the map is built in one go.
        let resources: BTreeMap<_, _> = resources.collect::<Result<_, FrameError>>()?;
        if asset.pinned {
            state.pins.insert(root.clone());
        }
        state.insert_asset(root, resources);
    }
    state.clock = state.clock.max(snapshot.clock);
    Ok(())
}

fn apply_change(change: Change<'_>, state: &mut State) -> Result<(), FrameError> {
    let root_of = |state: &State, root: &str| -> Result<Arc<str>, FrameError> {
        if let Some((root, _)) = state.assets.get_key_value(root) {
            return Ok(root.clone());
        }
        check_asset_root(root).map_err(|_| FrameError::Payload)?;
        Ok(root.into())
    };
    match change {
        Change::Put { root, resource } => {
            let key = key_of(&root_of(state, root)?, resource.rel)?;
            state.set(&key, entry_of(&resource));
        }
        Change::Remove { root, rel } => {
            let key = key_of(&root_of(state, root)?, rel)?;
            state.forget(&key);
        }
        Change::Pin { root, pinned } => {
            root_of(state, root)?;
            state.set_pin(root, pinned);
        }
    }
    Ok(())
}

/// The pin index rules where it is sound. Where it is not, the copies in the LRU index do. Returns whether it is.
fn load_pins(store: &Path, state: &mut State) -> io::Result<bool> {
    let copies = !state.pins.is_empty();
    let mut damaged = false;
    for name in [PINS, OLD_PINS] {
        let path = index_file(store, name);
        let Some(bytes) = file::read(&path)? else { continue };
        let pins = if has_magic(&bytes) {
            let pins = record::decode_only::<Pins<'_>>(&bytes, Kind::Pins);
            pins.map(|pins| pins.pinned.into_iter().map(str::to_owned).collect())
        } else {
            record::parse_pins(&bytes).ok_or(FrameError::Magic)
        };
        match pins {
            Ok(pins) => {
                state.pins =
                    pins.into_iter().filter(|root| check_asset_root(root).is_ok()).map(Arc::from).collect();
                return Ok(!damaged && has_magic(&bytes));
            }
            Err(error) => {
                tracing::warn!(path = %path.path().display(), %error, copies, "the pin index is damaged");
                damaged = true;
            }
        }
    }
    Ok(!damaged && !copies)
}

/// Takes everything from the folder; what the damaged index told before the damage tells when it was used.
///
/// A file under its final name is complete if the index said so, if the file itself shows it, or if it belongs to an asset of
/// an index of the old form, when files had no checksums. Every other one takes up space, and is fetched anew when it is opened.
fn rebuild(
    folder: &Path,
    state: &mut State,
    old_uses: &HashMap<String, u64>,
    is_old: bool,
) -> io::Result<()> {
    let found = walk(folder)?.resources;
    let mut rebuilt = State::default();
    rebuilt.clock = state.clock;
    rebuilt.pins = std::mem::take(&mut state.pins);
    for mut resource in found {
        let known = state.entry(&resource.key);
        let hint = known.map(|entry| entry.touched);
        let hint = hint.or_else(|| old_uses.get(resource.key.asset_root()).copied());
        let is_trusted = is_old && old_uses.contains_key(resource.key.asset_root());
        resource.settle(folder, known, is_trusted);
        put_found(&mut rebuilt, &resource, hint);
    }
    *state = rebuilt;
    Ok(())
}

fn put_found(state: &mut State, found: &Found, touched: Option<u64>) {
    let known = state.entry(&found.key).copied().unwrap_or_default();
    // A leftover partial file beside a complete one does not count.
    if known.on_disk && known.complete && !found.complete {
        return;
    }
    let touched = touched.unwrap_or(found.modified);
    let entry = Entry { disk: found.bytes, on_disk: true, touched, complete: found.complete, ..known };
    state.set(&found.key, entry);
}

/// Updates the state of one asset from the folder.
pub(crate) fn reconcile_asset(folder: &Path, root: &str, state: &mut State) -> io::Result<()> {
    let mut walked = walk_asset(folder, root)?;
    for found in &mut walked.resources {
        found.settle(folder, state.entry(&found.key), false);
    }
    let mut there = State::default();
    for found in &walked.resources {
        let touched = state.entry(&found.key).map(|entry| entry.touched);
        put_found(&mut there, found, touched);
    }
    let before: Vec<ResourceKey> = state.assets.get_key_value(root).map_or_else(Vec::new, |(root, asset)| {
        asset.resources.keys().map(|rel| ResourceKey::from_parts(root.clone(), rel.clone())).collect()
    });
    for key in before.iter().filter(|key| there.entry(key).is_none()) {
        state.forget(key);
    }
    for found in &walked.resources {
        if let Some(entry) = there.entry(&found.key) {
            state.set(&found.key, *entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame;
    use super::*;

    fn names_are_safe(state: &State) {
        for (root, asset) in &state.assets {
            for rel in asset.resources.keys() {
                assert!(ResourceKey::new(root, rel).is_ok(), "{root:?} {rel:?}");
            }
        }
        assert!(state.pins.iter().all(|root| check_asset_root(root).is_ok()));
    }

    fn load_with(lru: &[u8], pins: &[u8]) -> State {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join(INDEX_FOLDER);
        std::fs::create_dir(&index).unwrap();
        std::fs::write(index.join(LRU), lru).unwrap();
        std::fs::write(index.join(PINS), pins).unwrap();
        std::fs::write(index.join("session-1.bin"), lru).unwrap();
        load(folder.path()).unwrap().state
    }

    #[test]
    fn a_name_that_would_leave_the_folder_is_damage() {
        let evil = |root: &'static str, rel: &'static str| {
            let resource = ResourceRecord { rel, bytes: 1, touched: 1, complete: true };
            let asset = record::AssetRecord { root, pinned: true, resources: vec![resource] };
            let mut bytes = Vec::new();
            record::append(&mut bytes, Kind::Snapshot, &Snapshot { clock: 1, assets: vec![asset] }).unwrap();
            bytes
        };
        assert_eq!(load_with(&evil("album", "song"), b"").resources, 1);
        for (root, rel) in
            [("..", "x"), ("a", "../../x"), ("a", "/etc/passwd"), ("a/b", "x"), ("_index", "lru.bin")]
        {
            let state = load_with(&evil(root, rel), b"");
            assert_eq!(state.resources, 0, "{root} {rel}");
            names_are_safe(&state);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Payloads with a valid checksum that no store wrote.
        #[test]
        fn hostile_payloads_are_survived(
            lru in prop::collection::vec((0_u16..4, prop::collection::vec(any::<u8>(), 0..200)), 0..4),
            pins in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut bytes = Vec::new();
            for (kind, payload) in &lru {
                let kind = [Kind::Snapshot, Kind::Changes, Kind::Pins, Kind::Session][usize::from(*kind)];
                frame::append(&mut bytes, kind, |out| { out.extend_from_slice(payload); Some(()) });
            }
            let mut pin_bytes = Vec::new();
            frame::append(&mut pin_bytes, Kind::Pins, |out| { out.extend_from_slice(&pins); Some(()) });
            names_are_safe(&load_with(&bytes, &pin_bytes));
        }

        #[test]
        fn any_bytes_are_survived(lru in prop::collection::vec(any::<u8>(), 0..300), pins in ".{0,60}") {
            names_are_safe(&load_with(&lru, pins.as_bytes()));
            names_are_safe(&load_with(pins.as_bytes(), &lru));
        }
    }
}
