//! The environment, as data.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Environment variables as an argument, so that nothing here depends on the process.
pub type Environment = BTreeMap<String, String>;

/// The environment of this process, without variables that are not UTF-8, because none of ours is.
#[must_use]
pub fn process_environment() -> Environment {
    let text = |s: OsString| s.into_string().ok();
    std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}
