//! The cost of the heaviest responses: the list of 10,000 servers, their metrics, one day of one server, 1000 streams.
//!
//! `cargo bench --bench http`; takes about a minute. The program runs in a separate process, with a day of samples in
//! its store; the servers that it polls run in this process.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use ntp_monitor::config::{self, Environment};
use ntp_monitor::sinks::worker::BatchWriter;
use ntp_monitor::store::{Options, Store};
use ntp_monitor_core::world::World;
use slog::{Discard, Logger, o};
use support::program::Program;
use support::servers::Servers;
use support::{Setting, addresses};

type Failure = Box<dyn std::error::Error>;

const MANY: usize = 10_000;
const STREAMS: usize = 1000;
const ROUNDS: usize = 7;
const DAY_S: f64 = 86_400.0;
const POLL_S: f64 = 16.0;
const PATIENCE: Duration = Duration::from_secs(90);

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only checks that it builds and starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let servers = Servers::start()?;
    let dir = tempfile::tempdir()?;
    let asked = addresses(1, MANY);
    let setting =
        Setting { data_dir: dir.path(), servers: &asked, port: servers.port, own: false, poll: "16s", more: "" };
    let file = setting.write()?;
    fill(&file)?;
    let program = Program::start(&file, dir.path())?;
    let begun = Instant::now();
    while servers.count() < MANY && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
    }
    // With this many series a snapshot is made every ten seconds.
    std::thread::sleep(Duration::from_secs(12));
    println!("{:<44} {:>10} {:>10} {:>10}", "answer", "median", "worst", "size");
    program.measure("list of 10,000 servers", "/api/v1/servers?limit=10000")?;
    program.measure("page of 100 of them", "/api/v1/servers?limit=100")?;
    program.measure("/metrics", "/metrics")?;
    program.measure("one day of one server", "/api/v1/servers/server-00000/samples?from=-1d")?;
    program.measure("statistics of that day", "/api/v1/servers/server-00000/stats?window=24h")?;
    program.say_memory("after them")?;
    let _streams = program.streams()?;
    program.measure("page of 100 beside 1000 streams", "/api/v1/servers?limit=100")?;
    program.say_memory("with 1000 streams")
}

/// A day of the first server, as a service would have recorded it.
fn fill(file: &Path) -> Result<(), Failure> {
    let config = config::load(Some(file), &Environment::new(), &[])?.into_config();
    let first = config.servers.first().ok_or("no server is configured")?;
    let mut world = World::ordinary(7, 1, POLL_S, DAY_S);
    world.start_unix_s = ntp_monitor::clock::now().wall_ns / 1_000_000_000 - DAY_S as i64;
    for server in &mut world.servers {
        server.ident = std::sync::Arc::clone(&first.ident);
    }
    let samples: Vec<_> = world.samples().map(std::sync::Arc::new).collect();
    let store = Store::open(Options::from_config(&config), &Logger::root(Discard, o!()))?;
    let mut writer = store.writer(None);
    for piece in samples.chunks(1000) {
        writer.write(piece)?;
    }
    Ok(())
}

trait Measured {
    fn measure(&self, what: &str, path: &str) -> Result<(), Failure>;
    fn get(&self, path: &str) -> Result<usize, Failure>;
    fn ask(&self, path: &str, version: &str) -> Result<TcpStream, Failure>;
    fn streams(&self) -> Result<Vec<BufReader<TcpStream>>, Failure>;
    fn say_memory(&self, when: &str) -> Result<(), Failure>;
}

impl Measured for Program {
    fn measure(&self, what: &str, path: &str) -> Result<(), Failure> {
        let mut times = Vec::new();
        let mut size = 0;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            size = self.get(path)?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let (median, worst) = (millis(times[ROUNDS / 2]), millis(times[ROUNDS - 1]));
        println!("{what:<44} {median:>10} {worst:>10} {:>7} kB", size / 1000);
        Ok(())
    }

    fn get(&self, path: &str) -> Result<usize, Failure> {
        let mut stream = self.ask(path, "1.0")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        if !answer.starts_with(b"HTTP/1.0 200") && !answer.starts_with(b"HTTP/1.1 200") {
            return Err(format!("{path}: {}", String::from_utf8_lossy(&answer[..answer.len().min(300)])).into());
        }
        Ok(answer.len())
    }

    fn ask(&self, path: &str, version: &str) -> Result<TcpStream, Failure> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/{version}\r\nHost: localhost\r\n\r\n")?;
        Ok(stream)
    }

    /// Readers of the stream that have each received their first event.
    fn streams(&self) -> Result<Vec<BufReader<TcpStream>>, Failure> {
        let mut readers = Vec::new();
        for _ in 0..STREAMS {
            let mut reader = BufReader::new(self.ask("/api/v1/stream?events=verdict", "1.1")?);
            let mut line = String::new();
            while !line.starts_with("event: hello") {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Err("a stream ended at its beginning".into());
                }
            }
            readers.push(reader);
        }
        Ok(readers)
    }

    fn say_memory(&self, when: &str) -> Result<(), Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        for (field, what) in [("VmRSS:", "resident memory"), ("VmHWM:", "at its height")] {
            let kb = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no memory in /proc/PID/status")?;
            let kb: f64 = kb.trim().trim_end_matches(" kB").parse()?;
            println!("{:<44} {:>7.1} MB", format!("{what} {when}"), kb * 1024.0 / 1e6);
        }
        Ok(())
    }
}
