//! Decodes the tree of values into typed sections and collects all faults: unknown and missing keys first, by the
//! schema; then wrong types and values by section. Each faulty value is replaced, so that decoding continues.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::Segment;

use super::fault::{Fault, KeyPath, Source, Step};
use super::raw;
use super::schema;
use super::tree::Tree;

/// The typed sections. Faulty values are replaced by harmless ones and listed in the [`Findings`].
pub(super) struct Sections {
    pub monitor: raw::Monitor,
    /// With the index in the configuration.
    pub servers: Vec<(usize, raw::Server)>,
    pub http: raw::Http,
    pub influxdb: Option<raw::Influx>,
    pub csv: Option<raw::Csv>,
    pub store: raw::Store,
    pub log: raw::Log,
    pub alerting: raw::alerting::Alerting,
    pub alerts: Vec<(usize, raw::alerting::Alert)>,
    pub silences: Vec<(usize, raw::alerting::Silence)>,
    pub leap: raw::Leap,
    /// With their index in the configuration.
    pub notifiers: Vec<(usize, raw::Notifier)>,
    pub report: raw::Report,
    pub nats: Option<raw::Nats>,
    pub fleet: Option<raw::Fleet>,
}

/// Maximum number of faults that are listed; further ones are counted.
const MOST_FAULTS: usize = 100;
/// A key that is longer is not compared with the known ones.
const LONGEST_KEY: usize = 64;

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub faults: Vec<Fault>,
    /// Faults beyond [`MOST_FAULTS`], and how many of them are files that cannot be read.
    unlisted: (usize, usize),
    faulty: BTreeSet<KeyPath>,
    /// The faults already reported: a fault in a default would be repeated for every server that uses it.
    said: BTreeSet<(KeyPath, String)>,
}

impl Findings {
    pub(super) fn add(&mut self, tree: &Tree, path: &KeyPath, message: impl Into<String>) {
        self.add_fault(path, tree.fault(path, message));
    }

    /// Reports that the file named at `path` cannot be read.
    pub(super) fn add_unread(&mut self, tree: &Tree, path: &KeyPath, message: String) {
        self.add_fault(path, Fault { is_unread_file: true, ..tree.fault(path, message) });
    }

    fn add_fault(&mut self, path: &KeyPath, fault: Fault) {
        self.faulty.insert(path.clone());
        if !self.said.insert((fault.path.clone(), fault.message.clone())) {
            return;
        }
        if self.is_full() {
            self.unlisted.0 += 1;
            self.unlisted.1 += usize::from(fault.is_unread_file);
        } else {
            self.faults.push(fault);
        }
    }

    fn is_full(&self) -> bool {
        self.faults.len() >= MOST_FAULTS
    }

    /// The faults in the order of the configuration, followed by the number of further ones.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        let (more, unread) = self.unlisted;
        let mut faults = self.faults;
        faults.sort_by_key(|fault| fault.source.order());
        if more > 0 {
            let message = format!("{more} more faults: only {MOST_FAULTS} are listed");
            faults.push(Fault { is_unread_file: unread == more, ..Fault::general(Source::Default, message) });
        }
        faults
    }

    /// Whether the value at `path` is as configured, not a replacement of a faulty one. Rules that involve several keys
    /// check this first, so that one mistake gives one fault.
    pub(super) fn is_sound(&self, path: &KeyPath) -> bool {
        self.faulty.is_empty() || (0..=path.0.len()).all(|n| !self.faulty.contains(&KeyPath(path.0[..n].to_vec())))
    }
}

/// Decodes everything. `None` only if faults leave a section without a value.
pub(super) fn decode(tree: &mut Tree, hostname: &str, findings: &mut Findings) -> Option<Sections> {
    check_keys(tree, &KeyPath::default(), &schema::SCHEMA, findings);
    tree.fill(hostname);
    let root = KeyPath::default();
    let _: raw::Defaults = section(tree, &root.key("defaults"), findings)?;
    tree.fill_servers();
    Some(Sections {
        monitor: section(tree, &root.key("monitor"), findings)?,
        servers: each(tree, &root.key("server"), findings),
        http: section(tree, &root.key("http"), findings)?,
        influxdb: section(tree, &root.key("influxdb"), findings),
        csv: section(tree, &root.key("csv"), findings),
        store: section(tree, &root.key("store"), findings)?,
        log: section(tree, &root.key("log"), findings)?,
        alerting: section(tree, &root.key("alerting"), findings)?,
        alerts: each(tree, &root.key("alert"), findings),
        silences: each(tree, &root.key("silence"), findings),
        leap: section(tree, &root.key("leap"), findings)?,
        notifiers: each(tree, &root.key("notifier"), findings),
        report: section(tree, &root.key("report"), findings)?,
        nats: section(tree, &root.key("nats"), findings),
        fleet: section(tree, &root.key("fleet"), findings),
    })
}

/// Decodes every table of an array, each with its index.
fn each<T: DeserializeOwned>(tree: &mut Tree, path: &KeyPath, findings: &mut Findings) -> Vec<(usize, T)> {
    let tables = 0..tree.count(path);
    tables.filter_map(|n| Some((n, section(tree, &path.index(n), findings)?))).collect()
}

/// Finds values that should be tables, unknown keys and missing keys.
fn check_keys(tree: &mut Tree, path: &KeyPath, schema: &Value, findings: &mut Findings) {
    let wrong = match (schema["type"].as_str(), tree.get(path)) {
        (Some("object"), Some(value)) if !value.is_object() => "must be a table",
        (Some("array"), Some(value)) if !value.is_array() => &format!("must be an array of tables: [[{path}]]"),
        (_, Some(_)) => "",
        (_, None) => return,
    };
    if !wrong.is_empty() {
        findings.add(tree, path, wrong);
        return tree.remove(path);
    }
    if let Some(items) = schema.get("items") {
        for n in 0..tree.get(path).and_then(Value::as_array).map_or(0, Vec::len) {
            check_keys(tree, &path.index(n), items, findings);
        }
    }
    let keys: Vec<String> =
        tree.get(path).and_then(Value::as_object).into_iter().flat_map(|t| t.keys().cloned()).collect();
    let mut has_unknown = false;
    for key in keys {
        match schema::child(schema, &key) {
            Some(child) => check_keys(tree, &path.key(&key), child, findings),
            None => {
                let hint = if findings.is_full() { String::new() } else { suggestion(&key, path, schema) };
                findings.add(tree, &path.key(&key), format!("unknown key{hint}"));
                has_unknown = true;
            }
        }
    }
    if has_unknown {
        // Remove all at once, because removing a key is linear in the number of keys after it.
        tree.retain(path, |key| schema::child(schema, key).is_some());
    }
    for key in schema::required(schema) {
        let path = path.key(key);
        if tree.get(&path).is_none() {
            findings.add(tree, &path, "is missing");
            tree.set(&path, json!(""), Source::Default);
        }
    }
}

/// `; did you mean …?`, or the section that has the key, or nothing.
fn suggestion(key: &str, path: &KeyPath, schema: &Value) -> String {
    if key.len() > LONGEST_KEY {
        return String::new();
    }
    let near = schema::properties(schema)
        .map(|(known, _)| (strsim::damerau_levenshtein(key, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min();
    if let Some((_, known)) = near {
        return format!("; did you mean {:?}?", known);
    }
    let home = schema::properties(&schema::SCHEMA)
        .filter(|(section, _)| path.0.first() != Some(&Step::Key(section.as_str().into())))
        .find(|(_, section)| schema::child(section, key).is_some());
    home.map_or_else(String::new, |(section, _)| format!("; it belongs in [{section}]"))
}

/// Decodes the value at `path`, one fault at a time. `None` when there is no usable value.
fn section<T: DeserializeOwned>(tree: &mut Tree, path: &KeyPath, findings: &mut Findings) -> Option<T> {
    // Each iteration replaces one faulty value, so the loop ends; the set guarantees it.
    let mut replaced = BTreeSet::new();
    loop {
        let value = tree.get(path).filter(|value| value.is_object())?;
        // Most sections are valid, and locating a fault takes twice as long.
        if let Ok(section) = T::deserialize(value) {
            return Some(section);
        }
        let error = match serde_path_to_error::deserialize(value) {
            Ok(section) => return Some(section),
            Err(error) => error,
        };
        let faulty = inside(path, error.path());
        // A replacement may be invalid too; do not report that as another fault.
        if findings.is_sound(&faulty) {
            findings.add(tree, &faulty, error.inner().to_string());
        }
        if faulty == *path || !replaced.insert(faulty.clone()) {
            return None;
        }
        replace(tree, &faulty);
    }
}

fn inside(path: &KeyPath, within: &serde_path_to_error::Path) -> KeyPath {
    within.iter().fold(path.clone(), |path, segment| match segment {
        Segment::Seq { index } => path.index(*index),
        Segment::Map { key } => path.key(key),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

/// Replaces a faulty value with a harmless one.
fn replace(tree: &mut Tree, path: &KeyPath) {
    let schema = schema::at(path);
    let source = tree.source(path);
    match schema.and_then(schema::default) {
        Some(default) => tree.set(path, default, source),
        None if schema.is_some_and(|s| s.get("x-default").is_some()) || is_required(path) => {
            tree.set(path, json!(""), source);
        }
        None => tree.remove(path),
    }
}

fn is_required(path: &KeyPath) -> bool {
    let (Some(Step::Key(key)), Some(parent)) = (path.0.last(), path.parent()) else { return false };
    schema::at(&parent).is_some_and(|table| schema::required(table).any(|required| required == &**key))
}
