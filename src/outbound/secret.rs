//! A secret, and how it is read again when a receiver rejects it.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

type Reader = Arc<dyn Fn() -> Option<SecretString> + Send + Sync>;

/// A secret that can be compared with another one, so that a reload sees whether it changed.
#[derive(Clone)]
pub struct Hidden {
    secret: SecretString,
    /// Reads the file that it is kept in.
    reader: Option<Reader>,
}

impl Hidden {
    /// A secret that is kept in a file, which `reader` reads.
    pub fn kept(secret: SecretString, reader: impl Fn() -> Option<SecretString> + Send + Sync + 'static) -> Self {
        Self { secret, reader: Some(Arc::new(reader)) }
    }

    /// The secret, for requests.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// The secret that its file contains now, if it is another one and not empty. Blocks.
    #[must_use]
    pub fn renewed(&self) -> Option<Self> {
        let reader = self.reader.clone()?;
        let now = Self { secret: reader()?, reader: Some(reader) };
        (now != *self && !now.expose().is_empty()).then_some(now)
    }

    /// Replaces the secret if its file contains another one; returns whether it did. Blocks.
    pub fn renew(&mut self) -> bool {
        self.renewed().map(|now| *self = now).is_some()
    }
}

impl From<SecretString> for Hidden {
    fn from(secret: SecretString) -> Self {
        Self { secret, reader: None }
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
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn file_with_another_secret_renews_it() {
        let file = Arc::new(Mutex::new(Some("one")));
        let reader = Arc::clone(&file);
        let mut secret = Hidden::kept("one".into(), move || reader.lock().unwrap().map(SecretString::from));
        for (content, is_renewed) in [(Some("one"), false), (Some(""), false), (None, false), (Some("two"), true)] {
            *file.lock().unwrap() = content;
            assert_eq!(secret.renew(), is_renewed, "{content:?}");
        }
        assert_eq!(secret.expose(), "two");
        assert!(!Hidden::from("inline").renew());
    }
}
