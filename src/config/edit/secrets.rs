//! Masks the secrets of a file, and restores them.
//!
//! The schema says which keys are secret. An unknown key may be a misspelt secret, so its value is masked too, and so
//! are values that a comment assigns to a key whose name suggests a secret.

use std::collections::HashMap;

use serde_json::Value as Json;
use toml_edit::{Item, TableLike, Value};

use super::{EditError, comments, parse};
use crate::config::schema;
use crate::config::show::MASK;

/// The text with every secret masked.
///
/// # Errors
/// When it is not TOML, because the secrets cannot be located then.
pub fn mask(text: &str) -> Result<String, EditError> {
    let mut document = parse(text)?;
    each_secret(document.as_table_mut(), &mut |_, value| put(value, Value::from(MASK)));
    Ok(comments::mask(&document.to_string()))
}

/// `text` with every masked secret replaced by the value in `old` at the same path. Tables of an array
/// are identified by their names.
///
/// # Errors
/// When one of them is not TOML, or `old` has no value at the path of a masked secret.
pub fn restore(text: &str, old: &str) -> Result<String, EditError> {
    let mut before = HashMap::new();
    each_secret(parse(old)?.as_table_mut(), &mut |path, value| {
        before.insert(path.to_owned(), value.clone());
    });
    let mut document = parse(text)?;
    let mut missing = None;
    each_secret(document.as_table_mut(), &mut |path, value| {
        if value.as_str() == Some(MASK) {
            match before.get(path) {
                Some(kept) => put(value, kept.clone()),
                None => missing = missing.take().or_else(|| Some(path.join("."))),
            }
        }
    });
    if let Some(path) = missing {
        return Err(EditError::NothingToKeep { path });
    }
    Ok(comments::restore(&document.to_string(), old))
}

/// Replaces a value and keeps the formatting around it.
fn put(value: &mut Value, mut new: Value) {
    *new.decor_mut() = value.decor().clone();
    *value = new;
}

/// Calls `found` with every secret value and its path.
fn each_secret(table: &mut dyn TableLike, found: &mut impl FnMut(&[String], &mut Value)) {
    Walk { path: Vec::new(), found }.table(table, Some(&schema::SCHEMA));
}

struct Walk<'f, F> {
    path: Vec<String>,
    found: &'f mut F,
}

impl<F: FnMut(&[String], &mut Value)> Walk<'_, F> {
    /// `schema` is `None` for unknown keys.
    fn table(&mut self, table: &mut dyn TableLike, schema: Option<&Json>) {
        for (key, item) in table.iter_mut() {
            self.path.push(key.get().to_owned());
            self.item(item, schema.and_then(|schema| schema::child(schema, key.get())));
            self.path.pop();
        }
    }

    fn item(&mut self, item: &mut Item, schema: Option<&Json>) {
        match item {
            Item::Table(table) => self.table(table, schema),
            Item::ArrayOfTables(tables) => {
                let items = schema.and_then(|schema| schema.get("items"));
                for (n, table) in tables.iter_mut().enumerate() {
                    self.element(n, table, items);
                }
            }
            Item::Value(value) => self.value(value, schema),
            Item::None => {}
        }
    }

    fn value(&mut self, value: &mut Value, schema: Option<&Json>) {
        match value {
            Value::InlineTable(table) => self.table(table, schema),
            Value::Array(items) if schema.is_some_and(|schema| !schema::is_secret(schema)) => {
                let schema = schema.and_then(|schema| schema.get("items"));
                for (n, item) in items.iter_mut().enumerate() {
                    match item {
                        Value::InlineTable(table) => self.element(n, table, schema),
                        other => self.labelled(n.to_string(), |walk| walk.value(other, schema)),
                    }
                }
            }
            _ if schema.is_none_or(schema::is_secret) => (self.found)(&self.path, value),
            _ => {}
        }
    }

    fn element(&mut self, n: usize, table: &mut dyn TableLike, schema: Option<&Json>) {
        // A masked name identifies nothing.
        let is_name_shown = schema.and_then(|schema| schema::child(schema, "name")).is_some();
        let name = table.get("name").and_then(Item::as_str).filter(|_| is_name_shown).map(str::to_owned);
        // Quoted, so that a name is not taken for a number.
        let label = name.map_or_else(|| n.to_string(), |name| format!("{name:?}"));
        self.labelled(label, |walk| walk.table(table, schema));
    }

    fn labelled(&mut self, label: String, visit: impl FnOnce(&mut Self)) {
        self.path.push(label);
        visit(self);
        self.path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# Ours.
[influxdb] # the big one
url = \"http://h\"
token = \"hunter2\" # do not tell
# token = \"hunter1\"
tokne = \"hunter3\"

[[http.tokens]]
name = \"page\"
sha256 = \"hunter4\"
[[http.tokens]]
name = \"robot\"
sha256 = \"hunter5\"

[[server]]
address = \"a\"
tags = { key = \"value\" }
";

    #[test]
    fn secrets_in_misspelt_keys_and_comments_are_masked_too() {
        let masked = mask(FILE).unwrap();
        assert!(!masked.contains("hunter"), "{masked}");
        assert!(masked.contains("token = \"********\" # do not tell") && masked.contains("# Ours."), "{masked}");
        assert!(masked.contains("tags = { key = \"value\" }"), "{masked}");
    }

    #[test]
    fn masked_secrets_are_restored_after_tables_moved() {
        let masked = mask(FILE).unwrap();
        assert_eq!(restore(&masked, FILE).unwrap(), FILE);
        let (robot, page) = ("name = \"robot\"", "name = \"page\"");
        let swapped = masked.replace(robot, "§").replace(page, robot).replace('§', page);
        let restored = restore(&swapped, FILE).unwrap();
        assert!(restored.contains("name = \"robot\"\nsha256 = \"hunter5\""), "{restored}");
        let changed = masked.replacen("token = \"********\"", "token = \"new\"", 1);
        let restored = restore(&changed, FILE).unwrap();
        assert!(restored.contains("token = \"new\" # do not tell") && !restored.contains("hunter2"), "{restored}");
    }

    #[test]
    fn tables_of_an_unknown_section_are_restored_by_position() {
        let old = "[[notifer]]\nname = \"a\"\nurl = \"hunter2\"\n[[notifer]]\nname = \"b\"\nurl = \"hunter3\"\n";
        assert_eq!(restore(&mask(old).unwrap(), old).as_deref(), Ok(old));
    }

    #[test]
    fn a_mask_where_no_secret_was_is_refused() {
        let text = "[[http.tokens]]\nname = \"new\"\nsha256 = \"********\"\n";
        let path = "http.tokens.\"new\".sha256".to_owned();
        assert_eq!(restore(text, FILE), Err(EditError::NothingToKeep { path }));
    }

    #[test]
    fn text_value_does_not_receive_a_secret_from_a_comment() {
        let old = format!("{FILE}[[alert]]\nname = \"a\"\ndescription = \"\"\n");
        let quoting = old.replace("= \"\"\n", "= \"\"\"\n# token = \"********\"\n\"\"\"\n");
        let restored = restore(&quoting, &old).unwrap();
        assert_eq!(restored.matches("hunter1").count(), 1, "{restored}");
        assert!(restored.contains("\"\"\"\n# token = \"********\"\n\"\"\""), "{restored}");
    }

    #[test]
    fn invalid_toml_is_not_quoted() {
        let Err(EditError::NotToml { line, reason }) = mask("a = 1\ntoken = \"hunter2\n") else {
            panic!("it was taken")
        };
        assert_eq!(line, Some(2));
        assert!(!reason.contains("hunter2"), "{reason}");
    }
}
