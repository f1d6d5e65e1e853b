//! What the fleet's verdict costs in a round. `cargo bench --bench fleet`
//!
//! Every server is seen by every vantage (servers of our own), and by five vantages (the usual plan). Times are processor
//! time, the best of some rounds; the goal is in the last column.

#![allow(clippy::print_stdout, reason = "a table on stdout is what this program is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use ntp_monitor_core::fleet::witness::Witness;
use ntp_monitor_core::fleet::{Fleet, FleetConfig};
use ntp_monitor_core::world::fleet::{FleetSample, FleetWorld};

const ROUND_S: f64 = 64.0;
const ROUNDS: usize = 30;

fn main() {
    println!("{:<64} {:>10} {:>10}", "what", "ours", "goal");
    let all = |_: usize, _: usize| true;
    let plan = |vantage: usize, server: usize| (vantage + 100 - server % 100).is_multiple_of(20);
    fleet("100 vantages × 200 servers, all see all", 100, 200, &all);
    fleet("100 vantages × 200 servers, five see each", 100, 200, &plan);
    fleet("5 vantages × 10 servers", 5, 10, &all);
}

fn fleet(what: &str, vantages: usize, servers: usize, sees: &dyn Fn(usize, usize) -> bool) {
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
