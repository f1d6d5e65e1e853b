//! `ntp-monitor stats`: statistics of a span from the store, also while the service writes to it.

use std::io::{self, Write};

use clap::Args;

use super::progress::Progress;
use super::replay::parse_tau;
use super::report;
use super::span::{Place, SpanArgs};
use super::table::Terminal;
use crate::history::survey::{Request, Source, Survey, SurveyError, survey};
use crate::store::read::Reader;

const EXAMPLES: &str = "\
Examples:
  ntp-monitor --config servers.toml stats              the last day
  ntp-monitor stats --store ntp-monitor.db --since 30d --server office
  ntp-monitor stats --from 2026-11-01 --to 2026-11-08 --json

Figures come from samples as far back as the store has them, before that from hourly rollups; the last column says which.
Exit status: 0 success, 1 no server was polled in the span, 78 invalid configuration.";

/// Arguments of `stats`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct StatsArgs {
    /// The store and the span.
    #[command(flatten)]
    pub span: SpanArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Averaging times of stability in seconds, rounded to multiples of the poll interval; octaves by default.
    #[arg(long, value_name = "SECONDS,…", value_delimiter = ',', value_parser = parse_tau)]
    pub taus: Option<Vec<f64>>,
}

/// Reads and prints; returns the exit status.
///
/// # Errors
/// I/O errors of the output.
pub fn run(
    args: &StatsArgs,
    place: &Place,
    terminal: Terminal,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> io::Result<u8> {
    let found = match look(args, place, terminal) {
        Ok(found) => found,
        Err(why) => {
            writeln!(complaints, "ntp-monitor: {why}")?;
            return Ok(1);
        }
    };
    if found.servers.is_empty() && !args.json {
        writeln!(
            complaints,
            "ntp-monitor: no polls from {} to {}. {}",
            found.from,
            found.to,
            found.coverage.sentence()
        )?;
        return Ok(1);
    }
    if args.json {
        serde_json::to_writer(&mut *out, &found)?;
        writeln!(out)?;
    } else {
        write(out, &found, args.taus.is_some(), terminal)?;
    }
    out.flush()?;
    Ok(u8::from(found.servers.is_empty()))
}

fn look(args: &StatsArgs, place: &Place, terminal: Terminal) -> Result<Survey, String> {
    let span = args.span.span(None)?;
    let now_ns = crate::clock::now().wall_ns;
    let request = Request { servers: args.span.servers.clone(), taus_s: args.taus.clone(), now_ns };
    let mut progress = Progress::new(terminal.progress, "samples");
    let found = Reader::open(&place.store)
        .map_err(SurveyError::from)
        .and_then(|reader| survey(&reader, span, &request, &mut |count, at_ns| progress.at(count, at_ns)));
    progress.end();
    found.map_err(|why| why.to_string())
}

fn write(out: &mut impl Write, found: &Survey, with_stability: bool, terminal: Terminal) -> io::Result<()> {
    let color = terminal.color;
    writeln!(out, "{} to {}", found.from, found.to)?;
    writeln!(out, "{}", found.coverage.sentence())?;
    let rows = found.servers.iter().map(|(name, one)| (name.as_str(), &one.figures.summary, one.source.label()));
    report::servers(out, rows, terminal)?;
    report::heading(out, "Standing", color)?;
    for (name, one) in &found.servers {
        writeln!(out, "{}: {}", report::printable(name), one.standing.sentence)?;
    }
    if with_stability {
        report::stability(out, found.servers.iter().map(|(name, one)| (name.as_str(), &one.figures)), color)?;
    }
    let is_shorter = found.servers.values().any(|one| one.source == Source::Rollups);
    match found.judged_from {
        None => writeln!(out, "\n(no verdicts: they need samples; this span has none in the store, or too many)")?,
        Some(from) => {
            report::verdicts(out, &found.verdicts, color)?;
            if is_shorter {
                writeln!(out, "(verdicts need samples, which are kept since {from})")?;
            }
        }
    }
    let events = found.events.iter().map(|one| (one.start, one.kind.as_str(), one.sentence.as_str()));
    report::events(out, events, color)
}
