//! Evaluates a checked expression.

use std::sync::Arc;

use cel::common::types::{CelBool, CelDouble, CelString, DOUBLE_TYPE};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, Value};

use super::{Answer, ENVIRONMENT, Expression};
use crate::alert::facts::View;
use crate::alert::variables::{self, Kind, Source};

/// The function `known(name)`: whether the variable has a value.
pub(super) const KNOWN: &str = "known";
/// The checker replaces `known(name)` by a variable with this prefix. Identifiers cannot start with it.
const KNOWN_PREFIX: char = '?';

pub(super) fn known_name(name: &str) -> String {
    format!("{KNOWN_PREFIX}{name}")
}

/// The standard functions of CEL plus `abs`, `min` and `max`, without macros, so that there are no loops.
pub(super) fn environment() -> Env {
    let mut env = Env::default().with_stdlib();
    let two = || vec![DOUBLE_TYPE, DOUBLE_TYPE];
    env.add_overload("abs", "abs_double", vec![DOUBLE_TYPE], |args| number(&args, |a, _| a.abs()))
        .and_then(|()| env.add_overload("min", "min_double_double", two(), |args| number(&args, f64::min)))
        .and_then(|()| env.add_overload("max", "max_double_double", two(), |args| number(&args, f64::max)))
        .expect("the names are not taken");
    env
}

fn number<'b, 'v>(args: &[CowVal<'b, 'v>], of: fn(f64, f64) -> f64) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = |n: usize| args.get(n).and_then(|arg| arg.downcast_ref::<CelDouble>()).map(|number| *number.inner());
    match (value(0), value(1)) {
        (Some(first), second) => Ok(CowVal::owned(CelDouble::from(of(first, second.unwrap_or(first))))),
        (None, _) => Err(ExecutionError::MissingArgumentOrTarget),
    }
}

impl VariableResolver for View<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(name) = name.strip_prefix(KNOWN_PREFIX) {
            return Some(CowVal::owned(CelBool::from(is_known(self, name))));
        }
        match variables::find(name)?.source {
            Source::Number(value) => {
                value(self).filter(|value| value.is_finite()).map(|value| CowVal::owned(CelDouble::from(value)))
            }
            Source::Truth(value) => value(self).map(|value| CowVal::owned(CelBool::from(value))),
            Source::Text(value) => value(self).map(|value| CowVal::owned(CelString::from(value))),
        }
    }
}

fn is_known(view: &View<'_>, name: &str) -> bool {
    variables::find(name).is_some_and(|variable| match variable.source {
        Source::Number(value) => value(view).is_some_and(f64::is_finite),
        Source::Truth(value) => value(view).is_some(),
        Source::Text(value) => value(view).is_some(),
    })
}

pub(super) fn evaluate(expression: &Expression, view: &View<'_>) -> Answer {
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    context.set_variable_resolver(view);
    match Value::resolve_val(&expression.tree, &context) {
        Ok(value) => match value.downcast_ref::<CelBool>() {
            Some(truth) if *truth.inner() => Answer::True,
            Some(_) => Answer::False,
            None => Answer::Error("the result is neither true nor false".to_owned()),
        },
        Err(why) => {
            let is_missing = |name: &&str| !is_known(view, name);
            match expression.variables.iter().map(|variable| variable.name).find(is_missing) {
                Some(_) => Answer::NoData,
                None => Answer::Error(why.to_string()),
            }
        }
    }
}

/// Sample values of the right types, for the dry run.
struct Plausible;

impl VariableResolver for Plausible {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if name.starts_with(KNOWN_PREFIX) {
            return Some(CowVal::owned(CelBool::from(true)));
        }
        Some(match variables::find(name)?.kind() {
            Kind::Number => CowVal::owned(CelDouble::from(1.0)),
            Kind::Truth => CowVal::owned(CelBool::from(true)),
            Kind::Text => CowVal::owned(CelString::from("text")),
        })
    }
}

/// Evaluates once with sample values, to confirm that an expression that passed the checks can be evaluated.
pub(super) fn dry_run(expression: &Expression) -> Result<(), String> {
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    context.set_variable_resolver(&Plausible);
    let value = Value::resolve_val(&expression.tree, &context).map_err(|why| format!("cannot be evaluated: {why}"))?;
    match value.downcast_ref::<CelBool>() {
        Some(_) => Ok(()),
        None => Err("must be true or false".to_owned()),
    }
}
