//! The errors of the engines: many probes at once against a chronyd that serves the clock of this host, so that the
//! true offset is zero. The kernel engine without and with NTS and `rsntp` alternate within the same run, idle and with
//! every core busy. NTS has eight cookies, so it makes eight probes at once. Then single polls, without and with NTS,
//! of chronyd and of `ntp-daemon` (crate ntpd), if that is installed or `NTP_DAEMON` names it.
//!
//! `cargo bench --bench precision`. Needs chronyd. Goals: p99 of |offset| at most 5 µs idle, 10 µs busy and with NTS.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::authority::Authority;
use common::chronyd::Chronyd;
use common::ntpd::NtpDaemon;
use futures_util::future::join_all;
use ntp_monitor::clock::SystemClock;
use ntp_monitor::config::{Host, Nts};
use ntp_monitor::probe::resolve::system::SystemResolver;
use ntp_monitor::probe::{KernelEngine, NtsTools, ProbeEngine, ProbeReport, ProbeSession, Query, SntpEngine};
use ntp_monitor_core::nts::FULL_STOCK;
use ntp_monitor_core::sample::{Authentication, Measure};

const PROBES_AT_ONCE: usize = 200;
const ROUNDS: usize = 20;
/// The number of single polls of each server, and their intervals: in quick succession, and so rarely that the caches
/// and the processor of the host rest in between, which delays the server after its timestamp too.
const POLLS: usize = 500;
const INTERVALS: [Duration; 2] = [Duration::from_micros(500), Duration::from_millis(20)];
const TIMEOUT: Duration = Duration::from_secs(5);

fn main() {
    // `cargo test --benches` only checks that it builds and starts.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { ROUNDS } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let session = session(server.chronyd.address, server.key_exchange, &authority);
    let (kernel, rsntp) = (KernelEngine::new(), SntpEngine::new());
    println!("{PROBES_AT_ONCE} probes at once, {rounds} rounds each, interleaved; microseconds\n");
    println!(
        "{:<6} {:<7} {:>6} {:>9} {:>9} {:>9} {:>10} {:>10}",
        "load", "engine", "lost", "|o| p50", "p99", "max", "delay p50", "p99"
    );
    for load in ["idle", "busy"] {
        let busy = (load == "busy").then(BusyCores::start);
        let mut tallies = [(); 3].map(|()| Tally::default());
        for _ in 0..rounds {
            runtime.block_on(burst(&kernel, &server.chronyd, &mut tallies[0]));
            runtime.block_on(authentic_burst(&kernel, &session, &mut tallies[1]));
            runtime.block_on(burst(&rsntp, &server.chronyd, &mut tallies[2]));
        }
        drop(busy);
        for (name, tally) in ["kernel", "nts", "rsntp"].into_iter().zip(&tallies) {
            tally.print(load, name);
        }
        let [kernel, nts, rsntp] = tallies.map(|tally| tally.offset_us(0.99));
        println!("{load:<6} |offset| p99, times kernel: nts {:.1}, rsntp {:.0}\n", nts / kernel, rsntp / kernel);
    }
    let polls = if rounds == ROUNDS { POLLS } else { 10 };
    println!("{polls} polls one by one; with NTS only authenticated ones count\n");
    let daemon = NtpDaemon::start("localhost", &authority);
    let chronyd = ("chronyd", server.chronyd.address, server.key_exchange);
    let daemon = daemon.as_ref().map(|daemon| ("ntpd-rs", daemon.address, daemon.key_exchange));
    for interval in INTERVALS {
        println!("{} ms apart", interval.as_secs_f64() * 1e3);
        for (name, address, key_exchange) in std::iter::once(chronyd).chain(daemon) {
            let plain = ProbeSession::plain(address);
            let tally = runtime.block_on(one_by_one(&kernel, &plain, Authentication::None, (polls, interval)));
            tally.print("plain", name);
            let nts = self::session(address, key_exchange, &authority);
            let tally = runtime.block_on(one_by_one(&kernel, &nts, Authentication::Nts, (polls, interval)));
            tally.print("nts", name);
        }
    }
}

async fn one_by_one(
    engine: &KernelEngine,
    session: &ProbeSession,
    wanted: Authentication,
    (polls, interval): (usize, Duration),
) -> Tally {
    let mut tally = Tally::default();
    let mut ticks = tokio::time::interval(interval);
    session.prepare().await;
    for _ in 0..polls {
        ticks.tick().await;
        let Ok(query) = session.query(TIMEOUT) else {
            tally.lost += 1;
            continue;
        };
        let mut report = engine.probe(query).await;
        session.absorb(&mut report);
        tally.add(Some(report).filter(|report| report.authentication == wanted));
    }
    tally
}

async fn burst(engine: &dyn ProbeEngine, chronyd: &Chronyd, tally: &mut Tally) {
    let probes = (0..PROBES_AT_ONCE).map(|_| tokio::spawn(engine.probe(Query::plain(chronyd.address, TIMEOUT))));
    for report in join_all(probes).await {
        tally.add(report.ok());
    }
}

/// As many probes as [`burst`] makes, but only as many at once as there are cookies. Only authentic replies count.
async fn authentic_burst(engine: &KernelEngine, session: &ProbeSession, tally: &mut Tally) {
    for _ in 0..PROBES_AT_ONCE / FULL_STOCK {
        session.prepare().await;
        let queries = std::iter::from_fn(|| session.query(TIMEOUT).ok());
        let probes = queries.take(FULL_STOCK).map(|query| tokio::spawn(engine.probe(query)));
        for report in join_all(probes).await {
            let mut report = report.ok().filter(|report| report.authentication == Authentication::Nts);
            report.iter_mut().for_each(|report| session.absorb(report));
            tally.add(report);
        }
    }
}

fn session(address: SocketAddr, key_exchange: SocketAddr, authority: &Authority) -> ProbeSession {
    let host = Host::Name("localhost".into());
    let key_server = Some((host.clone(), key_exchange.port()));
    let nts = Nts { key_server, ca_pem: Some(authority.pem().into()), ca_file: None };
    let tools = NtsTools {
        resolver: Arc::new(SystemResolver::new(TIMEOUT)),
        trust: Arc::default(),
        clock: Arc::new(SystemClock),
    };
    ProbeSession::with_nts(&nts, &host, address, &tools)
}

#[derive(Default)]
struct Tally {
    measures: Vec<Measure>,
    lost: usize,
}

impl Tally {
    fn add(&mut self, report: Option<ProbeReport>) {
        match report.and_then(|report| report.measure) {
            Some(measure) => self.measures.push(measure),
            None => self.lost += 1,
        }
    }

    fn offset_us(&self, q: f64) -> f64 {
        quantile_us(self.measures.iter().map(|m| m.offset_s.abs()), q)
    }

    fn delay_us(&self, q: f64) -> f64 {
        quantile_us(self.measures.iter().map(|m| m.delay_s), q)
    }

    fn print(&self, load: &str, name: &str) {
        println!(
            "{load:<6} {name:<7} {:>6} {:>9.2} {:>9.2} {:>9.2} {:>10.2} {:>10.2}",
            self.lost,
            self.offset_us(0.5),
            self.offset_us(0.99),
            self.offset_us(1.0),
            self.delay_us(0.5),
            self.delay_us(0.99)
        );
    }
}

/// The nearest-rank quantile.
fn quantile_us(values: impl Iterator<Item = f64>, q: f64) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).map_or(f64::NAN, |seconds| seconds * 1e6)
}

/// One thread a core that does nothing but compute, until dropped.
struct BusyCores {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u64>>,
}

impl BusyCores {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..cores)
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    let mut work = 1_u64;
                    while !stop.load(Ordering::Relaxed) {
                        work = std::hint::black_box(work.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                    }
                    work
                })
            })
            .collect();
        Self { stop, threads }
    }
}

impl Drop for BusyCores {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // These threads cannot panic.
            let _ = thread.join();
        }
    }
}
