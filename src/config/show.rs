//! Shows the effective configuration as TOML or JSON: every value with its source, secrets masked.

use std::fmt::Write as _;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Loaded;
use super::fault::KeyPath;
use super::schema;
use super::shown::ShownConfig;
use super::tree::Tree;
use ntp_monitor_core::text::plain::{self, is_disruptive};

/// The text shown in place of a secret.
pub(super) const MASK: &str = "********";
/// The column at which sources are aligned after shorter values.
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
        let effective = Effective { tree: &self.tree, all_sources: true };
        serde_json::to_value(effective).expect("values and texts can be written as JSON")
    }

    /// Like [`Loaded::to_json`], compressed, with sources of configured values only. With many servers a
    /// tree of values, or a source for each default of each server, would be most of the memory of the service.
    pub(super) fn shown(&self) -> ShownConfig {
        ShownConfig::of(&Effective { tree: &self.tree, all_sources: false })
    }
}

/// Values and sources, written without making a copy of them.
struct Effective<'a> {
    tree: &'a Tree,
    all_sources: bool,
}

impl Serialize for Effective<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("values", &Masked { value: self.tree.root(), schema: &schema::SCHEMA })?;
        map.serialize_entry("sources", &Sources(self))?;
        map.end()
    }
}

/// The value with [`MASK`] in place of each secret.
struct Masked<'a> {
    value: &'a Value,
    schema: &'a Value,
}

impl Serialize for Masked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.value, self.schema.get("items")) {
            (Value::Object(table), _) if is_section(self.schema) => {
                let entries = table.iter().map(|(key, value)| {
                    let schema = schema::child(self.schema, key).unwrap_or(&Value::Null);
                    (key, Masked { value, schema })
                });
                serializer.collect_map(entries)
            }
            (Value::Array(items), Some(schema)) => {
                serializer.collect_seq(items.iter().map(|value| Masked { value, schema }))
            }
            _ if schema::is_secret(self.schema) => serializer.serialize_str(MASK),
            (value, _) => value.serialize(serializer),
        }
    }
}

/// The sources of values other than sections, by path.
struct Sources<'a>(&'a Effective<'a>);

impl Serialize for Sources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let Effective { tree, all_sources } = self.0;
        visit(tree.root(), &KeyPath::default(), &schema::SCHEMA, &mut |path| {
            if !all_sources && !tree.is_said(path) {
                return Ok(());
            }
            map.serialize_entry(&path.to_string(), &tree.source(path).to_string())
        })?;
        map.end()
    }
}

fn table_text(text: &mut String, tree: &Tree, path: &KeyPath, schema: &Value) {
    for (key, schema) in schema::properties(schema) {
        let path = path.key(key);
        let Some(value) = tree.get(&path) else { continue };
        let value = serde_json::to_value(Masked { value, schema }).expect("a value can be written as JSON");
        let entry = format!("{key} = {}", toml(&value));
        let _ = writeln!(text, "{entry:COLUMN$} # {}", comment(&tree.source(&path).to_string()));
    }
    text.push('\n');
}

/// File names can contain line breaks, but a comment is one line.
fn comment(source: &str) -> String {
    plain::one_line(source, '\u{fffd}')
}

/// Calls `leaf` with the path of every value other than sections, until it fails.
fn visit<E>(
    value: &Value,
    path: &KeyPath,
    schema: &Value,
    leaf: &mut impl FnMut(&KeyPath) -> Result<(), E>,
) -> Result<(), E> {
    match (value, schema.get("items")) {
        (Value::Object(table), _) if is_section(schema) => {
            let known = table.iter().filter_map(|(key, value)| Some((key, value, schema::child(schema, key)?)));
            known.into_iter().try_for_each(|(key, value, schema)| visit(value, &path.key(key), schema, leaf))
        }
        (Value::Array(items), Some(schema)) => {
            items.iter().enumerate().try_for_each(|(n, value)| visit(value, &path.index(n), schema, leaf))
        }
        (Value::Array(_), None) => Ok(()),
        _ => leaf(path),
    }
}

/// Whether to visit the values one by one: a table of known keys, or of free keys with secret values.
fn is_section(schema: &Value) -> bool {
    schema.get("properties").is_some() || schema.get("additionalProperties").is_some_and(schema::is_secret)
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

/// A basic string, because the TOML writer would spread a text with line breaks over several lines.
fn one_line(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if is_disruptive(c) => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
