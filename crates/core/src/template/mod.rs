//! The template language of notifications, reports and pages: a small subset of Jinja over plain JSON values.
//!
//! There is `{{ … }}`, `{% if %}`, `{% for %}`, operators, and the filters in [`FILTERS`]. There are no assignments,
//! calls or includes, so a template cannot keep or grow a value. Each step and each byte of a rendering is charged to a
//! fixed allowance, and the parser limits nesting. So any template needs a bounded amount of stack, memory and time.

mod expression;
mod filters;
mod lexer;
mod meter;
mod operators;
mod page;
mod parser;
mod render;
mod run;
mod tree;
mod write;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

pub use filters::{FILTERS, Filter};
pub use page::Page;
use tree::Node;

/// The settings for one kind of text.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The longest source, in bytes.
    pub longest_source: usize,
    /// The allowance of one rendering: 16 for each operation, and 1 for each byte that is compared or created.
    pub work: usize,
    /// Whether use of an undefined value is a fault; otherwise it counts as null.
    pub is_strict: bool,
    /// The text for null.
    pub null: &'static str,
    /// Maximum number of decimals of a number; `None` for all.
    pub decimals: Option<usize>,
    /// Whether values are escaped for HTML when they are written.
    pub is_html: bool,
}

/// A template that can be rendered.
#[derive(Debug, Clone)]
pub struct Template {
    nodes: Arc<[Node]>,
    names: Arc<[String]>,
    options: Options,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// The first error, with its line.
    pub fn parse(source: &str, options: Options) -> Result<Self, Fault> {
        if source.len() > options.longest_source {
            return Err(Fault::new(format!("must not be longer than {} bytes", options.longest_source)));
        }
        let (nodes, names) = parser::parse(source)?;
        Ok(Self { nodes: nodes.into(), names: names.into(), options })
    }

    /// The names of the values that it uses, sorted.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Appends the text to `out`, which becomes at most `longest` bytes long. After an error, `out` contains the text
    /// up to the error.
    ///
    /// # Errors
    /// When the allowance or the space in `out` is used up, or when a value has the wrong type or is not defined.
    pub fn render(&self, values: &Map<String, Value>, longest: usize, out: &mut String) -> Result<(), Fault> {
        render::render(&self.nodes, values, self.options, longest, out)
    }
}

/// Why a template cannot be parsed or rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    message: String,
    /// From 1; 0 when it is not known.
    line: usize,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The template is invalid.
    Wrong,
    /// Rendering needs more than its allowance.
    Work,
    /// The text has reached its maximum length.
    Full,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { kind: FaultKind::Wrong, message: message.into(), line: 0 }
    }

    fn work() -> Self {
        Self { kind: FaultKind::Work, message: "takes too much work: make the template simpler".to_owned(), line: 0 }
    }

    fn full(longest: usize) -> Self {
        Self { kind: FaultKind::Full, message: format!("the text becomes larger than {longest} bytes"), line: 0 }
    }

    /// Sets the line, unless it is already known.
    fn at(mut self, line: usize) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 | 1 => f.write_str(&self.message),
            line => write!(f, "{} (in line {line})", self.message),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests;
