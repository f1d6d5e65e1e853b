//! Upgrades with an existing configuration: commands find its secrets among systemd's credentials, and the new version
//! checks it before the service is restarted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::monitor::text;
use crate::common::root;
use crate::debian::Debian;

const CONFIG: &str = "[influxdb]\nurl = \"http://127.0.0.1:9\"\norg = \"o\"\nbucket = \"b\"\n\
                      token_file = \"influxdb-token\"\n";
const SERVERS: &str = "/etc/ntp-monitor/servers.toml";
const KEPT: &str = "/etc/credstore/ntp-monitor.influxdb-token";
const CHECK: &str = "ntp-monitor --config /etc/ntp-monitor/servers.toml config check";

/// A Debian with the program and this configuration, whose servers are in the environment of the service.
fn installed() -> Debian {
    let debian = Debian::fresh();
    fs::copy(env!("CARGO_BIN_EXE_ntp-monitor"), debian.at("/usr/bin/ntp-monitor")).unwrap();
    fs::create_dir_all(debian.at("/etc/ntp-monitor")).unwrap();
    fs::write(debian.at(SERVERS), CONFIG).unwrap();
    debian
}

fn keep_secret(debian: &Debian, place: &str) {
    debian.run(&format!("install -D -m 600 /dev/null {place} && chmod 700 $(dirname {place})"));
    fs::write(debian.at(place), "hush\n").unwrap();
}

#[test]
fn systemd_secret_is_readable_by_root_and_no_other_user() {
    if !root::is_root("systemd_secret_is_readable_by_root_and_no_other_user") {
        return;
    }
    let debian = installed();
    let check = format!("NTP_SERVER=127.0.0.1 {CHECK}");
    assert_eq!(debian.attempt(&check).status.code(), Some(78));
    for place in [KEPT, "/run/credentials/ntp-monitor.service/influxdb-token"] {
        keep_secret(&debian, place);
        debian.run(&check);
        let shown = debian.run(&check.replace("check", "show"));
        assert!(!shown.contains("hush"), "{shown}");
        let other = debian.attempt(&format!("setpriv --reuid 65534 --clear-groups env {check}"));
        let said = text(&other.stderr);
        assert_eq!((other.status.code(), said.contains("which only root and the service")), (Some(78), true), "{said}");
        fs::remove_file(debian.at(place)).unwrap();
    }
}

#[test]
fn package_restarts_only_if_the_new_version_accepts_the_config() {
    if !root::is_root("package_restarts_only_if_the_new_version_accepts_the_config") {
        return;
    }
    let debian = installed();
    keep_secret(&debian, KEPT);
    let script = |path: &str, text: &[u8]| {
        fs::write(debian.at(path), text).unwrap();
        fs::set_permissions(debian.at(path), fs::Permissions::from_mode(0o755)).unwrap();
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/debian/postinst");
    script("/root/postinst", &fs::read(source).unwrap());
    script("/usr/bin/deb-systemd-invoke", b"#!/bin/sh\necho \"$@\" >>/var/log/invoked\n");
    for nothing in ["/usr/bin/deb-systemd-helper", "/usr/bin/systemctl"] {
        script(nothing, b"#!/bin/sh\n");
    }
    debian.run("mkdir -p /run/systemd/system && useradd --system ntp-monitor");
    let invoked = || fs::read_to_string(debian.at("/var/log/invoked")).unwrap_or_default();

    fs::write(debian.at("/etc/default/ntp-monitor"), "NTP_MONITOR__LOG__LEVEL=loud\n").unwrap();
    let said = debian.run("/root/postinst configure 0.0.1");
    assert!(said.contains("the earlier version goes on"), "{said}");
    assert_eq!(invoked(), "");
    fs::write(debian.at("/etc/default/ntp-monitor"), "# servers\nexport FOO=1\nNTP_SERVER=\"127.0.0.1,192.0.2.7\"\n")
        .unwrap();
    debian.run("/root/postinst configure 0.0.1");
    assert_eq!(invoked(), "restart ntp-monitor.service\n");
}
