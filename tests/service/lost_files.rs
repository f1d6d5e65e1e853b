//! The running service while another program removes, replaces or truncates its open files. It notices, reports it in
//! `/health`, and every accepted sample is in the store and the CSV files at the end, or counted as lost.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::monitor::{Home, Monitor, own};
use crate::common::rows;
use crate::common::sim::Playground;
use crate::common::wait::until;
use ntp_monitor::sim::{Script, ScriptedServer};
use ntp_monitor::store::read::Reader;
use serde_json::Value;

/// A service that measures one server, with some samples in both outputs.
struct Scene {
    home: Home,
    monitor: Monitor,
    server: ScriptedServer,
    _playground: Playground,
}

impl Scene {
    fn open() -> Self {
        Self::with("")
    }

    fn with(more: &str) -> Self {
        let playground = Playground::open();
        let server = playground.server(Script::good());
        let home = Home::with(&[own("good", server.address()).as_str(), more].concat());
        let monitor = home.start();
        let mut scene = Self { home, monitor, server, _playground: playground };
        scene.gather();
        scene
    }

    /// Waits until both outputs have got some more samples.
    #[track_caller]
    fn gather(&mut self) {
        let written = |health: &Value, name: &str| health["sinks"][name]["written"].as_u64().unwrap_or(0);
        let (_, before) = self.monitor.get("/health");
        self.monitor.health("more samples in both outputs", |health| {
            ["store", "csv"].iter().all(|name| written(health, name) >= written(&before, name) + 5)
        });
    }

    /// Waits until a reason about `output` contains every one of `texts`.
    #[track_caller]
    fn degraded(&mut self, output: &str, texts: &[&str]) {
        self.monitor.health(&format!("a reason about {output} with {texts:?}"), |health| {
            assert!(health["status"] != "ok" || reasons(health, output).is_empty(), "{health}");
            texts.iter().all(|text| reasons(health, output).contains(text))
        });
    }

    /// The CSV file of the day.
    fn csv_file(&self) -> PathBuf {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.home.csv()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.pop().unwrap()
    }

    /// Stops the service: both outputs hold every request, once, and nothing was counted as lost.
    #[track_caller]
    fn loses_nothing(mut self) {
        let (_, health) = self.monitor.get("/health");
        let dropped = ["store", "csv"].map(|name| health["sinks"][name]["dropped"].as_u64().unwrap());
        assert_eq!((dropped, &health["panics"]), ([0, 0], &0.into()), "{health}");
        assert_eq!(self.monitor.stop(), 0);
        assert!(!self.monitor.log().contains("samples were not written"), "{}", self.monitor.log());
        let csv = rows::keys_once("the CSV file", &rows::csv(&self.home.csv()));
        let store = rows::keys_once("the store", &rows::store(&self.home.store()));
        rows::assert_same(("the CSV file", &csv), ("the store", &store));
        assert_eq!(store.len() as u64, self.server.counters().requests, "every request is in both outputs");
    }
}

/// The reasons of a health report that are about `name`, as one text.
fn reasons(health: &Value, name: &str) -> String {
    let all = health["reasons"].as_array().unwrap().iter();
    all.filter(|reason| reason["name"] == name).map(|reason| reason["reason"].to_string()).collect()
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn empty(path: &Path) {
    fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
}

/// Files beside the store whose names are that of the store with `mark` appended.
fn kept(store: &Path, mark: &str) -> Vec<PathBuf> {
    let start = beside(store, mark).into_os_string().into_string().unwrap();
    let entries = fs::read_dir(store.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| {
            path.to_str().unwrap().starts_with(&start)
                && !path.to_str().unwrap().ends_with("-wal")
                && !path.to_str().unwrap().ends_with("-shm")
        })
        .collect()
}

// The store

#[test]
fn removed_store_is_written_again_with_every_sample() {
    let mut scene = Scene::open();
    let store = scene.home.store();
    for end in ["", "-wal", "-shm"] {
        fs::remove_file(beside(&store, end)).unwrap();
    }
    scene.degraded("store", &[store.to_str().unwrap(), "removed"]);
    scene.gather();
    assert!(rows::store(&store).len() > 5);
    scene.loses_nothing();
}

#[test]
fn store_renamed_by_another_program_is_written_again() {
    let mut scene = Scene::open();
    let (store, elsewhere) = (scene.home.store(), scene.home.path().join("elsewhere.db"));
    fs::rename(&store, &elsewhere).unwrap();
    scene.degraded("store", &[store.to_str().unwrap(), "removed"]);
    scene.gather();
    assert!(rows::store(&elsewhere).len() >= 5, "the renamed file is complete in itself");
    scene.loses_nothing();
}

#[test]
fn removed_data_directory_is_created_again_with_every_sample() {
    let mut scene = Scene::open();
    fs::remove_dir_all(scene.home.data()).unwrap();
    scene.degraded("store", &["removed"]);
    scene.degraded("csv", &["removed"]);
    scene.gather();
    scene.loses_nothing();
}

#[test]
fn store_loses_nothing_with_its_log() {
    let mut scene = Scene::open();
    let store = scene.home.store();
    for ends in [&["-wal"][..], &["-shm"], &["-wal", "-shm"]] {
        for end in ends {
            fs::remove_file(beside(&store, end)).unwrap();
        }
        scene.gather();
        scene.monitor.health("the log is there again", |_| ends.iter().all(|end| beside(&store, end).exists()));
    }
    scene.degraded("store", &["-wal"]);
    scene.loses_nothing();
}

#[test]
fn truncated_store_is_replaced_by_the_recoverable_part() {
    let mut scene = Scene::open();
    let store = scene.home.store();
    empty(&store);
    scene.degraded("store", &[store.to_str().unwrap(), "truncated"]);
    scene.gather();
    let (_, health) = scene.monitor.get("/health");
    let lost = health["sinks"]["store"]["dropped"].as_u64().unwrap();
    assert_eq!(scene.monitor.stop(), 0);
    let (csv, stored) = (rows::csv(&scene.home.csv()).len() as u64, rows::store(&store).len() as u64);
    assert_eq!((csv, stored + lost), (scene.server.counters().requests, csv));
    assert_eq!(kept(&store, ".damaged-").len(), 1);
}

#[test]
fn replaced_store_ends_the_service_and_both_are_kept() {
    let mut scene = Scene::open();
    let (store, restored) = (scene.home.store(), scene.home.path().join("restored.db"));
    let copied = std::process::Command::new(env!("CARGO_BIN_EXE_ntp-monitor"))
        .args(["backup", restored.to_str().unwrap(), "--config", scene.home.config().to_str().unwrap()])
        .status()
        .unwrap();
    assert!(copied.success());
    scene.gather();
    let before = rows::store(&restored).len();
    fs::rename(&restored, &store).unwrap();
    assert_eq!(scene.monitor.end(), 1, "the service manager restarts it");
    let log = scene.monitor.log();
    let copies = kept(&store, ".displaced-");
    assert!(copies.len() == 1 && log.contains(copies[0].to_str().unwrap()), "{copies:?} {log}");
    assert_eq!(rows::store(&store).len(), before, "the other store is unchanged");
    let kept = rows::store(&copies[0]).len() as u64;
    assert_eq!(kept, scene.server.counters().requests);

    let mut next = scene.home.start();
    until("more samples", || rows::store(&store).len() > before + 3);
    assert_eq!(next.stop(), 0);
}

// CSV

#[test]
fn removed_csv_file_is_written_again_with_every_row() {
    let mut scene = Scene::open();
    let file = scene.csv_file();
    fs::remove_file(&file).unwrap();
    scene.degraded("csv", &[file.to_str().unwrap(), "removed"]);
    scene.gather();
    scene.loses_nothing();
}

#[test]
fn csv_file_replaced_by_a_copy_gets_the_rows_it_lacks() {
    let mut scene = Scene::open();
    let (file, copy) = (scene.csv_file(), scene.home.path().join("copy.csv"));
    fs::copy(&file, &copy).unwrap();
    scene.gather();
    fs::rename(&copy, &file).unwrap();
    scene.degraded("csv", &[file.to_str().unwrap(), "replaced"]);
    scene.gather();
    scene.loses_nothing();
}

#[test]
fn truncated_csv_file_gets_its_rows_back_without_a_gap() {
    let mut scene = Scene::open();
    let file = scene.csv_file();
    empty(&file);
    scene.degraded("csv", &[file.to_str().unwrap(), "truncated"]);
    scene.gather();
    assert!(!fs::read(&file).unwrap().contains(&0));
    // In the middle of a line, this time.
    let length = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length / 2).unwrap();
    scene.gather();
    scene.loses_nothing();
}

#[test]
fn rows_of_a_csv_file_removed_just_before_the_end_are_written() {
    for _ in 0..3 {
        let mut scene = Scene::open();
        fs::remove_file(scene.csv_file()).unwrap();
        assert_eq!(scene.monitor.stop(), 0);
        let csv = rows::keys_once("the CSV file", &rows::csv(&scene.home.csv()));
        let store = rows::keys_once("the store", &rows::store(&scene.home.store()));
        rows::assert_same(("the CSV file", &csv), ("the store", &store));
    }
}

// The lock

#[test]
fn second_instance_is_refused_without_the_lock_file() {
    let mut scene = Scene::open();
    let lock = beside(&scene.home.store(), ".lock");
    for _ in 0..2 {
        fs::remove_file(&lock).unwrap();
        let (code, log) = scene.home.fails();
        assert!(code == 1 && log.contains("in use by another running ntp-monitor"), "{code} {log}");
        assert!(log.contains(&format!("process {}", scene.monitor.id())), "{log}");
    }
    until("the lock file is there again", || {
        fs::read_to_string(&lock).is_ok_and(|text| text.trim() == scene.monitor.id().to_string())
    });
    scene.gather();
    scene.loses_nothing();
}

#[test]
fn outbox_gauge_is_counted_again_after_another_program_wrote() {
    let influx = "[influxdb]\nurl = \"http://127.0.0.1:9\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"t\"\n";
    let mut scene = Scene::with(influx);
    let store = scene.home.store();
    let depth = |health: &Value| health["sinks"]["influxdb"]["queue_depth"].as_u64().unwrap();
    scene.monitor.health("some lines wait", |health| depth(health) > 5);
    // Another instance that sends the same lines deletes them like this.
    let other = rusqlite::Connection::open(&store).unwrap();
    other.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    other.execute("DELETE FROM outbox", []).unwrap();
    drop(other);
    scene.gather();
    let gauge = || Reader::open(&store).unwrap().outbox_gauge().unwrap().lines;
    scene.monitor.health("the gauge follows the disk", |health| depth(health) <= gauge());
    let (_, health) = scene.monitor.get("/health");
    assert_eq!((&health["panics"], &health["sinks"]["influxdb"]["dropped"]), (&0.into(), &0.into()), "{health}");
    scene.loses_nothing();
}
