//! Adds a token of HTTP to the text of a configuration file.

use std::fmt::Write as _;

use toml_edit::{ArrayOfTables, Item, Table, Value};

use super::servers::array;
use super::{EditError, parse};
use crate::config::Role;

/// A new `[[http.tokens]]`.
#[derive(Clone)]
pub struct TokenEdit {
    pub name: String,
    pub role: Role,
    /// The hash of the token. The file does not contain the token itself.
    pub sha256: [u8; 32],
}

impl TokenEdit {
    /// The text with the token.
    ///
    /// # Errors
    /// When the text is not TOML, or `http.tokens` is something else than tables.
    pub fn apply(&self, text: &str) -> Result<String, EditError> {
        let mut document = parse(text)?;
        let mut implicit = Table::new();
        // Do not write a separate line `[http]`.
        implicit.set_implicit(true);
        let http = document.entry("http").or_insert(Item::Table(implicit));
        let http = http.as_table_like_mut().ok_or(EditError::NoTables("http.tokens"))?;
        let tokens = http.entry("tokens").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        let hash = self.sha256.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        for (key, value) in [("name", self.name.as_str()), ("role", self.role.label()), ("sha256", &hash)] {
            table.insert(key, Item::Value(Value::from(value)));
        }
        array(tokens, "http.tokens")?.push(table);
        Ok(document.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str) -> Result<String, EditError> {
        TokenEdit { name: "setup".into(), role: Role::Admin, sha256: [0xab; 32] }.apply(text)
    }

    #[test]
    fn token_is_added_and_the_rest_of_the_file_stays() {
        let token =
            format!("\n[[http.tokens]]\nname = \"setup\"\nrole = \"admin\"\nsha256 = \"{}\"\n", "ab".repeat(32));
        let text = "# Ours.\n[log]\nlevel = \"info\" # quiet\n";
        assert_eq!(added(text).unwrap(), format!("{text}{token}"));
        let text = "[http]\nlisten = \"127.0.0.1:1\"\n\n[[http.tokens]]\nname = \"a\"\nsha256 = \"b\"\n";
        assert_eq!(added(text).unwrap(), format!("{text}{token}"));
    }

    #[test]
    fn section_that_is_no_table_is_refused() {
        for text in ["http = 1\n", "[http]\ntokens = 7\n"] {
            assert_eq!(added(text), Err(EditError::NoTables("http.tokens")), "{text}");
        }
    }
}
