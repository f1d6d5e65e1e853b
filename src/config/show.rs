//! The effective configuration for people and programs: every value with its source, secrets masked.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Loaded;
use super::fault::KeyPath;
use super::schema;
use super::tree::Tree;

/// What stands in the place of a secret.
pub(super) const MASK: &str = "********";
/// Sources are lined up at this column where the value is shorter.
const COLUMN: usize = 44;

impl Loaded {
    /// The effective configuration as TOML, each value with its source as a trailing comment.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (name, section) in schema::properties(&schema::SCHEMA) {
            let path = KeyPath::default().key(name);
            match self.tree.get(&path) {
                Some(Value::Array(items)) => {
                    let table = section.get("items").unwrap_or(section);
                    for n in 0..items.len() {
                        let _ = writeln!(text, "[[{name}]]");
                        table_text(&mut text, &self.tree, &path.index(n), table);
                    }
                }
                Some(Value::Object(_)) => {
                    let _ = writeln!(text, "[{name}]");
                    table_text(&mut text, &self.tree, &path, section);
                }
                _ => {}
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    /// The effective configuration as JSON: `{"values": {…}, "sources": {"http.listen": "default", …}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut values = self.tree.root().clone();
        let mut sources = serde_json::Map::new();
        visit(&mut values, &KeyPath::default(), &schema::SCHEMA, &mut |path, value, schema| {
            mask(value, schema);
            sources.insert(path.to_string(), json!(self.tree.source(path).to_string()));
        });
        json!({ "values": values, "sources": sources })
    }
}

fn table_text(text: &mut String, tree: &Tree, path: &KeyPath, schema: &Value) {
    for (key, schema) in schema::properties(schema) {
        let path = path.key(key);
        let Some(value) = tree.get(&path) else { continue };
        let mut value = value.clone();
        visit(&mut value, &path, schema, &mut |_, value, schema| mask(value, schema));
        let value = toml(&value);
        let entry = format!("{key} = {value}");
        let _ = writeln!(text, "{entry:COLUMN$} # {}", comment(&tree.source(&path).to_string()));
    }
    text.push('\n');
}

fn mask(value: &mut Value, schema: &Value) {
    if schema::is_secret(schema) {
        *value = json!(MASK);
    }
}

/// A file may have any name; a comment is one line.
fn comment(source: &str) -> String {
    source.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Calls `leaf` for every value that is no section.
fn visit(value: &mut Value, path: &KeyPath, schema: &Value, leaf: &mut impl FnMut(&KeyPath, &mut Value, &Value)) {
    match value {
        Value::Object(table) if schema.get("properties").is_some() || holds_secrets(schema) => {
            for (key, value) in table {
                if let Some(schema) = schema::child(schema, key) {
                    visit(value, &path.key(key), schema, leaf);
                }
            }
        }
        Value::Array(items) => {
            for (n, value) in items.iter_mut().enumerate() {
                if let Some(schema) = schema.get("items") {
                    visit(value, &path.index(n), schema, leaf);
                }
            }
        }
        _ => leaf(path, value, schema),
    }
}

/// Whether it is a table of free keys whose values are secrets.
fn holds_secrets(schema: &Value) -> bool {
    schema.get("additionalProperties").is_some_and(schema::is_secret)
}

/// A value as TOML writes it, on one line.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(v) => v.to_string(),
        Value::Number(v) => v.to_string(),
        Value::String(v) => one_line(v),
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(table) if table.is_empty() => "{}".to_owned(),
        Value::Object(table) => {
            let pair =
                |(key, value): (&String, &Value)| format!("{} = {}", toml_edit::Key::new(key.as_str()), toml(value));
            format!("{{ {} }}", table.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A basic string; TOML's own writer would spread a text with newlines over lines.
fn one_line(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
