//! The layers of a configuration, weakest first: file, `.env`, environment, flags. Each value carries its source.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{ConfigError, FileFormat, Format, Map, Value, ValueKind};

use super::environment::Environment;
use super::fault::{Fault, KeyPath, Source, Step};
use super::lines;
use super::model::Server;
use super::{notifier_env, schema};

/// Every key that the environment sets starts with this, but for the short names of [`SHORT`].
const PREFIX: &str = "NTP_MONITOR__";

/// The short variables and their keys. `NTP_SERVER`, `POLLING_INTERVAL` and `LOG_LEVEL` need more than a copy.
const SHORT: [(&str, &str); 4] = [
    ("INFLUX_URL", "influxdb.url"),
    ("INFLUX_TOKEN", "influxdb.token"),
    ("INFLUX_ORG", "influxdb.org"),
    ("INFLUX_BUCKET", "influxdb.bucket"),
];

/// The name of the table that each layer is wrapped in: the `config` crate reads top-level keys as path expressions,
/// and a key such as `a[99999999]` must not become an array.
const WRAPPER: &str = "root";

const SERVERS: &str = "server";

/// One layer: keys with their values, each value with its source as origin.
#[derive(Clone, Default)]
struct Layer(Map<String, Value>);

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
pub(super) fn merge(file: Option<File<'_>>, environment: &Environment, flags: &[String]) -> Result<Merged, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let mut lines = HashMap::new();
    // A layer replaces the list of servers as a whole, so there is nothing to merge: with thousands of them, the copies
    // that merging makes would take longer than all the rest.
    let mut servers = None;
    let mut builder = config::Config::builder();
    if let Some(file) = file {
        match read_file(file) {
            Ok((mut layer, found)) => {
                lines = found;
                servers = layer.0.remove(SERVERS);
                builder = builder.add_source(layer);
            }
            Err(fault) => faults.push(fault),
        }
    }
    let mut dotenv = read_dotenv(&dotenv_path(file.map(|file| file.path))).unwrap_or_else(|fault| {
        faults.push(fault);
        Environment::new()
    });
    dotenv.retain(|name, _| !environment.contains_key(name));
    builder = builder.add_source(variables(&dotenv, Source::DotEnv, &mut warnings, &mut faults));
    builder = builder.add_source(variables(environment, Source::Environment, &mut warnings, &mut faults));
    builder = builder.add_source(flag_layer(flags, &mut faults));
    if !faults.is_empty() {
        return Err(faults);
    }
    let merged = builder.build().and_then(|all| config::Source::collect(&all));
    let mut tables = merged.map_err(|why| vec![Fault::general(Source::Default, why.to_string())])?;
    let mut root = tables.remove(WRAPPER).unwrap_or_else(|| Value::new(None, Map::<String, Value>::new()));
    if let Some(servers) = servers
        && let ValueKind::Table(sections) = &mut root.kind
    {
        if [&dotenv, environment].iter().any(|v| v.get("NTP_SERVER").is_some_and(|s| !s.trim().is_empty())) {
            warnings.push("NTP_SERVER replaces the servers of the configuration file".to_owned());
        }
        sections.entry(SERVERS.to_owned()).or_insert(servers);
    }
    for (environment, source) in [(&dotenv, Source::DotEnv as fn(String) -> Source), (environment, Source::Environment)]
    {
        notifier_env::apply(&mut root, environment, PREFIX, source, &mut faults);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    drop_leftover_influx(&mut root, &mut warnings);
    Ok(Merged { root, lines, file: file.map(|file| file.path.display().to_string().into()), warnings })
}

/// The predecessor's installations set `INFLUX_TOKEN` and its kin also where they write CSV only. Without any URL, and
/// without a section that somebody wrote, InfluxDB is off.
fn drop_leftover_influx(root: &mut Value, warnings: &mut Vec<String>) {
    let ValueKind::Table(sections) = &mut root.kind else { return };
    let Some(ValueKind::Table(influx)) = sections.get("influxdb").map(|section| &section.kind) else { return };
    let is_short = |value: &Value| match value.origin().map(Source::decode) {
        Some(Source::Environment(name) | Source::DotEnv(name)) => SHORT.iter().any(|(short, _)| *short == name),
        _ => false,
    };
    if !influx.is_empty() && !influx.contains_key("url") && influx.values().all(is_short) {
        sections.remove("influxdb");
        warnings
            .push("INFLUX_TOKEN, INFLUX_ORG or INFLUX_BUCKET is set, but no INFLUX_URL: InfluxDB is off".to_owned());
    }
}

fn read_file(File { path, text }: File<'_>) -> Result<(Layer, HashMap<KeyPath, usize>), Fault> {
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
        None => std::fs::read_to_string(path).map_err(|why| fault(None, format!("cannot be read: {why}")))?,
    };
    let found = match format {
        FileFormat::Toml => lines::of_toml(&text).map_err(|(line, message)| fault(line, message))?,
        _ => HashMap::new(),
    };
    let origin = Source::File { name: name.clone(), line: None }.encode();
    let table = format.parse(Some(&origin), &text).map_err(|why| fault(None, why.to_string()))?;
    Ok((Layer(table), found))
}

/// `.env` beside the configuration file, or in the working directory when there is none.
fn dotenv_path(file: Option<&Path>) -> PathBuf {
    let beside = file.and_then(Path::parent).map(|dir| dir.join(".env"));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(".env"))
}

fn read_dotenv(path: &Path) -> Result<Environment, Fault> {
    let fault = |message| Fault::general(Source::File { name: path.display().to_string().into(), line: None }, message);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Environment::new()),
        Err(why) => return Err(fault(format!("cannot be read: {why}"))),
    };
    let mut variables = Environment::new();
    for (n, item) in dotenvy::Iter::new(file).enumerate() {
        // The error quotes the line, and the line may hold a token.
        let (name, value) = item.map_err(|_| fault(format!("its variable {} is not NAME=value", n + 1)))?;
        variables.entry(name).or_insert(value);
    }
    Ok(variables)
}

fn variables(
    environment: &Environment,
    source: impl Fn(String) -> Source,
    warnings: &mut Vec<String>,
    faults: &mut Vec<Fault>,
) -> Layer {
    let mut layer = Layer::default();
    // A variable that is set to nothing is how compose files and units say "not set".
    let short = |name: &str| environment.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
    for (name, key) in SHORT {
        if let Some(value) = short(name) {
            layer.set(&KeyPath::dotted(key), &source(name.to_owned()), Value::new(None, value));
        }
    }
    if let Some(value) = short("LOG_LEVEL") {
        layer.set(&KeyPath::dotted("log.level"), &source("LOG_LEVEL".to_owned()), Value::new(None, level_name(value)));
    }
    if let Some(value) = short("POLLING_INTERVAL") {
        let interval = polling_interval(value, warnings);
        layer.set(
            &KeyPath::dotted("defaults.poll_interval"),
            &source("POLLING_INTERVAL".to_owned()),
            Value::new(None, interval),
        );
    }
    if let Some(value) = short("NTP_SERVER") {
        let servers = value.split(',').map(str::trim).filter(|s| !s.is_empty());
        let servers: Vec<Map<String, Value>> =
            servers.map(|s| Map::from_iter([("address".to_owned(), Value::new(None, s))])).collect();
        layer.set(&KeyPath::dotted(SERVERS), &source("NTP_SERVER".to_owned()), Value::new(None, servers));
    }
    for (name, value) in environment {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        let path = KeyPath::dotted(&key.to_ascii_lowercase().replace("__", "."));
        if path.starts_with(&KeyPath::dotted("notifier")) {
            // They are identified by their names, which are known once the layers are merged.
            continue;
        }
        if path.starts_with(&KeyPath::dotted(SERVERS)) {
            let message = "servers come from the configuration file or from NTP_SERVER".to_owned();
            faults.push(Fault { path, ..Fault::general(source(name.clone()), message) });
        } else {
            layer.set(&path, &source(name.clone()), schema::typed(&path, value));
        }
    }
    layer
}

/// The predecessor wrote levels in capitals and had one more.
fn level_name(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "warn" => "warning".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        other => other.to_owned(),
    }
}

/// `POLLING_INTERVAL` counts seconds, and the predecessor took any number; what is impolite is raised to the floor,
/// so that an installation that was taken over starts. What is no number is left for the decoder to refuse.
fn polling_interval(text: &str, warnings: &mut Vec<String>) -> String {
    let floor = Server::FLOOR.as_secs();
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..floor as f64).contains(&seconds) => {
            warnings.push(format!("POLLING_INTERVAL={seconds} is below the floor for servers: {floor} s is used"));
            format!("{floor}s")
        }
        Ok(seconds) if seconds.is_finite() && seconds.fract() == 0.0 => format!("{seconds}s"),
        Ok(seconds) if seconds.is_finite() => format!("{:.0}ms", seconds * 1e3),
        _ => text.to_owned(),
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
        layer.set(&path, &Source::Flag(format!("{path}")), schema::typed(&path, value));
    }
    layer
}
