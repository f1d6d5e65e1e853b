//! Keys of notifiers from the environment: `NTP_MONITOR__NOTIFIER__NAME__KEY`, where NAME is the name of a `[[notifier]]`
//! of the file in capitals, with `_` for all that is neither a letter nor a digit. Meant for secrets.

use config::{Value, ValueKind};

use super::environment::Environment;
use super::fault::{Fault, KeyPath, Source};
use super::schema;

/// Sets the keys of notifiers that `environment` names in the merged configuration.
pub(super) fn apply(
    root: &mut Value,
    environment: &Environment,
    prefix: &str,
    source: fn(String) -> Source,
    faults: &mut Vec<Fault>,
) {
    for (variable, text) in environment {
        let Some(rest) = variable.strip_prefix(prefix).and_then(|rest| rest.strip_prefix("NOTIFIER__")) else {
            continue;
        };
        let found = rest.rsplit_once("__").and_then(|(name, key)| {
            let (n, notifier) = named(root, name)?;
            Some((KeyPath::dotted("notifier").index(n).key(&key.to_ascii_lowercase()), notifier, key))
        });
        let Some((path, notifier, key)) = found else {
            let message = "names no [[notifier]] of the configuration file".to_owned();
            faults.push(Fault::general(source(variable.clone()), message));
            continue;
        };
        let origin = source(variable.clone()).encode();
        notifier.insert(key.to_ascii_lowercase(), Value::new(Some(&origin), schema::typed(&path, text).kind));
    }
}

/// The table of the notifier whose name is `wanted` as a variable writes it, and its index.
fn named<'a>(root: &'a mut Value, wanted: &str) -> Option<(usize, &'a mut config::Map<String, Value>)> {
    let ValueKind::Table(sections) = &mut root.kind else { return None };
    let ValueKind::Array(notifiers) = &mut sections.get_mut("notifier")?.kind else { return None };
    notifiers.iter_mut().enumerate().find_map(|(n, one)| match &mut one.kind {
        ValueKind::Table(keys) => {
            let ValueKind::String(name) = &keys.get("name")?.kind else { return None };
            (as_variable(name) == wanted).then_some((n, keys))
        }
        _ => None,
    })
}

fn as_variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
