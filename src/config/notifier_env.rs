//! Keys of notifiers from the environment: `NTP_MONITOR__NOTIFIER__NAME__KEY`, where NAME is the name of a
//! `[[notifier]]` of the file in capitals, with `_` in place of characters other than letters and digits. Meant for
//! secrets.

use serde_json::Value;

use super::fault::{Fault, KeyPath, Step};
use super::tree::Tree;
use super::variables::Setting;

/// Sets the keys of notifiers in the merged configuration.
pub(super) fn apply(tree: &mut Tree, settings: Vec<Setting>, faults: &mut Vec<Fault>) {
    for Setting { path, source, value } in settings {
        let key = match path.0.as_slice() {
            [_, Step::Key(name), Step::Key(key)] => named(tree, name).map(|notifier| notifier.key(key)),
            _ => None,
        };
        match key {
            Some(key) => tree.set(&key, value, source),
            None => faults
                .push(Fault::general(source, "does not match any [[notifier]] of the configuration file".to_owned())),
        }
    }
}

/// The path of the notifier whose name, written as in a variable and in lower case, is `wanted`.
fn named(tree: &Tree, wanted: &str) -> Option<KeyPath> {
    let notifiers = KeyPath::dotted("notifier");
    let name = |notifier: &Value| notifier.get("name").and_then(Value::as_str).map(as_variable);
    let all = tree.get(&notifiers)?.as_array()?;
    all.iter().position(|notifier| name(notifier).as_deref() == Some(wanted)).map(|n| notifiers.index(n))
}

fn as_variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}
