//! Environment variables as settings. The rules are the same for every variable, in the environment and in `.env`:
//!
//! - A variable that is empty or blank counts as not set.
//! - `NAME_FILE` names a file with the value of `NAME`. Where the configuration has a key for such a file, as
//!   `influxdb.token_file` is for `influxdb.token`, that key is set; otherwise the file is read here.
//! - A value has the type of its key.

use std::path::Path;

use serde_json::{Value, json};

use super::environment::Environment;
use super::fault::{Fault, KeyPath, Source, Step};
use super::model::Server;
use super::named_file::{FileFault, Surroundings, read_value};
use super::{bounds, schema};

const NOTIFIER: &str = "notifier";
const SERVER: &str = "server";

/// The naming scheme of a kind of variables.
pub(super) struct Naming {
    /// The prefix of `SECTION__KEY`.
    prefix: &'static str,
    short: &'static [Short],
}

/// Variables set by a user.
pub(super) const SETTINGS: Naming = Naming { prefix: "NTP_MONITOR__", short: &SHORT };

/// Defaults set by an image or a package. The configuration file takes precedence over them.
pub(super) const DEFAULTS: Naming = Naming { prefix: "NTP_MONITOR_DEFAULT__", short: &[] };

/// A short variable without the prefix, for a key that nearly every installation sets.
struct Short {
    name: &'static str,
    key: &'static str,
    value: fn(&str, &mut Vec<String>) -> Value,
}

const SHORT: [Short; 7] = [
    Short { name: "NTP_SERVER", key: SERVER, value: servers },
    Short { name: "POLLING_INTERVAL", key: "defaults.poll_interval", value: polling_interval },
    Short { name: "LOG_LEVEL", key: "log.level", value: level },
    Short { name: "INFLUX_URL", key: "influxdb.url", value: text },
    Short { name: "INFLUX_TOKEN", key: "influxdb.token", value: text },
    Short { name: "INFLUX_ORG", key: "influxdb.org", value: text },
    Short { name: "INFLUX_BUCKET", key: "influxdb.bucket", value: text },
];

/// The target of a variable.
pub(super) struct Setting {
    /// The key; for a notifier `notifier.NAME.KEY`, with NAME as written in the variable.
    pub path: KeyPath,
    pub source: Source,
    pub value: Value,
}

impl Setting {
    /// Whether the notifier is known only once the layers are merged.
    pub(super) fn is_of_notifier(&self) -> bool {
        self.path.starts_with(&KeyPath::dotted(NOTIFIER))
    }
}

/// Faults and warnings found in variables.
#[derive(Default)]
pub(super) struct Notes {
    pub warnings: Vec<String>,
    pub faults: Vec<Fault>,
}

/// Whether this program reads the variable.
pub(super) fn is_own(name: &str) -> bool {
    name.starts_with(SETTINGS.prefix) || is_short(name)
}

/// Whether it is a short name, such as `INFLUX_TOKEN` or `INFLUX_TOKEN_FILE`.
pub(super) fn is_short(name: &str) -> bool {
    SHORT.iter().any(|short| name.strip_prefix(short.name).is_some_and(|rest| matches!(rest, "" | "_FILE")))
}

/// The variables of `environment` that this program reads and that are not blank.
#[must_use]
pub fn own_variables(environment: &Environment) -> Environment {
    let mut own = present(environment);
    own.retain(|name, _| is_own(name));
    own
}

/// The variables that are not blank.
pub(super) fn present(variables: &Environment) -> Environment {
    let present = variables.iter().filter(|(_, value)| !value.trim().is_empty());
    present.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The purpose of a variable.
struct Target {
    path: KeyPath,
    /// The function that reads the value of a short variable.
    short: Option<fn(&str, &mut Vec<String>) -> Value>,
    /// Set when the variable names a file: the variable whose value the file holds.
    value_of: Option<String>,
}

impl Naming {
    /// The settings of `variables`, which are [`present`]. Of two for the same key the last one takes precedence.
    pub(super) fn settings(
        &self,
        variables: &Environment,
        source: impl Fn(&str) -> Source,
        around: &Surroundings<'_>,
        notes: &mut Notes,
    ) -> Vec<Setting> {
        let targets = variables.keys().filter_map(|name| Some((name, self.target(name)?)));
        let mut targets: Vec<(&String, Target)> = targets.collect();
        // A long name takes precedence over a short one.
        targets.sort_by_key(|(name, _)| name.starts_with(self.prefix));
        let mut settings = Vec::new();
        for (name, target) in targets {
            match self.value(name, &target, variables, around, &mut notes.warnings) {
                Ok((path, value)) => settings.push(Setting { path, source: source(name), value }),
                Err(why) => {
                    let (message, is_unread_file) = match why {
                        FileFault::Unread(why) => (why, true),
                        FileFault::Wrong(why) => (why, false),
                    };
                    let fault = Fault::general(source(name), message);
                    notes.faults.push(Fault { path: target.path, is_unread_file, ..fault });
                }
            }
        }
        settings
    }

    fn target(&self, name: &str) -> Option<Target> {
        let base = name.strip_suffix("_FILE");
        let short = |wanted: &str| self.short.iter().find(|short| short.name == wanted);
        if let Some(found) = short(name).or_else(|| short(base?)) {
            let value_of = base.filter(|base| *base == found.name).map(str::to_owned);
            return Some(Target { path: KeyPath::dotted(found.key), short: Some(found.value), value_of });
        }
        let key = name.strip_prefix(self.prefix)?;
        let path = path(key);
        let known = |path: &KeyPath| schema::at(&in_schema(path)).is_some();
        let of_base = base.and_then(|base| base.strip_prefix(self.prefix)).map(self::path);
        match of_base.filter(|of_base| known(of_base) && !known(&path)) {
            Some(path) => Some(Target { path, short: None, value_of: base.map(str::to_owned) }),
            None => Some(Target { path, short: None, value_of: None }),
        }
    }

    /// The key that a variable sets, and its value.
    fn value(
        &self,
        name: &str,
        target: &Target,
        variables: &Environment,
        around: &Surroundings<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<(KeyPath, Value), FileFault> {
        if name.starts_with(self.prefix) && target.path.starts_with(&KeyPath::dotted(SERVER)) {
            return Err(FileFault::Wrong("servers must be in the configuration file or in NTP_SERVER".to_owned()));
        }
        if target.path.0.len() > bounds::DEEPEST {
            return Err(FileFault::Wrong(bounds::too_deep()));
        }
        let mut text = variables[name].clone();
        if let Some(base) = &target.value_of {
            if variables.contains_key(base) {
                return Err(FileFault::Wrong(format!("{base} and {name} are both set; one is enough")));
            }
            let file_key = file_key(&target.path);
            if schema::at(&file_key).is_some() {
                return Ok((file_key, json!(text)));
            }
            text = read_value(Path::new(text.trim()), around)?.expose().to_owned();
        }
        let value = match target.short {
            Some(read) => read(text.trim(), warnings),
            None => schema::typed(&in_schema(&target.path), &text),
        };
        Ok((target.path.clone(), value))
    }
}

/// `HTTP__LISTEN` as `http.listen`. Names of notifiers may contain `__` themselves.
fn path(key: &str) -> KeyPath {
    let key = key.to_ascii_lowercase();
    match key.strip_prefix("notifier__").and_then(|rest| rest.rsplit_once("__")) {
        Some((name, key)) => KeyPath::dotted(NOTIFIER).key(name).key(key),
        None => KeyPath::dotted(&key.replace("__", ".")),
    }
}

/// Where the schema describes the key: it has one table for all notifiers.
fn in_schema(path: &KeyPath) -> KeyPath {
    match path.0.as_slice() {
        [Step::Key(section), Step::Key(_), Step::Key(key)] if **section == *NOTIFIER => {
            KeyPath::dotted(NOTIFIER).index(0).key(key)
        }
        _ => path.clone(),
    }
}

/// `token_file` of `token`.
fn file_key(path: &KeyPath) -> KeyPath {
    match (path.parent(), path.0.last()) {
        (Some(parent), Some(Step::Key(key))) => parent.key(&format!("{key}_file")),
        _ => path.clone(),
    }
}

fn text(text: &str, _: &mut Vec<String>) -> Value {
    json!(text)
}

fn servers(text: &str, _: &mut Vec<String>) -> Value {
    let addresses = text.split([',', '\n']).map(str::trim).filter(|address| !address.is_empty());
    addresses.map(|address| json!({ "address": address })).collect()
}

/// The predecessor program wrote levels in capitals and had one more.
fn level(text: &str, _: &mut Vec<String>) -> Value {
    let level = match text.to_ascii_lowercase().as_str() {
        "warn" => "warning".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        other => other.to_owned(),
    };
    json!(level)
}

/// A number of seconds. The predecessor program accepted any number; one below the minimum is raised, so that a
/// migrated installation starts. The decoder rejects text that is not a number.
fn polling_interval(text: &str, warnings: &mut Vec<String>) -> Value {
    let floor = Server::FLOOR.as_secs();
    let interval = match text.parse::<f64>() {
        Ok(seconds) if (0.0..floor as f64).contains(&seconds) => {
            warnings.push(format!("POLLING_INTERVAL={seconds} is below the minimum for servers: {floor} s is used"));
            format!("{floor}s")
        }
        Ok(seconds) if seconds.is_finite() && seconds.fract() == 0.0 => format!("{seconds}s"),
        Ok(seconds) if seconds.is_finite() => format!("{:.0}ms", seconds * 1e3),
        _ => text.to_owned(),
    };
    json!(interval)
}
