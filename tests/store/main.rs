//! The store as a whole: written data is stored once, despite faults of process, disk or clock.

// allow-unwrap-in-tests sees #[test] functions only, not the helpers beside them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod damage;
mod harm;
mod packing;
mod reading;
mod rollups;
mod traces;
mod writing;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_monitor::sinks::influx::outbox::Outbox;
use ntp_monitor::sinks::queue::SinkQueue;
use ntp_monitor::sinks::worker::{self, BatchWriter, Incident};
use ntp_monitor::store::read::{History, RateKiss, Reader};
use ntp_monitor::store::{
    Command, EVIDENCE_PER_SERIES, Encoder, Event, Grain, Options, QUARANTINE_LINES, Rollup, Store, StoreError,
};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{Check, CheckRow, KissCode, Leap, NtpTimestamp, RefId};
use ntp_monitor_core::sample::{
    Authentication, Evidence, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping,
};
use proptest::prelude::*;
use slog::{Discard, Logger, o};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// 2026-01-01 00:00 UTC.
const T0: i64 = 1_767_225_600 * SECOND;

fn log() -> Logger {
    Logger::root(Discard, o!())
}

fn options(dir: &Path) -> Options {
    Options {
        path: dir.join("state/ntp-monitor.db"),
        raw_for: Duration::from_secs(7 * 86_400),
        others: None,
        rollup_5m_for: Duration::from_secs(90 * 86_400),
        rollup_1h_for: Duration::from_secs(5 * 365 * 86_400),
        outbox_max_age: Duration::from_secs(30 * 86_400),
        outbox_max_bytes: 1 << 30,
        vantage: "ams-1".to_owned(),
        keeps_vantage: false,
        max_pages: None,
    }
}

fn stamp(wall_ns: i64) -> Stamp {
    Stamp { boot_ns: 3_000_000_007, ..Stamp::new(wall_ns, wall_ns - T0 + 77, 12_345) }
}

/// Advances the retention clock, which begins at the newest sample, to `wall_ns`.
fn catch_up(writer: &mut impl BatchWriter, wall_ns: i64) {
    let start = stamp(wall_ns);
    for at in [start, Stamp { mono_ns: start.mono_ns + 366 * 24 * HOUR, ..start }] {
        writer.tick(at).unwrap();
    }
}

/// Writes one line per sample, which is enough to count samples.
fn encoder() -> Option<Encoder> {
    Some(Box::new(|sample, body| {
        body.extend_from_slice(format!("{} {}\n", sample.server.name, sample.at.wall_ns).as_bytes());
        1
    }))
}

fn poll(server: &str, wall_ns: i64, outcome: Outcome) -> Sample {
    let asked = Sample::unasked(stamp(wall_ns), ServerIdent::named(server), outcome, 64.0);
    Sample { address: Some("192.0.2.1:123".parse().unwrap()), sent: 1, lost: 1, ..asked }
}

fn measured(server: &str, wall_ns: i64, offset_s: f64) -> Sample {
    Sample {
        reply: Some(Reply {
            stratum: 2,
            leap: Leap::Insert,
            refid: RefId([203, 0, 113, 255]),
            precision_log2: -23,
            root_delay_s: 0.012_345,
            root_dispersion_s: 0.000_987,
            reference_age_s: Some(17.25),
        }),
        measure: Some(Measure { offset_s, delay_s: 0.01 + offset_s.abs(), root_distance_s: 0.02 }),
        timestamping: Some(Timestamping::Kernel),
        authentication: Authentication::Nts,
        mode: Mode::Interleaved,
        lost: 0,
        ..poll(server, wall_ns, Outcome::Sample)
    }
}

fn refused_reply(wall_ns: i64) -> Arc<Evidence> {
    let mut checks = CheckRow::default();
    checks.record(Check::Length, true);
    checks.record(Check::Origin, false);
    Arc::new(Evidence {
        at: Stamp { boot_ns: 0, ..stamp(wall_ns) },
        checks,
        t1: NtpTimestamp(u64::MAX),
        t2: NtpTimestamp(2),
        t3: NtpTimestamp(3),
        t4: NtpTimestamp(1 << 63),
        sender: Some("[fe80::9%2]:123".parse().unwrap()),
        hop_limit: None,
        datagram: vec![0x24; 48].into(),
    })
}

fn every_outcome(server: &str) -> Vec<Arc<Sample>> {
    let at = |n: i64| T0 + n * SECOND;
    let rejected = vec![refused_reply(at(4))];
    let unsynchronised =
        Sample { measure: None, outcome: Outcome::Unsynchronised(None), ..measured(server, at(5), 0.0) };
    [
        measured(server, at(0), -0.25),
        poll(server, at(1), Outcome::Timeout),
        poll(server, at(2), Outcome::Refused),
        poll(server, at(3), Outcome::Kiss(KissCode::RATE)),
        Sample { rejected, rejected_count: 1, ..poll(server, at(4), Outcome::Rejected(Check::Origin)) },
        unsynchronised,
        Sample { address: None, sent: 0, ..poll(server, at(6), Outcome::Dns("no such name".into())) },
        poll(server, at(7), Outcome::Fault("no route to host".into())),
    ]
    .into_iter()
    .map(Arc::new)
    .collect()
}

fn series_of(server: &str, from_ns: i64, count: i64) -> Vec<Arc<Sample>> {
    (0..count).map(|n| Arc::new(measured(server, from_ns + n * 16 * SECOND, n as f64 * 1e-4))).collect()
}

fn all(reader: &Reader, server: &str) -> Vec<Sample> {
    let stored = reader.samples(server, None, i64::MIN, i64::MAX, usize::MAX).unwrap();
    stored.into_iter().map(|stored| stored.sample).collect()
}

fn polls(reader: &Reader) -> u64 {
    let rollups = reader.rollups("a", None, Grain::Hour, 0, i64::MAX).unwrap();
    rollups.iter().map(|(_, rollup)| rollup.counts.polls()).sum()
}

fn reader(options: &Options) -> Reader {
    Reader::open(&options.path).unwrap()
}
