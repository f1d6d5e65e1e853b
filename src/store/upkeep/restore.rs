//! Restores a copy of a store. The files of the copy are opened before the process changes to the user who owns the
//! store, because that user may be unable to read them.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::super::error::StoreError;
use super::super::files::{MODE, beside, make_directory, move_aside};
use super::super::lock::{self, InstanceLock};
use super::{Checked, Depth, check};
use crate::{new_file, regular_file};

/// The result of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the check of the copy found.
    pub checked: Checked,
    /// The path to which the previous store was moved.
    pub kept: Option<PathBuf>,
}

/// A copy of a store, opened for reading.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    /// The log of the copy with commits that are not in its file yet, if there is one.
    log: Option<File>,
}

impl Source {
    /// Opens the copy at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or is a store that a service writes.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if lock::is_held(path) {
            let advice = "a service is writing it; use a copy of it (ntp-monitor backup)";
            return Err(StoreError::io("restore", path)(io::Error::other(advice)));
        }
        let file = regular_file::open(path).map_err(StoreError::io("read", path))?;
        let log = match regular_file::open(&beside(path, "-wal")) {
            Err(why) if why.kind() == ErrorKind::NotFound => None,
            log => Some(log.map_err(StoreError::io("read", path))?),
        };
        Ok(Self { path: path.to_owned(), file, log })
    }
}

/// Replaces the store at `path` with `source`. The previous store is kept beside it, under a name with `suffix`.
///
/// # Errors
/// When a service uses the store, or the copy is damaged; then nothing has changed.
pub fn restore(source: Source, path: &Path, suffix: &str, mut step: impl FnMut(&str)) -> Result<Restored, StoreError> {
    make_directory(path)?;
    let _lock = InstanceLock::take(path)?;
    let part = beside(path, ".restoring");
    step("copying");
    let restored = copy_in(source, &part)
        .and_then(|from| examine(&part, step).map_err(|why| why.about(&from)))
        .and_then(|checked| put_in_place(&part, path, suffix).map(|kept| Restored { checked, kept }));
    if restored.is_err() {
        clear(&part);
    }
    restored
}

/// Copies the files, and returns the path of the source.
fn copy_in(mut source: Source, part: &Path) -> Result<PathBuf, StoreError> {
    // Remains of an earlier attempt must not be taken for a part of this copy.
    clear(part);
    let copy = |from: &mut File, end: &str| {
        let to = beside(part, end);
        let copied = new_file::create(&to, MODE).and_then(|mut to| io::copy(from, &mut to));
        copied.map(drop).map_err(StoreError::io("write", &to))
    };
    copy(&mut source.file, "")?;
    source.log.as_mut().map_or(Ok(()), |log| copy(log, "-wal"))?;
    Ok(source.path)
}

/// Writes the log into the file, so that there is only one file, and checks it.
fn examine(part: &Path, step: impl FnMut(&str)) -> Result<Checked, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = || StoreError::sqlite("read the copy", part);
    let conn = Connection::open_with_flags(part, flags).map_err(sqlite())?;
    super::schema::inspect(&conn, part)?;
    conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).map_err(sqlite())?;
    drop(conn);
    let checked = check(part, Depth::Full, step)?;
    if let Some(fault) = checked.faults.first() {
        return Err(StoreError::Unsound { path: part.to_owned(), fault: fault.clone() });
    }
    Ok(checked)
}

fn put_in_place(part: &Path, path: &Path, suffix: &str) -> Result<Option<PathBuf>, StoreError> {
    File::open(part).and_then(|file| file.sync_all()).map_err(StoreError::io("write", part))?;
    let kept = match path.exists() {
        true => {
            let kept = beside(path, suffix);
            move_aside(path, &kept)?;
            Some(kept)
        }
        false => None,
    };
    fs::rename(part, path).map_err(StoreError::io("put in place", path))?;
    Ok(kept)
}

/// Removes a copy that does not replace the store, or an old one.
fn clear(part: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        // Most of these files were never created. One that cannot be removed causes an error when it is written.
        let _ = fs::remove_file(beside(part, end));
    }
}
