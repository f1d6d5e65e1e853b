//! The environment, as data.

use std::collections::BTreeMap;

/// Environment variables as an argument, so that nothing here depends on the process.
pub type Environment = BTreeMap<String, String>;

/// Replaces bytes that are not UTF-8 in a value. In a variable of this program it is a fault.
pub(super) const NOT_TEXT: char = char::REPLACEMENT_CHARACTER;

/// The environment of this process, with [`NOT_TEXT`] in values that are not UTF-8. Variables whose names are not UTF-8
/// are left out, because all of ours are.
#[must_use]
pub fn process_environment() -> Environment {
    let variables = std::env::vars_os();
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect()
}
