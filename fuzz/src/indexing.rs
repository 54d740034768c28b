//! Index files of the asset store: damage is healed when the store is opened.

use std::path::PathBuf;

use kithara_assets::{AssetSettings, AssetStore};

/// The names under which a store looks for its indexes, in both formats.
const NAMES: [&str; 4] = ["lru.bin", "pins.bin", "lru.json", "pins.json"];

/// The first byte chooses the index file, the rest is its content. A store whose index is damaged opens, rebuilds it,
/// and opens again.
pub fn index_frame(data: &[u8]) {
    let Some((&choice, content)) = data.split_first() else { return };
    let folder = Folder::new();
    let index = folder.0.join("_index");
    std::fs::create_dir_all(&index).expect("a folder for the index");
    std::fs::write(index.join(NAMES[usize::from(choice) % NAMES.len()]), content).expect("an index file");
    for _ in 0..2 {
        let store = AssetStore::disk(&folder.0, AssetSettings::default());
        assert!(store.is_ok(), "a damaged index is rebuilt: {store:?}");
    }
}

/// A folder of this process, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = Self(std::env::temp_dir().join(format!("kithara-fuzz-{}", std::process::id())));
        // Left behind by a run that was killed.
        let _ = std::fs::remove_dir_all(&folder.0);
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
