//! Secrets that stand in a file of their own.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::Surroundings;

/// Reads a token file. A relative path is looked for among systemd's credentials, then beside the configuration file.
pub(super) fn read_token(path: &Path, surroundings: &Surroundings<'_>) -> Result<SecretString, String> {
    let credential = surroundings.environment.get("CREDENTIALS_DIRECTORY").map(|dir| Path::new(dir).join(path));
    let beside = surroundings.file.and_then(Path::parent).map(|dir| dir.join(path));
    let found = [credential, beside].into_iter().flatten().find(|path| path.exists());
    let path: PathBuf = found.unwrap_or_else(|| path.to_owned());
    let text = std::fs::read_to_string(&path).map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}
