//! The layers of a configuration, weakest first: defaults in the environment, file, `.env`, environment, flags; then the
//! rules that depend on several layers.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::additions::{self, additions_of, is_readable};
use super::bounds::{self, Format};
use super::dotenv::DotEnv;
use super::environment::{Environment, NOT_TEXT};
use super::fault::{Fault, KeyPath, Source};
use super::lines;
use super::merge::Layers;
use super::named_file::Surroundings;
use super::tree::Tree;
use super::variables::{self, DEFAULTS, Notes, SETTINGS, Setting};
use super::{notifier_env, schema};
use crate::regular_file;

#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    /// Its path; the extension gives the format.
    pub path: &'a Path,
    /// The text to use instead of the content of the file.
    pub text: Option<&'a str>,
}

/// Reads and merges all layers. Returns the warnings too.
///
/// # Errors
/// Faults that leave nothing to check: the file cannot be read or parsed, or a flag is not `key=value`.
pub(super) fn merge(
    file: Option<File<'_>>,
    additions: Option<&str>,
    environment: &Environment,
    flags: &[String],
) -> Result<(Tree, Vec<String>), Vec<Fault>> {
    let mut notes = Notes::default();
    let around = Surroundings { environment, file: file.map(|file| file.path) };
    let variables = Variables::read(&around, &mut notes);
    let mut layers = Layers::default();
    layers.add_settings(variables.defaults);
    if let Some(Err(fault)) = file.map(|file| read_file(file, &mut layers)) {
        notes.faults.push(fault);
    }
    let (of_notifiers, settings): (Vec<_>, Vec<_>) = variables.settings.into_iter().partition(Setting::is_of_notifier);
    let servers = KeyPath::dotted(additions::SERVERS);
    let replaces_servers = settings.iter().any(|setting| setting.path == servers);
    layers.add_settings(settings);
    layers.add_settings(flag_settings(flags, &mut notes.faults));
    if !notes.faults.is_empty() {
        return Err(notes.faults);
    }
    let file_has_servers = layers.file_has_servers();
    let mut tree = merged(layers).map_err(|fault| vec![fault])?;
    let added = file.and_then(|file| additions_to(file, additions, &tree, &mut notes));
    if replaces_servers && (file_has_servers || added.as_ref().is_some_and(|(added, _)| added.get(&servers).is_some()))
    {
        notes.warnings.push("NTP_SERVER replaces the servers of the configuration file".to_owned());
    }
    if let Some((added, name)) = &added {
        additions::append(&mut tree, added, name, replaces_servers, &mut notes.warnings);
    }
    notifier_env::apply(&mut tree, of_notifiers, &mut notes.faults);
    if !notes.faults.is_empty() {
        return Err(notes.faults);
    }
    drop_leftover_influx(&mut tree, &mut notes.warnings);
    drop_public_default(&mut tree);
    Ok((tree, notes.warnings))
}

fn merged(layers: Layers) -> Result<Tree, Fault> {
    let (root, sources) = layers.merge().map_err(|why| Fault::general(Source::Default, why))?;
    Ok(Tree::new(root, sources))
}

/// The additions to a configuration, with the name of their file; `None` if that file is the configuration itself.
fn additions_to(file: File<'_>, text: Option<&str>, tree: &Tree, notes: &mut Notes) -> Option<(Tree, String)> {
    let data_dir = KeyPath::dotted("monitor.data_dir");
    let default = || schema::at(&data_dir)?.get("default");
    let path = additions_of(Path::new(tree.get(&data_dir).or_else(default)?.as_str()?));
    if path == file.path || text.is_none() && !is_readable(&path, &mut notes.warnings) {
        return None;
    }
    let mut layers = Layers::default();
    match read_file(File { path: &path, text }, &mut layers).and_then(|()| merged(layers)) {
        Ok(added) => Some((added, path.display().to_string())),
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
        let broken = environment.iter().filter(|(name, value)| variables::is_own(name) && value.contains(NOT_TEXT));
        let is_no_text =
            |(name, _): (&String, _)| Fault::general(environment_source(name), "is not UTF-8 text".to_owned());
        notes.faults.extend(broken.map(is_no_text));
        let defaults = DEFAULTS.settings(&environment, preset, around, notes);
        let mut settings = SETTINGS.settings(&dotenv.variables, |name| dotenv.source(name), around, notes);
        settings.extend(SETTINGS.settings(&environment, environment_source, around, notes));
        Self { defaults, settings }
    }
}

/// Installations of the predecessor also set `INFLUX_TOKEN`, `INFLUX_ORG` and `INFLUX_BUCKET` where they write CSV only.
/// Without a URL and without an `[influxdb]` section, InfluxDB is off.
fn drop_leftover_influx(tree: &mut Tree, warnings: &mut Vec<String>) {
    let section = KeyPath::dotted("influxdb");
    let Some(influx) = tree.get(&section).and_then(Value::as_object) else { return };
    let is_short = |key: &String| match tree.source(&section.key(key)) {
        Source::Environment(name) | Source::DotEnv { name, .. } => variables::is_short(&name),
        _ => false,
    };
    if !influx.is_empty() && !influx.contains_key("url") && influx.keys().all(is_short) {
        tree.remove(&section);
        warnings
            .push("INFLUX_TOKEN, INFLUX_ORG or INFLUX_BUCKET is set, but no INFLUX_URL: InfluxDB is off".to_owned());
    }
}

/// The container image sets `public_read`, so that it works without a configuration. This default is dropped when there
/// are tokens; then reading needs a token unless the user has set `public_read`.
fn drop_public_default(tree: &mut Tree) {
    let public_read = KeyPath::dotted("http.public_read");
    let is_preset = matches!(tree.source(&public_read), Source::Preset(_));
    if is_preset && tree.count(&KeyPath::dotted("http.tokens")) > 0 {
        tree.remove(&public_read);
    }
}

fn read_file(File { path, text }: File<'_>, layers: &mut Layers) -> Result<(), Fault> {
    let name: Arc<str> = path.display().to_string().into();
    let fault = |line, message| Fault::general(Source::File { name: Arc::clone(&name), line }, message);
    let format = match path.extension().and_then(|e| e.to_str()) {
        Some("yaml" | "yml") => Format::Yaml,
        Some("json") => Format::Json,
        Some("toml") | None => Format::Toml,
        Some(_) => return Err(fault(None, "is neither .toml, .yaml, .yml nor .json".to_owned())),
    };
    let text = match text {
        Some(text) => text.to_owned(),
        None => read_text(path).map_err(|why| fault(None, format!("cannot be read: {why}")))?,
    };
    bounds::check(format, &text).map_err(|why| fault(None, why))?;
    let lines = match format {
        Format::Toml => lines::of_toml(&text).map_err(|(line, message)| fault(line, message))?,
        Format::Yaml | Format::Json => HashMap::new(),
    };
    layers.add_file(Arc::clone(&name), format, &text, lines).map_err(|why| fault(None, why))
}

/// The text of the file, which may be a pipe, because the user who starts the program names it.
fn read_text(path: &Path) -> std::io::Result<String> {
    regular_file::text(regular_file::content(std::fs::File::open(path)?, bounds::LARGEST)?)
}

fn flag_settings(flags: &[String], faults: &mut Vec<Fault>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for flag in flags {
        let Some((key, value)) = flag.split_once('=') else {
            // The text is not repeated, because it may be a secret.
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
        let value = schema::typed(&path, value);
        settings.push(Setting { source: Source::Flag(format!("{path}")), path, value });
    }
    settings
}
