//! The one table of what a rule may look at: name, type, unit, meaning, and where the value comes from. Rules are
//! checked against it, the documentation and the API are made from it.

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
pub enum Kind {
    /// A number; all numbers are floating-point.
    Number,
    /// True or false.
    Truth,
    /// Text.
    Text,
}

impl Kind {
    /// In words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Truth => "truth",
            Self::Text => "text",
        }
    }
}

/// What a variable is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Of {
    /// One server: a rule that names such a variable is judged for each server.
    #[serde(rename = "server")]
    Server,
    /// Who is wrong.
    #[serde(rename = "verdict")]
    Verdict,
    /// The clock of this machine.
    #[serde(rename = "own clock")]
    OwnClock,
    /// The monitor itself.
    #[serde(rename = "service")]
    Service,
}

impl Of {
    /// Every group, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Server, Self::Verdict, Self::OwnClock, Self::Service];

    /// The name in the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Verdict => "verdict",
            Self::OwnClock => "own clock",
            Self::Service => "service",
        }
    }
}

/// How a value is found; `None` when it is not known now.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A number. What is not finite counts as not known.
    Number(fn(&View<'_>) -> Option<f64>),
    /// True or false.
    Truth(fn(&View<'_>) -> Option<bool>),
    /// Text.
    Text(for<'b> fn(&'b View<'_>) -> Option<&'b str>),
}

/// Something a rule may look at.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name in expressions and templates.
    pub name: &'static str,
    /// What it is about.
    pub of: Of,
    /// Its unit; empty for ratios, counts, truths and texts.
    pub unit: &'static str,
    /// What it says, with its sign.
    pub help: &'static str,
    /// Where its value comes from.
    pub source: Source,
}

impl Variable {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.source {
            Source::Number(_) => Kind::Number,
            Source::Truth(_) => Kind::Truth,
            Source::Text(_) => Kind::Text,
        }
    }
}

/// The variable of this name.
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
