//! Operations on the file of a store and on the files that SQLite keeps beside it.

use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;

use super::error::StoreError;
use crate::new_file;

/// The mode of a copy: the service may write it, its group may read it.
pub const MODE: u32 = 0o640;

/// Suffixes of the files in which SQLite keeps the log and the index of the log.
pub(super) const LOG: [&str; 2] = ["-wal", "-shm"];

/// `path` with `end` appended.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// `path` with `mark` and the time appended.
pub(super) fn stamped(path: &Path, mark: &str) -> PathBuf {
    beside(path, &format!(".{mark}-{}", Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S%.3fZ")))
}

/// Creates the directory of the store at `store`.
pub(super) fn make_directory(store: &Path) -> Result<(), StoreError> {
    let Some(dir) = store.parent().filter(|dir| !dir.as_os_str().is_empty()) else { return Ok(()) };
    fs::create_dir_all(dir).map_err(StoreError::io("create the directory", dir))
}

/// Copies everything that is committed in `conn` to the new file `part`, and syncs it to the disk.
pub(super) fn copy(conn: &Connection, part: &Path) -> Result<(), StoreError> {
    // SQLite accepts an empty file as the target, so the copy has the permissions that are set here.
    drop(new_file::create(part, MODE).map_err(StoreError::io("write", part))?);
    let name = part.to_str().ok_or_else(|| StoreError::io("write", part)(ErrorKind::InvalidFilename.into()))?;
    // Without this, SQLite needs temporary files of the size of the copy.
    conn.pragma_update(None, "temp_store", "MEMORY")
        .and_then(|()| conn.execute("VACUUM INTO ?1", [name]))
        .map_err(StoreError::sqlite("copy the store", part))?;
    File::open(part).and_then(|file| file.sync_all()).map_err(StoreError::io("write", part))
}

/// Gives the copy the owner and the permissions of the file that it replaces, as far as this process may.
pub(super) fn copy_owner(part: &Path, model: &Metadata) {
    // The service works without them; `doctor` reports files of other owners.
    let _ = fs::set_permissions(part, model.permissions());
    if fs::metadata(part).is_ok_and(|ours| (ours.uid(), ours.gid()) != (model.uid(), model.gid())) {
        let _ = chown(part, Some(model.uid()), Some(model.gid()));
    }
}

/// What [`put`] replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InPlaceOf {
    Nothing,
    EmptyFile,
}

/// Renames the copy at `part` to `path`. First removes the log of the previous file, because SQLite would apply it to
/// the copy. Does not replace a file that another program put there meanwhile.
pub(super) fn put(part: &Path, path: &Path, what: InPlaceOf) -> Result<(), StoreError> {
    for end in LOG {
        remove(&beside(path, end))?;
    }
    let placed = match what {
        InPlaceOf::EmptyFile => fs::rename(part, path),
        InPlaceOf::Nothing => match fs::hard_link(part, path) {
            Ok(()) => fs::remove_file(part),
            Err(why) if why.kind() == ErrorKind::AlreadyExists || path.exists() => Err(why),
            // Some file systems have no hard links.
            Err(_) => fs::rename(part, path),
        },
    };
    placed.map_err(StoreError::io("put in place", path))?;
    if let Some(dir) = path.parent().and_then(|dir| File::open(dir).ok()) {
        // Some file systems cannot sync a directory; the copy itself is synced.
        let _ = dir.sync_all();
    }
    Ok(())
}

/// Removes a file if it exists.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", path)(why)),
        _ => Ok(()),
    }
}

/// Renames the file at `path` and its log to `aside`. The log must move too, because SQLite would apply it to the next
/// file at `path`.
pub(super) fn move_aside(path: &Path, aside: &Path) -> Result<(), StoreError> {
    for end in ["-wal", ""] {
        let (from, to) = (beside(path, end), beside(aside, end));
        match fs::rename(&from, &to) {
            Err(why) if why.kind() != ErrorKind::NotFound => return Err(StoreError::io("move away", &from)(why)),
            _ => {}
        }
    }
    // SQLite rebuilds this index of the log.
    let _ = fs::remove_file(beside(path, "-shm"));
    Ok(())
}
