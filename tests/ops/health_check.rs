//! `scripts/health-check.sh`, for cron and monitoring, with curl, with any wget, and without both.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::monitor::{Home, own, text};
use crate::common::sim::Playground;
use ntp_monitor::sim::Script;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/health-check.sh")
}

#[test]
fn the_health_check_exits_as_plugins_do() {
    let playground = Playground::open();
    let (good, silent) = (playground.server(Script::good()), playground.server(Script::silent()));
    let check = |url: &str| {
        let output = Command::new(script()).args(["--url", url]).output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout))
    };
    for (servers, code, word) in [
        (own("good", good.address()), 0, "OK"),
        (own("good", good.address()) + &own("silent", silent.address()), 1, "WARNING - "),
        (own("silent", silent.address()), 2, "CRITICAL - none of the 1 servers"),
    ] {
        let home = Home::with(&servers);
        let mut service = home.start();
        let status = ["ok", "degraded", "failing"][code as usize];
        service.health(status, |health| health["ready"] == true && health["status"] == status);
        let (found, said) = check(&format!("http://{}", service.http()));
        assert_eq!((found, said.contains(word)), (code, true), "{said}");
    }
    assert_eq!(check("http://127.0.0.1:9").0, 2);
    for wrong in [&["--what"][..], &["--timeout", "soon"], &["--timeout", "0"], &["--url", "no:such:thing/"]] {
        let output = Command::new(script()).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{wrong:?}: {}", text(&output.stdout));
    }
}

/// A replacement for busybox's wget, which lacks options of GNU wget and does not show the body of an error.
const SMALL_WGET: &str = "#!/bin/sh
for last; do :; done
case \"$*\" in *--*) echo 'Usage: wget [-cqS] [-O FILE] [-T SEC] URL' >&2; exit 1 ;; esac
exec /usr/bin/curl --silent --fail \"$last\"
";

#[test]
fn health_check_works_with_any_wget_or_reports_none() {
    let playground = Playground::open();
    let (good, silent) = (playground.server(Script::good()), playground.server(Script::silent()));
    let tools = tempfile::tempdir().unwrap();
    for tool in ["sed", "grep", "head", "tr"] {
        std::os::unix::fs::symlink(Path::new("/usr/bin").join(tool), tools.path().join(tool)).unwrap();
    }
    let check = |url: &str| {
        let mut command = Command::new("/bin/sh");
        command.arg(script()).args(["--url", url]).env("PATH", tools.path());
        command.output().unwrap().status.code()
    };
    assert_eq!(check("http://127.0.0.1:9"), Some(3));
    let wget = tools.path().join("wget");
    fs::write(&wget, SMALL_WGET).unwrap();
    fs::set_permissions(&wget, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(check("http://127.0.0.1:9"), Some(2));
    for (server, status, code) in [(good, "ok", 0), (silent, "failing", 2)] {
        let home = Home::with(&own("one", server.address()));
        let mut service = home.start();
        service.health(status, |health| health["ready"] == true && health["status"] == status);
        assert_eq!(check(&format!("http://{}", service.http())), Some(code), "{status}");
    }
}
