//! The layers of a configuration, weakest first: defaults in the environment, file, `.env`, environment, flags. Each value
//! carries its source.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use config::{ConfigError, FileFormat, Format, Map, Value, ValueKind};

use super::additions::{Additions, additions_of};
use super::dotenv::DotEnv;
use super::environment::Environment;
use super::fault::{Fault, KeyPath, Source, Step};
use super::lines;
use super::named_file::Surroundings;
use super::variables::{self, DEFAULTS, Notes, SETTINGS, Setting};
use super::{bounds, notifier_env, schema};
use crate::regular_file;

/// The name of the table that each layer is wrapped in: the `config` crate reads top-level keys as path expressions,
/// and a key such as `a[99999999]` must not become an array.
const WRAPPER: &str = "root";

const SERVERS: &str = "server";

/// One layer: keys with their values, each value with its source as origin.
#[derive(Clone, Default)]
pub(super) struct Layer(pub Map<String, Value>);

/// The values may hold secrets, so none is shown.
impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Layer of {} sections", self.0.len())
    }
}

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(Map::from_iter([(WRAPPER.to_owned(), Value::new(None, self.0.clone()))]))
    }
}

impl Layer {
    fn set(&mut self, path: &KeyPath, source: &Source, value: Value) {
        let origin = source.encode();
        let mut table = &mut self.0;
        let Some((last, sections)) = path.0.split_last() else { return };
        for section in sections {
            let Step::Key(section) = section else { return };
            let node = table.entry(section.to_string()).or_default();
            if !matches!(node.kind, ValueKind::Table(_)) {
                *node = Value::new(Some(&origin), Map::<String, Value>::new());
            }
            let ValueKind::Table(inner) = &mut node.kind else { return };
            table = inner;
        }
        if let Step::Key(key) = last {
            table.insert(key.to_string(), with_origin(&origin, value));
        }
    }
}

fn with_origin(origin: &String, value: Value) -> Value {
    let kind = match value.kind {
        ValueKind::Array(items) => ValueKind::Array(items.into_iter().map(|v| with_origin(origin, v)).collect()),
        ValueKind::Table(items) => {
            ValueKind::Table(items.into_iter().map(|(k, v)| (k, with_origin(origin, v))).collect())
        }
        other => other,
    };
    Value::new(Some(origin), kind)
}

#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    /// Where it is; its extension tells its format.
    pub path: &'a Path,
    /// What stands in it, when it is not to be read.
    pub text: Option<&'a str>,
}

pub(super) struct Merged {
    pub root: Value,
    /// Where the keys of the file stand, when its format tells.
    pub lines: HashMap<KeyPath, usize>,
    /// The file, as given.
    pub file: Option<Arc<str>>,
    /// What looks wrong but can be lived with.
    pub warnings: Vec<String>,
}

/// Reads and merges every layer.
///
/// # Errors
/// Faults that leave nothing to look at: the file cannot be read or parsed, a flag is not `key=value`.
pub(super) fn merge(
    file: Option<File<'_>>,
    additions: Option<&str>,
    environment: &Environment,
    flags: &[String],
) -> Result<Merged, Vec<Fault>> {
    let mut notes = Notes::default();
    let mut lines = HashMap::new();
    // A layer replaces the list of servers as a whole, so there is nothing to merge: with thousands of them, the copies
    // that merging makes would take longer than all the rest.
    let mut servers = None;
    let around = Surroundings { environment, file: file.map(|file| file.path) };
    let variables = Variables::read(&around, &mut notes);
    let mut builder = config::Config::builder().add_source(layer(variables.defaults));
    if let Some(file) = file {
        match read_file(file) {
            Ok((mut layer, found)) => {
                lines = found;
                servers = layer.0.remove(SERVERS);
                builder = builder.add_source(layer);
            }
            Err(fault) => notes.faults.push(fault),
        }
    }
    let (of_notifiers, settings): (Vec<_>, Vec<_>) = variables.settings.into_iter().partition(Setting::is_of_notifier);
    let replaces_servers = settings.iter().any(|setting| setting.path == KeyPath::dotted(SERVERS));
    builder = builder.add_source(layer(settings)).add_source(flag_layer(flags, &mut notes.faults));
    if !notes.faults.is_empty() {
        return Err(notes.faults);
    }
    let merged = builder.build().and_then(|all| config::Source::collect(&all));
    let mut tables = merged.map_err(|why| vec![Fault::general(Source::Default, why.to_string())])?;
    let mut root = tables.remove(WRAPPER).unwrap_or_else(|| Value::new(None, Map::<String, Value>::new()));
    if let Some(file) = file
        && let Some(more) = additions_to(file, additions, &root, &mut notes)
    {
        more.append(&mut servers, &mut root, &mut lines, &mut notes.warnings);
    }
    if let Some(servers) = servers
        && let ValueKind::Table(sections) = &mut root.kind
    {
        if replaces_servers {
            notes.warnings.push("NTP_SERVER replaces the servers of the configuration file".to_owned());
        }
        sections.entry(SERVERS.to_owned()).or_insert(servers);
    }
    notifier_env::apply(&mut root, of_notifiers, &mut notes.faults);
    if !notes.faults.is_empty() {
        return Err(notes.faults);
    }
    drop_leftover_influx(&mut root, &mut notes.warnings);
    drop_public_default(&mut root);
    let file = file.map(|file| file.path.display().to_string().into());
    Ok(Merged { root, lines, file, warnings: notes.warnings })
}

/// What was added to a configuration, unless its file is that of the additions itself.
fn additions_to(file: File<'_>, text: Option<&str>, root: &Value, notes: &mut Notes) -> Option<Additions> {
    let ValueKind::Table(sections) = &root.kind else { return None };
    let named = match sections.get("monitor").map(|section| &section.kind) {
        Some(ValueKind::Table(monitor)) => monitor.get("data_dir").and_then(|dir| dir.clone().into_string().ok()),
        _ => None,
    };
    let data_dir = named
        .or_else(|| Some(schema::at(&KeyPath::dotted("monitor.data_dir"))?.get("default")?.as_str()?.to_owned()))?;
    let path = additions_of(Path::new(&data_dir));
    if path == file.path {
        return None;
    }
    match Additions::read(&path, text, &mut notes.warnings) {
        Ok(found) => found,
        Err(fault) => {
            notes.faults.push(fault);
            None
        }
    }
}

/// The settings of all variables.
struct Variables {
    defaults: Vec<Setting>,
    /// Those of `.env` first, because they are weaker.
    settings: Vec<Setting>,
}

impl Variables {
    fn read(around: &Surroundings<'_>, notes: &mut Notes) -> Self {
        let environment = variables::present(around.environment);
        let mut dotenv = DotEnv::read(around.file, &mut notes.faults);
        dotenv.variables = variables::present(&dotenv.variables);
        dotenv.variables.retain(|name, _| !environment.contains_key(name));
        let preset = |name: &str| Source::Preset(name.to_owned());
        let environment_source = |name: &str| Source::Environment(name.to_owned());
        let defaults = DEFAULTS.settings(&environment, preset, around, notes);
        let mut settings = SETTINGS.settings(&dotenv.variables, |name| dotenv.source(name), around, notes);
        settings.extend(SETTINGS.settings(&environment, environment_source, around, notes));
        Self { defaults, settings }
    }
}

fn layer(settings: Vec<Setting>) -> Layer {
    let mut layer = Layer::default();
    for Setting { path, source, value } in settings {
        layer.set(&path, &source, value);
    }
    layer
}

/// The predecessor's installations set `INFLUX_TOKEN` and its kin also where they write CSV only. Without any URL, and
/// without a section that somebody wrote, InfluxDB is off.
fn drop_leftover_influx(root: &mut Value, warnings: &mut Vec<String>) {
    let ValueKind::Table(sections) = &mut root.kind else { return };
    let Some(ValueKind::Table(influx)) = sections.get("influxdb").map(|section| &section.kind) else { return };
    let is_short = |value: &Value| match value.origin().map(Source::decode) {
        Some(Source::Environment(name) | Source::DotEnv { name, .. }) => variables::is_short(&name),
        _ => false,
    };
    if !influx.is_empty() && !influx.contains_key("url") && influx.values().all(is_short) {
        sections.remove("influxdb");
        warnings
            .push("INFLUX_TOKEN, INFLUX_ORG or INFLUX_BUCKET is set, but no INFLUX_URL: InfluxDB is off".to_owned());
    }
}

/// An image lets anyone read, because it is useful without a configuration. With tokens, reading needs one unless the
/// user says otherwise.
fn drop_public_default(root: &mut Value) {
    let ValueKind::Table(sections) = &mut root.kind else { return };
    let Some(ValueKind::Table(http)) = sections.get_mut("http").map(|section| &mut section.kind) else { return };
    let has_tokens =
        matches!(http.get("tokens").map(|tokens| &tokens.kind), Some(ValueKind::Array(all)) if !all.is_empty());
    let source = http.get("public_read").and_then(Value::origin).map(Source::decode);
    if has_tokens && matches!(source, Some(Source::Preset(_))) {
        http.remove("public_read");
    }
}

pub(super) fn read_file(File { path, text }: File<'_>) -> Result<(Layer, HashMap<KeyPath, usize>), Fault> {
    let name: Arc<str> = path.display().to_string().into();
    let fault = |line, message| Fault::general(Source::File { name: name.clone(), line }, message);
    let format = match path.extension().and_then(|e| e.to_str()) {
        Some("yaml" | "yml") => FileFormat::Yaml,
        Some("json") => FileFormat::Json,
        Some("toml") | None => FileFormat::Toml,
        Some(_) => return Err(fault(None, "is neither .toml, .yaml, .yml nor .json".to_owned())),
    };
    let text = match text {
        Some(text) => text.to_owned(),
        None => read_text(path).map_err(|why| fault(None, format!("cannot be read: {why}")))?,
    };
    bounds::check(format, &text).map_err(|why| fault(None, why))?;
    let found = match format {
        FileFormat::Toml => lines::of_toml(&text).map_err(|(line, message)| fault(line, message))?,
        _ => HashMap::new(),
    };
    let origin = Source::File { name: name.clone(), line: None }.encode();
    let table = format.parse(Some(&origin), &text).map_err(|why| fault(None, syntax_error(&why.to_string())))?;
    Ok((Layer(table), found))
}

/// The text of the file, which may be a pipe: who starts the program names it.
fn read_text(path: &Path) -> std::io::Result<String> {
    regular_file::text(regular_file::content(std::fs::File::open(path)?, bounds::LARGEST)?)
}

/// An error of the parser of YAML or JSON. Only those that end with a position quote nothing of the file.
fn syntax_error(reason: &str) -> String {
    match reason.rsplit_once(" column ") {
        Some((_, column)) if column.parse::<usize>().is_ok() => reason.to_owned(),
        _ => "does not consist of sections with keys".to_owned(),
    }
}

fn flag_layer(flags: &[String], faults: &mut Vec<Fault>) -> Layer {
    let mut layer = Layer::default();
    for flag in flags {
        let Some((key, value)) = flag.split_once('=') else {
            // The text is not repeated: what stands there may be a secret.
            faults.push(Fault::general(
                Source::Flag("--set".to_owned()),
                "must be key=value, such as http.listen=127.0.0.1:8081".to_owned(),
            ));
            continue;
        };
        let path = KeyPath::dotted(key.trim());
        if path.0.len() > bounds::DEEPEST {
            faults.push(Fault::general(Source::Flag("--set".to_owned()), bounds::too_deep()));
            continue;
        }
        layer.set(&path, &Source::Flag(format!("{path}")), schema::typed(&path, value));
    }
    layer
}
