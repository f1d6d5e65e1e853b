//! Appends to a file, or leaves it as it was; cuts off a torn line that a crash left.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::held::{self, AtPath, FileId};
use crate::regular_file;

/// How much of a file is read at once when looking for its last line end.
const BLOCK: u64 = 64 * 1024;

/// The operations on a file that an [`Appender`] uses. A trait, so that tests can simulate a full disk.
pub(super) trait Medium: Write {
    /// Cuts the file at `length` bytes, unless it is shorter; the next write continues there.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Syncs the file to the disk.
    fn sync(&self) -> io::Result<()>;
}

impl Medium for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        // The file is open for appending, so the position follows by itself.
        held::cut(self, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// What another program did to an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// The path does not exist any more.
    Removed,
    /// The path names another file.
    Replaced,
    /// The file is shorter than what was written.
    Truncated,
    /// The file is longer than what was written.
    Changed,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "was removed",
            Self::Replaced => "was replaced",
            Self::Truncated => "was truncated",
            Self::Changed => "was changed",
        })
    }
}

/// A file to which complete batches are appended.
#[derive(Debug)]
pub(super) struct Appender<M> {
    medium: M,
    /// The first line of a new file.
    header: &'static str,
    length: u64,
    /// A failed write that could not be undone yet.
    dirty: bool,
}

impl Appender<File> {
    /// Opens or creates the file. `None` if it has other columns than `header` and must not be changed.
    pub(super) fn open(path: &Path, header: &'static str) -> io::Result<Option<Self>> {
        let mut file = regular_file::open_with(path, OpenOptions::new().read(true).append(true).create(true))?;
        cut_torn_line(&mut file)?;
        let length = file.metadata()?.len();
        if length > 0 && !begins_with(&mut file, header)? {
            return Ok(None);
        }
        Ok(Some(Self { medium: file, header, length, dirty: false }))
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.medium
    }

    /// Compares the file with the one at `path`, where it was opened, and with what was written.
    pub(super) fn damage(&self, path: &Path) -> io::Result<Option<Damage>> {
        Ok(match AtPath::look(path, FileId::of(&self.medium)?)? {
            AtPath::Nothing => Some(Damage::Removed),
            AtPath::Other { .. } => Some(Damage::Replaced),
            AtPath::Same { length } if length < self.length => Some(Damage::Truncated),
            // The file may contain a part of our batch, which is cut off before the next write.
            AtPath::Same { length } if length > self.length && !self.dirty => Some(Damage::Changed),
            AtPath::Same { .. } => None,
        })
    }
}

impl<M: Medium> Appender<M> {
    /// Appends all of `rows` in one write, or nothing. A new file gets its header in the same write.
    pub(super) fn append(&mut self, rows: &[u8]) -> io::Result<()> {
        if self.dirty {
            self.cut_to(self.length)?;
        }
        let headed;
        let bytes = if self.length == 0 {
            headed = [self.header.as_bytes(), rows].concat();
            &headed
        } else {
            rows
        };
        if let Err(why) = self.medium.write_all(bytes) {
            self.dirty = true;
            // If this fails too, the next attempt begins with it.
            let _ = self.cut_to(self.length);
            return Err(why);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Removes what was appended after the file had `length` bytes.
    pub(super) fn cut_to(&mut self, length: u64) -> io::Result<()> {
        self.length = length;
        self.dirty = true;
        self.medium.cut(length)?;
        self.dirty = false;
        Ok(())
    }

    /// Its size in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Syncs the file to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.medium.sync()
    }
}

/// Cuts off everything after the last line end. Returns the number of bytes removed.
pub(super) fn cut_torn_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        file.take(end - start).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|b| *b == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(length - end)
}

fn begins_with(file: &mut File, header: &str) -> io::Result<bool> {
    let mut start = vec![0; header.len()];
    file.seek(SeekFrom::Start(0))?;
    match file.read_exact(&mut start) {
        Ok(()) => Ok(start == header.as_bytes()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::formats::csv::HEADER;

    /// A disk with room for a number of bytes, on which cutting may also fail.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
        cuts: bool,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            if fits == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Medium for Disk {
        fn cut(&mut self, length: u64) -> io::Result<()> {
            if !self.cuts {
                return Err(ErrorKind::Other.into());
            }
            self.bytes.truncate(usize::try_from(length).unwrap());
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn pipe_or_device_is_no_csv_file_and_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), dir.path()] {
            let why = Appender::open(path, HEADER).unwrap_err().to_string();
            assert!(why.contains("not a regular file"), "{why}");
        }
    }

    #[test]
    fn full_disk_leaves_the_file_and_the_batch_follows_later() {
        let disk = Disk { bytes: Vec::new(), room: HEADER.len() + 6, cuts: true };
        let mut file = Appender { medium: disk, header: HEADER, length: 0, dirty: false };
        file.append(b"one\n").unwrap();
        let before = file.medium.bytes.clone();
        assert_eq!(file.append(b"two\nthree\n").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.medium.bytes, before);

        file.medium.cuts = false;
        file.append(b"two\nthree\n").unwrap_err();
        assert_ne!(file.medium.bytes, before, "the cut failed, half a batch is there");
        file.medium.cuts = true;
        file.medium.room = 1000;
        file.append(b"two\nthree\n").unwrap();
        assert_eq!(file.medium.bytes, [HEADER.as_bytes(), b"one\ntwo\nthree\n"].concat());
    }

    #[test]
    fn a_torn_line_is_cut_also_when_it_is_longer_than_a_block() {
        let torn = "x".repeat(150_000);
        for (content, cut) in [("", 0), ("a\n", 0), ("a\nb", 1), ("torn", 4), (&format!("a\n{torn}"), 150_000)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content.as_bytes()).unwrap();
            assert_eq!(cut_torn_line(&mut file).unwrap(), cut);
            assert_eq!(file.metadata().unwrap().len(), content.len() as u64 - cut);
        }
    }
}
