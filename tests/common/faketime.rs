//! A wall clock that a test sets for one process with libfaketime. The monotonic clock is that of the machine.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

const LIBRARY: &str = "faketime/libfaketime.so.1";

/// The environment of a process whose clock is moved by the content of the file `offset` in `dir`.
pub fn environment(dir: &Path) -> Vec<(&'static str, OsString)> {
    vec![
        ("LD_PRELOAD", library().into()),
        ("FAKETIME_TIMESTAMP_FILE", dir.join("offset").into()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ]
}

/// Sets the clock to the true time plus `offset` in seconds, such as "+3600".
pub fn set(dir: &Path, offset: &str) {
    // The file is replaced as a whole, because it is read whenever the process reads its clock.
    let (new, file) = (dir.join("offset.new"), dir.join("offset"));
    fs::write(&new, offset).unwrap();
    fs::rename(new, file).unwrap();
}

fn library() -> PathBuf {
    let dirs = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path().join(LIBRARY));
    let found = dirs.into_iter().find(|path| path.exists());
    found.or_else(|| Some(Path::new("/usr/lib").join(LIBRARY)).filter(|path| path.exists())).expect("libfaketime")
}
