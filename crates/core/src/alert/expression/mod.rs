//! The expressions of rules, in CEL (Common Expression Language). An expression is type-checked when it is loaded, so
//! that evaluation cannot fail later, and its evaluation time is bounded by its length.
//!
//! The language is CEL without macros, so there are no loops, and with one numeric type: `2` and `2.0` are equal. The
//! checker rejects unknown names, wrong types, and division by anything but a non-zero constant. If a value is not
//! known, the answer is "no data", unless the other operand decides: `false && unknown` is false.

mod check;
mod evaluate;

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Env, IdedExpr};

pub(super) use check::suggestion;

use super::facts::View;
use super::variables::{Of, Variable};

/// The maximum length of an expression, in bytes. The cost of an evaluation grows with the length.
pub const LONGEST: usize = 1000;

/// An error in an expression, with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionFault {
    /// Line and column, counted from 1; `None` if the error concerns the whole expression.
    pub position: Option<(usize, usize)>,
    /// What is wrong and how to fix it.
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

/// A checked expression with the result true or false.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Arc<str>,
    tree: IdedExpr,
    variables: Vec<&'static Variable>,
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The condition is true.
    True,
    /// The condition is false.
    False,
    /// A value that the result depends on is not known now.
    NoData,
    /// The evaluation failed. Holds the reason.
    Error(String),
}

impl Expression {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// The first error in the expression.
    pub fn parse(source: &str) -> Result<Self, ExpressionFault> {
        check::parse(source)
    }

    /// The source text of the expression.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The variables in the expression, in the order of first use.
    #[must_use]
    pub fn variables(&self) -> &[&'static Variable] {
        &self.variables
    }

    /// Whether the expression uses server variables and is therefore evaluated for each server.
    #[must_use]
    pub fn is_about_servers(&self) -> bool {
        self.variables.iter().any(|variable| variable.of == Of::Server)
    }

    /// Whether the expression uses variables of the fleet, which every hub knows.
    #[must_use]
    pub fn is_about_fleet(&self) -> bool {
        self.variables.iter().any(|variable| variable.of == Of::Fleet)
    }

    /// Evaluates the expression over the data in `view`.
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
    fn errors_state_their_position() {
        for (source, expected) in [
            ("", "must not be empty"),
            ("offset_ms > ", "syntax error"),
            ("offsett_ms > 1", "there is no variable \"offsett_ms\"; did you mean \"offset_ms\"? (at column 1)"),
            ("stratum > 1 &&\n  absolute(offset_ms) > 1", "at line 2, column"),
            ("offset_ms > \"1\"", "cannot be applied to a number and a text"),
            ("offset_ms", "must be true or false, but is a number"),
            ("offset_ms + provable > 1", "cannot be applied to a number and a truth"),
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
    fn too_long_or_deeply_nested_expressions_are_rejected() {
        assert!(fault(&format!("provable{}", " || provable".repeat(500))).contains("longer"));
        assert!(fault(&format!("{}provable{}", "(".repeat(200), ")".repeat(200))).contains("nested"));
        assert!(fault(&format!("{}provable", "!".repeat(900))).contains("nested"));
    }

    /// The language has no lists, texts, macros or patterns that could grow or run long.
    #[test]
    fn nothing_that_grows_or_loops_is_accepted() {
        let nested = |open: &str, n: usize, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
        for (source, expected) in [
            ("'a'.matches('(a+)+$')".to_owned(), "no function \"matches\""),
            ("size([1, 2, 3]) > 1".to_owned(), "a list is only allowed after"),
            ("verdict + verdict == 'a'".to_owned(), "cannot be applied to"),
            ("[1] + [2] == [1, 2]".to_owned(), "a list is only allowed after"),
            ("[1, 2].exists(x, x > 1)".to_owned(), "a list is only allowed after"),
            ("{'a': 1}['a'] > 0".to_owned(), "not supported in rules"),
            ("string(1) == '1'".to_owned(), "no function \"string\""),
            ("timestamp('x') > timestamp('y')".to_owned(), "no function \"timestamp\""),
            ("stratum == 0x".to_owned() + &"f".repeat(900), "syntax error"),
            ("stratum == 1".to_owned() + &"+1".repeat(400), "nested deeper"),
            ("a".to_owned() + &".a".repeat(400), "no field"),
            (nested("[1].map(x, ", 15, ")"), "a list is only allowed after"),
            (nested("[", 300, "]"), "nested deeper"),
            (nested("{1: ", 150, "}"), "nested deeper"),
            (nested("(", 450, ")"), "nested deeper"),
            (nested("-", 900, ""), "nested deeper"),
            (nested("true ? 1 : ", 80, ""), "nested deeper"),
            // Brackets in texts and comments hide the real depth; then the parser's limit applies.
            (nested("(')' == ", 70, ")"), "ecursion limit"),
            (nested("[')))', ", 70, "]"), "ecursion limit"),
            (nested("(//)\n", 150, ")"), "ecursion limit"),
            ("{".repeat(30), "syntax error"),
            ("\"\\".repeat(400), "syntax error"),
        ] {
            let found = fault(&source);
            assert!(found.contains(expected), "{source}: {found}");
        }
    }

    const FRAGMENTS: [&str; 40] = [
        "(", ")", "[", "]", "{", "}", "stratum", "provable", "1", "2.5", "'x'", "\"", "'", "\\", "?", ":", "&&", "||",
        "!", "-", "+", "/", "%", "==", "<", " in ", ".", ",", "all", "map", "has", "known", "abs", "0x", "r'", "b\"",
        "`", "//", "\n", "é",
    ];

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(500))]

        #[test]
        fn no_expression_panics(parts in proptest::collection::vec(proptest::sample::select(&FRAGMENTS[..]), 0..100)) {
            let _ = Expression::parse(&parts.concat());
            let _ = Expression::parse(&parts.join(" "));
        }
    }

    fn answer(source: &str) -> Answer {
        let snapshot = Snapshot::empty(Stamp::new(0, 0, 0));
        let health = Health::default();
        let count = Count { polled: 4, lost: 1 };
        let common = Common { now: snapshot.at, snapshot: &snapshot, health: &health, fleet: None, count };
        Expression::parse(source).unwrap().evaluate(&View { server: None, common: &common })
    }

    #[test]
    fn integers_and_decimals_are_the_same_type() {
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
    fn unknown_value_is_no_data_unless_the_rest_decides() {
        assert_eq!(answer("offset_ms > 50"), Answer::NoData);
        assert_eq!(answer("!(offset_ms > 50)"), Answer::NoData);
        assert_eq!(answer("offset_ms > 50 && servers_total > 100"), Answer::False);
        assert_eq!(answer("servers_total > 100 && offset_ms > 50"), Answer::False);
        assert_eq!(answer("offset_ms > 50 || servers_total == 4"), Answer::True);
        assert_eq!(answer("known(offset_ms) && offset_ms > 50"), Answer::False);
    }
}
