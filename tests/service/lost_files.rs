//! The running service when another program removes, replaces or truncates the files that it holds open. It notices,
//! says so in `/health`, and every accepted sample is in the store and the CSV files at the end, or counted as lost.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::monitor::{Home, Monitor, own};
use crate::common::rows;
use crate::common::sim::Playground;
use ntp_monitor::sim::{Script, ScriptedServer};
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

fn empty(path: &Path) {
    fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
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
