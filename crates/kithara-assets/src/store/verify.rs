//! Comparing a store with its folder.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::backing::{Backing, blocking};
use super::files;
use crate::catalog::{Entry, Place, VerifyReport};
use crate::index::walk::{Found, walk};
use crate::{AssetsError, ResourceKey};

/// A temporary file younger than this may be in use.
const TEMPORARY_FOR: Duration = Duration::from_secs(600);

impl Backing {
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
            if entry.is_some() && !found.contains_key(&key) && self.open_hold(&key).is_none() {
                self.catalog().forget_place(&key, Place::Disk);
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
        let Found { key, bytes, modified, complete } = found;
        // Who has it open knows better.
        let known = self.catalog().entry(&key).filter(|entry| entry.on_disk);
        let mut stored = bytes;
        match known {
            Some(known) if self.open_hold(&key).is_some() => stored = known.disk,
            // How much of an unfinished file is real, its map says; the index has it from there.
            Some(known) if !known.complete && !complete => stored = known.disk,
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

    async fn remove_temporary(&self, temporary: Vec<PathBuf>) -> Result<usize, AssetsError> {
        if !self.owns_files() {
            return Ok(0);
        }
        blocking(move || {
            let is_old = |path: &PathBuf| {
                let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
                modified.is_ok_and(|time| {
                    SystemTime::now().duration_since(time).unwrap_or_default() > TEMPORARY_FOR
                })
            };
            let old = temporary.iter().filter(|path| is_old(path));
            old.filter(|path| files::remove_if_present(path).unwrap_or(false)).count()
        })
        .await
    }
}
