//! A report as a self-contained HTML page: style and charts are embedded, there is no script and no external resource.
//! Follows the light or dark preference of the reader, and prints well.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::document::{COLUMNS, Document, EVIDENCE, Row, evidence_rows};
use super::drawings::Drawing;
use super::fleet::FleetPart;
use super::listed::Listed;
use super::material::PastAlert;
use super::nts;
use super::shelf::PERIOD;
use super::times::Times;
use super::traceability::Traceability;
use crate::history::happening::Happening;
use crate::plot::Theme;
use ntp_monitor_core::alert::notification::Severity;
use ntp_monitor_core::stats::verdict::{Entry, State};
use ntp_monitor_core::template::Page;
use ntp_monitor_core::text::units::seconds;

const STYLE: &str = include_str!("report.css");
const DEFINITIONS: &str = include_str!("definitions.html");

static REPORT: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("report.html")));
static PICTURE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("picture.html")));

pub(super) fn page(document: &Document, made_ns: i64) -> String {
    let picture = |drawing: &Drawing| json!({ "svg_html": themed(&drawing.svg) });
    let mut values = values(document, made_ns, format!("{STYLE}{}", colors()), picture);
    let [from, to] = [document.period.from_ns, document.period.to_ns].map(rfc3339);
    values["period_name"] = json!(PERIOD);
    values["period"] = json!(format!("{from} {to}"));
    REPORT.render(&values)
}

/// The report as mail; `picture` has the image of each chart, or the reason why there is none.
pub(super) fn mail(document: &Document, made_ns: i64, style: &str, picture: impl Fn(&Drawing) -> Value) -> String {
    REPORT.render(&values(document, made_ns, style.to_owned(), picture))
}

fn rfc3339(at_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at_ns)).map(|at| at.to_string()).unwrap_or_default()
}

/// The template values that page and mail share.
fn values(document: &Document, made_ns: i64, style: String, picture: impl Fn(&Drawing) -> Value) -> Value {
    let times = &document.times;
    let pictures =
        |drawings: &[Drawing]| -> Value { drawings.iter().map(|drawing| PICTURE.render(&picture(drawing))).collect() };
    json!({
        "style_html": style,
        "title": document.title,
        "span": document.span,
        "summary": document.summary,
        "columns": COLUMNS,
        "servers": document.rows.iter().map(server).collect::<Value>(),
        "notes": document.notes,
        "overview": pictures(&document.overview),
        "evidence": document.traceability.as_ref().map(|found| evidence(document, found)),
        "tables": tables(document),
        "lists": [
            list("Verdicts", &document.verdicts, |entry| verdict(entry, times)),
            list("Events", &document.events, |event| happening(event, times)),
            list("Alerts", &document.alerts, |past| alert(past, times)),
        ],
        "details": pictures(&document.details),
        "definitions_html": DEFINITIONS,
        "made": times.second(made_ns),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// The table about NTS, then the tables about the fleet.
fn tables(document: &Document) -> Vec<Value> {
    let authentication = (!document.nts.is_empty()).then(|| nts::table(&document.nts));
    authentication.into_iter().chain(document.fleet.iter().flat_map(FleetPart::tables)).collect()
}

fn server(row: &Row) -> Value {
    let Row { server, verdict, accused, cells, worst } = row;
    json!({ "server": server, "verdict": verdict, "accused": accused, "cells": cells, "worst": worst })
}

fn evidence(document: &Document, found: &Traceability) -> Value {
    json!({ "limit": seconds(found.limit_s), "columns": EVIDENCE, "rows": evidence_rows(document, found) })
}

fn list<T>(title: &str, listed: &Listed<T>, row: impl Fn(&T) -> Value) -> Value {
    json!({ "title": title, "before": listed.before, "rows": listed.shown.iter().map(row).collect::<Value>() })
}

fn verdict(entry: &Entry, times: &Times) -> Value {
    let until = entry.until.map_or_else(|| "the end".to_owned(), |until| times.second(until.0));
    json!({
        "bad": matches!(entry.state, State::ServerWrong | State::LocalWrong),
        "time": format!("{} to {until}", times.second(entry.since.0)),
        "kind": entry.state.label().replace('_', " "),
        "text": entry.sentence,
    })
}

fn happening(event: &Happening, times: &Times) -> Value {
    let start = times.second(event.start.0);
    let time = match event.end {
        Some(end) if end != event.start => format!("{start} to {}", times.second(end.0)),
        Some(_) => start,
        None => format!("{start} on"),
    };
    json!({ "time": time, "kind": event.kind.replace('_', " "), "text": event.sentence })
}

fn alert(past: &PastAlert, times: &Times) -> Value {
    let ended = past.ended.map_or_else(|| "still firing".to_owned(), |ended| format!("to {}", times.second(ended.0)));
    // Most summaries name their server.
    let about = past.server.as_ref().filter(|server| !past.summary.contains(server.as_str()));
    let about = about.map_or_else(String::new, |server| format!("{server}: "));
    json!({
        "bad": past.severity == Severity::Critical,
        "time": format!("{} {ended}", times.second(past.started.0)),
        "kind": format!("{} ({})", past.alert, past.severity.label()),
        "text": format!("{about}{}", past.summary),
    })
}

/// Replaces the colours of a chart by CSS variables, with the light colour as fallback.
fn themed(svg: &str) -> String {
    Theme::LIGHT.colors().fold(svg.to_owned(), |svg, (name, color)| {
        svg.replace(&format!("\"{color}\""), &format!("\"var(--{name}, {color})\""))
    })
}

fn colors() -> String {
    let list = |theme: Theme| theme.colors().map(|(name, color)| format!("--{name}:{color};")).collect::<String>();
    let (light, dark) = (list(Theme::LIGHT), list(Theme::DARK));
    format!(":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n")
}
