//! Changes of single servers in the text of a configuration file.

use serde_json::{Map, Value as Json};
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::{EditError, parse};

/// A change of the servers of a file. A server is identified by its name, or by its address if it has no name.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerEdit {
    /// Add a server with these keys.
    Add(Map<String, Json>),
    /// Change these keys of the server; `null` removes a key (RFC 7396).
    Change(String, Map<String, Json>),
    Remove(String),
}

impl ServerEdit {
    /// The changed text.
    ///
    /// # Errors
    /// When the text is not TOML, there is no such server, or TOML cannot express a value.
    pub fn apply(&self, text: &str) -> Result<String, EditError> {
        let mut document = parse(text)?;
        match self {
            Self::Add(keys) => {
                let mut table = Table::new();
                table.decor_mut().set_prefix("\n");
                merge(&mut table, keys, "server")?;
                tables(&mut document)?.push(table);
            }
            Self::Change(name, keys) => {
                let tables = tables(&mut document)?;
                let at = find(tables, name)?;
                if let Some(table) = tables.get_mut(at) {
                    merge(table, keys, name)?;
                }
            }
            Self::Remove(name) => {
                let tables = tables(&mut document)?;
                let at = find(tables, name)?;
                let gone = tables.remove(at);
                let heading = heading(&gone);
                if !heading.is_empty() {
                    keep_heading(&mut document, at, &heading);
                }
            }
        }
        Ok(document.to_string())
    }
}

fn tables(document: &mut DocumentMut) -> Result<&mut ArrayOfTables, EditError> {
    let item = document.entry("server").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    array(item, "server")
}

/// The tables of an array, which is called `name` in errors.
pub(super) fn array<'i>(item: &'i mut Item, name: &'static str) -> Result<&'i mut ArrayOfTables, EditError> {
    if !item.is_array_of_tables() {
        // `server = [{ … }]` is an equivalent form that cannot have a line for each key.
        let tables = std::mem::take(item).into_array_of_tables().map_err(|_| EditError::NoTables(name))?;
        *item = Item::ArrayOfTables(tables);
    }
    item.as_array_of_tables_mut().ok_or(EditError::NoTables(name))
}

fn find(tables: &ArrayOfTables, name: &str) -> Result<usize, EditError> {
    let text = |table: &Table, key: &str| table.get(key).and_then(Item::as_str).map(str::to_owned);
    let is_meant = |table: &Table| text(table, "name").or_else(|| text(table, "address")).as_deref() == Some(name);
    tables.iter().position(is_meant).ok_or_else(|| EditError::NoServer(name.to_owned()))
}

/// Sets keys and keeps the comments after existing ones.
fn merge(table: &mut dyn TableLike, keys: &Map<String, Json>, path: &str) -> Result<(), EditError> {
    for (key, value) in keys {
        let path = format!("{path}.{key}");
        match (value, table.get_mut(key)) {
            (Json::Null, _) => {
                table.remove(key);
            }
            (Json::Object(inner), Some(item)) if item.is_table_like() => {
                if let Some(inside) = item.as_table_like_mut() {
                    merge(inside, inner, &path)?;
                }
            }
            (value, Some(Item::Value(old))) => {
                let decor = old.decor().clone();
                *old = toml(value, &path)?;
                *old.decor_mut() = decor;
            }
            (value, _) => {
                table.insert(key, Item::Value(toml(value, &path)?));
            }
        }
    }
    Ok(())
}

fn toml(value: &Json, path: &str) -> Result<Value, EditError> {
    let refused = || EditError::NoValue(path.to_owned());
    Ok(match value {
        Json::Null => return Err(refused()),
        Json::Bool(value) => Value::from(*value),
        Json::String(value) => Value::from(value.as_str()),
        Json::Number(value) => match (value.as_i64(), value.as_f64()) {
            (Some(value), _) => Value::from(value),
            (None, Some(value)) => Value::from(value),
            (None, None) => return Err(refused()),
        },
        Json::Array(items) => Value::Array(items.iter().map(|item| toml(item, path)).collect::<Result<_, _>>()?),
        Json::Object(items) => {
            let mut table = InlineTable::new();
            for (key, value) in items.iter().filter(|(_, value)| !value.is_null()) {
                table.insert(key, toml(value, path)?);
            }
            Value::InlineTable(table)
        }
    })
}

/// The comments above a table that a blank line separates from it, because they may concern more than the table.
fn heading(table: &Table) -> String {
    let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    prefix.rfind("\n\n").map_or_else(String::new, |end| prefix[..=end].to_owned())
}

/// Moves the heading of a removed server above the server that is now in its place; drops it if there is none.
fn keep_heading(document: &mut DocumentMut, at: usize, heading: &str) {
    if !heading.contains('#') {
        return;
    }
    let Some(tables) = document.get_mut("server").and_then(Item::as_array_of_tables_mut) else { return };
    if tables.is_empty() {
        // The last server was removed; keep its heading at the end of the file.
        document.set_trailing(format!("{heading}{}", document.trailing().as_str().unwrap_or_default()));
    } else if let Some(next) = tables.get_mut(at) {
        let own = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
        next.decor_mut().set_prefix(format!("{heading}{own}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FILE: &str = "\
# Ours.

# The office.
[[server]]
name = \"office\" # by the door
address = \"a.example\"
tags = { site = \"here\" }

[[server]]
address = \"b.example\"

# Quiet.
[log]
level = \"warning\"
";

    fn keys(value: Json) -> Map<String, Json> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_server_is_added_behind_the_others_and_nothing_else_changes() {
        let new = keys(json!({ "name": "c", "address": "c.example", "own": true, "tags": { "site": "there" } }));
        let text = ServerEdit::Add(new).apply(FILE).unwrap();
        let block = "\n[[server]]\nname = \"c\"\naddress = \"c.example\"\nown = true\ntags = { site = \"there\" }\n";
        assert_eq!(text, FILE.replace("\n# Quiet.", &format!("{block}\n# Quiet.")));
        let alone = ServerEdit::Add(keys(json!({ "address": "a" }))).apply("[log]\nlevel = \"info\"\n").unwrap();
        assert!(alone.contains("[[server]]\naddress = \"a\"\n"), "{alone}");
    }

    #[test]
    fn keys_change_in_place_keep_comments_and_null_removes_them() {
        let change = keys(json!({ "name": "lobby", "tags": { "site": null, "floor": "1" }, "paused": true }));
        let text = ServerEdit::Change("office".into(), change).apply(FILE).unwrap();
        assert!(text.contains("name = \"lobby\" # by the door\naddress = \"a.example\"\n"), "{text}");
        assert!(text.contains("floor = \"1\"") && !text.contains("site"), "{text}");
        assert!(text.contains("paused = true\n\n[[server]]"), "{text}");
        let by_address = ServerEdit::Change("b.example".into(), keys(json!({ "own": true }))).apply(FILE).unwrap();
        assert_eq!(by_address, FILE.replace("\"b.example\"\n", "\"b.example\"\nown = true\n"));
    }

    #[test]
    fn removed_server_takes_its_comment_but_not_the_heading() {
        let text = ServerEdit::Remove("office".into()).apply(FILE).unwrap();
        assert!(text.starts_with("# Ours.\n") && !text.contains("office"), "{text}");
        assert!(
            text.ends_with("[[server]]\naddress = \"b.example\"\n\n# Quiet.\n[log]\nlevel = \"warning\"\n"),
            "{text}"
        );
        let gone = ServerEdit::Remove("nobody".into()).apply(FILE);
        assert_eq!(gone, Err(EditError::NoServer("nobody".into())));
    }

    #[test]
    fn last_server_can_be_removed_and_another_added() {
        let empty = ServerEdit::Remove("a".into()).apply("# Ours.\n\n[[server]]\naddress = \"a\"\n").unwrap();
        assert!(empty.starts_with("# Ours.") && !empty.contains("server"), "{empty}");
        let again = ServerEdit::Add(keys(json!({ "address": "b" }))).apply(&empty).unwrap();
        assert!(again.contains("[[server]]\naddress = \"b\"\n"), "{again}");
    }

    #[test]
    fn servers_in_one_line_are_edited_too() {
        let text =
            ServerEdit::Remove("a".into()).apply("server = [{ address = \"a\" }, { address = \"b\" }]\n").unwrap();
        let parsed: DocumentMut = text.parse().unwrap();
        assert_eq!(parsed["server"].as_array_of_tables().unwrap().len(), 1, "{text}");
        let wrong = ServerEdit::Remove("a".into()).apply("server = 7\n");
        assert_eq!(wrong, Err(EditError::NoTables("server")));
    }
}
