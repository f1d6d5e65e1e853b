//! Detects what other programs did to files that the service holds open: a descriptor keeps referring to the file that
//! was opened, even when its path names another file or none.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The identity of a file: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for FileId {
    fn from(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino() }
    }
}

impl FileId {
    /// The identity of the file of a descriptor.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }
}

/// The current state of a path, compared with the file that was opened there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtPath {
    Same {
        /// Its current length in bytes.
        length: u64,
    },
    /// Another file: the open one was moved or removed and replaced by this one.
    Other {
        /// The length of that file, in bytes.
        length: u64,
    },
    /// Nothing: the open file or a directory above it was moved or removed.
    Nothing,
}

impl AtPath {
    /// Checks `path`, where the file `held` was opened. Opens nothing.
    ///
    /// # Errors
    /// When the path cannot be checked.
    pub fn look(path: &Path, held: FileId) -> io::Result<Self> {
        match std::fs::metadata(path) {
            Ok(meta) if FileId::from(&meta) == held => Ok(Self::Same { length: meta.len() }),
            Ok(meta) => Ok(Self::Other { length: meta.len() }),
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Self::Nothing),
            Err(why) => Err(why),
        }
    }
}

/// Truncates `file` to `length` bytes. A shorter file stays as it is, because extending it would add zeros.
///
/// # Errors
/// When the file cannot be changed.
pub fn cut(file: &File, length: u64) -> io::Result<()> {
    if file.metadata()?.len() > length { file.set_len(length) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_replaced_and_moved_files_are_detected() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("below/a"), dir.path().join("other"));
        std::fs::create_dir(dir.path().join("below")).unwrap();
        std::fs::write(&path, "12345").unwrap();
        let file = File::open(&path).unwrap();
        let look = || AtPath::look(&path, FileId::of(&file).unwrap()).unwrap();
        assert_eq!(look(), AtPath::Same { length: 5 });
        std::fs::write(&path, "1").unwrap();
        assert_eq!(look(), AtPath::Same { length: 1 });
        std::fs::write(&other, "another").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(look(), AtPath::Other { length: 7 });
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(), AtPath::Nothing);
        std::fs::remove_dir(dir.path().join("below")).unwrap();
        std::fs::write(dir.path().join("below"), "").unwrap();
        assert_eq!(look(), AtPath::Nothing);
    }

    #[test]
    fn cutting_never_lengthens_a_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10).unwrap();
        for (length, left) in [(20, 10), (7, 7), (7, 7), (0, 0), (1, 0)] {
            cut(&file, length).unwrap();
            assert_eq!(file.metadata().unwrap().len(), left);
        }
    }
}
