//! `ntp-monitor replay` from the command line: worlds whose truth is known, and every kind of bad input.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::monitor::Home;
use crate::common::stored;
use flate2::Compression;
use flate2::write::GzEncoder;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::formats::csv::{HEADER, append_record};
use ntp_monitor_core::formats::local::{self, LocalRow};
use ntp_monitor_core::sample::Sample;
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::local::{KernelState, LocalState};
use ntp_monitor_core::world::{Fault, World};
use serde_json::Value;

const MINIMAL: &str = "time,server,outcome,offset_s,delay_s,root_delay_s,root_dispersion_s,stratum,leap\n";
const HOUR: f64 = 3600.0;

fn csv<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Vec<u8> {
    let mut out = HEADER.as_bytes().to_vec();
    samples.into_iter().for_each(|sample| append_record(&mut out, "test", sample));
    out
}

/// A row with only the required columns; `at_s` counts from 2026-01-01.
fn minimal(at_s: u64, server: &str, offset: &str) -> String {
    let (day, rest) = (at_s / 86_400 + 1, at_s % 86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}Z,{server},sample,{offset},0.02,0.001,0.001,2,0\n")
}

fn replay(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ntp-monitor"));
    command.env_clear().current_dir(dir).arg("replay").args(arguments).output().unwrap()
}

fn json(dir: &Path, arguments: &[&str]) -> Value {
    let output = replay(dir, &[&["--json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The report over one file with these minimal rows, and the messages on stderr.
fn of_rows(rows: &str) -> (Value, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f.csv"), format!("{MINIMAL}{rows}")).unwrap();
    let output = replay(dir.path(), &["--json", "f.csv"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap_or(Value::Null), said)
}

fn world_with(fault: Fault) -> World {
    let mut world = World::ordinary(5, 5, 64.0, 8.0 * HOUR);
    world.faults.push(fault);
    world
}

/// The verdicts that blame a party: state, and the parties.
fn accusations(report: &Value) -> Vec<(String, Vec<String>)> {
    let verdicts = report["verdicts"].as_array().unwrap();
    let accuse = verdicts.iter().filter(|v| !matches!(v["state"].as_str(), Some("consistent" | "undecidable")));
    accuse
        .map(|v| {
            let blamed = v["blamed"].as_array().unwrap().iter();
            (
                v["state"].as_str().unwrap().to_owned(),
                blamed.map(|b| b["server"].as_str().unwrap().to_owned()).collect(),
            )
        })
        .collect()
}

fn replayed(world: &World) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let samples: Vec<_> = world.samples().collect();
    fs::write(dir.path().join("w.csv"), csv(&samples)).unwrap();
    json(dir.path(), &["w.csv"])
}

#[test]
fn verdicts_over_recordings_name_who_is_wrong() {
    assert_eq!(accusations(&replayed(&World::ordinary(5, 5, 64.0, 8.0 * HOUR))), []);

    let report = replayed(&world_with(Fault::ServerStep { server: 2, at_s: 4.0 * HOUR, size_s: 0.12 }));
    let accused = accusations(&report);
    assert!(!accused.is_empty() && accused.iter().all(|a| *a == ("server_wrong".into(), vec!["ntp3".into()])));
    let verdict = report["verdicts"].as_array().unwrap().last().unwrap();
    assert!(verdict["blamed"][0]["gap_s"].as_f64().unwrap() > 0.05, "{verdict}");
    assert!(verdict["since"].as_str().unwrap().ends_with('Z') && verdict["until"].is_null());

    let report = replayed(&world_with(Fault::LocalStep { at_s: 4.0 * HOUR, size_s: 0.06 }));
    let accused = accusations(&report);
    assert!(!accused.is_empty() && accused.iter().all(|a| *a == ("local_wrong".into(), vec![])), "{accused:?}");
    let kinds: Vec<_> = report["events"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"clock_step"), "{kinds:?}");
}

#[test]
fn clock_set_back_by_an_hour_is_wrong_in_any_order_of_polls() {
    let mut samples: Vec<_> = world_with(Fault::LocalStep { at_s: 0.5 * HOUR, size_s: -HOUR }).samples().collect();
    // Two servers answer at the same moment, and the first one is written last.
    for pair in samples.chunks_exact_mut(2).filter(|pair| pair[0].at.wall_ns < pair[1].at.wall_ns) {
        let at = pair[0].at;
        pair[1].at = Stamp { wall_ns: at.wall_ns - 1000, raw_ns: at.raw_ns - 1000, ..at };
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("w.csv"), csv(&samples)).unwrap();
    let report = json(dir.path(), &["w.csv"]);
    let verdict = report["verdicts"].as_array().unwrap().last().unwrap();
    let (state, kind) = (&verdict["state"], &verdict["local"]["kind"]);
    assert_eq!((state.as_str(), kind.as_str()), (Some("local_wrong"), Some("step")), "{verdict}");
}

#[test]
fn parts_in_any_order_or_compression_give_the_same_result() {
    let dir = tempfile::tempdir().unwrap();
    let world = world_with(Fault::ServerStep { server: 0, at_s: 5.0 * HOUR, size_s: -0.12 });
    let mut samples: Vec<_> = world.samples().collect();
    fs::write(dir.path().join("whole.csv"), csv(&samples)).unwrap();
    let (early, late) = samples.split_at(samples.len() / 3);
    fs::write(dir.path().join("late.csv"), csv(late)).unwrap();
    let mut gz = GzEncoder::new(fs::File::create(dir.path().join("early.csv.gz")).unwrap(), Compression::fast());
    gz.write_all(&csv(early)).unwrap();
    gz.finish().unwrap();
    let whole = json(dir.path(), &["whole.csv"]);
    assert_eq!(json(dir.path(), &["late.csv", "early.csv.gz"]), whole);
    for server in ["ntp2", "ntp4"] {
        let own: Vec<_> = samples.iter().filter(|s| &*s.server.name == server).collect();
        fs::write(dir.path().join(format!("{server}.csv")), csv(own)).unwrap();
    }
    let others: Vec<_> = samples.iter().filter(|s| !matches!(&*s.server.name, "ntp2" | "ntp4")).collect();
    fs::write(dir.path().join("others.csv"), csv(others)).unwrap();
    assert_eq!(json(dir.path(), &["ntp4.csv", "others.csv", "ntp2.csv"]), whole);
    samples.sort_by(|a, b| a.server.name.cmp(&b.server.name));
    fs::write(dir.path().join("by-server.csv"), csv(&samples)).unwrap();
    assert_eq!(json(dir.path(), &["by-server.csv"]), whole);
}

#[test]
fn averaging_times_can_be_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let samples: Vec<_> = World::ordinary(1, 1, 16.0, 4.0 * HOUR).samples().collect();
    fs::write(dir.path().join("f.csv"), csv(&samples)).unwrap();
    let report = json(dir.path(), &["--taus", "16,160,1600", "f.csv"]);
    let stability = &report["servers"]["ntp1"]["stability"];
    let taus: Vec<_> = stability["tau_s"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
    assert!(taus.iter().zip([16.0, 160.0, 1600.0]).all(|(a, b)| (a / b - 1.0).abs() < 0.05), "{taus:?}");
    assert!(!replay(dir.path(), &["--taus", "0", "f.csv"]).status.success());
}

#[test]
fn a_person_gets_tables_and_sentences() {
    let dir = tempfile::tempdir().unwrap();
    let world = world_with(Fault::ServerStep { server: 2, at_s: 4.0 * HOUR, size_s: 0.12 });
    let samples: Vec<_> = world.samples().collect();
    fs::write(dir.path().join("f.csv"), csv(&samples)).unwrap();
    let text = String::from_utf8(replay(dir.path(), &["f.csv"]).stdout).unwrap();
    for words in ["server", "median", "ntp5", "Verdicts", "server_wrong", "ntp3", "Events", "server_step"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn rows_that_cannot_be_read_are_named_and_the_rest_counts() {
    let good: String = (0..40).map(|k| minimal(k * 64, "a", "0.001")).collect();
    let bad =
        "2026-01-01T00:00:01Z,a,sample,NaN,0.02,0,0,2,0\n2026-01-01T00:00:02Z,a,sample,inf,0.02,0,0,2,0\nrubbish\n";
    let (report, said) = of_rows(&format!("{bad}{good}"));
    assert_eq!(report["servers"]["a"]["n"], 40);
    for place in ["f.csv:2: offset_s", "f.csv:3: offset_s", "f.csv:4: "] {
        assert!(said.contains(place), "{place}: {said}");
    }
    let (_, said) = of_rows(&format!("{}{good}", "rubbish\n".repeat(1000)));
    assert!(said.lines().count() < 30 && said.contains("1000 rows"), "{said}");
}

#[test]
fn double_late_and_future_rows_are_refused_with_a_message() {
    let rows: Vec<_> = (0..40).map(|k| minimal(k * 64, "a", "0.001")).collect();
    let (report, said) = of_rows(&(rows.concat() + &rows[39]));
    assert_eq!((report["servers"]["a"]["n"].as_u64(), said.contains("duplicate")), (Some(40), true), "{said}");

    let mut future = rows.clone();
    future.insert(20, "2199-01-01T00:00:00Z,a,sample,0.001,0.02,0.001,0.001,2,0\n".to_owned());
    let (report, said) = of_rows(&future.concat());
    assert_eq!(report["servers"]["a"]["n"], 40);
    assert!(said.contains("f.csv:22: time: from the future"), "{said}");

    let mut late = rows;
    late.swap(3, 30);
    let (report, said) = of_rows(&late.concat());
    assert_eq!((report["servers"]["a"]["n"].as_u64(), said.contains("sorted")), (Some(40), true), "{said}");
}

#[test]
fn unordered_rows_are_sorted_and_none_counts_as_future() {
    let rows: Vec<_> = (0..997).map(|k| minimal(k * 367 % 997 * 64, "a", "0.001")).collect();
    let (report, said) = of_rows(&rows.concat());
    assert_eq!((report["servers"]["a"]["n"].as_u64(), said.contains("future")), (Some(997), false), "{said}");
}

#[test]
fn a_file_of_which_no_row_can_be_read_says_why() {
    let rows: String = (0..40).map(|k| minimal(k * 64, "a", "0.001").replace('Z', "")).collect();
    let (report, said) = of_rows(&rows);
    assert!(report.is_null() && said.contains("f.csv:2: time: ") && said.contains("2026-11-22T20:42:42Z"), "{said}");
}

#[test]
fn compression_is_detected_by_content_not_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..40).map(|k| minimal(k * 64, "a", "0.001")).collect();
    let mut gz = GzEncoder::new(fs::File::create(dir.path().join("packed.csv")).unwrap(), Compression::fast());
    gz.write_all(format!("{MINIMAL}{rows}").as_bytes()).unwrap();
    gz.finish().unwrap();
    fs::write(dir.path().join("plain.csv.gz"), format!("{MINIMAL}{rows}")).unwrap();
    assert_eq!(json(dir.path(), &["packed.csv"]), json(dir.path(), &["plain.csv.gz"]));
}

#[test]
fn sparse_and_odd_recordings_blame_no_clock() {
    let alone: String = (0..60).map(|k| minimal(k * 64, "a", "0.3")).collect();
    let equal: String = (0..240).map(|k| minimal(k * 16, ["a", "b", "c", "d"][k as usize % 4], "0.001")).collect();
    let mut gaps = String::new();
    for k in (0..40).chain(2000..2040) {
        for server in ["a", "b", "c"] {
            gaps += &minimal(k * 64, server, "0.001");
        }
    }
    let mut changing = String::new();
    let mut at_s = 0;
    for k in 0..120 {
        at_s += if k < 60 { 16 } else { 1024 };
        for server in ["a", "b", "c"] {
            changing += &minimal(at_s, server, "-0.002");
        }
    }
    let mut silent = String::new();
    for k in 0..60 {
        for server in ["a", "b", "c"] {
            let row = minimal(k * 64, server, "");
            let time = row.split(',').next().unwrap();
            writeln!(silent, "{time},{server},timeout,,,,,,").unwrap();
        }
    }
    for (what, rows) in [("alone", &alone), ("equal", &equal), ("gaps", &gaps), ("changing", &changing)] {
        let (report, said) = of_rows(rows);
        let blamed = accusations(&report);
        assert!(blamed.iter().all(|(_, servers)| servers.is_empty()), "{what}: {blamed:?} {said}");
    }
    let (report, _) = of_rows(&silent);
    assert_eq!((report["servers"]["a"]["n"].as_u64(), report["servers"]["a"]["loss"].as_f64()), (Some(0), Some(1.0)));
    assert!(report["servers"]["a"]["stability"]["tau_s"].as_array().unwrap().is_empty());
    let (report, _) = of_rows(&minimal(0, "a", "0"));
    assert_eq!(report["servers"]["a"]["n"], 1);
}

#[test]
fn nothing_usable_is_a_failure_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("empty.csv"), "").unwrap();
    fs::write(dir.path().join("header.csv"), HEADER).unwrap();
    fs::write(dir.path().join("other.csv"), "name,age\nx,3\n").unwrap();
    for file in ["missing.csv", "empty.csv", "header.csv", "other.csv"] {
        let output = replay(dir.path(), &["--json", file]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{file}: {said}");
        assert!(said.contains("nothing to replay") && !said.contains("panicked"), "{file}: {said}");
    }
}

/// Checks that no server is blamed in an ordinary world of five servers over this many polls of each.
fn polls_are_no_problem(polls: u32) {
    let report = replayed(&World::ordinary(9, 5, 16.0, 16.0 * f64::from(polls)));
    let n: u64 = report["servers"].as_object().unwrap().values().map(|s| s["n"].as_u64().unwrap()).sum();
    assert!(n > 5 * u64::from(polls) * 98 / 100);
    assert!(accusations(&report).is_empty(), "{:?}", accusations(&report));
}

#[test]
fn a_hundred_thousand_samples_are_no_problem() {
    polls_are_no_problem(20_000);
}

#[test]
#[ignore = "three quarters of a minute of processor time without optimisation; a tenth of it runs above"]
fn a_million_samples_are_no_problem() {
    polls_are_no_problem(200_000);
}

/// Two days with an hour in which `ntp2` is silent, up to now.
fn silent_hour() -> World {
    let mut world = World::ordinary(6, 4, 64.0, 48.0 * HOUR);
    world.start_unix_s = jiff::Timestamp::now().as_second() - 48 * 3600;
    world.faults = vec![Fault::Silence { server: Some(1), from_s: 24.0 * HOUR, until_s: 25.0 * HOUR }];
    world
}

/// The rule and server of each alert, with its beginning in hours of the world.
fn alerts_of(world: &World, report: &Value) -> Vec<(String, String, i64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let hours = |value: &Value| {
        let at: jiff::Timestamp = text(value).parse().unwrap();
        (at.as_second() - world.start_unix_s) / 3600
    };
    let alerts = report["alerts"].as_array().unwrap().iter();
    alerts.map(|it| (text(&it["alert"]), text(&it["server"]), hours(&it["started_at"]))).collect()
}

#[test]
fn rules_replay_recordings_and_the_store_alike() {
    let (home, world) = (Home::with(""), silent_hour());
    let samples: Vec<_> = world.samples().collect();
    fs::write(home.path().join("w.csv"), csv(&samples)).unwrap();
    fs::create_dir_all(home.data()).unwrap();
    stored::store(stored::options(&home.data()), samples);
    let told = [("failing-queries".to_owned(), "ntp2".to_owned(), 24)];

    let built_in = json(home.path(), &["--alerts", "w.csv"]);
    assert_eq!(alerts_of(&world, &built_in), told);
    let statuses: Vec<_> = built_in["notifications"].as_array().unwrap().iter().map(|it| &it["status"]).collect();
    assert_eq!(statuses, ["firing", "resolved"]);

    let own = "[[alert]]\nname = \"failing-queries\"\nservers = [\"office\"]\n\
               [[alert]]\nname = \"lossy\"\nexpr = \"success_ratio_1h < 0.9\"\nfor = \"0s\"\n";
    home.configure(&format!("[[server]]\nname = \"ntp2\"\naddress = \"192.0.2.1\"\n{own}"));
    let config = home.config();
    let with = ["--config", config.to_str().unwrap(), "--alerts"];
    let from_store = json(home.path(), &[&with[..], &["--since", "3d"]].concat());
    assert_eq!(alerts_of(&world, &from_store), [("lossy".to_owned(), "ntp2".to_owned(), 24)]);
    let from_csv = json(home.path(), &[&with[..], &["w.csv"]].concat());
    assert_eq!(from_csv["alerts"], from_store["alerts"]);

    let words = replay(home.path(), &["--alerts", "w.csv"]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("failing-queries: ntp2 failed"), "{words}");
    assert!(words.contains("messages: 1 for firing alerts, 1 for resolved alerts, 0 reminders"), "{words}");
}

/// An hour during which the kernel of `test` was unsynchronised, among two days of good clocks.
fn unsynchronised_hour(world: &World) -> [LocalRow; 3] {
    let row = |hour: i64, synchronised| {
        let kernel = KernelState {
            synchronised,
            max_error_s: 0.01,
            est_error_s: 1e-4,
            frequency_ppm: 3.0,
            tai_offset_s: None,
            leap_pending: 0,
        };
        let local = LocalState { kernel: Some(kernel), daemon: None };
        LocalRow::of((world.start_unix_s + 3600 * hour) * 1_000_000_000, "test", &local, &LeapSource::default())
    };
    [row(0, true), row(30, false), row(31, true)]
}

#[test]
fn local_rows_beside_a_recording_and_in_the_store_are_replayed() {
    let (home, world) = (Home::with(""), silent_hour());
    let (samples, rows) = (world.samples().collect::<Vec<_>>(), unsynchronised_hour(&world));
    fs::write(home.path().join("w.csv"), csv(&samples)).unwrap();
    let known = [("failing-queries", "ntp2", 24), ("own-clock-unsynchronised", "", 30)];
    let known = known.map(|(alert, server, hour)| (alert.to_owned(), server.to_owned(), hour));
    let without = json(home.path(), &["--alerts", "w.csv"]);
    assert_eq!(alerts_of(&world, &without), known[..1]);

    let mut text = local::HEADER.as_bytes().to_vec();
    rows.iter().for_each(|row| row.append_to(&mut text));
    text.extend_from_slice(b"never,test\n");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&text).unwrap();
    fs::write(home.path().join("local-2026-01-01.csv.gz"), packed.finish().unwrap()).unwrap();
    let beside = json(home.path(), &["--alerts", "w.csv"]);
    assert_eq!(alerts_of(&world, &beside), known);
    let named = json(home.path(), &["--alerts", "local-2026-01-01.csv.gz", "w.csv"]);
    assert_eq!(named, beside, "a named file in the same directory is read once");
    let said = String::from_utf8(replay(home.path(), &["w.csv"]).stderr).unwrap();
    assert!(said.contains("local-2026-01-01.csv.gz:5: "), "{said}");

    fs::create_dir_all(home.data()).unwrap();
    let path = stored::store(stored::options(&home.data()), samples);
    let conn = rusqlite::Connection::open(path).unwrap();
    for row in rows.map(|row| LocalRow { vantage: String::new(), ..row }) {
        let row_text = serde_json::to_string(&row).unwrap();
        conn.execute("INSERT INTO local_change VALUES (?1, ?2)", rusqlite::params![row.wall_ns(), row_text]).unwrap();
    }
    home.configure("[[server]]\nname = \"ntp2\"\naddress = \"192.0.2.1\"\n");
    let config = home.config();
    let stored = json(home.path(), &["--config", config.to_str().unwrap(), "--alerts", "--since", "3d"]);
    assert_eq!(alerts_of(&world, &stored), known);
}
