//! Plain polls, polls with NTS, and polls in interleaved mode without and with NTS: the offset error and the processor
//! time of each, compared with a chronyd that polls the same server in the same way at the same time. Server and
//! clients are on this host, so the true offset is zero. Then the time and memory of the key exchanges of many servers.
//!
//! `cargo bench --bench modes`. Needs chronyd and chronyc.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::authority::Authority;
use common::chrony_client::ChronyClient;
use common::chronyd::{Chronyd, NtsServer};
use futures_util::future::join_all;
use nix::time::{ClockId, clock_gettime};
use ntp_monitor::clock::SystemClock;
use ntp_monitor::config::{Host, Nts};
use ntp_monitor::probe::resolve::system::SystemResolver;
use ntp_monitor::probe::{KernelEngine, NtsTools, ProbeEngine, ProbeSession};
use ntp_monitor_core::interleaved::Policy;
use ntp_monitor_core::sample::Mode;

/// chronyd's `minpoll -4`.
const INTERVAL: Duration = Duration::from_micros(62_500);
const TIMEOUT: Duration = Duration::from_secs(1);
const POLLS: usize = 400;
const KEY_EXCHANGES: usize = 1000;

/// One way to poll.
struct Way {
    name: &'static str,
    has_nts: bool,
    is_interleaved: bool,
}

const WAYS: [Way; 4] = [
    Way { name: "plain", has_nts: false, is_interleaved: false },
    Way { name: "NTS", has_nts: true, is_interleaved: false },
    Way { name: "interleaved", has_nts: false, is_interleaved: true },
    Way { name: "interleaved, NTS", has_nts: true, is_interleaved: true },
];

/// The measurements of a client.
#[derive(Default)]
struct Figures {
    offsets_s: Vec<f64>,
    delays_s: Vec<f64>,
    cpu_us: f64,
    polls: usize,
    interleaved: usize,
}

fn main() {
    // `cargo test --benches` only checks that it builds and starts.
    let polls = if std::env::args().any(|arg| arg == "--bench") { POLLS } else { 20 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let (engine, shared) = (KernelEngine::new(), Shared::new(&server, &authority));
    println!("{polls} polls each, one in 62.5 ms; microseconds; each pair of rows at the same time\n");
    println!(
        "{:<17} {:<12} {:>9} {:>9} {:>9} {:>8} {:>10} {:>8} {:>9}",
        "way", "client", "|o| p50", "p99", "std dev", "mean", "delay p50", "cpu", "interl."
    );
    let mut deviations = Vec::new();
    for way in &WAYS {
        let peer = ChronyClient::start(&server, way.has_nts.then_some(&authority), way.is_interleaved);
        let ours = runtime.block_on(poll(&engine, &shared.session(way), polls));
        let peer = of_chronyd(&peer);
        ours.print(way.name, "ntp-monitor");
        peer.print("", "chronyd");
        deviations.push(ours.deviation_us());
    }
    let exchanges = if polls == POLLS { KEY_EXCHANGES } else { 20 };
    runtime.block_on(exchange_keys(&shared, exchanges));
    let [plain, nts, interleaved, both] = deviations[..] else { return };
    println!(
        "\nstandard deviation of the offset, basic / interleaved: {:.2}, with NTS {:.2}",
        plain / interleaved,
        nts / both
    );
}

/// Exchanges keys for many sessions that start at once.
async fn exchange_keys(shared: &Shared, count: usize) {
    // The first one reads the certificates that this host trusts.
    shared.session(&WAYS[1]).prepare().await;
    let (before_us, before_kb, begun) = (cpu_us(), resident_kb(), Instant::now());
    let sessions: Vec<_> = (0..count).map(|_| shared.session(&WAYS[1])).collect();
    join_all(sessions.iter().map(ProbeSession::prepare)).await;
    let ready = sessions.iter().filter(|session| session.nts().is_some_and(|status| status.cookies == 8)).count();
    println!(
        "\n{ready} of {count} key exchanges that start at once: {:.1} s, {:.2} ms of processor time each, {:.1} kB kept for each",
        begun.elapsed().as_secs_f64(),
        (cpu_us() - before_us) / 1e3 / count as f64,
        (resident_kb() - before_kb) / count as f64
    );
}

/// Resident memory of this process in units of 1024 bytes.
fn resident_kb() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux shows the memory of a process");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).map_or(f64::NAN, |pages| pages * 4.0)
}

/// The parts that all sessions share.
struct Shared {
    tools: NtsTools,
    nts: Nts,
    address: SocketAddr,
}

impl Shared {
    fn new(server: &NtsServer, authority: &Authority) -> Self {
        let resolver = Arc::new(SystemResolver::new(TIMEOUT));
        let tools = NtsTools { resolver, trust: Arc::default(), clock: Arc::new(SystemClock) };
        let key_server = Some((Host::Name("localhost".into()), server.key_exchange.port()));
        let nts = Nts { key_server, ca_pem: Some(authority.pem().into()), ca_file: None };
        Self { tools, nts, address: server.chronyd.address }
    }

    fn session(&self, way: &Way) -> ProbeSession {
        let policy = if way.is_interleaved { Policy::Always } else { Policy::Never };
        let session = if way.has_nts {
            ProbeSession::with_nts(&self.nts, &Host::Name("localhost".into()), self.address, &self.tools)
        } else {
            ProbeSession::plain(self.address)
        };
        session.interleaved_when(policy)
    }
}

async fn poll(engine: &KernelEngine, session: &ProbeSession, polls: usize) -> Figures {
    session.prepare().await;
    let mut figures = Figures { polls, ..Figures::default() };
    let before_us = cpu_us();
    let mut ticks = tokio::time::interval(INTERVAL);
    for _ in 0..polls {
        ticks.tick().await;
        let Ok(query) = session.query(TIMEOUT) else { continue };
        let mut report = engine.probe(query).await;
        session.absorb(&mut report);
        figures.interleaved += usize::from(report.mode == Mode::Interleaved);
        if let Some(measure) = report.measure {
            figures.offsets_s.push(measure.offset_s);
            figures.delays_s.push(measure.delay_s);
        }
    }
    figures.cpu_us = cpu_us() - before_us;
    figures
}

fn of_chronyd(client: &ChronyClient) -> Figures {
    let (cpu_us, samples, shown) = (client.cpu_us(), client.samples(), client.ntpdata());
    let number = |name: &str| shown.get(name).and_then(|value| value.split_whitespace().next()?.parse().ok());
    let interleaved = samples.iter().filter(|sample| sample.is_interleaved).count();
    Figures {
        offsets_s: samples.iter().map(|sample| sample.offset_s).collect(),
        delays_s: samples.iter().map(|sample| sample.delay_s).collect(),
        cpu_us,
        polls: number("Total TX").unwrap_or(samples.len()),
        interleaved,
    }
}

/// Processor time of this process so far, in microseconds.
fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("this clock exists on every Linux");
    time.tv_sec() as f64 * 1e6 + time.tv_nsec() as f64 / 1e3
}

impl Figures {
    fn mean_us(&self) -> f64 {
        self.offsets_s.iter().sum::<f64>() / self.offsets_s.len() as f64 * 1e6
    }

    /// The standard deviation without the most extreme twentieth on each side, which other processes cause.
    fn deviation_us(&self) -> f64 {
        let mut sorted = self.offsets_s.clone();
        sorted.sort_by(f64::total_cmp);
        let cut = sorted.len() / 20;
        let kept = &sorted[cut..sorted.len() - cut];
        let mean = kept.iter().sum::<f64>() / kept.len() as f64;
        let variance = kept.iter().map(|offset| (offset - mean).powi(2)).sum::<f64>() / kept.len() as f64;
        variance.sqrt() * 1e6
    }

    fn print(&self, way: &str, client: &str) {
        let errors = || self.offsets_s.iter().map(|offset| offset.abs());
        println!(
            "{way:<17} {client:<12} {:>9.2} {:>9.2} {:>9.2} {:>8.2} {:>10.2} {:>8.1} {:>4}/{}",
            quantile_us(errors(), 0.5),
            quantile_us(errors(), 0.99),
            self.deviation_us(),
            self.mean_us(),
            quantile_us(self.delays_s.iter().copied(), 0.5),
            self.cpu_us / self.polls as f64,
            self.interleaved,
            self.offsets_s.len(),
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
