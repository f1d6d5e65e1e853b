//! `ntp-monitor replay`: recorded samples through statistics, events and verdict, exactly as they run live.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use clap::Args;
use crossbeam_channel::{Receiver, Sender};

use super::recorded::{Faults, Recording};
use super::report;
use super::table::Terminal;
use crate::local;
use crate::sample::Sample;
use crate::stats::leap::LeapSource;
use crate::stats::replay::Replay;

/// Samples that change threads at once.
const BATCH: usize = 4096;
/// Batches on the way.
const BATCHES: usize = 8;
const PROGRESS_EVERY: u64 = 500_000;

const EXAMPLES: &str = "\
Examples:
  ntp-monitor replay samples-2026-11-*.csv.gz           a month, as a report
  ntp-monitor replay --json --taus 64,1024,65536 a.csv  one JSON object, three averaging times

Columns needed: time, server, outcome, offset_s, delay_s, root_delay_s, root_dispersion_s, stratum, leap, in any order.
Rows that cannot be read are reported with their place and left out.
Exit status: 0, 1 when there was nothing to replay.";

/// Arguments of `replay`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// CSV files of one monitor, in any order; `.gz` too.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Averaging times in seconds, rounded to multiples of the poll interval; octaves by default.
    #[arg(long, value_name = "SECONDS,…", value_delimiter = ',', value_parser = parse_tau)]
    pub taus: Option<Vec<f64>>,
    /// A leap-seconds.list to hold announcements against.
    #[arg(long, value_name = "FILE")]
    pub leap_list: Option<PathBuf>,
    /// Say on stderr how far it is.
    #[arg(long)]
    pub progress: bool,
}

/// A positive number of seconds.
pub(super) fn parse_tau(text: &str) -> Result<f64, String> {
    let tau_s = text.trim().parse::<f64>().ok().filter(|tau_s| tau_s.is_finite() && *tau_s > 0.0);
    tau_s.ok_or_else(|| format!("{text:?} is not a positive number of seconds"))
}

/// Replays and prints; returns the exit status.
///
/// # Errors
/// Those of `out`.
pub fn run(
    args: &ReplayArgs,
    terminal: Terminal,
    out: &mut impl Write,
    complaints: &mut (impl Write + Send),
) -> io::Result<u8> {
    let leap = match args.leap_list.as_deref().map(local::read_list).transpose() {
        Ok(list) => LeapSource { list: list.map(Arc::new), ..LeapSource::default() },
        Err(why) => {
            writeln!(complaints, "ntp-monitor: {why}")?;
            return Ok(1);
        }
    };
    let (replay, count, faults) = feed(args, Replay::new().with_leap_list(leap), complaints);
    if count == 0 {
        writeln!(complaints, "ntp-monitor: nothing to replay: no row could be used")?;
        return Ok(1);
    }
    let report = replay.finish(args.taus.as_deref());
    let skipped = faults.unreadable + faults.future;
    if skipped > 0 {
        writeln!(complaints, "ntp-monitor: {count} samples used, {skipped} rows or files could not be")?;
    }
    let refused: u64 = report.servers.values().map(|server| server.summary.refused.total()).sum();
    if refused > 0 {
        writeln!(
            complaints,
            "ntp-monitor: {refused} of them count in no statistics: double, out of order or impossible"
        )?;
    }
    if args.json {
        serde_json::to_writer(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        report::write(out, &report, args.taus.is_some(), terminal.color)?;
    }
    out.flush()?;
    Ok(0)
}

/// Reads on a thread of its own and computes on this one.
fn feed(args: &ReplayArgs, replay: Replay, complaints: &mut (impl Write + Send)) -> (Replay, u64, Faults) {
    let (to, from) = crossbeam_channel::bounded(BATCHES);
    let progress = args.progress;
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut recording = Recording::new(&args.files, complaints);
            send(&mut recording, &to);
            recording.faults()
        });
        let (replay, count) = compute(&from, replay, progress);
        (replay, count, reader.join().expect("a panic of the reader is one of ours"))
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

fn compute(from: &Receiver<Vec<Arc<Sample>>>, mut replay: Replay, progress: bool) -> (Replay, u64) {
    let mut count = 0_u64;
    for sample in from.iter().flatten() {
        replay.observe(&sample);
        count += 1;
        if progress && count.is_multiple_of(PROGRESS_EVERY) {
            let _ = writeln!(io::stderr(), "{count} samples, {}", super::units::wall_time(sample.at.wall_ns));
        }
    }
    (replay, count)
}
