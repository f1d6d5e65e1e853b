//! Agents and a hub over a real nats-server.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use ntp_monitor::sim::Script;
use ntp_monitor::store::read::Reader;
use rand::RngExt;

use crate::common::monitor::{Home, own, run, text};
use crate::common::nats::{Nats, free_port, program};
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
    let own = (reader.since_here(0).count(), reader.series_here().unwrap().len());
    assert_eq!(own, (0, 0), "what others measured is not what this host did");
    let at_hub = samples(&hub_home, "ams");
    assert!(at_hub.is_subset(&samples(&agent_home, "")), "the hub has samples that the agent does not");
}

fn user(name: &str, role: &str, user: &str, dir: &Path, port: u16) -> String {
    let password = dir.join(format!("{user}.password"));
    format!(
        "[nats]\nurl = \"nats://127.0.0.1:{port}\"\nuser = \"{user}\"\npassword_file = {password:?}\n[fleet]\n\
         role = \"{role}\"\nname = \"{name}\"\ngroups = [\"here\"]\n"
    )
}

#[test]
fn generated_accounts_carry_a_fleet_and_stop_an_impostor() {
    if program().is_none() {
        eprintln!("skipped: there is no nats-server; run scripts/install-dependencies.sh test");
        return;
    }
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let (listen, storage) = (format!("127.0.0.1:{port}"), dir.path().join("js").display().to_string());
    let made = ["--hub", "hub1", "--vantage", "ams", "--vantage", "ber-2", "--dir", "conf", "--listen", &listen];
    let done = run(dir.path(), &[&["fleet", "nats-conf", "--storage", &storage], &made[..]].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let conf = dir.path().join("conf");
    let Some(_nats) = Nats::configured(&conf.join("nats.conf"), port) else { return };
    let playground = Playground::open();
    let servers = [Script::good(), Script::good(), Script::good()].map(|script| playground.server(script));
    let named: String = servers.iter().enumerate().map(|(n, server)| own(&format!("s{n}"), server.address())).collect();
    let home = |part: &str| Home::with(&format!("enabled = false\n{part}"));
    let hub_home = home(&user("hub1", "hub", "hub1", &conf, port));
    let agents = ["ams", "ber-2"].map(|name| home(&format!("{named}{}", user(name, "agent", name, &conf, port))));
    let impostor = home(&format!("{named}{}", user("ber-2", "agent", "ams", &conf, port)));
    let mut hub = hub_home.start();
    let mut agents_running = agents.each_ref().map(Home::start);
    let heard = |body: &serde_json::Value| {
        let vantages = body["vantages"].as_array().cloned().unwrap_or_default();
        vantages.iter().filter(|row| row["planned"] == true && row["received"].as_u64() > Some(0)).count() == 2
    };
    until("two vantages with plans", || {
        hub.get("/api/v1/fleet/vantages")
            .1
            .pointer("/vantages")
            .is_some_and(|_| heard(&hub.get("/api/v1/fleet/vantages").1))
    });
    until("a common view", || hub.get("/api/v1/fleet/skew").1["skew"].as_array().is_some_and(|pairs| pairs.len() == 1));
    until("a verdict", || hub.get("/api/v1/fleet/verdict").1["state"] == "consistent");
    let plans = hub.get("/api/v1/fleet/plan").1;
    assert_eq!(plans["plans"].as_array().map(Vec::len), Some(2), "{plans}");
    assert_eq!(hub.get("/api/v1/fleet/matrix").1["cells"].as_array().map(Vec::len), Some(6));
    assert_eq!(agents_running[0].get("/api/v1/fleet/verdict").0, 404, "an agent is no hub");
    let mut false_one = impostor.start();
    // On a busy machine the first attempt may end before the server's complaint has come.
    let line = false_one.logged("lacks a right");
    assert!(line.contains("no connection to the fleet"), "{line}");
    assert_eq!(false_one.stop(), 0);
    for agent in &mut agents_running {
        assert_eq!(agent.stop(), 0);
    }
    assert_eq!(hub.stop(), 0);
}

#[test]
fn samples_that_an_agent_dropped_are_counted_at_the_hub() {
    let Some(nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let small = format!("{}journal_max_bytes = 4000\n", member("ams", "agent", &nats));
    let agent_home = Home::with(&format!("enabled = false\n{}{small}", own("s", server.address())));
    let mut agent = agent_home.start();
    agent.logged("dropped samples that no hub has stored");
    assert_eq!(agent.stop(), 0);
    let hub_home = Home::with(&format!("enabled = false\n{}", member("hub1", "hub", &nats)));
    let (mut agent, mut hub) = (agent_home.start(), hub_home.start());
    let known = || Reader::open(&hub_home.store()).and_then(|reader| reader.fleet_vantages()).unwrap_or_default();
    until("a loss and samples", || known().first().is_some_and(|row| row.lost > 0 && row.received > 0));
    assert_eq!(agent.stop(), 0);
    let mut agent = agent_home.start();
    let measured = samples(&agent_home, "");
    until("each sample stored or counted", || {
        let at_hub = samples(&hub_home, "ams");
        let missing = measured.difference(&at_hub).count() as u64;
        known()[0].lost == missing
    });
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
}

#[test]
fn stream_that_lost_everything_is_filled_from_the_journal() {
    let Some(mut nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let agent_home =
        Home::with(&format!("enabled = false\n{}{}", own("s", server.address()), member("ams", "agent", &nats)));
    let hub_home = Home::with(&format!("enabled = false\n{}", member("hub1", "hub", &nats)));
    let (mut agent, hub) = (agent_home.start(), hub_home.start());
    until("the first samples at the hub", || samples(&hub_home, "ams").len() > 5);
    hub.kill();
    let before = samples(&agent_home, "").len();
    until("samples that only the stream and the journal have", || samples(&agent_home, "").len() > before + 20);
    nats.lose_everything();
    let measured = samples(&agent_home, "");
    let mut hub = hub_home.start();
    until("everything at the hub", || samples(&hub_home, "ams").is_superset(&measured));
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
    let known = Reader::open(&hub_home.store()).unwrap().fleet_vantages().unwrap();
    assert_eq!(known[0].lost, 0, "{known:?}");
}
