//! The writer's repairs after another program removed, replaced or truncated files of the store.

use std::time::Duration;

use super::{Cache, Writer};
use crate::sinks::worker::Incident;
use crate::store::db::Content;
use crate::store::error::StoreError;
use crate::store::meta;

impl Writer {
    /// Checks the files and repairs them; see [`super::Db::check_files`].
    pub(super) fn check_files(&mut self, patience: Duration) -> Result<(), StoreError> {
        if let Some(repair) = self.db.check_files(patience)? {
            self.cache = Cache::default();
            match repair.content {
                Content::Complete => self.incidents.push(Incident { what: repair.what, lost: 0 }),
                Content::UpToCheckpoint => self.recent.lost_since_checkpoint(repair.what),
                Content::Other => self.recent.lost_all(repair.what),
            }
        }
        if self.recent.is_due() { self.write_recent() } else { Ok(()) }
    }

    /// Writes the samples that are still in memory into a store that lost them.
    fn write_recent(&mut self) -> Result<(), StoreError> {
        let vantage = self.vantage.clone();
        self.append(&self.recent.samples(), |tx| {
            meta::introduce(tx, crate::clock::now().wall_ns, &vantage)?;
            meta::resume(tx)
        })?;
        self.incidents.extend(self.recent.restored());
        Ok(())
    }

    /// Creates the lock file again if another program removed it.
    pub(super) fn keep_lock(&mut self) -> Result<(), StoreError> {
        let what = self.db.keep_lock()?;
        self.incidents.extend(what.map(|what| Incident { what, lost: 0 }));
        Ok(())
    }
}
