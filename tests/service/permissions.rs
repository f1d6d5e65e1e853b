//! The file modes of the running program's files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use ntp_monitor::sim::Script;

use crate::common::monitor::{Home, Monitor, own};
use crate::common::sim::Playground;
use crate::common::wait;

/// Everything in `dir` with its mode, `dir` first.
fn modes(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut all = vec![(dir.to_owned(), fs::metadata(dir).unwrap().mode() & 0o777)];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => all.extend(modes(&path)),
            Ok(meta) => all.push((path, meta.mode() & 0o777)),
            Err(_) => {}
        }
    }
    all
}

#[track_caller]
fn assert_private(dir: &Path) {
    for (path, mode) in modes(dir) {
        let allowed = if path.is_dir() { 0o750 } else { 0o640 };
        assert_eq!(mode & !allowed, 0, "{} has {mode:o}", path.display());
    }
}

/// Runs the service under umask 022 until it has written its files.
fn run(home: &Home) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 022; exec \"$0\" --config \"$1\"", env!("CARGO_BIN_EXE_ntp-monitor")]);
    shell.arg(home.config()).env_clear().current_dir(home.path());
    let mut monitor = Monitor::spawn(&mut shell, home.path());
    monitor.http();
    wait::until("a CSV file", || fs::read_dir(home.csv()).is_ok_and(|dir| dir.count() > 0));
    monitor.stop();
    monitor.log()
}

#[test]
fn files_become_private_whatever_the_umask() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with("");
    home.configure(&format!("[log]\nfile = {:?}\n{}", home.path().join("log"), own("a", server.address())));
    assert!(!run(&home).contains("were readable by other users"));
    assert_private(&home.data());
    let log = home.path().join("log");
    fs::set_permissions(&log, Permissions::from_mode(0o644)).unwrap();
    for (path, _) in modes(&home.data()) {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    let said = run(&home);
    assert_eq!(fs::metadata(&log).unwrap().mode() & 0o777, 0o640);
    assert_eq!(said.matches("were readable by other users").count(), 1, "{said}");
    assert_private(&home.data());
    assert!(!run(&home).contains("were readable by other users"));
}
