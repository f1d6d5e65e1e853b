//! The running service while a dependency fails: servers, names, networks, databases and disks. `/health` reports it,
//! everything else continues, and accepted data is delivered after the fault.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a failed unwrap is a failed test, and the table goes to stderr

#[path = "../common/mod.rs"]
mod common;
mod table;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::chronyd::Chronyd;
use common::monitor::{Home, Monitor, own, program};
use common::root::{self, SmallDisk};
use common::rows;
use common::sim::Playground;
use common::victoria::Victoria;
use common::wait::until;
use ntp_monitor::sim::{ReplyKind, Script, ScriptedServer};
use ntp_monitor::store::read::Reader;
use ntp_monitor_core::sample::{Outcome, Sample};
use serde_json::Value;

/// The reasons of a health report that are about `name`, as one text.
fn reasons(health: &Value, name: &str) -> String {
    let all = health["reasons"].as_array().unwrap().iter();
    all.filter(|reason| reason["name"] == name).map(|reason| reason["reason"].to_string()).collect()
}

fn server<'a>(health: &'a Value, name: &str) -> &'a Value {
    health["servers"].as_array().unwrap().iter().find(|server| server["server"] == name).unwrap_or(&Value::Null)
}

/// The samples of server `of` in the CSV files of `home` so far.
fn so_far(home: &Home, of: &str) -> Vec<Sample> {
    rows::csv_so_far(&home.csv()).into_iter().filter(|sample| &*sample.server.name == of).collect()
}

/// Stops the service and checks that nothing panicked and that both outputs hold the same samples, once.
#[track_caller]
fn ends_well(mut monitor: Monitor, csv: &Path, store: &Path) -> usize {
    let (_, health) = monitor.get("/health");
    assert_eq!((&health["panics"], &health["log_dropped"]), (&0.into(), &0.into()));
    assert_eq!(monitor.stop(), 0);
    let csv = rows::keys_once("the CSV file", &rows::csv(csv));
    rows::assert_same(("the CSV file", &csv), ("the store", &rows::keys_once("it", &rows::store(store))));
    csv.len()
}

// Servers

#[test]
fn health_follows_the_loss_and_return_of_all_servers() {
    let playground = Playground::open();
    let late = Script::good().delayed(Duration::from_secs(1), Duration::from_secs(1));
    let (one, two) = (playground.server(late), playground.server(Script::silent()));
    let slow = |name, server: &ScriptedServer| own(name, server.address()).replace("\"90ms\"", "\"2500ms\"");
    let home = Home::with(&slow("one", &one).replace("\"100ms\"", "\"2600ms\""));
    let mut monitor = home.start();
    assert_eq!(monitor.get("/ready"), (503, serde_json::json!({ "ready": false })));
    until("it is ready", || monitor.get("/ready") == (200, serde_json::json!({ "ready": true })));

    one.set_script(Script::good());
    home.configure(&[own("one", one.address()), own("two", two.address())].concat());
    monitor.reload();
    let (status, health) = monitor.health("one server is lost", |health| !reasons(health, "two").is_empty());
    assert_eq!((status, &health["status"]), (200, &"degraded".into()), "{health}");
    assert!(reasons(&health, "two").contains("timeout") && reasons(&health, "one").is_empty(), "{health}");

    one.set_script(Script::silent());
    let (status, health) = monitor.health("all servers are lost", |health| health["status"] == "failing");
    assert_eq!(status, 503);
    assert!(reasons(&health, "servers").contains("none of the 2 servers"), "{health}");

    one.set_script(Script::good());
    two.set_script(Script::good());
    let (status, health) = monitor.health("all is well", |health| health["status"] == "ok");
    assert_eq!((status, &health["reasons"]), (200, &serde_json::json!([])));
    assert!(server(&health, "two")["up_for_s"].as_f64().is_some());
    ends_well(monitor, &home.csv(), &home.store());
}

#[test]
fn thousand_bad_datagrams_delay_no_sample_and_fill_no_log() {
    const BAD: usize = 1000;
    let playground = Playground::open();
    let kinds = [ReplyKind::WrongOrigin, ReplyKind::Garbage(48), ReplyKind::Short(20), ReplyKind::Mode(3)];
    let flood = kinds.into_iter().cycle().take(BAD).chain([ReplyKind::Good]);
    let (flooding, calm) = (playground.server(Script::good().replying(flood)), playground.server(Script::good()));
    let slow = own("flooding", flooding.address()).replace("100ms", "1s").replace("90ms", "900ms");
    let home = Home::with(&[slow, own("calm", calm.address()), "[log]\nlevel = \"debug\"\n".to_owned()].concat());
    let mut monitor = home.start();
    // A full socket buffer may cost the good reply of one poll, never of all.
    until("a sample through the flood", || so_far(&home, "flooding").iter().any(|s| s.outcome.is_success()));
    let (_, health) = monitor.health("the refused replies are counted", |health| {
        server(health, "flooding")["rejected_replies"].as_u64().is_some_and(|count| count > 300)
    });
    assert_eq!(server(&health, "calm")["consecutive_failures"], 0, "{health}");
    assert!(monitor.log().lines().count() < 200, "{} lines", monitor.log().lines().count());
    ends_well(monitor, &home.csv(), &home.store());
}

// Names and networks

#[test]
fn unresolvable_name_is_an_outcome_with_its_reason() {
    let playground = Playground::open();
    let good = playground.server(Script::good());
    let nowhere = "[[server]]\nname = \"nowhere\"\naddress = \"no-such-host.invalid\"\n";
    let home = Home::with(&[nowhere, &own("good", good.address())].concat());
    let mut monitor = home.start();
    until("the outcome", || !so_far(&home, "nowhere").is_empty());
    assert!(matches!(&so_far(&home, "nowhere")[0].outcome, Outcome::Dns(why) if why.contains("no-such-host.invalid")));
    let (_, health) = monitor.health("it shows", |health| server(health, "nowhere")["outcome"] == "dns");
    assert_eq!(server(&health, "nowhere")["address"], Value::Null);
    assert!(so_far(&home, "good").iter().all(|sample| sample.outcome.is_success()));
    ends_well(monitor, &home.csv(), &home.store());
}

#[test]
fn start_without_network_gives_faults_until_it_is_up() {
    if !root::is_root("a start without a network") {
        return;
    }
    let address: SocketAddr = "192.0.2.1:11123".parse().unwrap();
    let home = Home::with(&own("far", address));
    let mut inside = Command::new("unshare");
    inside.args(["-n", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
    let service = home.command();
    inside.arg(service.get_program()).args(service.get_args()).current_dir(home.path());
    let mut monitor = Monitor::spawn(&mut inside, home.path());
    until("a fault", || !so_far(&home, "far").is_empty());
    let first = &so_far(&home, "far")[0].outcome;
    assert!(matches!(first, Outcome::Fault(why) if why.contains("unreachable")), "{first:?}");

    let pid = monitor.id().to_string();
    root::run(Command::new("nsenter").args(["-t", &pid, "-n", "ip", "address", "add", "192.0.2.1/32", "dev", "lo"]));
    let _chronyd = Chronyd::start_in_network_of(monitor.id(), address);
    until("a sample", || so_far(&home, "far").iter().any(|sample| sample.outcome.is_success()));
    assert_eq!(monitor.stop(), 0);
}

// The database

#[test]
fn database_outage_is_reported_and_all_lines_arrive_later() {
    let (playground, mut victoria) = (Playground::open(), Victoria::start());
    let good = playground.server(Script::good());
    let influx = format!(
        "[influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"t\"\nflush_interval = \"50ms\"\n",
        victoria.url()
    );
    let home = Home::with(&[own("good", good.address()), influx].concat());
    victoria.shut_down();
    let mut monitor = home.start();
    let (status, health) = monitor.health("it is missed", |health| health["sinks"]["influxdb"]["failing"] == true);
    assert_eq!((status, &health["status"]), (200, &"degraded".into()));
    assert!(reasons(&health, "influxdb").contains("refused"), "{health}");
    assert!(!so_far(&home, "good").is_empty());
    victoria.start_again();
    monitor.health("all is well", |health| health["status"] == "ok");
    let samples = ends_well(monitor, &home.csv(), &home.store());
    let points = || -> usize {
        let series = victoria.export("ntp_sample_success");
        series.iter().map(|series| series["timestamps"].as_array().unwrap().len()).sum()
    };
    until("every point", || points() == samples);
}

#[test]
fn lines_survive_a_restart_during_a_database_outage() {
    let playground = Playground::open();
    let good = playground.server(Script::good());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let influx = format!("[influxdb]\nurl = \"http://{nobody}\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"t\"\n");
    let home = Home::with(&[own("good", good.address()), influx].concat());
    let mut monitor = home.start();
    until("some samples", || so_far(&home, "good").len() > 3);
    assert_eq!(monitor.stop(), 0);
    let (csv, store) = (rows::csv(&home.csv()), rows::store(&home.store()));
    let left = Reader::open(&home.store()).unwrap().outbox_oldest(usize::MAX, usize::MAX).unwrap();
    let lines = left.iter().flat_map(|row| row.body.split(|byte| *byte == b'\n'));
    // There may be other lines too: a verdict, statistics of a minute.
    let of_samples = lines.filter(|line| line.starts_with(b"ntp_sample,")).count();
    assert_eq!((csv.len(), of_samples), (store.len(), store.len()));
}

// Disks

/// The places of the outputs; some are on a disk that will be full.
struct Layout<'a> {
    store: &'a Path,
    csv: &'a Path,
    /// The outputs that fail.
    failing: &'a [&'a str],
}

/// Runs the service until the disk is full, checks that the other outputs continue, and frees space again.
fn survives_a_full_disk(disk: &SmallDisk, layout: &Layout<'_>) {
    let playground = Playground::open();
    let good = playground.server(Script::good());
    let home = Home::with("");
    home.write(&format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n[csv]\ndir = {:?}\n{}",
        layout.store.join("ntp-monitor.db"),
        layout.csv,
        own("good", good.address())
    ));
    let mut monitor = home.start();
    until("the first row", || !rows::csv_so_far(layout.csv).is_empty());
    let filler = disk.fill();
    let fails = |health: &Value, name: &str| health["sinks"][name]["failing"] == true;
    let (status, health) = monitor.health("the fault shows", |health| layout.failing.iter().all(|n| fails(health, n)));
    assert_eq!((status, &health["status"]), (200, &"degraded".into()));
    for name in layout.failing {
        assert!(reasons(&health, name).to_lowercase().contains("no space left"), "{name}: {health}");
    }
    let (before, written) =
        (good.counters().requests, |health: &Value, name: &str| health["sinks"][name]["written"].as_u64());
    until("polls go on", || good.counters().requests > before + 5);
    for name in ["store", "csv"].iter().filter(|name| !layout.failing.contains(name)) {
        let so_far = written(&health, name);
        monitor.health("the other output goes on", |health| written(health, name) > so_far && !fails(health, name));
    }
    fs::remove_file(filler).unwrap();
    let (_, health) = monitor.health("all is well", |health| health["status"] == "ok");
    assert!(layout.failing.iter().all(|name| health["sinks"][name]["dropped"] == 0), "{health}");
    ends_well(monitor, layout.csv, &layout.store.join("ntp-monitor.db"));
}

#[test]
fn full_disk_of_the_store_delays_nothing_and_loses_nothing() {
    if !root::is_root("a full disk under the store") {
        return;
    }
    let (disk, other) = (SmallDisk::mount(2048), tempfile::tempdir().unwrap());
    survives_a_full_disk(&disk, &Layout { store: disk.path(), csv: &other.path().join("csv"), failing: &["store"] });
}

#[test]
fn full_disk_of_csv_delays_nothing_and_loses_nothing() {
    if !root::is_root("a full disk under the CSV files") {
        return;
    }
    let (disk, other) = (SmallDisk::mount(1024), tempfile::tempdir().unwrap());
    survives_a_full_disk(&disk, &Layout { store: other.path(), csv: &disk.path().join("csv"), failing: &["csv"] });
}

#[test]
fn full_disk_of_all_outputs_loses_nothing_that_fits_memory() {
    if !root::is_root("a full disk under every output") {
        return;
    }
    let disk = SmallDisk::mount(2048);
    let layout = Layout { store: disk.path(), csv: &disk.path().join("csv"), failing: &["store", "csv"] };
    survives_a_full_disk(&disk, &layout);
}

#[test]
fn samples_the_store_never_got_are_reported_and_in_csv() {
    if !root::is_root("a full disk until the end") {
        return;
    }
    let (disk, playground) = (SmallDisk::mount(2048), Playground::open());
    let good = playground.server(Script::good());
    let store = disk.path().join("ntp-monitor.db");
    let home = Home::with(&[format!("[store]\npath = {store:?}\n"), own("good", good.address())].concat());
    let mut monitor = home.start();
    until("the first row", || !so_far(&home, "good").is_empty());
    disk.fill();
    monitor.health("the fault shows", |health| health["sinks"]["store"]["failing"] == true);
    assert_eq!(monitor.stop(), 0);
    let said: Value = serde_json::from_str(&monitor.logged("dropped unwritten samples")).unwrap();
    let lost = said["samples"].as_u64().unwrap();
    let (csv, store) = (rows::csv(&home.csv()).len() as u64, rows::store(&store).len() as u64);
    assert!(lost > 0 && csv == store + lost, "{csv} in the files, {store} in the store, {lost} lost");
}

/// Simulates a disk that becomes read-only: every write to open files fails from now on, and no file can be created.
#[test]
fn read_only_disk_is_reported_and_loses_nothing() {
    let playground = Playground::open();
    let good = playground.server(Script::good());
    let home = Home::with(&own("good", good.address()));
    // Its log goes through a pipe, which limits on files do not affect.
    let mut piped = Command::new("bash");
    piped.args(["-c", "exec \"$0\" \"$@\" 2> >(exec cat >&2)"]).arg(home.command().get_program());
    piped.args(home.command().get_args()).current_dir(home.path());
    let mut monitor = Monitor::spawn(&mut piped, home.path());
    until("the first row", || !so_far(&home, "good").is_empty());
    let pid = monitor.id().to_string();
    let limit = |bytes: &str| root::run(Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]));
    limit("0");
    let both = |health: &Value, wanted: bool| ["store", "csv"].iter().all(|n| health["sinks"][n]["failing"] == wanted);
    let (status, health) = monitor.health("both outputs fail", |health| both(health, true));
    assert_eq!((status, &health["status"]), (200, &"degraded".into()));
    assert!(reasons(&health, "csv").contains("too large") && reasons(&health, "store").contains("disk"), "{health}");
    let before = good.counters().requests;
    until("polls go on", || good.counters().requests > before + 5);
    // A reload that restarts the outputs meanwhile passes on the waiting samples.
    home.write(&fs::read_to_string(home.config()).unwrap().replace("\"here\"", "\"there\""));
    monitor.reload();
    limit("unlimited");
    let (_, health) = monitor.health("all is well", |health| both(health, false) && health["status"] == "ok");
    assert!(["store", "csv"].iter().all(|name| health["sinks"][name]["dropped"] == 0), "{health}");
    let kept = ends_well(monitor, &home.csv(), &home.store());
    assert_eq!(kept as u64, good.counters().requests, "every request is in both outputs");
}

#[test]
fn a_read_only_disk_ends_the_start_with_its_path_and_reason() {
    if !root::is_root("a read-only disk") {
        return;
    }
    let (disk, other) = (SmallDisk::mount(1024), tempfile::tempdir().unwrap());
    disk.forbid_writing();
    let layouts = [(disk.path(), other.path(), "Read-only"), (other.path(), disk.path(), "Read-only")];
    for (store, csv, why) in layouts {
        let mut command = program(other.path());
        command.env("NTP_SERVER", "127.0.0.1").env("NTP_MONITOR__HTTP__LISTEN", "127.0.0.1:0");
        command.env("NTP_MONITOR__STORE__PATH", store.join("x.db")).env("NTP_MONITOR__CSV__DIR", csv.join("csv"));
        let mut monitor = Monitor::spawn(&mut command, other.path());
        assert_eq!(monitor.end(), 1);
        let said = monitor.log();
        assert!(said.contains(disk.path().to_str().unwrap()) && said.contains(why), "{said}");
    }
}
