//! Faults between agents and hubs: certificates that expire, a clock that is set, an identity used twice.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use async_nats::HeaderMap;
use ntp_monitor::fleet::link::{Names, configurations};
use ntp_monitor::sim::Script;
use ntp_monitor::store::read::Reader;

use super::bus::Bus;
use super::hubs::speaks;
use super::{counted, home, member, member_at, samples};
use crate::common::authority::Authority;
use crate::common::gate::Gate;
use crate::common::monitor::{own, text};
use crate::common::nats::Nats;
use crate::common::sim::Playground;
use crate::common::wait::{find, until};

/// Writes a certificate of the server that is valid for these years.
fn certify(authority: &Authority, dir: &Path, from: i32, until: i32) {
    let (cert, key) = authority.sign("localhost", from, until).write(dir);
    assert!(cert.starts_with(dir) && key.starts_with(dir));
}

/// The server's certificate expires while the fleet runs; the next connection fails.
#[test]
fn expired_certificate_is_named_and_loses_nothing() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let (cert, key) = authority.sign("localhost", 2020, 2120).write(dir.path());
    let Some(mut nats) = Nats::start_with(&format!("tls {{ cert_file: {cert:?}, key_file: {key:?} }}")) else { return };
    let url = nats.url().replace("nats://127.0.0.1", "tls://localhost");
    let with = |name: &str, role: &str| {
        member_at(name, role, &url).replace("[fleet]", &format!("[nats.tls]\nca = {ca:?}\n[fleet]"))
    };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let hub_home = home(&with("hub1", "hub"));
    let agent_home = home(&format!("{}{}", own("s", server.address()), with("ams", "agent")));
    let (mut hub, mut agent) = (hub_home.start(), agent_home.start());
    until("samples at the hub", || counted(&hub_home, "ams").0 > 3);

    certify(&authority, dir.path(), 2020, 2021);
    nats.interrupt(Duration::ZERO);
    for monitor in [&mut hub, &mut agent] {
        let line = monitor.logged("certificate has expired");
        assert!(line.contains("compare the clock first"), "{line}");
    }
    let before = samples(&agent_home, "").len();
    until("samples meanwhile", || samples(&agent_home, "").len() > before + 10);
    certify(&authority, dir.path(), 2020, 2120);
    nats.interrupt(Duration::ZERO);
    let measured = samples(&agent_home, "");
    until("everything at the hub", || samples(&hub_home, "ams").is_superset(&measured));
    assert_eq!((counted(&hub_home, "ams").1, counted(&hub_home, "ams").2), (0, 0));
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
}

/// Another program sends messages with the numbers that an agent will use next.
#[test]
fn duplicate_on_a_first_send_is_reported() {
    let Some(nats) = Nats::start() else { return };
    let (playground, gate) = (Playground::open(), Gate::before(nats.port()));
    let server = playground.server(Script::good());
    let hub_home = home(&member("hub1", "hub", &nats));
    let mut hub = hub_home.start();
    until("the hub reads", || hub.get("/api/v1/fleet/vantages").1["hub"]["caught_up"] == true);
    gate.shut();
    let url = format!("nats://{}", gate.address);
    let agent_home = home(&format!("{}{}", own("s", server.address()), member_at("ams", "agent", &url)));
    let mut agent = agent_home.start();
    let row = find("a row in the journal", || {
        Reader::open(&agent_home.store()).ok()?.fleet_journal(0, 1, 1).ok()?.into_iter().next()
    });
    let bus = Bus::connect(&nats.url());
    for count in 1..=500 {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{}-{}-{count}-0", row.incarnation, row.first_seq).as_str());
        let jetstream = bus.jetstream.clone();
        bus.run(async move {
            let sent = jetstream.publish_with_headers("ntpm.samples.eve", headers, "x".into()).await.unwrap();
            sent.await.unwrap();
        });
    }
    gate.open();
    agent.logged("another program uses the identity of this vantage");
    until("the API says so", || agent.get("/api/v1/fleet/agent").1["foreign"].as_u64() > Some(0));
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
}

/// Makes the key of the lease exist on the server for this long, as if the clock of the NATS host was set: forward
/// frees the lease early, back keeps it.
fn lease_lives(nats: &Nats, age: Duration) {
    let [.., mut lease] = configurations(&Names::new("ntpm"), 1);
    lease.max_age = age;
    let bus = Bus::connect(&nats.url());
    let jetstream = bus.jetstream.clone();
    bus.run(async move { jetstream.create_stream(lease).await.map(|_| ()) }).unwrap();
}

#[test]
fn lease_that_outlives_its_holder_is_taken_over() {
    let Some(nats) = Nats::start() else { return };
    lease_lives(&nats, Duration::from_secs(3600));
    let homes = ["hub1", "hub2"].map(|name| home(&member(name, "hub", &nats)));
    let mut one = homes[0].start();
    until("the first hub speaks", || speaks(&mut one));
    one.kill();
    let mut two = homes[1].start();
    until("the second hub speaks", || speaks(&mut two));
    assert_eq!(two.stop(), 0);
}

#[test]
fn lease_that_is_freed_early_leaves_one_plan_in_force() {
    let Some(nats) = Nats::start() else { return };
    lease_lives(&nats, Duration::from_secs(1));
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let agent_home = home(&format!("{}{}", own("s", server.address()), member("ams", "agent", &nats)));
    let homes = ["hub1", "hub2"].map(|name| home(&member(name, "hub", &nats)));
    let bus = Bus::connect(&nats.url());
    let (plans, presence) = (bus.listen("ntpm.plan.ams"), bus.listen("$KV.NTPM_PRESENCE.ams"));
    let (mut one, mut two, mut agent) = (homes[0].start(), homes[1].start(), agent_home.start());
    let by = |name: &str| plans.json().iter().filter(|plan| plan["hub"] == name).count();
    until("plans of both hubs", || by("hub1") > 0 && by("hub2") > 0);
    let follows = || -> Vec<u64> { presence.json().iter().filter_map(|it| it["follows"][0].as_u64()).collect() };
    until("the agent follows", || follows().len() > 1);
    assert!(follows().is_sorted(), "an older lease was followed: {:?}", follows());
    assert_eq!((agent.stop(), one.stop(), two.stop()), (0, 0, 0));
}

/// Greets as a NATS server of this version; returns its port.
fn greet_as(version: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let info = format!(
        "INFO {{\"server_id\":\"x\",\"server_name\":\"x\",\"version\":\"{version}\",\"go\":\"go\",\"host\":\"127.0.0.1\",\
         \"port\":{port},\"headers\":true,\"max_payload\":1048576,\"proto\":1,\"jetstream\":true,\"client_id\":1}}\r\n"
    );
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            client.write_all(info.as_bytes()).unwrap();
            std::thread::spawn(move || {
                let lines = BufReader::new(client.try_clone().unwrap()).lines();
                for _ in lines.map_while(Result::ok).filter(|line| line.starts_with("PING")) {
                    let _ = client.write_all(b"PONG\r\n");
                }
            });
        }
    });
    port
}

#[test]
fn server_of_debian_12_is_refused_with_a_sentence() {
    let home = home(&member_at("hub1", "hub", &format!("nats://127.0.0.1:{}", greet_as("2.9.10"))));
    let found = home.command().arg("doctor").output().unwrap();
    assert!(text(&found.stdout).contains("2.11 or later is needed"), "{}", text(&found.stdout));
    let mut hub = home.start();
    let line = hub.logged("the hub reads no samples of the fleet");
    assert!(line.contains("2.9.10") && line.contains("2.11 or later is needed"), "{line}");
    assert_eq!(hub.stop(), 0);
}

#[test]
fn oldest_supported_server_carries_samples_and_plans() {
    let Some(mut nats) = Nats::oldest() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let hub_home = home(&member("hub1", "hub", &nats));
    let agent_home = home(&format!("{}{}", own("s", server.address()), member("ams", "agent", &nats)));
    let (mut hub, mut agent) = (hub_home.start(), agent_home.start());
    until("samples at the hub", || counted(&hub_home, "ams").0 > 3);
    until("a plan at the agent", || agent.get("/api/v1/fleet/agent").1["planned"] == true);
    nats.interrupt(Duration::ZERO);
    let measured = samples(&agent_home, "");
    until("everything at the hub", || samples(&hub_home, "ams").is_superset(&measured));
    assert_eq!((counted(&hub_home, "ams").1, counted(&hub_home, "ams").2), (0, 0));
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
}
