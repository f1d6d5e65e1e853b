//! Parses an expression and checks the type of every part. Errors state the position.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, SourceInfo, operators};
use cel::common::types::CelDouble;

use super::{ENVIRONMENT, Expression, ExpressionFault, LONGEST, evaluate};
use crate::alert::variables::{self, Kind, VARIABLES, Variable};

/// The maximum nesting depth.
const DEEPEST: usize = 32;

const NUMERIC: [&str; 3] = [operators::ADD, operators::SUBSTRACT, operators::MULTIPLY];
const ORDERING: [&str; 4] = [operators::LESS, operators::LESS_EQUALS, operators::GREATER, operators::GREATER_EQUALS];
const EQUALITY: [&str; 2] = [operators::EQUALS, operators::NOT_EQUALS];
const LOGICAL: [&str; 2] = [operators::LOGICAL_AND, operators::LOGICAL_OR];
const OF_TEXTS: [&str; 3] = ["startsWith", "endsWith", "contains"];

pub(super) fn parse(source: &str) -> Result<Expression, ExpressionFault> {
    let whole = |message: String| ExpressionFault { position: None, message };
    if source.trim().is_empty() {
        return Err(whole("must not be empty".to_owned()));
    }
    if source.len() > LONGEST {
        return Err(whole(format!("must not be longer than {LONGEST} bytes")));
    }
    // The parser is recursive and limits only the depth of brackets, so operators are counted first. Brackets in texts
    // and comments make this count too low; then the parser's limit holds.
    if nesting(source) > DEEPEST {
        return Err(whole(format!("must not be nested deeper than {DEEPEST}")));
    }
    let parser = ENVIRONMENT.parser().max_recursion_depth(DEEPEST as u16);
    let (mut tree, places) = parser.parse_with_source_info(source).map_err(|errors| {
        let Some(first) = errors.errors.first() else { return whole("syntax error".to_owned()) };
        let place = |at: isize| usize::try_from(at).ok().filter(|at| *at > 0);
        let position = place(first.pos.0).zip(place(first.pos.1));
        ExpressionFault { position, message: format!("syntax error: {}", first.msg) }
    })?;
    let mut checker = Checker { places: &places, source, variables: Vec::new() };
    let kind = checker.check(&mut tree, 0)?;
    if kind != Kind::Truth {
        return Err(whole(format!("must be true or false, but is a {}", kind.label())));
    }
    let variables = checker.variables;
    let expression = Expression { source: source.into(), tree, variables };
    evaluate::dry_run(&expression).map_err(whole)?;
    Ok(expression)
}

/// An upper bound of the nesting depth: open brackets plus prefix operators, which can nest without brackets.
fn nesting(source: &str) -> usize {
    let (mut depth, mut deepest, mut prefixes) = (0_usize, 0, 0_usize);
    for c in source.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '!' | '-' | '?' => prefixes += 1,
            _ => {}
        }
        deepest = deepest.max(depth + prefixes);
    }
    deepest
}

struct Checker<'a> {
    places: &'a SourceInfo,
    source: &'a str,
    variables: Vec<&'static Variable>,
}

type Checked = Result<Kind, ExpressionFault>;

impl Checker<'_> {
    /// Returns the type of `expr`. Rewrites `expr` where this language differs from CEL.
    fn check(&mut self, expr: &mut IdedExpr, depth: usize) -> Checked {
        let id = expr.id;
        if depth > DEEPEST {
            return Err(self.fault(id, format!("must not be nested deeper than {DEEPEST}")));
        }
        match &mut expr.expr {
            Expr::Literal(literal) => literal_kind(literal)
                .ok_or_else(|| self.fault(id, "only numbers, texts, true and false are allowed".to_owned())),
            Expr::Ident(name) => {
                let variable = variables::find(name).ok_or_else(|| self.unknown(id, "variable", name))?;
                self.note(variable);
                Ok(variable.kind())
            }
            Expr::Call(call) if call.func_name == evaluate::KNOWN => {
                let name = self.known(id, call)?;
                expr.expr = Expr::Ident(name);
                Ok(Kind::Truth)
            }
            Expr::Call(call) => self.call(id, call, depth),
            Expr::List(_) => Err(self.fault(id, "a list is only allowed after \"in\"".to_owned())),
            Expr::Select(select) => {
                Err(self.fault(id, format!("there is no field {:?}: values have no fields", select.field)))
            }
            _ => Err(self.fault(id, "is not supported in rules".to_owned())),
        }
    }

    fn call(&mut self, id: u64, call: &mut CallExpr, depth: usize) -> Checked {
        let name = call.func_name.clone();
        if name == operators::IN {
            return self.is_in(id, call, depth);
        }
        let mut kinds = Vec::with_capacity(3);
        if let Some(target) = &mut call.target {
            kinds.push(self.check(target, depth + 1)?);
        }
        for argument in &mut call.args {
            kinds.push(self.check(argument, depth + 1)?);
        }
        let is_member = call.target.is_some();
        match (name.as_str(), kinds.as_slice()) {
            (operators::LOGICAL_NOT, [Kind::Truth]) => Ok(Kind::Truth),
            (operators::NEGATE, [Kind::Number]) => Ok(Kind::Number),
            (name, [Kind::Truth, Kind::Truth]) if LOGICAL.contains(&name) => Ok(Kind::Truth),
            (name, [Kind::Number, Kind::Number]) if NUMERIC.contains(&name) => Ok(Kind::Number),
            (name, [Kind::Number, Kind::Number]) if ORDERING.contains(&name) => Ok(Kind::Truth),
            (name, [left, right]) if EQUALITY.contains(&name) && left == right => Ok(Kind::Truth),
            (operators::DIVIDE, [Kind::Number, Kind::Number]) => self.division(id, &call.args),
            (operators::CONDITIONAL, [Kind::Truth, left, right]) if left == right => Ok(*left),
            ("abs", [Kind::Number]) | ("min" | "max", [Kind::Number, Kind::Number]) if !is_member => Ok(Kind::Number),
            (name, [Kind::Text, Kind::Text]) if is_member && OF_TEXTS.contains(&name) => Ok(Kind::Truth),
            (operators::MODULO, _) => Err(self.fault(id, "% is not supported in rules".to_owned())),
            (name, kinds) => Err(self.misfit(id, name, kinds)),
        }
    }

    fn is_in(&mut self, id: u64, call: &mut CallExpr, depth: usize) -> Checked {
        let [needle, IdedExpr { expr: Expr::List(list), .. }] = call.args.as_mut_slice() else {
            return Err(self.fault(id, "\"in\" must be followed by a list such as [\"a\", \"b\"]".to_owned()));
        };
        let kind = self.check(needle, depth + 1)?;
        for element in &mut list.elements {
            if self.check(element, depth + 1)? != kind {
                return Err(self.fault(element.id, format!("must be a {}, like the value before \"in\"", kind.label())));
            }
        }
        Ok(Kind::Truth)
    }

    /// `known(name)` is replaced by a variable of its own, because evaluating its argument would give "no data".
    fn known(&mut self, id: u64, call: &CallExpr) -> Result<String, ExpressionFault> {
        let ([IdedExpr { expr: Expr::Ident(name), .. }], None) = (call.args.as_slice(), &call.target) else {
            return Err(self.fault(id, "known takes the name of one variable".to_owned()));
        };
        let variable = variables::find(name).ok_or_else(|| self.unknown(id, "variable", name))?;
        self.note(variable);
        Ok(evaluate::known_name(name))
    }

    /// Only division by a non-zero constant is allowed, so that an evaluation never divides by zero.
    fn division(&self, id: u64, arguments: &[IdedExpr]) -> Checked {
        match arguments.last().map(|divisor| &divisor.expr) {
            Some(Expr::Literal(LiteralValue::Double(number))) if *number.inner() != 0.0 => Ok(Kind::Number),
            _ => {
                Err(self
                    .fault(id, "division can fail: divide by a number other than 0, or multiply instead".to_owned()))
            }
        }
    }

    fn note(&mut self, variable: &'static Variable) {
        if self.variables.iter().all(|known| known.name != variable.name) {
            self.variables.push(variable);
        }
    }

    fn misfit(&self, id: u64, name: &str, kinds: &[Kind]) -> ExpressionFault {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.label()).collect();
        let shown = name.trim_matches(|c| matches!(c, '_' | '@'));
        let functions = ["abs", "min", "max", "known"];
        let is_known = name.starts_with(['_', '@', '!', '-']) || functions.contains(&name) || OF_TEXTS.contains(&name);
        if is_known {
            self.fault(id, format!("{shown:?} cannot be applied to a {}", kinds.join(" and a ")))
        } else {
            self.unknown(id, "function", name)
        }
    }

    fn unknown(&self, id: u64, what: &str, name: &str) -> ExpressionFault {
        let all = if what == "variable" {
            VARIABLES.iter().map(|variable| variable.name).collect()
        } else {
            vec!["abs", "min", "max", "known", "startsWith", "endsWith", "contains"]
        };
        self.fault(id, format!("there is no {what} {name:?}{}", suggestion(name, &all)))
    }

    fn fault(&self, id: u64, message: String) -> ExpressionFault {
        let position = self.places.offset_for(id).map(|(start, _)| line_and_column(self.source, start as usize));
        ExpressionFault { position, message }
    }
}

/// `; did you mean …?` if `all` contains a similar name, otherwise empty.
pub fn suggestion(name: &str, all: &[&str]) -> String {
    let near = all
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min();
    near.map_or_else(String::new, |(_, known)| format!("; did you mean {known:?}?"))
}

/// Returns the type of a literal. Integers are converted to floating-point, so that `2 * offset_ms` works.
fn literal_kind(literal: &mut LiteralValue) -> Option<Kind> {
    let number = match literal {
        LiteralValue::Double(_) => return Some(Kind::Number),
        LiteralValue::Boolean(_) => return Some(Kind::Truth),
        LiteralValue::String(_) => return Some(Kind::Text),
        LiteralValue::Int(number) => *number.inner() as f64,
        LiteralValue::UInt(number) => *number.inner() as f64,
        LiteralValue::Bytes(_) | LiteralValue::Null => return None,
    };
    *literal = LiteralValue::Double(CelDouble::from(number));
    Some(Kind::Number)
}

/// Converts an offset in characters into line and column, counted from 1.
fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before: String = source.chars().take(offset).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}
