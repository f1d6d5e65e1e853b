//! `ntp-monitor export`: exports samples from the store as CSV, JSON lines or InfluxDB line protocol, in constant memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::output::{Destination, Output, status_of};
use super::progress::Progress;
use super::span::{Place, SpanArgs};
use super::table::Terminal;
use crate::history::span::Span;
use crate::history::survey::{SurveyError, names, samples};
use crate::sinks::influx;
use crate::store::read::Reader;
use ntp_monitor_core::sample::{Sample, ServerIdent};
use ntp_monitor_core::stats::verdict::When;

const EXAMPLES: &str = "\
Examples:
  ntp-monitor export --since 7d -o week.csv.gz         compressed, as `replay` reads it
  ntp-monitor export --format jsonl --server office | jq .offset_s
  ntp-monitor export --store ntp-monitor.db --from 2026-11-01 --format influx -o november.lp

Without a span, every stored sample is exported. [store] raw_for sets how long samples are stored.
JSON lines use the CSV columns as keys, except for the clocks in whole nanoseconds: mono_ns, raw_ns, boot_ns.
Exit status: 0 success, 1 nothing to export or not writable, 78 invalid configuration.";

/// A number larger than the number of stored samples.
const ALL: Duration = Duration::MAX;
/// Number of rows between two progress reports.
const PROGRESS_EVERY: u64 = 4096;

/// Arguments of `export`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// Which store, which span.
    #[command(flatten)]
    pub span: SpanArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    pub format: Format,
    /// The output file; compressed if its name ends in .gz [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The format of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The columns of the CSV files that the service writes.
    Csv,
    /// A JSON object for each poll.
    Jsonl,
    /// InfluxDB line protocol, measurement ntp_sample.
    Influx,
}

/// Reads and writes; returns the exit status.
///
/// # Errors
/// When the error message cannot be written.
pub fn run(
    args: &ExportArgs,
    place: &Place,
    to: Destination,
    terminal: Terminal,
    complaints: &mut impl Write,
) -> io::Result<u8> {
    let opened = args.span.span(Some(ALL)).and_then(|span| {
        let reader = Reader::open(&place.store).map_err(|why| why.to_string())?;
        let wanted = names(&reader, &args.span.servers).map_err(|why| why.to_string())?;
        let vantage = reader.vantage().map_err(|why| why.to_string())?.unwrap_or_default();
        Ok((span, reader, wanted, vantage))
    });
    let (span, reader, wanted, vantage) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            writeln!(complaints, "ntp-monitor: {why}")?;
            return Ok(1);
        }
    };
    let wanted = (!args.span.servers.is_empty()).then_some(wanted);
    let lines = influx::SampleLines::new(vantage.clone());
    let mut encoder = Encoder { format: args.format, vantage, lines, tags: tags(place) };
    let written = Output::to(to).map_err(Failure::Output).and_then(|mut output| {
        let mut progress = Progress::new(terminal.progress && !output.is_terminal(), "rows");
        let count = stream(&reader, span, wanted.as_ref(), &mut encoder, &mut output, &mut progress);
        progress.end();
        let count = count?;
        if count > 0 { output.finish().map(|()| count).map_err(Failure::Output) } else { Ok(0) }
    });
    for what in reader.skipped() {
        writeln!(complaints, "ntp-monitor: {what}")?;
    }
    match written {
        Ok(0) => {
            let whole = args.span.from.is_none() && args.span.since.is_none();
            let of = if whole { String::new() } else { format!(" of {span}") };
            writeln!(complaints, "ntp-monitor: the store has no samples{of}")?;
            Ok(1)
        }
        Ok(_) => Ok(0),
        Err(Failure::Output(why)) => status_of(Err(why), complaints),
        Err(Failure::Store(why)) => {
            writeln!(complaints, "ntp-monitor: {why}")?;
            Ok(1)
        }
    }
}

/// Why an export failed.
enum Failure {
    Output(io::Error),
    Store(SurveyError),
}

/// Writes samples one by one, in constant memory. Returns their number.
fn stream(
    reader: &Reader,
    span: Span,
    wanted: Option<&BTreeSet<Arc<str>>>,
    encoder: &mut Encoder,
    output: &mut Output,
    progress: &mut Progress,
) -> Result<u64, Failure> {
    let (mut line, mut count) = (Vec::new(), 0_u64);
    for sample in samples(reader, span) {
        let sample = sample.map_err(|why| Failure::Store(why.into()))?;
        if wanted.is_some_and(|wanted| !wanted.contains(&sample.server.name)) {
            continue;
        }
        if count == 0 && encoder.format == Format::Csv {
            line.extend_from_slice(ntp_monitor_core::formats::csv::HEADER.as_bytes());
        }
        count += 1;
        if count.is_multiple_of(PROGRESS_EVERY) {
            progress.at(count, sample.at.wall_ns);
        }
        encoder.append(&mut line, sample);
        output.write_all(&line).map_err(Failure::Output)?;
        line.clear();
    }
    Ok(count)
}

/// The configured tags of every server, which the store does not contain.
fn tags(place: &Place) -> BTreeMap<Arc<str>, Arc<ServerIdent>> {
    let servers = place.config.iter().flat_map(|config| &config.servers);
    servers.map(|server| (Arc::clone(&server.ident.name), Arc::clone(&server.ident))).collect()
}

struct Encoder {
    format: Format,
    vantage: String,
    lines: influx::SampleLines,
    tags: BTreeMap<Arc<str>, Arc<ServerIdent>>,
}

impl Encoder {
    fn append(&mut self, out: &mut Vec<u8>, mut sample: Sample) {
        match self.format {
            Format::Csv => ntp_monitor_core::formats::csv::append_record(out, &self.vantage, &sample),
            Format::Jsonl => {
                let line = Line::of(&self.vantage, &sample);
                serde_json::to_writer(&mut *out, &line).expect("writing to memory does not fail");
                out.push(b'\n');
            }
            Format::Influx => {
                if let Some(ident) = self.tags.get(&sample.server.name) {
                    sample.server = Arc::clone(ident);
                }
                self.lines.append(out, &sample);
            }
        }
    }
}

/// One poll; values that were not measured are null.
#[derive(Serialize)]
struct Line<'a> {
    time: When,
    vantage: &'a str,
    server: &'a str,
    address: Option<String>,
    outcome: &'static str,
    reason: std::borrow::Cow<'a, str>,
    offset_s: Option<f64>,
    delay_s: Option<f64>,
    root_delay_s: Option<f64>,
    root_dispersion_s: Option<f64>,
    root_distance_s: Option<f64>,
    stratum: Option<u8>,
    leap: Option<u8>,
    refid: Option<String>,
    precision_s: Option<f64>,
    poll_s: f64,
    timestamping: Option<&'static str>,
    mono_ns: i64,
    raw_ns: i64,
    boot_ns: i64,
    authentication: &'static str,
    reference_age_s: Option<f64>,
    mode: &'static str,
}

impl<'a> Line<'a> {
    fn of(vantage: &'a str, sample: &'a Sample) -> Self {
        let (measure, reply) = (sample.measure, sample.reply);
        Self {
            time: When(sample.at.wall_ns),
            vantage: if sample.server.vantage.is_empty() { vantage } else { &sample.server.vantage },
            server: &sample.server.name,
            address: sample.address.map(|address| address.to_string()),
            outcome: sample.outcome.label(),
            reason: sample.outcome.reason(),
            offset_s: measure.map(|m| m.offset_s),
            delay_s: measure.map(|m| m.delay_s),
            root_delay_s: reply.map(|r| r.root_delay_s),
            root_dispersion_s: reply.map(|r| r.root_dispersion_s),
            root_distance_s: measure.map(|m| m.root_distance_s),
            stratum: reply.map(|r| r.stratum),
            leap: reply.map(|r| r.leap.bits()),
            refid: reply.map(|r| r.refid.display(r.stratum)),
            precision_s: reply.map(|r| r.precision_s()),
            poll_s: sample.poll_s,
            timestamping: sample.timestamping.map(|way| way.label()),
            mono_ns: sample.at.mono_ns,
            raw_ns: sample.at.raw_ns,
            boot_ns: sample.at.boot_ns,
            authentication: sample.authentication.label(),
            reference_age_s: sample.reference_age_s(),
            mode: sample.mode.label(),
        }
    }
}
