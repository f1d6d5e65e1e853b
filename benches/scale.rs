//! What many servers, and few, cost the real program: processor time, memory, start, and reload.
//!
//! `cargo bench --bench scale`; takes about four minutes. The program runs as a process of its own; the servers that it
//! polls live in this one. Goals, 10,000 servers at 16 s: at most 5 % of a core and 150 MB, 0.5 s to the first sample,
//! a reload within 2 s that disturbs nobody; 10 servers at 64 s: at most 20 MB.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

mod support;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::servers::Servers;
use support::{Setting, addresses};

type Failure = Box<dyn std::error::Error>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ntp-monitor");
const MANY: usize = 10_000;
/// How many of them a reload moves to another address.
const MOVED: usize = 100;
const POLL: Duration = Duration::from_secs(16);
/// Polls are spread over up to a sixteenth more than the interval.
const LONGEST_GAP: Duration = Duration::from_secs(17);
const SPAN: Duration = Duration::from_secs(60);
/// The kernel shows processor time in ticks of USER_HZ, 100 a second on every Linux.
const TICK_MS: u64 = 10;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only wants to know that it builds and starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let servers = Servers::start()?;
    few(&servers)?;
    many(&servers)
}

fn few(servers: &Servers) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let program = Program::start(servers, &addresses(9, 10), "64s", dir.path())?;
    let first = program.first_request(servers, 0)?;
    std::thread::sleep(Duration::from_secs(10));
    let before = program.cpu()?;
    std::thread::sleep(SPAN);
    println!("10 servers at 64 s");
    say("from start to the first sample", &millis(first), "");
    say("processor time over a minute", &share(program.cpu()? - before, SPAN), "none measurable");
    program.say_memory("20 MB")
}

fn many(servers: &Servers) -> Result<(), Failure> {
    println!("{MANY} servers at {} s", POLL.as_secs());
    let dir = tempfile::tempdir()?;
    let mut asked = addresses(1, MANY);
    let program = Program::start(servers, &asked, "16s", dir.path())?;
    let first = program.first_request(servers, servers.count())?;
    say("from start to the first sample", &millis(first), "500 ms");
    std::thread::sleep(POLL * 2);

    let (cpu, requests) = (program.cpu()?, servers.count());
    std::thread::sleep(SPAN);
    say("processor time over a minute", &share(program.cpu()? - cpu, SPAN), "5.00 %");
    let polls = (servers.count() - requests) as f64;
    say("polls in that minute", &format!("{polls:.0}"), "");
    say("processor time of a poll", &format!("{:.1} µs", (program.cpu()? - cpu).as_secs_f64() * 1e6 / polls), "60 µs");
    program.say_memory("150 MB")?;
    say_gaps("longest pause of a server beyond interval and jitter", &servers.arrivals(requests), &asked);

    let requests = servers.count();
    asked[..MOVED].copy_from_slice(&addresses(2, MOVED));
    write_config(servers, &asked, "16s", dir.path())?;
    let hung_up = Instant::now();
    kill(program.pid(), Signal::SIGHUP)?;
    let moved = wait_for(servers, requests, hung_up, |server| server.octets()[1] == 2)?;
    say(&format!("reload of all, {MOVED} moved, to the first sample of those"), &millis(moved), "2000 ms");
    std::thread::sleep(POLL * 2 + Duration::from_secs(3));
    say_gaps("longest such pause of those that stayed", &servers.arrivals(requests), &asked[MOVED..]);
    Ok(())
}

fn write_config(servers: &Servers, asked: &[Ipv4Addr], poll: &str, dir: &Path) -> std::io::Result<std::path::PathBuf> {
    Setting { data_dir: dir, servers: asked, port: servers.port, own: false, poll, more: "" }.write()
}

fn say(what: &str, value: &str, goal: &str) {
    println!("  {what:<56} {value:>12}   {goal}");
}

fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

fn share(part: Duration, whole: Duration) -> String {
    format!("{:.2} %", part.as_secs_f64() / whole.as_secs_f64() * 100.0)
}

/// How much later than it may be the latest request to one of `asked` came after the one before it.
fn say_gaps(what: &str, arrivals: &[support::servers::Arrival], asked: &[Ipv4Addr]) {
    let mut last: HashMap<Ipv4Addr, (Instant, Duration)> = HashMap::new();
    for arrival in arrivals {
        last.entry(arrival.server)
            .and_modify(|(before, longest)| {
                *longest = arrival.at.duration_since(*before).max(*longest);
                *before = arrival.at;
            })
            .or_insert((arrival.at, Duration::ZERO));
    }
    let missing = asked.iter().filter(|server| !last.contains_key(server)).count();
    let longest = asked.iter().filter_map(|server| last.get(server)).map(|(_, longest)| *longest).max();
    let beyond = longest.unwrap_or_default().saturating_sub(LONGEST_GAP);
    say(what, &millis(beyond), &format!("{missing} servers not asked at all"));
}

/// How long after `since` the first request to a server came that is as wanted, looking from the `from`-th request on.
fn wait_for(
    servers: &Servers,
    from: usize,
    since: Instant,
    wanted: impl Fn(Ipv4Addr) -> bool,
) -> Result<Duration, Failure> {
    while since.elapsed() < PATIENCE {
        if let Some(first) = servers.arrivals(from).iter().find(|arrival| wanted(arrival.server)) {
            return Ok(first.at.duration_since(since));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("no request came".into())
}

/// The running program; killed and reaped when dropped.
struct Program {
    child: Child,
    started: Instant,
}

impl Program {
    fn start(servers: &Servers, asked: &[Ipv4Addr], poll: &str, dir: &Path) -> Result<Self, Failure> {
        let config = write_config(servers, asked, poll, dir)?;
        let log = std::fs::File::create(dir.join("log"))?;
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let started = Instant::now();
        Ok(Self { child: command.spawn()?, started })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn first_request(&self, servers: &Servers, from: usize) -> Result<Duration, Failure> {
        wait_for(servers, from, self.started, |_| true)
    }

    /// Processor time so far, user and system, in steps of 10 ms.
    fn cpu(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, which may hold anything, ends with the last parenthesis; times are fields 14 and 15.
        let (_, fields) = stat.rsplit_once(')').ok_or("unknown form of /proc/PID/stat")?;
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(ticks * TICK_MS))
    }

    fn say_memory(&self, goal: &str) -> Result<(), Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        for (field, what) in [("VmRSS:", "resident memory"), ("VmHWM:", "resident memory at its height")] {
            let kb = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no memory in /proc/PID/status")?;
            let kb: f64 = kb.trim().trim_end_matches(" kB").parse()?;
            say(what, &format!("{:.1} MB", kb * 1024.0 / 1e6), goal);
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; a failure here leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
