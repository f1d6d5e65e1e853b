//! The effects of a proposed configuration, as the API shows them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::edit::EditError;
use crate::config::{Changes, Fault, Faults, Source};

/// Whether a configuration is valid, and what it would change.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Check {
    /// Whether the service would start with it.
    pub valid: bool,
    /// All errors.
    pub faults: Vec<FaultView>,
    /// Warnings: valid settings that are probably mistakes.
    pub warnings: Vec<String>,
    /// The changes of the file as a unified diff; secrets are masked.
    pub diff: String,
    /// The changes of the running service.
    pub changes: ChangesView,
}

/// One error.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct FaultView {
    /// The path of the key; empty when the error concerns the whole file.
    pub path: String,
    /// The line of the file, from 1.
    pub line: Option<usize>,
    /// What is wrong, and how to correct it.
    pub message: String,
}

/// The effects of a reload.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema, Serialize)]
pub struct ChangesView {
    /// Added servers.
    pub added: Vec<String>,
    /// Servers with changed settings.
    pub changed: Vec<String>,
    /// Removed servers.
    pub removed: Vec<String>,
    /// Sections with changes.
    pub sections: Vec<String>,
    /// Changed keys that take effect only at the next start.
    pub needs_restart: Vec<String>,
}

impl Check {
    pub(super) fn sound(warnings: &[String], diff: String, changes: &Changes) -> Self {
        Self { valid: true, faults: Vec::new(), warnings: warnings.to_vec(), diff, changes: changes.into() }
    }

    pub(super) fn unsound(faults: &Faults) -> Self {
        Self::wrong(faults.0.iter().map(FaultView::from).collect())
    }

    pub(super) fn not_edited(why: &EditError) -> Self {
        Self::wrong(vec![why.into()])
    }

    fn wrong(faults: Vec<FaultView>) -> Self {
        Self { valid: false, faults, warnings: Vec::new(), diff: String::new(), changes: ChangesView::default() }
    }
}

impl From<&Fault> for FaultView {
    fn from(fault: &Fault) -> Self {
        let (line, message) = match &fault.source {
            Source::File { line, .. } => (*line, fault.message.clone()),
            Source::Default => (None, fault.message.clone()),
            elsewhere => (None, format!("{} (from {elsewhere})", fault.message)),
        };
        Self { path: fault.path.to_string(), line, message }
    }
}

impl From<&EditError> for FaultView {
    fn from(why: &EditError) -> Self {
        let line = if let EditError::NotToml { line, .. } = why { *line } else { None };
        let path = if let EditError::NothingToKeep { path } = why { path.clone() } else { String::new() };
        Self { path, line, message: why.to_string() }
    }
}

impl From<&Changes> for ChangesView {
    fn from(changes: &Changes) -> Self {
        let names = |servers: &[std::sync::Arc<crate::config::Server>]| {
            servers.iter().map(|server| server.ident.name.to_string()).collect()
        };
        let owned = |keys: &[&'static str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Self {
            added: names(&changes.added),
            changed: names(&changes.changed),
            removed: changes.removed.iter().map(ToString::to_string).collect(),
            sections: owned(&changes.sections),
            needs_restart: owned(&changes.needs_restart),
        }
    }
}

impl ChangesView {
    /// A short summary for the log.
    #[must_use]
    pub fn summary(&self) -> String {
        let named = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
        let parts = [
            named("added", &self.added),
            named("changed", &self.changed),
            named("removed", &self.removed),
            named("sections", &self.sections),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}
