//! The JSON Schema of the configuration, and queries of the loader: which keys exist, their types and defaults.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::fault::{KeyPath, Step};
use super::raw::Root;

/// The schema (JSON Schema 2020-12), without references, so that it can be walked in parallel with a configuration.
pub(super) static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let generator = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<Root>().to_value();
    simplify(&mut schema);
    schema["required"] = Value::Array(Vec::new());
    schema
});

/// The schema as text, for editors.
#[must_use]
pub fn schema() -> String {
    format!("{:#}\n", *SCHEMA)
}

/// The schema as a value.
#[must_use]
pub fn schema_value() -> &'static Value {
    &SCHEMA
}

/// Adapts the schema to configurations: no null, and only keys without a default are required.
fn simplify(schema: &mut Value) {
    if let Some(some) = some_of_option(schema) {
        let description = schema.get("description").cloned();
        *schema = some;
        if let Some(description) = description {
            schema["description"] = description;
        }
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    let Some(object) = schema.as_object_mut() else { return };
    // The formats of schemars ("uint16") are not part of JSON Schema.
    object.remove("format");
    for key in ["properties", "$defs"] {
        for (_, child) in object.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten() {
            simplify(child);
        }
    }
    for key in ["items", "additionalProperties"] {
        object.get_mut(key).into_iter().for_each(simplify);
    }
    let optional = |key: &str, object: &Map<String, Value>| {
        object.get("properties").and_then(|p| p.get(key)).is_some_and(has_default)
    };
    if let Some(Value::Array(mut required)) = object.remove("required") {
        required.retain(|key| key.as_str().is_some_and(|key| !optional(key, object)));
        object.insert("required".to_owned(), Value::Array(required));
    }
}

fn has_default(schema: &Value) -> bool {
    schema.get("default").is_some() || schema.get("x-default").is_some()
}

/// The schema inside an `Option`: `anyOf [X, null]`.
fn some_of_option(schema: &Value) -> Option<Value> {
    schema.get("anyOf")?.as_array()?.iter().find(|s| s.get("type").is_none_or(|t| t != "null")).cloned()
}

/// The properties of a table, in the order in which they are documented.
pub(super) fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The required keys of a table.
pub(super) fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The schema of the value at `path`; `None` for unknown keys.
pub(super) fn at(path: &KeyPath) -> Option<&'static Value> {
    path.0.iter().try_fold(&*SCHEMA, |schema, step| match step {
        Step::Key(key) => child(schema, key),
        Step::Index(_) => schema.get("items"),
    })
}

/// The schema of `key` in a table; free keys (tags) have one too.
pub(super) fn child<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let known = schema.get("properties").and_then(|p| p.get(key));
    known.or_else(|| schema.get("additionalProperties").filter(|s| s.is_object()))
}

/// Whether the value is secret.
pub(super) fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly").is_some()
}

/// The default of a key, or of a whole section.
pub(super) fn default(schema: &Value) -> Option<Value> {
    if let Some(default) = schema.get("default") {
        return Some(default.clone());
    }
    let table = schema.get("properties")?.as_object()?;
    Some(table.iter().filter_map(|(key, schema)| Some((key.clone(), default(schema)?))).collect())
}

/// Converts text from the environment or a flag to the type of its key. List items are separated by commas. Text that
/// does not fit stays text, and the decoder reports it.
pub(super) fn typed(path: &KeyPath, text: &str) -> Value {
    let kind = at(path).and_then(|schema| schema.get("type"));
    let is =
        |name: &str| kind.is_some_and(|kind| kind == name || kind.as_array().is_some_and(|a| a.contains(&name.into())));
    let trimmed = text.trim();
    if is("boolean") {
        match trimmed.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => return json!(true),
            "false" | "no" | "off" | "0" => return json!(false),
            _ => {}
        }
    }
    if is("integer")
        && let Ok(number) = trimmed.parse::<i64>()
    {
        return json!(number);
    }
    if is("array") && at(path).is_some_and(|schema| schema["items"]["type"] == "string") {
        let items = trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
        return items.collect();
    }
    json!(text)
}
