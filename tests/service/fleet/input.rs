//! Malformed messages of a vantage are reported and counted, and do not affect other vantages.

use ntp_monitor::fleet::envelope::{Envelope, Head, Row, Server, encode};
use ntp_monitor::sim::Script;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};
use prost::Message;

use super::bus::Bus;
use super::{counted, home, member, restarted, samples};
use crate::common::monitor::{Home, own};
use crate::common::nats::Nats;
use crate::common::root::{self, SmallDisk};
use crate::common::sim::Playground;
use crate::common::wait::until;

const SUBJECT: &str = "ntpm.samples.eve";
const DAY_NS: i64 = 86_400_000_000_000;

fn now_ns() -> i64 {
    ntp_monitor::clock::now().wall_ns
}

/// A message of `count` samples of the vantage eve, the first with this number and time.
fn message(first_seq: u64, count: u64, first_ns: i64) -> Vec<u8> {
    message_of("eve", first_seq, count, first_ns)
}

fn message_of(vantage: &str, first_seq: u64, count: u64, first_ns: i64) -> Vec<u8> {
    let sample = |n: u64| {
        let at = Stamp::new(first_ns + (n * 1_000_000).cast_signed(), 0, 0);
        Sample::unasked(at, ServerIdent::named("s"), Outcome::Timeout, 1.0)
    };
    let all: Vec<Sample> = (0..count).map(sample).collect();
    let incarnation = "0123456789abcdef0123456789abcdef";
    encode(Head { vantage, incarnation, first_seq, lost_before: 0 }, &all)
}

fn changed(change: impl FnOnce(&mut Envelope)) -> Vec<u8> {
    let mut envelope = Envelope::decode(&*message(1000, 2, now_ns())).unwrap();
    change(&mut envelope);
    envelope.encode_to_vec()
}

/// Why the hub refused the last message of eve.
fn reason(hub: &mut crate::common::monitor::Monitor) -> String {
    let body = hub.get("/api/v1/fleet/vantages").1;
    let rows = body["vantages"].as_array().cloned().unwrap_or_default();
    let row = rows.iter().find(|row| row["name"] == "eve").cloned().unwrap_or_default();
    row["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn strange_messages_are_named_and_disturb_no_other_vantage() {
    let Some(nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let hub_home = home(&member("hub1", "hub", &nats));
    let agent_home = home(&format!("{}{}", own("s", server.address()), member("ams", "agent", &nats)));
    let (mut hub, mut agent) = (hub_home.start(), agent_home.start());
    until("samples of the honest vantage", || counted(&hub_home, "ams").0 > 3);
    let bus = Bus::connect(&nats.url());
    let mut unknown_field = message(0, 3, now_ns());
    // Field 99, a number, as a later release may add.
    unknown_field.extend([0x98, 0x06, 0x07]);
    bus.publish(SUBJECT, unknown_field.clone()).unwrap();
    until("a message of a later release is understood", || counted(&hub_home, "eve") == (3, 0, 0));
    bus.publish(SUBJECT, unknown_field).unwrap();

    let good = message(500, 5, now_ns());
    let many = Server { name: "n".into(), address: String::new() };
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("upgrade the hub first", changed(|it| it.v = 99)),
        ("not a message", changed(|it| it.v = 0)),
        ("not a message", good[..good.len() - 3].to_vec()),
        ("not a message", Vec::new()),
        ("not a message", vec![0xff; 120 << 10]),
        ("another vantage", changed(|it| it.vantage = "ams".into())),
        ("more than the format allows", changed(|it| it.servers = vec![many; 20_000])),
        ("more than the format allows", changed(|it| it.samples = vec![Row::default(); 600])),
        ("incarnation", changed(|it| it.incarnation = "x".into())),
        ("number of the first sample", changed(|it| it.first_seq = u64::MAX)),
        ("number of the first sample", changed(|it| it.lost_before = 5000)),
        ("index of a server", changed(|it| it.samples[0].server = 7)),
        ("poll interval", changed(|it| it.samples[0].poll_s = f64::NAN)),
        ("a time", changed(|it| (it.base_ns, it.samples[1].wall_ns) = (i64::MAX, i64::MAX))),
    ];
    for (nth, (part, body)) in refused.iter().enumerate() {
        bus.publish(SUBJECT, body.clone()).unwrap();
        until(part, || counted(&hub_home, "eve") == (3, 0, nth as u64 + 1));
        let why = reason(&mut hub);
        assert!(why.contains(part), "{part}: {why}");
    }
    // Samples with impossible times count as received and lost, so that their agent does not send them again and again.
    let times = [(-DAY_NS, 2000), (4_102_444_800_000_000_000, 3000)];
    for (nth, (at_ns, first_seq)) in times.into_iter().enumerate() {
        bus.publish(SUBJECT, message(first_seq, 2, at_ns)).unwrap();
        let expected = (3, 2 * (nth as u64 + 1), (refused.len() + nth + 1) as u64);
        until("a time that cannot be", || counted(&hub_home, "eve") == expected);
        assert!(reason(&mut hub).contains("clock is far off"), "{}", reason(&mut hub));
    }
    let too_large = bus.publish(SUBJECT, vec![0; (128 << 10) + 1]).unwrap_err();
    assert!(too_large.contains("exceeds"), "{too_large}");

    // Junk at any rate does not fill the log.
    let before = counted(&hub_home, "eve").2;
    for _ in 0..300 {
        bus.publish(SUBJECT, b"junk".to_vec()).unwrap();
    }
    until("all junk is counted", || counted(&hub_home, "eve").2 == before + 300);
    let records = hub.log().matches("refused a message").count();
    assert!((1..30).contains(&records), "{records}");

    // A flood by one vantage, of samples that all overlap.
    let before = counted(&hub_home, "ams").0;
    for n in 0..60 {
        bus.publish(SUBJECT, message(10_000 + 500 * n, 500, now_ns())).unwrap();
    }
    until("the flood is stored", || counted(&hub_home, "eve").0 == 3 + 30_000);
    until("the honest vantage was heard meanwhile", || counted(&hub_home, "ams").0 > before);
    assert_eq!(agent.stop(), 0);
    let measured = samples(&agent_home, "");
    let mut agent = restarted(&agent_home);
    until("nothing of it is missing", || samples(&hub_home, "ams").is_superset(&measured));
    let (_, lost, refused) = counted(&hub_home, "ams");
    assert_eq!((lost, refused), (0, 0));
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
}

#[test]
fn flood_of_one_vantage_does_not_delay_another() {
    const FLOOD: u64 = 200;
    let Some(nats) = Nats::start() else { return };
    let hub_home = home(&member("hub1", "hub", &nats));
    let mut hub = hub_home.start();
    hub.logged("reading the samples of the fleet");
    let bus = Bus::connect(&nats.url());
    bus.publish(SUBJECT, message(0, 1, now_ns())).unwrap();
    bus.publish("ntpm.samples.bob", message_of("bob", 0, 1, now_ns())).unwrap();
    until("both are read", || ["eve", "bob"].iter().all(|name| counted(&hub_home, name).0 == 1));
    for n in 1..=FLOOD {
        bus.publish(SUBJECT, message(500 * n, 500, now_ns())).unwrap();
    }
    bus.publish("ntpm.samples.bob", message_of("bob", 1, 1, now_ns())).unwrap();
    until("both are read to the end", || {
        counted(&hub_home, "bob").0 == 2 && counted(&hub_home, "eve").0 == 1 + 500 * FLOOD
    });
    assert_eq!(hub.stop(), 0);
    let store = rusqlite::Connection::open(hub_home.store()).unwrap();
    let latest = |vantage: &str| -> i64 {
        let asked = "SELECT max(seen_ns) FROM fleet_range WHERE vantage = ?1";
        store.query_row(asked, [vantage], |row| row.get(0)).unwrap()
    };
    assert!(latest("bob") < latest("eve"), "bob waited for the whole flood");
}

/// Checks that a hub and an agent report the faults of this server.
fn refused_by(nats: &str, parts: [&str; 2]) {
    let Some(nats) = Nats::start_with(nats) else { return };
    let hub_home = home(&member("hub1", "hub", &nats));
    let nowhere = own("s", "127.0.0.1:9".parse().unwrap());
    let agent_home = home(&format!("{nowhere}{}", member("ams", "agent", &nats)));
    for (home, part) in [hub_home, agent_home].iter().zip(parts) {
        let mut running = home.start();
        let line = running.logged(part);
        assert!(line.contains("reason"), "{line}");
        assert_eq!(running.stop(), 0);
    }
}

#[test]
fn account_limits_are_named_with_the_line_to_change() {
    let accounts =
        "accounts { A { jetstream { max_file: 1M }\n users: [ { user: a, password: a } ] } }\nno_auth_user: a";
    let Some(nats) = Nats::start_with(accounts) else { return };
    let hub_home = home(&member("hub1", "hub", &nats));
    let mut hub = hub_home.start();
    let line = hub.logged("max_file");
    assert!(line.contains("nats.conf"), "{line}");
    assert_eq!(hub.stop(), 0);
}

#[test]
fn account_without_jetstream_is_named_by_hub_and_agent() {
    let accounts = "accounts { A { users: [ { user: a, password: a } ] }, B { jetstream: enabled } }\nno_auth_user: a";
    refused_by(accounts, ["JetStream is off", "no connection to the fleet"]);
}

#[test]
fn stream_deleted_under_a_running_fleet_is_made_again() {
    let Some(nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let hub_home = home(&member("hub1", "hub", &nats));
    let agent_home = home(&format!("{}{}", own("s", server.address()), member("ams", "agent", &nats)));
    let (mut hub, mut agent) = (hub_home.start(), agent_home.start());
    until("samples at the hub", || counted(&hub_home, "ams").0 > 5);
    let bus = Bus::connect(&nats.url());
    let jetstream = bus.jetstream.clone();
    bus.run(async move { jetstream.delete_stream("NTPM_SAMPLES").await.unwrap() });
    let before = samples(&agent_home, "").len();
    until("samples after the deletion", || samples(&agent_home, "").len() > before + 10);
    assert_eq!(agent.stop(), 0);
    let measured = samples(&agent_home, "");
    let mut agent = restarted(&agent_home);
    until("everything at the hub", || samples(&hub_home, "ams").is_superset(&measured));
    assert_eq!(counted(&hub_home, "ams").1, 0);
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
}

#[test]
fn full_disk_of_the_hub_loses_nothing() {
    if !root::is_root("a full disk under the hub") {
        return;
    }
    let Some(nats) = Nats::start() else { return };
    let (disk, playground) = (SmallDisk::mount(4096), Playground::open());
    let server = playground.server(Script::good());
    let hub_home = Home::with("");
    let store = disk.path().join("ntp-monitor.db");
    hub_home.write(&format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {store:?}\n{}",
        member("hub1", "hub", &nats)
    ));
    let agent_home = home(&format!("{}{}", own("s", server.address()), member("ams", "agent", &nats)));
    let (mut hub, mut agent) = (hub_home.start(), agent_home.start());
    let received = |hub: &mut crate::common::monitor::Monitor| {
        let body = hub.get("/api/v1/fleet/vantages").1;
        body["vantages"].as_array().and_then(|all| all.first()?["received"].as_u64()).unwrap_or(0)
    };
    until("samples at the hub", || received(&mut hub) > 5);
    let filler = disk.fill();
    let line = hub.logged("the hub reads no samples of the fleet");
    assert!(line.contains("no space left") || line.contains("full"), "{line}");
    let before = samples(&agent_home, "").len();
    until("the agent measures on", || samples(&agent_home, "").len() > before + 10);
    std::fs::remove_file(filler).unwrap();
    assert_eq!(agent.stop(), 0);
    let measured = samples(&agent_home, "").len() as u64;
    let mut agent = restarted(&agent_home);
    until("everything at the hub", || received(&mut hub) >= measured);
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
    let reader = ntp_monitor::store::read::Reader::open(&store).unwrap();
    let row = reader.fleet_vantages().unwrap().remove(0);
    assert_eq!((row.lost, row.refused), (0, 0), "{row:?}");
}
