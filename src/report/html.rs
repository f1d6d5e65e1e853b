//! A report as a self-contained HTML page: style and charts are embedded, there is no script and no external resource.
//! Follows the light or dark preference of the reader, and prints well.

use std::fmt::Write as _;

use super::document::{COLUMNS, Document, EVIDENCE, Row, evidence_rows};
use super::drawings::Drawing;
use super::listed::Listed;
use super::shelf::PERIOD;
use crate::plot::Theme;
use ntp_monitor_core::stats::verdict::{Entry, State};
use ntp_monitor_core::text::html::Text;
use ntp_monitor_core::text::units::seconds;

const STYLE: &str = include_str!("report.css");
const DEFINITIONS: &str = include_str!("definitions.html");

pub(super) fn page(document: &Document, made_ns: i64) -> String {
    let mut html = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    let [from, to] = [document.period.from_ns, document.period.to_ns].map(rfc3339);
    let _ = writeln!(html, "<meta name=\"{PERIOD}\" content=\"{from} {to}\">");
    let title = Text(&document.title);
    let _ = writeln!(html, "<title>{title}</title>\n<meta name=\"viewport\" content=\"width=device-width\">");
    let _ = writeln!(html, "<style>\n{STYLE}{}</style>\n</head>\n<body>", colors());
    body(&mut html, document, made_ns, &|drawing| figure(&themed(&drawing.svg)));
    html.push_str("</body>\n</html>\n");
    html
}

fn rfc3339(at_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at_ns)).map(|at| at.to_string()).unwrap_or_default()
}

/// The body, shared by page and mail; `picture` renders a chart.
pub(super) fn body(html: &mut String, document: &Document, made_ns: i64, picture: &dyn Fn(&Drawing) -> String) {
    let _ = writeln!(html, "<h1>{}</h1>\n<p class=\"faint\">{}</p>", Text(&document.title), Text(&document.span));
    html.push_str("<div class=\"summary\">\n");
    for sentence in &document.summary {
        let _ = writeln!(html, "<p>{}</p>", Text(sentence));
    }
    html.push_str("</div>\n");
    servers(html, document);
    pictures(html, &document.overview, picture);
    evidence(html, document);
    if let Some(fleet) = &document.fleet {
        fleet.html(html);
    }
    verdicts(html, document);
    events(html, document);
    alerts(html, document);
    if !document.details.is_empty() {
        html.push_str("<h2>Server by server</h2>\n");
        pictures(html, &document.details, picture);
    }
    html.push_str(DEFINITIONS);
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(html, "<footer>Made at {} by ntp-monitor {version}.</footer>", document.times.second(made_ns));
}

fn servers(html: &mut String, document: &Document) {
    html.push_str("<h2>Servers</h2>\n");
    if document.rows.is_empty() {
        html.push_str("<p>No server was polled.</p>\n");
    } else {
        html.push_str("<div class=\"wide\"><table>\n<thead><tr><th>server");
        for title in COLUMNS {
            let _ = write!(html, "<th class=\"number\">{title}");
        }
        html.push_str("<th>verdict</tr></thead>\n<tbody>\n");
        document.rows.iter().for_each(|row| server(html, row));
        html.push_str("</tbody></table></div>\n");
        worst_moments(html, &document.rows);
    }
    for note in &document.notes {
        let _ = writeln!(html, "<p class=\"faint\">{}</p>", Text(note));
    }
}

fn server(html: &mut String, row: &Row) {
    let class = if row.accused { " class=\"bad\"" } else { "" };
    let _ = write!(html, "<tr{class}><td>{}", Text(&row.server));
    for cell in &row.cells {
        let _ = write!(html, "<td class=\"number\">{}", Text(cell));
    }
    let _ = writeln!(html, "<td class=\"said\">{}</tr>", Text(&row.verdict));
}

/// The largest offsets, in a separate table because the table of figures is wide.
fn worst_moments(html: &mut String, rows: &[Row]) {
    html.push_str("<h2>Worst moments</h2>\n<div class=\"wide\"><table><tbody>\n");
    for row in rows.iter().filter(|row| !row.worst.is_empty()) {
        let _ = write!(html, "<tr><td>{}", Text(&row.server));
        row.worst.iter().for_each(|moment| {
            let _ = write!(html, "<td class=\"moments\">{}", Text(moment));
        });
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

fn pictures(html: &mut String, drawings: &[Drawing], picture: &dyn Fn(&Drawing) -> String) {
    drawings.iter().for_each(|drawing| html.push_str(&picture(drawing)));
}

/// An image or SVG inside a figure.
pub(super) fn figure(inner: &str) -> String {
    format!("<figure>{inner}</figure>\n")
}

fn evidence(html: &mut String, document: &Document) {
    let Some(found) = &document.traceability else { return };
    let _ = write!(
        html,
        "<h2>Evidence of traceability</h2>\n<p>Share of the time for which this host's clock was shown to be within {} \
         of true time, provided that the server's claim about its own error holds. The claim of a server that was found \
         wrong does not. The first row counts the time for which more than half of the servers that were polled, at \
         least three of them, showed this at once. Time that has not passed yet does not count.</p>\n\
         <div class=\"wide\"><table>\n<thead><tr><th>server",
        Text(&seconds(found.limit_s))
    );
    EVIDENCE.iter().for_each(|title| {
        let _ = write!(html, "<th class=\"number\">{title}");
    });
    html.push_str("</tr></thead>\n<tbody>\n");
    for (n, (name, shares)) in evidence_rows(document, found).into_iter().enumerate() {
        let class = if n == 0 { " class=\"strong\"" } else { "" };
        let _ = write!(html, "<tr{class}><td>{}", Text(&name));
        shares.iter().for_each(|share| {
            let _ = write!(html, "<td class=\"number\">{share}");
        });
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

/// A heading, and the number of entries that are omitted.
fn list<T>(html: &mut String, title: &str, listed: &Listed<T>) {
    let _ = writeln!(html, "<h2>{title}</h2>");
    if listed.shown.is_empty() {
        html.push_str("<p>None.</p>\n");
    }
    if listed.before > 0 {
        let _ = writeln!(html, "<p class=\"faint\">{} earlier ones are not listed.</p>", listed.before);
    }
}

fn table(html: &mut String, rows: impl ExactSizeIterator<Item = (bool, [String; 3])>) {
    if rows.len() == 0 {
        return;
    }
    html.push_str("<div class=\"wide\"><table><tbody>\n");
    for (bad, cells) in rows {
        html.push_str(if bad { "<tr class=\"bad\">" } else { "<tr>" });
        for (cell, class) in cells.iter().zip([" class=\"time\"", " class=\"kind\"", ""]) {
            let _ = write!(html, "<td{class}>{}", Text(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

fn verdicts(html: &mut String, document: &Document) {
    let (listed, times) = (&document.verdicts, &document.times);
    list(html, "Verdicts", listed);
    let row = |entry: &Entry| {
        let until = entry.until.map_or_else(|| "the end".to_owned(), |until| times.second(until.0));
        let bad = matches!(entry.state, State::ServerWrong | State::LocalWrong);
        (
            bad,
            [
                format!("{} to {until}", times.second(entry.since.0)),
                entry.state.label().replace('_', " "),
                entry.sentence.clone(),
            ],
        )
    };
    table(html, listed.shown.iter().map(row));
}

fn events(html: &mut String, document: &Document) {
    list(html, "Events", &document.events);
    let times = &document.times;
    let row = |event: &crate::history::happening::Happening| {
        let lasts = event.end.filter(|end| *end != event.start);
        let time = match (lasts, event.end) {
            (Some(end), _) => format!("{} to {}", times.second(event.start.0), times.second(end.0)),
            (None, Some(_)) => times.second(event.start.0),
            (None, None) => format!("{} on", times.second(event.start.0)),
        };
        (false, [time, event.kind.replace('_', " "), event.sentence.clone()])
    };
    table(html, document.events.shown.iter().map(row));
}

fn alerts(html: &mut String, document: &Document) {
    list(html, "Alerts", &document.alerts);
    let times = &document.times;
    let row = |alert: &super::material::PastAlert| {
        let ended =
            alert.ended.map_or_else(|| "still firing".to_owned(), |ended| format!("to {}", times.second(ended.0)));
        let bad = alert.severity == ntp_monitor_core::alert::notification::Severity::Critical;
        // Most summaries name their server.
        let about = alert.server.as_ref().filter(|server| !alert.summary.contains(server.as_str()));
        let about = about.map_or_else(String::new, |server| format!("{server}: "));
        let rule = format!("{} ({})", alert.alert, alert.severity.label());
        (bad, [format!("{} {ended}", times.second(alert.started.0)), rule, format!("{about}{}", alert.summary)])
    };
    table(html, document.alerts.shown.iter().map(row));
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
