//! `setup.sh` and the Debian package: really installed, upgraded and removed. The installed program measures.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::monitor::{Home, Monitor, own, text};
use crate::common::root;
use crate::common::sim::Playground;
use crate::common::wait::until;
use crate::debian::Debian;
use crate::package::{package, successor};
use ntp_monitor::sim::Script;

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_ntp-monitor");

/// Runs the installed program in `debian` as its user until it has samples in its store.
#[track_caller]
fn main_job(debian: &Debian, program: &str) {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with("");
    let text = format!("[http]\nlisten = \"127.0.0.1:0\"\n[csv]\n{}", own("good", server.address()));
    let config = debian.at("/etc/ntp-monitor/servers.toml");
    let before = fs::read(&config).unwrap();
    // Written in place: owner and mode are the installer's.
    fs::write(&config, text).unwrap();
    let user = "setpriv --reuid ntp-monitor --regid ntp-monitor --clear-groups --no-new-privs --inh-caps=-all";
    let mut command = debian.command(&format!("{user} {program} --config /etc/ntp-monitor/servers.toml"));
    let mut service = Monitor::spawn(&mut command, home.path());
    service.health("samples in the store and in the files", |health| {
        ["store", "csv"].into_iter().all(|sink| health["sinks"][sink]["written"].as_u64() > Some(3))
    });
    let (_, health) = service.get("/health");
    assert_eq!(health["status"], "ok", "{health}");
    drop(service);
    // It is killed with its namespace, a moment later.
    let lock = fs::File::open(debian.at("/var/lib/ntp-monitor/ntp-monitor.db.lock")).unwrap();
    until("the end of the service", || lock.try_lock().is_ok());
    fs::write(&config, before).unwrap();
}

fn setup(arguments: &[&str]) -> Output {
    Command::new(source("setup.sh")).args(arguments).output().unwrap()
}

#[test]
fn setup_writes_below_its_root_and_a_dry_run_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    let base = ["--prefix", "/usr", "--binary", PROGRAM, "--destdir", dir.path().to_str().unwrap()];
    let dry = setup(&[&base[..], &["--dry-run"]].concat());
    assert!(dry.status.success() && text(&dry.stdout).contains("would run: install"), "{dry:?}");
    assert!(text(&dry.stderr).contains("nothing was changed") && !text(&dry.stderr).contains("done;"), "{dry:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    let done = setup(&base);
    assert!(done.status.success(), "{}", text(&done.stderr));
    for path in [
        "usr/share/man/man1/ntp-monitor-doctor.1",
        "usr/share/bash-completion/completions/ntp-monitor",
        "usr/lib/systemd/system/ntp-monitor.service",
        "usr/lib/sysusers.d/ntp-monitor.conf",
        "usr/share/ntp-monitor/health-check.sh",
        "etc/ntp-monitor/servers.toml",
        "var/lib/ntp-monitor",
    ] {
        assert!(at(path).exists(), "{path}");
    }
    let check = Command::new(at("usr/bin/ntp-monitor"))
        .args(["config", "check", "--config"])
        .arg(at("etc/ntp-monitor/servers.toml"))
        .output();
    assert!(check.unwrap().status.success());

    // Run it again, with a changed configuration.
    fs::write(at("etc/ntp-monitor/servers.toml"), "mine").unwrap();
    assert!(setup(&[&base[..], &["--upgrade"]].concat()).status.success());
    assert_eq!(fs::read_to_string(at("etc/ntp-monitor/servers.toml")).unwrap(), "mine");
    assert!(setup(&[&base[..], &["--uninstall"]].concat()).status.success());
    assert!(!at("usr/bin/ntp-monitor").exists() && !at("usr/share/ntp-monitor").exists());
    assert_eq!(fs::read_to_string(at("etc/ntp-monitor/servers.toml")).unwrap(), "mine");
    assert!(setup(&[&base[..], &["--uninstall", "--purge"]].concat()).status.success());
    assert!(!at("etc/ntp-monitor").exists() && !at("var/lib/ntp-monitor").exists());
}

#[test]
fn setup_reports_invalid_arguments_and_programs() {
    for (arguments, code, part) in [
        (&["--frobnicate"][..], 2, "there is no option '--frobnicate'"),
        (&["--prefix"], 2, "needs a value"),
        (&["--prefix", "usr"], 2, "must begin with /"),
        (&["--prefix", "/opt/two words"], 2, "letters, digits"),
        (&["--prefix", "/home/me/.local"], 2, "does not see"),
        (&["--purge"], 2, "goes with --uninstall"),
        (&["--destdir", "/nonexistent", "--upgrade"], 1, "nothing is installed"),
        (&["--destdir", "/nonexistent", "--binary", "/no/such/file"], 1, "there is no file"),
        (&["--destdir", "/nonexistent", "--binary", "/etc/passwd"], 1, "does not run on this machine"),
    ] {
        let output = setup(arguments);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.contains(part)), (Some(code), true), "{arguments:?}: {said}");
    }
    assert!(!Path::new("/nonexistent").exists());
}

#[test]
fn setup_installs_for_all_users_and_cleans_up_interruptions() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join("root").join(path);
    std::os::unix::fs::symlink(PROGRAM, dir.path().join("this-one")).unwrap();
    let script = "umask 077; \"$0\" --destdir root --binary this-one";
    let mut install = Command::new("/bin/sh");
    root::run(install.args(["-c", script]).arg(source("setup.sh")).current_dir(dir.path()));
    for path in
        ["usr/local/bin", "usr/local/share/man/man1/ntp-monitor.1", "usr/local/share/ntp-monitor/health-check.sh"]
    {
        let mode = fs::metadata(at(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o004, 0o004, "{path}: {mode:o}");
    }
    for path in ["etc/ntp-monitor", "etc/ntp-monitor/servers.toml", "var/lib/ntp-monitor"] {
        assert_eq!(fs::metadata(at(path)).unwrap().permissions().mode() & 0o007, 0, "{path}");
    }

    // Simulates a kill during the installation of the program.
    fs::rename(at("usr/local/share/ntp-monitor/manifest"), at("usr/local/share/ntp-monitor/manifest.new")).unwrap();
    fs::write(at("usr/local/bin/ntp-monitor.new"), "half").unwrap();
    let target = at("");
    assert!(setup(&["--destdir", target.to_str().unwrap(), "--uninstall"]).status.success());
    assert_eq!(fs::read_dir(at("usr/local/bin")).unwrap().count(), 0);
    assert!(!at("usr/local/share/ntp-monitor").exists());
}

/// A fake systemd: records its calls, and cannot start a program that reports that it is broken.
const SYSTEMCTL: &str = "#!/bin/sh
echo \"$@\" >>/var/log/systemctl
case $1 in restart) ! grep -q broken-on-purpose /usr/local/bin/ntp-monitor ;; esac
";

/// A version that does everything except run as a service.
const BROKEN: &str = "#!/bin/sh
# broken-on-purpose
case $1 in --version) echo ntp-monitor 9.9.9 ;; *) exec /opt/good/ntp-monitor \"$@\" ;; esac
";

fn write(debian: &Debian, path: &str, text: &str, mode: u32) {
    fs::create_dir_all(debian.at(path).parent().unwrap()).unwrap();
    fs::write(debian.at(path), text).unwrap();
    fs::set_permissions(debian.at(path), fs::Permissions::from_mode(mode)).unwrap();
}

/// `setup.sh` with what it needs.
fn copy_setup(debian: &Debian) {
    for part in ["setup.sh", "scripts", "systemd", "config"] {
        root::run(Command::new("cp").arg("-R").arg(source(part)).arg(debian.at("/root/")));
    }
}

/// A Debian with `setup.sh`, what it needs, and a good and a bad program to install.
pub fn prepared() -> Debian {
    let debian = Debian::fresh();
    write(&debian, "/usr/bin/systemctl", SYSTEMCTL, 0o755);
    write(&debian, "/opt/bad/ntp-monitor", BROKEN, 0o755);
    copy_setup(&debian);
    fs::create_dir(debian.at("/opt/good")).unwrap();
    fs::copy(PROGRAM, debian.at("/opt/good/ntp-monitor")).unwrap();
    debian
}

#[test]
fn setup_installs_migrates_rolls_back_and_uninstalls() {
    if !root::is_root("setup_installs_migrates_rolls_back_and_uninstalls") {
        return;
    }
    let debian = prepared();
    let write = |path: &str, text: &str, mode| write(&debian, path, text, mode);
    fs::create_dir_all(debian.at("/run/systemd/system")).unwrap();
    write(
        "/opt/ntp-monitor/.env",
        "# of the predecessor\nNTP_SERVER=\"127.0.0.1, 192.0.2.7\"\nexport POLLING_INTERVAL=30.0\nLOG_LEVEL=DEBUG\n\
         INFLUX_URL=http://127.0.0.1:8086\nINFLUX_TOKEN='s3cr\"et'\nINFLUX_ORG=\"my org\"\nINFLUX_BUCKET=ntp\n",
        0o600,
    );
    write("/etc/systemd/system/ntp-monitor.service", "[Service]\nExecStart=/opt/ntp-monitor/main.py\n", 0o644);
    let before = debian.inventory();

    debian.run("/root/setup.sh --binary /opt/good/ntp-monitor");
    let config = fs::read_to_string(debian.at("/etc/ntp-monitor/servers.toml")).unwrap();
    for part in ["\"30s\"", "level = \"debug\"", "address = \"127.0.0.1\"", "address = \"192.0.2.7\"", "\"my org\""] {
        assert!(config.contains(part), "{part}: {config}");
    }
    assert!(!config.contains("s3cr"), "{config}");
    assert_eq!(fs::read_to_string(debian.at("/etc/ntp-monitor/influxdb-token")).unwrap(), "s3cr\"et\n");
    assert_eq!(
        debian.run(
            "stat -c '%U:%G %a' /etc/ntp-monitor/servers.toml /etc/ntp-monitor/influxdb-token /var/lib/ntp-monitor"
        ),
        "root:ntp-monitor 640\nroot:ntp-monitor 640\nntp-monitor:ntp-monitor 750\n"
    );
    assert!(debian.exists("/etc/systemd/system/ntp-monitor.service.predecessor"));
    let told = fs::read_to_string(debian.at("/var/log/systemctl")).unwrap();
    assert!(told.contains("enable ntp-monitor.service") && told.contains("restart ntp-monitor.service"), "{told}");
    main_job(&debian, "/usr/local/bin/ntp-monitor");

    // A second run changes nothing, and a version that does not start is rolled back together with the store.
    let installed = debian.inventory();
    debian.run("/root/setup.sh --binary /opt/good/ntp-monitor");
    assert_eq!(debian.inventory(), installed);
    let samples = |debian: &Debian| {
        debian.run("ntp-monitor store check --store /var/lib/ntp-monitor/ntp-monitor.db | grep ' samples$'")
    };
    let kept = samples(&debian);
    let failed = debian.attempt("/root/setup.sh --upgrade --binary /opt/bad/ntp-monitor");
    assert!(!failed.status.success() && text(&failed.stderr).contains("the earlier version is back and runs"));
    assert!(debian.run("/usr/local/bin/ntp-monitor --version").contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(samples(&debian), kept);
    main_job(&debian, "/usr/local/bin/ntp-monitor");

    // A configuration that the new version rejects stops the upgrade before anything is changed.
    debian.run("cp /etc/ntp-monitor/servers.toml /root/saved && echo nonsense >>/etc/ntp-monitor/servers.toml");
    let refused = debian.attempt("/root/setup.sh --upgrade --binary /opt/good/ntp-monitor");
    assert!(!refused.status.success() && text(&refused.stderr).contains("does not take the configuration"));

    debian.run("/root/setup.sh --uninstall --purge && rm /root/saved");
    fs::remove_file(debian.at("/etc/systemd/system/ntp-monitor.service.predecessor")).unwrap();
    write("/etc/systemd/system/ntp-monitor.service", "", 0o644);
    let directories_apart = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !debian.at(line).is_dir() || line.contains("ntp-monitor"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(directories_apart(&debian.inventory()), directories_apart(&before));
    assert!(!debian.run("getent passwd ntp-monitor || echo nobody").contains("ntp-monitor"));
}

#[test]
fn setup_keeps_other_settings_and_reports_conflicts() {
    if !root::is_root("setup_keeps_other_settings_and_reports_conflicts") {
        return;
    }
    let debian = prepared();
    let write = |path: &str, text: &str, mode| write(&debian, path, text, mode);
    let install = "/root/setup.sh --binary /opt/good/ntp-monitor";
    let refused = |script: &str| {
        let output = debian.attempt(script);
        assert!(!output.status.success(), "{script}");
        text(&output.stderr)
    };

    // If a directory is not writable, nothing is started.
    let said = refused(&format!("mount --bind /usr /usr && mount -o remount,bind,ro /usr && {install}"));
    assert!(said.contains("/usr/local/bin cannot be written"), "{said}");
    let unit = "/etc/systemd/system/ntp-monitor.service";
    write(unit, "[Service]\nExecStart=/opt/other/bin/ntp-monitor --config x\n", 0o644);
    let said = refused(install);
    assert!(said.contains("would hide the unit"), "{said}");
    assert!(!debian.exists("/etc/ntp-monitor") && !debian.exists("/usr/local/bin/ntp-monitor"));
    fs::remove_file(debian.at(unit)).unwrap();

    // A group whose user was deleted, no systemd, and a store at another place.
    let config =
        "[monitor]\ndata_dir = \"/srv/ntp\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[server]]\naddress = \"127.0.0.1\"\n";
    write("/etc/ntp-monitor/servers.toml", config, 0o640);
    debian.run("groupadd --system ntp-monitor");
    assert!(debian.run(install).contains("as its user: runuser -u ntp-monitor"));
    debian.run(
        "install -d -o ntp-monitor /srv/ntp; setpriv --reuid ntp-monitor --regid ntp-monitor --clear-groups \
         /usr/local/bin/ntp-monitor --config /etc/ntp-monitor/servers.toml & service=$!; \
         timeout 60 sh -c 'until [ -s /srv/ntp/ntp-monitor.db ]; do sleep 0.1; done' && kill $service && wait $service",
    );
    // As systemd/examples/edit-configuration.conf says.
    debian.run("chown ntp-monitor /etc/ntp-monitor /etc/ntp-monitor/servers.toml");
    fs::create_dir_all(debian.at("/run/systemd/system")).unwrap();
    let said = refused("/root/setup.sh --upgrade --binary /opt/bad/ntp-monitor");
    assert!(said.contains("the earlier version is back and runs"), "{said}");
    let kept = debian.run("ls /srv/ntp");
    assert!(kept.lines().any(|name| name.starts_with("ntp-monitor.db.before-1")), "{kept}");
    assert_eq!(
        debian.run("stat -c '%U:%G' /etc/ntp-monitor /etc/ntp-monitor/servers.toml"),
        "ntp-monitor:ntp-monitor\nntp-monitor:ntp-monitor\n"
    );
    assert_eq!(fs::read_to_string(debian.at("/etc/ntp-monitor/servers.toml")).unwrap(), config);
}

#[test]
fn debian_package_installs_upgrades_removes_and_purges() {
    if !root::is_root("debian_package_installs_upgrades_removes_and_purges") {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let debian = Debian::fresh();
    let first = package(out.path(), "0.0.1-1");
    let lintian = Command::new("lintian").arg("--fail-on=error,warning").arg(&first).output().unwrap();
    assert!(lintian.status.success(), "{}", text(&lintian.stdout));
    let install = [&first, &successor(&first, "0.0.2-1")].map(|package| {
        let name = package.file_name().unwrap().to_str().unwrap();
        fs::copy(package, debian.at("/root").join(name)).unwrap();
        format!("dpkg -i /root/{name}")
    });
    let before = debian.inventory();
    debian.run(&install[0]);
    assert_eq!(
        debian.run("stat -c '%U:%G %a' /etc/ntp-monitor/servers.toml /etc/ntp-monitor /var/lib/ntp-monitor"),
        "root:ntp-monitor 640\nroot:ntp-monitor 750\nntp-monitor:ntp-monitor 750\n"
    );
    main_job(&debian, "/usr/bin/ntp-monitor");
    debian.run("echo '# mine' >>/etc/ntp-monitor/servers.toml");
    debian.run(&install[1]);
    let mine = |debian: &Debian| debian.run("tail -n 1 /etc/ntp-monitor/servers.toml") == "# mine\n";
    assert!(mine(&debian) && debian.run("dpkg -s ntp-monitor").contains("Version: 0.0.2-1"));
    main_job(&debian, "/usr/bin/ntp-monitor");

    debian.run("dpkg -r ntp-monitor");
    assert!(!debian.exists("/usr/bin/ntp-monitor") && mine(&debian));
    assert!(debian.exists("/var/lib/ntp-monitor/ntp-monitor.db"));
    debian.run(&install[1]);
    main_job(&debian, "/usr/bin/ntp-monitor");
    debian.run("dpkg -P ntp-monitor");
    assert_eq!(debian.inventory(), before);
    assert!(!debian.run("getent passwd ntp-monitor || echo nobody").contains("ntp-monitor"));
    debian.run(&install[0]);
    beside_what_setup_installed(&debian, &install[1]);
}

/// The package reports that another unit hides its own, and that unit can be removed without loss.
#[track_caller]
fn beside_what_setup_installed(debian: &Debian, install: &str) {
    copy_setup(debian);
    let setup = "/root/setup.sh --binary /usr/bin/ntp-monitor";
    let refused = debian.attempt(setup);
    assert!(!refused.status.success() && text(&refused.stderr).contains("apt-get remove"), "{refused:?}");
    // Simulates that it was installed first.
    debian.run("mv /var/lib/dpkg/status /root/status && touch /var/lib/dpkg/status");
    debian.run(setup);
    debian.run("mv /root/status /var/lib/dpkg/status");
    assert!(debian.run(install).contains("setup.sh --uninstall removes it"));
    assert!(!debian.attempt("/root/setup.sh --uninstall --purge").status.success());
    debian.run("/root/setup.sh --uninstall");
    assert!(!debian.exists("/usr/local/bin/ntp-monitor") && debian.exists("/usr/bin/ntp-monitor"));
}

#[test]
fn release_archive_has_files_checksums_and_sbom() {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(source("scripts/package.sh"));
    root::run(command.args(["dist", "dev"]).current_dir(source("")).env("PACKAGE_DIR", out.path()));
    let name = format!("ntp-monitor-{}-{}-linux", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let sums = format!("{name}.sha256");
    root::run(Command::new("sha256sum").args(["--check", "--strict", &sums]).current_dir(out.path()));
    let listing = Command::new("tar").args(["tf", &format!("{name}.tar.gz")]).current_dir(out.path()).output().unwrap();
    for part in ["grafana/dashboards/influxdb/overview.json", "prometheus/ntp-monitor.alerts.yaml", "influxdb/setup.sh"]
    {
        assert!(text(&listing.stdout).contains(&format!("{name}/{part}\n")), "{part}");
    }
    let bill: serde_json::Value =
        serde_json::from_slice(&fs::read(out.path().join(format!("{name}.cdx.json"))).unwrap()).unwrap();
    let parts: Vec<&str> = bill["components"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
    assert!(parts.contains(&"rusqlite") && !parts.contains(&"proptest"), "{parts:?}");
    assert!(bill["components"].as_array().unwrap().iter().all(|part| part["licenses"].is_array()));

    root::run(Command::new("tar").args(["xf", &format!("{name}.tar.gz")]).current_dir(out.path()));
    let target = out.path().join("target");
    let mut setup = Command::new(out.path().join(&name).join("setup.sh"));
    root::run(setup.arg("--destdir").arg(&target));
    let version = Command::new(target.join("usr/local/bin/ntp-monitor")).arg("--version").output().unwrap();
    assert!(text(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
}
