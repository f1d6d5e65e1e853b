//! A machine with a real systemd: a [`Debian`] booted in a container that has its own processes, cgroups and network.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::monitor::text;
use crate::common::wait::{PATIENCE, find, until};
use crate::debian::Debian;

/// Each machine starts in its own cgroup in every tree that systemd may use; in a shared one, machines would confuse
/// their services. `$0` is the name of the machine, `$1` its root. The systemd of the host is not used, because it does
/// not know the process numbers of this namespace. The container may read the state of the clock but has no capability
/// to set it.
const BOOT: &str = "\
for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -e \"$tree/cgroup.procs\" ] || continue
    mkdir \"$tree/$0\" && echo $$ >\"$tree/$0/cgroup.procs\" || exit
done
exec systemd-nspawn --quiet --register=no --keep-unit --machine=\"$0\" --private-network --link-journal=no \
    --system-call-filter=adjtimex --system-call-filter=clock_adjtime \
    --console=pipe --directory=\"$1\" --boot";

/// Units that a container without a terminal and devices does not need.
const IDLE: [&str; 6] = [
    "console-getty.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
];

/// A running machine; it is powered off when dropped.
pub struct Machine {
    pub debian: Debian,
    name: String,
    container: Child,
}

impl Machine {
    /// Boots `debian` and waits until its systemd has started everything.
    ///
    /// # Panics
    /// When there is no systemd in it, or nothing to boot it with.
    pub fn boot(debian: Debian) -> Self {
        assert!(
            debian.exists("/lib/systemd/systemd"),
            "no systemd in the fresh Debian: run scripts/install-dependencies.sh test to create it"
        );
        for unit in IDLE {
            debian.run(&format!("ln -sf /dev/null /etc/systemd/system/{unit}"));
        }
        // Packages may start their services, which end with the machine.
        debian.run("rm -f /usr/sbin/policy-rc.d && truncate -s 0 /etc/machine-id");
        let name = format!("ntp-monitor-test-{:08x}", rand::random::<u32>());
        // Its processes may survive systemd-nspawn, but not the namespace whose first process it is.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--mount-proc", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", BOOT, &name]);
        command.arg(debian.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let mut machine = Self { container: command.spawn().unwrap(), debian, name };
        until("the end of the start of the machine", || {
            let ended = machine.container.try_wait().unwrap();
            assert_eq!(ended, None, "the container ended before its systemd had started everything");
            let state = machine.init().map(|_| machine.attempt("systemctl is-system-running"));
            state.is_some_and(|state| ["running\n", "degraded\n"].contains(&text(&state.stdout).as_str()))
        });
        machine
    }

    /// Its first process, seen from outside. It changes while the container is being set up.
    fn init(&self) -> Option<u32> {
        let child = only_child(only_child(self.container.id())?)?;
        (std::fs::read_to_string(format!("/proc/{child}/comm")).ok()? == "systemd\n").then_some(child)
    }

    /// The process in whose network its programs are.
    pub fn network(&self) -> u32 {
        find("the first process of the machine", || self.init())
    }

    fn enter(&self, what: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init().unwrap_or(0).to_string()]).args(what);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Runs a script on the machine, which may fail.
    pub fn attempt(&self, script: &str) -> Output {
        let mut command = self.enter(&["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]);
        command.args(["/bin/sh", "-c", script]).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a script on the machine, and returns what it wrote to both outputs.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let output = self.attempt(script);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{script}: {said}\n{}", self.journal());
        said
    }

    /// Sends a request to the service with the host's curl in the machine's network; returns an empty text on failure.
    pub fn curl(&self, arguments: &[&str]) -> String {
        let mut command = self.enter(&["--net", "curl", "--silent", "--max-time", "20"]);
        text(&command.args(arguments).output().unwrap().stdout)
    }

    /// A property of the service, as systemd sees it.
    pub fn property(&self, name: &str) -> String {
        self.run(&format!("systemctl show --property={name} --value ntp-monitor.service")).trim_end().to_owned()
    }

    /// Waits until a property of the service has this value.
    #[track_caller]
    pub fn awaits(&self, name: &str, wanted: impl Fn(&str) -> bool) -> String {
        find(&format!("{name} as wanted"), || Some(self.property(name)).filter(|value| wanted(value)))
    }

    /// All that the service and systemd wrote of it.
    pub fn journal(&self) -> String {
        text(&self.attempt("journalctl --quiet --no-pager -u ntp-monitor.service").stdout)
    }
}

fn only_child(process: u32) -> Option<u32> {
    std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?.trim().parse().ok()
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Killing the container ends its first process, and so all others.
        let _ = self.container.kill();
        let _ = self.container.wait();
        for tree in ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"] {
            remove_cgroup(&Path::new(tree).join(&self.name));
        }
    }
}

/// Removes a cgroup with its children, as soon as they are empty.
fn remove_cgroup(path: &Path) {
    let Ok(entries) = std::fs::read_dir(path) else { return };
    entries.flatten().filter(|entry| entry.path().is_dir()).for_each(|entry| remove_cgroup(&entry.path()));
    let deadline = Instant::now() + PATIENCE;
    while std::fs::remove_dir(path).is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
}
