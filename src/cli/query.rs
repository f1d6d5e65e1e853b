//! `query`: one-shot measurement of servers side by side, for people (a table) and for programs (`--json`).

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::args::{MeasureArgs, NTP_PORT, parse_duration, parse_positive};
use super::measure::{Tools, measure};
use super::measured::{Measured, claims};
use super::query_json;
use super::table::{Align, Cell, Style, Table, Terminal, left_out};
use super::words;
use crate::probe::resolve::Address;
use ntp_monitor_core::conclusion::{Conclusion, conclude};
use ntp_monitor_core::ntp::Check;
use ntp_monitor_core::nts::Status;
use ntp_monitor_core::sample::{Evidence, Outcome, Reply};
use ntp_monitor_core::text::units;

/// Every server gave a sample.
pub const EXIT_OK: u8 = 0;
/// At least one server gave no sample.
pub const EXIT_FAILURE: u8 = 1;

const EXAMPLES: &str = "\
Columns:
  offset  how far the server is ahead of this host (+) or behind it (-)
  bound   the root distance: the server claims that true time is within this of its offset
  stamps  where the packets were stamped: kernel, kernel-rx (replies only) or userland
  state   ok, disagrees (with what most of the servers allow), undecided (the servers contradict
          each other, and no majority agrees), or why there is no offset
A narrow terminal shows only the more important columns.

Examples:
  ntp-monitor query time.example.net
  ntp-monitor query -n 4 192.0.2.1 [2001:db8::1]:1123     four requests to each, 2 s apart
  ntp-monitor query --nts time.example.net                authenticated by NTS
  ntp-monitor query --sheet time.example.net              protocol sheet: versions, NTS, and more
  ntp-monitor query --watch time.example.net              repeatedly, with the trend
  ntp-monitor query --watch --nts time.example.net        with the authentication of each poll
  ntp-monitor query --all --json pool.example.net | jq '.results[].offset_s'

Exit status: 0 if every server gave a time, right or wrong, 1 if one did not, 2 wrong usage.
`check` and `clock` also show in their exit status whether a clock is wrong or cannot be judged.";

/// Arguments of `query`.
#[derive(Debug, Clone, Args)]
#[command(about = "Measure servers now, side by side", after_help = EXAMPLES)]
pub struct QueryArgs {
    /// The servers and how to ask them.
    #[command(flatten)]
    pub measure: MeasureArgs,
    /// Write one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Measure repeatedly, every TIME. Minimum and default: 16 s, or 1 s for servers on this host.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1s",
          conflicts_with = "count", value_parser = parse_positive)]
    pub watch: Option<Duration>,
    /// Show the protocol sheet of each server: versions, NTS, timestamps and more. Takes six requests and one key
    /// exchange.
    #[arg(long, conflicts_with_all = ["count", "watch"])]
    pub sheet: bool,
}

impl QueryArgs {
    /// The interval that was written after `--watch` as a word of its own, and so counts as a server.
    #[must_use]
    pub fn misplaced_interval(&self) -> Option<&str> {
        let mut names = self.measure.targets().into_iter().map(|target| target.name.as_str());
        self.watch.and_then(|_| names.find(|name| parse_duration(name).is_ok()))
    }
}

/// Measures and writes the result to `out`; returns the exit status.
///
/// # Errors
/// I/O errors of the output.
pub async fn run(args: &QueryArgs, tools: &Tools, terminal: Terminal, out: &mut impl Write) -> io::Result<u8> {
    let results = measure(&args.measure, tools, |done, total| show_progress(terminal, done, total)).await;
    if args.json {
        query_json::write(&results, crate::clock::now(), out)?;
    } else {
        write_text(&results, terminal, out)?;
    }
    Ok(exit_status(&results))
}

pub(super) fn exit_status(results: &[Measured]) -> u8 {
    let is_complete = results.iter().all(|measured| measured.outcome().is_success());
    if is_complete { EXIT_OK } else { EXIT_FAILURE }
}

/// One line on stderr that is overwritten and removed at the end. Progress is optional, so errors are ignored.
fn show_progress(terminal: Terminal, done: usize, total: usize) {
    if !terminal.progress {
        return;
    }
    let mut stderr = io::stderr().lock();
    let _ = if done < total {
        write!(stderr, "\r\x1b[Kmeasuring: {done} of {total} done")
    } else {
        write!(stderr, "\r\x1b[K")
    };
    let _ = stderr.flush();
}

pub(super) fn write_text(results: &[Measured], terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    let conclusion = conclude(&claims(results));
    write_table(results, &conclusion, terminal, out)?;
    let mut separator = "\n";
    for measured in results {
        for remark in remarks(measured) {
            writeln!(out, "{separator}{remark}")?;
            separator = "";
        }
    }
    writeln!(out, "\n{}.", Style::Bold.paint(&sentence_case(&conclusion.to_string()), terminal.color))
}

const COLUMNS: [(&str, Align); 11] = [
    ("server", Align::Left),
    ("address", Align::Left),
    ("offset", Align::Right),
    ("bound", Align::Right),
    ("delay", Align::Right),
    ("jitter", Align::Right),
    ("stratum", Align::Right),
    ("refid", Align::Left),
    ("leap", Align::Left),
    ("stamps", Align::Left),
    ("state", Align::Left),
];

/// Columns that are dropped on a narrow terminal, the least important first.
const DISPENSABLE: [&str; 7] = ["stamps", "leap", "refid", "address", "stratum", "jitter", "delay"];

fn write_table(
    results: &[Measured],
    conclusion: &Conclusion,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut table = Table::new(&COLUMNS);
    for measured in results {
        table.row(row(measured, conclusion));
    }
    if !results.iter().any(|measured| measured.jitter_s().is_some()) {
        table.without("jitter");
    }
    if results.iter().all(|measured| measured.address.is_none_or(|at| measured.name == address(at))) {
        table.without("address");
    }
    let gone = table.narrow(terminal.width, &DISPENSABLE);
    table.write(out, terminal.color)?;
    left_out(&gone, terminal.color, out)
}

/// In the order of `COLUMNS`.
fn row(measured: &Measured, conclusion: &Conclusion) -> Vec<Cell> {
    let best = measured.best();
    let shown = |text: Option<String>| Cell::from(text.unwrap_or_default());
    vec![
        Cell::styled(measured.name.as_str(), Style::Bold),
        shown(measured.address.map(address)),
        shown(best.measure.map(|m| units::signed_seconds(m.offset_s))),
        shown(best.measure.map(|m| units::bound(m.root_distance_s))),
        shown(best.measure.map(|m| units::seconds(m.delay_s))),
        shown(measured.jitter_s().map(units::seconds)),
        shown(best.reply.map(|reply| reply.stratum.to_string())),
        shown(best.reply.map(|reply| reply.refid.display(reply.stratum))),
        shown(best.reply.map(|reply| words::leap(reply.leap).to_owned())),
        Cell::styled(best.timestamping.map_or("", |way| way.label()), Style::Faint),
        state(measured, conclusion),
    ]
}

/// The server, with its address if the name is not the address.
pub(super) fn label(measured: &Measured) -> String {
    match measured.address.map(address) {
        Some(address) if address != measured.name => format!("{} {address}", measured.name),
        _ => measured.name.clone(),
    }
}

/// The address, without the port if it is the usual one.
fn address(address: SocketAddr) -> String {
    match (Address::from(address), address.port()) {
        (at, NTP_PORT) => at.to_string(),
        (at, port) if address.is_ipv6() => format!("[{at}]:{port}"),
        (at, port) => format!("{at}:{port}"),
    }
}

/// The state of a server compared with the others, in one or two words.
pub(super) fn state_word(measured: &Measured, conclusion: &Conclusion) -> Cow<'static, str> {
    match (measured.outcome(), conclusion) {
        _ if conclusion.excluded().contains(&measured.name) => "disagrees".into(),
        (Outcome::Sample, Conclusion::Undecidable { .. }) => "undecided".into(),
        (outcome, _) => words::state(outcome),
    }
}

fn state(measured: &Measured, conclusion: &Conclusion) -> Cell {
    let mut text = state_word(measured, conclusion).into_owned();
    if measured.sent() > 1 && measured.lost() > 0 {
        text.push_str(&format!(", {} of {} lost", measured.lost(), measured.sent()));
    }
    let is_decided = !matches!(conclusion, Conclusion::Undecidable { .. });
    let style = match measured.outcome() {
        _ if conclusion.excluded().contains(&measured.name) => Style::Bad,
        Outcome::Sample if measured.lost() == 0 && is_decided => Style::Good,
        Outcome::Sample | Outcome::Kiss(_) | Outcome::Unsynchronised(_) => Style::Warning,
        _ => Style::Bad,
    };
    Cell::styled(text, style)
}

/// The lines below the table about a server: why it gave no time, and every rejected reply.
fn remarks(measured: &Measured) -> Vec<String> {
    let refusals: Vec<String> = measured.rejected().map(|evidence| refusal(evidence, measured.address)).collect();
    let headline: Option<Cow<'_, str>> = match measured.outcome() {
        Outcome::Rejected(_) if !refusals.is_empty() => Some("every reply was rejected".into()),
        Outcome::Sample if !refusals.is_empty() => Some("other replies also arrived and were rejected".into()),
        _ => measured.explanation(),
    };
    let stale = measured.best().reply.filter(Reply::is_stale).and_then(|reply| reply.reference_age_s);
    let stale = stale.map(|age_s| {
        let age = units::span(Duration::try_from_secs_f64(age_s).unwrap_or_default());
        format!("the server says that its clock was last set {age} ago")
    });
    let nts = measured.nts.as_ref().map(|status| Cow::from(nts_words(status, measured.address)));
    let about_server = headline.into_iter().chain(stale.map(Cow::from)).chain(nts);
    about_server.map(|text| format!("{}: {text}", measured.name)).chain(refusals).collect()
}

/// Describes the state of NTS: algorithm, cookies and certificate.
fn nts_words(status: &Status, address: Option<SocketAddr>) -> String {
    let mut text = match (status.aead, status.cookie_len) {
        (Some(aead), Some(octets)) => {
            format!("NTS with {}, {} cookies of {octets} octets", aead.label(), status.cookies)
        }
        _ => "no keys for NTS".to_owned(),
    };
    if status.aead.is_some() && address != Some(status.asked) {
        text.push_str(&format!(", asked at {}", status.asked));
    }
    if let Some(last) = &status.last {
        text.push_str(&format!("; the key exchange took {}", units::seconds(last.took.as_secs_f64())));
    }
    if let Some(certificate) = status.certificate() {
        let days = certificate.left_s(jiff::Timestamp::now()) / 86_400.0;
        let (subject, issuer, end) = (&certificate.subject, &certificate.issuer, certificate.not_after);
        text.push_str(&format!("; certificate of {subject}, signed by {issuer}, until {end} ({days:.0} days left)"));
    }
    text
}

fn refusal(evidence: &Evidence, asked: Option<SocketAddr>) -> String {
    let why = evidence.explain(asked).unwrap_or("no check failed".into());
    let (mut passed, mut failed) = (0, Vec::new());
    for check in Check::ALL {
        match evidence.checks.result(check) {
            Some(true) => passed += 1,
            Some(false) => failed.push(check.label()),
            None => {}
        }
    }
    format!("  refused: {why}\n  tests:   {passed} passed, failed: {}", failed.join(", "))
}

fn sentence_case(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
