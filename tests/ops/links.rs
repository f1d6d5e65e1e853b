//! `setup.sh` and the scripts of the package run as root in directories of the service, which contain links that the
//! service made.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use ntp_monitor_core::world::World;

use crate::common::monitor::text;
use crate::common::{root, stored};
use crate::debian::Debian;
use crate::install::prepared;

const CONTENT: &str = "a file of root\n";
const VICTIM: &str = "/root/victim";
const AS_SERVICE: &str = "setpriv --reuid ntp-monitor --regid ntp-monitor --clear-groups --";
const DATA: &str = "/var/lib/ntp-monitor";
const UPGRADE: &str = "/root/setup.sh --upgrade --binary /opt/good/ntp-monitor";

/// An installed service with samples in its store, and a file of root.
fn installed() -> Debian {
    let debian = prepared();
    debian.run("/root/setup.sh --binary /opt/good/ntp-monitor");
    let dir = tempfile::tempdir().unwrap();
    let store = stored::store(stored::options(dir.path()), World::ordinary(3, 2, 64.0, 3600.0).samples());
    fs::copy(store, debian.at("/root/store.db")).unwrap();
    fs::write(debian.at(VICTIM), CONTENT).unwrap();
    fs::set_permissions(debian.at(VICTIM), fs::Permissions::from_mode(0o600)).unwrap();
    debian
}

/// Puts the store back, and a link to the file of root at `name`; some kernels let the service itself make hard links.
fn plant(debian: &Debian, name: &str, is_hard: bool) {
    debian
        .run(&format!("rm -rf {DATA}/* && install -o ntp-monitor -g ntp-monitor /root/store.db {DATA}/ntp-monitor.db"));
    let link = if is_hard { "ln".to_owned() } else { format!("{AS_SERVICE} ln -s") };
    debian.run(&format!("rm -f {DATA}/{name} && {link} {VICTIM} {DATA}/{name}"));
}

#[track_caller]
fn assert_untouched(debian: &Debian, after: &str) {
    let meta = fs::metadata(debian.at(VICTIM)).unwrap();
    let now = (fs::read_to_string(debian.at(VICTIM)).unwrap(), meta.uid(), meta.gid(), meta.mode() & 0o7777);
    assert_eq!(now, (CONTENT.to_owned(), 0, 0, 0o600), "{after}");
}

#[test]
fn an_upgrade_follows_no_link_in_the_data_directory() {
    if !root::is_root("an_upgrade_follows_no_link_in_the_data_directory") {
        return;
    }
    let debian = installed();
    fs::create_dir_all(debian.at("/run/systemd/system")).unwrap();
    for end in [".lock", "-wal", "-shm", ".restoring", ".copying", ".before-upgrade", ".before-upgrade.part"] {
        for is_hard in [false, true] {
            let name = format!("ntp-monitor.db{end}");
            plant(&debian, &name, is_hard);
            // The store is copied, and the copy put back.
            debian.attempt(&UPGRADE.replace("good", "bad"));
            assert_untouched(&debian, &format!("{name}, a hard link: {is_hard}"));
        }
    }
    // Without a link, upgrade and rollback work, and the service still owns its files.
    plant(&debian, "unused", false);
    debian.run("/root/setup.sh --binary /opt/good/ntp-monitor");
    debian
        .run(&format!("rm -rf {DATA}/* && install -o ntp-monitor -g ntp-monitor /root/store.db {DATA}/ntp-monitor.db"));
    let failed = debian.attempt(&UPGRADE.replace("good", "bad"));
    assert!(text(&failed.stderr).contains("the earlier version is back and runs"), "{}", text(&failed.stderr));
    debian.run(UPGRADE);
    assert_eq!(debian.run(&format!("find {DATA} ! -user ntp-monitor")), "");
    assert_eq!(debian.run(&format!("find {DATA} -name '*before-upgrade*'")), "");
}

#[test]
fn setup_writes_a_configuration_of_the_service_as_the_service() {
    if !root::is_root("setup_writes_a_configuration_of_the_service_as_the_service") {
        return;
    }
    let debian = installed();
    let env = debian.at("/opt/ntp-monitor/.env");
    fs::create_dir_all(env.parent().unwrap()).unwrap();
    fs::write(
        env,
        "NTP_SERVER=127.0.0.1\nINFLUX_URL=http://127.0.0.1:9\nINFLUX_TOKEN=hush\nINFLUX_ORG=o\nINFLUX_BUCKET=b\n",
    )
    .unwrap();
    for link in ["ln -s", "ln"] {
        // As systemd/examples/edit-configuration.conf says; then the service is taken over.
        debian.run("rm -rf /etc/ntp-monitor/* && chown ntp-monitor /etc/ntp-monitor");
        for name in ["servers.toml.new", "influxdb-token", "influxdb-token.new", "mine"] {
            let who = if link == "ln" { "" } else { AS_SERVICE };
            debian.run(&format!("{who} {link} {VICTIM} /etc/ntp-monitor/{name}"));
        }
        debian.attempt("/root/setup.sh --binary /opt/good/ntp-monitor");
        assert_untouched(&debian, link);
        let owners = debian.run("stat -c '%n %U %a' /etc/ntp-monitor/servers.toml /etc/ntp-monitor/influxdb-token");
        let expected =
            "/etc/ntp-monitor/servers.toml ntp-monitor 640\n/etc/ntp-monitor/influxdb-token ntp-monitor 640\n";
        assert_eq!(owners, expected);
    }
    // Files that root put there are shared with the service, except links that could lead elsewhere.
    debian.run("chown root /etc/ntp-monitor && rm -f /etc/ntp-monitor/mine && touch /etc/ntp-monitor/more.toml");
    debian.run(&format!("ln {VICTIM} /etc/ntp-monitor/mine && chgrp root /etc/ntp-monitor/more.toml"));
    debian.run("/root/setup.sh --binary /opt/good/ntp-monitor");
    assert_untouched(&debian, "a link that was left");
    assert_eq!(debian.run("stat -c %G /etc/ntp-monitor/more.toml"), "ntp-monitor\n");
}

#[test]
fn a_configuration_of_the_service_names_no_store_of_others() {
    if !root::is_root("a_configuration_of_the_service_names_no_store_of_others") {
        return;
    }
    let debian = installed();
    debian.run("install -d /srv/others && cp /root/store.db /srv/others/a.db && chown ntp-monitor /etc/ntp-monitor");
    let text_of = "[store]\npath = \"/srv/others/a.db\"\n[[server]]\naddress = \"127.0.0.1\"\n";
    fs::write(debian.at("/etc/ntp-monitor/servers.toml"), text_of).unwrap();
    let before = debian.run("ls -l /srv/others");
    let refused = debian.attempt(UPGRADE);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("give both to one user"), "{said}");
    assert_eq!(debian.run("ls -l /srv/others"), before);
}

#[test]
fn the_package_follows_no_link_in_the_configuration_directory() {
    if !root::is_root("the_package_follows_no_link_in_the_configuration_directory") {
        return;
    }
    let debian = installed();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(source.join("packaging/debian/postinst"), debian.at("/root/postinst")).unwrap();
    debian.run(
        "install -D -m 644 /root/config/servers.example.toml \
                /usr/share/doc/ntp-monitor/examples/servers.example.toml",
    );
    for helper in ["/usr/bin/deb-systemd-helper", "/usr/bin/deb-systemd-invoke"] {
        fs::write(debian.at(helper), "#!/bin/sh\n").unwrap();
        fs::set_permissions(debian.at(helper), fs::Permissions::from_mode(0o755)).unwrap();
    }
    debian.run("chown ntp-monitor /etc/ntp-monitor && rm -f /etc/ntp-monitor/servers.toml");
    debian.run(&format!("{AS_SERVICE} ln -s /root/new /etc/ntp-monitor/servers.toml"));
    debian.run("sh /root/postinst configure");
    assert!(!debian.exists("/root/new"));
    assert_eq!(
        debian.run("stat -c '%F %U:%G %a' /etc/ntp-monitor/servers.toml"),
        "regular file root:ntp-monitor 640\n"
    );
    assert_untouched(&debian, "postinst");
}
