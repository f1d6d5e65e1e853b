//! Configuration: files, environment and flags in; one validated [`Config`] out, or every fault at once.
//!
//! [`layers`] reads all layers, [`merge`] merges them with the `config` crate, [`tree`] keeps each value with its source
//! and fills in defaults, [`decode`] converts them to the types of [`raw`], and [`validate`] applies the rules that types cannot
//! express. [`edit`] changes the text of a file and [`mod@file`] writes it. The process's environment is an argument.
//! No fault shows a secret.

mod additions;
mod address;
mod bounds;
mod certificate;
mod decode;
mod diff;
mod dotenv;
pub mod edit;
mod environment;
mod example;
mod fault;
pub mod file;
mod inputs;
mod layers;
mod leap_list;
mod lines;
mod merge;
mod model;
mod named_file;
#[cfg(test)]
mod named_file_tests;
mod network;
mod notifier_env;
mod raw;
mod reference;
mod renewal;
mod schema;
mod show;
mod shown;
mod tree;
mod units;
mod validate;
mod variables;
#[cfg(test)]
mod variables_tests;

use std::path::Path;

pub use additions::additions_of;
pub use address::{NTP_PORT, split as split_address};
pub use diff::{Changes, diff};
pub use environment::{Environment, process_environment};
pub use example::example;
pub use fault::{Fault, Faults, KeyPath, Source};
pub use inputs::Inputs;
pub use leap_list::read_leap_list;
pub use model::*;
pub use network::{Network, is_of_one_host};
pub use reference::reference;
pub use schema::{schema, schema_value};
pub use validate::alerting::rule_of_json;
pub use validate::fleet::is_vantage_name;
pub use validate::http::base_path;
pub use variables::own_variables;

use decode::Findings;
use layers::File;
use named_file::Surroundings;
use tree::Tree;

/// A valid configuration with its warnings.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// Valid settings that are probably mistakes; logged once.
    pub warnings: Vec<String>,
    tree: Tree,
}

impl Loaded {
    /// The configuration alone, without the sources of values, which use most of the memory with many servers.
    #[must_use]
    pub fn into_config(self) -> Config {
        self.config
    }
}

/// Reads the configuration: `file` (TOML, or YAML and JSON by extension), then a `.env` file, then `environment`, then
/// `flags` (`section.key=value`); what comes later wins. Without a file the environment alone is enough.
///
/// # Errors
/// All faults, each with its key and its source.
pub fn load(file: Option<&Path>, environment: &Environment, flags: &[String]) -> Result<Loaded, Faults> {
    load_layers(file.map(|path| File { path, text: None }), None, environment, flags)
}

/// Like [`load`], with `text` in place of the content of the file at `path`.
///
/// # Errors
/// All faults, each with its key and its source.
pub fn load_text(path: &Path, text: &str, environment: &Environment, flags: &[String]) -> Result<Loaded, Faults> {
    load_layers(Some(File { path, text: Some(text) }), None, environment, flags)
}

/// As [`load`], as if `additions` were the content of the file of [`additions_of`].
///
/// # Errors
/// Every fault that was found, each with its key and its source.
pub fn load_with_additions(
    path: &Path,
    additions: &str,
    environment: &Environment,
    flags: &[String],
) -> Result<Loaded, Faults> {
    load_layers(Some(File { path, text: None }), Some(additions), environment, flags)
}

fn load_layers(
    file: Option<File<'_>>,
    additions: Option<&str>,
    environment: &Environment,
    flags: &[String],
) -> Result<Loaded, Faults> {
    let (mut tree, mut warnings) = layers::merge(file, additions, environment, flags).map_err(Faults)?;
    let file = file.map(|file| file.path);
    let mut findings = Findings::default();
    let config = decode::decode(&mut tree, &hostname(), &mut findings).and_then(|sections| {
        let surroundings = Surroundings { environment, file };
        validate::validate(sections, &tree, &surroundings, &mut findings, &mut warnings)
    });
    match config {
        Some(config) if findings.faults.is_empty() => {
            let mut loaded = Loaded { config, warnings, tree };
            loaded.config.shown = loaded.shown();
            Ok(loaded)
        }
        _ => Err(Faults(findings.into_faults())),
    }
}

fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}
