//! The cost of the analysis of many servers: memory for each server, time for each sample, and the duration of
//! operations on all servers. `cargo bench --bench many -- --servers 10000`; takes about a minute.
//!
//! Nothing is sent: the polls of an hour at 16 s are simulated. Each part runs in a separate process, because its
//! memory is measured as the growth of the resident set.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::log::ServerHealthLog;
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{
    Authentication, Measure, Mode, Outcome, Reply, Sample, SeriesKey, ServerIdent, Timestamping,
};
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::judgement::Judgement;
use ntp_monitor_core::stats::window::{ServerWindows, Window};
use ntp_monitor_core::world::Dice;

type Failure = Box<dyn std::error::Error>;

const SERVERS: usize = 2000;
const POLL_S: f64 = 16.0;
const SPAN_S: f64 = 3600.0;
/// Number of polls of each server during the outage, in which half of the servers do not answer.
const OUTAGE: u32 = 16;
/// Servers that a reload removes.
const REMOVED: usize = 1000;
const PART: &str = "NTP_MONITOR_BENCH_PART";
const PARTS: [&str; 4] = ["windows", "verdict", "health", "all"];

fn main() -> Result<(), Failure> {
    match std::env::var(PART) {
        Ok(part) => measure(&part),
        Err(_) if std::env::args().any(|arg| arg == "--bench") => {
            println!("{} servers at {POLL_S} s, {SPAN_S} s of polls", servers());
            for part in PARTS {
                let this = std::env::current_exe()?;
                let child =
                    std::process::Command::new(this).args(std::env::args_os().skip(1)).env(PART, part).status()?;
                if !child.success() {
                    return Err(format!("{part}: {child}").into());
                }
            }
            Ok(())
        }
        // `cargo test --benches` only checks that it builds and starts.
        Err(_) => Ok(()),
    }
}

fn servers() -> usize {
    let given = std::env::args().skip_while(|arg| arg != "--servers").nth(1);
    given.and_then(|text| text.parse().ok()).unwrap_or(SERVERS)
}

fn measure(part: &str) -> Result<(), Failure> {
    let mut polls = Polls::of(servers());
    let before = resident()?;
    match part {
        "windows" => {
            let new = || ServerWindows::up_to(Window::Hour, TimeAxis::Monotonic);
            let mut all: Vec<_> = std::iter::repeat_with(new).take(servers()).collect();
            let spent = polls.run(SPAN_S, |i, sample| {
                let _ = black_box(all[i].observe(sample));
            });
            say_part("windows of an hour", &spent, before)?;
        }
        "verdict" => {
            let mut judgement = Judgement::default();
            let spent = polls.run(SPAN_S, |_, sample| {
                let _ = judgement.catch_up(sample);
            });
            say_part("verdict", &spent, before)?;
        }
        "health" => {
            let mut log = ServerHealthLog::default();
            let spent = polls.run(SPAN_S, |_, sample| {
                let _ = log.record(sample);
            });
            say_part("poll history", &spent, before)?;
        }
        _ => whole(&mut polls, before)?,
    }
    Ok(())
}

/// The analysis as in the service, and operations on all servers at once.
fn whole(polls: &mut Polls, before: f64) -> Result<(), Failure> {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
    let mut published = None;
    let spent = polls.run(SPAN_S, |i, sample| {
        analysis.observe(sample);
        if i == 0 {
            analysis.take_events();
            published = Some(analysis.snapshot(sample.at));
        }
    });
    say_part("the whole analysis with a snapshot each interval", &spent, before)?;
    say("a snapshot", timed(|| black_box(analysis.snapshot(polls.now()))));
    let (saved, took) = timed_value(|| analysis.save().ok_or("a poll is held back"));
    let saved = saved?;
    say("the state of the verdict is saved", took);
    println!("  {:<58} {:>9.2} kB", "its size for each server", saved.len() as f64 / 1e3 / servers() as f64);
    let (restored, took) = timed_value(|| Judgement::restore(&saved));
    drop(restored?);
    say("it is restored", took);

    polls.is_outage = true;
    let outage = polls.run(f64::from(OUTAGE) * POLL_S, |_, sample| analysis.observe(sample));
    polls.is_outage = false;
    say("half of the servers stop to answer: longest time of a sample", outage.longest);
    say("a snapshot then", timed(|| black_box(analysis.snapshot(polls.now()))));
    let gone: Vec<SeriesKey> = polls.servers.iter().take(REMOVED).map(|(ident, at)| key(ident, *at)).collect();
    say("1000 of them are removed", timed(|| analysis.forget(&gone)));
    polls.servers.drain(..gone.len());
    let after = polls.run(4.0 * POLL_S, |_, sample| analysis.observe(sample));
    say("longest time of a sample after that", after.longest);
    drop(published);
    Ok(())
}

fn key(ident: &Arc<ServerIdent>, address: SocketAddr) -> SeriesKey {
    SeriesKey::here(&ident.name, Some(address))
}

/// Processor time of the calls of one part.
struct Spent {
    samples: usize,
    all: Duration,
    longest: Duration,
}

fn say_part(what: &str, spent: &Spent, before: f64) -> Result<(), Failure> {
    let each = spent.all.as_secs_f64() * 1e6 / spent.samples as f64;
    let memory = (resident()? - before) / 1e3 / servers() as f64;
    println!("{what:<60} {memory:>9.2} kB a server  {each:>6.2} µs a sample");
    Ok(())
}

fn say(what: &str, took: Duration) {
    println!("  {what:<58} {:>9.1} ms", took.as_secs_f64() * 1e3);
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    timed_value(work).1
}

fn timed_value<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let value = work();
    (value, begin.elapsed())
}

/// The resident set in bytes.
fn resident() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no memory in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

/// The polls of servers on the Internet, evenly spread over the interval.
struct Polls {
    servers: Vec<(Arc<ServerIdent>, SocketAddr)>,
    dice: Dice,
    now_s: f64,
    /// Whether every second server does not answer.
    is_outage: bool,
}

impl Polls {
    fn of(count: usize) -> Self {
        let server = |n: usize| {
            let address = Ipv4Addr::from(0xc612_0000 + n as u32 * 256 + 1);
            (ServerIdent::named(&format!("server-{n:05}")), SocketAddr::new(IpAddr::V4(address), 123))
        };
        Self { servers: (0..count).map(server).collect(), dice: Dice::new(7), now_s: 1000.0, is_outage: false }
    }

    fn now(&self) -> Stamp {
        let mono_ns = (self.now_s * 1e9) as i64;
        Stamp::new(1_772_000_000_000_000_000 + mono_ns, mono_ns, mono_ns)
    }

    fn run(&mut self, span_s: f64, mut take: impl FnMut(usize, &Arc<Sample>)) -> Spent {
        let mut spent = Spent { samples: 0, all: Duration::ZERO, longest: Duration::ZERO };
        for _ in 0..(span_s / POLL_S) as u32 {
            for i in 0..self.servers.len() {
                self.now_s += POLL_S / self.servers.len() as f64;
                let sample = Arc::new(self.sample(i));
                let took = timed(|| take(i, &sample));
                spent.samples += 1;
                spent.all += took;
                spent.longest = spent.longest.max(took);
            }
        }
        spent
    }

    fn sample(&mut self, i: usize) -> Sample {
        let (ident, address) = &self.servers[i];
        let is_lost = self.dice.unit() < 0.01 || (self.is_outage && i.is_multiple_of(2));
        let at = self.now();
        let unasked = Sample::unasked(at, Arc::clone(ident), Outcome::Timeout, POLL_S);
        if is_lost {
            return Sample { address: Some(*address), sent: 1, lost: 1, ..unasked };
        }
        let delay_s = 0.01 + 1e-6 * i as f64 + self.dice.exponential(2e-4);
        let offset_s = 1e-7 * (i % 1000) as f64 + 5e-5 * self.dice.normal();
        let reply = Reply {
            stratum: 2,
            leap: Leap::None,
            refid: RefId([203, 0, (i >> 8) as u8, i as u8]),
            precision_log2: -23,
            root_delay_s: 0.005,
            root_dispersion_s: 0.004,
            reference_age_s: Some(100.0),
        };
        Sample {
            address: Some(*address),
            outcome: Outcome::Sample,
            reply: Some(reply),
            measure: Some(Measure { offset_s, delay_s, root_distance_s: delay_s / 2.0 + 0.0065 }),
            timestamping: Some(Timestamping::Kernel),
            authentication: Authentication::None,
            mode: Mode::Basic,
            sent: 1,
            ..unasked
        }
    }
}
