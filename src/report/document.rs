//! The content of a report: sentences, tables and charts. Pure: other modules decide how it looks.

use super::drawings::{Drawing, detail, overview};
use super::fleet::{self, FleetPart};
use super::listed::Listed;
use super::material::{Material, PastAlert};
use super::nts;
use super::times::Times;
use super::traceability::Traceability;
use super::worst::Moment;
use crate::history::happening::Happening;
use crate::history::span::Span;
use crate::history::standing::{decided, is_of_path};
use crate::history::survey::Surveyed;
use ntp_monitor_core::stats::verdict::{Entry, State, When};
use ntp_monitor_core::text::percent::percent;
use ntp_monitor_core::text::units::{NOTHING, at_least, seconds, signed_seconds};

/// Maximum number of rows in the table of servers.
const MOST_ROWS: usize = 500;

/// The content of a report.
#[derive(Debug, Clone)]
pub struct Document {
    /// The title, on one line.
    pub title: String,
    /// The most important facts, in a few sentences.
    pub summary: Vec<String>,
    /// The reported period, as text.
    pub span: String,
    /// The reported period, for programs.
    pub period: Span,
    /// Every server, blamed ones first.
    pub rows: Vec<Row>,
    /// What is omitted or limited.
    pub notes: Vec<String>,
    /// Charts of all servers together.
    pub overview: Vec<Drawing>,
    /// Charts of single servers.
    pub details: Vec<Drawing>,
    /// The verdicts, latest last.
    pub verdicts: Listed<Entry>,
    /// The events, latest last.
    pub events: Listed<Happening>,
    /// The alerts, latest last.
    pub alerts: Listed<PastAlert>,
    /// The evidence of traceability.
    pub traceability: Option<Traceability>,
    /// The part about the fleet.
    pub fleet: Option<FleetPart>,
    /// The listed servers with NTS, each with the cells of [`nts::COLUMNS`].
    pub nts: Vec<(String, [String; 11])>,
    /// Formats the times of the lists.
    pub times: Times,
}

/// One server, as text.
#[derive(Debug, Clone)]
pub struct Row {
    pub server: String,
    /// The last verdict about it.
    pub verdict: String,
    /// Whether a verdict blames it.
    pub accused: bool,
    /// The figures, in the order of [`COLUMNS`].
    pub cells: Vec<String>,
    pub worst: Vec<String>,
}

/// The titles of [`Row::cells`].
pub const COLUMNS: [&str; 10] = [
    "polls",
    "answered",
    "offset p50",
    "|offset| p95",
    "|offset| p99",
    "jitter",
    "delay p50",
    "drift",
    "within limit",
    "from",
];

/// The titles of the shares of the evidence of traceability.
pub const EVIDENCE: [&str; 5] =
    ["within the limit", "error bound above the limit", "found wrong", "not shown", "not monitored"];

/// The rows of the evidence of traceability: the majority, then every listed server.
#[must_use]
pub(super) fn evidence_rows(document: &Document, found: &Traceability) -> Vec<(String, [String; 5])> {
    let majority = ("more than half of the servers".to_owned(), found.majority.texts());
    let servers = document.rows.iter().map(|row| &row.server);
    let servers = servers.filter_map(|name| Some((name.clone(), found.servers.get(name)?.texts())));
    std::iter::once(majority).chain(servers).collect()
}

/// Creates the content of a report.
#[must_use]
pub fn document(material: &Material) -> Document {
    let found = &material.survey;
    let mut rows: Vec<Row> = found.servers.iter().map(|(name, one)| row(material, name, one)).collect();
    rows.sort_by_key(|row| !row.accused);
    let left_out = rows.len().saturating_sub(MOST_ROWS);
    let times = &material.times;
    rows.truncate(MOST_ROWS);
    let authenticated = rows.iter().filter_map(|row| {
        let found = found.servers.get(&row.server)?.nts.as_ref()?;
        Some((row.server.clone(), nts::cells(found)))
    });
    let nts = authenticated.collect();
    Document {
        title: format!("Time report of {}, {}", material.vantage, days(material)),
        summary: summary(material),
        span: span(material),
        period: material.span,
        rows,
        notes: notes(material, left_out),
        overview: overview(material),
        details: material.drawn.iter().enumerate().flat_map(|(n, one)| detail(material, n, one)).collect(),
        verdicts: Listed::of(&found.verdicts).with(|entry| {
            entry.sentence = times.sentence(&entry.sentence_with_authentication());
        }),
        events: Listed::of(&found.events).with(|event| event.sentence = times.sentence(&event.sentence)),
        alerts: Listed::of(&material.alerts).with(|alert| alert.summary = times.sentence(&alert.summary)),
        traceability: material.traceability.clone(),
        fleet: material.fleet.as_ref().map(|found| FleetPart::of(found, times)),
        nts,
        times: material.times.clone(),
    }
}

/// The dates of the period: `2026-11-16 to 2026-11-23`.
fn days(material: &Material) -> String {
    let (from, to) = (material.times.date(material.span.from_ns), material.times.date(material.span.to_ns));
    if from == to { from } else { format!("{from} to {to}") }
}

/// The period, to the minute.
fn span(material: &Material) -> String {
    let [from, to] = [material.span.from_ns, material.span.to_ns].map(|at_ns| material.times.minute(When(at_ns)));
    format!("{from} to {to}")
}

fn summary(material: &Material) -> Vec<String> {
    let found = &material.survey;
    let polls: u64 = found.servers.values().map(|one| one.figures.summary.polls).sum();
    let answered: u64 = found.servers.values().map(|one| one.figures.summary.outcomes.successes()).sum();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let fleet = material.fleet.as_ref().map(fleet::summary);
    if polls == 0 {
        let by = if fleet.is_some() { " by this host" } else { "" };
        return [format!("No server was polled{by} from {}.", span(material))].into_iter().chain(fleet).collect();
    }
    let share = percent(answered as f64 / polls as f64);
    let servers = count(found.servers.len(), "server");
    let mut said = vec![format!("{servers}, {polls} polls, {share} answered.")];
    said.push(found.coverage.sentence());
    said.push(accusations(material));
    said.extend(material.traceability.as_ref().map(shown));
    said.extend(fleet);
    let alerts = if material.alerts.is_empty() { "No alert".to_owned() } else { count(material.alerts.len(), "alert") };
    said.push(format!("{alerts}, {}.", count(found.events.len(), "event")));
    said
}

/// Describes what a majority of the servers shows about this host's clock.
pub(super) fn shown(found: &Traceability) -> String {
    let limit = seconds(found.limit_s);
    if !found.has_majority {
        return format!("Whether this host's clock was within {limit} is not shown: a majority needs three servers.");
    }
    let [within, ..] = found.majority.texts();
    format!("More than half of the servers show this host's clock within {limit} for {within} of the time.")
}

/// The latest sentence about each set of blamed servers.
fn accusations(material: &Material) -> String {
    let verdicts = &material.survey.verdicts;
    let said = accused(verdicts, &material.times);
    match (said.is_empty(), verdicts.is_empty()) {
        (false, _) => said.join(" "),
        (true, false) => unaccused(material),
        (true, true) => "No verdict: this period has no samples, or too many.".to_owned(),
    }
}

/// The latest sentence about each of the last three sets of blamed servers. A sentence is in the present tense, so one
/// that no longer holds says from when to when it did.
fn accused(verdicts: &[Entry], times: &Times) -> Vec<String> {
    let wrong = verdicts.iter().rev().filter(|entry| matches!(entry.state, State::ServerWrong | State::LocalWrong));
    let mut said: Vec<String> = Vec::new();
    let mut seen: Vec<Vec<&str>> = Vec::new();
    for entry in wrong {
        let who: Vec<&str> = entry.blamed.iter().map(|blame| blame.server.as_str()).collect();
        if !seen.contains(&who) && said.len() < 3 {
            let sentence = times.sentence(&entry.sentence);
            said.push(match entry.until {
                Some(until) => {
                    format!("From {} until {}: {sentence}", times.minute(entry.since), times.minute(until))
                }
                None => sentence,
            });
            seen.push(who);
        }
    }
    said
}

/// The sentence when no clock was called wrong. It says that the time without a majority was not judged.
fn unaccused(material: &Material) -> String {
    let found = &material.survey;
    let length_s = |undecidable| decided(&found.verdicts, &found.monitored, undecidable).length_s();
    let (judged_s, undecided_s) = (length_s(false), length_s(true));
    if judged_s <= 0.0 {
        return "No clock was judged: there was no majority.".to_owned();
    }
    let share = percent(undecided_s / (judged_s + undecided_s));
    if undecided_s < 1.0 {
        return "No clock was found wrong.".to_owned();
    }
    format!("No clock was found wrong; no verdict was possible for {share} of the monitored time.")
}

fn row(material: &Material, name: &str, one: &Surveyed) -> Row {
    let summary = &one.figures.summary;
    let length = |value: Option<f64>| value.map_or_else(|| NOTHING.to_owned(), seconds);
    let accused = material.survey.accuses(name);
    let shares = material.traceability.as_ref().and_then(|all| all.servers.get(name));
    let far = |label: &str| length(summary.offset_abs.percentile(label));
    Row {
        server: name.to_owned(),
        verdict: verdict_of(&material.survey.verdicts, name, one, &material.times),
        accused,
        cells: vec![
            summary.polls.to_string(),
            summary.success_ratio.map_or_else(|| NOTHING.to_owned(), percent),
            summary.offset.median.map_or_else(|| NOTHING.to_owned(), signed_seconds),
            far("p95"),
            far("p99"),
            length(summary.jitter_s),
            length(summary.delay.median),
            summary.trend.map_or_else(|| NOTHING.to_owned(), |trend| ppm(trend.ppm)),
            shares.map_or_else(|| NOTHING.to_owned(), |shares| shares.texts()[0].clone()),
            one.source.label().to_owned(),
        ],
        worst: material.worst.get(name).into_iter().flatten().map(|at| moment(&material.times, at)).collect(),
    }
}

/// A drift with its sign, unless it rounds to zero.
#[must_use]
pub fn ppm(ppm: f64) -> String {
    if ppm.abs() < 5e-4 { "0.000 ppm".to_owned() } else { format!("{ppm:+.3} ppm") }
}

fn moment(times: &Times, moment: &Moment) -> String {
    format!("{} at {}", signed_seconds(moment.offset_s), times.second(moment.at.0))
}

/// The standing of a server, with the last verdict that blames it.
fn verdict_of(verdicts: &[Entry], name: &str, one: &Surveyed, times: &Times) -> String {
    let standing = &one.standing.sentence;
    let blamed = verdicts.iter().rev().find_map(|entry| {
        let blame = entry.blamed.iter().find(|blame| blame.server == name)?;
        Some((entry, blame))
    });
    let Some((entry, blame)) = blamed else { return standing.clone() };
    let what = blame.kind.map_or("suspected", |kind| kind.label());
    let whose = if entry.state == State::Path || is_of_path(blame.kind) { "path" } else { "clock" };
    let proof = blame.gap_s.map_or_else(String::new, |gap_s| format!(", by at least {}", at_least(gap_s)));
    let since = blame.since.unwrap_or(entry.since);
    let until = entry.until.map_or_else(|| "now".to_owned(), |until| times.minute(until));
    format!("{standing}; {whose}: {what}{proof}, {} to {until}", times.minute(since))
}

fn notes(material: &Material, rows_left_out: usize) -> Vec<String> {
    let mut notes: Vec<String> = material.times.note().into_iter().collect();
    let found = &material.survey;
    let polled_ns = found.monitored.first_ns().unwrap_or(material.span.from_ns);
    match found.judged_from {
        _ if found.servers.is_empty() => {}
        None => notes.push(
            "Verdicts and stability need samples, and this period has none in the store, or too many.".to_owned(),
        ),
        Some(from) if from.0 > polled_ns.saturating_add(3_600_000_000_000) => {
            notes.push(format!(
                "Verdicts and stability need samples, which the store keeps since {}.",
                material.times.minute(from)
            ));
        }
        Some(_) => {}
    }
    if rows_left_out > 0 {
        notes.push(format!("{rows_left_out} more servers are not listed."));
    }
    let undrawn = found.servers.len().saturating_sub(material.drawn.len());
    if undrawn > 0 {
        notes.push(format!(
            "Charts show the {} servers that were blamed, failed most or had the largest offsets.",
            material.drawn.len()
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use ntp_monitor_core::stats::verdict::{Blame, EntryLocal};

    use super::*;

    #[test]
    fn sentence_about_an_ended_fault_says_until_when() {
        let entry = |server: &str, since_s: i64, until_s: Option<i64>| Entry {
            since: When(since_s * 1_000_000_000),
            until: until_s.map(|s| When(s * 1_000_000_000)),
            state: State::ServerWrong,
            local: EntryLocal { estimate_s: None, bound_s: None, kind: None },
            blamed: vec![Blame {
                server: server.to_owned(),
                kind: None,
                gap_s: None,
                proven: true,
                since: None,
                authentication: None,
            }],
            confidence: 1.0,
            assumption: String::new(),
            sentence: format!("{server} is wrong."),
            differs: false,
        };
        let said = accused(&[entry("a", 0, Some(3600)), entry("b", 3600, None)], &Times::of(TimeZone::UTC));
        assert_eq!(said, ["b is wrong.", "From 1970-01-01 00:00 UTC until 1970-01-01 01:00 UTC: a is wrong."]);
    }

    #[test]
    fn drift_that_rounds_to_zero_has_no_sign() {
        assert_eq!(
            [ppm(-4e-4), ppm(0.0), ppm(-6e-4), ppm(1.25)],
            ["0.000 ppm", "0.000 ppm", "-0.001 ppm", "+1.250 ppm"]
        );
    }
}
