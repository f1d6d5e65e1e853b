//! The start of the real program with many NTS servers: how its key exchanges are distributed in time, how long they
//! take, and the memory and processor time of NTS per server, compared with the same servers without NTS.
//!
//! `cargo bench --bench nts -- --servers 10000`; takes some minutes. A chronyd answers at every address of 127.0.0.0/8 and
//! makes all key exchanges. Needs chronyd and chronyc.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

#[path = "../tests/common/mod.rs"]
mod common;
mod support;

use std::time::{Duration, Instant};

use common::authority::Authority;
use common::chronyd::{Chronyd, NtsServer};
use support::process::Program;
use support::{Failure, Setting, addresses};

const SERVERS: usize = 10_000;
const POLL: &str = "64s";
/// Average number of polls of each server before memory is read.
const ROUNDS: usize = 3;
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(1200);

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only checks that it builds and starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let given = std::env::args().skip_while(|arg| arg != "--servers").nth(1);
    let count = given.map_or(Ok(SERVERS), |text| text.parse())?;
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("0.0.0.0", "localhost", &authority);
    println!("{count} servers at {POLL}, started at once");
    let plain = run(&server, count, "")?;
    let ca = tempfile::NamedTempFile::new()?;
    std::fs::write(ca.path(), authority.pem())?;
    let key_server = format!("localhost:{}", server.key_exchange.port());
    let nts = run(&server, count, &format!("nts = true\nnts_ke = {key_server:?}\nnts_ca = {:?}", ca.path()))?;
    println!("{:<58} {:>12} {:>12}", "", "plain", "NTS");
    row("until each server has answered, s", plain.answered_s, nts.answered_s);
    row("until the last key exchange, s", 0.0, nts.exchanged_s);
    row("key exchanges", plain.exchanges, nts.exchanges);
    row("most connections for key exchange at once", plain.connections, nts.connections);
    row("most key exchanges in a second", plain.per_second, nts.per_second);
    row("resident memory, MB", plain.memory_mb, nts.memory_mb);
    row("resident memory at its height, MB", plain.height_mb, nts.height_mb);
    row("processor time until then, s", plain.cpu_s, nts.cpu_s);
    println!("memory for NTS of each server: {:.1} kB", (nts.memory_mb - plain.memory_mb) * 1e3 / count as f64);
    Ok(())
}

fn row(what: &str, plain: f64, nts: f64) {
    println!("{what:<58} {plain:>12.1} {nts:>12.1}");
}

#[derive(Default)]
struct Figures {
    answered_s: f64,
    exchanged_s: f64,
    exchanges: f64,
    connections: f64,
    per_second: f64,
    memory_mb: f64,
    height_mb: f64,
    cpu_s: f64,
}

/// Runs the program until each of `count` servers was polled [`ROUNDS`] times in the mean.
fn run(server: &NtsServer, count: usize, defaults: &str) -> Result<Figures, Failure> {
    let dir = tempfile::tempdir()?;
    let asked = addresses(1, count);
    let port = server.chronyd.address.port();
    let setting = Setting { data_dir: dir.path(), servers: &asked, port, own: false, poll: POLL, more: defaults };
    let read = || {
        let polls = if defaults.is_empty() { "NTP packets received" } else { "Authenticated NTP packets" };
        [polls, "NTS-KE connections accepted"].map(|name| server.chronyd.counted(name))
    };
    let before = read();
    let program = Program::with(&setting.write()?, dir.path())?;
    let mut figures = Figures::default();
    let mut course: Vec<(Instant, u64)> = Vec::new();
    while program.started.elapsed() < PATIENCE {
        std::thread::sleep(LOOK);
        let now = read();
        let [polls, exchanges] = [now[0] - before[0], now[1] - before[1]];
        let elapsed_s = program.started.elapsed().as_secs_f64();
        figures.connections = figures.connections.max(connections(server.key_exchange.port())? as f64);
        if course.last().is_none_or(|(_, last)| *last < exchanges) {
            figures.exchanged_s = elapsed_s;
        }
        course.push((Instant::now(), exchanges));
        if figures.answered_s == 0.0 && polls >= count as u64 {
            figures.answered_s = elapsed_s;
        }
        if polls >= (ROUNDS * count) as u64 {
            break;
        }
    }
    let [memory_mb, height_mb] = program.memory_mb()?;
    let exchanges = course.last().map_or(0, |(_, exchanges)| *exchanges) as f64;
    let (per_second, cpu_s) = (steepest(&course), program.used()?.cpu.as_secs_f64());
    Ok(Figures { memory_mb, height_mb, cpu_s, exchanges, per_second, ..figures })
}

/// The largest increase within a second.
fn steepest(course: &[(Instant, u64)]) -> f64 {
    let mut from = 0;
    let mut most = 0;
    for (at, count) in course {
        while at.duration_since(course[from].0) > Duration::from_secs(1) {
            from += 1;
        }
        most = most.max(count - course[from].1);
    }
    most as f64
}

/// The established TCP connections to `port` on this host, as clients see them.
fn connections(port: u16) -> Result<usize, Failure> {
    const ESTABLISHED: &str = "01";
    let wanted = format!(":{port:04X}");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    let mut count = 0;
    for table in tables {
        let table = table?;
        let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        count += lines.filter(|it| it.get(2).is_some_and(|to| to.ends_with(&wanted)) && it[3] == ESTABLISHED).count();
    }
    Ok(count)
}
