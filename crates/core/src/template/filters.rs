//! The filters of templates.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::Fault;
use super::meter::{Built, STEP, Sink};
use super::operators::{kind, number};
use super::run::{Held, Run};
use super::tree::FilterId;
use super::write::write_json;

/// A filter, as in `{{ value|name(argument) }}`.
pub struct Filter {
    /// How it is called.
    pub name: &'static str,
    /// Its result, for the documentation.
    pub help: &'static str,
    /// The names of its parameters.
    pub parameters: &'static [&'static str],
    /// The number of required parameters.
    pub required: usize,
    /// Whether arguments must have the name of their parameter.
    pub is_named_only: bool,
    /// Whether it is applied to undefined values and null; otherwise the result of null is null.
    pub takes_null: bool,
    pub(super) apply: Apply,
}

type Apply = for<'a> fn(&mut Run<'a>, Held<'a>, Vec<Held<'a>>) -> Result<Held<'a>, Fault>;
type Filtered<'a> = Result<Held<'a>, Fault>;

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// All filters, by name.
pub static FILTERS: [Filter; 15] = [
    filter("abs", "a number without its sign", |_, value, _| with_number(&value, f64::abs)),
    Filter { takes_null: true, ..with(&["value"], 1, filter("default", "another value in place of none", default)) },
    filter("first", "the first item of a list", |run, value, _| item(run, value, |_| 0)),
    filter("int", "a number without its decimals", |_, value, _| int(&value)),
    with(&["d"], 0, filter("join", "the items of a list as one text, with `d` in between", join)),
    filter("last", "the last item of a list", |run, value, _| item(run, value, |length| length.saturating_sub(1))),
    filter("length", "how many items or characters there are", |run, value, _| length(run, &value)),
    filter("list", "the items of a list, or the keys of a map", |run, value, _| list(run, value)),
    filter("lower", "a text in small letters", lower),
    Filter { is_named_only: true, ..with(&["attribute"], 1, filter("map", "one field of each item of a list", map)) },
    with(&["old", "new"], 2, filter("replace", "a text with `new` in place of each `old`", replace)),
    with(&["precision"], 0, filter("round", "a number with `precision` decimals, 0 unless given", round)),
    Filter { takes_null: true, ..filter("tojson", "the value as JSON; a text gets its quotes", to_json) },
    filter("trim", "a text without white space around it", trim),
    filter("upper", "a text in capital letters", upper),
];

/// The filter of this name.
pub(super) fn find(name: &str) -> Option<(FilterId, &'static Filter)> {
    FILTERS.iter().enumerate().find(|(_, filter)| filter.name == name).map(|(n, filter)| (FilterId(n), filter))
}

const fn filter(name: &'static str, help: &'static str, apply: Apply) -> Filter {
    Filter { name, help, parameters: &[], required: 0, is_named_only: false, takes_null: false, apply }
}

const fn with(parameters: &'static [&'static str], required: usize, filter: Filter) -> Filter {
    Filter { parameters, required, ..filter }
}

fn default<'a>(_: &mut Run<'a>, value: Held<'a>, arguments: Vec<Held<'a>>) -> Filtered<'a> {
    Ok(if value.is_null() { arguments.into_iter().next().unwrap_or(value) } else { value })
}

fn with_number<'a>(value: &Value, change: impl FnOnce(f64) -> f64) -> Filtered<'a> {
    let given = value.as_f64().ok_or_else(|| misfit(value, "a number"))?;
    Ok(Cow::Owned(number(change(given))))
}

fn int<'a>(value: &Value) -> Filtered<'a> {
    let text = value.as_str().map(|text| text.trim().parse::<f64>().unwrap_or(f64::NAN));
    let given = text.or(value.as_f64()).ok_or_else(|| misfit(value, "a number"))?;
    // Rust's conversion saturates.
    Ok(Cow::Owned(if given.is_nan() { Value::Null } else { Value::from(given as i64) }))
}

fn round<'a>(_: &mut Run<'a>, value: Held<'a>, arguments: Vec<Held<'a>>) -> Filtered<'a> {
    let decimals = arguments.first().and_then(|value| value.as_i64()).unwrap_or(0).clamp(0, 15);
    let scale = 10_f64.powi(i32::try_from(decimals).unwrap_or(0));
    with_number(&value, |value| if (value * scale).is_finite() { (value * scale).round() / scale } else { value })
}

fn item<'a>(run: &mut Run<'a>, value: Held<'a>, which: fn(usize) -> usize) -> Filtered<'a> {
    let Value::Array(items) = value.as_ref() else { return Err(misfit(&value, "a list")) };
    let at = which(items.len());
    Ok(run.item_at(value, at)?.unwrap_or(Cow::Owned(Value::Null)))
}

fn length<'a>(run: &mut Run<'a>, value: &Value) -> Filtered<'a> {
    let length = match value {
        Value::Array(items) => items.len(),
        Value::Object(items) => items.len(),
        Value::String(text) => {
            run.meter.pay(text.len())?;
            text.chars().count()
        }
        other => return Err(misfit(other, "a list, a map or a text")),
    };
    Ok(Cow::Owned(Value::from(length)))
}

fn list<'a>(run: &mut Run<'a>, value: Held<'a>) -> Filtered<'a> {
    match value.as_ref() {
        Value::Array(_) => Ok(value),
        Value::Object(items) => {
            let mut keys = Vec::new();
            for key in items.keys() {
                run.meter.pay(STEP + key.len())?;
                keys.push(Value::String(key.clone()));
            }
            Ok(Cow::Owned(Value::Array(keys)))
        }
        other => Err(misfit(other, "a list or a map")),
    }
}

fn map<'a>(run: &mut Run<'a>, value: Held<'a>, arguments: Vec<Held<'a>>) -> Filtered<'a> {
    let (Value::Array(items), Some(path)) = (value.as_ref(), arguments.first().and_then(|path| path.as_str())) else {
        return Err(misfit(&value, "a list, and the attribute must be a text"));
    };
    let mut fields = Vec::new();
    for item in items {
        let mut field = item;
        for (n, name) in path.split('.').enumerate() {
            run.meter.pay(STEP + name.len())?;
            field = match field.get(name) {
                Some(field) => field,
                None if n == 0 && run.options.is_strict => {
                    return Err(Fault::new(format!("the field {name:?} is not defined")));
                }
                // An item may lack the label.
                None => &Value::Null,
            };
        }
        run.meter.pay_for_copy(field)?;
        fields.push(field.clone());
    }
    Ok(Cow::Owned(Value::Array(fields)))
}

fn join<'a>(run: &mut Run<'a>, value: Held<'a>, arguments: Vec<Held<'a>>) -> Filtered<'a> {
    let Value::Array(items) = value.as_ref() else { return Err(misfit(&value, "a list")) };
    let between = arguments.first().and_then(|between| between.as_str()).unwrap_or("");
    let (options, mut text) = (run.options, Built::new(&mut run.meter));
    for (n, item) in items.iter().enumerate() {
        text.meter.pay(STEP)?;
        if n > 0 {
            text.push(between)?;
        }
        options.write(item, &mut text)?;
    }
    Ok(Cow::Owned(Value::String(text.text)))
}

fn replace<'a>(run: &mut Run<'a>, value: Held<'a>, arguments: Vec<Held<'a>>) -> Filtered<'a> {
    let [Some(old), Some(new)] = [0, 1].map(|n| arguments.get(n).and_then(|text| text.as_str())) else {
        return Err(Fault::new("the filter \"replace\" needs two texts"));
    };
    if old.is_empty() {
        return Err(Fault::new("the filter \"replace\" cannot replace an empty text"));
    }
    of_text(run, &value, |text, out| {
        out.meter.pay(text.len())?;
        for (n, part) in text.split(old).enumerate() {
            if n > 0 {
                out.push(new)?;
            }
            out.push(part)?;
        }
        Ok(())
    })
}

fn to_json<'a>(run: &mut Run<'a>, value: Held<'a>, _: Vec<Held<'a>>) -> Filtered<'a> {
    let mut text = Built::new(&mut run.meter);
    write_json(&value, &mut text)?;
    Ok(Cow::Owned(Value::String(text.text)))
}

fn trim<'a>(run: &mut Run<'a>, value: Held<'a>, _: Vec<Held<'a>>) -> Filtered<'a> {
    of_text(run, &value, |text, out| out.push(text.trim()))
}

fn upper<'a>(run: &mut Run<'a>, value: Held<'a>, _: Vec<Held<'a>>) -> Filtered<'a> {
    of_text(run, &value, |text, out| {
        out.meter.pay(text.len())?;
        out.push(&text.to_uppercase())
    })
}

fn lower<'a>(run: &mut Run<'a>, value: Held<'a>, _: Vec<Held<'a>>) -> Filtered<'a> {
    of_text(run, &value, |text, out| {
        out.meter.pay(text.len())?;
        out.push(&text.to_lowercase())
    })
}

fn of_text<'a>(
    run: &mut Run<'a>,
    value: &Value,
    change: impl FnOnce(&str, &mut Built<'_>) -> Result<(), Fault>,
) -> Filtered<'a> {
    let text = value.as_str().ok_or_else(|| misfit(value, "a text"))?;
    let mut changed = Built::new(&mut run.meter);
    change(text, &mut changed)?;
    Ok(Cow::Owned(Value::String(changed.text)))
}

fn misfit(value: &Value, wanted: &str) -> Fault {
    Fault::new(format!("{} is given to a filter that takes {wanted}", kind(value)))
}
