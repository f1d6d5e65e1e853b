//! Agents and a hub over a real nats-server.

use std::collections::BTreeSet;
use std::time::Duration;

use ntp_monitor::sim::Script;
use ntp_monitor::store::read::Reader;
use rand::RngExt;

use crate::common::monitor::{Home, own};
use crate::common::nats::Nats;
use crate::common::sim::Playground;
use crate::common::wait::until;

fn member(name: &str, role: &str, nats: &Nats) -> String {
    format!("[nats]\nurl = \"{}\"\n[fleet]\nrole = \"{role}\"\nname = \"{name}\"\n", nats.url())
}

/// Server and time of each sample of a vantage in a store, each of which must be there once; `""` is the store's own.
fn samples(home: &Home, vantage: &str) -> BTreeSet<(String, i64)> {
    let Ok(reader) = Reader::open(&home.store()) else { return BTreeSet::new() };
    let (mut keys, mut count) = (BTreeSet::new(), 0);
    for stored in reader.since(0) {
        let sample = stored.unwrap().sample;
        if *sample.server.vantage == *vantage {
            count += 1;
            keys.insert((sample.server.name.to_string(), sample.at.wall_ns));
        }
    }
    assert_eq!(keys.len(), count, "a sample is there twice");
    keys
}

#[test]
fn kills_of_agent_hub_and_server_lose_and_double_no_sample() {
    let Some(mut nats) = Nats::start() else { return };
    let playground = Playground::open();
    let servers = [Script::good(), Script::good().losing(0.3)].map(|script| playground.server(script));
    let named: String = servers.iter().enumerate().map(|(n, server)| own(&format!("s{n}"), server.address())).collect();
    let agent_home = Home::with(&format!("enabled = false\n{named}{}", member("ams", "agent", &nats)));
    let hub_home = Home::with(&format!("enabled = false\n{}", member("hub1", "hub", &nats)));
    let (mut agent, mut hub) = (agent_home.start(), hub_home.start());
    until("the first samples at the hub", || !samples(&hub_home, "ams").is_empty());
    let mut rng = rand::rng();
    for round in 0..9 {
        // Not for something to happen: the instant of the kill is what is random.
        std::thread::sleep(Duration::from_millis(rng.random_range(100..900)));
        match round % 3 {
            0 => {
                agent.kill();
                agent = agent_home.start();
            }
            1 => {
                hub.kill();
                hub = hub_home.start();
            }
            _ => nats.interrupt(Duration::from_millis(300)),
        }
    }
    let before = samples(&agent_home, "").len();
    until("more samples after the last kill", || samples(&agent_home, "").len() > before + 20);
    assert_eq!(agent.stop(), 0);
    let measured = samples(&agent_home, "");
    let mut agent = agent_home.start();
    until("everything at the hub", || samples(&hub_home, "ams").is_superset(&measured));
    assert!(measured.len() > 50, "{} samples only", measured.len());
    until("the journal is empty", || {
        let reader = Reader::open(&agent_home.store()).unwrap();
        reader.fleet_journal(0, 1, 1).unwrap().first().is_none_or(|row| row.first_seq > 0)
    });
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
    let reader = Reader::open(&hub_home.store()).unwrap();
    let known = reader.fleet_vantages().unwrap();
    assert_eq!((known.len(), known[0].lost, known[0].refused), (1, 0, 0), "{known:?}");
    let at_hub = samples(&hub_home, "ams");
    assert!(at_hub.is_subset(&samples(&agent_home, "")), "the hub has samples that the agent does not");
}
