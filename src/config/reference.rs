//! Generates docs/CONFIGURATION.md, the reference of all keys, from the schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema;
use super::show::toml;

/// The introduction.
const HEAD: &str = include_str!("reference.md");

/// The document, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for (name, section) in schema::properties(&schema::SCHEMA) {
        table(&mut text, name, section);
    }
    text
}

/// One section with its subsections.
fn table(text: &mut String, path: &str, section: &Value) {
    let (table_schema, heading) = match section.get("items") {
        Some(items) => (items, format!("[[{path}]]")),
        None => (section, format!("[{path}]")),
    };
    let _ = write!(text, "\n## {heading}\n\n{}\n\n", sentence(section));
    text.push_str("| key | what it takes | default | meaning |\n|---|---|---|---|\n");
    let (within, keys): (Vec<_>, Vec<_>) = schema::properties(table_schema).partition(|(_, schema)| is_table(schema));
    // Keys that a server inherits are explained in [defaults].
    let shared =
        |key: &str| path == "server" && schema::child(&schema::SCHEMA["properties"]["defaults"], key).is_some();
    for (key, schema) in keys.into_iter().filter(|(key, _)| !shared(key)) {
        let required = schema::required(table_schema).any(|required| required == key);
        let _ = writeln!(
            text,
            "| `{key}` | {} | {} | {} |",
            cell(&kind(schema)),
            cell(&default(schema, required)),
            cell(&meaning(schema))
        );
    }
    if path == "server" {
        text.push_str("| … | | | any key of [defaults] |\n");
    }
    for (key, schema) in within {
        table(text, &format!("{path}.{key}"), schema);
    }
}

fn is_table(schema: &Value) -> bool {
    let inner = schema.get("items").unwrap_or(schema);
    inner.get("properties").is_some()
}

fn sentence(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

fn meaning(schema: &Value) -> String {
    let mut text = sentence(schema).replace('\n', " ");
    for (name, meaning) in choices(schema) {
        let _ = write!(text, " `\"{name}\"`: {}", meaning.unwrap_or_default());
    }
    text
}

/// The allowed values with their meanings.
fn choices(schema: &Value) -> impl Iterator<Item = (&str, Option<&str>)> {
    let of = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    of.filter_map(|choice| Some((choice["const"].as_str()?, choice["description"].as_str())))
}

/// The type of a key, with its unit.
fn kind(schema: &Value) -> String {
    let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or_default();
    if schema::is_secret(schema) {
        return "secret".to_owned();
    }
    match pattern {
        pattern if pattern.contains("forever") => return "duration, or `\"forever\"`".to_owned(),
        pattern if pattern.contains('µ') => return "duration".to_owned(),
        pattern if pattern.contains("iB") => return "size".to_owned(),
        _ => {}
    }
    if choices(schema).next().is_some() {
        return choices(schema).map(|(name, _)| format!("`\"{name}\"`")).collect::<Vec<_>>().join(", ");
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(|value| format!("`{}`", toml(value))).collect::<Vec<_>>().join(", ");
    }
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "integer" | "number" => {
            let bound = |name: &str| schema.get(name).map(ToString::to_string);
            match (bound("minimum"), bound("maximum")) {
                (Some(low), Some(high)) => format!("{kind} from {low} to {high}"),
                (Some(low), None) => format!("{kind} from {low}"),
                (None, Some(high)) => format!("{kind} up to {high}"),
                (None, None) => kind.to_owned(),
            }
        }
        "boolean" => "`true` or `false`".to_owned(),
        "array" => "list".to_owned(),
        "object" => "table of texts".to_owned(),
        _ => "text".to_owned(),
    }
}

fn default(schema: &Value, required: bool) -> String {
    let derived = schema.get("x-default").and_then(Value::as_str);
    match (schema.get("default"), derived) {
        (Some(value), _) => format!("`{}`", toml(value)),
        (None, Some(derived)) => derived.to_owned(),
        (None, None) if required => "must be given".to_owned(),
        (None, None) => "none".to_owned(),
    }
}

/// A vertical bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_configuration_md_matches_the_schema() {
        let written = include_str!("../../docs/CONFIGURATION.md");
        assert!(written == reference(), "run: ntp-monitor config reference > docs/CONFIGURATION.md");
    }

    #[test]
    fn every_key_has_a_row_with_its_default() {
        let text = reference();
        for row in [
            "| `poll_interval` | duration | `\"64s\"` |",
            "| `samples_per_poll` | integer from 1 to 8 | `1` |",
            "| `keep` | duration, or `\"forever\"` | `\"365d\"` |",
            "| `address` | text | must be given |",
            "| `token` | secret | none |",
        ] {
            assert!(text.contains(row), "{row}: {text}");
        }
        assert!(text.contains("## [[http.tokens]]"));
    }
}
