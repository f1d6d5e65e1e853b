//! The table of variables for rules: name, type, unit, meaning, and how to get the value. Rules are checked against it,
//! and the documentation and the API are generated from it.

mod table;

use std::collections::HashMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Serialize;

pub use table::VARIABLES;

use super::facts::View;

/// The type of a variable or an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "VariableKind")]
pub enum Kind {
    /// A number; all numbers are floating-point.
    Number,
    /// True or false.
    Truth,
    /// Text.
    Text,
}

impl Kind {
    /// The name of the type in the API and in error messages.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Truth => "truth",
            Self::Text => "text",
        }
    }
}

/// The subject of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Of {
    /// One server. A rule that uses such a variable is evaluated for each server.
    #[serde(rename = "server")]
    Server,
    /// The verdict: which clocks are wrong.
    #[serde(rename = "verdict")]
    Verdict,
    /// This host's clock.
    #[serde(rename = "own clock")]
    OwnClock,
    /// The service itself.
    #[serde(rename = "service")]
    Service,
    /// The fleet, at a hub.
    #[serde(rename = "fleet")]
    Fleet,
}

impl Of {
    /// All subjects, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Server, Self::Verdict, Self::OwnClock, Self::Service, Self::Fleet];

    /// The name in the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Verdict => "verdict",
            Self::OwnClock => "own clock",
            Self::Service => "service",
            Self::Fleet => "fleet",
        }
    }
}

/// The function that returns the value of a variable; `None` if it is not known now.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A number. A value that is not finite counts as not known.
    Number(fn(&View<'_>) -> Option<f64>),
    /// True or false.
    Truth(fn(&View<'_>) -> Option<bool>),
    /// Text.
    Text(for<'b> fn(&'b View<'_>) -> Option<&'b str>),
}

/// A variable that rules and templates can use.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The name in expressions and templates.
    pub name: &'static str,
    /// The subject of the variable.
    pub of: Of,
    /// The unit; empty for ratios, counts, truths and texts.
    pub unit: &'static str,
    /// The description, with the meaning of the sign.
    pub help: &'static str,
    /// The function that returns the value.
    pub source: Source,
}

impl Variable {
    /// The type of the variable.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.source {
            Source::Number(_) => Kind::Number,
            Source::Truth(_) => Kind::Truth,
            Source::Text(_) => Kind::Text,
        }
    }
}

/// Finds a variable by name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Variable> {
    static BY_NAME: LazyLock<HashMap<&str, &Variable>> =
        LazyLock::new(|| VARIABLES.iter().map(|variable| (variable.name, variable)).collect());
    BY_NAME.get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_are_identifiers() {
        for (n, variable) in VARIABLES.iter().enumerate() {
            assert!(variable.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
            assert!(VARIABLES[..n].iter().all(|other| other.name != variable.name), "{}", variable.name);
            assert!(variable.help.ends_with('.'), "{}", variable.name);
            assert!(std::ptr::eq(find(variable.name).unwrap(), variable));
        }
    }
}
