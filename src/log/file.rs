//! The log file: whole records, rotation at a configured size, and a limited number of old files.
//!
//! A finished file is renamed to `NAME.2026-11-22T10-00-00.123Z`, which sorts by time. If rotation fails, records
//! continue in the current file and the next record tries again. If another program rotates the file, it should send
//! SIGHUP, which reopens the file. Without the signal it is reopened within
//! ten seconds after it was removed or replaced.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::libc::O_NONBLOCK;

use crate::config::LogFile;
use crate::held::{self, AtPath, FileId};

/// A buffer larger than this is freed after its record was written.
const BUFFER: usize = 64 << 10;
/// Interval between two checks of the path.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// A writer to the log file. Bytes are buffered until `flush`, so that a record is never split over two files.
pub(super) struct RotatingFile {
    config: LogFile,
    file: File,
    size: u64,
    pending: Vec<u8>,
    /// Set when another program may have moved the file.
    reopen: Arc<AtomicBool>,
    checked: Instant,
    /// Whether the path was empty at the last check. A program that rotates the file creates a new one at once.
    was_missing: bool,
}

impl RotatingFile {
    /// Opens the file for appending, and again whenever `reopen` is set.
    pub(super) fn open(config: &LogFile, reopen: Arc<AtomicBool>) -> io::Result<Self> {
        let (file, size) = append(&config.path)?;
        let checked = Instant::now();
        Ok(Self { config: config.clone(), file, size, pending: Vec::new(), reopen, checked, was_missing: false })
    }

    /// Checks what other programs did to the file. Returns whether it must be reopened.
    fn must_reopen(&mut self) -> bool {
        self.checked = Instant::now();
        let was_missing = std::mem::take(&mut self.was_missing);
        match FileId::of(&self.file).and_then(|id| AtPath::look(&self.config.path, id)) {
            Ok(AtPath::Same { length }) => {
                self.size = length;
                false
            }
            Ok(AtPath::Other { .. }) => true,
            Ok(AtPath::Nothing) => {
                self.was_missing = true;
                was_missing
            }
            Err(_) => false,
        }
    }

    /// Rotates the file if due.
    fn turn_over(&mut self) -> io::Result<()> {
        let must_reopen = self.checked.elapsed() >= CHECK_EVERY && self.must_reopen();
        if self.reopen.swap(false, Ordering::Relaxed) || must_reopen {
            // A failed rotation is retried with the next record.
            (self.file, self.size) =
                append(&self.config.path).inspect_err(|_| self.reopen.store(true, Ordering::Relaxed))?;
        }
        let is_full = self.size > 0 && self.size + self.pending.len() as u64 > self.config.max_bytes;
        if is_full { self.rotate() } else { Ok(()) }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let stamp = Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S%.3fZ");
        let mut finished = self.config.path.clone().into_os_string();
        finished.push(format!(".{stamp}"));
        let finished = PathBuf::from(finished);
        // With two rotations in one millisecond, the current file grows a little more.
        if finished.exists() {
            return Ok(());
        }
        match std::fs::rename(&self.config.path, &finished) {
            // Another program moved it, or an earlier attempt stopped here.
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        (self.file, self.size) = append(&self.config.path)?;
        self.prune()
    }

    fn prune(&self) -> io::Result<()> {
        let mut finished = self.finished()?;
        finished.sort();
        let surplus = finished.len().saturating_sub(self.config.keep);
        finished.iter().take(surplus).try_for_each(std::fs::remove_file)
    }

    /// The rotated files of this log, unordered; files with other names are ignored.
    fn finished(&self) -> io::Result<Vec<PathBuf>> {
        let name = self.config.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let is_ours = |path: &Path| {
            let stamp = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix(name)?.strip_prefix('.'));
            stamp
                .is_some_and(|s| s.len() == "2026-11-22T10-00-00.123Z".len() && s.ends_with('Z') && s.starts_with("20"))
        };
        let dir = self.config.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(dir)?.filter_map(|entry| entry.ok().map(|e| e.path()));
        Ok(entries.filter(|path| is_ours(path)).collect())
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    // A pipe without a reader is an error; opening must not wait for one.
    let file = OpenOptions::new().create(true).append(true).custom_flags(O_NONBLOCK).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Write the record even if the rotation before it failed.
        let _ = self.turn_over();
        let written = self.file.write_all(&self.pending);
        match written {
            Ok(()) => self.size += self.pending.len() as u64,
            // Remove a partly written record, because the next one would be appended to it.
            Err(_) => drop(held::cut(&self.file, self.size)),
        }
        self.pending.clear();
        self.pending.shrink_to(BUFFER);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipe_without_a_reader_is_no_log_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let config = LogFile { path, max_bytes: 1000, keep: 2 };
        assert!(RotatingFile::open(&config, Arc::default()).is_err());
    }

    #[test]
    fn removed_replaced_or_emptied_log_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let config = LogFile { path: path.clone(), max_bytes: 1000, keep: 2 };
        let mut file = RotatingFile::open(&config, Arc::default()).unwrap();
        // Each record is written when a check is due.
        let mut log = |line: &str| {
            file.checked -= CHECK_EVERY;
            file.write_all(line.as_bytes()).unwrap();
            file.flush().unwrap();
            file.size
        };
        let text = || std::fs::read_to_string(&path).unwrap();
        log("one\n");
        std::fs::remove_file(&path).unwrap();
        // The other program may be about to recreate the file.
        log("written to the removed file\n");
        log("two\n");
        assert_eq!(text(), "two\n");
        std::fs::write(dir.path().join("new"), "").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        log("three\n");
        assert_eq!(text(), "three\n");
        std::fs::write(&path, "").unwrap();
        assert_eq!((log("four\n"), text().as_str()), (5, "four\n"));
    }
}
