//! Generates the tables of docs/ALERTING.md.

use std::fmt::Write as _;

use super::defaults;
use super::template::EXTRAS;
use super::variables::{Of, VARIABLES};
use crate::template::FILTERS;

/// The variables of rules and texts, as Markdown tables.
#[must_use]
pub fn variables() -> String {
    let mut text = String::new();
    for of in Of::ALL {
        let _ = writeln!(text, "**Of the {}**\n\n| variable | type | unit | meaning |\n|---|---|---|---|", of.label());
        for it in VARIABLES.iter().filter(|variable| variable.of == of) {
            let _ = writeln!(text, "| `{}` | {} | {} | {} |", it.name, it.kind().label(), it.unit, it.help);
        }
        text.push('\n');
    }
    text.push_str("**In texts only**\n\n| variable | meaning |\n|---|---|\n");
    for (name, help) in EXTRAS {
        let _ = writeln!(text, "| `{name}` | {help} |");
    }
    text
}

/// The built-in rules, as a Markdown table.
#[must_use]
pub fn rules() -> String {
    let mut text = String::from("| rule | severity | condition | `for` | `keep_firing_for` |\n|---|---|---|---|---|\n");
    let span = |span| humantime::format_duration(span).to_string();
    for rule in defaults::rules() {
        let (name, severity, expr) = (&rule.name, rule.severity.label(), rule.expr.replace('|', "\\|"));
        let (held_for, keep) = (span(rule.held_for), span(rule.keep_firing_for));
        let _ = writeln!(text, "| `{name}` | {severity} | `{expr}` | {held_for} | {keep} |");
    }
    text
}

/// Every filter of templates, as Markdown.
#[must_use]
pub fn filters() -> String {
    let mut text = String::from("| filter | makes |\n|---|---|\n");
    for filter in &FILTERS {
        let parameters = match filter.parameters {
            [] => String::new(),
            all if filter.is_named_only => format!("({}=…)", all.join("=…, ")),
            all => format!("({})", all.join(", ")),
        };
        let _ = writeln!(text, "| `{}{parameters}` | {} |", filter.name, filter.help);
    }
    text
}
