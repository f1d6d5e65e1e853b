//! Operators on values. A null operand makes the result null or false; numbers never overflow or trap.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::Fault;
use super::meter::Meter;
use super::tree::Operator;

/// Whether a value counts as true: not null, false, zero or empty.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(items) => !items.is_empty(),
    }
}

/// The name of a value's type in error messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// A number, or null if it is not finite.
pub(super) fn number(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Comparisons and arithmetic.
pub(super) fn apply(operator: Operator, left: &Value, right: &Value, meter: &mut Meter) -> Result<Value, Fault> {
    let truth = |truth| Ok(Value::Bool(truth));
    match operator {
        Operator::Equal => truth(is_equal(left, right, meter)?),
        Operator::Unequal => truth(!is_equal(left, right, meter)?),
        Operator::In => truth(is_in(left, right, meter)?),
        Operator::NotIn => truth(!is_in(left, right, meter)?),
        Operator::Less => truth(order(left, right, meter)?.is_some_and(Ordering::is_lt)),
        Operator::LessOrEqual => truth(order(left, right, meter)?.is_some_and(Ordering::is_le)),
        Operator::Greater => truth(order(left, right, meter)?.is_some_and(Ordering::is_gt)),
        Operator::GreaterOrEqual => truth(order(left, right, meter)?.is_some_and(Ordering::is_ge)),
        _ => calculate(operator, left, right),
    }
}

/// The negative of a number.
pub(super) fn negate(value: &Value) -> Result<Value, Fault> {
    calculate(Operator::Subtract, &Value::from(0), value)
}

fn is_equal(left: &Value, right: &Value, meter: &mut Meter) -> Result<bool, Fault> {
    match (left, right) {
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err(Fault::new("lists and maps cannot be compared"))
        }
        (Value::Number(left), Value::Number(right)) => Ok(left.as_f64() == right.as_f64()),
        (Value::String(left), Value::String(right)) => {
            meter.pay(left.len().min(right.len()))?;
            Ok(left == right)
        }
        _ => Ok(left == right),
    }
}

/// `None` if an operand is null.
fn order(left: &Value, right: &Value, meter: &mut Meter) -> Result<Option<Ordering>, Fault> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(None),
        (Value::Number(left), Value::Number(right)) => {
            Ok(left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right)))
        }
        (Value::String(left), Value::String(right)) => {
            meter.pay(left.len().min(right.len()))?;
            Ok(Some(left.cmp(right)))
        }
        _ => Err(Fault::new(format!("{} and {} cannot be compared", kind(left), kind(right)))),
    }
}

fn is_in(needle: &Value, all: &Value, meter: &mut Meter) -> Result<bool, Fault> {
    match (needle, all) {
        (_, Value::Null) => Ok(false),
        (needle, Value::Array(items)) => {
            for item in items {
                meter.pay(1)?;
                if is_equal(needle, item, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::String(key), Value::Object(items)) => {
            meter.pay(key.len())?;
            Ok(items.contains_key(key))
        }
        (Value::String(needle), Value::String(text)) => {
            meter.pay(needle.len() + text.len())?;
            Ok(text.contains(needle.as_str()))
        }
        (needle, all) => Err(Fault::new(format!("{} cannot be in {}", kind(needle), kind(all)))),
    }
}

fn calculate(operator: Operator, left: &Value, right: &Value) -> Result<Value, Fault> {
    let (left, right) = match (left, right) {
        (Value::Null, Value::Null | Value::Number(_)) | (Value::Number(_), Value::Null) => return Ok(Value::Null),
        (Value::Number(left), Value::Number(right)) => (left, right),
        _ => {
            let hint = "only numbers can be calculated with; use ~ to join texts";
            return Err(Fault::new(format!("{} and {}: {hint}", kind(left), kind(right))));
        }
    };
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
        let whole = match operator {
            Operator::Add => left.checked_add(right),
            Operator::Subtract => left.checked_sub(right),
            Operator::Multiply => left.checked_mul(right),
            _ => None,
        };
        if let Some(whole) = whole {
            return Ok(Value::from(whole));
        }
    }
    let (left, right) = (left.as_f64().unwrap_or(f64::NAN), right.as_f64().unwrap_or(f64::NAN));
    Ok(number(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        _ => f64::NAN,
    }))
}
