//! The environment, as data.

use std::collections::BTreeMap;

/// Environment variables as an argument, so that nothing here depends on the process.
pub type Environment = BTreeMap<String, String>;

/// Replaces what is not UTF-8 in a value. A variable of this program with it is a fault.
pub(super) const NOT_TEXT: char = char::REPLACEMENT_CHARACTER;

/// The environment of this process, with [`NOT_TEXT`] in values that are not UTF-8, and without names that are not,
/// because none of ours is.
#[must_use]
pub fn process_environment() -> Environment {
    let variables = std::env::vars_os();
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect()
}
