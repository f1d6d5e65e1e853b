//! The configuration file on disk: whether it can be edited, and how it is replaced. Blocks.
//!
//! A new version replaces the old one atomically: it is written beside it, synced, and renamed. The
//! old version is kept as `FILE.previous`, with the same owner and mode.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::privilege::is_in_foreign_hands;
use crate::regular_file;

/// The largest file that is read.
pub const LARGEST: u64 = 4 << 20;

/// Why the file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The configuration does not come from a file.
    #[error("there is no configuration file: the service is configured by its environment and flags")]
    None,
    /// The file is YAML or JSON.
    #[error("{} is not TOML: only TOML can be edited here, with its comments kept", .0.display())]
    NotToml(PathBuf),
    /// A system call failed.
    #[error("{} cannot be {doing}: {source}{hint}", path.display())]
    Io {
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
        /// A hint what to do.
        hint: &'static str,
    },
    /// The file is too large.
    #[error("{} is larger than {LARGEST} bytes", .0.display())]
    TooLarge(PathBuf),
}

/// Finds the file and checks by its name and permissions that it can be edited.
///
/// # Errors
/// Why it cannot be edited.
pub fn editable(file: Option<&Path>) -> Result<PathBuf, FileError> {
    let path = file.ok_or(FileError::None)?;
    if path.extension().is_some_and(|extension| extension != "toml") {
        return Err(FileError::NotToml(path.to_owned()));
    }
    // A link is resolved, so that the link itself stays.
    let path = path.canonicalize().map_err(|source| unreadable(path, source))?;
    if is_in_foreign_hands(&path) {
        let hint = "; another user may change its directory, and the service runs as root: run it as that user";
        let source = std::io::ErrorKind::PermissionDenied.into();
        return Err(FileError::Io { doing: "written", path, source, hint });
    }
    let dir = directory(&path);
    access(dir, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|source| unwritable(dir, source.into()))?;
    Ok(path)
}

/// Creates a file with this text, unless there is one, and the directory that it is in.
///
/// # Errors
/// When a step fails.
pub fn begin(path: &Path, text: &str) -> Result<(), FileError> {
    let dir = directory(path);
    let made = DirBuilder::new().recursive(true).mode(0o750).create(dir);
    made.map_err(|source| unwritable(dir, source))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())) {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => Err(unwritable(path, source)),
        _ => Ok(()),
    }
}

/// Reads the file.
///
/// # Errors
/// When it cannot be read, or is not text.
pub fn read(path: &Path) -> Result<String, FileError> {
    regular_file::read_text(path, LARGEST).map_err(|source| match source.kind() {
        ErrorKind::FileTooLarge => FileError::TooLarge(path.to_owned()),
        _ => unreadable(path, source),
    })
}

/// A replaced file whose replacement can still be undone.
#[derive(Debug)]
#[must_use]
pub struct Replaced {
    path: PathBuf,
    old: String,
    new: String,
    /// The earlier previous version; `None` if there was none.
    previous: Option<String>,
}

/// Replaces the text `old` of the file with `new`, and keeps `old` as the previous version.
///
/// # Errors
/// When a step fails; the file and its previous version are then unchanged.
pub fn replace(path: &Path, old: &str, new: &str) -> Result<Replaced, FileError> {
    let kept = previous(path);
    let previous = kept.exists().then(|| read(&kept)).transpose()?;
    let replaced = Replaced { path: path.to_owned(), old: old.to_owned(), new: new.to_owned(), previous };
    put(path, &kept, old)?;
    if let Err(why) = put(path, path, new) {
        replaced.restore_previous()?;
        return Err(why);
    }
    Ok(replaced)
}

impl Replaced {
    /// Restores the file and its previous version. A file that was changed in the meantime is left as it is.
    ///
    /// # Errors
    /// When a step fails.
    pub fn undo(self) -> Result<(), FileError> {
        if read(&self.path)? == self.new {
            put(&self.path, &self.path, &self.old)?;
            self.restore_previous()?;
        }
        Ok(())
    }

    fn restore_previous(&self) -> Result<(), FileError> {
        let kept = previous(&self.path);
        match &self.previous {
            Some(text) => put(&self.path, &kept, text),
            None => std::fs::remove_file(&kept).map_err(|source| unwritable(&kept, source)),
        }
    }
}

/// The path of the previous version.
#[must_use]
pub fn previous(path: &Path) -> PathBuf {
    beside(path, "previous")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Writes `text` to `target` atomically, with the owner and mode of `like`.
fn put(like: &Path, target: &Path, text: &str) -> Result<(), FileError> {
    let temporary = beside(target, &format!("{:08x}.new", rand::random::<u32>()));
    let written = write(like, &temporary, text).and_then(|()| std::fs::rename(&temporary, target));
    written.and_then(|()| File::open(directory(target))?.sync_all()).map_err(|source| {
        // It may not exist; real problems are reported below.
        let _ = std::fs::remove_file(&temporary);
        unwritable(target, source)
    })
}

fn write(like: &Path, temporary: &Path, text: &str) -> std::io::Result<()> {
    let meta = std::fs::symlink_metadata(like)?;
    if !meta.is_file() {
        return Err(std::io::Error::other("it is no longer a file"));
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    // Only root may change the owner of a file.
    let _ = fchown(&file, Some(meta.uid()), Some(meta.gid()));
    file.set_permissions(Permissions::from_mode(meta.mode() & 0o777))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unreadable(path: &Path, source: std::io::Error) -> FileError {
    FileError::Io { doing: "read", path: path.to_owned(), source, hint: "" }
}

fn unwritable(path: &Path, source: std::io::Error) -> FileError {
    let hint = match source.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => "; under systemd, add its directory to ReadWritePaths=",
        std::io::ErrorKind::PermissionDenied => "; the user of the service needs write access to the directory",
        std::io::ErrorKind::ResourceBusy => {
            "; a file that is mounted on its own cannot be replaced: mount its directory instead"
        }
        _ => "",
    };
    FileError::Io { doing: "written", path: path.to_owned(), source, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_file_keeps_mode_previous_version_and_link() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.toml"), dir.path().join("link.toml"));
        std::fs::write(&real, "old").unwrap();
        std::fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let path = editable(Some(&link)).unwrap();
        let _ = replace(&path, "old", "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!((read(&link).unwrap(), read(&previous(&real)).unwrap()), ("new".into(), "old".into()));
        for file in [&real, &previous(&real)] {
            assert_eq!(std::fs::metadata(file).unwrap().mode() & 0o777, 0o640, "{file:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left behind");
    }

    #[test]
    fn undo_restores_the_file_and_its_previous_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("servers.toml");
        std::fs::write(&path, "first").unwrap();
        replace(&path, "first", "refused").unwrap().undo().unwrap();
        assert_eq!(read(&path).unwrap(), "first");
        assert!(!previous(&path).exists());

        let _ = replace(&path, "first", "second").unwrap();
        replace(&path, "second", "refused").unwrap().undo().unwrap();
        assert_eq!((read(&path).unwrap(), read(&previous(&path)).unwrap()), ("second".into(), "first".into()));
    }

    #[test]
    fn undo_keeps_a_file_that_another_program_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("servers.toml");
        std::fs::write(&path, "first").unwrap();
        let replaced = replace(&path, "first", "refused").unwrap();
        std::fs::write(&path, "by hand").unwrap();
        replaced.undo().unwrap();
        assert_eq!((read(&path).unwrap(), read(&previous(&path)).unwrap()), ("by hand".into(), "first".into()));
    }

    #[test]
    fn uneditable_file_gives_a_reason() {
        assert!(matches!(editable(None), Err(FileError::None)));
        let why = editable(Some(Path::new("servers.yaml"))).unwrap_err().to_string();
        assert!(why.contains("not TOML"), "{why}");
        let why = editable(Some(Path::new("/nowhere/servers.toml"))).unwrap_err().to_string();
        assert!(why.contains("/nowhere/servers.toml cannot be read"), "{why}");
        // Root can write to every directory except those of the kernel.
        let why = replace(Path::new("/proc/version"), "old", "new").unwrap_err().to_string();
        assert!(why.contains("cannot be written"), "{why}");
    }
}
