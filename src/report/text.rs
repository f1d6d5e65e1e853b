//! A report for readers without HTML. A message starts with the summary, so this text does not repeat it.

use std::fmt::Write as _;

use super::document::{Document, EVIDENCE, evidence_rows};
use super::nts;
use super::times::Times;
use ntp_monitor_core::text::plain::is_disruptive;
use ntp_monitor_core::text::units::seconds;

/// The text: one line per server, verdict, event and alert.
pub(super) fn text(document: &Document) -> String {
    let mut text = format!("{}\n", document.span);
    if !document.rows.is_empty() {
        text.push_str("\nServers\n");
    }
    for row in &document.rows {
        let figure = |n: usize| row.cells.get(n).map_or("", String::as_str);
        let (answered, median, p95) = (figure(1), figure(2), figure(3));
        let _ = writeln!(
            text,
            "  {}: {answered} answered, offset {median}, |offset| p95 {p95}; {}",
            printable(&row.server),
            printable(&row.verdict)
        );
    }
    document.notes.iter().for_each(|note| {
        let _ = writeln!(text, "  ({note})");
    });
    if let Some(found) = &document.traceability {
        let _ = writeln!(text, "\nThis host's clock within {}", seconds(found.limit_s));
        for (name, shares) in evidence_rows(document, found) {
            let cells = EVIDENCE.iter().zip(shares).map(|(title, share)| format!("{title} {share}"));
            let _ = writeln!(text, "  {}: {}", printable(&name), cells.collect::<Vec<_>>().join(", "));
        }
    }
    if !document.nts.is_empty() {
        text.push_str("\nAuthentication (NTS)\n");
    }
    for (name, cells) in &document.nts {
        let cells = nts::COLUMNS.iter().zip(cells).map(|(title, cell)| format!("{title} {}", printable(cell)));
        let _ = writeln!(text, "  {}: {}", printable(name), cells.collect::<Vec<_>>().join(", "));
    }
    if let Some(fleet) = &document.fleet {
        text.push_str("\nFleet\n");
        for line in fleet.lines() {
            let _ = writeln!(text, "  {}", printable(&line));
        }
    }
    let times = &document.times;
    let verdicts = document.verdicts.shown.iter().map(|entry| (entry.since, entry.sentence.as_str()));
    lines(&mut text, times, "Verdicts", verdicts);
    lines(&mut text, times, "Events", document.events.shown.iter().map(|event| (event.start, event.sentence.as_str())));
    lines(
        &mut text,
        times,
        "Alerts",
        document.alerts.shown.iter().map(|alert| (alert.started, alert.summary.as_str())),
    );
    text
}

fn lines<'a>(
    text: &mut String,
    times: &Times,
    title: &str,
    list: impl ExactSizeIterator<Item = (ntp_monitor_core::stats::verdict::When, &'a str)>,
) {
    if list.len() > 0 {
        let _ = writeln!(text, "\n{title}");
    }
    list.for_each(|(when, sentence)| {
        let _ = writeln!(text, "  {}  {}", times.minute(when), printable(sentence));
    });
}

/// Replaces control characters, so that the text stays on one line.
fn printable(text: &str) -> String {
    text.chars().map(|c| if is_disruptive(c) { ' ' } else { c }).collect()
}
