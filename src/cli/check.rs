//! `check`: a monitoring plugin (Nagios, Icinga, Sensu, Zabbix …). One line, performance data, exit status 0 to 3.
//!
//! Green means that every server gave a time and none is off. Whatever could not be measured is never green.

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::args::{MeasureArgs, parse_duration};
use super::measure::{Tools, measure};
use super::measured::Measured;
use super::words;
use crate::probe::resolve::Address;
use ntp_monitor_core::ntp::Check;
use ntp_monitor_core::sample::{Measure, Outcome};

/// Exit status of wrong usage: plugins say UNKNOWN.
pub const EXIT_USAGE: u8 = 3;

const EXAMPLES: &str = "\
Result:
  CRITICAL  an offset of --critical or more, or a server that says that it is not synchronised or gives unusable times
  WARNING   an offset of --warning or more
  UNKNOWN   nothing was measured: no reply, refused, kiss-o'-death, name not resolved (see --unreachable)
  OK        every server gave a time, and every offset is below --warning
  --reference-age adds limits of its own to WARNING and CRITICAL.
  With several servers the worst counts, in the order CRITICAL, WARNING, UNKNOWN, OK.

Examples:
  ntp-monitor check time.example.net
  ntp-monitor check -w 1ms -c 10ms -n 4 ntp1.example.net ntp2.example.net
  ntp-monitor check --unreachable critical 192.0.2.1
  ntp-monitor check --reference-age 36h,7d 192.0.2.1";

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
#[command(about = "Monitoring plugin: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN", after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Offset, in either direction, from which a server is a warning.
    #[arg(short, long, value_name = "TIME", default_value = "25ms", value_parser = parse_duration)]
    pub warning: Duration,
    /// Offset, in either direction, from which a server is critical.
    #[arg(short, long, value_name = "TIME", default_value = "100ms", value_parser = parse_duration)]
    pub critical: Duration,
    /// Time since the server's clock was last set, as the server states it, from which it is a warning and, after a
    /// comma, critical. A server that does not state it is UNKNOWN.
    #[arg(long, value_name = "WARN[,CRIT]", value_parser = Limits::parse)]
    pub reference_age: Option<Limits>,
    /// What it means when a server cannot be reached.
    #[arg(long, value_name = "STATE", default_value = "unknown")]
    pub unreachable: Unreachable,
    /// Whom to ask and how.
    #[command(flatten)]
    pub measure: MeasureArgs,
}

/// From when on a value is a warning, and from when on critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub warning: Duration,
    pub critical: Option<Duration>,
}

impl Limits {
    /// Reads `WARN` or `WARN,CRIT`.
    fn parse(text: &str) -> Result<Self, String> {
        let (warning, critical) = match text.split_once(',') {
            Some((warning, critical)) => (parse_duration(warning)?, Some(parse_duration(critical)?)),
            None => (parse_duration(text)?, None),
        };
        if critical.is_some_and(|critical| critical < warning) {
            return Err("CRIT must not be below WARN".to_owned());
        }
        Ok(Self { warning, critical })
    }

    fn judge(self, value_s: f64) -> State {
        match value_s {
            value_s if value_s.is_nan() => State::Unknown,
            value_s if self.critical.is_some_and(|limit| value_s >= limit.as_secs_f64()) => State::Critical,
            value_s if value_s >= self.warning.as_secs_f64() => State::Warning,
            _ => State::Ok,
        }
    }

    /// As performance data have them.
    fn thresholds(limits: Option<Self>) -> String {
        let shown = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64().to_string()).unwrap_or_default();
        format!("{};{}", shown(limits.map(|it| it.warning)), shown(limits.and_then(|it| it.critical)))
    }
}

/// What a server that cannot be reached means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unreachable {
    /// Nothing was measured, so nothing is known.
    Unknown,
    /// The operator of the server wants to be called.
    Critical,
}

/// The four states of plugins, in order of gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Ok,
    Unknown,
    Warning,
    Critical,
}

impl State {
    /// The exit status of the plugin interface.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Measures, writes the plugin's line to `out` and returns the exit status.
///
/// # Errors
/// Those of writing.
pub async fn run(args: &CheckArgs, tools: &Tools, out: &mut impl Write) -> io::Result<u8> {
    if args.critical < args.warning {
        writeln!(out, "NTP UNKNOWN - --critical must not be below --warning")?;
        return Ok(EXIT_USAGE);
    }
    let results = measure(&args.measure, tools, |_, _| ()).await;
    write_line(args, &results, out)
}

fn write_line(args: &CheckArgs, results: &[Measured], out: &mut impl Write) -> io::Result<u8> {
    let states: Vec<State> = results.iter().map(|measured| judge(args, measured)).collect();
    // The parser demands a host, and each gives a result; without any, nothing was measured.
    let worst = states.iter().copied().max().unwrap_or(State::Unknown);
    let text = match results {
        [only] => describe(args, only),
        many => describe_all(many, &states),
    };
    write!(out, "NTP {} - {}", worst.label(), text.replace('|', "/"))?;
    let performance = results.iter().filter_map(|measured| performance(args, measured, results.len() > 1));
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
        (Outcome::Sample, Some(measure)) => judge_offset(args, measure.offset_s).max(judge_reference(args, measured)),
        (Outcome::Unsynchronised(_), _) => State::Critical,
        (Outcome::Rejected(check), _) if is_servers_fault(*check) => State::Critical,
        (Outcome::Timeout | Outcome::Refused | Outcome::Dns(_), _) => unreachable,
        (Outcome::Kiss(_) | Outcome::Rejected(_) | Outcome::Fault(_) | Outcome::Sample, _) => State::Unknown,
    }
}

fn judge_offset(args: &CheckArgs, offset_s: f64) -> State {
    Limits { warning: args.warning, critical: Some(args.critical) }.judge(offset_s.abs())
}

fn judge_reference(args: &CheckArgs, measured: &Measured) -> State {
    match (args.reference_age, reference_age_s(measured)) {
        (None, _) => State::Ok,
        (Some(_), None) => State::Unknown,
        (Some(limits), Some(age_s)) => limits.judge(age_s),
    }
}

fn reference_age_s(measured: &Measured) -> Option<f64> {
    measured.best().reply?.reference_age_s
}

/// Whether the server answered our request with unusable times; the other checks fail for strangers' packets, or for
/// reasons of this host.
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
        | Check::ExtensionFields
        | Check::UniqueIdentifier
        | Check::Authenticator
        | Check::Nak
        | Check::Downgrade
        | Check::Cookie => false,
    }
}

fn describe(args: &CheckArgs, measured: &Measured) -> String {
    let Some(measure) = measured.measure() else {
        let why = measured.explanation().unwrap_or_default();
        return format!("{}: {}, {why}", measured.name, words::state(measured.outcome()));
    };
    let Measure { offset_s, delay_s, root_distance_s } = measure;
    let mut text = format!("offset {offset_s:+.6}s, delay {delay_s:.6}s, root distance {root_distance_s:.6}s");
    if let Some(reply) = measured.best().reply {
        text.push_str(&format!(", stratum {}", reply.stratum));
    }
    match reference_age_s(measured) {
        Some(age_s) => text.push_str(&format!(", reference age {age_s:.0}s")),
        None if args.reference_age.is_some() => text.push_str(", no reference age"),
        None => {}
    }
    if measured.lost() > 0 {
        text.push_str(&format!(", {} of {} requests lost", measured.lost(), measured.sent()));
    }
    text
}

/// The worst first: a pager shows the beginning of the line.
fn describe_all(results: &[Measured], states: &[State]) -> String {
    let good = states.iter().filter(|state| **state == State::Ok).count();
    let mut order: Vec<usize> = (0..results.len()).collect();
    order.sort_by_key(|nth| std::cmp::Reverse(states[*nth]));
    let each: Vec<String> = order.into_iter().map(|nth| brief(&results[nth], states[nth])).collect();
    format!("{good} of {} servers ok: {}", results.len(), each.join(", "))
}

fn brief(measured: &Measured, state: State) -> String {
    let what = match measured.measure() {
        Some(measure) => format!("{:+.6}s", measure.offset_s),
        None => words::state(measured.outcome()).into_owned(),
    };
    let mark = if state == State::Ok { String::new() } else { format!(" ({})", state.label()) };
    format!("{} {what}{mark}", measured.name)
}

/// `'label'=value[unit];warning;critical;min;max` for each number, separated by blanks. `None` when nothing was
/// measured: a gap in a graph is honest.
fn performance(args: &CheckArgs, measured: &Measured, is_labelled: bool) -> Option<String> {
    let measure = measured.measure()?;
    let name = |what: &str| label(measured, what, is_labelled);
    let (warning, critical) = (args.warning.as_secs_f64(), args.critical.as_secs_f64());
    let mut values = vec![
        format!("{}={:.6}s;{warning};{critical};;", name("offset"), measure.offset_s),
        format!("{}={:.6}s;;;0;", name("delay"), measure.delay_s),
        format!("{}={:.6}s;;;0;", name("root_distance"), measure.root_distance_s),
    ];
    if let Some(jitter_s) = measured.jitter_s() {
        values.push(format!("{}={jitter_s:.6}s;;;0;", name("jitter")));
    }
    if let Some(reply) = measured.best().reply {
        values.push(format!("{}={};;;1;16", name("stratum"), reply.stratum));
    }
    if let Some(age_s) = reference_age_s(measured) {
        values.push(format!("{}={age_s:.0}s;{};0;", name("reference_age"), Limits::thresholds(args.reference_age)));
    }
    let loss_percent = 100.0 * measured.lost() as f64 / measured.sent().max(1) as f64;
    values.push(format!("{}={loss_percent:.0}%;;;0;100", name("loss")));
    Some(values.join(" "))
}

/// A label may hold anything but `=` and `'`; a server measured at several addresses needs one label for each.
fn label(measured: &Measured, what: &str, is_labelled: bool) -> String {
    if !is_labelled {
        return what.to_owned();
    }
    let server = match measured.address {
        Some(address) if measured.name != Address::from(address).to_string() => {
            format!("{} {}", measured.name, Address::from(address))
        }
        _ => measured.name.clone(),
    };
    format!("'{} {what}'", server.replace(['=', '\'', '|'], "_"))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
