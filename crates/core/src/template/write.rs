//! Writes values as text.

use std::fmt::Write;

use serde_json::Value;

use super::meter::{Adapter, Sink};
use super::{Fault, Options};

/// Numbers from this magnitude on are written with an exponent.
const PLAIN_BELOW: f64 = 1e15;

impl Options {
    /// Writes a value for people; lists and maps as JSON.
    pub(super) fn write(&self, value: &Value, out: &mut impl Sink) -> Result<(), Fault> {
        match (value, self.decimals) {
            (Value::Null, _) => out.push(self.null),
            (Value::String(text), _) => out.push(text),
            (Value::Number(number), Some(decimals)) if number.as_f64().is_some_and(|it| it.abs() < PLAIN_BELOW) => {
                let text = format!("{:.decimals$}", number.as_f64().unwrap_or_default());
                let is_fraction = text.contains('.');
                let text = if is_fraction { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
                out.push(if text == "-0" { "0" } else { text })
            }
            (Value::Number(number), _) => Adapter::run(out, |out| write!(out, "{number}")),
            (value, _) => write_json(value, out),
        }
    }
}

pub(super) fn write_json(value: &Value, out: &mut impl Sink) -> Result<(), Fault> {
    Adapter::run(out, |out| serde_json::to_writer(out, value))
}
