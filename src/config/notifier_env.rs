//! Keys of notifiers from the environment: `NTP_MONITOR__NOTIFIER__NAME__KEY`, where NAME is the name of a
//! `[[notifier]]` of the file in capitals, with `_` in place of characters other than letters and digits. Meant for
//! secrets.

use config::{Map, Value, ValueKind};

use super::fault::{Fault, Step};
use super::variables::Setting;

/// Sets the keys of notifiers in the merged configuration.
pub(super) fn apply(root: &mut Value, settings: Vec<Setting>, faults: &mut Vec<Fault>) {
    for Setting { path, source, value } in settings {
        let keys = match path.0.as_slice() {
            [_, Step::Key(name), Step::Key(key)] => named(root, name).map(|notifier| (notifier, key)),
            _ => None,
        };
        match keys {
            Some((notifier, key)) => {
                notifier.insert(key.to_string(), Value::new(Some(&source.encode()), value.kind));
            }
            None => faults.push(Fault::general(source, "names no [[notifier]] of the configuration file".to_owned())),
        }
    }
}

/// The table of the notifier whose name, written as in a variable and in lower case, is `wanted`.
fn named<'a>(root: &'a mut Value, wanted: &str) -> Option<&'a mut Map<String, Value>> {
    let ValueKind::Table(sections) = &mut root.kind else { return None };
    let ValueKind::Array(notifiers) = &mut sections.get_mut("notifier")?.kind else { return None };
    notifiers.iter_mut().find_map(|one| match &mut one.kind {
        ValueKind::Table(keys) => {
            let ValueKind::String(name) = &keys.get("name")?.kind else { return None };
            (as_variable(name) == wanted).then_some(keys)
        }
        _ => None,
    })
}

fn as_variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}
