//! The processor time of a query in other programs, if they are installed.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::Failure;
use super::servers::Servers;

/// Queries of a peer; Python needs a fifth of a millisecond for each.
const EXCHANGES: u64 = 3000;
/// Number of servers that chronyd polls.
const CHRONYD_SERVERS: usize = 50;

/// The processor time of a query, user and system.
pub struct Cost {
    pub peer: &'static str,
    /// Absent when the peer is not installed.
    pub us: Option<f64>,
}

/// All peers, one after the other.
pub fn measure(servers: &Servers, asked: &[Ipv4Addr]) -> Result<Vec<Cost>, Failure> {
    let dir = tempfile::tempdir()?;
    let cost = |peer, us: Option<f64>| Cost { peer, us };
    Ok(vec![
        cost("peer: Go, beevik/ntp in a loop, a CSV line each", of_loop(go(dir.path()), servers, asked, dir.path())?),
        cost("peer: Python, ntplib in a loop, a CSV line each", of_loop(python(), servers, asked, dir.path())?),
        cost("peer: chronyd, each server once a second", of_chronyd(servers, asked, dir.path())?),
    ])
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
}

fn go(dir: &Path) -> Option<Vec<PathBuf>> {
    let program = dir.join("go-peer");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(".").current_dir(peers().join("go"));
    succeeds(&mut build).then(|| vec![program])
}

fn python() -> Option<Vec<PathBuf>> {
    succeeds(Command::new("python3").args(["-c", "import ntplib"]))
        .then(|| vec!["python3".into(), peers().join("loop.py")])
}

/// The cost of a query in a loop, without the cost of starting the program.
fn of_loop(
    program: Option<Vec<PathBuf>>,
    servers: &Servers,
    asked: &[Ipv4Addr],
    dir: &Path,
) -> Result<Option<f64>, Failure> {
    let Some(words) = program else { return Ok(None) };
    let addresses: Vec<String> = asked.iter().map(ToString::to_string).collect();
    let run = |exchanges: u64| -> Result<f64, Failure> {
        let before = children_us()?;
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .arg(dir.join("peer.csv"))
            .args([exchanges.to_string(), servers.port.to_string()])
            .stdin(Stdio::piped())
            .spawn()?;
        child.stdin.take().ok_or("no standard input")?.write_all(addresses.join("\n").as_bytes())?;
        if !child.wait()?.success() {
            return Err(format!("{} failed", words[0].display()).into());
        }
        Ok(children_us()? - before)
    };
    let start = run(0)?;
    Ok(Some((run(EXCHANGES)? - start) / EXCHANGES as f64))
}

fn children_us() -> Result<f64, Failure> {
    let us = |time: TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(us(usage.user_time()) + us(usage.system_time()))
}

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; a failure here leaves nothing behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The cost of a query of a chronyd that polls some servers once a second each.
fn of_chronyd(servers: &Servers, asked: &[Ipv4Addr], dir: &Path) -> Result<Option<f64>, Failure> {
    let config = dir.join("chrony.conf");
    let mut text = format!("pidfile {}/pid\nbindcmdaddress /\ncmdport 0\nport 0\n", dir.display());
    for address in asked.iter().take(CHRONYD_SERVERS) {
        text.push_str(&format!("server {address} port {} minpoll 0 maxpoll 0\n", servers.port));
    }
    std::fs::write(&config, text)?;
    let user = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?;
    let mut command = Command::new("chronyd");
    command.args(["-x", "-d", "-U", "-u", user.trim()]).arg("-f").arg(&config);
    let chronyd = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(chronyd) = chronyd.map(Running) else { return Ok(None) };
    // It starts with one server after the other, so wait until all are polled.
    std::thread::sleep(Duration::from_secs(15));
    let (requests, before) = (servers.count(), scheduled_us(chronyd.0.id())?);
    std::thread::sleep(Duration::from_secs(15));
    let polls = (servers.count() - requests) as f64;
    Ok((polls > 0.0).then_some((scheduled_us(chronyd.0.id())? - before) / polls))
}

/// How long a process of one thread has run.
fn scheduled_us(pid: u32) -> Result<f64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let ns: f64 = text.split_whitespace().next().ok_or("no time in /proc/PID/schedstat")?.parse()?;
    Ok(ns / 1e3)
}
