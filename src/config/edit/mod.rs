//! Edits the text of a configuration file. Pure: text in, text out; comments and order are kept.
//!
//! The editor shows the file with its secrets masked ([`mask`]) and sends it back masked. [`restore`] inserts the
//! secrets that were at the same places before. [`ServerEdit`] changes single servers. The loader checks the meaning of
//! the text, not this module.
//!
//! Limit: TOML only.

mod comments;
mod difference;
mod secrets;
mod servers;
mod tokens;

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use toml_edit::DocumentMut;

use super::bounds::{self, Format};

pub use difference::unified;
pub use secrets::{mask, restore};
pub use servers::ServerEdit;
pub use tokens::TokenEdit;

/// Why a text cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not TOML.
    #[error("is not TOML: {reason}")]
    NotToml {
        /// The line, from 1, if known.
        line: Option<usize>,
        /// The parser's reason, without any of the text.
        reason: String,
    },
    /// The text exceeds a limit.
    #[error("{0}")]
    TooMuch(String),
    /// A masked value is at a place where there was no secret before.
    #[error("{path} is masked, but the file has no secret in that place to keep: write the secret")]
    NothingToKeep { path: String },
    /// The file has no server with this name.
    #[error("the configuration file has no server {0:?}: it comes from the environment, or it was removed")]
    NoServer(String),
    /// `server` is not an array of tables.
    #[error("{0} is not an array of tables in the configuration file")]
    NoTables(&'static str),
    /// A value that TOML cannot express.
    #[error("{0} has a value that a configuration cannot contain")]
    NoValue(String),
}

/// A fingerprint of a text: half of its SHA-256, hexadecimal.
#[must_use]
pub fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn parse(text: &str) -> Result<DocumentMut, EditError> {
    bounds::check(Format::Toml, text).map_err(EditError::TooMuch)?;
    text.parse().map_err(|why: toml_edit::TomlError| {
        let line = why.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        EditError::NotToml { line, reason: why.message().lines().collect::<Vec<_>>().join("; ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_beyond_a_limit_is_not_parsed() {
        let text = format!("a = [{}]", "1,".repeat(1_500_000));
        assert!(matches!(mask(&text), Err(EditError::TooMuch(why)) if why.contains("more than 500000")));
    }
}
