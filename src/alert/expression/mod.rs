//! The expression of a rule, in CEL (the Common Expression Language): checked when it is read, so that what can go wrong
//! goes wrong then, and evaluated in a time that its length bounds.
//!
//! The language is CEL without macros (nothing loops) and with one type of number: `2` and `2.0` are the same. The
//! checker refuses unknown names, wrong types, and division by anything but a number that is not zero. A value that is not
//! known now makes the answer "no data", unless the rest decides: `false && unknown` is false.

mod check;
mod evaluate;

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Env, IdedExpr};

pub(super) use check::suggestion;

use super::facts::View;
use super::variables::{Of, Variable};

/// The longest expression, in bytes. What it costs to evaluate grows with its length.
pub const LONGEST: usize = 1000;

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionFault {
    /// Line and column, from 1; `None` when it is about the whole.
    pub position: Option<(usize, usize)>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for ExpressionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((1, column)) => write!(f, "{} (at column {column})", self.message),
            Some((line, column)) => write!(f, "{} (at line {line}, column {column})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ExpressionFault {}

/// A sound expression that is true or false.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Arc<str>,
    tree: IdedExpr,
    variables: Vec<&'static Variable>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It holds.
    True,
    /// It does not.
    False,
    /// A value that decides is not known now.
    NoData,
    /// It could not be evaluated; the reason.
    Error(String),
}

impl Expression {
    /// Reads and checks an expression.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(source: &str) -> Result<Self, ExpressionFault> {
        check::parse(source)
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it looks at, in the order of its text.
    #[must_use]
    pub fn variables(&self) -> &[&'static Variable] {
        &self.variables
    }

    /// Whether it looks at servers, so that it is judged for each.
    #[must_use]
    pub fn is_about_servers(&self) -> bool {
        self.variables.iter().any(|variable| variable.of == Of::Server)
    }

    /// Judges what is seen.
    #[must_use]
    pub fn evaluate(&self, view: &View<'_>) -> Answer {
        evaluate::evaluate(self, view)
    }
}

/// CEL with our functions and without macros.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(evaluate::environment()));
