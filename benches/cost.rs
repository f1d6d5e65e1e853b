//! The processor time of a probe, stage by stage from the timer to store, CSV and InfluxDB line, compared with a query
//! with `rsntp` that is written as a CSV line.
//!
//! `cargo bench --bench cost`; takes about three minutes. Each stage runs in a separate process of this program. The
//! servers and the database that it uses run in the main process, so that their work is not counted.
//! Goal: at most 60 µs.
//!
//! The column "engine ×" is the part that the engine's thread used. One stage runs the engine alone against servers
//! that answer after 5 to 50 ms; with `--late` the stages with probers use such servers too. Other options, after `--`,
//! each with a value: `--only TEXT` runs the stages whose names contain it (the peer and the idle service always run);
//! `--rounds`, `--servers`, `--poll`, `--span` (seconds) and `--exchanges` (of the plain loops) replace the constants;
//! `--under "perf record -g -o /tmp/perf.data"` starts only the stages of `--only`, under that program.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

mod support;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::Actor as _;
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use ntp_monitor::actors::census::Census;
use ntp_monitor::actors::ledger::Ledger;
use ntp_monitor::actors::notice::DeathNotice;
use ntp_monitor::actors::outlet::{Listener, Outlet};
use ntp_monitor::actors::sheets::Sheets;
use ntp_monitor::actors::supervisor::Supervisor;
use ntp_monitor::actors::targets::{Targets, Tools};
use ntp_monitor::app::{Service, Surroundings};
use ntp_monitor::clock::SystemClock;
use ntp_monitor::config::{self, Config, EngineChoice, Environment};
use ntp_monitor::log;
use ntp_monitor::probe::resolve::system::SystemResolver;
use ntp_monitor::probe::{Engines, KernelEngine, ProbeEngine, ProbeFuture, Query};
use ntp_monitor::sinks::queue::SinkQueue;
use ntp_monitor_core::sample::Outcome;
use support::servers::Servers;
use support::sink::LineSink;
use support::{Setting, addresses};

type Failure = Box<dyn std::error::Error>;

/// 200 servers, each every 320 ms: 625 polls a second, as many as 10,000 servers make at 16 s.
const SERVERS: usize = 200;
const POLL: &str = "320ms";
/// Poll interval of the idle service, whose cost is subtracted.
const IDLE_POLL: &str = "1h";
const ROUNDS: usize = 2;
const WARM_UP: Duration = Duration::from_secs(3);
const SPAN_S: u64 = 10;
/// Exchanges of the plain loops.
const EXCHANGES: u64 = 6000;

/// The delay of replies over a network. Against servers that answer at once, no thread ever sleeps, which hides most of
/// the cost of a paced query.
const DELAY: std::ops::Range<Duration> = Duration::from_millis(5)..Duration::from_millis(50);

/// The interval of the common instants at which servers become due (`probe::schedule`).
const INSTANTS: Duration = Duration::from_millis(20);

const STAGE: &str = "NTP_MONITOR_BENCH_STAGE";
const PORT: &str = "NTP_MONITOR_BENCH_PORT";
/// The port of the servers that delay their replies.
const LATE_PORT: &str = "NTP_MONITOR_BENCH_LATE_PORT";
const URL: &str = "NTP_MONITOR_BENCH_URL";

const IDLE: &str = "idle";
const PEER: &str = "peer: rsntp in a loop, a CSV line each";
const STAGES: [&str; 7] = [
    PEER,
    "engine alone, in a loop",
    "engine alone, paced, replies after 5 to 50 ms",
    "timer, prober, engine",
    "the service: + health, store with rollups",
    "the service: + CSV",
    "the service: + InfluxDB lines, sent",
];

fn main() -> Result<(), Failure> {
    match std::env::var(STAGE) {
        Ok(stage) => measure(&stage),
        Err(_) => compare(),
    }
}

// ---- this process: peers and table ----

fn compare() -> Result<(), Failure> {
    // `cargo test --benches` only checks that it builds and starts.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { number("--rounds", ROUNDS)? } else { 0 };
    let only = option("--only").unwrap_or_default();
    if option("--under").is_some() {
        return profile(&only);
    }
    let around = Around::start()?;
    let (count, poll) = (number("--servers", SERVERS)?, poll());
    println!("processor time of a probe, user and system; {count} servers, one poll in {poll} each\n");
    println!(
        "{:<46} {:>10} {:>8} {:>10} {:>10} {:>10} {:>8} {:>8}",
        "stage", "µs/probe", "probes", "× rsntp", "engine ×", "wall µs", "waits", "disk B"
    );
    for round in 1..=rounds {
        println!("round {round}");
        let idle = run_stage(IDLE, &around)?;
        let peers = support::peers::measure(&around.servers, &addresses(1, SERVERS))?;
        let mut peer_us = f64::NAN;
        for stage in STAGES.into_iter().filter(|stage| *stage == PEER || stage.contains(&only)) {
            let before = around.sink.lines();
            let Spent { probes, cpu_us, wall_us, waits, stored, engine_us } = run_stage(stage, &around)?;
            // These stages run the engine without the service, whose idle time is subtracted from the others.
            let is_loop = STAGES[..3].contains(&stage);
            let rest = if is_loop { 0.0 } else { idle.cpu_us / idle.wall_us * wall_us };
            let each = (cpu_us - rest) / probes;
            if stage == PEER {
                peer_us = each;
            }
            println!(
                "{stage:<46} {each:>10.1} {probes:>8} {:>10.2} {:>10.2} {:>10.1} {:>8.2} {:>8.0}",
                each / peer_us,
                engine_us / probes / peer_us,
                wall_us / probes,
                waits / probes,
                stored / probes
            );
            if stage == PEER {
                peers.iter().for_each(|cost| say_peer(cost, peer_us));
            }
            if around.sink.lines() > before {
                println!(
                    "{:<46} {:>19}",
                    "  lines that the database got, warm-up included",
                    around.sink.lines() - before
                );
            }
        }
        println!(
            "{:<46} {:>10.2} % of a core, taken off above",
            "the service without polls",
            idle.cpu_us / idle.wall_us * 100.0
        );
    }
    Ok(())
}

fn say_peer(cost: &support::peers::Cost, rsntp_us: f64) {
    match cost.us {
        Some(us) => println!("{:<46} {us:>10.1} {:>8} {:>10.2}", cost.peer, "", us / rsntp_us),
        None => println!("{:<46} {:>10}", cost.peer, "not installed"),
    }
}

/// The value of an option of the command line.
fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

fn number<N: std::str::FromStr<Err: std::error::Error + 'static>>(name: &str, usual: N) -> Result<N, Failure> {
    option(name).map_or(Ok(usual), |text| Ok(text.parse()?))
}

fn poll() -> String {
    option("--poll").unwrap_or_else(|| POLL.to_owned())
}

/// Runs the chosen stages under another program and prints only their names and totals.
fn profile(only: &str) -> Result<(), Failure> {
    let around = Around::start()?;
    for stage in STAGES.into_iter().filter(|stage| stage.contains(only)) {
        let Spent { probes, cpu_us, .. } = run_stage(stage, &around)?;
        println!("{stage:<46} {:>10.1} {probes:>8}", cpu_us / probes);
    }
    Ok(())
}

/// The servers and the database that the stages use.
struct Around {
    servers: Servers,
    late_servers: Servers,
    sink: LineSink,
}

impl Around {
    fn start() -> Result<Self, Failure> {
        let late_servers = Servers::answering_after(DELAY)?;
        Ok(Self { servers: Servers::start()?, late_servers, sink: LineSink::start()? })
    }
}

struct Spent {
    probes: f64,
    cpu_us: f64,
    wall_us: f64,
    /// Number of times that threads began to wait; each wait ends with a wake-up.
    waits: f64,
    /// Bytes that reached the disk.
    stored: f64,
    /// The processor time of the engine's thread.
    engine_us: f64,
}

fn run_stage(stage: &str, around: &Around) -> Result<Spent, Failure> {
    let under = option("--under").unwrap_or_default();
    let mut words = under.split_whitespace().map(std::ffi::OsString::from).collect::<Vec<_>>();
    words.push(std::env::current_exe()?.into());
    let output = Command::new(&words[0])
        .args(&words[1..])
        .args(std::env::args_os().skip(1))
        .env(STAGE, stage)
        .env(PORT, around.servers.port.to_string())
        .env(LATE_PORT, around.late_servers.port.to_string())
        .env(URL, &around.sink.url)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    match numbers[..] {
        [probes, cpu_us, wall_us, waits, stored, engine_us] if output.status.success() => {
            Ok(Spent { probes, cpu_us, wall_us, waits, stored, engine_us })
        }
        _ => Err(format!("{stage}: {}: {text}", output.status).into()),
    }
}

// ---- the process of one stage ----

fn measure(stage: &str) -> Result<(), Failure> {
    let port = std::env::var(PORT)?.parse()?;
    // With `--late`, the stages with probers and the whole service also use the delayed servers.
    let paced_port = if std::env::args().any(|arg| arg == "--late") { late_port()? } else { port };
    let dir = tempfile::tempdir()?;
    match STAGES.iter().position(|known| *known == stage) {
        Some(0) => plain_runtime()?.block_on(rsntp_loop(port, dir.path())),
        Some(1) => plain_runtime()?.block_on(engine_loop(port)),
        Some(2) => plain_runtime()?.block_on(engine_paced(late_port()?)),
        Some(3) => actix_rt::System::new().block_on(probers(load(paced_port, dir.path(), &poll())?)),
        Some(n) => {
            let mut config = load(paced_port, dir.path(), &poll())?;
            config.csv = config.csv.filter(|_| n >= 5);
            config.influxdb = config.influxdb.filter(|_| n >= 6);
            actix_rt::System::new().block_on(service(config))
        }
        None => actix_rt::System::new().block_on(service(load(port, dir.path(), IDLE_POLL)?)),
    }
}

fn late_port() -> Result<u16, Failure> {
    Ok(std::env::var(LATE_PORT)?.parse()?)
}

fn plain_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn load(port: u16, dir: &Path, poll: &str) -> Result<Config, Failure> {
    let more =
        format!("[csv]\n[influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"t\"\n", std::env::var(URL)?);
    let servers = addresses(1, number("--servers", SERVERS)?);
    let file = Setting { data_dir: dir, servers: &servers, port, own: true, poll, more: &more }.write()?;
    Ok(config::load(Some(&file), &Environment::new(), &[])?.config)
}

/// Prints the resources used since `before`, in the format that [`run_stage`] reads.
fn tell(probes: u64, before: &Reading) {
    let spent = Reading::now();
    let (cpu_us, wall_us) = (spent.cpu_us - before.cpu_us, spent.wall_us - before.wall_us);
    let (waits, stored) = (spent.waits - before.waits, spent.stored - before.stored);
    println!("{probes} {cpu_us} {wall_us} {waits} {stored} {}", spent.engine_us - before.engine_us);
}

struct Reading {
    cpu_us: f64,
    wall_us: f64,
    waits: f64,
    stored: f64,
    engine_us: f64,
}

/// The processor time of the threads of kernel engines, in microseconds.
fn engine_us() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_engine = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "ntp-queries")
    };
    let spent_ns = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    tasks.filter(of_engine).filter_map(spent_ns).sum::<f64>() / 1e3
}

impl Reading {
    fn now() -> Self {
        let read = |clock| {
            let time = clock_gettime(clock).expect("this clock exists on every Linux");
            time.tv_sec() as f64 * 1e6 + time.tv_nsec() as f64 / 1e3
        };
        // All threads, user and system together, to the nanosecond.
        let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
        let stored = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).and_then(|n| n.parse().ok());
        Self {
            cpu_us: read(ClockId::CLOCK_PROCESS_CPUTIME_ID),
            wall_us: read(ClockId::CLOCK_MONOTONIC),
            waits: getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| usage.voluntary_context_switches() as f64),
            stored: stored.unwrap_or(0.0),
            engine_us: engine_us(),
        }
    }
}

async fn rsntp_loop(port: u16, dir: &Path) -> Result<(), Failure> {
    let client = rsntp::AsyncSntpClient::new();
    let mut csv = std::fs::File::create(dir.join("peer.csv"))?;
    let (addresses, exchanges) = (addresses(1, SERVERS), number("--exchanges", EXCHANGES)?);
    let before = Reading::now();
    for address in addresses.iter().cycle().take(exchanges as usize) {
        let result = client.synchronize(format!("{address}:{port}")).await?;
        let (offset, delay) = (result.clock_offset().as_secs_f64(), result.round_trip_delay().as_secs_f64());
        writeln!(csv, "bench,{address},sample,{offset},{delay},{}", result.stratum())?;
    }
    tell(exchanges, &before);
    Ok(())
}

async fn engine_loop(port: u16) -> Result<(), Failure> {
    let engine = KernelEngine::new();
    let (addresses, exchanges) = (addresses(1, SERVERS), number("--exchanges", EXCHANGES)?);
    let before = Reading::now();
    for address in addresses.iter().cycle().take(exchanges as usize) {
        let query = Query::plain(SocketAddr::from((*address, port)), Duration::from_secs(1));
        if engine.probe(query).await.outcome != Outcome::Sample {
            return Err("an exchange failed".into());
        }
    }
    tell(exchanges, &before);
    Ok(())
}

/// Queries at the rate of the service, due at common instants as in its schedule, without the other parts.
async fn engine_paced(port: u16) -> Result<(), Failure> {
    let (samples, engines) = Counted::engines();
    let engine = engines.choose(EngineChoice::Kernel);
    let interval: Duration = humantime::parse_duration(&poll())?;
    let (start, servers) = (tokio::time::Instant::now(), addresses(1, number("--servers", SERVERS)?));
    let instants = (interval.as_millis() / INSTANTS.as_millis()).max(1) as u32;
    for address in servers {
        let engine = Arc::clone(&engine);
        let address = SocketAddr::from((address, port));
        let mut due = start + INSTANTS * rand::random_range(1..=instants);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep_until(due).await;
                engine.probe(Query::plain(address, Duration::from_secs(1))).await;
                due += interval;
            }
        });
    }
    watch(&samples).await
}

async fn probers(config: Config) -> Result<(), Failure> {
    let (counted, engines) = Counted::engines();
    let clock = Arc::new(SystemClock);
    let (escalate, _escalation) = tokio::sync::watch::channel(None);
    let queue = SinkQueue::new("nobody", config.servers.len());
    let ledger = Ledger::default();
    ledger.set_servers(config.servers);
    let ends = Listener::new("targets");
    let tools = Tools {
        supervisor: Supervisor::new(Census::default(), clock.clone(), escalate, log::discard()).start(),
        resolver: Arc::new(SystemResolver::new(Duration::from_secs(1))),
        trust: Arc::default(),
        engines,
        outlet: Outlet::new(queue, [ends.clone()]),
        ends,
        clock,
        ledger,
        sheets: Sheets::default(),
        log: log::discard(),
    };
    let _targets = Targets::new(tools, DeathNotice::unsupervised()).start();
    watch(&counted).await
}

async fn service(config: Config) -> Result<(), Failure> {
    let (counted, engines) = Counted::engines();
    let log = log::discard();
    let around = Surroundings { engines, ..Surroundings::real(&log, Arc::new(|| 0)) };
    let service = Service::start(config, around, &log).await?;
    watch(&counted).await?;
    service.stop(std::time::Instant::now() + Duration::from_secs(10)).await;
    Ok(())
}

async fn watch(counted: &AtomicU64) -> Result<(), Failure> {
    tokio::time::sleep(WARM_UP).await;
    let (samples, before) = (counted.load(Ordering::Relaxed), Reading::now());
    tokio::time::sleep(Duration::from_secs(number("--span", SPAN_S)?)).await;
    tell(counted.load(Ordering::Relaxed) - samples, &before);
    Ok(())
}

/// The default engine with a counter of samples.
struct Counted {
    engine: Arc<dyn ProbeEngine>,
    samples: Arc<AtomicU64>,
}

impl Counted {
    fn engines() -> (Arc<AtomicU64>, Engines) {
        let samples = Arc::new(AtomicU64::new(0));
        let engine = Engines::new(&log::discard()).choose(EngineChoice::Kernel);
        let counted = Arc::new(Self { engine, samples: Arc::clone(&samples) });
        (samples, Engines::of(counted.clone(), counted))
    }
}

impl ProbeEngine for Counted {
    fn probe(&self, query: Query) -> ProbeFuture {
        let (answer, samples) = (self.engine.probe(query), Arc::clone(&self.samples));
        Box::pin(async move {
            let report = answer.await;
            samples.fetch_add(u64::from(report.outcome == Outcome::Sample), Ordering::Relaxed);
            report
        })
    }
}
