//! The service under a real systemd: installed, started, reloaded, killed, hung, upgraded, removed.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::chronyd::Chronyd;
use crate::common::monitor::own;
use crate::common::wait::{find, until};
use crate::common::{root, rows};
use crate::debian::Debian;
use crate::machine::Machine;
use crate::package::{package, successor};
use ntp_monitor_core::sample::{Outcome, Timestamping};

const CONFIG: &str = "/etc/ntp-monitor/servers.toml";
const HERE: &str = "http://127.0.0.1:8080";
/// In a network of its own every port is free.
const CHRONYD: &str = "127.0.0.1:10123";

/// A machine with a time server in its network, on which the service will be installed.
fn machine() -> (Machine, Chronyd) {
    let machine = Machine::boot(Debian::fresh());
    let chronyd = Chronyd::start_in_network_of(machine.network(), CHRONYD.parse().unwrap());
    (machine, chronyd)
}

/// `setup.sh` with what it needs, and a program to install.
fn copy_setup(machine: &Machine) {
    for part in ["setup.sh", "scripts", "systemd", "config"] {
        root::run(Command::new("cp").arg("-R").arg(source(part)).arg(machine.debian.at("/root/")));
    }
    fs::copy(env!("CARGO_BIN_EXE_ntp-monitor"), machine.debian.at("/root/ntp-monitor")).unwrap();
}

fn source(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn write(machine: &Machine, path: &str, text: &str, mode: u32) {
    let path = machine.debian.at(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// One server, the files, and a token that comes from systemd.
fn configure(machine: &Machine, more: &str) {
    let server = own("local", CHRONYD.parse::<SocketAddr>().unwrap());
    let token = "[[http.tokens]]\nname = \"test\"\nrole = \"operate\"\ntoken_file = \"http-token\"\n";
    write(machine, CONFIG, &format!("{more}[csv]\n{token}{server}"), 0o644);
    write(machine, "/etc/credstore/ntp-monitor.http-token", "a-token-of-some-length\n", 0o600);
}

#[track_caller]
fn gives_samples(machine: &Machine) {
    machine.awaits("StatusText", |text| text.starts_with("ok: 1 of 1 give samples; "));
}

/// The number of samples so far.
fn samples(machine: &Machine) -> usize {
    rows::csv_so_far(&machine.debian.at("/var/lib/ntp-monitor/csv")).len()
}

/// Does what ends the process, and waits until systemd has started another that measures.
#[track_caller]
fn comes_back_after(machine: &Machine, script: &str) {
    let (before, measured) = (machine.property("MainPID"), samples(machine));
    machine.run(script);
    machine.awaits("MainPID", |id| id != before && id != "0");
    until("more samples", || samples(machine) > measured + 2);
    gives_samples(machine);
}

#[test]
fn setup_starts_a_confined_service_that_survives_faults() {
    if !root::is_root("setup_starts_a_confined_service_that_survives_faults") {
        return;
    }
    let (machine, _chronyd) = machine();
    copy_setup(&machine);
    configure(&machine, "");
    machine.run("/root/setup.sh --binary /root/ntp-monitor");
    gives_samples(&machine);
    is_confined_and_measures(&machine);
    is_reloaded(&machine);
    sees_the_own_clock_where_it_may(&machine);

    comes_back_after(&machine, "systemctl kill --signal=KILL ntp-monitor.service");
    assert_eq!(machine.property("NRestarts"), "1");
    machine.run("systemctl stop ntp-monitor.service");
    write(&machine, "/etc/systemd/system/ntp-monitor.service.d/hang.conf", "[Service]\nWatchdogSec=4s\n", 0o644);
    machine.run("systemctl daemon-reload && systemctl start ntp-monitor.service");
    gives_samples(&machine);
    comes_back_after(&machine, "systemctl kill --signal=STOP ntp-monitor.service");
    assert!(machine.journal().contains("Watchdog timeout"), "{}", machine.journal());

    // A program that does everything except run as a service.
    let broken = "#!/bin/sh\ncase $1 in --version) echo ntp-monitor 9.9.9 ;; --config) [ \"$3\" ] || exit 70 ;; esac\n\
                  exec /root/ntp-monitor \"$@\"\n";
    write(&machine, "/root/broken", broken, 0o755);
    let upgrade = machine.attempt("/root/setup.sh --upgrade --binary /root/broken");
    let said = crate::common::monitor::text(&upgrade.stderr);
    assert!(!upgrade.status.success() && said.contains("the earlier version is back and runs"), "{said}");
    gives_samples(&machine);

    machine.run("/root/setup.sh --uninstall --purge");
    assert!(!machine.attempt("systemctl cat ntp-monitor.service").status.success());
    assert!(!machine.debian.exists("/var/lib/ntp-monitor") && !machine.debian.exists(CONFIG));
}

/// The running process has the restrictions of the unit, and works under them.
#[track_caller]
fn is_confined_and_measures(machine: &Machine) {
    let status = machine.run(&format!("cat /proc/{}/status", machine.property("MainPID")));
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert!(!status.contains("Uid:\t0"), "{status}");
    let samples = rows::csv_so_far(&machine.debian.at("/var/lib/ntp-monitor/csv"));
    let measured: Vec<_> = samples.iter().filter(|sample| sample.outcome == Outcome::Sample).collect();
    assert!(!measured.is_empty());
    assert!(measured.iter().all(|sample| sample.timestamping == Some(Timestamping::Kernel)), "{measured:?}");
    // The token is a file that only root can read, and reached the service as a credential.
    let ask = format!("{HERE}/api/v1/servers/local/probe");
    let code = |more: &[&str]| {
        machine.curl(
            &[&["--output", "/dev/null", "--write-out", "%{http_code}", "--request", "POST", &ask], more].concat(),
        )
    };
    assert_eq!(code(&[]), "401");
    // The token is accepted, even if it is too early to poll the server again.
    let known = code(&["--header", "Authorization: Bearer a-token-of-some-length"]);
    assert!(["200", "429"].contains(&known.as_str()), "{known}");
    // The journal has fields and not only text.
    assert!(
        machine
            .run("journalctl --quiet --output=json SERVERS=1")
            .contains("\"STORE\":\"/var/lib/ntp-monitor/ntp-monitor.db\"")
    );
}

/// A drop-in lifts the restriction that hides the kernel's state of the clock.
#[track_caller]
fn sees_the_own_clock_where_it_may(machine: &Machine) {
    let kernel = || {
        let local: serde_json::Value = serde_json::from_str(&machine.curl(&[&format!("{HERE}/api/v1/local")])).ok()?;
        Some(local["kernel"].clone()).filter(|_| local["leap"]["list"].is_object())
    };
    assert_eq!(find("what is known of the own clock", kernel), serde_json::Value::Null);
    let example = fs::read_to_string(source("systemd/examples/own-clock.conf")).unwrap();
    write(machine, "/etc/systemd/system/ntp-monitor.service.d/own-clock.conf", &example, 0o644);
    comes_back_after(machine, "systemctl daemon-reload && systemctl restart ntp-monitor.service");
    until("the kernel's view", || kernel().is_some_and(|kernel| kernel["max_error_s"].is_number()));
}

#[track_caller]
fn is_reloaded(machine: &Machine) {
    let process = machine.property("MainPID");
    configure(machine, &own("second", CHRONYD.parse::<SocketAddr>().unwrap()));
    machine.run("systemctl reload ntp-monitor.service");
    let has_second = || machine.curl(&[&format!("{HERE}/health")]).contains("\"server\":\"second\"");
    until("the new configuration", has_second);
    configure(machine, "[monitor]\nvantage = 3\n");
    let refused = machine.attempt("systemctl reload ntp-monitor.service");
    assert!(!refused.status.success() && machine.journal().contains("monitor.vantage"), "{}", machine.journal());
    assert!(has_second() && machine.property("ActiveState") == "active");
    configure(machine, "");
    machine.run("systemctl reload ntp-monitor.service");
    assert_eq!(machine.property("MainPID"), process);
}

#[test]
fn the_package_starts_upgrades_and_stops_the_service() {
    if !root::is_root("the_package_starts_upgrades_and_stops_the_service") {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let first = package(out.path(), "0.0.1-1");
    let (machine, _chronyd) = machine();
    let install = [&first, &successor(&first, "0.0.2-1")].map(|package| {
        let name = package.file_name().unwrap().to_str().unwrap();
        fs::copy(package, machine.debian.at("/root").join(name)).unwrap();
        format!("dpkg -i /root/{name}")
    });
    configure(&machine, "");
    machine.run(&install[0]);
    gives_samples(&machine);
    comes_back_after(&machine, &install[1]);

    // systemd holds the address: a client waits while the service is down, and starts it.
    machine.run("systemctl stop ntp-monitor.service && systemctl enable --now ntp-monitor.socket");
    assert!(machine.curl(&[&format!("{HERE}/api/v1/version")]).contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(machine.property("ActiveState"), "active");
    machine.run("systemctl stop ntp-monitor.service ntp-monitor.socket");

    failure_is_reported(&machine);

    configure(&machine, "");
    machine.run("systemctl start ntp-monitor.service");
    gives_samples(&machine);
    machine.run("dpkg -r ntp-monitor");
    assert_eq!(machine.property("ActiveState"), "inactive");
    assert!(machine.debian.exists("/var/lib/ntp-monitor/ntp-monitor.db"));
    setup_follows_the_package(&machine);
}

/// The remains of a removed package do not prevent an installation, and a purge does not delete files of that
/// installation.
#[track_caller]
fn setup_follows_the_package(machine: &Machine) {
    copy_setup(machine);
    machine.run("/root/setup.sh --binary /root/ntp-monitor");
    gives_samples(machine);
    machine.run("dpkg -P ntp-monitor");
    assert_eq!(machine.property("ActiveState"), "active");
    assert!(machine.debian.exists("/var/lib/ntp-monitor/ntp-monitor.db") && machine.debian.exists(CONFIG));
    machine.run("/root/setup.sh --uninstall --purge");
    assert!(!machine.debian.exists("/var/lib/ntp-monitor") && !machine.debian.exists(CONFIG));
}

/// A service with an invalid configuration is not restarted, and its OnFailure unit runs.
#[track_caller]
fn failure_is_reported(machine: &Machine) {
    let units = "/etc/systemd/system";
    for (example, place) in [
        ("ntp-monitor-failed@.service", "ntp-monitor-failed@.service"),
        ("onfailure.conf", "ntp-monitor.service.d/onfailure.conf"),
    ] {
        let text = fs::read_to_string(source("systemd/examples").join(example)).unwrap();
        // There is no mail server here.
        write(
            machine,
            &format!("{units}/{place}"),
            &text.replace("/usr/sbin/sendmail -i root", "tee /root/told"),
            0o644,
        );
    }
    configure(machine, "[monitor]\nvantage = 3\n");
    machine.run("systemctl daemon-reload");
    assert!(!machine.attempt("systemctl start ntp-monitor.service").status.success());
    assert_eq!((machine.property("ActiveState"), machine.property("NRestarts")), ("failed".to_owned(), "0".to_owned()));
    assert_eq!(machine.property("ExecMainStatus"), "78");
    let told = machine.debian.at("/root/told");
    until("the news of the failure", || fs::read_to_string(&told).is_ok_and(|text| text.contains("monitor.vantage")));
}
