//! The texts of alerts: Jinja templates over the variables of rules, with limits on run time and length.
//!
//! A variable without a value is rendered as "unknown". Numbers are rendered with at most three decimals.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};

use super::expression::suggestion;
use super::facts::View;
use super::variables::{self, Kind, Source, VARIABLES};

/// The maximum length of a template, in bytes.
const LONGEST: usize = 4000;
/// The maximum number of template instructions for one rendering. A sentence takes dozens.
const FUEL: u64 = 20_000;
const NAME: &str = "text";

/// The variables that only templates have, with their descriptions.
pub const EXTRAS: [(&str, &str); 5] = [
    ("alert", "The name of the rule."),
    ("severity", "info, warning or critical."),
    ("value", "The value of the first number in the rule's expression."),
    ("vantage", "The configured vantage point of this monitor."),
    ("tags", "The tags of the server, as in `{{ tags.site }}`."),
];

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateFault(String);

/// A checked template.
#[derive(Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    source: Arc<str>,
    names: Arc<[String]>,
    longest: usize,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

/// The values of the variables in [`EXTRAS`], except for the tags.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The name of the rule.
    pub alert: &'a str,
    /// The severity of the rule.
    pub severity: &'static str,
    /// The value of the first number in the rule's expression.
    pub value: Option<f64>,
    /// The configured vantage point of this monitor.
    pub vantage: &'a str,
}

impl Template {
    /// Compiles a template and test-renders it once. Rendered texts are truncated to `longest` bytes.
    ///
    /// # Errors
    /// If the template has a syntax error, uses an unknown variable, or exceeds the instruction limit.
    pub fn parse(source: &str, longest: usize) -> Result<Self, TemplateFault> {
        if source.len() > LONGEST {
            return Err(TemplateFault(format!("must not be longer than {LONGEST} bytes")));
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(write_value);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|why| fault(&why))?;
        let names = {
            let template = environment.get_template(NAME).map_err(|why| fault(&why))?;
            let known = |name: &str| variables::find(name).is_some() || EXTRAS.iter().any(|(extra, _)| *extra == name);
            let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
            names.sort();
            // Built-in functions are listed like variables; skip them.
            names.retain(|name| known(name) || environment.empty_state().lookup(name).is_none());
            if let Some(unknown) = names.iter().find(|name| !known(name)) {
                let all: Vec<&str> = VARIABLES.iter().map(|v| v.name).chain(EXTRAS.map(|(extra, _)| extra)).collect();
                return Err(TemplateFault(format!("there is no {unknown:?}{}", suggestion(unknown, &all))));
            }
            names
        };
        let template = Self { environment: Arc::new(environment), source: source.into(), names: names.into(), longest };
        template.write(&plausible()).map_err(|why| fault(&why))?;
        Ok(template)
    }

    /// The source text of the template.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders the text. If rendering fails, which the check in [`Template::parse`] makes unlikely, the text says why.
    #[must_use]
    pub fn render(&self, view: &View<'_>, about: &About<'_>) -> String {
        let values = self.names.iter().map(|name| (name.as_str(), value_of(name, view, about))).collect();
        self.write(&values).unwrap_or_else(|why| format!("{} ({})", about.alert, fault(&why)))
    }

    fn write(&self, values: &BTreeMap<&str, Value>) -> Result<String, Error> {
        let template = self.environment.get_template(NAME)?;
        let mut text = Bounded { text: Vec::new(), longest: self.longest, is_full: false };
        let written = template
            .render_captured_to(Value::from_pairs(values.iter().map(|(name, value)| (*name, value.clone()))), &mut text)
            .map(drop);
        // Truncation is not an error.
        if !text.is_full {
            written?;
        }
        Ok(text.finish())
    }
}

fn fault(why: &Error) -> TemplateFault {
    let what = match (why.kind(), why.detail()) {
        (ErrorKind::OutOfFuel, _) => "takes too many steps to render".to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    TemplateFault(why.line().filter(|line| *line > 1).map_or(what.clone(), |line| format!("{what} (in line {line})")))
}

fn value_of(name: &str, view: &View<'_>, about: &About<'_>) -> Value {
    let number = |value: Option<f64>| value.filter(|value| value.is_finite()).map_or(Value::UNDEFINED, Value::from);
    match name {
        "alert" => Value::from(about.alert),
        "severity" => Value::from(about.severity),
        "vantage" => Value::from(about.vantage),
        "value" => number(about.value),
        "tags" => view.server.as_ref().map_or(Value::UNDEFINED, |server| tags(&server.ident.tags)),
        _ => match variables::find(name).map(|variable| variable.source) {
            Some(Source::Number(value)) => number(value(view)),
            Some(Source::Truth(value)) => value(view).map_or(Value::UNDEFINED, Value::from),
            Some(Source::Text(value)) => value(view).map_or(Value::UNDEFINED, Value::from),
            None => Value::UNDEFINED,
        },
    }
}

fn tags(tags: &BTreeMap<String, String>) -> Value {
    Value::from_pairs(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// Sample values of the right types, for the test rendering.
fn plausible() -> BTreeMap<&'static str, Value> {
    let of = |kind| match kind {
        Kind::Number => Value::from(1.5),
        Kind::Truth => Value::from(true),
        Kind::Text => Value::from("text"),
    };
    let mut values: BTreeMap<_, _> = VARIABLES.iter().map(|variable| (variable.name, of(variable.kind()))).collect();
    values.extend(EXTRAS.map(|(name, _)| (name, Value::from("text"))));
    values.insert("value", Value::from(1.5));
    values.insert("tags", tags(&BTreeMap::new()));
    values
}

fn write_value(out: &mut minijinja::Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let written = match (value.kind(), f64::try_from(value.clone())) {
        (ValueKind::Undefined | ValueKind::None, _) => out.write_str("unknown"),
        (ValueKind::Number, Ok(number)) => out.write_str(&decimal(number)),
        _ => write!(out, "{value}"),
    };
    Ok(written?)
}

/// Formats a number with at most three decimals.
fn decimal(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A writer that stops after `longest` bytes.
struct Bounded {
    text: Vec<u8>,
    longest: usize,
    is_full: bool,
}

impl Bounded {
    fn finish(self) -> String {
        let mut text = String::from_utf8_lossy(&self.text).trim().to_owned();
        if self.is_full {
            text.truncate(text.trim_end_matches('\u{fffd}').len());
            text.push('…');
        }
        text
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.longest.saturating_sub(self.text.len());
        self.text.extend(bytes.iter().take(room));
        if bytes.len() > room {
            self.is_full = true;
            return Err(io::Error::other("the text is long enough"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(source: &str) -> String {
        Template::parse(source, 100).unwrap_err().to_string()
    }

    #[test]
    fn template_that_cannot_be_rendered_is_rejected() {
        assert!(fault_of("{{ offset_m }}").contains("did you mean \"offset_ms\"?"));
        assert!(fault_of("{{ offset_ms").contains("syntax error"), "{}", fault_of("{{ offset_ms"));
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}";
        assert_eq!(fault_of(endless), "takes too many steps to render");
        assert!(fault_of(&"x".repeat(5000)).contains("longer"));
    }

    #[test]
    fn long_text_is_truncated() {
        let template = Template::parse("{% for a in range(200) %}ä{% endfor %}", 100).unwrap();
        let text = template.write(&plausible()).unwrap();
        assert_eq!((text.chars().count(), text.chars().last()), (51, Some('…')));
    }

    #[test]
    fn numbers_are_short_and_missing_values_unknown() {
        let template = Template::parse("{{ offset_ms }} of {{ tags.site }}", 100).unwrap();
        let with = |number: f64| template.write(&[("offset_ms", Value::from(number))].into()).unwrap();
        assert_eq!(with(61.234_567), "61.235 of unknown");
        assert_eq!(with(-0.0001), "0 of unknown");
        assert_eq!(with(60.0), "60 of unknown");
    }
}
