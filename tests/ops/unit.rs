//! The files in `systemd/`: valid and hardened; the program works under their restrictions.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::chronyd::Chronyd;
use crate::common::monitor::{Home, Monitor, text};
use crate::common::root;
use crate::common::victoria::Victoria;
use ntp_monitor_core::sample::{Outcome, Timestamping};

const NOBODY: u32 = 65534;

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The output of systemd's programs for a command line.
#[track_caller]
fn analyze(command: &mut Command) -> String {
    let output = command.output().expect("systemd-analyze is installed (apt-get install systemd)");
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// A root directory with the units and the files that they name.
fn image() -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    let units = image.path().join("etc/systemd/system");
    let targets = image.path().join("usr/lib/systemd/system");
    for dir in [&units, &targets, &image.path().join("usr/bin"), &image.path().join("bin")] {
        fs::create_dir_all(dir).unwrap();
    }
    for name in ["usr/bin/ntp-monitor", "bin/sh"] {
        fs::write(image.path().join(name), "#!/bin/sh\n").unwrap();
        fs::set_permissions(image.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in ["ntp-monitor.service", "ntp-monitor.socket", "examples/ntp-monitor-failed@.service"] {
        let path = source("systemd").join(name);
        fs::copy(&path, units.join(path.file_name().unwrap())).unwrap();
    }
    for name in ["sysinit", "basic", "network", "nss-lookup", "multi-user", "shutdown", "sockets"] {
        fs::write(targets.join(format!("{name}.target")), "[Unit]\nDescription=a target\n").unwrap();
    }
    image
}

#[test]
fn units_are_valid_also_with_every_example_as_a_drop_in() {
    let image = image();
    let units = image.path().join("etc/systemd/system");
    let verify = || {
        let mut command = Command::new("systemd-analyze");
        command.arg("verify").arg("--man=no").arg(format!("--root={}", image.path().display()));
        command
            .args(["ntp-monitor.service", "ntp-monitor.socket", "ntp-monitor-failed@x.service"].map(|u| units.join(u)));
        analyze(&mut command)
    };
    assert_eq!(verify(), "");
    let drop_ins = units.join("ntp-monitor.service.d");
    fs::create_dir(&drop_ins).unwrap();
    for entry in fs::read_dir(source("systemd/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            fs::copy(&path, drop_ins.join(path.file_name().unwrap())).unwrap();
        }
    }
    assert_eq!(verify(), "");
}

#[test]
fn exposure_of_the_service_is_minimal() {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager"]).arg(source("systemd/ntp-monitor.service"));
    let said = analyze(&mut command);
    let last = said.lines().rev().find(|line| line.contains("Overall exposure level")).unwrap();
    let level: f64 = last.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!(level <= 1.5, "{said}");
}

/// The restrictions of the unit without systemd: its user, no capabilities, its system calls and address families,
/// everything read-only except the state.
struct Sandbox {
    dir: tempfile::TempDir,
    bwrap: String,
}

impl Sandbox {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let state = dir.path().join("state");
        fs::create_dir(&state).unwrap();
        chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
        // Other users may not have access to the build directory.
        fs::copy(env!("CARGO_BIN_EXE_ntp-monitor"), dir.path().join("ntp-monitor")).unwrap();
        let mut compile = Command::new("/usr/bin/python3");
        compile.arg(source("tests/ops/filter.py")).arg(source("systemd/ntp-monitor.service"));
        root::run(compile.arg(dir.path().join("filter.bpf")));
        let script = "exec 9<\"$0/filter.bpf\"; exec setpriv --reuid 65534 --regid 65534 --clear-groups \
            --bounding-set=-all --inh-caps=-all --no-new-privs bwrap --unshare-user --unshare-ipc --unshare-uts \
            --new-session --die-with-parent --ro-bind / / --dev /dev --proc /proc --tmpfs /run --tmpfs /home \
            --bind \"$0/state\" \"$0/state\" --seccomp 9 -- \"$@\"";
        Self { dir, bwrap: script.to_owned() }
    }

    /// `program` within the limits, or without any for comparison.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["-c", &self.bwrap]);
        command.arg(self.dir.path()).arg(program);
        command
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }
}

const FORBIDDEN: &str = "\
import ctypes, mmap, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def refused(what, call):
    try:
        if call() >= 0: sys.exit(what + ' is allowed')
    except OSError: pass
refused('netlink', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).fileno())
refused('the clock', lambda: libc.adjtimex(ctypes.create_string_buffer(1024)))
refused('a namespace', lambda: libc.unshare(0x40000000))
refused('memory to write and execute', lambda: mmap.mmap(-1, 4096, prot=7).size())
refused('a file elsewhere', lambda: os.open('/etc/ntp-monitor-was-here', os.O_CREAT | os.O_WRONLY))
print('all refused')
";

#[test]
fn unit_limits_allow_polling_with_kernel_timestamps() {
    if !root::is_root("unit_limits_allow_polling_with_kernel_timestamps") {
        return;
    }
    let sandbox = Sandbox::new();
    // Check that the restrictions work.
    let tried = sandbox.command("/usr/bin/python3").args(["-c", FORBIDDEN]).output().unwrap();
    assert_eq!(text(&tried.stdout), "all refused\n", "{}", text(&tried.stderr));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = listener.local_addr().unwrap();
    let (chronyd, victoria) = (Chronyd::start("127.0.0.1"), Victoria::start());
    let home = Home::with("");
    let state = sandbox.state();
    let config = sandbox.dir.path().join("servers.toml");
    fs::write(
        &config,
        format!(
            "[monitor]\nvantage = \"sandbox\"\ndata_dir = {state:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[csv]\n\
             [influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"t\"\nflush_interval = \"1s\"\n\
             [[notifier]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"http://{hook}/\"\n\
             [[server]]\nname = \"chronyd\"\naddress = \"{}\"\nown = true\npoll_interval = \"200ms\"\n\
             [[server]]\nname = \"by-name\"\naddress = \"localhost:9\"\nown = true\npoll_interval = \"200ms\"\n",
            victoria.url(),
            chronyd.address,
        ),
    )
    .unwrap();
    let program = sandbox.dir.path().join("ntp-monitor");
    let mut command = sandbox.command(program.to_str().unwrap());
    let mut service = Monitor::spawn(command.arg("--config").arg(&config), home.path());
    service.health("samples in every output", |health| {
        let written = |sink: &str| health["sinks"][sink]["written"].as_u64() > Some(3);
        ["store", "csv", "influxdb"].into_iter().all(written)
    });
    let samples = crate::common::rows::csv_so_far(&state.join("csv"));
    let measured: Vec<_> = samples.iter().filter(|sample| sample.outcome == Outcome::Sample).collect();
    assert!(!measured.is_empty());
    assert!(measured.iter().all(|sample| sample.timestamping == Some(Timestamping::Kernel)), "{measured:?}");
    assert!(!service.log().contains("ermitted"), "{}", service.log());
    drop(service);

    // The receivers of notifications can be reached too.
    let receiver = std::thread::spawn(move || answer_once(&listener));
    let mut tell = sandbox.command(program.to_str().unwrap());
    root::run(tell.arg("--config").arg(&config).args(["notify", "test", "hook"]));
    assert!(receiver.join().unwrap().starts_with("POST / "));
}

/// Receives one request, answers with success, and returns it.
fn answer_once(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    let mut is_whole = false;
    while !is_whole {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).unwrap();
        request.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&request);
        is_whole = length == 0
            || text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                body.len() >= length.unwrap_or(0)
            });
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    String::from_utf8(request).unwrap()
}
