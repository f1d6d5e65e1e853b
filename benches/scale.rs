//! The cost of many and of few servers for the real program: processor time, memory, start, and reload.
//!
//! `cargo bench --bench scale`; takes about four minutes. The program runs in a separate process; the servers that it
//! polls run in this one. Goals, 10,000 servers at 16 s: at most 3 % of a core and 110 MB, 0.5 s to the first sample, a
//! reload within 2 s that delays no poll of an unchanged server; 10 servers at 64 s: at most 20 MB.
//!
//! `-- --removal` removes 1,000 of 50,000 servers at 64 s by a reload instead; `-- --renaming` also renames the other 49,000.
//! `-- --soak MINUTES` watches 2,000 servers (`--servers`) at 16 s for this time and prints a row each minute.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

mod support;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use support::process::{Program, write_config};
use support::servers::{Arrival, Servers};
use support::{Failure, addresses};

const MANY: usize = 10_000;
/// The number of servers that a reload moves to another address.
const MOVED: usize = 100;
const POLL: Duration = Duration::from_secs(16);
/// Jitter makes an interval up to a sixteenth longer.
const LONGEST_GAP: Duration = Duration::from_secs(17);
const SPAN: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(60);
/// Number of servers in the soak, number of servers before the removal, and number of servers removed.
const SOAKED: usize = 2000;
const MOST: usize = 50_000;
const REMOVED: usize = 1000;

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only checks that it builds and starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let servers = Servers::start()?;
    if let Some(minutes) = option("--soak") {
        return soak(&servers, minutes.parse()?);
    }
    if std::env::args().any(|arg| arg == "--removal" || arg == "--renaming") {
        return removal(&servers);
    }
    few(&servers)?;
    many(&servers)
}

/// The value of an option of the command line.
fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

fn few(servers: &Servers) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let program = Program::start(servers, &addresses(9, 10), "64s", dir.path())?;
    let first = first_request(&program, servers, 0)?;
    std::thread::sleep(Duration::from_secs(10));
    let before = program.used()?;
    std::thread::sleep(SPAN);
    println!("10 servers at 64 s");
    say("from start to the first sample", &millis(first), "");
    say("processor time over a minute", &share(program.used()?.cpu - before.cpu, SPAN), "none measurable");
    say_memory(&program, "20 MB")
}

fn many(servers: &Servers) -> Result<(), Failure> {
    println!("{MANY} servers at {} s", POLL.as_secs());
    let dir = tempfile::tempdir()?;
    let mut asked = addresses(1, MANY);
    let program = Program::start(servers, &asked, "16s", dir.path())?;
    let first = first_request(&program, servers, servers.count())?;
    say("from start to the first sample", &millis(first), "500 ms");
    std::thread::sleep(POLL * 2);

    let requests = servers.count();
    say_work(&program, servers)?;
    say_memory(&program, "110 MB")?;
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

/// A reload that removes servers: how long it delays polls of the others.
fn removal(servers: &Servers) -> Result<(), Failure> {
    println!("{MOST} servers at 64 s, {REMOVED} of them removed by a reload");
    let dir = tempfile::tempdir()?;
    let asked: Vec<Ipv4Addr> = (1..=8).flat_map(|net| addresses(net, MOST / 8)).collect();
    let program = Program::start(servers, &asked, "64s", dir.path())?;
    let first = first_request(&program, servers, servers.count())?;
    say("from start to the first sample", &millis(first), "500 ms");
    std::thread::sleep(Duration::from_secs(90));
    let requests = servers.count();
    say_work(&program, servers)?;
    say_memory(&program, "500 MB")?;
    say_silence("longest time without any request", &servers.arrivals(requests));

    let requests = servers.count();
    // Names are numbers by position: without the last servers the others keep their names, without the first ones none
    // does.
    let (kept, gone) = match std::env::args().any(|arg| arg == "--renaming") {
        false => asked.split_at(MOST - REMOVED),
        true => {
            let (gone, kept) = asked.split_at(REMOVED);
            (kept, gone)
        }
    };
    write_config(servers, kept, "64s", dir.path())?;
    let hung_up = Instant::now();
    kill(program.pid(), Signal::SIGHUP)?;
    // Series are forgotten some seconds later.
    std::thread::sleep(Duration::from_secs(80));
    let arrivals = servers.arrivals(requests);
    let gone: std::collections::HashSet<_> = gone.iter().collect();
    let last = arrivals.iter().filter(|arrival| gone.contains(&arrival.server)).map(|arrival| arrival.at).max();
    let last = last.map_or(Duration::ZERO, |at| at.saturating_duration_since(hung_up));
    say("reload, to the last request to one that is removed", &millis(last), "1000 ms");
    say_silence("longest time without any request since", &arrivals);
    say_memory(&program, "500 MB")
}

/// Prints a row each minute, to show what grows while nothing changes.
fn soak(servers: &Servers, minutes: u32) -> Result<(), Failure> {
    let count = option("--servers").map_or(Ok(SOAKED), |text| text.parse())?;
    println!("{count} servers at {} s", POLL.as_secs());
    println!(
        "{:>6} {:>9} {:>8} {:>7} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "minute", "polls", "core %", "waits", "RSS MB", "open", "store MB", "log MB", "CSV MB", "disk B"
    );
    let dir = tempfile::tempdir()?;
    let program = Program::start(servers, &addresses(1, count), "16s", dir.path())?;
    first_request(&program, servers, servers.count())?;
    let (mut polls, mut before) = (servers.count(), program.used()?);
    for minute in 1..=minutes {
        std::thread::sleep(SPAN);
        let (now, sum) = (program.used()?, servers.count());
        let each = (sum - std::mem::replace(&mut polls, sum)) as f64;
        let files = program.files().map(|bytes| bytes as f64 / 1e6);
        println!(
            "{minute:>6} {sum:>9} {:>8.2} {:>7.2} {:>8.1} {:>9} {:>9.1} {:>9.1} {:>9.1} {:>9.0}",
            (now.cpu - before.cpu).as_secs_f64() / SPAN.as_secs_f64() * 100.0,
            now.waits.saturating_sub(before.waits) as f64 / each,
            program.memory_mb()?[0],
            program.descriptors()?,
            files[0],
            files[1],
            files[2],
            (now.stored - before.stored) as f64 / each,
        );
        before = now;
    }
    Ok(())
}

/// Prints the resources that the program uses in a minute, and for each poll.
fn say_work(program: &Program, servers: &Servers) -> Result<(), Failure> {
    let (before, requests) = (program.used()?, servers.count());
    std::thread::sleep(SPAN);
    let (used, polls) = (program.used()?, (servers.count() - requests) as f64);
    let cpu = used.cpu - before.cpu;
    say("processor time over a minute", &share(cpu, SPAN), "3.00 %");
    say("polls in that minute", &format!("{polls:.0}"), "");
    say("processor time of a poll", &format!("{:.1} µs", cpu.as_secs_f64() * 1e6 / polls), "");
    say("wake-ups for each poll", &format!("{:.2}", used.waits.saturating_sub(before.waits) as f64 / polls), "0.5");
    let stored = (used.stored - before.stored) as f64 / polls;
    say("bytes written to disk for each poll", &format!("{stored:.0} B"), "1000 B");
    Ok(())
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

/// Prints the largest delay of a request to one of `asked`, relative to the longest allowed interval.
fn say_gaps(what: &str, arrivals: &[Arrival], asked: &[Ipv4Addr]) {
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

/// Prints the longest time without any request: how long the thread of all probers was blocked.
fn say_silence(what: &str, arrivals: &[Arrival]) {
    let gaps = arrivals.windows(2).map(|pair| pair[1].at.saturating_duration_since(pair[0].at));
    say(what, &millis(gaps.max().unwrap_or_default()), "100 ms");
}

fn say_memory(program: &Program, goal: &str) -> Result<(), Failure> {
    let [now, height] = program.memory_mb()?;
    say("resident memory", &format!("{now:.1} MB"), goal);
    say("resident memory at its height", &format!("{height:.1} MB"), goal);
    Ok(())
}

fn first_request(program: &Program, servers: &Servers, from: usize) -> Result<Duration, Failure> {
    wait_for(servers, from, program.started, |_| true)
}

/// The time from `since` to the first matching request, searched from the `from`-th request on.
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
