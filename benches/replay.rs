//! The speed of a replay: a year of five servers at 64 s, compared with only reading the same file.
//!
//! `cargo bench --bench replay`. Goal: under 10 s. One machine, one run: compare within a run only.

#![allow(clippy::print_stdout, reason = "a table on stdout is what this program is for")]

use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use ntp_monitor::cli::replay::{self, ReplayArgs};
use ntp_monitor::cli::table::Terminal;
use ntp_monitor::sinks::csv;
use ntp_monitor_core::formats::csv::{HEADER, append_record};
use ntp_monitor_core::world::World;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only checks that it builds and starts.
    let days = if std::env::args().any(|arg| arg == "--bench") { 365.0 } else { 1.0 };
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("year.csv");
    let rows = record(&path, days)?;

    let plain = timed(|| Ok(csv::read_file(&path)?.filter(Result::is_ok).map(black_box).count()))?;
    let args = ReplayArgs {
        files: vec![path],
        json: true,
        taus: None,
        progress: false,
        leap_list: None,
        since: None,
        alerts: false,
        groups: Vec::new(),
    };
    let mut out = Vec::new();
    let replayed = timed(|| {
        replay::run(&args, replay::Recipe::default(), Terminal::default(), &mut out, &mut std::io::stderr())?;
        Ok(out.len())
    })?;
    println!("{rows} rows of five servers, {days} days");
    println!("reading alone  {:>7.2} s", plain.as_secs_f64());
    println!(
        "replay --json  {:>7.2} s, {:.2} times reading alone",
        replayed.as_secs_f64(),
        replayed.as_secs_f64() / plain.as_secs_f64()
    );
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<usize, Failure>) -> Result<Duration, Failure> {
    let begin = Instant::now();
    black_box(work()?);
    Ok(begin.elapsed())
}

fn record(path: &Path, days: f64) -> Result<u64, Failure> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "{}", HEADER.trim_end())?;
    let (mut line, mut rows) = (Vec::new(), 0);
    for sample in World::ordinary(11, 5, 64.0, days * 86_400.0).samples() {
        line.clear();
        append_record(&mut line, "bench", &sample);
        file.write_all(&line)?;
        rows += 1;
    }
    file.flush()?;
    Ok(rows)
}
