//! Finds and reads a file that the configuration names. Anyone who may edit the configuration chooses which one, so it may be any
//! file or device: only regular files of limited size are read, and no error shows a piece of what is in them.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;
use secrecy::SecretString;

use super::environment::Environment;

/// Maximum size of a file that holds one secret, in bytes.
pub(super) const SECRET: u64 = 64 << 10;
/// Maximum size of a file of certificates and keys, in bytes. The bundles of distributions have about 250 kB.
pub(super) const CERTIFICATES: u64 = 4 << 20;

/// The content of a regular file of at most `largest` bytes.
///
/// # Errors
/// Those of the system, and [`is_unsuitable`] ones.
pub(super) fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    // Opening is not without effect for some devices, and waits for a writer of a pipe, so we look first.
    require_regular(&path.metadata()?)?;
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
    require_regular(&file.metadata()?)?;
    content(file, largest)
}

/// The content of a regular file of at most `largest` bytes of UTF-8.
///
/// # Errors
/// Those of [`read`], and that it is not UTF-8.
pub(super) fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    String::from_utf8(read(path, largest)?).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Whether the error is about what the file is, and not about access to it: another user gets the same one.
pub(super) fn is_unsuitable(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::FileTooLarge)
}

fn require_regular(file: &Metadata) -> io::Result<()> {
    if file.is_file() { Ok(()) } else { Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")) }
}

/// The size that the system reports is not relied on: files of the kernel have none.
fn content(file: File, largest: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(largest + 1).read_to_end(&mut content)?;
    if content.len() as u64 > largest {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {largest} bytes")));
    }
    Ok(content)
}

/// What decides where a file with a relative path is.
pub(super) struct Surroundings<'a> {
    pub environment: &'a Environment,
    /// The configuration file.
    pub file: Option<&'a Path>,
}

/// Why a file is of no use.
pub(super) enum FileFault {
    /// It is not there, or not for this process.
    Unread(String),
    /// It does not hold what it should.
    Wrong(String),
}

impl FileFault {
    /// That the file at `path` cannot be read, with a hint.
    pub(super) fn of(path: &Path, why: &std::io::Error, hint: &str) -> Self {
        let text = format!("{} cannot be read: {why}{hint}", path.display());
        if is_unsuitable(why) { Self::Wrong(text) } else { Self::Unread(text) }
    }
}

/// The one value in a file, without the end of its last line; see [`resolve`] for where it is.
pub(super) fn read_value(path: &Path, surroundings: &Surroundings<'_>) -> Result<SecretString, FileFault> {
    let found = resolve(path, surroundings);
    let text = read_text(&found, SECRET).map_err(|why| {
        // Only root can look there, so "no such file" alone would mislead other users.
        let elsewhere = match why.kind() {
            ErrorKind::NotFound if path.is_relative() => {
                "; a relative path is looked for beside the configuration, and among systemd's credentials, which root \
                 and the service can read"
            }
            _ => "",
        };
        FileFault::of(&found, &why, elsewhere)
    })?;
    // Some editors put a byte order mark before the text.
    Ok(SecretString::from(text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n'])))
}

/// Where a file is: a relative path is looked for among systemd's credentials, then beside the configuration file. A
/// command that an administrator runs has no credentials of its own: it looks where the service has got them, and where
/// the service will get them from. Both places are closed to others.
pub(super) fn resolve(path: &Path, surroundings: &Surroundings<'_>) -> PathBuf {
    let credential = surroundings.environment.get("CREDENTIALS_DIRECTORY").map(|dir| Path::new(dir).join(path));
    let beside = surroundings.file.and_then(Path::parent).map(|dir| dir.join(path));
    let handed_over = Path::new("/run/credentials/ntp-monitor.service").join(path);
    let kept = Path::new("/etc/credstore").join(format!("ntp-monitor.{}", path.display()));
    let places = [credential, beside, Some(handed_over), Some(kept)];
    let found = places.into_iter().flatten().filter(|_| path.is_relative()).find(|path| path.exists());
    found.unwrap_or_else(|| path.to_owned())
}
