//! Checks the configuration, and whether other users can read its secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::finding::{Area, Finding};
use crate::config::{Faults, Loaded};

const AREA: Area = Area("configuration");
/// The text that replaces a secret in output.
const MASK: &str = "********";
const OTHERS_MAY_READ: u32 = 0o004;

pub(super) fn examine(file: Option<&Path>, loaded: &Result<Loaded, Faults>) -> Vec<Finding> {
    let name = file.map_or_else(|| "environment".to_owned(), |file| file.display().to_string());
    match loaded {
        Err(faults) => {
            let advice = "correct it; `ntp-monitor config example` shows every key";
            faults.0.iter().map(|fault| AREA.problem(&name, fault.to_string(), advice)).collect()
        }
        Ok(loaded) => {
            let mut findings = vec![AREA.ok(&name, format!("sound, {} servers", loaded.config.servers.len()))];
            let advice = "this is only a warning; `ntp-monitor config show` tells where each value comes from";
            findings.extend(loaded.warnings.iter().map(|warning| AREA.warning(&name, warning, advice)));
            findings.extend(secrets(file, &loaded.to_json()["values"]));
            findings
        }
    }
}

/// Secrets in the file itself, and files that are named by a key ending in `_file`.
fn secrets(file: Option<&Path>, values: &Value) -> Vec<Finding> {
    let mut found = Found::default();
    found.walk("", values);
    let mut findings = Vec::new();
    if let (Some(file), true) = (file, found.inline)
        && others_may_read(file)
    {
        let advice =
            format!("chmod o-r {}, or keep the secret in a file of its own (the key with _file)", file.display());
        findings.push(AREA.warning(file.display().to_string(), "holds a secret, and every user may read it", advice));
    }
    for path in found.files.iter().map(Path::new).filter(|path| path.is_absolute() && others_may_read(path)) {
        let advice = format!("chmod o-r {}", path.display());
        findings.push(AREA.warning(path.display().to_string(), "is a secret that every user may read", advice));
    }
    findings
}

#[derive(Default)]
struct Found {
    inline: bool,
    files: Vec<String>,
}

impl Found {
    fn walk(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(table) => table.iter().for_each(|(key, value)| self.walk(key, value)),
            Value::Array(items) => items.iter().for_each(|item| self.walk(key, item)),
            Value::String(text) if text == MASK => self.inline = true,
            Value::String(text) if key.ends_with("_file") => self.files.push(text.clone()),
            _ => {}
        }
    }
}

fn others_may_read(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & OTHERS_MAY_READ != 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn world_readable_secret_is_a_finding() {
        let dir = tempfile::tempdir().unwrap();
        let (config, token) = (dir.path().join("servers.toml"), dir.path().join("token"));
        for path in [&config, &token] {
            fs::write(path, "hush").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let values = json!({ "influxdb": { "token": MASK }, "notifier": [{ "token_file": token }], "log": {} });
        let found = secrets(Some(&config), &values);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|f| f.advice.as_deref().is_some_and(|a| a.starts_with("chmod o-r"))), "{found:?}");
        for path in [&config, &token] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
        }
        assert_eq!(secrets(Some(&config), &values), []);
    }
}
