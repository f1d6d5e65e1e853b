//! `backup`, `restore`, `store check|vacuum|prune`, and stores of earlier releases.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rusqlite::Connection;

use crate::common::monitor::{Home, own, run, text};
use crate::common::sim::Playground;
use crate::common::wait::until;
use crate::common::{root, rows};
use ntp_monitor::sim::Script;

const V1: &str = include_str!("../../src/store/migrations/v1.sql");

/// Runs the program with the configuration of `home`: exit code, stdout and stderr.
fn ask(home: &Home, arguments: &[&str]) -> (i32, String, String) {
    let config = home.config();
    let mut all = arguments.to_vec();
    all.extend(["--config", config.to_str().unwrap()]);
    let output = run(home.path(), &all);
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn samples(store: &Path) -> usize {
    rows::store(store).len()
}

#[test]
fn backup_during_writes_is_complete_and_restorable() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&own("good", server.address()));
    let mut service = home.start();
    service.health("samples", |health| health["servers"][0]["outcomes"]["sample"].as_u64() > Some(5));
    until("samples in the store", || samples(&home.store()) > 3);
    let copy = home.path().join("copy.db");
    let (code, out, err) = ask(&home, &["backup", "copy.db"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let kept = rows::keys_once("the copy", &rows::store(&copy));
    assert!(kept.len() > 3);

    // A second backup does not replace the first one, and restore is refused while the service runs.
    assert_eq!(ask(&home, &["backup", "copy.db"]).0, 1);
    assert_eq!(ask(&home, &["backup", "copy.db", "--force"]).0, 0);
    // A backup cannot overwrite the store of the running service.
    std::os::unix::fs::symlink(home.store(), home.path().join("link.db")).unwrap();
    for same in [home.store().to_str().unwrap(), "link.db"] {
        let (code, _, err) = ask(&home, &["backup", same, "--force"]);
        assert_eq!((code, err.contains("it is the store itself")), (1, true), "{err}");
    }
    for refused in [&["restore", "copy.db"][..], &["store", "vacuum"], &["store", "prune"]] {
        let (code, _, err) = ask(&home, refused);
        assert_eq!((code, err.contains("in use by another running")), (1, true), "{refused:?}: {err}");
    }
    let (code, out, _) = ask(&home, &["store", "check"]);
    assert_eq!((code, out.contains(": sound")), (0, true), "{out}");
    service.signal(Signal::SIGTERM);
    assert_eq!(service.end(), 0);

    let before = rows::keys_once("the store", &rows::store(&home.store()));
    let copied = rows::keys_once("the copy", &rows::store(&copy));
    let (code, out, err) = ask(&home, &["restore", "copy.db"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(rows::keys_once("the store", &rows::store(&home.store())), copied);
    let old = out.lines().find_map(|line| line.strip_prefix("the previous store is ")).unwrap();
    assert_eq!(rows::keys_once("the old store", &rows::store(Path::new(old))), before);
    // The service continues with the restored store.
    let mut service = home.start();
    until("more samples", || samples(&home.store()) > copied.len());
    assert_eq!(service.stop(), 0);
}

#[test]
fn damaged_store_is_reported_and_never_restored() {
    let home = Home::with("[[server]]\naddress = \"127.0.0.1:9\"\nown = true");
    let mut service = home.start();
    service.health("a poll", |health| health["ready"] == true);
    assert_eq!(service.stop(), 0);
    let before = fs::read(home.store()).unwrap();

    let copy = home.path().join("copy.db");
    assert_eq!(ask(&home, &["backup", "copy.db"]).0, 0);
    let mut bytes = fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0x5a);
    fs::write(&copy, bytes).unwrap();
    let (code, out, err) = ask(&home, &["store", "check", "--store", "copy.db"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("DAMAGED") || err.contains("damaged"), "{out}{err}");
    fs::write(home.path().join("text.db"), "not a store at all, but long enough to have a header".repeat(20)).unwrap();
    for bad in ["copy.db", "text.db", "nothing.db"] {
        let (code, _, err) = ask(&home, &["restore", bad]);
        assert_eq!(code, 1, "{bad}: {err}");
        assert!(err.contains(bad), "{err}");
    }
    assert_eq!(fs::read(home.store()).unwrap(), before);
}

#[test]
fn pipe_or_device_in_place_of_a_store_is_refused_at_once() {
    let home = Home::with("[[server]]\naddress = \"127.0.0.1:9\"\nown = true");
    let pipe = home.path().join("pipe.db");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let commands = [
        &["store", "check", "--store"][..],
        &["store", "vacuum", "--store"],
        &["backup", "copy.db", "--store"],
        &["restore"],
    ];
    for command in commands {
        for bad in ["pipe.db", "/dev/zero"] {
            let (code, _, err) = ask(&home, &[command, &[bad]].concat());
            assert_eq!((code, err.contains(bad)), (1, true), "{command:?}: {err}");
            assert!(err.contains("not a store") || err.contains("not a regular file"), "{command:?}: {err}");
        }
    }
    // The same beside a copy that is sound.
    old_store(&home.path().join("sound.db"), 10);
    mkfifo(&home.path().join("sound.db-wal"), Mode::S_IRWXU).unwrap();
    let (code, _, err) = ask(&home, &["restore", "sound.db"]);
    assert_eq!((code, err.contains("not a regular file")), (1, true), "{err}");
}

#[test]
fn vacuum_frees_space_and_prune_deletes_expired_rows() {
    let home = Home::with("[[server]]\naddress = \"127.0.0.1:9\"\nown = true");
    old_store(&home.store(), 20_000);
    let (code, _, err) = ask(&home, &["store", "vacuum"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let before = fs::metadata(home.store()).unwrap().len();
    let (code, out, err) = ask(&home, &["store", "prune"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains(": 20000 rows"), "{out}");
    assert_eq!(ask(&home, &["store", "vacuum"]).0, 0);
    let after = fs::metadata(home.store()).unwrap().len();
    assert!(after * 4 < before, "{before} {after}");
}

/// A store as the first release wrote it, with `count` samples of one server, 64 s apart, from 2001 on.
fn old_store(path: &Path, count: i64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut conn = Connection::open(path).unwrap();
    conn.execute_batch(V1).unwrap();
    conn.pragma_update(None, "application_id", 0x4e54_504d).unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    let tx = conn.transaction().unwrap();
    tx.execute("INSERT INTO series VALUES (1, 'old', '192.0.2.1:123', 0, 0)", []).unwrap();
    for n in 0..count {
        tx.execute(
            "INSERT INTO sample (series_id, wall_ns, mono_ns, raw_ns, outcome, timestamping, poll_s, sent, lost, \
             offset_s, delay_s) VALUES (1, ?1, ?1, 0, 0, 0, 64.0, 1, 0, 0.001, 0.01)",
            [1_000_000_000_000_000_000 + n * 64_000_000_000],
        )
        .unwrap();
    }
    tx.commit().unwrap();
}

#[test]
fn store_of_the_first_release_migrates_without_loss() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&format!("[store]\nraw_for = \"36500d\"\n{}", own("new", server.address())));
    old_store(&home.store(), 500);
    // It can be copied and checked before it is migrated.
    assert_eq!(ask(&home, &["store", "check"]).0, 0);
    assert_eq!(ask(&home, &["backup", "before.db"]).0, 0);
    let mut service = home.start();
    // A reader does not migrate.
    service.http();
    until("new samples", || samples(&home.store()) > 502);
    assert_eq!(service.stop(), 0);
    let of = |name: &str| rows::store(&home.store()).iter().filter(|s| &*s.server.name == name).count();
    assert_eq!(of("old"), 500);
    let (code, out, _) = ask(&home, &["store", "check", "--full", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["sound"], &report["version"]), (0, &true.into(), &report["newest"]));
    // The copy from before the upgrade can still be put back.
    assert_eq!(ask(&home, &["restore", "before.db"]).0, 0);
    let mut service = home.start();
    service.http();
    until("new samples after the restore", || samples(&home.store()) > 502);
    assert_eq!((service.stop(), of("old")), (0, 500));
}

#[test]
fn files_that_root_creates_belong_to_the_service() {
    if !root::is_root("files_that_root_creates_belong_to_the_service") {
        return;
    }
    let home = Home::with("[[server]]\naddress = \"127.0.0.1:9\"\nown = true");
    old_store(&home.store(), 10);
    root::run(std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(home.data()));
    for command in [&["backup", "copy.db"][..], &["store", "vacuum"], &["store", "check"], &["restore", "copy.db"]] {
        assert_eq!(ask(&home, command).0, 0, "{command:?}");
    }
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(home.data()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), 65534, "{:?}", entry.path());
    }
}
