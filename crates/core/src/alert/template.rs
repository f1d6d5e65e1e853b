//! The texts of an alert: templates with the variables of rules, bounded in time and length.
//!
//! A variable without a value is rendered as "unknown". Numbers are rendered with at most three decimals.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::expression::suggestion;
use super::facts::View;
use super::variables::{self, Kind, Source, VARIABLES};
use crate::template::{self, Fault, FaultKind, Options};

/// The work limit of a text: several times the need of the longest template; about a millisecond.
const OPTIONS: Options = Options {
    longest_source: 4000,
    work: 200_000,
    is_strict: false,
    null: "unknown",
    decimals: Some(3),
    is_html: false,
};

/// The variables that only templates have, with their descriptions.
pub const EXTRAS: [(&str, &str); 5] = [
    ("alert", "The name of the rule."),
    ("severity", "info, warning or critical."),
    ("value", "The value of the first number in the rule's expression."),
    ("vantage", "The configured vantage point of this monitor."),
    ("tags", "The tags of the server, as in `{{ tags.site }}`."),
];

/// A template that parses and renders.
#[derive(Clone)]
pub struct Template {
    template: template::Template,
    source: Arc<str>,
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
    /// When it cannot be parsed, uses an unknown name, or takes too much work.
    pub fn parse(source: &str, longest: usize) -> Result<Self, Fault> {
        let template = template::Template::parse(source, OPTIONS)?;
        let known = |name: &str| variables::find(name).is_some() || EXTRAS.iter().any(|(extra, _)| *extra == name);
        if let Some(unknown) = template.names().iter().find(|name| !known(name)) {
            let all: Vec<&str> = VARIABLES.iter().map(|v| v.name).chain(EXTRAS.map(|(extra, _)| extra)).collect();
            return Err(Fault::new(format!("there is no {unknown:?}{}", suggestion(unknown, &all))));
        }
        let template = Self { template, source: source.into(), longest };
        template.write(&plausible())?;
        Ok(template)
    }

    /// Renders the text. If rendering fails, which the check in [`Template::parse`] makes unlikely, the text says why.
    #[must_use]
    pub fn render(&self, view: &View<'_>, about: &About<'_>) -> String {
        let values = self.template.names().iter().map(|name| (name.clone(), value_of(name, view, about)));
        // Unknown values are not defined.
        self.write(&values.filter(|(_, value)| !value.is_null()).collect())
            .unwrap_or_else(|why| format!("{} ({why})", about.alert))
    }

    fn write(&self, values: &Map<String, Value>) -> Result<String, Fault> {
        let mut text = String::new();
        let written = self.template.render(values, self.longest, &mut text);
        let is_cut = matches!(&written, Err(why) if why.kind == FaultKind::Full);
        text.truncate(text.trim_end().len());
        let mut text = text.trim_start().to_owned();
        if is_cut {
            // A truncated text is not a fault.
            text.push('…');
        } else {
            written?;
        }
        Ok(text)
    }
}

fn value_of(name: &str, view: &View<'_>, about: &About<'_>) -> Value {
    match name {
        "alert" => Value::from(about.alert),
        "severity" => Value::from(about.severity),
        "vantage" => Value::from(about.vantage),
        "value" => Value::from(about.value),
        "tags" => view.server.as_ref().map_or(Value::Null, |server| tags(&server.ident.tags)),
        _ => match variables::find(name).map(|variable| variable.source) {
            Some(Source::Number(value)) => Value::from(value(view)),
            Some(Source::Truth(value)) => Value::from(value(view)),
            Some(Source::Text(value)) => Value::from(value(view)),
            None => Value::Null,
        },
    }
}

fn tags(tags: &BTreeMap<String, String>) -> Value {
    Value::Object(tags.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect())
}

/// Values of the right types, for a test rendering.
fn plausible() -> Map<String, Value> {
    let of = |kind| match kind {
        Kind::Number => Value::from(1.5),
        Kind::Truth => Value::from(true),
        Kind::Text => Value::from("text"),
    };
    let mut values: Map<_, _> =
        VARIABLES.iter().map(|variable| (variable.name.to_owned(), of(variable.kind()))).collect();
    values.extend(EXTRAS.map(|(name, _)| (name.to_owned(), Value::from("text"))));
    values.insert("value".to_owned(), Value::from(1.5));
    values.insert("tags".to_owned(), tags(&BTreeMap::new()));
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::facts::{Common, Count};
    use crate::clock::Stamp;
    use crate::health::report::Health;
    use crate::stats::snapshot::Snapshot;

    fn fault_of(source: &str) -> String {
        Template::parse(source, 100).unwrap_err().to_string()
    }

    #[test]
    fn a_faulty_template_is_refused_with_its_reason() {
        assert!(fault_of("{{ offset_m }}").contains("did you mean \"offset_ms\"?"));
        assert_eq!(fault_of("\n{{ offset_ms"), "{{ is not closed (in line 2)");
        assert!(fault_of("{{ alert * 2 }}").contains("only numbers"));
        assert!(fault_of(&"x".repeat(5000)).contains("longer"));
    }

    #[test]
    fn a_long_text_is_cut_off_and_not_refused() {
        let template = Template::parse(&"ä{{ alert }}".repeat(50), 100).unwrap();
        let text = template.write(&[("alert".to_owned(), Value::from("äää"))].into_iter().collect()).unwrap();
        assert_eq!((text.chars().count(), text.chars().last()), (51, Some('…')));
    }

    #[test]
    fn numbers_are_short_and_missing_values_unknown() {
        let template = Template::parse("{{ offset_ms }} of {{ tags.site }}", 100).unwrap();
        let with = |number: f64| {
            template.write(&[("offset_ms".to_owned(), Value::from(number))].into_iter().collect()).unwrap()
        };
        assert_eq!(with(61.234_567), "61.235 of unknown");
        assert_eq!(with(-0.0001), "0 of unknown");
        assert_eq!(with(60.0), "60 of unknown");
    }

    #[test]
    fn an_unknown_variable_is_not_defined() {
        let snapshot = Snapshot::empty(Stamp::new(0, 0, 0));
        let health = Health::default();
        let common = Common {
            now: snapshot.at,
            snapshot: &snapshot,
            health: &health,
            fleet: None,
            count: Count { polled: 4, lost: 1 },
        };
        let about = About { alert: "a", severity: "info", value: None, vantage: "here" };
        let source = "{% if stratum is defined %}{{ stratum }}{% else %}none{% endif %} of {{ servers_total }}";
        let template = Template::parse(source, 100).unwrap();
        assert_eq!(template.render(&View { server: None, common: &common }, &about), "none of 4");
    }
}
