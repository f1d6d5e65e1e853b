//! One service per store. An advisory lock on a file beside it, not on the store itself: SQLite's own locks must stay
//! free for readers in other processes, and closing a second descriptor of the store would drop them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::O_NOFOLLOW;

use super::error::StoreError;

/// Maximum length of the process number in a lock file, with its newline, in bytes.
const LONGEST_NUMBER: u64 = 16;

/// Held as long as this process may write the store; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub(super) struct InstanceLock {
    file: File,
}

impl InstanceLock {
    /// Takes the lock of the store at `store`, or says who has it.
    pub(super) fn take(store: &Path) -> Result<Self, StoreError> {
        let path = lock_path(store);
        let io = |doing| {
            let path = path.clone();
            move |source| StoreError::Io { doing, path, source }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(O_NOFOLLOW)
            .open(&path)
            .map_err(io("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { path: store.to_owned(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
        name_holder(&mut file).map_err(io("write the lock file"))?;
        Ok(Self { file })
    }
}

impl Drop for InstanceLock {
    /// Unlocks explicitly: closing the file does not unlock it as long as a child process that has not called `exec` yet
    /// has a copy of the descriptor.
    fn drop(&mut self) {
        // An error leaves what closing the file does.
        let _ = self.file.unlock();
    }
}

/// Whether a running service has the store at `store`. Changes nothing.
pub(super) fn is_held(store: &Path) -> bool {
    let lock = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW).open(lock_path(store));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn lock_path(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".lock");
    name.into()
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
    fn a_second_holder_is_refused_by_name_until_the_first_lets_go() {
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
        let first = InstanceLock::take(&store).unwrap();
        // What a fork does: another descriptor of the same open file.
        let _copy = first.file.try_clone().unwrap();
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
}
