//! `ntp-monitor replay`: runs recorded samples through the statistics, events and verdicts of the live service.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use crossbeam_channel::{Receiver, Sender};
use serde::Serialize;

use super::alerts;
use super::args::parse_positive;
use super::local_rows::{self, LocalRows};
use super::recorded::{Faults, Recording};
use super::report::{self, printable};
use super::table::Terminal;
use crate::app::run::Inputs;
use crate::store::StoreError;
use crate::store::read::Reader;
use ntp_monitor_core::alert::engine::Rulebook;
use ntp_monitor_core::alert::replay::{AlertReplay, AlertReport};
use ntp_monitor_core::fleet::replay::FleetReplay;
use ntp_monitor_core::fleet::verdict::FleetReport;
use ntp_monitor_core::fleet::witness::VantageGroups;
use ntp_monitor_core::sample::{Sample, ServerIdent};
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::replay::{Replay, Report};

/// Number of samples that are passed between threads at once.
const BATCH: usize = 4096;
/// Maximum number of batches in the queue between the threads.
const BATCHES: usize = 8;
const PROGRESS_EVERY: u64 = 500_000;
/// Private addresses that are named in a message.
const ADDRESSES_SHOWN: usize = 4;

const EXAMPLES: &str = "\
Examples:
  ntp-monitor replay samples-2026-11-*.csv.gz           a month, as a report
  ntp-monitor replay --alerts --config servers.toml --since 7d  alerts of the last week
  ntp-monitor replay --json --taus 64,1024,65536 a.csv  one JSON object, three averaging times
  ntp-monitor replay ams.csv lon.csv nyc.csv            several vantages, judged together
  ntp-monitor replay --group ams,lon *.csv              ams and lon share a private network

Required columns: time, server, outcome, offset_s, delay_s, root_delay_s, root_dispersion_s, stratum, leap, in any order.
Files local-*.csv next to the sample files are read too; they record the state of the monitor's clock.
Rows that cannot be parsed are reported with file and line, and skipped.
Exit status: 0 success, 1 nothing to replay.";

/// Arguments of `replay`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// CSV files, plain or `.gz`, of one monitor or of several (column `vantage`), in any order.
    #[arg(required_unless_present = "since", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Replay the last 7d, 12h, … of the configured store instead of files.
    #[arg(long, value_name = "TIME", value_parser = parse_positive, conflicts_with = "files")]
    pub since: Option<Duration>,
    /// Show which alerts would have fired, by the rules of --config or the built-in ones.
    #[arg(long)]
    pub alerts: bool,
    /// Vantages for which the same private address is the same server, as with one value of `[fleet] groups`.
    /// Repeat it for each network. Otherwise, a private address is another server for each vantage.
    #[arg(long = "group", value_name = "VANTAGE,…")]
    pub groups: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Averaging times in seconds, rounded to multiples of the poll interval; octaves by default.
    #[arg(long, value_name = "SECONDS,…", value_delimiter = ',', value_parser = parse_tau)]
    pub taus: Option<Vec<f64>>,
    /// A leap-seconds.list to compare announced leap seconds with.
    #[arg(long, value_name = "FILE")]
    pub leap_list: Option<PathBuf>,
    /// Show progress on stderr.
    #[arg(long)]
    pub progress: bool,
}

/// A positive number of seconds.
pub(super) fn parse_tau(text: &str) -> Result<f64, String> {
    let tau_s = text.trim().parse::<f64>().ok().filter(|tau_s| tau_s.is_finite() && *tau_s > 0.0);
    tau_s.ok_or_else(|| format!("{text:?} is not a positive number of seconds"))
}

/// The parts of the configuration that a replay needs.
#[derive(Debug, Default)]
pub struct Recipe {
    /// The alert rules, if alerts were requested.
    pub rules: Option<Rulebook>,
    /// Servers with their tags, which recordings do not contain.
    pub servers: Vec<Arc<ServerIdent>>,
    /// The store, if its samples were requested.
    pub store: Option<PathBuf>,
}

impl Recipe {
    /// Reads the parts of the configuration that `args` need, if there is a configuration.
    ///
    /// # Errors
    /// When the configuration is invalid, or is needed and missing.
    pub fn new(args: &ReplayArgs, inputs: &Inputs) -> Result<Self, String> {
        if !args.alerts && args.since.is_none() {
            return Ok(Self::default());
        }
        let config = match inputs.load() {
            Ok(loaded) => Some(loaded.config),
            Err(faults) if inputs.file.is_some() || args.since.is_some() => return Err(faults.to_string()),
            Err(_) => None,
        };
        let rules = || config.as_ref().map_or_else(Rulebook::built_in, |config| (*config.alerting).clone());
        Ok(Self {
            rules: args.alerts.then(rules),
            store: args.since.and_then(|_| config.as_ref().map(|config| config.store.path.clone())),
            servers: config.iter().flat_map(|config| config.servers.iter().map(|it| Arc::clone(&it.ident))).collect(),
        })
    }
}

/// The `--json` output for one vantage.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(flatten)]
    alerts: Option<&'a AlertReport>,
}

impl<'a> Printed<'a> {
    fn of((report, alerts): &'a (Report, Option<AlertReport>)) -> Self {
        Self { report, alerts: alerts.as_ref() }
    }
}

/// The `--json` output for several vantages.
#[derive(Serialize)]
struct PrintedFleet<'a> {
    vantages: BTreeMap<&'a str, Printed<'a>>,
    fleet: &'a FleetReport,
}

/// Replays and prints; returns the exit status.
///
/// # Errors
/// I/O errors of the output.
pub fn run(
    args: &ReplayArgs,
    recipe: Recipe,
    terminal: Terminal,
    out: &mut impl Write,
    complaints: &mut (impl Write + Send),
) -> io::Result<u8> {
    let leap = match args.leap_list.as_deref().map(crate::config::read_leap_list).transpose() {
        Ok(list) => LeapSource { list: list.map(Arc::new), ..LeapSource::default() },
        Err(why) => {
            writeln!(complaints, "ntp-monitor: {why}")?;
            return Ok(1);
        }
    };
    let keep_list = args.leap_list.is_some();
    let mut work = Work::new(leap, recipe.rules, recipe.servers);
    let (work, faults) = match (recipe.store, args.since) {
        (Some(store), Some(since)) => match from_store(&store, since, work, args) {
            Ok(work) => (work, Faults::default()),
            Err(why) => {
                writeln!(complaints, "ntp-monitor: {why}")?;
                return Ok(1);
            }
        },
        _ => {
            let (samples, local) = local_rows::divide(&args.files);
            work.local = LocalRows::new(local_rows::read(&local, complaints), keep_list);
            work.group(VantageGroups::default(), &args.groups);
            feed(args.progress, &samples, work, complaints)
        }
    };
    let count = work.count;
    if count == 0 {
        writeln!(complaints, "ntp-monitor: nothing to replay: no row could be used")?;
        return Ok(1);
    }
    let done = work.finish(args);
    let skipped = faults.unreadable + faults.future;
    if skipped > 0 {
        writeln!(complaints, "ntp-monitor: {count} samples used, {skipped} rows or files could not be used")?;
    }
    let servers = done.vantages.values().flat_map(|(report, _)| report.servers.values());
    let refused: u64 = servers.map(|server| server.summary.refused.total()).sum();
    if refused > 0 {
        writeln!(
            complaints,
            "ntp-monitor: {refused} of them are not part of the statistics: duplicate, out of order or impossible"
        )?;
    }
    done.explain_groups(args, complaints)?;
    if args.json {
        done.write_json(out)?
    } else {
        done.write(out, args.taus.is_some(), terminal)?
    }
    out.flush()?;
    Ok(0)
}

/// The consumers of samples.
struct Work {
    leap: LeapSource,
    local: LocalRows,
    rules: Option<Rulebook>,
    servers: Vec<Arc<ServerIdent>>,
    /// One analysis for each vantage.
    vantages: BTreeMap<Arc<str>, VantageWork>,
    /// All vantages together.
    fleet: FleetReplay,
    count: u64,
}

struct VantageWork {
    replay: Replay,
    alerts: Option<AlertReplay>,
}

impl Work {
    fn new(leap: LeapSource, rules: Option<Rulebook>, servers: Vec<Arc<ServerIdent>>) -> Self {
        Self {
            leap,
            local: LocalRows::default(),
            rules,
            servers,
            vantages: BTreeMap::new(),
            fleet: FleetReplay::new(VantageGroups::default()),
            count: 0,
        }
    }

    /// Must be called before the first sample. Each of `shared` names the vantages that share a private network.
    fn group(&mut self, mut groups: VantageGroups, shared: &[String]) {
        for group in shared {
            group.split(',').for_each(|vantage| _ = groups.set(vantage.trim(), Some(group)));
        }
        self.fleet = FleetReplay::new(groups);
    }

    fn take(&mut self, sample: Arc<Sample>) {
        let sample = self.tagged(sample);
        let at_ns = sample.at.wall_ns;
        self.fleet.observe(&sample);
        self.count += 1;
        let vantage = match self.vantages.get_mut(&sample.server.vantage) {
            Some(vantage) => vantage,
            None => {
                let replay = Replay::new().with_leap_list(self.leap.clone());
                let new = VantageWork { replay, alerts: self.rules.clone().map(AlertReplay::new) };
                self.vantages.entry(Arc::clone(&sample.server.vantage)).or_insert(new)
            }
        };
        self.local.apply(&sample.server.vantage, at_ns, &mut vantage.replay);
        vantage.replay.observe(&sample);
        if let Some(alerts) = &mut vantage.alerts {
            alerts.observe(&sample);
            if alerts.is_due(at_ns) {
                alerts.look(at_ns, &vantage.replay.snapshot(at_ns));
            }
        }
    }

    /// Rules may choose servers by their tags.
    fn tagged(&self, sample: Arc<Sample>) -> Arc<Sample> {
        match self.servers.iter().find(|ident| ident.name == sample.server.name) {
            Some(ident) if self.rules.is_some() => {
                let vantage = Arc::clone(&sample.server.vantage);
                let server = Arc::new(ServerIdent { vantage, ..(**ident).clone() });
                Arc::new(Sample { server, ..(*sample).clone() })
            }
            _ => sample,
        }
    }

    fn finish(self, args: &ReplayArgs) -> Done {
        let is_fleet = self.vantages.len() > 1;
        let finish =
            |work: VantageWork| (work.replay.finish(args.taus.as_deref()), work.alerts.map(AlertReplay::finish));
        let vantages = self.vantages.into_iter().map(|(name, work)| (name, finish(work))).collect();
        let mut said = 0;
        let mut progress = |judged: usize| {
            if args.progress && judged as u64 >= said + PROGRESS_EVERY {
                said = judged as u64;
                let _ = writeln!(io::stderr(), "{judged} samples of all vantages judged together");
            }
        };
        Done { vantages, fleet: is_fleet.then(|| self.fleet.finish(&mut progress)) }
    }
}

/// The results of a replay: of each vantage, and of all together if there are several.
struct Done {
    vantages: BTreeMap<Arc<str>, (Report, Option<AlertReport>)>,
    fleet: Option<FleetReport>,
}

impl Done {
    /// Says what the groups of vantages lack.
    fn explain_groups(&self, args: &ReplayArgs, complaints: &mut impl Write) -> io::Result<()> {
        let names = args.groups.iter().flat_map(|group| group.split(',')).map(str::trim);
        for name in names.filter(|name| !self.vantages.contains_key(*name)) {
            writeln!(complaints, "ntp-monitor: --group names {}, but it has no samples", printable(name))?;
        }
        let twice = self.fleet.iter().flat_map(|fleet| &fleet.private_twice);
        let addresses: Vec<String> = twice.take(ADDRESSES_SHOWN).map(ToString::to_string).collect();
        if args.groups.is_empty() && !addresses.is_empty() {
            writeln!(
                complaints,
                "ntp-monitor: several vantages poll the private address {}, each another server unless --group names \
                 those that share a network",
                addresses.join(", ")
            )?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.fleet {
            Some(fleet) => {
                let vantages = self.vantages.iter().map(|(name, it)| (&**name, Printed::of(it))).collect();
                serde_json::to_writer(&mut *out, &PrintedFleet { vantages, fleet })?;
            }
            None => {
                for it in self.vantages.values() {
                    serde_json::to_writer(&mut *out, &Printed::of(it))?;
                }
            }
        }
        writeln!(out)
    }

    fn write(&self, out: &mut impl Write, with_stability: bool, terminal: Terminal) -> io::Result<()> {
        for (name, (report, alerts)) in &self.vantages {
            if self.fleet.is_some() {
                report::heading(out, &format!("Vantage {}", printable(name)), terminal.color)?;
            }
            report::write(out, report, with_stability, terminal)?;
            if let Some(alerts) = alerts {
                alerts::write(out, alerts, terminal.color)?;
            }
        }
        self.fleet.as_ref().map_or(Ok(()), |fleet| report::fleet(out, fleet, terminal.color))
    }
}

/// Feeds the samples of the store of the last `since`.
fn from_store(store: &Path, since: Duration, mut work: Work, args: &ReplayArgs) -> Result<Work, StoreError> {
    let since_ns = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
    let from_ns = crate::clock::now().wall_ns.saturating_sub(since_ns);
    let reader = Reader::open(store)?;
    work.local = LocalRows::new(reader.local_rows(from_ns, i64::MAX, usize::MAX)?, args.leap_list.is_some());
    let mut groups = reader.fleet_groups()?;
    if let Some(here) = reader.vantage()?.map(Arc::from) {
        // Samples of this host have no vantage in the store.
        groups.set("", Some(&groups.of(&here)));
    }
    work.group(groups, &args.groups);
    for stored in reader.since(from_ns) {
        work.take(Arc::new(stored?.sample));
    }
    Ok(work)
}

/// Reads on a separate thread and analyses on this one.
fn feed(progress: bool, files: &[PathBuf], work: Work, complaints: &mut (impl Write + Send)) -> (Work, Faults) {
    let (to, from) = crossbeam_channel::bounded(BATCHES);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut recording = Recording::new(files, complaints);
            send(&mut recording, &to);
            recording.faults()
        });
        let work = compute(&from, work, progress);
        (work, reader.join().expect("a panic of the reader is one of ours"))
    })
}

fn send(samples: &mut impl Iterator<Item = Sample>, to: &Sender<Vec<Arc<Sample>>>) {
    loop {
        let batch: Vec<_> = samples.by_ref().take(BATCH).map(Arc::new).collect();
        if batch.is_empty() || to.send(batch).is_err() {
            return;
        }
    }
}

fn compute(from: &Receiver<Vec<Arc<Sample>>>, mut work: Work, progress: bool) -> Work {
    for sample in from.iter().flatten() {
        let wall_ns = sample.at.wall_ns;
        work.take(sample);
        if progress && work.count.is_multiple_of(PROGRESS_EVERY) {
            let _ =
                writeln!(io::stderr(), "{} samples, {}", work.count, ntp_monitor_core::text::units::wall_time(wall_ns));
        }
    }
    work
}
