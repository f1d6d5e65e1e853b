//! A secret, and the file that it came from: the file is read again when a receiver rejects the secret.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::regular_file;

/// Maximum size of a file that holds a secret, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// A secret that can be compared with another one, so that a reload sees whether it changed.
#[derive(Clone)]
pub struct Hidden {
    secret: SecretString,
    file: Option<Arc<Path>>,
}

impl Hidden {
    /// The content of a file of at most 64 KiB without its last line break.
    ///
    /// # Errors
    /// When the file cannot be read, or cannot be the file of a secret. No error shows its content.
    pub fn read(file: &Path) -> std::io::Result<Self> {
        let text = regular_file::read_text(file, MAX_BYTES)?;
        // Some editors write a byte order mark.
        let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        Ok(Self { secret: text.into(), file: Some(file.into()) })
    }

    /// The secret in plain text, for requests.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// The current secret in its file, if it differs and is not empty. Blocks.
    #[must_use]
    pub fn renewed(&self) -> Option<Self> {
        let now = Self::read(self.file.as_ref()?).ok()?;
        (now != *self && !now.expose().is_empty()).then_some(now)
    }

    /// Replaces the secret if its file contains another one; returns whether it did. Blocks.
    pub fn renew(&mut self) -> bool {
        self.renewed().map(|now| *self = now).is_some()
    }
}

impl From<SecretString> for Hidden {
    fn from(secret: SecretString) -> Self {
        Self { secret, file: None }
    }
}

impl From<&str> for Hidden {
    fn from(secret: &str) -> Self {
        SecretString::from(secret).into()
    }
}

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Hidden {}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_with_another_secret_renews_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "one\n").unwrap();
        let mut secret = Hidden::read(&path).unwrap();
        assert!(!secret.renew());
        std::fs::write(&path, "\n").unwrap();
        assert!(!secret.renew(), "half written");
        std::fs::write(&path, "two\r\n").unwrap();
        assert!(secret.renew());
        assert_eq!(secret.expose(), "two");
        std::fs::remove_file(&path).unwrap();
        assert!(!secret.renew() && !Hidden::from("inline").renew());
    }
}
