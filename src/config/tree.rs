//! The merged configuration as a tree of plain values, each with its source, and the defaults filled in.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::fault::{Fault, KeyPath, Source, Step};
use super::schema;

const SERVERS: &str = "server";

/// The values of a configuration and the source of each.
#[derive(Clone)]
pub(super) struct Tree {
    root: Value,
    /// Values that a server takes from `[defaults]` or from the program have no entry: with thousands of servers, they
    /// would be most of the entries.
    sources: HashMap<KeyPath, Source>,
}

/// Shows no values, because they may be secrets.
impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("values", &self.sources.len()).finish_non_exhaustive()
    }
}

impl Tree {
    pub(super) fn new(root: Value, sources: HashMap<KeyPath, Source>) -> Self {
        Self { root, sources }
    }

    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    pub(super) fn get(&self, path: &KeyPath) -> Option<&Value> {
        path.0.iter().try_fold(&self.root, |value, step| match step {
            Step::Key(key) => value.get(&**key),
            Step::Index(index) => value.get(index),
        })
    }

    fn get_mut(&mut self, path: &KeyPath) -> Option<&mut Value> {
        path.0.iter().try_fold(&mut self.root, |value, step| match step {
            Step::Key(key) => value.get_mut(&**key),
            Step::Index(index) => value.get_mut(*index),
        })
    }

    pub(super) fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.root.get(section)?.get(key)?.as_str()
    }

    /// The source of the value at `path`. If the value is absent, the source of the section that it would be in.
    pub(super) fn source(&self, path: &KeyPath) -> Source {
        match self.filled_in(path) {
            Some(Some(default)) => return self.source(&default),
            Some(None) => return Source::Default,
            None => {}
        }
        let mut path = path.clone();
        loop {
            if let Some(source) = self.sources.get(&path) {
                return source.clone();
            }
            match path.parent() {
                Some(parent) => path = parent,
                None => return Source::Default,
            }
        }
    }

    /// A fault of the value at `path`, or of the default that a server took it from.
    pub(super) fn fault(&self, path: &KeyPath, message: impl Into<String>) -> Fault {
        let path = self.filled_in(path).flatten().unwrap_or_else(|| path.clone());
        Fault { path: path.clone(), ..Fault::general(self.source(&path), message.into()) }
    }

    /// The origin of a value at `path` that was not set for this server itself: a key of `[defaults]`, or the program.
    fn filled_in(&self, path: &KeyPath) -> Option<Option<KeyPath>> {
        let [Step::Key(section), Step::Index(_), Step::Key(key)] = path.0.as_slice() else { return None };
        if **section != *SERVERS || self.sources.contains_key(path) || self.get(path).is_none() {
            return None;
        }
        let default = KeyPath::dotted("defaults").key(key);
        Some(self.get(&default).is_some().then_some(default))
    }

    /// Whether the value at `path` was set. For a server, defaults do not count.
    pub(super) fn is_said(&self, path: &KeyPath) -> bool {
        self.sources.contains_key(path)
    }

    /// Sets the value at `path`. Does nothing when its parent is not a table.
    pub(super) fn set(&mut self, path: &KeyPath, value: Value, source: Source) {
        let Some((Step::Key(key), parent)) = path.0.split_last() else { return };
        if let Some(Value::Object(table)) = self.get_mut(&KeyPath(parent.to_vec())) {
            table.insert(key.to_string(), value);
            self.sources.insert(path.clone(), source);
        }
    }

    /// Appends the array at `path` of another tree. A value that is not an array stays as it is; the decoder reports
    /// it.
    pub(super) fn append(&mut self, path: &KeyPath, other: &Self) {
        let Some(Value::Array(more)) = other.get(path) else { return };
        if let Some(section) = path.parent() {
            self.fill_key(&section, json!({}), other.source(&section));
        }
        self.fill_key(path, json!([]), other.source(path));
        let Some(Value::Array(items)) = self.get_mut(path) else { return };
        let at = items.len();
        items.extend(more.iter().cloned());
        for (key, source) in other.sources.iter().filter(|(key, _)| key.starts_with(path)) {
            let mut key = key.clone();
            if let Some(Step::Index(index)) = key.0.get_mut(path.0.len()) {
                *index += at;
                self.sources.insert(key, source.clone());
            }
        }
    }

    /// Removes the value at `path`.
    pub(super) fn remove(&mut self, path: &KeyPath) {
        let Some((last, parent)) = path.0.split_last() else { return };
        match (last, self.get_mut(&KeyPath(parent.to_vec()))) {
            // In an array, null takes the place of the value, so that the indices of the other items stay valid.
            (Step::Index(index), Some(Value::Array(items))) if *index < items.len() => items[*index] = Value::Null,
            (Step::Key(key), Some(Value::Object(table))) => {
                table.shift_remove(&**key);
            }
            _ => {}
        }
    }

    /// Keeps those keys of the table at `path` for which `is_kept` is true.
    pub(super) fn retain(&mut self, path: &KeyPath, is_kept: impl Fn(&str) -> bool) {
        if let Some(Value::Object(table)) = self.get_mut(path) {
            table.retain(|key, _| is_kept(key));
        }
    }

    /// Fills in all defaults except those of servers: sections, keys, and values that follow from other values.
    pub(super) fn fill(&mut self, hostname: &str) {
        let root = KeyPath::default();
        if self.root.get("influxdb").is_none() {
            self.fill_key(&root.key("csv"), json!({}), Source::Default);
        }
        for (key, section) in schema::properties(&schema::SCHEMA) {
            let path = root.key(key);
            if let Some(item) = section.get("items") {
                self.fill_key(&path, json!([]), Source::Default);
                // The defaults of servers and notifiers are filled in separately.
                let count = if matches!(key.as_str(), "server" | "notifier") { 0 } else { self.count(&path) };
                (0..count).for_each(|n| self.fill_table(&path.index(n), item));
                continue;
            }
            if !matches!(key.as_str(), "influxdb" | "csv" | "nats" | "fleet") {
                self.fill_key(&path, json!({}), Source::Default);
            }
            self.fill_table(&path, section);
        }
        self.fill_notifiers();
        self.fill_key(&KeyPath::dotted("monitor.vantage"), json!(hostname), Source::Default);
        let data_dir = PathBuf::from(self.text("monitor", "data_dir").unwrap_or_default());
        for (key, file) in [("store.path", "ntp-monitor.db"), ("csv.dir", "csv")] {
            self.fill_key(&KeyPath::dotted(key), json!(data_dir.join(file)), Source::Default);
        }
    }

    /// Fills in the defaults that notifiers of every type have; the other keys belong to some types only.
    fn fill_notifiers(&mut self) {
        let notifiers = KeyPath::dotted("notifier");
        for path in (0..self.count(&notifiers)).map(|n| notifiers.index(n)) {
            for path in ["timeout", "rate"].map(|key| path.key(key)) {
                if let Some(default) = schema::at(&path).and_then(schema::default) {
                    self.fill_key(&path, default, Source::Default);
                }
            }
        }
    }

    /// Fills in the values that each server takes from `[defaults]`. `[defaults]` must be decoded first, so that a
    /// fault there is reported once.
    pub(super) fn fill_servers(&mut self) {
        let Some(schema) = schema::at(&KeyPath::dotted(SERVERS).index(0)) else { return };
        let mut fallbacks = self.root.get("defaults").and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, schema) in schema::properties(schema) {
            if let (Some(default), false) = (schema.get("default"), fallbacks.contains_key(key)) {
                fallbacks.insert(key.clone(), default.clone());
            }
        }
        let servers = self.root.get_mut(SERVERS).and_then(Value::as_array_mut);
        for server in servers.into_iter().flatten().filter_map(Value::as_object_mut) {
            for (key, value) in &fallbacks {
                if !server.contains_key(key) {
                    server.insert(key.clone(), value.clone());
                }
            }
            if let (Some(address), false) = (server.get("address"), server.contains_key("name")) {
                let name = if address.is_string() { address.clone() } else { json!("") };
                server.insert("name".to_owned(), name);
            }
        }
    }

    /// The number of tables in an array.
    pub(super) fn count(&self, path: &KeyPath) -> usize {
        self.get(path).and_then(Value::as_array).map_or(0, Vec::len)
    }

    fn fill_table(&mut self, path: &KeyPath, schema: &Value) {
        if !self.get(path).is_some_and(Value::is_object) {
            return;
        }
        for (key, schema) in schema::properties(schema) {
            if let Some(default) = schema.get("default") {
                self.fill_key(&path.key(key), default.clone(), Source::Default);
            }
        }
    }

    fn fill_key(&mut self, path: &KeyPath, value: Value, source: Source) {
        if self.get(path).is_none() {
            self.set(path, value, source);
        }
    }
}
