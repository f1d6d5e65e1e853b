//! Prints statistics over a span: a table of servers, stability, verdicts and events.

use std::io::{self, Write};
use std::time::Duration;

use super::table::{Align, Cell, Style, Table, Terminal, left_out};
use crate::report::document::ppm;
use ntp_monitor_core::fleet::verdict::{FleetReport, FleetState};
use ntp_monitor_core::stats::replay::{Report, ServerReport};
use ntp_monitor_core::stats::summary::WindowSummary;
use ntp_monitor_core::stats::verdict::{Entry, State, When};
use ntp_monitor_core::text::plain::is_disruptive;
use ntp_monitor_core::text::units::{NOTHING, bound, seconds, signed_seconds, span};

/// Maximum number of events that are printed; JSON contains all of them.
const EVENTS_SHOWN: usize = 200;
const VERDICTS_SHOWN: usize = 200;
const SKEWS_SHOWN: usize = 200;

/// Columns that are dropped on a narrow terminal, the least important first.
const DISPENSABLE: [&str; 8] = ["from", "span", "delay p95", "mean", "p5", "stddev", "n", "delay p50"];

/// Writes the report; with `with_stability` it contains a table of deviations.
///
/// # Errors
/// I/O errors of the output.
pub(super) fn write(out: &mut impl Write, report: &Report, with_stability: bool, terminal: Terminal) -> io::Result<()> {
    let color = terminal.color;
    let rows: Vec<_> = report.servers.iter().flat_map(|(name, server)| rows(name, server)).collect();
    servers(out, rows.iter().map(|(name, server)| (name.as_str(), &server.summary, "")), terminal)?;
    if with_stability {
        stability(out, report.servers.iter().map(|(name, server)| (name.as_str(), server)), color)?;
    }
    verdicts(out, &report.verdicts, color)?;
    let happened = report.events.iter().map(|event| (event.start, event.kind.label(), event.sentence.as_str()));
    events(out, happened, color)
}

/// A server, and each of its addresses if there are several.
fn rows<'a>(name: &str, server: &'a ServerReport) -> Vec<(String, &'a ServerReport)> {
    let addresses = server.addresses.iter().map(|(address, report)| (format!("{name}@{address}"), report));
    std::iter::once((name.to_owned(), server)).chain(addresses).collect()
}

/// Prints one row per server: name, summary, and the source of the figures.
pub(super) fn servers<'a>(
    out: &mut impl Write,
    servers: impl Iterator<Item = (&'a str, &'a WindowSummary, &'a str)>,
    terminal: Terminal,
) -> io::Result<()> {
    let mut table = Table::new(&[
        ("server", Align::Left),
        ("n", Align::Right),
        ("loss", Align::Right),
        ("median", Align::Right),
        ("mean", Align::Right),
        ("stddev", Align::Right),
        ("p5", Align::Right),
        ("p95", Align::Right),
        ("delay p50", Align::Right),
        ("delay p95", Align::Right),
        ("drift", Align::Right),
        ("span", Align::Right),
        ("from", Align::Left),
    ]);
    for (name, summary, source) in servers {
        table.row(row(name, summary, source));
    }
    let gone = table.narrow(terminal.width, &DISPENSABLE);
    table.write(out, terminal.color)?;
    left_out(&gone, terminal.color, out)
}

fn row(name: &str, summary: &WindowSummary, source: &str) -> Vec<Cell> {
    let signed = |value: Option<f64>| value.map_or_else(|| NOTHING.to_owned(), signed_seconds);
    let plain = |value: Option<f64>| value.map_or_else(|| NOTHING.to_owned(), seconds);
    let (offset, delay) = (&summary.offset, &summary.delay);
    let style = match summary.loss {
        Some(loss) if loss >= 0.5 => Style::Bad,
        Some(loss) if loss >= 0.05 => Style::Warning,
        _ => Style::Plain,
    };
    let loss = summary.loss.map_or_else(|| NOTHING.to_owned(), |loss| format!("{:.2} %", loss * 100.0));
    let drift = summary.trend.map_or_else(|| NOTHING.to_owned(), |trend| ppm(trend.ppm));
    let covered = summary.covers_s.and_then(|covers_s| Duration::try_from_secs_f64(covers_s).ok());
    vec![
        name.into(),
        summary.n.to_string().into(),
        Cell::styled(loss, style),
        signed(offset.median).into(),
        signed(offset.mean).into(),
        plain(offset.stddev).into(),
        signed(offset.percentile("p5")).into(),
        signed(offset.percentile("p95")).into(),
        plain(delay.median).into(),
        plain(delay.percentile("p95")).into(),
        drift.into(),
        covered.map_or_else(|| NOTHING.to_owned(), span).into(),
        source.into(),
    ]
}

/// Prints the deviations of each server by averaging time.
pub(super) fn stability<'a>(
    out: &mut impl Write,
    servers: impl Iterator<Item = (&'a str, &'a ServerReport)>,
    color: bool,
) -> io::Result<()> {
    heading(out, "Stability", color)?;
    let mut table = Table::new(&[
        ("server", Align::Left),
        ("tau", Align::Right),
        ("n", Align::Right),
        ("ADEV", Align::Right),
        ("TDEV", Align::Right),
        ("MTIE", Align::Right),
    ]);
    let mut absent = Vec::new();
    for (name, server) in servers.flat_map(|(name, server)| rows(name, server)) {
        let got = &server.stability;
        for (at, tau_s) in got.tau_s.iter().enumerate() {
            let time = |column: &[Option<f64>]| column[at].map_or_else(|| NOTHING.to_owned(), seconds);
            table.row(vec![
                name.as_str().into(),
                format!("{tau_s} s").into(),
                got.n[at].to_string().into(),
                got.oadev[at].map_or_else(|| NOTHING.to_owned(), |dev| format!("{dev:.3e}")).into(),
                time(&got.tdev).into(),
                time(&got.mtie).into(),
            ]);
        }
        absent.extend(server.stability_absent.as_ref().map(|why| format!("{name}: {why}")));
    }
    table.write(out, color)?;
    absent.iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// Prints the verdicts in order of time.
pub(super) fn verdicts(out: &mut impl Write, verdicts: &[Entry], color: bool) -> io::Result<()> {
    heading(out, "Verdicts", color)?;
    if verdicts.is_empty() {
        writeln!(out, "none: too few samples to judge")?;
    }
    earlier(out, verdicts.len(), VERDICTS_SHOWN)?;
    for entry in &verdicts[verdicts.len().saturating_sub(VERDICTS_SHOWN)..] {
        let style = match entry.state {
            State::Consistent => Style::Good,
            State::LocalWrong | State::ServerWrong => Style::Bad,
            State::Path | State::Undecidable => Style::Warning,
        };
        let until = entry.until.map_or_else(|| "the end".to_owned(), |until| until.to_string());
        let state = style.paint(&format!("{:<12}", entry.state.label()), color);
        writeln!(out, "{} to {until:<20}  {state}  {}", entry.since, printable(&entry.sentence_with_authentication()))?;
    }
    Ok(())
}

/// Prints the verdicts about all vantages together, and the differences between their clocks.
pub(super) fn fleet(out: &mut impl Write, fleet: &FleetReport, color: bool) -> io::Result<()> {
    heading(out, "Fleet", color)?;
    earlier(out, fleet.verdicts.len(), VERDICTS_SHOWN)?;
    for verdict in &fleet.verdicts[fleet.verdicts.len().saturating_sub(VERDICTS_SHOWN)..] {
        let style = match verdict.state {
            FleetState::Consistent => Style::Good,
            FleetState::ServerWrong | FleetState::VantageWrong | FleetState::Several => Style::Bad,
            FleetState::Path | FleetState::Undecidable => Style::Warning,
        };
        let state = style.paint(&format!("{:<13}", verdict.state.label()), color);
        let since = verdict.since.map_or_else(|| NOTHING.to_owned(), |since| since.to_string());
        let until = verdict.until.map_or_else(|| "the end".to_owned(), |until| until.to_string());
        writeln!(out, "{since} to {until:<20}  {state}  {}", printable(&verdict.sentence))?;
    }
    heading(out, "Clocks of the vantages against each other", color)?;
    let mut table =
        Table::new(&[("a", Align::Left), ("b", Align::Left), ("a less b", Align::Right), ("bound", Align::Right)]);
    for pair in fleet.skew.iter().take(SKEWS_SHOWN) {
        let names = [&pair.a, &pair.b].map(|name| Cell::from(printable(name)));
        table.row(
            names.into_iter().chain([signed_seconds(pair.estimate_s).into(), bound(pair.bound_s).into()]).collect(),
        );
    }
    table.write(out, color)?;
    earlier(out, fleet.skew.len(), SKEWS_SHOWN)
}

/// Prints start, kind and sentence of each event.
pub(super) fn events<'a>(
    out: &mut impl Write,
    events: impl ExactSizeIterator<Item = (When, &'a str, &'a str)>,
    color: bool,
) -> io::Result<()> {
    heading(out, "Events", color)?;
    if events.len() == 0 {
        writeln!(out, "none")?;
    }
    earlier(out, events.len(), EVENTS_SHOWN)?;
    let before = events.len().saturating_sub(EVENTS_SHOWN);
    let shown: Vec<_> = events.skip(before).collect();
    let width = shown.iter().map(|(_, kind, _)| kind.chars().count()).max().unwrap_or(0);
    for (start, kind, sentence) in shown {
        writeln!(out, "{start}  {:<width$}  {}", printable(kind), printable(sentence))?;
    }
    Ok(())
}

pub(super) fn heading(out: &mut impl Write, text: &str, color: bool) -> io::Result<()> {
    writeln!(out, "\n{}", Style::Bold.paint(text, color))
}

fn earlier(out: &mut impl Write, count: usize, shown: usize) -> io::Result<()> {
    if count > shown { writeln!(out, "({} earlier ones: see --json)", count - shown) } else { Ok(()) }
}

/// Names come from files: they must not contain control sequences of a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_disruptive(c) { '?' } else { c }).collect()
}
