//! The real program in a separate process, and its resources according to the kernel.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::servers::Servers;
use super::{Failure, Setting};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ntp-monitor");
/// The kernel shows processor time in ticks of USER_HZ, 100 a second on every Linux.
const TICK_MS: u64 = 10;

/// The running program; killed and reaped when dropped.
pub struct Program {
    child: Child,
    pub started: Instant,
    dir: PathBuf,
}

/// The resources that a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    /// User and system, in steps of 10 ms.
    pub cpu: Duration,
    /// Waits of all threads that still run; each ends with a wake-up.
    pub waits: u64,
    /// Bytes that reached the disk, and those passed to the system.
    pub stored: u64,
    pub written: u64,
}

impl Program {
    pub fn start(servers: &Servers, asked: &[Ipv4Addr], poll: &str, dir: &Path) -> Result<Self, Failure> {
        Self::with(&write_config(servers, asked, poll, dir)?, dir)
    }

    /// Starts it with the configuration at `config`, whose data directory is `dir`.
    pub fn with(config: &Path, dir: &Path) -> Result<Self, Failure> {
        let log = std::fs::File::create(dir.join("log"))?;
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let started = Instant::now();
        Ok(Self { child: command.spawn()?, started, dir: dir.to_owned() })
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn proc(&self, name: &str) -> std::io::Result<String> {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id()))
    }

    pub fn used(&self) -> Result<Used, Failure> {
        let stat = self.proc("stat")?;
        // The name, which may contain anything, ends at the last parenthesis; times are fields 14 and 15.
        let (_, fields) = stat.rsplit_once(')').ok_or("unknown form of /proc/PID/stat")?;
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
        let io = self.proc("io")?;
        let mut waits = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may have ended.
            let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            waits += field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(Used {
            cpu: Duration::from_millis(ticks * TICK_MS),
            waits,
            stored: field(&io, "write_bytes:").ok_or("no write_bytes in /proc/PID/io")?,
            written: field(&io, "wchar:").ok_or("no wchar in /proc/PID/io")?,
        })
    }

    /// Current and maximum resident memory, in MB.
    pub fn memory_mb(&self) -> Result<[f64; 2], Failure> {
        let status = self.proc("status")?;
        let mb = |name| field(&status, name).map(|kb| kb as f64 * 1024.0 / 1e6).ok_or("no memory in /proc/PID/status");
        Ok([mb("VmRSS:")?, mb("VmHWM:")?])
    }

    pub fn descriptors(&self) -> Result<usize, Failure> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// The sizes of the store, of its log, and of the CSV files, in bytes.
    pub fn files(&self) -> [u64; 3] {
        let size = |name: &str| std::fs::metadata(self.dir.join(name)).map_or(0, |file| file.len());
        let csv = std::fs::read_dir(self.dir.join("csv")).into_iter().flatten().flatten();
        let csv = csv.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
        [size("ntp-monitor.db"), size("ntp-monitor.db-wal"), csv]
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; a failure here leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn write_config(servers: &Servers, asked: &[Ipv4Addr], poll: &str, dir: &Path) -> std::io::Result<PathBuf> {
    Setting { data_dir: dir, servers: asked, port: servers.port, own: false, poll, more: "" }.write()
}

/// The first number of a line of a file in `/proc`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
