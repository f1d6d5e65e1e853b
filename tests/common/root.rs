//! Environments that need root: small disks and empty networks. Without root such a test prints a message and passes;
//! in CI (the variable `CI`) it fails.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether this process may mount and make network namespaces.
pub fn is_root(test: &str) -> bool {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    let root = id.trim_ascii() == b"0";
    assert!(root || std::env::var_os("CI").is_none(), "{test} needs root, for mount and unshare");
    if !root {
        eprintln!("{test} was not run: it needs root, for mount and unshare");
    }
    root
}

/// A disk of a few megabytes in memory, unmounted when dropped.
pub struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// A disk of `kib` KiB.
    pub fn mount(kib: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "none"]).arg(dir.path()));
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Makes it read-only. Nothing may have a file of it open for writing.
    pub fn forbid_writing(&self) {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()));
    }

    /// Fills the free space with a file, and returns its path.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process of a failed test may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it fails.
#[track_caller]
pub fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
