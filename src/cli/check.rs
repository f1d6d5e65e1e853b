//! `check`: a monitoring plugin (Nagios, Icinga, Sensu, Zabbix …). One line, performance data, exit status 0 to 3.
//!
//! Status 0 means that every server gave a time and none exceeds a limit. A value that could not be measured never
//! gives 0.

use super::measure::{Tools, measure};
use super::measured::Measured;
use super::words;
use crate::probe::resolve::Address;
pub use args::{Announced, CheckArgs, Unreachable};
use ntp_monitor_core::ntp::{Check, Leap};
use ntp_monitor_core::sample::Outcome;
use quantity::{QUANTITIES, Quantity};
use std::io::{self, Write};

pub use state::State;

mod args;
mod certificate;
mod limits;
mod quantity;
mod state;

/// Exit status of a plugin that is used wrongly or cannot print: UNKNOWN.
pub const EXIT_UNKNOWN: u8 = 3;

/// Measures, writes the plugin's line to `out` and returns the exit status.
///
/// # Errors
/// I/O errors of the output.
pub async fn run(args: &CheckArgs, tools: &Tools, out: &mut impl Write) -> io::Result<u8> {
    if let Some(wrong) = usage_fault(args) {
        writeln!(out, "NTP UNKNOWN - {wrong}")?;
        return Ok(EXIT_UNKNOWN);
    }
    let results = measure(&args.measure, tools, |_, _| ()).await;
    write_line(args, &results, out)
}

/// Conflicts between arguments that are valid on their own.
fn usage_fault(args: &CheckArgs) -> Option<&'static str> {
    if args.critical < args.warning {
        return Some("--critical must not be below --warning");
    }
    let has_jitter = args.measure.count.get() > 1;
    (args.jitter.is_some() && !has_jitter).then_some("--jitter needs at least two requests, for example -n 4")
}

/// A usage error in one line, in the format of plugins.
#[must_use]
pub fn usage_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.split_whitespace().skip_while(|word| *word == "error:").collect();
    format!("NTP UNKNOWN - {}; see ntp-monitor check --help", words.join(" ").replace('|', "/"))
}

fn write_line(args: &CheckArgs, results: &[Measured], out: &mut impl Write) -> io::Result<u8> {
    let states: Vec<State> = results.iter().map(|measured| judge(args, measured)).collect();
    // The parser requires a host, and each host gives a result; without one, nothing was measured.
    let worst = states.iter().copied().max().unwrap_or(State::Unknown);
    let text = match results {
        [only] => describe(args, only),
        many => describe_all(args, many, &states),
    };
    write!(out, "NTP {} - {}", worst.label(), text.replace('|', "/"))?;
    // Labels depend on names, not on resolved addresses: graphs must continue after a change of DNS.
    let is_labelled = args.measure.targets().len() > 1 || args.measure.all;
    let performance = results.iter().filter_map(|measured| performance(args, measured, is_labelled));
    let performance: Vec<String> = performance.collect();
    if !performance.is_empty() {
        write!(out, "|{}", performance.join(" "))?;
    }
    writeln!(out)?;
    Ok(worst.exit_status())
}

fn judge(args: &CheckArgs, measured: &Measured) -> State {
    let unreachable = match args.unreachable {
        Unreachable::Unknown => State::Unknown,
        Unreachable::Critical => State::Critical,
    };
    match (measured.outcome(), measured.measure()) {
        (Outcome::Sample, Some(_)) => judge_values(args, measured),
        (Outcome::Unsynchronised(_), _) => State::Critical,
        (Outcome::Rejected(check), _) if is_servers_fault(*check) => State::Critical,
        (Outcome::Timeout | Outcome::Refused | Outcome::Dns(_), _) => unreachable,
        (Outcome::Kiss(_) | Outcome::Rejected(_) | Outcome::Fault(_) | Outcome::Sample, _) => State::Unknown,
    }
}

fn judge_values(args: &CheckArgs, measured: &Measured) -> State {
    let worst = QUANTITIES.iter().map(|quantity| quantity.judge(args, measured)).max();
    worst.unwrap_or(State::Unknown).max(judge_leap(args, measured)).max(certificate::judge(args, measured))
}

fn judge_leap(args: &CheckArgs, measured: &Measured) -> State {
    match (announced(measured), args.leap) {
        (None, _) | (Some(_), Announced::Ok) => State::Ok,
        (Some(_), Announced::Warning) => State::Warning,
        (Some(_), Announced::Critical) => State::Critical,
    }
}

/// The leap second that the server announces.
fn announced(measured: &Measured) -> Option<Leap> {
    let leap = measured.best().reply?.leap;
    matches!(leap, Leap::Insert | Leap::Delete).then_some(leap)
}

/// Whether the server answered our request with unusable times. The other checks fail for packets of other senders, or
/// because of this host.
fn is_servers_fault(check: Check) -> bool {
    match check {
        Check::ZeroTimestamp
        | Check::RootDistance
        | Check::Precision
        | Check::ServerTime
        | Check::ReferenceTime
        | Check::Delay => true,
        Check::Sender
        | Check::Length
        | Check::Version
        | Check::Mode
        | Check::Origin
        | Check::Duplicate
        | Check::Authentication
        | Check::Kiss
        | Check::Synchronised
        | Check::Loop
        | Check::LocalStep
        | Check::Interleaved
        | Check::ExtensionFields
        | Check::UniqueIdentifier
        | Check::Authenticator
        | Check::Nak
        | Check::Downgrade
        | Check::Cookie => false,
    }
}

fn describe(args: &CheckArgs, measured: &Measured) -> String {
    if measured.measure().is_none() {
        let why = measured.explanation().unwrap_or_default();
        return format!("{}: {}, {why}", measured.name, words::state(measured.outcome()));
    }
    let mut parts: Vec<String> = QUANTITIES.iter().filter_map(|quantity| quantity.describe(args, measured)).collect();
    parts.extend(leap_words(args, measured));
    parts.extend(certificate::describe(args, measured));
    if measured.lost() > 0 {
        parts.push(format!("{} of {} requests lost", measured.lost(), measured.sent()));
    }
    parts.join(", ")
}

/// The worst first: a pager shows the beginning of the line.
fn describe_all(args: &CheckArgs, results: &[Measured], states: &[State]) -> String {
    let good = states.iter().filter(|state| **state == State::Ok).count();
    let mut order: Vec<usize> = (0..results.len()).collect();
    order.sort_by_key(|nth| std::cmp::Reverse(states[*nth]));
    let each: Vec<String> = order.into_iter().map(|nth| brief(args, &results[nth], states[nth])).collect();
    format!("{good} of {} servers ok: {}", results.len(), each.join(", "))
}

fn brief(args: &CheckArgs, measured: &Measured, state: State) -> String {
    if measured.measure().is_none() {
        return format!("{} {}{}", measured.name, words::state(measured.outcome()), state.mark());
    }
    let is_worth_saying = |it: &&Quantity| it.label == "offset" || it.judge(args, measured) != State::Ok;
    let mut parts: Vec<String> =
        QUANTITIES.iter().filter(is_worth_saying).filter_map(|it| it.describe(args, measured)).collect();
    parts.extend(leap_words(args, measured).filter(|_| args.leap != Announced::Ok));
    let is_expiring = certificate::judge(args, measured) != State::Ok;
    parts.extend(certificate::describe(args, measured).filter(|_| is_expiring));
    format!("{} {}", measured.name, parts.join(" "))
}

fn leap_words(args: &CheckArgs, measured: &Measured) -> Option<String> {
    let leap = announced(measured)?;
    Some(format!("leap second announced ({}){}", words::leap(leap), judge_leap(args, measured).mark()))
}

/// `'label'=value[unit];warning;critical;min;max` for each number, separated by blanks. `None` when nothing was
/// measured, so that a graph shows a gap.
fn performance(args: &CheckArgs, measured: &Measured, is_labelled: bool) -> Option<String> {
    measured.measure()?;
    let labelled = |what: &str, value: String| format!("{}={value}", label(args, measured, what, is_labelled));
    let values = QUANTITIES.iter().filter_map(|it| Some(labelled(it.label, it.performance(args, measured)?)));
    let loss_percent = 100.0 * measured.lost() as f64 / measured.sent().max(1) as f64;
    let loss = labelled("loss", format!("{loss_percent:.0}%;;;0;100"));
    let certificate = certificate::performance(args, measured).map(|value| labelled("nts_certificate", value));
    Some(values.chain([loss]).chain(certificate).collect::<Vec<_>>().join(" "))
}

/// A label may contain anything but `=` and `'`. With `--all` it contains the address, because several results have the
/// same name.
fn label(args: &CheckArgs, measured: &Measured, what: &str, is_labelled: bool) -> String {
    let address = measured.address.map(|address| Address::from(address).to_string());
    let server = match address.filter(|address| args.measure.all && measured.name != *address) {
        _ if !is_labelled => return what.to_owned(),
        Some(address) => format!("{} {address}", measured.name),
        None => measured.name.clone(),
    };
    format!("'{} {what}'", server.replace(['=', '\'', '|'], "_"))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
