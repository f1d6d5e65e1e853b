//! The table of all metrics, as docs/METRICS.md has it.

use std::fmt::Write as _;

use super::PREFIX;
use super::families::FAMILIES;
use super::family::{Family, Kind, Values};

/// Every metric as a row of a Markdown table.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for family in FAMILIES {
        let kind = match family.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Info => "info",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(text, "| `{}` | {kind} | {} | {} |", name(family), labels(&family.values), family.help);
    }
    text
}

fn name(family: &Family) -> String {
    let unit = family.unit.map(|unit| format!("_{unit}")).unwrap_or_default();
    let suffix = match family.kind {
        Kind::Gauge | Kind::Histogram => "",
        Kind::Counter => "_total",
        Kind::Info => "_info",
    };
    format!("{PREFIX}_{}{unit}{suffix}", family.name)
}

fn labels(values: &Values) -> String {
    let names: Vec<&str> = match values {
        Values::Server(_) => vec!["server", "address"],
        Values::ServerBy(label, _) => vec!["server", "address", label],
        Values::ServerInfo(names, _) => [&["server", "address"][..], *names].concat(),
        Values::One(_) => Vec::new(),
        Values::By(label, _) | Values::Times(label, _) => vec![label],
        Values::ByTwo(first, second, _) => vec![first, second],
        Values::Info(_) => vec!["version", "vantage"],
    };
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_metric_has_a_text_of_a_reply_as_label() {
        let table = markdown();
        let labels = table.lines().filter_map(|row| row.split(" | ").nth(2));
        assert!(labels.clone().count() > 50);
        assert!(labels.clone().all(|labels| !labels.contains("refid")), "{table}");
    }
}
