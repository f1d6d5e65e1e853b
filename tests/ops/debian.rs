//! A Debian for installation tests: a copy-on-write view of a fresh one (`scripts/install-dependencies.sh` creates it),
//! or of this machine if there is none. Changes are discarded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::monitor::text;
use crate::common::root;

const FRESH: &str = "/var/cache/ntp-monitor-tests/debian";

/// A root directory, unmounted and removed when dropped.
pub struct Debian {
    // In memory, because an overlay cannot be stacked on another one, and the data is temporary.
    layers: tempfile::TempDir,
}

impl Debian {
    /// # Panics
    /// When this process may not mount.
    pub fn fresh() -> Self {
        let layers = tempfile::tempdir().unwrap();
        let at = layers.path();
        root::run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1g", "none"]).arg(at));
        let debian = Self { layers };
        let at = debian.layers.path();
        for dir in ["upper", "work", "root"] {
            fs::create_dir(at.join(dir)).unwrap();
        }
        let path = std::env::var_os("NTP_MONITOR_FRESH_DEBIAN").unwrap_or_else(|| FRESH.into());
        let lower = if Path::new(&path).is_dir() { PathBuf::from(path) } else { PathBuf::from("/") };
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            at.join("upper").display(),
            at.join("work").display()
        );
        root::run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(debian.path()));
        // No package may start a service, and the service manager of the host must not be detected.
        fs::write(debian.at("/usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n").unwrap();
        debian.run("chmod 755 /usr/sbin/policy-rc.d");
        debian
    }

    /// Its root directory, seen from outside.
    pub fn path(&self) -> PathBuf {
        self.layers.path().join("root")
    }

    /// A path in it, seen from outside.
    pub fn at(&self, path: &str) -> PathBuf {
        self.path().join(path.trim_start_matches('/'))
    }

    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.at(path)).is_ok()
    }

    /// A command in it. When it is killed, all processes that it started end too.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--root"]).arg(self.path());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        // The shell stays as the first process of the namespace, whose end kills all others. A program that replaced it
        // and changed its user would not be notified of the end of its parent.
        command.args(["/bin/sh", "-c", &format!("mount -t proc proc /proc && {script}; exit $?")]);
        command
    }

    /// Runs a script in it, which may fail.
    pub fn attempt(&self, script: &str) -> Output {
        self.command(script).output().unwrap()
    }

    /// Runs a script in it, and returns what it wrote to both outputs.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let output = self.attempt(script);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{script}: {said}");
        said
    }

    /// Every path below those that a package may change, except dpkg's own files.
    pub fn inventory(&self) -> String {
        self.run(
            "find /etc /opt /usr /var -xdev ! -path '/var/lib/dpkg/*' ! -path '/var/log/*' ! -path '/var/cache/*' \
             ! -path '/var/lib/systemd/*' ! -name '*-' ! -path /var/lib/dpkg ! -path '/etc/.pwd.lock' | sort",
        )
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        // Lazily: a process of a failed test may still be in there.
        for mount in [self.path(), self.layers.path().to_owned()] {
            let _ = Command::new("umount").arg("-l").arg(mount).status();
        }
    }
}
