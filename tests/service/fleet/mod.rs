//! Agents and hubs over real nats-servers.

mod bus;
mod cluster;
mod faults;
mod hubs;
mod input;
mod kills;
mod late;
mod login;
mod polite;
mod refused;
mod reports;
mod world;

use std::collections::BTreeSet;

use ntp_monitor::store::read::Reader;

use crate::common::monitor::{Home, Monitor};
use crate::common::nats::Nats;

/// The sections that make an instance a member of the fleet of one server.
fn member(name: &str, role: &str, nats: &Nats) -> String {
    member_at(name, role, &nats.url())
}

fn member_at(name: &str, role: &str, url: &str) -> String {
    format!("[nats]\nurl = \"{url}\"\n[fleet]\nrole = \"{role}\"\nname = \"{name}\"\n")
}

/// A home without CSV.
fn home(sections: &str) -> Home {
    Home::with(&format!("enabled = false\n{sections}"))
}

/// Starts an agent and waits until it answers: before that, SIGTERM would kill it without a clean shutdown.
fn restarted(home: &Home) -> Monitor {
    let mut agent = home.start();
    agent.http();
    agent
}

/// Server and time of each sample of a vantage in a store; each must be there once. `""` is the store's own vantage.
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

/// The counters of a vantage in the hub's store: received, lost, refused.
fn counted(hub: &Home, vantage: &str) -> (u64, u64, u64) {
    let known = Reader::open(&hub.store()).and_then(|reader| reader.fleet_vantages()).unwrap_or_default();
    known.iter().find(|row| row.vantage == vantage).map_or((0, 0, 0), |row| (row.received, row.lost, row.refused))
}
