//! The CSV output from sample to file and back: midnight, crashes, compression, retention, catching up.

mod files;
mod repair;
mod round_trip;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ntp_monitor::config::{Csv, Rotation};
use ntp_monitor::sinks::csv::{CatchUp, CsvWriter, Journal, Tail, read_file, tail_keys};
use ntp_monitor::sinks::worker::{BatchWriter, Incident};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::formats::csv::{HEADER, append_record, read_from};
use ntp_monitor_core::ntp::{Check, KissCode, Leap, RefId, StatusCode};
use ntp_monitor_core::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};
use proptest::prelude::*;
use slog::{Discard, Logger, o};

const SECOND_NS: i64 = 1_000_000_000;

const DAY_NS: i64 = 86_400 * SECOND_NS;

/// 2026-11-22T00:00:00Z.
const MIDNIGHT_NS: i64 = 1_795_305_600 * SECOND_NS;

fn timeout_at(wall_ns: i64, server: &str) -> Arc<Sample> {
    let at = Stamp::new(wall_ns, wall_ns - MIDNIGHT_NS, 7);
    let asked = Sample::unasked(at, ServerIdent::named(server), Outcome::Timeout, 64.0);
    Arc::new(Sample { address: Some("192.0.2.1:123".parse().unwrap()), sent: 1, lost: 1, ..asked })
}

fn config(dir: &Path) -> Csv {
    Csv { dir: dir.to_owned(), rotation: Rotation::Daily, compress: false, keep: None, group: None }
}

fn writer(config: Csv) -> CsvWriter {
    CsvWriter::new(config, "ams-1", Logger::root(Discard, o!())).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn stamps(path: &Path) -> Vec<i64> {
    read_file(path).unwrap().map(|row| row.unwrap().at.wall_ns).collect()
}
