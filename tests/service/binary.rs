//! The program from the command line: arguments, exit codes, stdout and stderr, and signals.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::common::monitor::{Home, Monitor, own, program, run, text};
use crate::common::rows;
use crate::common::sim::Playground;
use crate::common::victoria::Victoria;
use crate::common::wait::until;
use nix::sys::signal::Signal;
use ntp_monitor::sim::{Script, ScriptedServer};
use ntp_monitor_core::sample::Sample;

const SECRET: &str = "hunter2";

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn empty() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// An address at which no server answers.
fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

// Configuration

#[test]
fn every_configuration_fault_is_named_and_exits_78() {
    let home = Home::with("");
    home.write(
        "[monitor]\nvantge = \"x\"\n[defaults]\npoll_interval = \"soon\"\n[[server]]\naddress = \"a.example\"\n\
         name = \"twice\"\n[[server]]\naddress = \"b.example\"\nname = \"twice\"\nown = 3\n\
         [influxdb]\nurl = \"ftp://h\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"hunter2\"\n\
         [[server]]\naddress = \"300.1.2.3\"\nsamples_per_poll = 20\n",
    );
    let keys = ["monitor.vantge", "defaults.poll_interval", "server[1].own", "server[1].name", "influxdb.url"];
    let keys = [&keys[..], &["server[2].address", "server[2].samples_per_poll"]].concat();
    for arguments in [&[][..], &["config", "check"], &["config", "show"], &["run"]] {
        let output = home.command().args(arguments).output().unwrap();
        assert_eq!((code(&output), text(&output.stdout)), (78, String::new()), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(keys.iter().all(|key| said.contains(key)), "{arguments:?}: {said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn output_that_cannot_be_written_is_reported() {
    let home = Home::with(&own("a", unused_address()));
    let server = unused_address().to_string();
    for (arguments, wanted) in [(["completions", "bash"], 1), (["config", "schema"], 1), (["check", &server], 3)] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = home.command().args(arguments).stdout(full).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!((code(&output), said.contains("cannot write the output: No space")), (wanted, true), "{said}");
    }
}

#[test]
fn configuration_commands_write_to_stdout_without_secrets() {
    let home = Home::with(&own("a", unused_address()));
    let asked = |arguments: &[&str]| {
        let output = home.command().env("INFLUX_TOKEN", SECRET).args(arguments).output().unwrap();
        assert!(!text(&output.stdout).contains(SECRET) && !text(&output.stderr).contains(SECRET), "{arguments:?}");
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(asked(&["config", "check"]), "ok: 1 server, outputs: store, csv; http on 127.0.0.1:0\n");
    let schema: serde_json::Value = serde_json::from_str(&asked(&["config", "schema"])).unwrap();
    assert!(schema["properties"]["server"].is_object());
    let with_influx = ["--set", "influxdb.url=http://h:1", "--set", "influxdb.org=o", "--set", "influxdb.bucket=b"];
    let shown = asked(&[&with_influx[..], &["config", "show", "--json"]].concat());
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["values"]["influxdb"]["token"], "********");
    home.write(&asked(&["config", "example"]));
    asked(&["config", "check"]);
}

#[test]
fn environment_alone_is_enough_and_its_token_stays_secret() {
    let (dir, playground) = (empty(), Playground::open());
    let servers = [playground.server(Script::good()), playground.server(Script::good())];
    let list = format!("{}, {}", servers[0].address(), servers[1].address());
    let mut command = program(dir.path());
    command
        .env("NTP_SERVER", list)
        .env("POLLING_INTERVAL", "16")
        .env("INFLUX_URL", format!("http://{}", unused_address()))
        .env("INFLUX_TOKEN", SECRET)
        .env("INFLUX_ORG", "o")
        .env("INFLUX_BUCKET", "b")
        .env("LOG_LEVEL", "DEBUG")
        .env("NTP_MONITOR__INFLUXDB__FLUSH_INTERVAL", "10ms")
        .env("NTP_MONITOR__MONITOR__DATA_DIR", dir.path())
        .env("NTP_MONITOR__HTTP__LISTEN", "127.0.0.1:0");
    let mut monitor = Monitor::spawn(&mut command, dir.path());
    until("both servers were asked", || servers.iter().all(|server| server.counters().requests == 1));
    let (_, health) = monitor.health("the database is missed", |health| health["sinks"]["influxdb"]["failing"] == true);
    assert!(!health.to_string().contains(SECRET));
    monitor.kill();
    let log = std::fs::read_to_string(dir.path().join("stderr.1")).unwrap();
    assert!(log.contains("\"debug\"") && !log.contains(SECRET), "{log}");
}

#[test]
fn a_dotenv_file_in_the_working_directory_is_read() {
    let dir = empty();
    std::fs::write(dir.path().join(".env"), "NTP_SERVER=one.example,two.example\n").unwrap();
    assert!(text(&run(dir.path(), &["config", "check"]).stdout).starts_with("ok: 2 servers"));
}

// Obstacles to a start

#[test]
fn port_in_use_ends_the_start_with_advice() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let home = Home::with(&own("a", unused_address()));
    let mut monitor = Monitor::spawn(home.command().args(["--set", &format!("http.listen={address}")]), home.path());
    assert_eq!(monitor.end(), 1);
    let said = monitor.log();
    assert!(said.contains(&format!("cannot listen on {address}")) && said.contains("another instance"), "{said}");
}

#[test]
fn unusable_store_ends_the_start_and_is_left_unchanged() {
    let home = Home::with(&own("a", unused_address()));
    std::fs::create_dir_all(home.data()).unwrap();
    let fails = |why: &str| {
        let (code, said) = home.fails();
        assert!(code == 1 && said.contains("cannot start") && said.contains(why), "{why}: {code}: {said}");
        assert!(said.contains(home.data().to_str().unwrap()), "{said}");
    };

    std::fs::write(home.store(), "a letter of mine, and no database at all").unwrap();
    fails("is not a store");
    assert_eq!(std::fs::read_to_string(home.store()).unwrap(), "a letter of mine, and no database at all");

    std::fs::remove_file(home.store()).unwrap();
    std::fs::create_dir(home.store()).unwrap();
    fails("is not a store");

    std::fs::remove_dir_all(home.data()).unwrap();
    std::fs::write(home.data(), "a file where a directory is wanted").unwrap();
    fails("create the directory");
}

#[test]
fn a_missing_permission_names_the_path_and_the_remedy() {
    if !crate::common::root::is_root("a start without permission") {
        return;
    }
    let home = Home::with(&own("a", unused_address()));
    let readable = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    readable(home.path(), 0o755);
    let service = home.command();
    let mut powerless = std::process::Command::new("setpriv");
    powerless.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(service.get_program());
    powerless.args(service.get_args()).env_clear().current_dir("/");
    let mut monitor = Monitor::spawn(&mut powerless, home.path());
    assert_eq!(monitor.end(), 1);
    let said = monitor.log();
    assert!(said.contains(home.data().to_str().unwrap()) && said.contains("Permission denied"), "{said}");
    assert!(said.contains("the user of the service"), "{said}");
    assert!(!home.data().exists());
}

#[test]
fn a_store_of_a_newer_release_is_left_as_it_is() {
    let home = Home::with(&own("a", unused_address()));
    let mut monitor = home.start();
    monitor.logged("\"started\"");
    assert_eq!(monitor.stop(), 0);
    let newer = rusqlite::Connection::open(home.store()).unwrap();
    newer.pragma_update(None, "user_version", 1000).unwrap();
    newer.close().unwrap();
    let before = std::fs::read(home.store()).unwrap();
    let (code, said) = home.fails();
    assert!(code == 1 && said.contains("schema version 1000") && said.contains("newer release"), "{code}: {said}");
    assert_eq!(std::fs::read(home.store()).unwrap(), before);
}

#[test]
fn second_service_on_a_store_is_rejected() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&own("a", server.address()));
    let mut first = home.start();
    first.logged("\"started\"");
    let (code, said) = home.fails();
    let holder = format!("in use by another running ntp-monitor (process {})", first.id());
    assert!(code == 1 && said.contains(&holder), "{code}: {said}");
    let before = server.counters().requests;
    until("the first goes on", || server.counters().requests > before + 2);
    assert_eq!(first.stop(), 0);
    rows::keys_once("the store", &rows::store(&home.store()));
}

// One-shot commands

#[test]
fn query_and_check_exit_with_their_result_and_write_to_stdout() {
    let (dir, playground) = (empty(), Playground::open());
    let good = playground.server(Script::good());
    let ahead = |ms: i64| playground.server(Script::good().offset_ns(ms * 1_000_000));
    let (off, far) = (ahead(50), ahead(500));
    let silent = playground.server(Script::silent());
    let run = |command: &str, server: &ScriptedServer, more: &[&str]| {
        let host = server.address().to_string();
        let arguments = [&[command, host.as_str(), "--timeout", "500ms"], more].concat();
        let output = run(dir.path(), &arguments);
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        (code(&output), text(&output.stdout))
    };
    assert_eq!(run("query", &good, &[]).0, 0);
    assert_eq!(run("query", &silent, &[]).0, 1);
    let json: serde_json::Value = serde_json::from_str(&run("query", &good, &["--json"]).1).unwrap();
    assert_eq!(json["results"][0]["outcome"], "sample");
    let states =
        [(&good, 0, "NTP OK"), (&off, 1, "NTP WARNING"), (&far, 2, "NTP CRITICAL"), (&silent, 3, "NTP UNKNOWN")];
    for (server, status, begins) in states {
        let (code, line) = run("check", server, &[]);
        assert!(code == status && line.starts_with(begins) && line.lines().count() == 1, "{code}: {line}");
    }
}

#[test]
fn usage_error_exits_with_2_or_3_for_plugins_and_help_with_0() {
    let dir = empty();
    let cases: [(&[&str], i32); 9] = [
        (&["query"], 2),
        (&["--no-such-option"], 2),
        (&["no-such-command"], 2),
        (&["check"], 3),
        (&["check", "--warning", "soon", "a.example"], 3),
        (&["check", "--no-such-option", "a.example"], 3),
        (&["--config", "query", "check"], 3),
        (&["check", "--help"], 0),
        (&["--version"], 0),
    ];
    for (arguments, status) in cases {
        let output = run(dir.path(), arguments);
        assert_eq!(code(&output), status, "{arguments:?}");
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let (said, silent) = if status == 2 { (err, out) } else { (out, err) };
        assert!(!said.is_empty() && silent.is_empty(), "{arguments:?}");
        assert!(status != 3 || (said.starts_with("NTP UNKNOWN - ") && said.lines().count() == 1), "{said}");
    }
}

#[test]
fn completions_and_the_manual_page_are_data() {
    let dir = empty();
    for (arguments, part) in [(&["completions", "bash"][..], "complete -F"), (&["man"], ".TH ntp-monitor")] {
        let output = run(dir.path(), arguments);
        assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
        assert!(text(&output.stdout).contains(part), "{arguments:?}");
    }
}

// The demo

fn demo(dir: &Path, more: &[&str]) -> Monitor {
    let data = dir.join("data");
    let mut command = program(dir);
    command.args(["demo", "--listen", "127.0.0.1:0", "--dir"]).arg(data).args(more);
    Monitor::spawn(&mut command, dir)
}

fn outcomes(samples: &[Sample]) -> BTreeSet<(String, &'static str)> {
    samples.iter().map(|sample| (sample.server.name.to_string(), sample.outcome.label())).collect()
}

#[test]
fn the_demo_ends_after_its_time_with_samples_of_every_server() {
    let dir = empty();
    let mut demo = demo(dir.path(), &["--for", "3s"]);
    assert_eq!(demo.end(), 0);
    let samples = rows::csv(&dir.path().join("data/csv"));
    let servers: BTreeSet<&str> = samples.iter().map(|sample| &*sample.server.name).collect();
    assert_eq!(servers.len(), 9);
    assert!(servers.iter().all(|name| demo.out().contains(name)), "{}", demo.out());
}

#[test]
fn demo_shows_every_kind_of_server_and_ends_at_an_interrupt() {
    let dir = empty();
    let mut demo = demo(dir.path(), &["--poll", "600ms"]);
    let wanted = [
        ("good-1", "sample"),
        ("ahead", "sample"),
        ("drifting", "sample"),
        ("lossy", "sample"),
        ("lossy", "timeout"),
        ("limiting", "sample"),
        ("limiting", "kiss"),
        ("unsynchronised", "unsynchronised"),
        ("spoofed", "sample"),
    ];
    let csv = dir.path().join("data/csv");
    until("every kind of outcome", || {
        let seen = outcomes(&rows::csv_so_far(&csv));
        wanted.iter().all(|(server, label)| seen.contains(&((*server).to_owned(), label)))
    });
    demo.health("the forged replies are counted", |health| {
        health["servers"].as_array().unwrap().iter().any(|s| s["server"] == "spoofed" && s["rejected_replies"] != 0)
    });
    demo.signal(Signal::SIGINT);
    assert_eq!(demo.end(), 0);
    let samples = rows::csv(&csv);
    let ahead = samples.iter().find(|sample| &*sample.server.name == "ahead").unwrap();
    assert!((ahead.offset_s().unwrap() - 0.08).abs() < ahead.measure.unwrap().root_distance_s, "{ahead:?}");
}

// Signals

#[test]
fn both_stop_signals_flush_every_output() {
    let playground = Playground::open();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let server = playground.server(Script::good());
        let home = Home::with(&own("a", server.address()));
        let mut monitor = home.start();
        until("some requests", || server.counters().requests > 5);
        monitor.signal(signal);
        assert_eq!(monitor.end(), 0);
        let csv = rows::keys_once("the CSV file", &rows::csv(&home.csv()));
        rows::assert_same(("the CSV file", &csv), ("the store", &rows::keys_once("it", &rows::store(&home.store()))));
        assert_eq!(csv.len() as u64, server.counters().requests, "every request that was sent is recorded");
        assert_eq!(monitor.out(), "");
        assert!(monitor.log().lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}

#[test]
fn reload_changes_servers_and_others_keep_their_pace() {
    let playground = Playground::open();
    let [kept, removed, changed, added] = [(); 4].map(|()| playground.server(Script::good()));
    let slow = |name: &str, server: &ScriptedServer| own(name, server.address()).replace("100ms", "1s");
    let home =
        Home::with(&[slow("kept", &kept), own("removed", removed.address()), slow("changed", &changed)].concat());
    let mut monitor = home.start();
    until("every server was asked", || [&kept, &removed, &changed].iter().all(|server| server.counters().requests > 0));

    home.configure(&[slow("kept", &kept), own("changed", changed.address()), own("added", added.address())].concat());
    let said: serde_json::Value = serde_json::from_str(&monitor.reload()).unwrap();
    assert_eq!((&said["added"], &said["removed"], &said["changed"]), (&1.into(), &1.into(), &1.into()), "{said}");
    let (before, of_changed) = (kept.counters().requests, changed.counters().requests);
    until("the new pace", || changed.counters().requests > of_changed + 10 && added.counters().requests > 10);
    let after_removal = removed.counters().requests;
    until("the old pace", || kept.counters().requests >= before + 3);
    assert_eq!(removed.counters().requests, after_removal);
    // A sixteenth is jitter; the rest allows for a busy machine.
    let soonest = Duration::from_millis(900);
    let arrivals = kept.arrivals();
    assert!(arrivals.windows(2).all(|pair| pair[1].since(pair[0]) > soonest), "{arrivals:?}");
    let (_, health) = monitor.health("the removed one is forgotten", |health| {
        health["servers"].as_array().unwrap().iter().all(|server| server["server"] != "removed")
    });
    assert_eq!((&health["restarts"], &health["panics"]), (&0.into(), &0.into()));
    assert_eq!(monitor.stop(), 0);
}

#[test]
fn a_reload_of_a_faulty_file_changes_nothing_and_says_why() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&own("a", server.address()));
    let mut monitor = home.start();
    monitor.logged("\"started\"");
    home.configure("[[server]]\naddress = 3\nnmae = \"b\"\n");
    monitor.reload();
    monitor.logged("server[0].nmae");
    assert!(monitor.logged("server[0].address").contains("configuration not reloaded"));
    // A valid configuration that cannot be applied is refused too.
    home.write(&format!("[csv]\ndir = \"/proc/nowhere\"\n{}", own("b", server.address())));
    assert!(monitor.reload().contains("/proc/nowhere"));
    let before = server.counters().requests;
    until("it goes on", || server.counters().requests > before + 3);
    let (status, health) = monitor.health("a server", |health| !health["servers"][0].is_null());
    assert_eq!((status, &health["servers"][0]["server"]), (200, &"a".into()));
    assert_eq!(monitor.stop(), 0);
    assert_eq!(rows::csv(&home.csv()).len(), rows::store(&home.store()).len());
}

#[test]
fn reload_moves_outputs_without_loss_or_duplicates() {
    let (playground, databases) = (Playground::open(), [Victoria::start(), Victoria::start()]);
    let server = playground.server(Script::good());
    let home = Home::with("");
    let configure = |nth: usize| {
        home.write(&format!(
            "[monitor]\ndata_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[csv]\ndir = {:?}\n\
             [influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"t\"\nflush_interval = \"50ms\"\n{}",
            home.data(),
            home.path().join(format!("csv-{nth}")),
            databases[nth].url(),
            own("a", server.address())
        ));
    };
    let more = || {
        let before = server.counters().requests;
        until("some requests", || server.counters().requests > before + 5);
    };
    configure(0);
    let mut monitor = home.start();
    more();
    configure(1);
    assert!(monitor.reload().contains("csv"));
    more();
    assert_eq!(monitor.stop(), 0);

    let csv = [0, 1].map(|nth| rows::csv(&home.path().join(format!("csv-{nth}"))));
    assert!(csv.iter().all(|samples| !samples.is_empty()));
    let csv = rows::keys_once("the CSV files", &csv.concat());
    rows::assert_same(("the CSV files", &csv), ("the store", &rows::keys_once("it", &rows::store(&home.store()))));
    let points = |database: &Victoria| -> usize {
        let series = database.export("ntp_sample_success");
        series.iter().map(|series| series["timestamps"].as_array().unwrap().len()).sum()
    };
    until("every point, once", || points(&databases[0]) + points(&databases[1]) == csv.len());
    assert!(databases.iter().all(|database| points(database) > 0));
}

/// Like logrotate with `postrotate`; the service's own rotation needs no signal.
#[test]
fn a_moved_log_file_is_recreated_at_a_reload() {
    let home = Home::with("");
    let (log, moved) = (home.path().join("monitor.log"), home.path().join("monitor.log.1"));
    home.configure(&[format!("[log]\nfile = {log:?}\n"), own("a", unused_address())].concat());
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let mut monitor = home.start();
    until("records in the file", || read(&log).contains("\"started\""));
    std::fs::rename(&log, &moved).unwrap();
    monitor.reload();
    until("records in the new file", || read(&log).contains("configuration reloaded"));
    assert!(!read(&moved).contains("configuration reloaded"));
    assert_eq!(monitor.stop(), 0);
    assert!(read(&log).contains("\"stopped\""));
}

#[test]
fn reload_names_changes_that_need_a_restart() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&own("a", server.address()));
    let mut monitor = home.start();
    let address = monitor.http();
    let text = std::fs::read_to_string(home.config()).unwrap();
    home.write(&text.replace("127.0.0.1:0", &unused_address().to_string()));
    monitor.reload();
    let said = monitor.logged("takes effect only after a restart");
    assert!(said.contains("http.listen"), "{said}");
    assert_eq!(monitor.http(), address);
    until("it answers there still", || monitor.get("/ready").0 == 200);
    assert_eq!(monitor.stop(), 0);
}
