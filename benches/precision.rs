//! How far off the engines are: many probes at once against a chronyd that serves the clock of this very host, so that
//! the true offset is zero. Kernel engine and `rsntp` take turns within the same run; idle, and with every core busy.
//!
//! `cargo bench --bench precision`. Needs chronyd. Goals: p99 of |offset| at most 5 µs idle, 10 µs busy.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::chronyd::Chronyd;
use futures_util::future::join_all;
use ntp_monitor::probe::{KernelEngine, ProbeEngine, Query, SntpEngine};
use ntp_monitor_core::sample::Measure;

const PROBES_AT_ONCE: usize = 200;
const ROUNDS: usize = 20;
const TIMEOUT: Duration = Duration::from_secs(5);

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { ROUNDS } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let chronyd = Chronyd::start("127.0.0.1");
    let engines: [(&str, Box<dyn ProbeEngine>); 2] =
        [("kernel", Box::new(KernelEngine::new())), ("rsntp", Box::new(SntpEngine::new()))];
    println!("{PROBES_AT_ONCE} probes at once, {rounds} rounds each, interleaved; microseconds\n");
    println!(
        "{:<6} {:<7} {:>6} {:>9} {:>9} {:>9} {:>10} {:>10}",
        "load", "engine", "lost", "|o| p50", "p99", "max", "delay p50", "p99"
    );
    for load in ["idle", "busy"] {
        let busy = (load == "busy").then(BusyCores::start);
        let mut tallies = [Tally::default(), Tally::default()];
        for _ in 0..rounds {
            for ((_, engine), tally) in engines.iter().zip(&mut tallies) {
                runtime.block_on(burst(&**engine, &chronyd, tally));
            }
        }
        drop(busy);
        for ((name, _), tally) in engines.iter().zip(&mut tallies) {
            tally.print(load, name);
        }
        let [kernel, rsntp] = &mut tallies;
        println!("{load:<6} rsntp/kernel: |offset| p99 {:.0} times\n", rsntp.offset_us(0.99) / kernel.offset_us(0.99));
    }
}

async fn burst(engine: &dyn ProbeEngine, chronyd: &Chronyd, tally: &mut Tally) {
    let probes = (0..PROBES_AT_ONCE).map(|_| tokio::spawn(engine.probe(Query::plain(chronyd.address, TIMEOUT))));
    for report in join_all(probes).await {
        match report.ok().and_then(|report| report.measure) {
            Some(measure) => tally.measures.push(measure),
            None => tally.lost += 1,
        }
    }
}

#[derive(Default)]
struct Tally {
    measures: Vec<Measure>,
    lost: usize,
}

impl Tally {
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
