//! Finds a file that the configuration names. Anyone who can edit the configuration can choose the file, so no error
//! shows any of its content.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use crate::outbound::Hidden;
use crate::regular_file::is_unsuitable;

/// Maximum size of a file of certificates and keys, in bytes. The bundles of distributions have about 250 kB.
pub(super) const CERTIFICATES: u64 = 4 << 20;

/// The context in which a relative path is resolved.
pub(super) struct Surroundings<'a> {
    pub environment: &'a Environment,
    /// The configuration file.
    pub file: Option<&'a Path>,
}

/// Why a file cannot be used.
pub(super) enum FileFault {
    /// It does not exist, or this process cannot read it.
    Unread(String),
    /// Its content is invalid.
    Wrong(String),
}

impl FileFault {
    /// The error that the file at `path` cannot be read, with a hint.
    pub(super) fn of(path: &Path, why: &std::io::Error, hint: &str) -> Self {
        let text = format!("{} cannot be read: {why}{hint}", path.display());
        if is_unsuitable(why) { Self::Wrong(text) } else { Self::Unread(text) }
    }
}

/// The value in a file, without the final line end. See [`resolve`] for the search order.
pub(super) fn read_value(path: &Path, surroundings: &Surroundings<'_>) -> Result<Hidden, FileFault> {
    let found = resolve(path, surroundings);
    Hidden::read(&found).map_err(|why| {
        // Only root can read that directory, so "no such file" alone would mislead other users.
        let elsewhere = match why.kind() {
            ErrorKind::NotFound if path.is_relative() => {
                "; a relative path is looked up next to the configuration and in systemd's credentials, which only \
                 root and the service can read"
            }
            _ => "",
        };
        FileFault::of(&found, &why, elsewhere)
    })
}

/// Resolves a path: a relative one is looked up among systemd's credentials, then beside the configuration file. A
/// command that an administrator runs has no credentials; it looks in the credentials of the running service and in the
/// directory from which systemd loads them. Other users can read neither.
pub(super) fn resolve(path: &Path, surroundings: &Surroundings<'_>) -> PathBuf {
    let credential = surroundings.environment.get("CREDENTIALS_DIRECTORY").map(|dir| Path::new(dir).join(path));
    let beside = surroundings.file.and_then(Path::parent).map(|dir| dir.join(path));
    let handed_over = Path::new("/run/credentials/ntp-monitor.service").join(path);
    let kept = Path::new("/etc/credstore").join(format!("ntp-monitor.{}", path.display()));
    let places = [credential, beside, Some(handed_over), Some(kept)];
    let found = places.into_iter().flatten().filter(|_| path.is_relative()).find(|path| path.exists());
    found.unwrap_or_else(|| path.to_owned())
}
