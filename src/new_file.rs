//! Files that appear complete or not at all. They are written under a temporary name in the same directory, which is
//! never opened through a link, and renamed when they are complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Creates an empty file at `path` with this mode (minus the umask), replacing an existing one. A link there is
/// removed, not followed.
///
/// # Errors
/// When the old file cannot be removed or the new one cannot be created.
pub fn create(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)
}

/// Checks that a new file may take this place: there is nothing yet, a regular file, or a link to one of these. A
/// device (also behind a link, as `/dev/stdout` is), a pipe or a socket would be lost for every program that uses it.
///
/// # Errors
/// When something else is there.
pub fn replaceable(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a device, a pipe or a socket, which a file must not replace",
        )),
        _ => Ok(()),
    }
}

/// A file under a temporary name until it is complete. Dropped without [`NewFile::finish`], it is removed.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    part: PathBuf,
    path: PathBuf,
}

impl NewFile {
    /// Starts a file for `path` with this mode (minus the umask).
    ///
    /// # Errors
    /// When it cannot be created, or must not be replaced (see [`replaceable`]); the error names it.
    pub fn begin(path: &Path, mode: u32) -> io::Result<Self> {
        replaceable(path).map_err(named(path))?;
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".{:08x}.part", rand::random::<u32>()));
        let part = PathBuf::from(part);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part);
        Ok(Self { file: file.map_err(named(path))?, part, path: path.to_owned() })
    }

    /// The temporary name.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Renames the file into place, replacing an existing one. With `sync` its content is on the disk first.
    ///
    /// # Errors
    /// When that fails; the error names the file.
    pub fn finish(self, sync: bool) -> io::Result<()> {
        let synced = if sync { self.file.sync_all() } else { Ok(()) };
        synced.and_then(|()| fs::rename(&self.part, &self.path)).map_err(named(&self.path))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // A finished file no longer exists under this name.
        let _ = fs::remove_file(&self.part);
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(named(&self.path))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(named(&self.path))
    }
}

fn named(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |why| io::Error::new(why.kind(), format!("cannot write {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_new_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
        fs::write(&victim, "mine").unwrap();
        for make in [|to: &Path, at: &Path| symlink(to, at), |to: &Path, at: &Path| fs::hard_link(to, at)] {
            let _ = fs::remove_file(&link);
            make(&victim, &link).unwrap();
            create(&link, 0o600).unwrap().write_all(b"new").unwrap();
            assert_eq!((fs::read(&victim).unwrap(), fs::read(&link).unwrap()), (b"mine".to_vec(), b"new".to_vec()));
        }
    }

    #[test]
    fn devices_and_pipes_are_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, device) = (dir.path().join("pipe"), dir.path().join("null"));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("/dev/null", &device).unwrap();
        for path in [&pipe, &device] {
            let said = NewFile::begin(path, 0o600).unwrap_err().to_string();
            assert!(said.contains("a device, a pipe or a socket"), "{said}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(fs::symlink_metadata(&device).unwrap().is_symlink());
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        NewFile::begin(&path, 0o600).unwrap().write_all(b"x").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        NewFile::begin(&path, 0o600).unwrap().finish(true).unwrap();
        assert!(path.exists());
    }
}
