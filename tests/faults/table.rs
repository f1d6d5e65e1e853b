//! The fault table of docs/RELIABILITY.md. Each fault is injected repeatedly into a running service: three times, or
//! for the time in `FAULTS_FOR=1h`. It prints a row for each: how often, how many polls reached a server, and how many
//! of them have no record afterwards.

use std::fs::remove_file;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ntp_monitor::sim::{ReplyKind, Script, ScriptedServer};

use crate::common::faketime;
use crate::common::monitor::{Home, Monitor, own};
use crate::common::root::{self, SmallDisk};
use crate::common::rows;
use crate::common::sim::Playground;
use crate::common::victoria::Victoria;
use crate::common::wait::until;

/// How long a fault lasts.
const LASTS: Duration = Duration::from_millis(700);

/// A service that polls three servers every 100 ms, and writes to its store, to CSV files and to a database.
struct Scene {
    servers: Vec<ScriptedServer>,
    victoria: Victoria,
    home: Home,
    data: PathBuf,
    service: Monitor,
    _playground: Playground,
}

impl Scene {
    fn start() -> Self {
        Self::with("kernel", None)
    }

    /// Starts with an engine, and optionally with another data directory.
    fn with(engine: &str, data: Option<&Path>) -> Self {
        let (playground, victoria) = (Playground::open(), Victoria::start());
        let servers: Vec<_> = (0..3).map(|_| playground.server(Script::good())).collect();
        let list: String = servers.iter().enumerate().map(|(n, it)| own(&format!("s{n}"), it.address())).collect();
        let home = Home::with("");
        let data = data.map_or_else(|| home.data(), Path::to_owned);
        home.write(&format!(
            "[monitor]\nvantage = \"here\"\ndata_dir = {data:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[csv]\n[defaults]\n\
             engine = \"{engine}\"\n[influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"t\"\n\
             flush_interval = \"50ms\"\n{list}",
            victoria.url()
        ));
        let service = run(&home);
        Self { servers, victoria, home, data, service, _playground: playground }
    }

    /// Waits until the service is healthy and every server was polled again.
    fn recovers(&mut self) {
        self.service.health("all is well", |health| health["status"] == "ok");
        let before: Vec<u64> = self.servers.iter().map(|server| server.counters().requests).collect();
        until("each server is polled", || {
            self.servers.iter().zip(&before).all(|(server, before)| server.counters().requests > before + 1)
        });
    }

    /// Sets a limit of the process, as prlimit(1) writes it.
    fn limit(&self, limit: &str) {
        root::run(Command::new("prlimit").args(["--pid", &self.service.id().to_string(), limit]));
    }

    fn script(&self, script: &Script) {
        self.servers.iter().for_each(|server| server.set_script(script.clone()));
    }

    /// Stops the service and compares the requests that servers received with the outputs: returns the number of polls,
    /// and of polls without a record.
    fn end(mut self) -> (u64, u64) {
        self.recovers();
        assert_eq!(self.service.stop(), 0, "{}", self.service.log());
        let store = rows::keys_once("the store", &rows::store(&self.data.join("ntp-monitor.db")));
        let csv = rows::keys_once("the CSV files", &rows::csv(&self.data.join("csv")));
        rows::assert_same(("the CSV files", &csv), ("the store", &store));
        let points = || -> usize {
            let series = self.victoria.export("ntp_sample_success");
            series.iter().map(|series| series["timestamps"].as_array().unwrap().len()).sum()
        };
        until("every point is in the database", || points() == store.len());
        let polls: u64 = self.servers.iter().map(|server| server.counters().requests).sum();
        (polls, polls.saturating_sub(store.len() as u64))
    }
}

/// Starts the service with its log in a pipe, which limits on files do not affect, and with a clock that can be set.
fn run(home: &Home) -> Monitor {
    faketime::set(home.path(), "+0");
    let mut piped = Command::new("bash");
    piped.envs(faketime::environment(home.path()));
    piped.args(["-c", "exec \"$0\" \"$@\" 2> >(exec cat >&2)"]).arg(home.command().get_program());
    piped.args(home.command().get_args()).current_dir(home.path());
    Monitor::spawn(&mut piped, home.path())
}

/// Injects a fault repeatedly, prints its row, and fails if more than `lost_at_most` polls each time have no record.
fn row(fault: &str, lost_at_most: u64, mut scene: Scene, mut once: impl FnMut(&mut Scene)) {
    let long = std::env::var("FAULTS_FOR").ok().map(|text| humantime::parse_duration(&text).expect("FAULTS_FOR"));
    let (began, mut times) = (Instant::now(), 0);
    scene.recovers();
    while long.map_or(times < 3, |long| began.elapsed() < long) {
        once(&mut scene);
        scene.recovers();
        times += 1;
    }
    let (polls, lost) = scene.end();
    eprintln!("| {fault} | {times} | {polls} | {lost} |");
    assert!(lost <= lost_at_most * times, "{fault}: {lost} of {polls} polls have no record after {times} times");
}

#[test]
fn kills() {
    // Three servers at ten polls a second: what one commit holds, and what is in progress, on a busy machine.
    row("the service is killed (SIGKILL)", 45, Scene::start(), |scene| {
        scene.service.signal(Signal::SIGKILL);
        scene.service.end();
        scene.service = run(&scene.home);
    });
}

#[test]
fn stops_and_reloads() {
    row("the service is stopped and started", 0, Scene::start(), |scene| {
        assert_eq!(scene.service.stop(), 0);
        scene.service = run(&scene.home);
    });
    row("the configuration is reloaded", 0, Scene::start(), |scene| drop(scene.service.reload()));
}

#[test]
fn freezes() {
    row("the process is frozen (SIGSTOP)", 0, Scene::start(), |scene| {
        scene.service.signal(Signal::SIGSTOP);
        sleep(LASTS);
        scene.service.signal(Signal::SIGCONT);
    });
}

#[test]
fn databases_away() {
    row("the database is down", 0, Scene::start(), |scene| {
        scene.victoria.shut_down();
        sleep(LASTS);
        scene.victoria.start_again();
    });
}

#[test]
fn files_that_cannot_grow() {
    row("no file can be written (RLIMIT_FSIZE)", 0, Scene::start(), |scene| {
        scene.limit("--fsize=0:");
        sleep(LASTS);
        scene.limit("--fsize=unlimited:");
    });
}

#[test]
fn full_disks() {
    if !root::is_root("full disks") {
        return;
    }
    let disk = SmallDisk::mount(32 * 1024);
    row("the disk is full", 0, Scene::with("kernel", Some(disk.path())), |scene| {
        let filler = disk.fill();
        scene.service.health("the fault shows", |health| health["sinks"]["store"]["failing"] == true);
        remove_file(filler).unwrap();
    });
}

#[test]
fn clocks_that_jump() {
    // The portable engine reads the clock in the process, where the test can set it.
    row("the clock of the host is set back by an hour, and forward again", 0, Scene::with("sntp", None), |scene| {
        for offset in ["-3600", "-1800", "+0"] {
            faketime::set(scene.home.path(), offset);
            sleep(LASTS / 3);
        }
    });
}

#[test]
fn descriptors_used_up() {
    row("no descriptor is left (RLIMIT_NOFILE)", 0, Scene::start(), |scene| {
        scene.limit("--nofile=3:");
        sleep(LASTS);
        scene.limit("--nofile=1024:");
    });
}

#[test]
fn servers_that_flood_or_are_silent() {
    row("the servers do not answer", 0, Scene::start(), |scene| {
        scene.script(&Script::silent());
        sleep(LASTS);
        scene.script(&Script::good());
    });
    row("the servers answer with 300 forged replies first", 0, Scene::start(), |scene| {
        let kinds = [ReplyKind::WrongOrigin, ReplyKind::Garbage(48), ReplyKind::Short(20), ReplyKind::Mode(3)];
        scene.script(&Script::good().replying(kinds.into_iter().cycle().take(300).chain([ReplyKind::Good])));
        sleep(LASTS);
        scene.script(&Script::good());
    });
}
