//! Finds a file that the configuration names. Anyone who may edit the configuration chooses which one, so no error shows a
//! piece of what is in it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use crate::outbound::Hidden;
use crate::regular_file::is_unsuitable;

/// Maximum size of a file of certificates and keys, in bytes. The bundles of distributions have about 250 kB.
pub(super) const CERTIFICATES: u64 = 4 << 20;

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
pub(super) fn read_value(path: &Path, surroundings: &Surroundings<'_>) -> Result<Hidden, FileFault> {
    let found = resolve(path, surroundings);
    Hidden::read(&found).map_err(|why| {
        // Only root can look there, so "no such file" alone would mislead other users.
        let elsewhere = match why.kind() {
            ErrorKind::NotFound if path.is_relative() => {
                "; a relative path is looked for beside the configuration, and among systemd's credentials, which root \
                 and the service can read"
            }
            _ => "",
        };
        FileFault::of(&found, &why, elsewhere)
    })
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
