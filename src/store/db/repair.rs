//! Repairs a store that another program removed, replaced or truncated. As long as a connection is open, it still sees
//! everything that was committed: a copy of that replaces the file.

use std::fs::File;
use std::path::Path;

use rusqlite::ErrorCode;

use super::{Db, Fault};
use crate::store::connection;
use crate::store::error::StoreError;
use crate::store::files::{self, InPlaceOf, LOG, beside};
use crate::store::lock::lock_store;

/// A repair that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Repair {
    /// What happened and what was done about it: a sentence with the path.
    pub what: String,
    pub content: Content,
}

/// What a repaired store contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Content {
    /// Everything that was committed.
    Complete,
    /// What was committed before the last checkpoint.
    UpToCheckpoint,
    /// Nothing, or what another program put there.
    Other,
}

impl Db {
    pub(super) fn repair(&mut self, fault: &Fault) -> Result<Repair, StoreError> {
        match (fault, self.open.is_some()) {
            (Fault::Removed, true) => self.write_again(fault, InPlaceOf::Nothing),
            (Fault::Emptied, true) => self.write_again(fault, InPlaceOf::EmptyFile),
            (Fault::Replaced, true) => self.continue_beside(fault),
            (Fault::Truncated | Fault::Overwritten, _) => self.salvage(fault),
            (Fault::Log(_), _) => self.begin_log(fault),
            (Fault::Removed | Fault::Emptied | Fault::Replaced, false) => self.begin(fault),
        }
    }

    fn sentence(&self, fault: &Fault, done: &str) -> String {
        format!("{} {}; {done}", self.location.path().display(), fault.predicate())
    }

    /// Copies what the connection sees to the new file `part` and locks it; `None` without a connection.
    fn copy(&self, part: &Path) -> Result<Option<File>, StoreError> {
        let Some(open) = &self.open else { return Ok(None) };
        let copied = files::copy(&open.conn, part).and_then(|()| {
            if let Some(model) = self.location.metadata() {
                files::copy_owner(part, &model);
            }
            lock_store(part)
        });
        if copied.is_err() {
            // The copy may not exist.
            let _ = std::fs::remove_file(part);
        }
        copied.map(Some)
    }

    /// Removes the log of the previous file, because SQLite would apply it to the file that is at the path now.
    fn remove_old_log(&self) -> Result<(), StoreError> {
        let real = self.location.real();
        for ((known, now), end) in self.log.into_iter().zip(self.log_now()).zip(LOG) {
            if known.zip(now).is_some_and(|(known, now)| known.id == now.id) {
                files::remove(&beside(&real, end))?;
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            connection::retire(open.conn);
        }
    }

    /// For a file that is gone or was replaced with an empty one: writes the store again.
    fn write_again(&mut self, fault: &Fault, what: InPlaceOf) -> Result<Repair, StoreError> {
        let real = self.location.real();
        files::make_directory(&real)?;
        if self.location.has_a_name()
            && let Some(open) = &self.open
        {
            // The file was moved: this completes it at its new path. The copy is complete even if this fails.
            let _ = connection::empty_log(&open.conn);
        }
        let part = beside(&real, ".rescue");
        if let Some(store) = self.copy(&part)? {
            files::put(&part, &real, what).inspect_err(|_| {
                // The next attempt makes another copy.
                let _ = std::fs::remove_file(&part);
            })?;
            self.close();
            self.location.move_to(None, store);
        }
        let what = self.sentence(fault, "it was written again, with all its samples");
        Ok(Repair { what, content: Content::Complete })
    }

    /// Another store is at the path and must not be changed: this one continues in a file beside it until the service
    /// ends.
    fn continue_beside(&mut self, fault: &Fault) -> Result<Repair, StoreError> {
        let aside = files::stamped(&self.location.real(), "displaced");
        let Some(store) = self.copy(&aside)? else { return self.begin(fault) };
        self.remove_old_log()?;
        let done = format!("the samples are in {}, and the service ends to use the new file", aside.display());
        let what = self.sentence(fault, &done);
        self.close();
        self.location.move_to(Some(&aside), store);
        self.location.set_replaced(what.clone());
        Ok(Repair { what, content: Content::Complete })
    }

    /// The file was truncated or overwritten. The connection may still see everything, in the log and in its cache.
    fn salvage(&mut self, fault: &Fault) -> Result<Repair, StoreError> {
        let real = self.location.real();
        let (part, aside) = (beside(&real, ".rescue"), files::stamped(&real, "damaged"));
        let copy = self.copy(&part).ok().flatten().filter(|_| connection::is_sound_file(&part));
        files::move_aside(&real, &aside)?;
        self.close();
        let Some(store) = copy else {
            let _ = std::fs::remove_file(&part);
            return self.begin_empty(fault, &aside);
        };
        files::put(&part, &real, InPlaceOf::Nothing)?;
        self.location.move_to(None, store);
        let done = format!("it was written again, with all its samples; the damaged file is {}", aside.display());
        Ok(Repair { what: self.sentence(fault, &done), content: Content::Complete })
    }

    /// The file itself is unchanged. Writes what the connection sees of the log into it; the next connection begins
    /// another log.
    fn begin_log(&mut self, fault: &Fault) -> Result<Repair, StoreError> {
        let emptied = self.open.as_ref().map(|open| connection::empty_log(&open.conn));
        if let Some(Err(why)) = &emptied
            && matches!(why.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull))
        {
            return Err(StoreError::Harmed {
                path: self.location.path(),
                what: format!("{}: {why}", fault.predicate()),
            });
        }
        self.close();
        self.location.renew_readers();
        self.location.measure();
        if matches!(emptied, Some(Ok(()))) {
            let what = self.sentence(fault, "its content was written into the file, and another log was begun");
            return Ok(Repair { what, content: Content::Complete });
        }
        if connection::is_sound_file(&self.location.path()) {
            let what = self.sentence(fault, "the file contains what was written before the last checkpoint");
            return Ok(Repair { what, content: Content::UpToCheckpoint });
        }
        let real = self.location.real();
        let aside = files::stamped(&real, "damaged");
        files::move_aside(&real, &aside)?;
        self.begin_empty(fault, &aside)
    }

    /// No connection to the lost file is open: the file that is now at the path, or a new store, is used from now on.
    fn begin(&mut self, fault: &Fault) -> Result<Repair, StoreError> {
        self.remove_old_log()?;
        self.open_at_path()?;
        let what = self.sentence(fault, "no connection to it was open; the file that is there now is used instead");
        Ok(Repair { what, content: Content::Other })
    }

    fn begin_empty(&mut self, fault: &Fault, aside: &Path) -> Result<Repair, StoreError> {
        self.open_at_path()?;
        let done = format!("it could not be saved, and a new store was begun; the damaged file is {}", aside.display());
        Ok(Repair { what: self.sentence(fault, &done), content: Content::Other })
    }

    /// Uses the file at the path, or creates one. Does not create its directory: one that was moved away may come back.
    fn open_at_path(&mut self) -> Result<(), StoreError> {
        let path = self.location.path();
        // This creates the file; the next transaction opens its own connection.
        drop(connection::open_writer(&path, self.max_pages)?);
        self.location.move_to(None, lock_store(&path)?);
        Ok(())
    }
}
