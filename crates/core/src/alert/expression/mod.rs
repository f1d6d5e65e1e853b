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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::facts::{Common, Count};
    use crate::clock::Stamp;
    use crate::health::report::Health;
    use crate::stats::snapshot::Snapshot;

    fn fault(source: &str) -> String {
        Expression::parse(source).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (source, expected) in [
            ("", "must not be empty"),
            ("offset_ms > ", "cannot be read"),
            ("offsett_ms > 1", "there is no variable \"offsett_ms\"; did you mean \"offset_ms\"? (at column 1)"),
            ("stratum > 1 &&\n  absolute(offset_ms) > 1", "at line 2, column"),
            ("offset_ms > \"1\"", "does not fit a number and a text"),
            ("offset_ms", "must be true or false, and is a number"),
            ("offset_ms + provable > 1", "does not fit a number and a truth"),
            ("1 / stratum > 1", "can fail"),
            ("1 / 0 > 1", "can fail"),
            ("stratum % 2 == 0", "%"),
            ("[1, 2].all(x, x > 1)", ""),
            ("verdict in verdict", "a list"),
            ("verdict in [1]", "must be a text"),
            ("server.name == \"a\"", "no field"),
            ("known(1)", "the name of one variable"),
            ("known(nothing)", "there is no variable"),
            ("b\"x\" == b\"x\"", "only numbers"),
        ] {
            let found = fault(source);
            assert!(found.contains(expected), "{source}: {found}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_refused_and_not_read() {
        assert!(fault(&format!("provable{}", " || provable".repeat(500))).contains("longer"));
        assert!(fault(&format!("{}provable{}", "(".repeat(200), ")".repeat(200))).contains("nested"));
        assert!(fault(&format!("{}provable", "!".repeat(900))).contains("nested"));
    }

    fn answer(source: &str) -> Answer {
        let snapshot = Snapshot::empty(Stamp::new(0, 0, 0));
        let health = Health::default();
        let count = Count { polled: 4, lost: 1 };
        let common = Common { now: snapshot.at, snapshot: &snapshot, health: &health, count };
        Expression::parse(source).unwrap().evaluate(&View { server: None, common: &common })
    }

    #[test]
    fn whole_numbers_are_numbers_like_any_other() {
        for source in [
            "servers_total == 4 && servers_total * 2 > 7.5 && servers_total / 3 > 1 && -servers_lost < 0",
            "abs(servers_lost - 3) == 2 && min(servers_total, 2) == 2 && max(1, servers_total) == 4",
            "servers_total in [1, 4] && verdict == \"undecidable\" && verdict.startsWith(\"un\")",
            "servers_total > 3 ? true : false",
            "!known(local_error_ms) && known(servers_total)",
        ] {
            assert_eq!(answer(source), Answer::True, "{source}");
        }
    }

    #[test]
    fn what_is_not_known_is_no_data_unless_the_rest_decides() {
        assert_eq!(answer("offset_ms > 50"), Answer::NoData);
        assert_eq!(answer("!(offset_ms > 50)"), Answer::NoData);
        assert_eq!(answer("offset_ms > 50 && servers_total > 100"), Answer::False);
        assert_eq!(answer("servers_total > 100 && offset_ms > 50"), Answer::False);
        assert_eq!(answer("offset_ms > 50 || servers_total == 4"), Answer::True);
        assert_eq!(answer("known(offset_ms) && offset_ms > 50"), Answer::False);
    }
}
