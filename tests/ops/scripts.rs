//! The scripts that install the tools for tests, and that run tests.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::monitor::text;
use crate::common::root;
use crate::debian::Debian;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}

/// Ignores SIGTERM, as does its child, which holds the same standard output.
const HANGING: &str = "trap '' TERM; (sleep 30; echo survived) & echo started; wait";

fn run_test_program(seconds: &str, program: &str) -> Child {
    let mut command = Command::new(script("run-test-program.sh"));
    command.env("TEST_PROGRAM_SECONDS", seconds).args(["sh", "-c", program]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_test_program_that_hangs_is_killed_with_its_children() {
    let output = run_test_program("1", HANGING).wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(137), "started\n"));
    assert!(text(&output.stderr).contains("its limit of 1 s"), "{}", text(&output.stderr));
}

#[test]
fn a_test_program_that_is_interrupted_ends_with_its_children() {
    let mut running = run_test_program("100", HANGING);
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "started");
    kill(Pid::from_raw(running.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(lines.next().is_none(), "nothing of it is left that could write");
    assert_eq!(running.wait().unwrap().code(), Some(130));
}

#[test]
fn a_test_program_that_ends_in_time_keeps_its_exit_status() {
    for code in [0, 101] {
        let output = run_test_program("100", &format!("exit {code}")).wait_with_output().unwrap();
        assert_eq!(output.status.into_raw() >> 8, code);
        assert_eq!(text(&output.stderr), "");
    }
}

/// A fake apt-get that would have to remove another time service to install chrony.
const APT_GET: &str = "#!/bin/sh
echo \"$*\" >>/var/log/apt-get
case \"$*\" in
*--simulate*) echo 'Remv systemd-timesyncd [252]' ;;
*download*) cp /root/chrony_1_all.deb . ;;
*install*chrony*) exit 100 ;;
esac
";

/// A Debian with that apt-get, the script, and chrony's package with empty programs.
fn with_another_time_service() -> Debian {
    let debian = Debian::fresh();
    let write = |path: &str, text: &str| {
        fs::create_dir_all(debian.at(path).parent().unwrap()).unwrap();
        fs::write(debian.at(path), text).unwrap();
        fs::set_permissions(debian.at(path), fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("/usr/bin/apt-get", APT_GET);
    // Programs from crates.io are already installed.
    write("/usr/local/bin/cargo", "#!/bin/sh\n");
    write("/root/scripts/install-dependencies.sh", &fs::read_to_string(script("install-dependencies.sh")).unwrap());
    for program in ["/root/tree/usr/sbin/chronyd", "/root/tree/usr/bin/chronyc"] {
        write(program, "#!/bin/sh\n");
    }
    let control = "Package: chrony\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.net>\nDescription: a\n\
                   Depends: adduser, libc6 (>= 2.34), libnettle8\n";
    write("/root/tree/DEBIAN/control", control);
    debian.run("rm -f /usr/sbin/chronyd /usr/local/sbin/chronyd && dpkg-deb -b /root/tree /root/chrony_1_all.deb");
    debian
}

#[test]
fn chrony_is_unpacked_where_another_time_service_stays() {
    if !root::is_root("chrony_is_unpacked_where_another_time_service_stays") {
        return;
    }
    let debian = with_another_time_service();
    let install = "NTP_MONITOR_FRESH_DEBIAN=/ /root/scripts/install-dependencies.sh build test";
    let said = debian.run(install);
    assert!(said.contains("another time service is installed and stays"), "{said}");
    debian.run("/usr/local/sbin/chronyd && /usr/local/bin/chronyc && test ! -e /usr/sbin/chronyd");
    let calls = debian.run("cat /var/log/apt-get");
    let installs = |package: &str| {
        let of_it = |line: &&str| line.contains(" install") && line.split(' ').any(|word| word == package);
        calls.lines().filter(of_it).filter(|line| !line.contains("--simulate")).count()
    };
    assert_eq!((installs("chrony"), installs("adduser")), (0, 0), "{calls}");
    assert!(installs("libnettle8") > 0 && installs("prometheus") > 0, "{calls}");
    // A second run finds chronyd.
    debian.run(&format!("rm /var/log/apt-get; {install}"));
    assert!(!debian.run("cat /var/log/apt-get").contains("chrony"));
}
