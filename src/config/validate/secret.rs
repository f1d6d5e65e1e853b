//! Secrets that are configured by a key or by a file.

use std::path::PathBuf;

use super::{Rules, Surroundings};
use crate::config::fault::KeyPath;
use crate::config::named_file::read_value;
use crate::config::units::Secret;
use crate::outbound::Hidden;

/// A key with a secret, and the key that names a file with the secret.
pub(super) struct Places {
    pub inline: KeyPath,
    pub file: KeyPath,
}

impl Places {
    /// `KEY` and `KEY_file` of a table.
    pub(super) fn of(table: &KeyPath, key: &str) -> Self {
        Self { inline: table.key(key), file: table.key(&format!("{key}_file")) }
    }

    /// The secret and its place, from the key with the higher precedence. `None` if neither is set, or in case of
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
            (_, Some(path)) => match read_value(path, surroundings) {
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
