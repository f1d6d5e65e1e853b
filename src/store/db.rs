//! The writer's connection: opened when needed, used for one transaction at a time, and reopened after a failure that
//! makes it unusable. Before each use it checks that its files are still the ones at their paths.

mod repair;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::connection;
use super::error::StoreError;
use super::files::{LOG, beside};
use super::location::Location;
use crate::held::{AtPath, FileId};

pub(super) use repair::{Content, Repair};

/// The location of the file, and the connection if it is open.
#[derive(Debug)]
pub(super) struct Db {
    // Declared before `location`, so that it is dropped first: closing the locked file would release SQLite's locks.
    open: Option<Open>,
    location: Location,
    max_pages: Option<u32>,
    /// The files of the log after the last use of the connection.
    log: [Option<LogFile>; 2],
    /// The fault that the last check found, and when it was found first.
    suspected: Option<(Fault, Instant)>,
}

#[derive(Debug)]
struct Open {
    conn: Connection,
    /// The `data_version` of SQLite, which changes when another connection commits; `None` before the first
    /// transaction.
    data_version: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LogFile {
    id: FileId,
    length: u64,
}

/// What another program did to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// Nothing is at its path.
    Removed,
    /// An empty file is at its path.
    Emptied,
    /// Another file is at its path.
    Replaced,
    /// It is shorter than after the last transaction of this process.
    Truncated,
    /// It is longer than after the last transaction of this process, and SQLite finds it damaged.
    Overwritten,
    /// This file of the log was removed, replaced or truncated.
    Log(PathBuf),
}

impl Fault {
    /// A predicate whose subject is the path of the store.
    fn predicate(&self) -> String {
        match self {
            Self::Removed => "was removed by another program".to_owned(),
            Self::Emptied => "was replaced with an empty file".to_owned(),
            Self::Replaced => "was replaced by another program".to_owned(),
            Self::Truncated => "was truncated by another program".to_owned(),
            Self::Overwritten => "was overwritten by another program".to_owned(),
            Self::Log(path) => format!("lost its log, {}, to another program", path.display()),
        }
    }

    /// Whether the other program may be about to put the file back, or another in its place.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Removed | Self::Emptied | Self::Truncated)
    }
}

impl Db {
    /// Starts without a connection.
    pub(super) fn new(location: Location, max_pages: Option<u32>) -> Self {
        Self { open: None, location, max_pages, log: [None; 2], suspected: None }
    }

    /// Runs `work` in one transaction: all of it is committed, or nothing. The second argument of `work` is whether
    /// another connection may have written since the last transaction, so that caches must be read again.
    pub(super) fn transact<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>, bool) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.with(doing, |open| {
            // IMMEDIATE: a lock held by another process is detected before any work is done.
            let tx = open.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let version = tx.pragma_query_value(None, "data_version", |row| row.get(0))?;
            let others_wrote = open.data_version.replace(version) != Some(version);
            let result = work(&tx, others_wrote)?;
            tx.commit()?;
            Ok(result)
        })
        .inspect_err(|_| {
            // The caches that `work` read again were rolled back with the transaction.
            if let Some(open) = &mut self.open {
                open.data_version = None;
            }
        })
    }

    /// Runs `work` on the connection, outside of a transaction.
    pub(super) fn outside<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.with(doing, |open| work(&mut open.conn))
    }

    fn with<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Open) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let path = self.location.path();
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open { conn: connection::open_writer(&path, self.max_pages)?, data_version: None },
        };
        let result = work(&mut open).map_err(StoreError::sqlite(doing, &path));
        if result.as_ref().is_err_and(StoreError::costs_the_connection) {
            drop(open);
        } else {
            self.log = self.log_now();
            self.open = Some(open);
        }
        self.location.measure();
        result
    }

    /// Checks that the files are still the ones at their paths, and repairs what another program did to them. Must be
    /// called before every use of the store. A fault that the other program may correct is repaired after `patience`.
    ///
    /// # Errors
    /// A fault that is not repaired yet. The connection stays open, because only it may still see the content.
    pub(super) fn check_files(&mut self, patience: Duration) -> Result<Option<Repair>, StoreError> {
        let Some(fault) = self.find_fault()? else {
            self.suspected = None;
            return Ok(None);
        };
        let since = match &self.suspected {
            Some((known, since)) if *known == fault => *since,
            _ => Instant::now(),
        };
        self.suspected = Some((fault.clone(), since));
        if fault.may_pass() && since.elapsed() < patience {
            return Err(StoreError::Harmed { path: self.location.path(), what: fault.predicate() });
        }
        let repair = self.repair(&fault)?;
        self.suspected = None;
        Ok(Some(repair))
    }

    /// Creates the lock file again if another program removed it. Returns what happened, if anything did.
    pub(super) fn keep_lock(&self) -> Result<Option<String>, StoreError> {
        self.location.keep_lock()
    }

    fn find_fault(&self) -> Result<Option<Fault>, StoreError> {
        // A truncated file that has grown since is still damaged.
        if let Some((fault @ (Fault::Truncated | Fault::Overwritten), _)) = &self.suspected {
            return Ok(Some(fault.clone()));
        }
        let known_length = self.location.length();
        Ok(match self.location.look()? {
            AtPath::Nothing => Some(Fault::Removed),
            AtPath::Other { length: 0 } => Some(Fault::Emptied),
            AtPath::Other { .. } => Some(Fault::Replaced),
            AtPath::Same { length } if length < known_length => Some(Fault::Truncated),
            AtPath::Same { length } if length > known_length && !self.is_sound() => Some(Fault::Overwritten),
            AtPath::Same { .. } => {
                self.location.measure();
                self.find_fault_of_log()
            }
        })
    }

    fn is_sound(&self) -> bool {
        self.open.as_ref().is_none_or(|open| connection::is_sound(&open.conn))
    }

    fn log_now(&self) -> [Option<LogFile>; 2] {
        let real = self.location.real();
        LOG.map(|end| {
            let meta = std::fs::metadata(beside(&real, end)).ok()?;
            Some(LogFile { id: FileId::from(&meta), length: meta.len() })
        })
    }

    fn find_fault_of_log(&self) -> Option<Fault> {
        self.open.as_ref()?;
        let real = self.location.real();
        let mut files = self.log.iter().zip(self.log_now()).zip(LOG);
        let harmed = files.find(|((before, now), _)| match (before, now) {
            (Some(before), Some(now)) => before.id != now.id || now.length < before.length,
            (Some(_), None) => true,
            (None, _) => false,
        });
        harmed.map(|(_, end)| Fault::Log(beside(&real, end)))
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        // Closing the last connection writes the log into the file, which may change its length.
        self.open = None;
        self.location.measure();
    }
}
