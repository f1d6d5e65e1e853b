//! Secrets, each in a key or in a file of its own.

use std::path::{Path, PathBuf};

use super::{Rules, Surroundings};
use crate::config::fault::KeyPath;
use crate::config::units::Secret;
use crate::outbound::Hidden;

/// A key that holds a secret, and the key that names a file with it.
pub(super) struct Places {
    pub inline: KeyPath,
    pub file: KeyPath,
}

impl Places {
    /// `KEY` and `KEY_file` of a table.
    pub(super) fn of(table: &KeyPath, key: &str) -> Self {
        Self { inline: table.key(key), file: table.key(&format!("{key}_file")) }
    }

    /// The secret and where it was found: from whichever of the two the stronger layer sets. `None` without any, or with
    /// a fault.
    pub(super) fn look(
        &self,
        inline: Option<&Secret>,
        file: Option<&PathBuf>,
        rules: &mut Rules<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Option<(Hidden, &KeyPath)> {
        let layer = |path: &KeyPath| rules.tree.source(path).layer();
        let (inline_wins, file_wins) =
            (layer(&self.inline) > layer(&self.file), layer(&self.inline) < layer(&self.file));
        match (inline, file) {
            (Some(_), Some(_)) if !inline_wins && !file_wins => {
                let name = self.file.to_string();
                let name = name.rsplit('.').next().unwrap_or_default().to_owned();
                rules.require(false, &self.inline, || format!("and {name} are both set; one is enough"));
                None
            }
            (Some(secret), None) => Some((secret.0.clone().into(), &self.inline)),
            (Some(secret), Some(_)) if inline_wins => Some((secret.0.clone().into(), &self.inline)),
            (_, Some(path)) => match read_token(path, surroundings) {
                Ok(secret) => Some((secret, &self.file)),
                Err(fault) => {
                    rules.refuse_file(&self.file, fault);
                    None
                }
            },
            (None, None) => None,
        }
    }
}

/// Why a file is of no use.
pub(super) enum FileFault {
    /// It is not there, or not for this process.
    Unread(String),
    /// It does not hold what it should.
    Wrong(String),
}

/// Reads a token file; see [`resolve`].
pub(super) fn read_token(path: &Path, surroundings: &Surroundings<'_>) -> Result<Hidden, FileFault> {
    let found = resolve(path, surroundings);
    Hidden::read(&found).map_err(|why| {
        // Root alone can look there, and anybody else must not take "no such file" for the whole truth.
        let elsewhere = match why.kind() {
            std::io::ErrorKind::NotFound if path.is_relative() => {
                "; a relative path is looked for beside the configuration, and among systemd's credentials, which root \
                 and the service can read"
            }
            _ => "",
        };
        FileFault::Unread(format!("{} cannot be read: {why}{elsewhere}", found.display()))
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
