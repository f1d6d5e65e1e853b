//! The CSV output from sample to file and back: midnight, crashes, compression, retention, catching up.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ntp_monitor::config::{Csv, Rotation};
use ntp_monitor::sinks::csv::{CatchUp, CsvWriter, Journal, missing, read_file, tail_keys};
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

/// Ticks a second apart, until nothing has changed in the directory for two minutes.
fn keep_house(writer: &mut CsvWriter, dir: &Path, wall_ns: i64) {
    let (mut mono_ns, mut quiet, mut before) = (wall_ns - MIDNIGHT_NS, 0, Vec::new());
    while quiet < 120 {
        writer.tick(Stamp::new(wall_ns, mono_ns, 0)).unwrap();
        mono_ns += SECOND_NS;
        let now = names(dir);
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
}

#[test]
fn a_batch_that_spans_midnight_goes_to_two_files_each_with_a_header() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(config(dir.path()));
    writer.write(&[timeout_at(MIDNIGHT_NS - 1, "a"), timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    writer.write(&[timeout_at(MIDNIGHT_NS - 2, "late"), timeout_at(MIDNIGHT_NS + 1, "a")]).unwrap();
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv", "samples-2026-11-22.csv"]);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.csv")), [MIDNIGHT_NS - 1, MIDNIGHT_NS - 2]);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-22.csv")), [MIDNIGHT_NS, MIDNIGHT_NS + 1]);
    let text = fs::read_to_string(dir.path().join("samples-2026-11-22.csv")).unwrap();
    assert_eq!(text.matches(HEADER).count(), 1);
}

#[test]
fn a_torn_last_line_is_cut_at_start_and_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-22.csv");
    writer(config(dir.path())).write(&[timeout_at(MIDNIGHT_NS, "a"), timeout_at(MIDNIGHT_NS + 1, "a")]).unwrap();
    let whole = fs::read(&path).unwrap();
    for torn in [whole.len() - 1, whole.len() - 30, HEADER.len() - 3, 0] {
        fs::write(&path, &whole[..torn]).unwrap();
        let mut writer = writer(config(dir.path()));
        let left = if torn > HEADER.len() { stamps(&path) } else { Vec::new() };
        writer.write(&[timeout_at(MIDNIGHT_NS + 2, "a")]).unwrap();
        assert_eq!(stamps(&path), [left, vec![MIDNIGHT_NS + 2]].concat());
    }
}

/// At a reload: what looks like a torn line may be one that is just being written.
#[test]
fn looking_whether_a_directory_can_be_written_changes_nothing_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-22.csv");
    fs::write(&path, format!("{HEADER}half a li")).unwrap();
    fs::write(dir.path().join("samples-2026-11-21.csv"), HEADER).unwrap();
    fs::write(dir.path().join("samples-2026-11-21.csv.gz.part"), "half an archive").unwrap();
    let before = names(dir.path());
    CsvWriter::examine(dir.path()).unwrap();
    assert_eq!(names(dir.path()), before);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{HEADER}half a li"));
    for unusable in [&path, Path::new("/proc/self")] {
        let why = CsvWriter::examine(unusable).unwrap_err().to_string();
        assert!(why.contains(unusable.to_str().unwrap()), "{why}");
    }
}

#[test]
fn a_file_with_other_columns_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = "time,server\nx,y\n";
    fs::write(dir.path().join("samples-2026-11-22.csv"), foreign).unwrap();
    let mut writer = writer(config(dir.path()));
    writer.write(&[timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    writer.write(&[timeout_at(MIDNIGHT_NS + 1, "a")]).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("samples-2026-11-22.csv")).unwrap(), foreign);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-22.2.csv")), [MIDNIGHT_NS, MIDNIGHT_NS + 1]);
}

#[test]
fn a_file_of_before_the_newest_columns_is_read_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("samples-2026-11-22.csv");
    let mut row = Vec::new();
    append_record(&mut row, "v", &timeout_at(MIDNIGHT_NS, "a"));
    let older = |line: &str| line.trim_end().split(',').take(19).collect::<Vec<_>>().join(",") + "\n";
    let content = older(HEADER) + &older(std::str::from_utf8(&row).unwrap());
    fs::write(&file, &content).unwrap();
    let read = |path: &Path| read_file(path).unwrap().map(Result::unwrap).next().unwrap();
    let here = timeout_at(MIDNIGHT_NS, "a");
    assert_eq!(read(&file), Sample { server: ServerIdent::seen_from("v", "a"), ..Sample::clone(&here) });

    let late = timeout_at(MIDNIGHT_NS + 1, "a");
    writer(config(dir.path())).write(std::slice::from_ref(&late)).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), content);
    let back = read(&dir.path().join("samples-2026-11-22.2.csv"));
    assert_eq!(back, Sample { server: ServerIdent::seen_from("ams-1", "a"), ..Sample::clone(&late) });
}

#[test]
fn a_batch_that_cannot_be_written_whole_is_taken_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(config(dir.path()));
    writer.write(&[timeout_at(MIDNIGHT_NS - 1, "a")]).unwrap();
    let before = fs::read(dir.path().join("samples-2026-11-21.csv")).unwrap();
    // The second day's file cannot be opened: a directory has its name.
    let blocked = dir.path().join("samples-2026-11-22.csv");
    fs::create_dir(&blocked).unwrap();
    let batch = [timeout_at(MIDNIGHT_NS - 2, "a"), timeout_at(MIDNIGHT_NS, "a")];
    writer.write(&batch).unwrap_err();
    assert_eq!(fs::read(dir.path().join("samples-2026-11-21.csv")).unwrap(), before);
    fs::remove_dir(&blocked).unwrap();
    writer.write(&batch).unwrap();
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.csv")), [MIDNIGHT_NS - 1, MIDNIGHT_NS - 2]);
    assert_eq!(stamps(&blocked), [MIDNIGHT_NS]);
}

#[test]
fn finished_files_are_compressed_and_what_is_late_gets_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(Csv { compress: true, ..config(dir.path()) });
    writer.write(&[timeout_at(MIDNIGHT_NS - 1, "a"), timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    let before = fs::read(dir.path().join("samples-2026-11-21.csv")).unwrap();

    keep_house(&mut writer, dir.path(), MIDNIGHT_NS + 300 * SECOND_NS);
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv", "samples-2026-11-22.csv"], "too early to be finished");
    keep_house(&mut writer, dir.path(), MIDNIGHT_NS + 3600 * SECOND_NS);
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv.gz", "samples-2026-11-22.csv"]);
    let mut unpacked = Vec::new();
    let archive = fs::File::open(dir.path().join("samples-2026-11-21.csv.gz")).unwrap();
    flate2::read::GzDecoder::new(archive).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, before);

    writer.write(&[timeout_at(MIDNIGHT_NS - 5, "late")]).unwrap();
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.2.csv")), [MIDNIGHT_NS - 5]);
    keep_house(&mut writer, dir.path(), MIDNIGHT_NS + 7200 * SECOND_NS);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.2.csv.gz")), [MIDNIGHT_NS - 5]);
}

#[test]
fn a_crash_while_compressing_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-21.csv");
    let compressing = Csv { compress: true, ..config(dir.path()) };
    let mut first = writer(compressing.clone());
    first.write(&[timeout_at(MIDNIGHT_NS - 1, "a")]).unwrap();
    let plain = fs::read(&path).unwrap();
    first.tick(Stamp::new(MIDNIGHT_NS + DAY_NS, 0, 0)).unwrap();
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv", "samples-2026-11-21.csv.gz.part"]);
    drop(first);

    let mut second = writer(compressing.clone());
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv"]);
    keep_house(&mut second, dir.path(), MIDNIGHT_NS + DAY_NS);
    drop(second);
    // As if the crash had come just before the original was removed.
    fs::write(&path, plain).unwrap();
    drop(writer(compressing));
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv.gz"]);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.csv.gz")), [MIDNIGHT_NS - 1]);
}

#[test]
fn files_go_after_their_time_and_nobody_elses_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("samples-of-mine.csv"), "x").unwrap();
    let mut writer = writer(Csv { keep: Some(Duration::from_secs(2 * 86_400)), ..config(dir.path()) });
    for day in 0..6 {
        writer.write(&[timeout_at(MIDNIGHT_NS + day * DAY_NS, "a")]).unwrap();
    }
    keep_house(&mut writer, dir.path(), MIDNIGHT_NS + 5 * DAY_NS + 3600 * SECOND_NS);
    assert_eq!(
        names(dir.path()),
        ["samples-2026-11-25.csv", "samples-2026-11-26.csv", "samples-2026-11-27.csv", "samples-of-mine.csv"]
    );
}

#[test]
fn a_file_that_was_removed_under_the_writer_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-22.csv");
    let mut writer = writer(config(dir.path()));
    writer.write(&[timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    fs::remove_file(&path).unwrap();
    writer.tick(Stamp::new(MIDNIGHT_NS, 0, 0)).unwrap();
    writer.write(&[timeout_at(MIDNIGHT_NS + 1, "a")]).unwrap();
    assert_eq!(stamps(&path), [MIDNIGHT_NS + 1]);
}

#[test]
fn what_a_kill_kept_from_the_files_is_found_missing_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(tail_keys(dir.path(), Duration::from_secs(60)).unwrap(), None);
    // Twenty servers, a sample a second each for twenty minutes, over midnight; the longer window needs a second piece of the file.
    let all: Vec<_> = (-300..900_i64)
        .flat_map(|s| (0..20).map(move |n| timeout_at(MIDNIGHT_NS + s * SECOND_NS + n, &format!("s{n}"))))
        .collect();
    let lost = |n: usize| n >= all.len() - 100 && n.is_multiple_of(3);
    let written: Vec<_> = all.iter().enumerate().filter(|(n, _)| !lost(*n)).map(|(_, s)| Arc::clone(s)).collect();
    let mut first = writer(config(dir.path()));
    first.write(&written).unwrap();
    for window_s in [30, 700] {
        let tail = tail_keys(dir.path(), Duration::from_secs(window_s)).unwrap().unwrap();
        let found: Vec<_> = missing(&tail, all.iter().cloned()).collect();
        let expected: Vec<_> = all.iter().enumerate().filter(|(n, _)| lost(*n)).map(|(_, s)| Arc::clone(s)).collect();
        assert_eq!(found, expected);
    }
    let tail = tail_keys(dir.path(), Duration::from_secs(60)).unwrap().unwrap();
    first.write(&missing(&tail, all.iter().cloned()).collect::<Vec<_>>()).unwrap();
    let tail = tail_keys(dir.path(), Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(missing(&tail, all).count(), 0);
}

/// Hours of samples that reached the store alone: more than the queue of the output holds.
#[test]
fn rows_of_hours_are_written_before_newer_ones_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::<FakeStore>::default();
    writer(config(dir.path())).write(&store.take(0..100)).unwrap();
    store.take(100..80_000);
    let tail = tail_keys(dir.path(), Duration::from_secs(60)).unwrap().unwrap();
    let catch_up = CatchUp::default();
    catch_up.begin(dir.path(), tail, MIDNIGHT_NS + 79_999 * SECOND_NS);
    let new = store.take(80_000..80_003);

    // The first thread dies in between.
    let restarted = || writer(config(dir.path())).with_journal(store.journal()).catching_up(catch_up.clone());
    store.is_away.store(true, Ordering::SeqCst);
    let why = restarted().tick(Stamp::new(MIDNIGHT_NS, 1, 0)).unwrap_err().to_string();
    assert!(why.contains("an earlier process") && why.contains("it is away"), "{why}");
    store.is_away.store(false, Ordering::SeqCst);
    let _ = restarted().tick(Stamp::new(MIDNIGHT_NS, 1, 0));
    restarted().settle(std::time::Instant::now()).unwrap();
    let mut last = restarted();
    while last.write(&new).is_err() {}
    let rows = stamps(&dir.path().join("samples-2026-11-22.csv"));
    assert_eq!(rows, (0..80_003).map(|n| MIDNIGHT_NS + n * SECOND_NS).collect::<Vec<_>>());
    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = writer(config(elsewhere.path())).with_journal(store.journal()).catching_up(catch_up);
    other.write(&new).unwrap();
    assert_eq!(stamps(&elsewhere.path().join("samples-2026-11-22.csv")).len(), 3);
}

// Files that another program removes, replaces or changes.

/// What a store would have, and whether it can be read.
#[derive(Default)]
struct FakeStore {
    samples: Mutex<Vec<Arc<Sample>>>,
    is_away: AtomicBool,
}

impl FakeStore {
    fn journal(self: &Arc<Self>) -> Journal {
        let store = Arc::clone(self);
        Arc::new(move |span, about| {
            if store.is_away.load(Ordering::SeqCst) {
                return Err("it is away".to_owned());
            }
            let samples = store.samples.lock().unwrap();
            let within = samples.iter().filter(|sample| span.contains(&sample.at.wall_ns));
            Ok(within.take(about).cloned().collect())
        })
    }

    /// Keeps samples of each second in `seconds` after midnight, and returns them.
    fn take(&self, seconds: std::ops::Range<i64>) -> Vec<Arc<Sample>> {
        let new: Vec<_> = seconds.map(|n| timeout_at(MIDNIGHT_NS + n * SECOND_NS, "a")).collect();
        self.samples.lock().unwrap().extend(new.iter().cloned());
        new
    }
}

/// A writer with a store behind it.
struct Damaged {
    dir: tempfile::TempDir,
    store: Arc<FakeStore>,
    writer: CsvWriter,
}

impl Damaged {
    fn new() -> Self {
        let (dir, store) = (tempfile::tempdir().unwrap(), Arc::<FakeStore>::default());
        let writer = writer(config(dir.path())).with_journal(store.journal());
        Self { dir, store, writer }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("samples-2026-11-22.csv")
    }

    fn write(&mut self, seconds: std::ops::Range<i64>) {
        let batch = self.store.take(seconds);
        self.write_batch(&batch);
    }

    /// As the thread of the output does: a batch that has to wait for a repair is written later.
    fn write_batch(&mut self, batch: &[Arc<Sample>]) {
        while let Err(why) = self.writer.write(batch) {
            assert!(why.to_string().contains("being brought back"), "{why}");
        }
    }

    /// A tick at noon, by which time the day is not over.
    fn tick(&mut self) -> Result<(), String> {
        let now = Stamp::new(MIDNIGHT_NS + DAY_NS / 2, 1, 0);
        self.writer.tick(now).map_err(|why| why.to_string())
    }

    /// The seconds of the rows in the file, in its order.
    fn seconds(&self) -> Vec<i64> {
        stamps(&self.path()).into_iter().map(|wall_ns| (wall_ns - MIDNIGHT_NS) / SECOND_NS).collect()
    }

    #[track_caller]
    fn has(&mut self, seconds: std::ops::Range<i64>, incident: &str, lost: usize) {
        assert_eq!(self.seconds(), seconds.collect::<Vec<_>>());
        let incidents = self.writer.incidents();
        let [Incident { what, lost: said }] = incidents.as_slice() else { panic!("{incidents:?}") };
        assert!(what.contains(incident) && what.contains(self.path().to_str().unwrap()), "{what}");
        assert_eq!(*said, lost, "{what}");
    }
}

/// What another program does to a file.
type Damage = fn(&Path);

#[test]
fn damaged_file_gets_its_rows_back_in_order_and_once() {
    let damages: [(&str, Damage); 5] = [
        ("was removed", |path| fs::remove_file(path).unwrap()),
        ("was removed", |path| fs::remove_dir_all(path.parent().unwrap()).unwrap()),
        ("was truncated", |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(700).unwrap()),
        ("was replaced", |path| {
            let some =
                fs::read_to_string(path).unwrap().lines().take(6).map(|line| format!("{line}\n")).collect::<String>();
            fs::write(path.with_extension("new"), some).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        // As an editor that writes in place, with its last line not ended.
        ("was changed", |path| fs::write(path, [fs::read(path).unwrap(), b"2026,x".to_vec()].concat()).unwrap()),
    ];
    for (incident, damage) in damages {
        let mut csv = Damaged::new();
        csv.write(0..10_000);
        // The store is ahead of the files: these come from the queue later.
        let queued = csv.store.take(10_000..10_010);
        damage(&csv.path());
        csv.write_batch(&queued);
        csv.write(10_010..10_020);
        csv.has(0..10_020, incident, 0);
        csv.tick().unwrap();
        csv.write(20_000..20_001);
        assert!(csv.writer.incidents().is_empty());
    }
}

#[test]
fn rows_that_the_store_has_no_more_are_counted_as_lost() {
    let mut csv = Damaged::new();
    csv.write(0..100);
    csv.store.samples.lock().unwrap().drain(..30);
    fs::remove_file(csv.path()).unwrap();
    csv.tick().unwrap();
    csv.has(30..100, "30 are not in it", 30);
    fs::remove_file(csv.path()).unwrap();
    csv.tick().unwrap();
    csv.has(30..100, "70 rows were brought back", 0);
}

#[test]
fn repair_waits_for_a_store_that_cannot_be_read_and_writing_goes_on() {
    let mut csv = Damaged::new();
    csv.write(0..5);
    fs::remove_file(csv.path()).unwrap();
    csv.store.is_away.store(true, Ordering::SeqCst);
    let why = csv.tick().unwrap_err();
    assert!(why.contains("was removed") && why.contains("it is away"), "{why}");
    csv.write(5..8);
    assert_eq!(csv.seconds(), [5, 6, 7]);
    csv.store.is_away.store(false, Ordering::SeqCst);
    csv.tick().unwrap();
    assert_eq!(csv.seconds(), [5, 6, 7, 0, 1, 2, 3, 4]);
    assert_eq!(csv.writer.incidents()[0].lost, 0);

    fs::remove_file(csv.path()).unwrap();
    csv.store.is_away.store(true, Ordering::SeqCst);
    let why = csv.writer.settle(std::time::Instant::now()).unwrap_err().to_string();
    assert!(why.contains("it is away"), "{why}");
    assert_eq!(csv.writer.incidents()[0].lost, 8);
}

#[test]
fn file_of_a_day_that_is_over_may_be_moved_away() {
    let mut csv = Damaged::new();
    csv.write(0..5);
    csv.writer.tick(Stamp::new(MIDNIGHT_NS + DAY_NS + DAY_NS / 2, 1, 0)).unwrap();
    fs::rename(csv.path(), csv.dir.path().join("archived.csv")).unwrap();
    csv.writer.tick(Stamp::new(MIDNIGHT_NS + DAY_NS + DAY_NS / 2, 2, 0)).unwrap();
    assert_eq!(names(csv.dir.path()), ["archived.csv"]);
    assert!(csv.writer.incidents().is_empty());
}

#[test]
fn file_that_changes_while_it_is_compressed_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-22.csv");
    let mut writer = writer(Csv { compress: true, ..config(dir.path()) });
    writer.write(&[timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    let later = |n| Stamp::new(MIDNIGHT_NS + 2 * DAY_NS, n * SECOND_NS, 0);
    writer.tick(later(1)).unwrap();
    writer.tick(later(2)).unwrap();
    fs::write(path.with_extension("new"), "edited\n").unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    let why = writer.tick(later(3)).unwrap_err().to_string();
    assert!(why.contains("changed while it was compressed"), "{why}");
    assert_eq!(names(dir.path()), ["samples-2026-11-22.csv"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "edited\n");
}

fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec!['=', '+', '-', '@', '\t', '\'', '"', ',', ';', ' ', 'a', 'ü', '\0']);
    prop::collection::vec(nasty, 1..8).prop_map(|chars| chars.into_iter().collect())
}

fn unsynchronised(code: Option<String>) -> Outcome {
    Outcome::Unsynchronised(code.and_then(|code| StatusCode::parse(&code)))
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Sample),
        1 => Just(Outcome::Timeout),
        1 => Just(Outcome::Refused),
        2 => prop::option::of("[!-~]{1,4}").prop_map(unsynchronised),
        1 => prop::sample::select(KissCode::ALL.to_vec()).prop_map(Outcome::Kiss),
        1 => prop::sample::select(Check::ALL.to_vec()).prop_map(Outcome::Rejected),
        1 => text().prop_map(|why| Outcome::Dns(why.into())),
        1 => text().prop_map(|why| Outcome::Fault(why.into())),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let refid = prop_oneof!["[!-~]{1,4}".prop_map(|text| RefId::parse(&text).unwrap()), Just(RefId([10, 0, 0, 1]))];
    (any::<u8>(), 0..4_u8, refid, any::<i8>(), 0.0..65_536.0, 0.0..65_536.0, prop::option::of(0.0..2_147_483_648.0))
        .prop_map(|(stratum, leap, refid, precision_log2, root_delay_s, root_dispersion_s, reference_age_s)| Reply {
            stratum,
            leap: Leap::from_bits(leap),
            refid,
            precision_log2,
            root_delay_s,
            root_dispersion_s,
            reference_age_s,
        })
}

prop_compose! {
    fn sample()(
        (wall_ns, mono_ns, raw_ns, boot_ns) in any::<(i64, i64, i64, i64)>(),
        // The configuration has no name with blanks around it, and reading takes them off.
        name in text().prop_map(|name| name.trim().to_owned()).prop_filter("a name is not empty", |name| !name.is_empty()),
        address in any::<Option<std::net::SocketAddrV4>>(),
        outcome in outcome(),
        reply in reply(),
        (offset_s, delay_s, root_distance_s) in (-1e9..1e9, 0.0..1e3, 0.0..1e3),
        poll_s in 0.1..1e5,
        vantage in text().prop_map(|vantage| vantage.trim().to_owned()),
        timestamping in prop::option::of(prop::sample::select(Timestamping::ALL.to_vec())),
        authentication in prop::sample::select(Authentication::ALL.to_vec()),
        mode in prop::sample::select(Mode::ALL.to_vec()),
    ) -> Sample {
        let answered = matches!(outcome, Outcome::Sample | Outcome::Unsynchronised(_));
        let measured = outcome == Outcome::Sample;
        let at = Stamp { wall_ns, mono_ns, raw_ns, boot_ns };
        Sample {
            address: address.map(Into::into),
            reply: answered.then_some(reply),
            measure: measured.then_some(Measure { offset_s, delay_s, root_distance_s }),
            timestamping,
            authentication,
            mode,
            sent: 1,
            lost: u16::from(!answered),
            ..Sample::unasked(at, ServerIdent::seen_from(&vantage, &name), outcome, poll_s)
        }
    }
}

proptest! {
    #[test]
    fn every_outcome_comes_back_from_a_file_as_it_was(samples in prop::collection::vec(sample(), 1..8)) {
        let mut bytes = HEADER.as_bytes().to_vec();
        for sample in &samples {
            append_record(&mut bytes, "", sample);
        }
        let text = std::str::from_utf8(&bytes).unwrap();
        prop_assert_eq!(text.lines().count(), samples.len() + 1);
        let back: Vec<_> = read_from("f", &bytes[..]).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(back, samples);
    }
}
