//! `ntp-monitor report`: a report on a span as an HTML page, text, JSON or CSV.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use super::output::{Destination, Output, ending, status_of};
use super::progress::Progress;
use super::span::{Place, SpanArgs};
use super::table::Terminal;
use crate::history::survey::SurveyError;
use crate::report::make::{Made, make};
use crate::report::material::{Order, limit_s};
use crate::store::read::Reader;

const EXAMPLES: &str = "\
Examples:
  ntp-monitor --config servers.toml report --since 7d --limit 50ms -o week.html
  ntp-monitor report --store ntp-monitor.db --from 2026-11-01 --to 2026-12-01 -o november.html

The page is one file without scripts that needs no network and can be printed. The service makes reports on its own \
if [report] schedule is set.
Exit status: 0 success, 1 nothing to report or not writable, 78 invalid configuration.";

const USUAL: Duration = Duration::from_secs(7 * 86_400);

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// The store and the span; a week by default.
    #[command(flatten)]
    pub span: SpanArgs,
    /// The output file; `-` is stdout.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// The format [default: from the name of the file, otherwise html].
    #[arg(long, value_enum)]
    pub format: Option<Form>,
    /// The limit for the evidence of traceability. Default: that of the report section, otherwise the smallest
    /// offset_critical of the configuration, or 100ms.
    #[arg(long, value_name = "TIME", value_parser = super::args::parse_positive)]
    pub limit: Option<Duration>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// One page with charts.
    Html,
    /// Plain text.
    Text,
    /// One JSON object with all figures, verdicts and events.
    Json,
    /// One line for the majority and one for each server.
    Csv,
}

impl Form {
    fn by_name(output: &Path) -> Result<Self, String> {
        match ending(output).as_str() {
            "txt" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "html" | "htm" | "" => Ok(Self::Html),
            other => Err(format!(
                "cannot make a .{other} report: name {} with .html, .txt, .json or .csv, or choose with --format",
                output.display()
            )),
        }
    }

    fn of(self, made: &Made) -> String {
        match self {
            Self::Html => made.html(),
            Self::Text => made.text(),
            Self::Json => made.json(),
            Self::Csv => made.csv(),
        }
    }
}

/// Makes the report; returns the exit status.
///
/// # Errors
/// When the error message cannot be written.
pub fn run(
    args: &ReportArgs,
    place: &Place,
    to: Destination,
    terminal: Terminal,
    complaints: &mut impl Write,
) -> io::Result<u8> {
    let form = args.format.map_or_else(|| Form::by_name(&args.output), Ok);
    let (form, made) = match form.and_then(|form| Ok((form, made(args, place, terminal)?))) {
        Ok(made) => made,
        Err(why) => {
            writeln!(complaints, "ntp-monitor: {why}")?;
            return Ok(1);
        }
    };
    if made.is_empty() {
        writeln!(
            complaints,
            "ntp-monitor: no server was polled in this span, so there is no report: {}",
            made.coverage()
        )?;
        return Ok(1);
    }
    let written = Output::to(to).and_then(|mut output| {
        output.write_all(form.of(&made).as_bytes())?;
        output.finish()
    });
    status_of(written, complaints)
}

fn made(args: &ReportArgs, place: &Place, terminal: Terminal) -> Result<Made, String> {
    let order = Order {
        span: args.span.span(Some(USUAL))?,
        servers: args.span.servers.clone(),
        limit_s: limit_s(args.limit, place.config.as_ref()),
        vantage: None,
        zone: place.config.as_ref().map_or(TimeZone::UTC, |config| config.report.zone.clone()),
    };
    let mut progress = Progress::new(terminal.progress, "samples");
    let made = Reader::open(&place.store).map_err(SurveyError::from).and_then(|reader| {
        make(&reader, order, crate::clock::now().wall_ns, &mut |count, at_ns| progress.at(count, at_ns))
    });
    progress.end();
    made.map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ending_of_a_report_is_an_error() {
        let form = |name: &str| Form::by_name(Path::new(name));
        assert_eq!(
            ["a.txt", "a.csv.gz", "a.htm", "-"].map(form),
            [Ok(Form::Text), Ok(Form::Csv), Ok(Form::Html), Ok(Form::Html)]
        );
        assert!(form("x.pdf").unwrap_err().contains("x.pdf with .html"));
    }
}
