//! No server receives more requests than its budget allows, whatever is cut, killed or replanned: in simulated time,
//! and with real processes.

use std::sync::Arc;
use std::time::Duration;

use ntp_monitor::sim::Script;
use rand::RngExt;

use super::world::{BUDGET_S, SERVERS, World};
use super::{home, member};
use crate::common::monitor::{Home, own};
use crate::common::nats::Nats;
use crate::common::sim::Playground;
use crate::common::wait::until;

/// The number of requests by which the worst window exceeds its length divided by the budget. It is at least one,
/// because a window begins with a request.
fn excess(arrivals_s: &[f64], budget_s: f64) -> f64 {
    let (mut least, mut worst) = (f64::INFINITY, f64::NEG_INFINITY);
    for (n, at_s) in arrivals_s.iter().enumerate() {
        let saved = n as f64 - at_s / budget_s;
        least = least.min(saved);
        worst = f64::max(worst, 1.0 + saved - least);
    }
    worst
}

#[test]
fn excess_counts_requests_beyond_the_budget_of_the_worst_window() {
    let even: Vec<f64> = (0..100).map(|n| 16.0 * f64::from(n)).collect();
    assert_eq!(excess(&even, 16.0), 1.0);
    let mut burst = even.clone();
    burst.splice(50..50, [16.0 * 49.0; 6]);
    assert_eq!(excess(&burst, 16.0), 7.0);
    let fast: Vec<f64> = (0..100).map(|n| 12.0 * f64::from(n)).collect();
    assert!(excess(&fast, 16.0) > 20.0);
}

/// A hundred thousand polls: within any span, a server receives at most the span divided by the budget, plus one
/// request. Polls of agents that never had a plan are counted separately.
#[test]
fn simulated_fleet_stays_within_the_budget_through_every_fault() {
    const AGENTS: usize = 5;
    const POLLS: usize = 100_000;
    let mut world = World::new(AGENTS, "", 11);
    let names: Vec<String> = world.agents.keys().cloned().collect();
    let (mut second, mut polls) = (0_u64, 0);
    while polls < POLLS {
        let s = second as f64;
        if world.rng.random_bool(1.0 / 1500.0) {
            world.kill_hub(s);
        }
        for name in &names {
            if world.rng.random_bool(1.0 / 2000.0) {
                let down_s = f64::from(world.rng.random_range(1..90));
                world.kill_agent(name, s, down_s);
            }
            if world.rng.random_bool(1.0 / 1500.0) {
                let cut_s = f64::from(world.rng.random_range(1..900));
                world.agents.get_mut(name).unwrap().cut_until_s = s + cut_s;
            }
        }
        world.step(second);
        second += 1;
        polls = world.arrivals_s.values().map(Vec::len).sum();
        assert!(second < 400_000, "{polls} polls in {second} s");
    }
    let worst = world.arrivals_s().values().map(|arrivals_s| excess(arrivals_s, BUDGET_S)).fold(0.0, f64::max);
    let used = polls as f64 / SERVERS as f64 / (second as f64 / BUDGET_S);
    eprintln!(
        "{polls} polls in {second} s: {:.0} % of the budget; the worst window has {worst:.3} too many; {} before a plan",
        100.0 * used,
        world.unplanned
    );
    assert!(worst <= 1.0 + 1e-9, "{worst}");
    // Until its first plan, an agent polls without one.
    assert!(world.unplanned <= 2 * AGENTS * SERVERS, "{}", world.unplanned);
    assert!(used > 0.6, "{used}");
}

/// The longest wait for the next poll of a server whose only vantage died, in seconds.
fn longest_takeover_s(seed: u64) -> f64 {
    let mut world = World::new(5, "vantages_per_server = 1", seed);
    let dies = 1800 + seed % 97;
    (0..dies).for_each(|s| world.step(s));
    let polled = |world: &World, name: &str| -> Vec<Arc<str>> {
        let targets = world.agents[name].targets.iter().filter(|(_, target)| target.is_polled);
        targets.map(|(server, _)| Arc::clone(server)).collect()
    };
    let dead = world.agents.keys().find(|name| !polled(&world, name).is_empty()).unwrap().clone();
    let servers = polled(&world, &dead);
    world.kill_agent(&dead, dies as f64, f64::INFINITY);
    (dies..dies + 600).for_each(|s| world.step(s));
    let gap = |server: &Arc<str>| {
        let later = world.arrivals_s[&**server].iter().find(|at_s| **at_s > dies as f64);
        later.map_or(f64::INFINITY, |at_s| at_s - dies as f64)
    };
    servers.iter().map(gap).fold(0.0, f64::max)
}

/// With one vantage for each server, another must take over what a dead one polled.
#[test]
fn servers_of_a_dead_agent_are_taken_over_in_time() {
    let mut all_s: Vec<f64> = (0..8).map(longest_takeover_s).collect();
    all_s.sort_by(f64::total_cmp);
    eprintln!("polled again after {:.0} s in the median, {:.0} s at most", all_s[4], all_s[7]);
    assert!(all_s[7] <= 120.0 + 2.0 * BUDGET_S, "{all_s:?}");
}

/// How long the real fleet runs; `FLEET_POLITE_FOR=10m` makes the long run.
fn span() -> Duration {
    let text = std::env::var("FLEET_POLITE_FOR");
    text.map_or(Duration::from_secs(18), |text| humantime::parse_duration(&text).expect("FLEET_POLITE_FOR"))
}

#[test]
fn real_fleet_stays_within_a_budget_of_100_ms() {
    const AGENTS: usize = 5;
    let Some(mut nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let budget = "groups = [\"here\"]\nown_budget = \"100ms\"\nfallback_interval = \"16s\"\nplan_validity = \"40s\"\n";
    let hub_home = home(&format!("{}{budget}", member("hub1", "hub", &nats)));
    let homes: Vec<Home> = (0..AGENTS)
        .map(|n| home(&format!("{}{}{budget}", own("s", server.address()), member(&format!("v{n}"), "agent", &nats))))
        .collect();
    let mut hub = hub_home.start();
    let mut agents: Vec<_> = homes.iter().map(Home::start).collect();
    let arrivals_s = || server.arrivals().iter().map(|at| at.mono_ns as f64 / 1e9).collect::<Vec<_>>();
    until("the plan is followed", || {
        let all = arrivals_s();
        all.len() > 40 && all[all.len() - 1] - all[all.len() - 31] < 8.0
    });
    // Before that, each agent polls once without a plan.
    let begin = arrivals_s().len() - 20;
    let (rounds, mut rng) = (6, rand::rng());
    for round in 0..rounds {
        // This does not wait for an event: it is the duration of each state.
        std::thread::sleep(span() / rounds);
        match round {
            1 => {
                let n = rng.random_range(0..AGENTS);
                agents.remove(n).kill();
                agents.insert(n, homes[n].start());
            }
            2 => nats.interrupt(Duration::from_millis(500)),
            3 => {
                hub.kill();
                hub = hub_home.start();
            }
            _ => {}
        }
    }
    let all = arrivals_s();
    let worst = excess(&all[begin..], 0.1);
    let used = (all.len() - begin) as f64 / ((all[all.len() - 1] - all[begin]) / 0.1);
    eprintln!("{} requests, {:.0} % of the budget; the worst window has {worst:.2} too many", all.len(), 100.0 * used);
    // One, and one for a machine so busy that a request leaves later than the clock was read before it. Rates without slots
    // have five.
    assert!(worst <= 2.0, "{worst}");
    assert!(used > 0.4, "{used}");
    assert!(agents.iter_mut().all(|agent| agent.stop() == 0) && hub.stop() == 0);
}
