//! Comparing a store with its folder.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kithara_storage::fs::FilePath;

use super::backing::{StoreInner, blocking};
use super::files;
use crate::catalog::{Entry, Place, VerifyReport, now_ms};
use crate::index::walk::{Found, walk};
use crate::{AssetsError, ResourceKey};

/// A temporary file younger than this may be in use.
const TEMPORARY_FOR: Duration = Duration::from_secs(600);

impl StoreInner {
    pub(super) async fn verify(self: &Arc<Self>) -> Result<VerifyReport, AssetsError> {
        let Some(folder) = self.folder() else {
            let (resources, bytes) = (self.catalog().keys(None).len(), self.catalog().size());
            return Ok(VerifyReport { resources, bytes, ..VerifyReport::default() });
        };
        let path = folder.path.clone();
        let walked = blocking(move || walk(&path)).await?;
        let walked = walked.map_err(|error| AssetsError::folder(&folder.path, "read", error))?;
        let mut report = VerifyReport::default();
        let mut found: HashMap<ResourceKey, Found> = HashMap::new();
        for resource in walked.resources {
            let known = found.get(&resource.key);
            if known.is_none_or(|known| !known.complete) {
                found.insert(resource.key.clone(), resource);
            }
        }
        for key in self.catalog().keys(None) {
            let entry = self.catalog().entry(&key).filter(|entry| entry.on_disk);
            if entry.is_some() && !found.contains_key(&key) && self.open_entry(&key).is_none() {
                self.catalog().forget_place(&key, Place::Disk);
                if self.owns_files() {
                    // Its checksums may be left.
                    let _ = self.remove_files(&key, false).await;
                }
                report.missing += 1;
            }
        }
        for resource in found.into_values() {
            self.verify_one(resource, &mut report).await?;
        }
        report.temporary = self.remove_temporary(walked.temporary).await?;
        Ok(report)
    }

    async fn verify_one(&self, found: Found, report: &mut VerifyReport) -> Result<(), AssetsError> {
        let known = self.catalog().entry(&found.key).filter(|entry| entry.on_disk);
        let is_named_complete = found.complete;
        let found = match self.folder() {
            Some(folder) if is_named_complete => {
                let store = folder.path.clone();
                let settle = move || {
                    let mut found = found;
                    found.settle(&store, known.as_ref(), false);
                    found
                };
                blocking(settle).await?
            }
            _ => found,
        };
        let Found { key, bytes, modified, complete } = found;
        // The open handle's state is authoritative.
        let mut stored = bytes;
        match known {
            Some(known) if self.open_entry(&key).is_some() => stored = known.disk,
            // How much of an unfinished file is real, its map says; the index has it from there.
            Some(known) if !known.complete && !is_named_complete => stored = known.disk,
            Some(known) if known.complete == complete && known.disk == bytes => {}
            Some(known) if known.complete && (!complete || known.disk != bytes) && self.owns_files() => {
                self.remove_files(&key, false).await?;
                self.catalog().forget_place(&key, Place::Disk);
                report.corrected += 1;
                return Ok(());
            }
            Some(known) => {
                self.catalog().adopt(&key, Entry { disk: bytes, complete, ..known });
                report.corrected += 1;
            }
            None => {
                let entry =
                    self.catalog().entry(&key).unwrap_or(Entry { touched: modified, ..Entry::default() });
                self.catalog().adopt(&key, Entry { disk: bytes, on_disk: true, complete, ..entry });
                report.adopted += 1;
            }
        }
        report.resources += 1;
        report.bytes = report.bytes.saturating_add(stored);
        Ok(())
    }

    async fn remove_temporary(&self, temporary: Vec<FilePath>) -> Result<usize, AssetsError> {
        if !self.owns_files() {
            return Ok(0);
        }
        blocking(move || {
            let now = now_ms();
            let is_old = |file: &&FilePath| {
                let found = file.folder().and_then(|folder| folder.metadata(file.name()?));
                let age = found.ok().flatten().map(|found| now.saturating_sub(found.modified_ms));
                age.is_some_and(|age| u128::from(age) > TEMPORARY_FOR.as_millis())
            };
            let old = temporary.iter().filter(is_old);
            old.filter(|file| files::remove_if_present(file).unwrap_or(false)).count()
        })
        .await
    }
}
