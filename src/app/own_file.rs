//! The configuration file of a service that was started without one: its path and its initial content.
//!
//! The order is: the file that `--config` names; the environment, if it names servers; then this file. It is in the
//! configuration directory of the user (XDG), or in the state directory that systemd gives the service.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::config::file::{self, FileError};
use crate::config::{Config, Environment, Faults, Inputs, Loaded, additions_of};

const FILE: &str = "servers.toml";
const PROGRAM: &str = "ntp-monitor";
/// The default of `monitor.data_dir`, and the variable that sets another one.
const DATA_DIR: &str = "/var/lib/ntp-monitor";
const DATA_DIR_PRESET: &str = "NTP_MONITOR_DEFAULT__MONITOR__DATA_DIR";
/// Only the service and its group may list its directories.
const DIRECTORY_MODE: u32 = 0o750;

/// The paths of the file and of the data of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFile {
    pub path: PathBuf,
    data_dir: PathBuf,
}

impl OwnFile {
    /// The paths according to the environment; `None` if there is neither a home directory nor a state directory.
    #[must_use]
    pub fn of(environment: &Environment) -> Option<Self> {
        // Several directories are separated by colons; the first one belongs to the unit itself.
        let state = environment.get("STATE_DIRECTORY").and_then(|list| absolute(list.split(':').next()?));
        if let Some(state) = state {
            return Some(Self { path: additions_of(&state), data_dir: state });
        }
        let home = environment.get("HOME").and_then(|home| absolute(home));
        let base = |variable: &str, usual: &str| {
            let named = environment.get(variable).and_then(|dir| absolute(dir));
            named.or_else(|| home.as_ref().map(|home| home.join(usual)))
        };
        Some(Self {
            path: base("XDG_CONFIG_HOME", ".config")?.join(PROGRAM).join(FILE),
            data_dir: base("XDG_STATE_HOME", ".local/state")?.join(PROGRAM),
        })
    }

    /// Its text before anything is added.
    #[must_use]
    pub fn initial_text(&self) -> String {
        let data_dir = toml_edit::Value::from(self.data_dir.display().to_string());
        format!(
            "# Configuration of ntp-monitor. The page writes to it; you may edit it too (kill -HUP reloads it).\n\
             # All keys with explanations: ntp-monitor config example\n\n[monitor]\ndata_dir = {data_dir}\n"
        )
    }

    /// Creates the file, unless there is one, and the directories that it and the data need.
    ///
    /// # Errors
    /// Errors of the system, with the path.
    pub fn create(&self) -> Result<(), FileError> {
        let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.data_dir);
        made.map_err(|source| FileError::Io { doing: "created", path: self.data_dir.clone(), source, hint: "" })?;
        file::begin(&self.path, &self.initial_text())
    }
}

/// A path from the environment that XDG and systemd accept: an absolute one.
fn absolute(path: &str) -> Option<PathBuf> {
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

/// The inputs with a data directory in the home directory as the default, for a user who may not create the usual one.
#[must_use]
pub fn with_user_directory(inputs: Inputs) -> Inputs {
    unless_usable(Path::new(DATA_DIR), inputs)
}

fn unless_usable(usual: &Path, mut inputs: Inputs) -> Inputs {
    let above = usual.ancestors().find(|dir| dir.exists());
    let may_create = |dir| access(dir, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    let is_usable = above == Some(usual) || above.is_some_and(may_create);
    if let Some(own) = OwnFile::of(&inputs.environment).filter(|_| !is_usable) {
        let dir = own.data_dir.display().to_string();
        inputs.environment.entry(DATA_DIR_PRESET.to_owned()).or_insert(dir);
    }
    inputs
}

/// The inputs of a command. If they name neither a file nor servers, the file of a service that was started without one
/// is used, if it exists.
#[must_use]
pub fn completed(inputs: Inputs) -> Inputs {
    match missing(&inputs) {
        Some(own) if own.path.exists() => Inputs { file: Some(own.path), ..inputs },
        _ => inputs,
    }
}

/// The file for the inputs of a service that have neither a file nor servers; otherwise `None`.
#[must_use]
pub fn missing(inputs: &Inputs) -> Option<OwnFile> {
    let names_nothing = |loaded: &Loaded| loaded.config.servers.is_empty() && loaded.config.fleet.is_none();
    if inputs.file.is_some() || !inputs.load().is_ok_and(|loaded| names_nothing(&loaded)) {
        return None;
    }
    OwnFile::of(&inputs.environment)
}

/// The configuration of a service with this file, which need not exist yet.
///
/// # Errors
/// Every fault at once.
pub fn load(own: &OwnFile, inputs: &Inputs) -> Result<Loaded, Faults> {
    if own.path.exists() { inputs.load() } else { inputs.load_text(&own.initial_text()) }
}

/// The file to which a service of systemd writes if it may not write its configuration file. Used at its first start,
/// when there is no store.
#[must_use]
pub fn at_first_start(inputs: &Inputs, config: &Config) -> Option<PathBuf> {
    let is_unit = inputs.environment.contains_key("STATE_DIRECTORY");
    let is_readonly = matches!(file::editable(inputs.file.as_deref()), Err(FileError::Io { doing: "written", .. }));
    (is_unit && is_readonly && !config.store.path.exists()).then(|| additions_of(&config.monitor.data_dir))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn place(pairs: &[(&str, &str)]) -> Option<(String, String)> {
        let own = OwnFile::of(&environment(pairs))?;
        Some((own.path.display().to_string(), own.data_dir.display().to_string()))
    }

    #[test]
    fn data_is_in_the_home_where_the_usual_place_is_not() {
        let home = environment(&[("HOME", "/home/a")]);
        let preset = |usual: &str| {
            let inputs = Inputs { environment: home.clone(), ..Inputs::default() };
            unless_usable(Path::new(usual), inputs).environment.get(DATA_DIR_PRESET).cloned()
        };
        assert_eq!(preset("/dev/null/ntp-monitor"), Some("/home/a/.local/state/ntp-monitor".to_owned()));
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(preset(dir.path().to_str().unwrap()), None);
    }

    #[test]
    fn file_is_where_xdg_or_systemd_says() {
        let found = |path: &str, data: &str| Some((path.to_owned(), data.to_owned()));
        let home = ("HOME", "/home/a");
        let usual = found("/home/a/.config/ntp-monitor/servers.toml", "/home/a/.local/state/ntp-monitor");
        assert_eq!(place(&[home]), usual);
        assert_eq!(place(&[home, ("XDG_CONFIG_HOME", "relative"), ("XDG_STATE_HOME", "")]), usual);
        let xdg = [("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "/s")];
        assert_eq!(place(&xdg), found("/c/ntp-monitor/servers.toml", "/s/ntp-monitor"));
        let systemd = [home, ("STATE_DIRECTORY", "/var/lib/ntp-monitor:/var/lib/other")];
        assert_eq!(place(&systemd), found("/var/lib/ntp-monitor/servers.d/servers.toml", "/var/lib/ntp-monitor"));
        assert_eq!(place(&[]), None);
    }

    #[test]
    fn file_is_used_without_config_and_servers_only() {
        let inputs = |file: Option<&str>, pairs: &[(&str, &str)]| Inputs {
            file: file.map(PathBuf::from),
            environment: environment(pairs),
            ..Inputs::default()
        };
        let home = ("HOME", "/home/a");
        assert!(missing(&inputs(None, &[home, ("LOG_LEVEL", "DEBUG")])).is_some());
        assert!(missing(&inputs(None, &[home, ("NTP_SERVER", "a.example")])).is_none());
        assert!(missing(&inputs(None, &[home, ("LOG_LEVEL", "loud")])).is_none(), "the fault is reported as it is");
        assert!(missing(&inputs(Some("servers.toml"), &[home])).is_none());
    }

    #[test]
    fn new_file_is_private_sound_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        let own = OwnFile::of(&environment(&[("HOME", home)])).unwrap();
        let inputs = Inputs { file: Some(own.path.clone()), ..Inputs::default() };
        assert_eq!(load(&own, &inputs).unwrap().config.monitor.data_dir, own.data_dir, "before it exists");
        own.create().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&own.path) & 0o177, 0);
        for dir in [own.path.parent().unwrap(), &own.data_dir] {
            assert_eq!(mode(dir) & 0o027, 0, "{dir:?}");
        }
        assert!(inputs.load().unwrap().config.servers.is_empty());
        std::fs::write(&own.path, "# mine\n").unwrap();
        own.create().unwrap();
        assert_eq!(std::fs::read_to_string(&own.path).unwrap(), "# mine\n");
    }
}
