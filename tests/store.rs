//! The store as a whole: what is written is there, once, whatever happens to the process, the disk or the clock.

// allow-unwrap-in-tests sees #[test] functions only, not the helpers beside them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_monitor::clock::Stamp;
use ntp_monitor::ntp::{Check, CheckRow, KissCode, Leap, NtpTimestamp, RefId};
use ntp_monitor::sample::{Evidence, Measure, Outcome, Reply, Sample, ServerIdent, Timestamping};
use ntp_monitor::sinks::influx::outbox::Outbox;
use ntp_monitor::sinks::queue::SinkQueue;
use ntp_monitor::sinks::worker::{self, BatchWriter};
use ntp_monitor::store::read::{History, Reader};
use ntp_monitor::store::{
    Command, EVIDENCE_PER_SERIES, Encoder, Event, Grain, Options, QUARANTINE_LINES, Rollup, Store, StoreError,
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
        rollup_5m_for: Duration::from_secs(90 * 86_400),
        rollup_1h_for: Duration::from_secs(5 * 365 * 86_400),
        outbox_max_age: Duration::from_secs(30 * 86_400),
        outbox_max_bytes: 1 << 30,
        vantage: "ams-1".to_owned(),
        max_pages: None,
    }
}

fn stamp(wall_ns: i64) -> Stamp {
    Stamp { wall_ns, mono_ns: wall_ns - T0 + 77, raw_ns: 12_345 }
}

/// One line a sample: enough to count.
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
        }),
        measure: Some(Measure { offset_s, delay_s: 0.01 + offset_s.abs(), root_distance_s: 0.02 }),
        timestamping: Some(Timestamping::Kernel),
        lost: 0,
        ..poll(server, wall_ns, Outcome::Sample)
    }
}

fn refused_reply(wall_ns: i64) -> Arc<Evidence> {
    let mut checks = CheckRow::default();
    checks.record(Check::Length, true);
    checks.record(Check::Origin, false);
    Arc::new(Evidence {
        at: stamp(wall_ns),
        checks,
        t1: NtpTimestamp(u64::MAX),
        t2: NtpTimestamp(2),
        t3: NtpTimestamp(3),
        t4: NtpTimestamp(1 << 63),
        datagram: vec![0x24; 48].into(),
    })
}

fn every_outcome(server: &str) -> Vec<Arc<Sample>> {
    let at = |n: i64| T0 + n * SECOND;
    let rejected = vec![refused_reply(at(4))];
    let unsynchronised = Sample { measure: None, outcome: Outcome::Unsynchronised, ..measured(server, at(5), 0.0) };
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

#[test]
fn every_outcome_comes_back_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let batch = every_outcome("a");
    store.writer(None).write(&batch).unwrap();

    let reader = reader(&options);
    let written: Vec<_> =
        batch.iter().map(|s| Sample { rejected: Vec::new(), rejected_count: 0, ..Sample::clone(s) }).collect();
    assert_eq!(all(&reader, "a"), written);
    let checks: Vec<_> = reader.samples("a", None, T0, T0 + DAY, 100).unwrap().iter().map(|s| s.checks).collect();
    assert_eq!(checks.iter().flatten().collect::<Vec<_>>(), [&refused_reply(0).checks]);
    assert_eq!(reader.evidence("a", None).unwrap()[0].1, *refused_reply(T0 + 4 * SECOND));
    assert_eq!(reader.vantage().unwrap().as_deref(), Some("ams-1"));

    let series = reader.series().unwrap();
    assert_eq!(series.iter().map(|s| s.key.address.is_some()).collect::<Vec<_>>(), [false, true]);
    let latest = reader.latest().unwrap();
    assert_eq!(latest.iter().map(|s| s.sample.outcome.label()).collect::<Vec<_>>(), ["dns", "fault"]);
}

#[test]
fn a_number_that_is_not_one_does_not_stop_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let odd = Sample { poll_s: f64::NAN, ..measured("a", T0, f64::NAN) };
    store.writer(None).write(&[Arc::new(odd), Arc::new(measured("a", T0 + SECOND, 0.5))]).unwrap();
    let rollups = reader(&options).rollups("a", None, Grain::Hour, T0, T0 + HOUR).unwrap();
    assert_eq!(
        (rollups[0].1.counts.samples(), rollups[0].1.offset_s.n(), rollups[0].1.offset_s.mean()),
        (2, 1, Some(0.5))
    );
}

#[test]
fn the_same_batch_twice_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let read = || {
        let reader = reader(&options);
        let rollups = Grain::ALL.map(|grain| reader.rollups("a", None, grain, T0, T0 + DAY).unwrap());
        (all(&reader, "a"), rollups, reader.outbox_gauge().unwrap(), reader.evidence("a", None).unwrap())
    };
    store.writer(encoder()).write(&every_outcome("a")).unwrap();
    let once = read();
    assert_eq!((once.0.len(), once.2.lines), (8, 8));

    let mut writer = store.writer(encoder());
    writer.write(&every_outcome("a")).unwrap();
    writer.write(&[every_outcome("a"), every_outcome("a")].concat()).unwrap();
    assert_eq!(read(), once);
    assert_eq!(store.handle().outbox_gauge(), once.2);
}

#[test]
fn only_the_last_refused_replies_of_a_series_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let batch: Vec<_> = (0..40)
        .map(|n| {
            let at = T0 + n * SECOND;
            Arc::new(Sample {
                rejected: vec![refused_reply(at)],
                rejected_count: 1,
                ..poll("a", at, Outcome::Rejected(Check::Origin))
            })
        })
        .collect();
    store.writer(None).write(&batch).unwrap();
    let kept = reader(&options).evidence("a", None).unwrap();
    assert_eq!(kept.len(), EVIDENCE_PER_SERIES);
    assert_eq!(kept.last().unwrap().1.at.wall_ns, T0 + 39 * SECOND);
}

#[test]
fn a_store_of_a_newer_release_is_refused_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    drop(Store::open(options.clone(), &log()).unwrap());
    let conn = rusqlite::Connection::open(&options.path).unwrap();
    conn.pragma_update(None, "user_version", 1000).unwrap();
    drop(conn);
    let before = std::fs::read(&options.path).unwrap();
    let refusal = Store::open(options.clone(), &log()).unwrap_err();
    assert!(matches!(refusal, StoreError::Newer { found: 1000, .. }), "{refusal}");
    assert!(matches!(Reader::open(&options.path), Err(StoreError::Newer { .. })));
    assert_eq!(std::fs::read(&options.path).unwrap(), before);
}

#[test]
fn a_file_that_is_not_a_store_is_refused_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let text = Options { path: dir.path().join("notes.txt"), ..options(dir.path()) };
    std::fs::write(&text.path, "these are my notes, and they are longer than one hundred bytes: ".repeat(9)).unwrap();
    let foreign = Options { path: dir.path().join("other.db"), ..options(dir.path()) };
    rusqlite::Connection::open(&foreign.path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    for options in [text, foreign] {
        let before = std::fs::read(&options.path).unwrap();
        let refusal = Store::open(options.clone(), &log()).unwrap_err();
        assert!(matches!(refusal, StoreError::NotAStore(_)), "{refusal}");
        assert_eq!(std::fs::read(&options.path).unwrap(), before);
    }
}

#[test]
fn a_path_that_cannot_be_reached_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let options = Options { path: dir.path().join("file/below/a.db"), ..options(dir.path()) };
    let refusal = Store::open(options, &log()).unwrap_err().to_string();
    assert!(refusal.contains("file/below") && refusal.contains("Not a directory"), "{refusal}");
    let missing = Reader::open(&dir.path().join("none.db")).unwrap_err().to_string();
    assert!(missing.contains("none.db"), "{missing}");
}

#[test]
fn a_second_service_is_refused_while_readers_are_welcome() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    assert!(matches!(Store::open(options.clone(), &log()), Err(StoreError::InUse { .. })));
    assert!(reader(&options).series().unwrap().is_empty());
    drop(store);
    Store::open(options, &log()).unwrap();
}

#[test]
fn what_is_too_old_goes_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        raw_for: Duration::from_secs(3600),
        rollup_5m_for: Duration::from_secs(2 * 3600),
        rollup_1h_for: Duration::from_secs(4 * 3600),
        ..options(dir.path())
    };
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    for server in ["a", "b"] {
        writer.write(&series_of(server, T0, 6 * 225)).unwrap();
    }
    let end = T0 + 6 * HOUR;
    // More than one pass: each deletes a bounded number of rows.
    for _ in 0..12 {
        writer.tick(stamp(end)).unwrap();
    }
    let reader = reader(&options);
    for server in ["a", "b"] {
        assert_eq!(all(&reader, server).first().unwrap().at.wall_ns, end - HOUR);
        assert_eq!(all(&reader, server).len(), 225);
        let oldest = |grain| reader.rollups(server, None, grain, 0, end).unwrap()[0].1.bucket_s * SECOND;
        assert_eq!(oldest(Grain::FiveMinutes), end - 2 * HOUR);
        assert_eq!(oldest(Grain::Hour), end - 4 * HOUR);
    }
}

#[test]
fn the_outbox_is_bounded_by_age_and_size_and_every_dropped_line_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { outbox_max_bytes: 2000, ..options(dir.path()) };
    let store = Store::open(small.clone(), &log()).unwrap();
    let mut writer = store.writer(encoder());
    for n in 0..20 {
        writer.write(&series_of("a", T0 + n * HOUR, 10)).unwrap();
    }
    writer.tick(Stamp::now()).unwrap();
    let gauge = store.handle().outbox_gauge();
    assert!(gauge.bytes <= 2000 && gauge.rows > 0, "{gauge:?}");
    assert_eq!(gauge.lines + gauge.dropped_lines, 200);
    assert_eq!(reader(&small).outbox_gauge().unwrap(), gauge);
    drop((writer, store));

    let short = Options { outbox_max_age: Duration::ZERO, ..small };
    let store = Store::open(short, &log()).unwrap();
    assert_eq!(store.handle().outbox_gauge(), gauge);
    store.writer(None).tick(Stamp::now()).unwrap();
    let gauge = store.handle().outbox_gauge();
    assert_eq!((gauge.rows, gauge.bytes, gauge.oldest_ns, gauge.dropped_lines), (0, 0, None, 200));
}

#[test]
fn a_full_disk_loses_nothing_and_the_writer_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let full = Options { max_pages: Some(60), ..options(dir.path()) };
    let store = Store::open(full.clone(), &log()).unwrap();
    let mut writer = store.writer(encoder());
    let mut written = 0;
    let (refused, why) = loop {
        let batch = series_of("a", T0 + written * 16 * SECOND, 100);
        match writer.write(&batch) {
            Ok(()) => written += 100,
            Err(why) => break (batch, why.to_string()),
        }
    };
    assert!(written > 0 && why.contains("no space left"), "{why}");
    // The same writer, still full: still refused, still whole.
    assert!(writer.write(&refused).is_err());
    let before = reader(&full);
    assert_eq!((all(&before, "a").len() as i64, polls(&before) as i64), (written, written));
    assert_eq!(before.outbox_gauge().unwrap().lines as i64, written);
    assert_eq!(store.handle().outbox_gauge(), before.outbox_gauge().unwrap());

    let ids = before.outbox_oldest(usize::MAX, usize::MAX).unwrap().iter().map(|row| row.id).collect();
    let (reply, _answer) = tokio::sync::oneshot::channel();
    writer.command(Command::OutboxDone { ids, reply });
    writer.write(&refused).unwrap();
    let after = reader(&full);
    assert_eq!((all(&after, "a").len() as i64, polls(&after) as i64), (written + 100, written + 100));
    assert_eq!(after.outbox_gauge().unwrap().lines, 100);
}

#[test]
fn a_writer_whose_directory_is_away_for_a_while_recovers_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    let (here, away) = (dir.path().join("state"), dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let why = writer.write(&every_outcome("a")).unwrap_err().to_string();
    assert!(why.contains("cannot open the store"), "{why}");
    std::fs::rename(&away, &here).unwrap();
    writer.write(&every_outcome("a")).unwrap();
    assert_eq!(all(&reader(&options), "a").len(), 8);
}

#[test]
fn a_store_locked_by_another_program_is_said_to_be_and_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    writer.write(&series_of("a", T0, 1)).unwrap();
    let other = rusqlite::Connection::open(&options.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let why = writer.write(&series_of("a", T0 + HOUR, 1)).unwrap_err().to_string();
    assert!(why.contains("another process holds it locked"), "{why}");
    other.execute_batch("ROLLBACK").unwrap();
    writer.write(&series_of("a", T0 + HOUR, 1)).unwrap();
    assert_eq!(all(&reader(&options), "a").len(), 2);
}

#[test]
fn history_is_raw_while_it_fits_and_rollups_beyond() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    store.writer(None).write(&series_of("a", T0, 1350)).unwrap();
    let reader = reader(&options);
    let history = |step, points| reader.history("a", None, T0, T0 + 6 * HOUR, step, points).unwrap();
    assert!(matches!(history(None, 2000), History::Raw(samples) if samples.len() == 1350));
    for (step, points, width, count) in
        [(None, 1000, 300, 72), (Some(Duration::from_secs(900)), 2000, 900, 24), (None, 6, 3600, 6)]
    {
        let History::Rollups { width_s, rollups } = history(step, points) else { panic!("raw for {step:?}") };
        assert_eq!((width_s, rollups.len()), (width, count));
        assert_eq!(rollups.iter().map(|(_, r)| r.counts.polls()).sum::<u64>(), 1350);
    }
    let History::Rollups { rollups, .. } = history(None, 6) else { panic!("raw") };
    let median = rollups[0].1.offset_sketch.as_ref().unwrap().quantile(0.5).unwrap();
    assert!((median - 0.0112).abs() < 0.0112 * 0.02, "{median}");
}

#[test]
fn pages_of_a_server_follow_each_other_without_gap_or_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let second =
        |s: &Arc<Sample>| Arc::new(Sample { address: Some("192.0.2.2:123".parse().unwrap()), ..Sample::clone(s) });
    let first = series_of("a", T0, 100);
    let batch: Vec<_> = first.iter().cloned().chain(first.iter().map(second)).collect();
    store.writer(None).write(&batch).unwrap();
    let reader = reader(&options);
    let (mut from, mut read) = (T0, 0);
    loop {
        let page = reader.samples("a", None, from, i64::MAX, 7).unwrap();
        let Some(last) = page.last() else { break };
        from = last.sample.at.wall_ns + 1;
        read += page.len();
    }
    assert_eq!(read, 200);
    let one = reader.samples("a", Some("192.0.2.2:123".parse().unwrap()), T0, i64::MAX, 1000).unwrap();
    assert_eq!(one.len(), 100);
}

#[test]
fn everything_since_an_instant_comes_in_order_over_all_series_and_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    for (server, from) in [("a", T0), ("b", T0 + SECOND), ("a", T0 + 40 * DAY), ("c", T0 + 40 * DAY + 1)] {
        writer.write(&series_of(server, from, 2500)).unwrap();
    }
    let reader = reader(&options);
    let since: Vec<_> = reader.since(T0 + 16 * SECOND).map(|s| s.unwrap().sample.at.wall_ns).collect();
    assert_eq!(since.len(), 10_000 - 2);
    assert!(since.is_sorted());
    assert_eq!(reader.since(T0 + 99 * DAY).count(), 0);
    assert_eq!(reader.since(i64::MIN).count(), 10_000);
}

#[test]
fn counts_over_a_window_are_exact_at_its_edges() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    writer.write(&series_of("a", T0, 1350)).unwrap();
    let lost: Vec<_> = (0..500).map(|n| Arc::new(poll("b", T0 + n * 31 * SECOND, Outcome::Timeout))).collect();
    writer.write(&lost).unwrap();
    let reader = reader(&options);
    for (from, to) in [(T0, T0 + DAY), (T0 + 47 * SECOND, T0 + 3 * HOUR + 311 * SECOND), (T0 + 1, T0 + 200 * SECOND)] {
        let counts = reader.counts(from, to).unwrap();
        let raw = |server| reader.samples(server, None, from, to, usize::MAX).unwrap().len() as u64;
        let found: Vec<_> = counts.iter().map(|c| (c.counts.samples(), c.counts.polls(), c.counts.lost)).collect();
        assert_eq!(found, [(raw("a"), raw("a"), 0), (0, raw("b"), raw("b"))]);
        assert_eq!(counts[1].counts.success_ratio(), Some(0.0));
    }
}

#[tokio::test]
async fn outbox_lines_and_events_go_through_the_writer_thread() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), &log()).unwrap();
    let handle = store.handle();
    let queue = SinkQueue::new("store", 64);
    worker::spawn(store.writer(encoder()), &queue, None, handle.writer(), &log(), ()).unwrap();
    every_outcome("a").into_iter().for_each(|sample| assert_eq!(queue.offer(sample), 0));
    handle.append_lines(2, b"x 1\ny 2\n".to_vec()).await.unwrap();
    wait_until(|| handle.outbox_gauge().lines == 10).await;

    let rows = handle.oldest(1, 1).await.unwrap();
    assert_eq!(rows.len(), 1);
    handle.done(handle.oldest(1000, 1 << 20).await.unwrap().iter().map(|row| row.id).collect()).await.unwrap();
    handle.done(vec![rows[0].id]).await.unwrap();
    for n in 0..QUARANTINE_LINES + 5 {
        handle.quarantine(format!("line {n}").into_bytes(), "bad field".to_owned()).await.unwrap();
    }
    let gauge = handle.gauge().await.unwrap();
    assert_eq!((gauge.rows, gauge.lines, gauge.bytes, gauge.dropped_lines), (0, 0, 0, 0));
    assert_eq!(gauge.quarantined_lines, QUARANTINE_LINES as u64);
    assert_eq!(handle.read(Reader::outbox_gauge).await.unwrap(), gauge);

    events_are_kept_once(&handle).await;
    handle.prune_now().await.unwrap();
    let ended = handle.writer().drain(Instant::now() + Duration::from_secs(10));
    ended.recv_timeout(Duration::from_secs(20)).unwrap();
}

async fn events_are_kept_once(handle: &ntp_monitor::store::StoreHandle) {
    // Recent, so that it is not pruned.
    let start_ns = Stamp::now().wall_ns - HOUR;
    let event = Event {
        start_ns,
        end_ns: None,
        kind: "step".to_owned(),
        server: Some("a".to_owned()),
        address: None,
        detail: r#"{"gap_s":0.12}"#.to_owned(),
    };
    let id = handle.record_event(event.clone()).await.unwrap();
    assert_eq!(handle.record_event(event.clone()).await.unwrap(), id);
    assert!(handle.close_event(id, start_ns + SECOND).await.unwrap());
    assert!(!handle.close_event(id + 1, start_ns).await.unwrap());
    let events = handle.read(move |reader| reader.events(start_ns + 1, i64::MAX, 10)).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, Event { end_ns: Some(start_ns + SECOND), ..event });
    assert!(handle.read(move |reader| reader.events(start_ns + HOUR, i64::MAX, 10)).await.unwrap().is_empty());
}

async fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "not in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn readers_see_whole_batches_while_the_writer_writes() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(encoder());
    let writing = std::thread::spawn(move || {
        (0..60).for_each(|n| writer.write(&series_of("a", T0 + n * HOUR, 50)).unwrap());
    });
    let reader = reader(&options);
    loop {
        let over = writing.is_finished();
        let seen = all(&reader, "a").len();
        assert_eq!(seen % 50, 0);
        if over {
            assert_eq!(seen, 3000);
            break;
        }
    }
    writing.join().unwrap();
}

const CHILD: &str = "NTP_MONITOR_TEST_STORE";

/// Not a test by itself: the process that the next test kills.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let dir = PathBuf::from(path);
    let store = Store::open(options(&dir), &log()).unwrap();
    let mut writer = store.writer(encoder());
    let already = all(&reader(&options(&dir)), "a").len() as i64;
    for n in already / 20.. {
        writer.write(&series_of("a", T0 + n * 20 * 16 * SECOND, 20)).unwrap();
        eprintln!("committed {}", (n + 1) * 20);
    }
}

/// Ends the process also when the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_was_committed_is_there_after_the_process_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    for round in 0..8 {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["child_that_writes_until_it_is_killed", "--exact", "--nocapture"]).env(CHILD, dir.path());
        let mut child = Killed(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
        let mut counts = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("committed ")?.parse().ok());
        let committed: usize = counts.nth(2 + 5 * round).expect("the child writes");
        drop(child);

        let reader = reader(&options);
        let rows = all(&reader, "a").len();
        assert!(rows >= committed && rows.is_multiple_of(20), "{rows} rows, {committed} committed");
        assert_eq!(polls(&reader), rows as u64);
        assert_eq!(reader.outbox_gauge().unwrap().lines, rows as u64);
    }
}

/// What another program, which knows nothing of the pending bucket, sees of the finer rollups: buckets and their polls.
fn rollups_on_disk(options: &Options) -> Vec<(i64, i64)> {
    let conn = rusqlite::Connection::open(&options.path).unwrap();
    let mut statement = conn.prepare("SELECT bucket_s, samples FROM rollup_5m ORDER BY bucket_s").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn the_last_five_minutes_are_in_the_rollups_that_are_read_and_later_in_those_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    store.writer(None).write(&series_of("a", T0, 10)).unwrap();
    assert_eq!(rollups_on_disk(&options), []);
    assert_eq!(polls(&reader(&options)), 10);
    // A successor, after a kill: it goes on in the same bucket, and ends it.
    let mut successor = store.writer(None);
    successor.write(&series_of("a", T0 + 160 * SECOND, 2)).unwrap();
    assert_eq!((rollups_on_disk(&options), polls(&reader(&options))), (vec![], 12));
    successor.write(&series_of("a", T0 + 300 * SECOND, 1)).unwrap();
    assert_eq!((rollups_on_disk(&options), polls(&reader(&options))), (vec![(T0 / SECOND, 12)], 13));
}

#[test]
fn a_clock_set_back_to_a_time_that_was_written_counts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    let at = |bucket: i64, second: i64| T0 + (bucket * 300 + second) * SECOND;
    for (bucket, second) in [(0, 0), (1, 0), (9, 0), (0, 9), (0, 19), (1, 9), (2, 0), (3, 0), (9, 9), (10, 0)] {
        writer.write(&series_of("a", at(bucket, second), 1)).unwrap();
    }
    let bucket_s = |bucket: i64| T0 / SECOND + bucket * 300;
    assert_eq!(rollups_on_disk(&options), [(0, 3), (1, 2), (2, 1), (3, 1), (9, 2)].map(|(b, n)| (bucket_s(b), n)));
    assert_eq!(polls(&reader(&options)), 10);
}

#[test]
fn raw_samples_are_summed_up_before_they_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { raw_for: Duration::from_secs(30), ..options(dir.path()) };
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    writer.write(&series_of("a", T0, 10)).unwrap();
    writer.tick(stamp(T0 + 145 * SECOND)).unwrap();
    assert_eq!((all(&reader(&options), "a").len(), polls(&reader(&options))), (2, 10));
    writer.write(&series_of("a", T0 + 160 * SECOND, 3)).unwrap();
    writer.tick(stamp(T0 + 800 * SECOND)).unwrap();
    assert_eq!((all(&reader(&options), "a").len(), polls(&reader(&options))), (0, 13));
}

fn arbitrary_sample() -> impl Strategy<Value = Sample> {
    let way = prop_oneof![Just(Timestamping::Kernel), Just(Timestamping::Userland)];
    (0..3 * HOUR, -1.0..1.0_f64, way, any::<bool>()).prop_map(|(after, offset_s, way, answered)| {
        if answered {
            Sample { timestamping: Some(way), ..measured("a", T0 + after, offset_s) }
        } else {
            poll("a", T0 + after, Outcome::Timeout)
        }
    })
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * (1.0 + left.abs().max(right.abs()))
}

fn same(left: &Rollup, right: &Rollup) -> bool {
    let sums = |r: &Rollup| {
        [r.offset_s.mean(), r.offset_s.squares(), r.delay_s.mean(), r.delay_s.squares(), Some(r.root_distance_mean_s)]
    };
    let exact = |r: &Rollup| (r.counts, r.offset_s.n(), r.offset_sketch.clone(), r.delay_sketch.clone());
    let extremes = |r: &Rollup| {
        [r.offset_s.min(), r.offset_s.max(), r.delay_s.min(), r.delay_s.max(), Some(r.root_distance_max_s)]
    };
    exact(left) == exact(right)
        && extremes(left) == extremes(right)
        && sums(left).into_iter().zip(sums(right)).all(|(l, r)| close(l.unwrap_or(0.0), r.unwrap_or(0.0)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rollup_is_what_its_raw_rows_add_up_to(
        samples in prop::collection::vec(arbitrary_sample(), 1..80),
        cuts in prop::collection::vec((0..80_usize, 0..80_usize, any::<bool>()), 1..6),
        in_order: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path());
        let store = Store::open(options.clone(), &log()).unwrap();
        let mut samples: Vec<_> = samples.into_iter().map(Arc::new).collect();
        if in_order {
            samples.sort_by_key(|sample| sample.at.wall_ns);
        }
        let mut writer = store.writer(None);
        // Overlapping pieces in any order, some by a successor of a writer that was killed, and then all.
        for (a, b, killed) in cuts {
            if killed {
                writer = store.writer(None);
            }
            let (from, to) = (a.min(b).min(samples.len()), a.max(b).min(samples.len()));
            writer.write(&samples[from..to]).unwrap();
        }
        writer.write(&samples).unwrap();

        let reader = reader(&options);
        for grain in Grain::ALL {
            let mut wanted: BTreeMap<_, Rollup> = BTreeMap::new();
            for sample in all(&reader, "a") {
                let (bucket_s, way) = (grain.bucket_s(sample.at.wall_ns), sample.timestamping);
                wanted.entry((bucket_s, way)).or_insert_with(|| Rollup::empty(grain, bucket_s, way)).add(&sample);
            }
            let found = reader.rollups("a", None, grain, 0, i64::MAX).unwrap();
            prop_assert_eq!(found.len(), wanted.len());
            for (_, rollup) in found {
                prop_assert!(same(&rollup, &wanted[&(rollup.bucket_s, rollup.timestamping)]), "{:?}", rollup);
            }
        }
    }
}
