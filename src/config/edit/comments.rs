//! Secrets in comments: values that a comment assigns to a key whose name suggests a secret, `# token = "…"`.
//!
//! A line of a multi-line text value may look like a comment. It is not changed: a secret placed in the value of
//! another key would otherwise be readable.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use toml_edit::{Document, Item, TableLike, Value};

use crate::config::show::MASK;

/// A key in a comment counts as a secret if its name contains one of these.
const TELLING: [&str; 5] = ["token", "password", "secret", "sha256", "key"];

/// The TOML text with every secret in a comment masked.
pub(super) fn mask(text: &str) -> String {
    change(text, |line| masked(line).unwrap_or_else(|| line.to_owned()))
}

/// The TOML text with every masked comment restored from `old`.
pub(super) fn restore(text: &str, old: &str) -> String {
    let mut before = HashMap::new();
    change(old, |line| {
        masked(line).map(|masked| before.insert(masked, line.to_owned()));
        String::new()
    });
    change(text, |line| before.get(line).map_or_else(|| line.to_owned(), Clone::clone))
}

/// Applies a change to every line that does not start within a value.
fn change(text: &str, mut change: impl FnMut(&str) -> String) -> String {
    let values = lines_within_values(text);
    let lines = text.split_inclusive('\n').enumerate();
    lines
        .map(|(n, line)| {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            (if values.contains(&n) { line.to_owned() } else { change(line) }) + end
        })
        .collect()
}

/// The comment with its secret masked.
fn masked(line: &str) -> Option<String> {
    let comment = line.trim_start().strip_prefix('#')?;
    let (key, value) = comment.split_once('=')?;
    let name = key.trim_matches(['#', ' ', '\t']);
    let is_key = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-\"".contains(c));
    let telling = is_key && !name.ends_with("_file") && TELLING.iter().any(|word| name.contains(word));
    let quoted = value.trim_start().starts_with(['"', '\'']);
    (telling && quoted).then(|| format!("{}= \"{MASK}\"", &line[..line.len() - value.len() - 1]))
}

/// The lines, from 0, that start within a text value. All lines when the text is not TOML.
fn lines_within_values(text: &str) -> BTreeSet<usize> {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(n, _)| n + 1)).collect();
    let Ok(document) = Document::parse(text) else { return (0..starts.len()).collect() };
    let mut spans = Vec::new();
    table(document.as_table(), &mut spans);
    let first_after = |position: usize| starts.partition_point(|start| *start <= position);
    spans.into_iter().flat_map(|span| first_after(span.start)..first_after(span.end)).collect()
}

fn table(table: &dyn TableLike, spans: &mut Vec<Range<usize>>) {
    for (_, item) in table.iter() {
        match item {
            Item::Table(inner) => self::table(inner, spans),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|inner| self::table(inner, spans)),
            Item::Value(inner) => value(inner, spans),
            Item::None => {}
        }
    }
}

fn value(item: &Value, spans: &mut Vec<Range<usize>>) {
    match item {
        Value::InlineTable(inner) => table(inner, spans),
        Value::Array(items) => items.iter().for_each(|item| value(item, spans)),
        text => spans.extend(text.span()),
    }
}
