//! Parses files and merges layers with the `config` crate, which no other file uses. The result is plain JSON and the
//! source of each value.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use config::{ConfigError, FileFormat, Format as _, Map, Value, ValueKind};
use serde_json::{Value as Json, json};

use super::bounds::Format;
use super::fault::{KeyPath, Source, Step};
use super::variables::Setting;

/// The name of the table that each layer is wrapped in: the `config` crate reads top-level keys as path expressions,
/// and a key such as `a[99999999]` must not become an array.
const WRAPPER: &str = "root";

/// The key that is not merged. A layer replaces the list of servers as a whole; with thousands of them, the copies that
/// merging makes would take longer than everything else.
const SERVERS: &str = "server";

/// Layers, weakest first. Each value has the index of its source as origin, because the `config` crate keeps only text.
#[derive(Default)]
pub(super) struct Layers {
    layers: Vec<Layer>,
    sources: Vec<Source>,
    servers: Option<Value>,
    file: Option<File>,
}

/// The configuration file: its name, and the line of each key if its format provides it.
struct File {
    name: Arc<str>,
    lines: HashMap<KeyPath, usize>,
}

#[derive(Debug, Clone, Default)]
struct Layer(Map<String, Value>);

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(Map::from_iter([(WRAPPER.to_owned(), Value::new(None, self.0.clone()))]))
    }
}

impl Layers {
    /// Adds a layer of single settings.
    pub(super) fn add_settings(&mut self, settings: Vec<Setting>) {
        let mut layer = Layer::default();
        for Setting { path, source, value } in settings {
            let origin = self.origin(source);
            set(&mut layer.0, &path, &origin, value);
        }
        self.layers.push(layer);
    }

    /// Adds the layer of the configuration file. `lines` has the line of each key.
    ///
    /// # Errors
    /// The reason when the text cannot be parsed. It quotes nothing of the file.
    pub(super) fn add_file(
        &mut self,
        name: Arc<str>,
        format: Format,
        text: &str,
        lines: HashMap<KeyPath, usize>,
    ) -> Result<(), String> {
        let origin = self.origin(Source::File { name: Arc::clone(&name), line: None });
        let format = match format {
            Format::Toml => FileFormat::Toml,
            Format::Yaml => FileFormat::Yaml,
            Format::Json => FileFormat::Json,
        };
        let mut table = format.parse(Some(&origin), text).map_err(|why| syntax_error(&why.to_string()))?;
        if let Some(path) = table.iter().find_map(|(key, value)| not_finite(value, &KeyPath::default().key(key))) {
            return Err(format!("{path}: must be a finite number"));
        }
        self.servers = table.remove(SERVERS);
        self.file = Some(File { name, lines });
        self.layers.push(Layer(table));
        Ok(())
    }

    /// Merges the layers into a tree of values and the source of each value.
    ///
    /// # Errors
    /// The reason of the `config` crate.
    pub(super) fn merge(mut self) -> Result<(Json, HashMap<KeyPath, Source>), String> {
        let layers = std::mem::take(&mut self.layers);
        let builder = layers.into_iter().fold(config::Config::builder(), |builder, layer| builder.add_source(layer));
        let merged = builder.build().and_then(|all| config::Source::collect(&all));
        let mut tables = merged.map_err(|why| why.to_string())?;
        let mut root = tables.remove(WRAPPER).unwrap_or_else(|| Value::new(None, Map::<String, Value>::new()));
        if let (Some(servers), ValueKind::Table(sections)) = (self.servers.take(), &mut root.kind) {
            sections.entry(SERVERS.to_owned()).or_insert(servers);
        }
        let mut sources = HashMap::new();
        let root = self.plain(root, &KeyPath::default(), &mut sources);
        Ok((root, sources))
    }

    /// Whether the configuration file has a list of servers.
    pub(super) fn file_has_servers(&self) -> bool {
        self.servers.is_some()
    }

    fn origin(&mut self, source: Source) -> String {
        self.sources.push(source);
        (self.sources.len() - 1).to_string()
    }

    fn plain(&self, value: Value, path: &KeyPath, sources: &mut HashMap<KeyPath, Source>) -> Json {
        sources.insert(path.clone(), self.source(&value, path));
        match value.kind {
            ValueKind::Nil => Json::Null,
            ValueKind::Boolean(v) => json!(v),
            ValueKind::I64(v) => json!(v),
            ValueKind::U64(v) => json!(v),
            // No key takes more than 64 bits; as text, the number is rejected and shown as it was written.
            ValueKind::I128(v) => json!(v.to_string()),
            ValueKind::U128(v) => json!(v.to_string()),
            ValueKind::Float(v) => json!(v),
            ValueKind::String(v) => json!(v),
            ValueKind::Array(items) => {
                items.into_iter().enumerate().map(|(n, v)| self.plain(v, &path.index(n), sources)).collect()
            }
            ValueKind::Table(items) => {
                // Sorted, so that the order of faults is always the same.
                let sorted: BTreeMap<_, _> = items.into_iter().collect();
                sorted
                    .into_iter()
                    .map(|(k, v)| {
                        let path = path.key(&k);
                        (k, self.plain(v, &path, sources))
                    })
                    .collect()
            }
        }
    }

    fn source(&self, value: &Value, path: &KeyPath) -> Source {
        let source = value.origin().and_then(|origin| self.sources.get(origin.parse::<usize>().ok()?));
        let in_file = self.file.as_ref().map(|File { name, lines }| (name, lines.get(path).copied()));
        match (source, in_file) {
            (Some(Source::File { .. }), Some((name, line))) => Source::File { name: Arc::clone(name), line },
            (Some(source), _) => source.clone(),
            // Merging loses the source of a section. A section with a line was opened by the file.
            (None, Some((name, Some(line)))) => Source::File { name: Arc::clone(name), line: Some(line) },
            (None, _) => Source::Default,
        }
    }
}

/// The first number of TOML that is `nan` or `inf`. JSON has no such numbers, so they would count as not set.
fn not_finite(value: &Value, path: &KeyPath) -> Option<KeyPath> {
    match &value.kind {
        ValueKind::Float(number) if !number.is_finite() => Some(path.clone()),
        ValueKind::Array(items) => items.iter().enumerate().find_map(|(n, item)| not_finite(item, &path.index(n))),
        ValueKind::Table(items) => items.iter().find_map(|(key, item)| not_finite(item, &path.key(key))),
        _ => None,
    }
}

fn set(mut table: &mut Map<String, Value>, path: &KeyPath, origin: &String, value: Json) {
    let Some((Step::Key(last), sections)) = path.0.split_last() else { return };
    for section in sections {
        let Step::Key(section) = section else { return };
        let node = table.entry(section.to_string()).or_default();
        if !matches!(node.kind, ValueKind::Table(_)) {
            *node = Value::new(Some(origin), Map::<String, Value>::new());
        }
        let ValueKind::Table(inner) = &mut node.kind else { return };
        table = inner;
    }
    table.insert(last.to_string(), with_origin(origin, value));
}

fn with_origin(origin: &String, value: Json) -> Value {
    let kind = match value {
        Json::Null => ValueKind::Nil,
        Json::Bool(v) => v.into(),
        Json::Number(v) => v.as_i64().map_or_else(|| v.as_f64().into(), ValueKind::I64),
        Json::String(v) => v.into(),
        Json::Array(items) => ValueKind::Array(items.into_iter().map(|v| with_origin(origin, v)).collect()),
        Json::Object(items) => ValueKind::Table(items.into_iter().map(|(k, v)| (k, with_origin(origin, v))).collect()),
    };
    Value::new(Some(origin), kind)
}

/// An error of the YAML or JSON parser. Only errors that end with a position quote no text of the file.
fn syntax_error(reason: &str) -> String {
    match reason.rsplit_once(" column ") {
        Some((_, column)) if column.parse::<usize>().is_ok() => reason.to_owned(),
        _ => "must consist of sections with keys".to_owned(),
    }
}
