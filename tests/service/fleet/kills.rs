//! No sample is lost or duplicated by kills, partitions and lost streams.

use std::time::{Duration, Instant};

use ntp_monitor::sim::Script;
use ntp_monitor::store::read::Reader;
use rand::RngExt;

use super::{counted, home, member, member_at, restarted, samples};
use crate::common::gate::Gate;
use crate::common::monitor::{Home, own};
use crate::common::nats::Nats;
use crate::common::sim::Playground;
use crate::common::wait::until;

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
        // This does not wait for an event: the moment of the kill is random.
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
    let mut agent = restarted(&agent_home);
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

#[test]
fn samples_that_an_agent_dropped_are_counted_at_the_hub() {
    let Some(nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let small = format!("{}journal_max_bytes = 4000\n", member("ams", "agent", &nats));
    let agent_home = Home::with(&format!("enabled = false\n{}{small}", own("s", server.address())));
    let mut agent = restarted(&agent_home);
    agent.logged("dropped samples that no hub has stored");
    assert_eq!(agent.stop(), 0);
    let hub_home = Home::with(&format!("enabled = false\n{}", member("hub1", "hub", &nats)));
    let (mut agent, mut hub) = (agent_home.start(), hub_home.start());
    let known = || Reader::open(&hub_home.store()).and_then(|reader| reader.fleet_vantages()).unwrap_or_default();
    until("a loss and samples", || known().first().is_some_and(|row| row.lost > 0 && row.received > 0));
    assert_eq!(agent.stop(), 0);
    let mut agent = restarted(&agent_home);
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

/// Number of samples that the test of a partition waits for; `FLEET_SAMPLES=1000000` makes the long test.
fn wanted() -> usize {
    std::env::var("FLEET_SAMPLES").map_or(2_000, |text| text.parse().expect("FLEET_SAMPLES is a number"))
}

/// The minimum duration of the partition; `FLEET_PARTITION=10m` makes the long test.
fn cut_for() -> Duration {
    let text = std::env::var("FLEET_PARTITION");
    text.map_or(Duration::ZERO, |text| humantime::parse_duration(&text).expect("FLEET_PARTITION"))
}

/// Three kills of each part and a partition, within which agent and hub are killed once more.
#[test]
fn partition_with_kills_loses_and_doubles_no_sample() {
    let Some(mut nats) = Nats::start() else { return };
    let (playground, wanted) = (Playground::open(), wanted());
    let servers: Vec<_> = (0..(wanted / 50).clamp(20, 100)).map(|_| playground.server(Script::good())).collect();
    let named: String = servers.iter().enumerate().map(|(n, server)| own(&format!("s{n}"), server.address())).collect();
    let gate = Gate::before(nats.port());
    let agent_home = home(&format!("{named}{}", member_at("ams", "agent", &format!("nats://{}", gate.address))));
    let hub_home = home(&member("hub1", "hub", &nats));
    let (mut agent, mut hub) = (agent_home.start(), hub_home.start());
    let answered = || servers.iter().map(|server| server.counters().replies).sum::<u64>() as usize;
    let until_part = |part: usize| until_slowly("samples", || answered() >= wanted * part / 12);
    let mut shut = Instant::now();
    for part in 1..=12 {
        until_part(part);
        match part {
            1 | 4 | 8 | 11 => {
                agent.kill();
                agent = agent_home.start();
            }
            2 | 5 | 7 | 10 => {
                hub.kill();
                hub = hub_home.start();
            }
            3 | 9 => nats.interrupt(Duration::from_millis(500)),
            _ => {}
        }
        match part {
            6 => {
                shut = Instant::now();
                gate.shut();
            }
            8 => {
                until_slowly("the end of the partition", || shut.elapsed() >= cut_for());
                gate.open();
            }
            _ => {}
        }
    }
    nats.interrupt(Duration::from_millis(500));
    assert_eq!(agent.stop(), 0);
    let measured = samples(&agent_home, "");
    let mut agent = restarted(&agent_home);
    until_slowly("everything at the hub", || counted(&hub_home, "ams").0 as usize >= measured.len());
    assert_eq!(agent.stop(), 0);
    until("the last ones", || samples(&hub_home, "ams").is_superset(&measured));
    assert_eq!(hub.stop(), 0);
    let (at_hub, at_agent) = (samples(&hub_home, "ams"), samples(&agent_home, ""));
    let (_, lost, refused) = counted(&hub_home, "ams");
    assert!(at_hub.is_subset(&at_agent), "the hub has samples that the agent does not");
    assert_eq!((lost, refused), (0, 0));
    eprintln!("{} samples measured, {} at the hub, 0 lost, 0 doubled", at_agent.len(), at_hub.len());
}

/// As [`until`], with a deadline that depends on the number of samples.
fn until_slowly(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + cut_for() + Duration::from_secs(60) + Duration::from_millis(5 * wanted() as u64);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
