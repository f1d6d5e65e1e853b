//! The line of each key of a TOML file.

use std::collections::HashMap;
use std::ops::Range;

use toml_edit::{Document, Item, Table, TableLike, Value};

use super::fault::KeyPath;

/// The line of every key in `text`, from 1.
///
/// # Errors
/// The line and the reason when `text` is not TOML. The text is not repeated, because it may contain a secret.
pub(super) fn of_toml(text: &str) -> Result<HashMap<KeyPath, usize>, (Option<usize>, String)> {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(n, _)| n + 1)).collect();
    let line = |span: Range<usize>| starts.partition_point(|start| *start <= span.start);
    let document = Document::parse(text.to_owned()).map_err(|why| {
        let reason = why.message().lines().collect::<Vec<_>>().join("; ");
        (why.span().map(line), format!("is not TOML: {reason}"))
    })?;
    let mut found = Found { line, lines: HashMap::new() };
    found.table(&KeyPath::default(), document.as_table());
    Ok(found.lines)
}

struct Found<L> {
    line: L,
    lines: HashMap<KeyPath, usize>,
}

impl<L: Fn(Range<usize>) -> usize> Found<L> {
    fn table(&mut self, path: &KeyPath, table: &Table) {
        self.entries(path, table);
    }

    fn entries(&mut self, path: &KeyPath, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let path = path.key(name);
            let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            self.note(&path, span);
            self.item(&path, item);
        }
    }

    fn item(&mut self, path: &KeyPath, item: &Item) {
        match item {
            Item::Table(table) => self.table(path, table),
            Item::ArrayOfTables(tables) => {
                for (n, table) in tables.iter().enumerate() {
                    self.note(&path.index(n), table.span());
                    self.table(&path.index(n), table);
                }
            }
            Item::Value(value) => self.value(path, value),
            Item::None => {}
        }
    }

    fn value(&mut self, path: &KeyPath, value: &Value) {
        match value {
            Value::InlineTable(table) => self.entries(path, table),
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    self.note(&path.index(n), item.span());
                    self.value(&path.index(n), item);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, path: &KeyPath, span: Option<Range<usize>>) {
        if let Some(span) = span {
            self.lines.insert(path.clone(), (self.line)(span));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_on_its_line() {
        let text = "[http]\nlisten = \"x\"\n\n[[server]]\naddress = \"a\"\n[[server]]\naddress = \"b\"\ntags = { site = \"c\" }\n";
        let lines = of_toml(text).unwrap();
        let server = KeyPath::dotted("server");
        assert_eq!(lines[&KeyPath::dotted("http.listen")], 2);
        assert_eq!(lines[&server.index(0).key("address")], 5);
        assert_eq!(lines[&server.index(1)], 6);
        assert_eq!(lines[&server.index(1).key("tags").key("site")], 8);
    }

    #[test]
    fn a_syntax_error_names_its_line_and_repeats_no_text() {
        let (line, why) = of_toml("a = 1\ntoken = \"hunter2\n").unwrap_err();
        assert_eq!(line, Some(2));
        assert!(!why.contains("hunter2"), "{why}");
    }
}
