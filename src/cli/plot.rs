//! `ntp-monitor plot`: draws a chart of a span from the store, as SVG or PNG.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::output::{Destination, Output, ending, status_of};
use super::progress::Progress;
use super::span::{Place, SpanArgs};
use super::table::Terminal;
use crate::history::course::{Course, dots, measured, offsets};
use crate::history::span::Span;
use crate::history::survey::{Request, Survey, SurveyError, first_seen_ns, names, survey};
use crate::plot::png::{Fonts, png};
use crate::plot::{
    Compared, Deviation, Look, MOST_LINES, Mark, Quantity, Size, Theme, comparison, deviations, histogram, over_time,
    scatter,
};
use crate::report::material::limit_s;
use crate::store::StoreError;
use crate::store::read::Reader;
use ntp_monitor_core::stats::verdict::When;

const EXAMPLES: &str = "\
Examples:
  ntp-monitor plot offset --server office --since 7d -o office.svg
  ntp-monitor plot comparison -o servers.png
  ntp-monitor plot adev --store ntp-monitor.db --since 3d -o stability.svg
  ntp-monitor plot bound --limit 50ms --theme dark -o bound.svg

If the file name ends in .png, the chart is PNG, which needs an installed font. Otherwise it is SVG: .svg, or no ending.
Exit status: 0 success, 1 failure, 78 invalid configuration.";

/// Maximum number of events that are marked.
const MOST_EVENTS: usize = 1000;

/// Arguments of `plot`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct PlotArgs {
    /// The chart to draw.
    #[arg(value_enum)]
    pub kind: Kind,
    /// The store and the span.
    #[command(flatten)]
    pub span: SpanArgs,
    /// The output file; `-` is stdout.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Width and height in pixels.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "960x400", value_parser = parse_size)]
    pub size: Size,
    /// The colours.
    #[arg(long, value_enum, default_value_t = Colors::Light)]
    pub theme: Colors,
    /// The limit that `bound` shows [default: the smallest offset_critical of the configuration, or 100ms].
    #[arg(long, value_name = "TIME", value_parser = super::args::parse_positive)]
    pub limit: Option<Duration>,
}

/// What can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Offset over time, with events and failed polls.
    Offset,
    /// Round-trip delay over time.
    Delay,
    /// The largest possible error of this host's clock over time, with a limit.
    Bound,
    /// Offset against delay, of one server.
    Scatter,
    /// Distribution of the offsets of one server.
    Histogram,
    /// Allan deviation by averaging time.
    Adev,
    /// Time deviation by averaging time.
    Tdev,
    /// The offsets of all servers side by side.
    Comparison,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::Offset => "Offset",
            Self::Delay => "Round-trip delay",
            Self::Bound => "Error bound of this host's clock",
            Self::Scatter => "Offset against delay",
            Self::Histogram => "Distribution of offsets",
            Self::Adev => "Allan deviation",
            Self::Tdev => "Time deviation",
            Self::Comparison => "Servers compared",
        }
    }
}

/// `--theme`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colors {
    /// For paper.
    Light,
    /// For screens at night.
    Dark,
}

fn parse_size(text: &str) -> Result<Size, String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.trim().parse().ok()?, h.trim().parse().ok()?)));
    let Some((width, height)) = parsed else { return Err(format!("{text:?} is not a size such as 960x400")) };
    let (least, most) = (Size::SMALLEST, Size::LARGEST);
    if (least.width..=most.width).contains(&width) && (least.height..=most.height).contains(&height) {
        return Ok(Size { width, height });
    }
    let Size { width: w, height: h } = least;
    Err(format!("from {w}x{h} to {}x{}", most.width, most.height))
}

/// Draws; returns the exit status.
///
/// # Errors
/// When the error message cannot be written.
pub fn run(
    args: &PlotArgs,
    place: &Place,
    to: Destination,
    terminal: Terminal,
    complaints: &mut impl Write,
) -> io::Result<u8> {
    let mut notes = Vec::new();
    let picture = is_png(&args.output)
        .and_then(|is_png| picture(args, place, terminal, &mut notes).and_then(|svg| encoded(svg, is_png)));
    for note in notes {
        writeln!(complaints, "ntp-monitor: {note}")?;
    }
    match picture {
        Ok(bytes) => {
            let written = Output::to(to).and_then(|mut output| {
                output.write_all(&bytes)?;
                output.finish()
            });
            status_of(written, complaints)
        }
        Err(why) => {
            writeln!(complaints, "ntp-monitor: {why}")?;
            Ok(1)
        }
    }
}

/// Whether the file is named as a PNG file and not as an SVG file.
fn is_png(output: &Path) -> Result<bool, String> {
    match ending(output).as_str() {
        "png" => Ok(true),
        "svg" | "" => Ok(false),
        other => Err(format!("cannot draw a .{other} file: name {} with .svg or .png", output.display())),
    }
}

fn encoded(svg: String, is_png: bool) -> Result<Vec<u8>, String> {
    if !is_png {
        return Ok(svg.into_bytes());
    }
    Fonts::find().and_then(|fonts| png(&svg, &fonts)).map_err(|why| why.to_string())
}

/// The data of a chart.
struct Wanted<'a> {
    args: &'a PlotArgs,
    reader: Reader,
    span: Span,
    names: Vec<String>,
}

fn picture(args: &PlotArgs, place: &Place, terminal: Terminal, notes: &mut Vec<String>) -> Result<String, String> {
    let span = args.span.span(None)?;
    let opened = || -> Result<_, SurveyError> {
        let reader = Reader::open(&place.store)?;
        let names = names(&reader, &args.span.servers)?.iter().map(ToString::to_string).collect::<Vec<_>>();
        let span = span.beginning_with(first_seen_ns(&reader)?.unwrap_or(span.to_ns));
        let vantage = reader.vantage()?.unwrap_or_default();
        Ok((Wanted { args, reader, span, names }, vantage))
    };
    let (mut wanted, vantage) = opened().map_err(|why| why.to_string())?;
    wanted.narrow(notes)?;
    let subtitle = format!("{}; seen from {vantage}", wanted.span);
    let title = match wanted.names.as_slice() {
        [alone] => format!("{}: {alone}", args.kind.title()),
        _ => args.kind.title().to_owned(),
    };
    let theme = if args.theme == Colors::Dark { &Theme::DARK } else { &Theme::LIGHT };
    let look = Look { size: args.size, theme, title: &title, subtitle: &subtitle };
    match args.kind {
        Kind::Offset => wanted.over_time(look, Quantity::Offset),
        Kind::Delay => wanted.over_time(look, Quantity::Delay),
        Kind::Bound => wanted.over_time(look, Quantity::Bound { limit_s: limit_s(args.limit, place.config.as_ref()) }),
        Kind::Scatter => wanted.scatter(look),
        Kind::Histogram => {
            offsets(&wanted.reader, &wanted.names[0], wanted.span).map(|values| histogram(look, &values)).map_err(said)
        }
        Kind::Adev => wanted.surveyed(terminal).map(|found| by_tau(look, Deviation::Allan, &found)),
        Kind::Tdev => wanted.surveyed(terminal).map(|found| by_tau(look, Deviation::Time, &found)),
        Kind::Comparison => wanted.surveyed(terminal).map(|found| side_by_side(look, &found)),
    }
}

fn said(why: StoreError) -> String {
    why.to_string()
}

impl Wanted<'_> {
    /// Keeps as many servers as fit into the chart, and reports which are omitted.
    fn narrow(&mut self, notes: &mut Vec<String>) -> Result<(), String> {
        let most = match self.args.kind {
            Kind::Comparison => usize::MAX,
            Kind::Scatter | Kind::Histogram => 1,
            _ => MOST_LINES,
        };
        if self.names.is_empty() {
            return Err("the store has no servers yet".to_owned());
        }
        if most == 1 && self.names.len() > 1 {
            let all = self.names.join(", ");
            return Err(format!("this chart shows one server: choose one of {all} with --server NAME"));
        }
        if self.names.len() > most {
            let all = self.names.len();
            self.names.truncate(most);
            notes.push(format!("{most} of {all} servers are shown; choose which with --server NAME"));
        }
        Ok(())
    }

    fn over_time(&self, look: Look<'_>, quantity: Quantity) -> Result<String, String> {
        let read = || -> Result<_, StoreError> {
            let course = |name: &String| Ok(measured(&self.reader, name, self.span)?.course(self.span));
            let courses: Vec<Course> = self.names.iter().map(course).collect::<Result<_, StoreError>>()?;
            let events = self.reader.events(self.span.from_ns, self.span.to_ns, MOST_EVENTS)?;
            Ok((courses, events))
        };
        let (courses, events) = read().map_err(said)?;
        let concerns = |server: &Option<String>| server.as_ref().is_none_or(|name| self.names.contains(name));
        let within = events.iter().filter(|one| concerns(&one.event.server) && self.span.holds(one.event.start_ns));
        let marks: Vec<Mark> = within.map(|one| Mark { at_ns: one.event.start_ns }).collect();
        Ok(over_time(look, quantity, &courses.iter().collect::<Vec<_>>(), &marks, self.span))
    }

    fn scatter(&self, look: Look<'_>) -> Result<String, String> {
        let found = dots(&self.reader, &self.names[0], self.span).map_err(said)?;
        let later = found.since_ns.filter(|first_ns| *first_ns > self.span.from_ns + 3_600_000_000_000);
        let since = later.map_or_else(String::new, |first_ns| format!("; samples are kept since {}", When(first_ns)));
        let subtitle = format!("{}{since}", look.subtitle);
        Ok(scatter(Look { subtitle: &subtitle, ..look }, &found.samples))
    }

    fn surveyed(&self, terminal: Terminal) -> Result<Survey, String> {
        let mut progress = Progress::new(terminal.progress, "samples");
        let request = Request { servers: self.names.clone(), taus_s: None, now_ns: crate::clock::now().wall_ns };
        let found = survey(&self.reader, self.span, &request, &mut |count, at_ns| progress.at(count, at_ns));
        progress.end();
        found.map_err(|why| why.to_string())
    }
}

fn by_tau(look: Look<'_>, deviation: Deviation, found: &Survey) -> String {
    let servers: Vec<_> = found.servers.iter().map(|(name, one)| (name.as_str(), &one.figures.stability)).collect();
    deviations(look, deviation, &servers)
}

fn side_by_side(look: Look<'_>, found: &Survey) -> String {
    let servers: Vec<_> = found
        .servers
        .iter()
        .map(|(name, one)| Compared { server: name, offset: &one.figures.summary.offset, blamed: found.accuses(name) })
        .collect();
    comparison(look, &servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ending_of_a_chart_is_an_error() {
        assert_eq!(
            ["a.PNG", "a.svg", "a", "-"].map(|name| is_png(Path::new(name)).unwrap()),
            [true, false, false, false]
        );
        assert!(is_png(Path::new("x.jpg")).unwrap_err().contains("x.jpg with .svg or .png"));
    }

    #[test]
    fn sizes_have_limits() {
        assert_eq!(parse_size("960x400"), Ok(Size::USUAL));
        for bad in ["", "960", "x", "1x1", "99999x400", "960x-1", "ax b"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
