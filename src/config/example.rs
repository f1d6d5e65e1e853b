//! A complete, commented example, generated from the schema, so that the editor, the loader and the
//! example always agree.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema;
use super::show::toml;

const WIDTH: usize = 116;

/// The example as valid TOML. A key with a default is commented out and shows the default.
#[must_use]
pub fn example() -> String {
    let mut text = String::from("# Configuration of ntp-monitor. Lines that are commented out show the default.\n");
    for (name, section) in schema::properties(&schema::SCHEMA) {
        let is_array = section.get("items").is_some();
        let is_server = name == "server";
        let table = section.get("items").unwrap_or(section);
        // Only required keys are active: those of a server. The keys of a notifier depend on its type,
        // so they cannot even be tried together.
        let (mark, key_mark) = match name.as_str() {
            "influxdb" | "csv" | "nats" | "fleet" => ("#", "#"),
            _ if is_array && !is_server => ("# ", "# "),
            _ => ("", "#"),
        };
        text.push('\n');
        describe(&mut text, section);
        let header = if is_array { format!("[[{name}]]") } else { format!("[{name}]") };
        let _ = writeln!(text, "{mark}{header}");
        for (key, schema) in schema::properties(table) {
            // Keys that a server inherits are explained in [defaults].
            let repeated =
                is_server && schema::properties(&schema::SCHEMA["properties"]["defaults"]).any(|(k, _)| k == key);
            if !repeated {
                let is_needed = is_server && schema::required(table).any(|required| required == key);
                entry(&mut text, key, schema, if is_needed { "" } else { key_mark });
            }
        }
        if is_server {
            text.push_str("# … and any key of [defaults].\n");
        }
    }
    text
}

fn entry(text: &mut String, key: &str, schema: &Value, mark: &str) {
    describe(text, schema);
    if let Some(derived) = schema.get("x-default").and_then(Value::as_str) {
        let _ = writeln!(text, "# Default: {derived}.");
    }
    let examples = schema.get("examples").and_then(Value::as_array).and_then(|e| e.first());
    let value = schema.get("default").or(examples).map_or_else(|| "\"…\"".to_owned(), toml);
    // A table within a section may name files that do not exist, so it stays a comment when the rest of the example is
    // tried.
    let mark = if schema.get("properties").is_some() { "# " } else { mark };
    let _ = writeln!(text, "{mark}{key} = {value}");
}

fn describe(text: &mut String, schema: &Value) {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    wrap(text, description);
    for choice in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        if let (Some(name), Some(meaning)) = (choice["const"].as_str(), choice["description"].as_str()) {
            wrap(text, &format!("  \"{name}\": {meaning}"));
        }
    }
}

fn wrap(text: &mut String, paragraph: &str) {
    let indent: String = paragraph.chars().take_while(|c| *c == ' ').collect();
    let mut line = format!("# {indent}");
    for word in paragraph.split_whitespace() {
        if line.len() + word.len() > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = format!("# {indent}");
        }
        line.push_str(word);
        line.push(' ');
    }
    if !paragraph.is_empty() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
}
