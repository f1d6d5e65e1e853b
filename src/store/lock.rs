//! Two advisory locks keep a second service away from a store. The lock on a file beside the store names its holder and
//! also covers a store that does not exist yet. The lock on the store itself still holds when another program removes
//! the lock file. Both are of the kind of flock(2), which does not conflict with the locks of SQLite, so other
//! processes can read the store.
//!
//! Closing any descriptor of the store would release SQLite's locks of this process. Therefore the locked descriptor
//! stays open until all connections are closed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::sys::stat::{major, minor};

use super::error::StoreError;
use super::files::beside;
use crate::held::{AtPath, FileId};

/// Maximum length of the process number in a lock file, with its newline, in bytes.
const LONGEST_NUMBER: u64 = 16;

/// The locks, held as long as this process may write the store. The kernel releases them when the process ends.
#[derive(Debug)]
pub(super) struct InstanceLock {
    path: PathBuf,
    beside: File,
    /// The store itself; `None` until it exists.
    store: Option<File>,
}

impl InstanceLock {
    /// Takes the locks of the store at `path`. If the store does not exist yet, its own lock is left to
    /// [`InstanceLock::take_store`].
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let mut lock = Self { path: path.to_owned(), beside: lock_beside(path)?, store: None };
        match lock.take_store() {
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(lock),
            locked => locked.map(|()| lock),
        }
    }

    /// Locks the store itself, unless that is done.
    pub(super) fn take_store(&mut self) -> Result<(), StoreError> {
        if self.store.is_none() {
            self.store = Some(lock_store(&self.path)?);
        }
        Ok(())
    }

    /// The store that is locked.
    pub(super) fn store(&self) -> Option<&File> {
        self.store.as_ref()
    }

    /// Holds the lock on `store`, another file, from now on.
    pub(super) fn set_store(&mut self, store: File) {
        self.store = Some(store);
    }

    /// Creates the lock file again if another program removed or replaced it. Returns what happened, if anything did.
    pub(super) fn keep(&mut self) -> Result<Option<String>, StoreError> {
        let path = lock_path(&self.path);
        let at_path = FileId::of(&self.beside).and_then(|id| AtPath::look(&path, id));
        match at_path.map_err(StoreError::io("look at", &path))? {
            AtPath::Same { .. } => Ok(None),
            AtPath::Other { .. } | AtPath::Nothing => {
                self.beside = lock_beside(&self.path)?;
                Ok(Some(format!("{} was removed or replaced by another program; it was created again", path.display())))
            }
        }
    }
}

impl Drop for InstanceLock {
    /// Unlocks explicitly: closing the file does not unlock it as long as a child process that has not called `exec`
    /// yet has a copy of the descriptor.
    fn drop(&mut self) {
        for file in [Some(&self.beside), self.store.as_ref()].into_iter().flatten() {
            // If this fails, closing the file unlocks it.
            let _ = file.unlock();
        }
    }
}

/// Whether a running service has the store at `path`. Changes nothing. This process must have no connection to it.
pub(super) fn is_held(path: &Path) -> bool {
    let is_locked = |path: &Path, flag| {
        let file = OpenOptions::new().read(true).custom_flags(flag).open(path);
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    };
    is_locked(&lock_path(path), O_NOFOLLOW) || is_locked(path, O_NONBLOCK)
}

fn lock_path(store: &Path) -> PathBuf {
    beside(store, ".lock")
}

fn lock_beside(store: &Path) -> Result<File, StoreError> {
    let path = lock_path(store);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(O_NOFOLLOW)
        .open(&path)
        .map_err(StoreError::io("open the lock file", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse { path: store.to_owned(), pid: holder(&mut file) });
        }
        Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path)(source)),
    }
    name_holder(&mut file).map_err(StoreError::io("write the lock file", &path))?;
    Ok(file)
}

/// Opens the store at `path` and locks it.
pub(super) fn lock_store(path: &Path) -> Result<File, StoreError> {
    // O_NONBLOCK: opening a FIFO would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path);
    let file = file.map_err(StoreError::io("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let pid = holder_in_kernel(&file).unwrap_or_else(|| "unknown".to_owned());
            Err(StoreError::InUse { path: path.to_owned(), pid })
        }
        Err(TryLockError::Error(source)) => Err(StoreError::io("lock", path)(source)),
    }
}

/// The process that holds the lock on `file`, from the kernel's list (proc_locks(5)).
fn holder_in_kernel(file: &File) -> Option<String> {
    let meta = file.metadata().ok()?;
    let id = format!("{:02x}:{:02x}:{}", major(meta.dev()), minor(meta.dev()), meta.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let mut lines = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&id.as_str()))?;
    line.get(4).map(|pid| (*pid).to_owned())
}

fn name_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // Only a number is shown: the configuration says where the store is, so this may be the file of another program.
    let number = file.take(LONGEST_NUMBER).read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
    number.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_refused_until_the_first_releases_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("a.db");
        let first = InstanceLock::take(&store).unwrap();
        let refusal = InstanceLock::take(&store).unwrap_err().to_string();
        assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
        assert!(is_held(&store));
        drop(first);
        assert!(!is_held(&store));
        InstanceLock::take(&store).unwrap();
    }

    #[test]
    fn lock_of_another_program_is_refused_without_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("a.db");
        std::fs::write(lock_path(&store), "hunter2\n").unwrap();
        let other = File::open(lock_path(&store)).unwrap();
        other.lock().unwrap();
        let refusal = InstanceLock::take(&store).unwrap_err().to_string();
        assert!(refusal.contains("unknown") && !refusal.contains("hunter2"), "{refusal}");
    }

    #[test]
    fn dropped_lock_is_free_though_a_child_process_has_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("a.db");
        std::fs::write(&store, "").unwrap();
        let first = InstanceLock::take(&store).unwrap();
        // What a fork does: another descriptor of the same open file.
        let _copies = [Some(&first.beside), first.store()].map(|file| file.unwrap().try_clone().unwrap());
        drop(first);
        InstanceLock::take(&store).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_the_lock_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (store, victim) = (dir.path().join("a.db"), dir.path().join("victim"));
        std::fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("a.db.lock")).unwrap();
        InstanceLock::take(&store).unwrap_err();
        assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
    }
    #[test]
    fn removed_lock_file_admits_no_second_holder() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("a.db");
        let mut first = InstanceLock::take(&store).unwrap();
        std::fs::write(&store, "created since").unwrap();
        first.take_store().unwrap();
        assert_eq!(first.keep().unwrap(), None);
        std::fs::remove_file(lock_path(&store)).unwrap();
        assert!(is_held(&store));
        let refusal = InstanceLock::take(&store).unwrap_err().to_string();
        assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
        assert!(first.keep().unwrap().unwrap().contains("a.db.lock was removed"));
        assert_eq!(first.keep().unwrap(), None);
        let named = std::fs::read_to_string(lock_path(&store)).unwrap();
        assert_eq!(named.trim(), std::process::id().to_string());
        drop(first);
        InstanceLock::take(&store).unwrap();
    }

    #[test]
    fn lock_file_of_another_process_is_reported_as_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("a.db");
        let mut first = InstanceLock::take(&store).unwrap();
        std::fs::remove_file(lock_path(&store)).unwrap();
        let second = InstanceLock::take(&store).unwrap();
        assert!(matches!(first.keep(), Err(StoreError::InUse { .. })));
        drop(second);
        assert!(first.keep().unwrap().is_some());
    }
}
