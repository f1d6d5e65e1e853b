//! The cost of a hub: the verdict of a round, and receiving samples. `cargo bench --bench fleet`
//!
//! Each measurement is made with every server seen by every vantage (own servers) and by five vantages (the usual
//! plan). Times of verdicts are processor time, the best of some rounds. Received messages are processed as in the
//! program, but without NATS: they are decoded, stored with their position in one transaction, and observed; a verdict
//! is made every 16 s. The goal is in the last column. `FLEET_INGEST_S` is the number of seconds (default 60) for which
//! a hub receives one sample per second of each server from each vantage that sees it: 20,000 samples per second, or
//! those of five vantages per server.

#![allow(clippy::print_stdout, reason = "a table on stdout is what this program is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use ntp_monitor::config;
use ntp_monitor::fleet::envelope::{self, Head};
use ntp_monitor::fleet::judge::Judge;
use ntp_monitor::fleet::planner::Planner;
use ntp_monitor::fleet::state::{HubView, VantageView};
use ntp_monitor::sinks::worker::BatchWriter;
use ntp_monitor::store::{Accepted, Batch, Command, Options, Position, RawLimits, Received, Store, Writer};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::fleet::witness::Witness;
use ntp_monitor_core::fleet::{Fleet, FleetConfig};
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Measure, Outcome, Reply, Sample, ServerIdent};
use ntp_monitor_core::world::fleet::{FleetSample, FleetWorld};
use slog::{Discard, Logger, o};

const ROUND_S: f64 = 64.0;
const ROUNDS: usize = 30;

fn main() {
    println!("{:<64} {:>10} {:>10}", "what", "ours", "goal");
    let all = |_: usize, _: usize| true;
    let plan = |vantage: usize, server: usize| (vantage + 100 - server % 100).is_multiple_of(20);
    let seconds = std::env::var("FLEET_INGEST_S").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    // This comes first, so that the printed memory does not include the data of the rounds.
    for (what, sees) in [("all see all", &all as Sees), ("five see each", &plan)] {
        if let Err(why) = ingest(what, sees, seconds) {
            println!("{what}: {why}");
        }
    }
    if let Err(why) = plans(&all) {
        println!("plans: {why}");
    }
    fleet("100 vantages × 200 servers, all see all", 100, 200, &all);
    fleet("100 vantages × 200 servers, five see each", 100, 200, &plan);
    fleet("5 vantages × 10 servers", 5, 10, &all);
}

type Sees<'a> = &'a dyn Fn(usize, usize) -> bool;

/// A hub that receives the samples of 100 vantages of 200 servers, one per second each, which is 16 times the usual
/// rate. The time to make the messages is not counted.
fn ingest(what: &str, sees: Sees, seconds: u64) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("ntp-monitor.db");
    let begin_kb = memory_kb()?;
    let store = Store::open(options(&path), &Logger::root(Discard, o!()))?;
    let (mut writer, judge, view) = (store.writer(None), Judge::default(), HubView::default());
    let (mut took_s, mut worst_s, mut judged_s, mut received) = (0.0, 0.0_f64, 0.0_f64, 0_u64);
    let begin_ns = ntp_monitor::clock::now().wall_ns - seconds.cast_signed() * SECOND;
    for second in 0..seconds {
        // In a second every vantage sends a sample of each server that it sees, in messages of 50.
        let at_ns = begin_ns + second.cast_signed() * SECOND;
        let messages: Vec<_> = (0..VANTAGES).flat_map(|v| messages(v, second, at_ns, sees)).collect();
        let (started, started_cpu_s) = (Instant::now(), cpu_s());
        for batch in messages.chunks(64) {
            let decoded = batch.iter().map(|(vantage, body)| envelope::decode(vantage, body));
            let sequence = received;
            let accepted = receive(&mut writer, decoded.collect::<Result<_, _>>()?, sequence)?;
            received += accepted.samples.len() as u64;
            judge.observe(&accepted.samples, &view, at_ns);
        }
        writer.tick(ntp_monitor::clock::now())?;
        took_s += cpu_s() - started_cpu_s;
        worst_s = worst_s.max(started.elapsed().as_secs_f64());
        if second % 16 == 15 {
            let started_s = cpu_s();
            drop(judge.judge(&view, Duration::from_secs(90), tokio::time::Instant::now(), at_ns));
            judged_s = judged_s.max(cpu_s() - started_s);
        }
    }
    let pairs = (0..VANTAGES).flat_map(|v| (0..SERVERS).map(move |s| (v, s))).filter(|(v, s)| sees(*v, *s)).count();
    let (rate, each_s) = (pairs as f64 / 16.0, took_s / received.max(1) as f64);
    let grown_kb = memory_kb()?.saturating_sub(begin_kb);
    let stored = std::fs::metadata(&path)?.len() as f64 / received.max(1) as f64;
    let row =
        |text: &str, value: String, goal: &str| println!("{:<64} {value:>10} {goal:>10}", format!("{what}: {text}"));
    row(&format!("a hub receives {received} samples in {seconds} s: longest second"), ms(worst_s), "1000 ms");
    row("processor time of a sample, received, stored, observed", format!("{:.2} µs", 1e6 * each_s), "");
    row("a verdict over them, with the skew matrix", ms(judged_s), "50 ms");
    let share = 100.0 * (rate * each_s + judged_s / 16.0);
    row(&format!("share of a core at {rate} samples/s, a verdict each 16 s"), format!("{share:.1} %"), "25 %");
    row("memory that the hub took for it", format!("{} MB", grown_kb / 1024), "500 MB");
    row("memory for each vantage and server", format!("{:.1} kB", grown_kb as f64 / pairs as f64), "");
    row("a sample in the store, before its blocks are full", format!("{stored:.0} B"), "");
    let kept_kb = stored * 48.0 * 3600.0 / 16.0 / 1e3;
    row("disk for each vantage and server: 48 h at 16 s", format!("{kept_kb:.0} kB"), "");
    Ok(())
}

/// The resident memory of this process.
fn memory_kb() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

type Failure = Box<dyn std::error::Error>;

const SECOND: i64 = 1_000_000_000;
const VANTAGES: usize = 100;
const SERVERS: usize = 200;

fn ms(seconds: f64) -> String {
    format!("{:.2} ms", 1e3 * seconds)
}

fn options(path: &Path) -> Options {
    let days = |n: u64| Duration::from_secs(n * 86_400);
    Options {
        path: path.to_owned(),
        raw_for: days(30),
        others: Some(RawLimits { kept_for: days(2), max_bytes: 10_000_000_000 }),
        rollup_5m_for: days(90),
        rollup_1h_for: days(366),
        outbox_max_age: days(30),
        outbox_max_bytes: 1 << 30,
        vantage: "bench".to_owned(),
        max_pages: None,
        keeps_vantage: false,
    }
}

/// The messages of one vantage in one second: a sample of each server, 50 in each message.
fn messages(vantage: usize, second: u64, at_ns: i64, sees: Sees) -> Vec<(String, Vec<u8>)> {
    let name = format!("v{vantage:03}");
    let sample = |server: usize| {
        let n = (second as usize * 31 + vantage * 7 + server * 3) % 97;
        let at_ns = at_ns + (server as i64) * 4_000_000;
        let reply = Reply {
            stratum: 1,
            leap: Leap::None,
            refid: RefId(*b"GPS\0"),
            precision_log2: -20,
            root_delay_s: 0.0,
            root_dispersion_s: 0.001,
            reference_age_s: Some(8.0),
        };
        let (noise_s, delay_s) = (1e-6 * n as f64, 0.01 + 1e-5 * n as f64);
        Sample {
            address: Some(([203, 0, 113, server as u8], 123).into()),
            outcome: Outcome::Sample,
            reply: Some(reply),
            measure: Some(Measure { offset_s: noise_s, delay_s, root_distance_s: 0.007 }),
            ..Sample::unasked(
                Stamp::new(at_ns, at_ns, 0),
                ServerIdent::named(&format!("server-{server:03}")),
                Outcome::Sample,
                16.0,
            )
        }
    };
    let all: Vec<Sample> = (0..SERVERS).filter(|server| sees(vantage, *server)).map(sample).collect();
    let incarnation = format!("{vantage:032x}");
    let message = |(n, samples): (usize, &[Sample])| {
        let first_seq = second * all.len() as u64 + 50 * n as u64;
        let head = Head { vantage: &name, incarnation: &incarnation, first_seq, lost_before: 0 };
        (name.clone(), envelope::encode(head, samples))
    };
    all.chunks(50).enumerate().map(message).collect()
}

/// All plans of a hub for servers that are not the user's own, while agents may still follow the previous plans.
fn plans(sees: Sees) -> Result<(), Failure> {
    let settings = [
        ("NTP_SERVER", "a"),
        ("NTP_MONITOR__MONITOR__VANTAGE", "hub"),
        ("NTP_MONITOR__NATS__URL", "nats://127.0.0.1"),
        ("NTP_MONITOR__FLEET__ROLE", "hub"),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let config = config::load(None, &settings, &[])?.config.fleet.ok_or("no fleet")?;
    let (judge, mut view, now) = (Judge::default(), HubView::default(), tokio::time::Instant::now());
    let at_ns = ntp_monitor::clock::now().wall_ns;
    for vantage in 0..VANTAGES {
        for (name, body) in messages(vantage, 0, at_ns, sees) {
            let samples = envelope::decode(&name, &body)?.samples;
            let known = VantageView { presence: Some(Arc::default()), heard: Some(now), ..VantageView::default() };
            view.vantages.insert(name, known);
            judge.observe(&samples, &view, at_ns);
        }
    }
    let (roster, mut planner, mut worst_s) = (judge.roster(), Planner::new(&config), 0.0_f64);
    for revision in 0..10 {
        let started_s = cpu_s();
        planner.turn(&view, &roster, now, 0.0);
        worst_s = worst_s.max(cpu_s() - started_s);
        view.vantages.keys().for_each(|vantage| planner.written(vantage, revision, Some(now), now));
    }
    let what = "100 vantages × 200 servers, all see all: the plans, worst of ten";
    println!("{what:<64} {:>10}", ms(worst_s));
    Ok(())
}

fn receive(writer: &mut Writer, received: Vec<Received>, sequence: u64) -> Result<Accepted, Failure> {
    let position = Position { stream: "bench".into(), vantage: "all".into(), created: "now".into(), sequence };
    let batch = Batch { positions: vec![position], received, refused: Vec::new(), own: None };
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    writer.command(Command::FleetReceive { batch, reply });
    Ok(answer.try_recv()??)
}

fn fleet(what: &str, vantages: usize, servers: usize, sees: Sees) {
    let mut world = FleetWorld::internet(1, vantages, servers);
    world.duration_s = ROUND_S * ROUNDS as f64;
    world.sees = (0..vantages).map(|v| (0..servers).map(|s| sees(v, s)).collect()).collect();
    let (samples, _) = world.run();
    let group: Arc<str> = Arc::default();
    let mut fleet = Fleet::new(FleetConfig { round_s: Some(ROUND_S), ..FleetConfig::default() });
    let (mut observed_s, mut judged_s) = (0.0, f64::INFINITY);
    let mut next_s = ROUND_S;
    for FleetSample { at_s, sample, .. } in &samples {
        if *at_s > next_s {
            let started_s = cpu_s();
            fleet.judge((next_s * 1e9) as i64);
            judged_s = f64::min(judged_s, if next_s > 25.0 * ROUND_S { cpu_s() - started_s } else { f64::INFINITY });
            next_s += ROUND_S;
        }
        let started = Instant::now();
        fleet.observe(&sample.server.vantage, &Witness::of(sample, &group), sample, (at_s * 1e9) as i64);
        observed_s += started.elapsed().as_secs_f64();
    }
    let each_us = 1e6 * observed_s / samples.len() as f64;
    println!("{:<64} {:>7.2} ms {:>7} ms", format!("{what}: a verdict, with the skew matrix"), 1e3 * judged_s, 50);
    println!("{:<64} {each_us:>7.2} µs {:>10}", format!("{what}: a sample"), "");
}

/// The processor time of this thread, in seconds.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the clock of the thread can be read");
    Duration::from(time).as_secs_f64()
}
