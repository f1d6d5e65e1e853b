//! A Debian to install into: a copy-on-write view of a fresh one (`scripts/install-dependencies.sh` makes it), or of
//! this machine where there is none. What happens in it stays in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::monitor::text;
use crate::common::root;

const FRESH: &str = "/var/cache/ntp-monitor-tests/debian";

/// A root directory, unmounted and removed when dropped.
pub struct Debian {
    // In memory: an overlay cannot lie on another one, and nothing of this need last.
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
        // No package may start anything, and no service manager be taken for this one's.
        fs::write(debian.at("/usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n").unwrap();
        debian.run("chmod 755 /usr/sbin/policy-rc.d");
        debian
    }

    /// Where its root is, seen from outside.
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

    /// A command in it, which ends with whatever it started when it is killed.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--root"]).arg(self.path());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        // The shell stays: it is the first process of the namespace, whose end is the end of all. A program that it gave
        // way to and that changed its user would not hear of the end of its parent.
        command.args(["/bin/sh", "-c", &format!("mount -t proc proc /proc && {script}; exit $?")]);
        command
    }

    /// Runs a script in it to its end, whatever that is.
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

    /// Every path below those that a package may touch, but for what dpkg keeps for itself.
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
