//! Two hubs: one has the lease, and the other takes over.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ntp_monitor::sim::Script;
use serde_json::{Value, json};

use super::bus::Bus;
use super::{home, member};
use crate::common::monitor::{Home, Monitor, own};
use crate::common::nats::Nats;
use crate::common::receiver::{Receiver, Request};
use crate::common::sim::Playground;
use crate::common::wait::{find, until};

/// A hub with an alert that fires as soon as it knows a vantage.
fn hub(name: &str, nats: &Nats, receiver: &Receiver) -> Home {
    let home = Home::with("");
    home.write(&format!(
        "[monitor]\nvantage = \"{name}\"\ndata_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [alerting]\nstartup_grace = \"0s\"\ngroup_wait = \"0s\"\ndefault_rules = false\n\
         [[alert]]\nname = \"heard\"\nexpr = \"fleet_vantages >= 1\"\nfor = \"0s\"\nseverity = \"critical\"\n\
         summary = \"{{{{ fleet_vantages }}}} vantages\"\n\
         [[notifier]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n{}",
        home.data(),
        receiver.url("/hook"),
        member(name, "hub", nats)
    ));
    home
}

pub(super) fn speaks(hub: &mut Monitor) -> bool {
    hub.get("/api/v1/fleet/vantages").1["hub"]["speaks"] == true
}

fn told_by(receiver: &Receiver, vantage: &str) -> Vec<Request> {
    receiver.seen().into_iter().filter(|request| request.json()["vantage"] == vantage).collect()
}

/// A hub is stopped for longer than its lease lasts; when it continues, it still has the lease in memory.
#[test]
fn stopped_hub_is_replaced_and_no_longer_speaks() {
    let Some(nats) = Nats::start() else { return };
    let (playground, receiver) = (Playground::open(), Receiver::scripted([]));
    let server = playground.server(Script::good());
    let homes = ["hub1", "hub2"].map(|name| hub(name, &nats, &receiver));
    let agent_home = home(&format!("{}{}", own("s", server.address()), member("ams", "agent", &nats)));
    let mut one = homes[0].start();
    until("the first hub speaks", || speaks(&mut one));
    let (mut two, mut agent) = (homes[1].start(), agent_home.start());
    let bus = Bus::connect(&nats.url());
    let plans = bus.listen("ntpm.plan.ams");
    let by = |name: &str| plans.json().into_iter().filter(|plan| plan["hub"] == name).collect::<Vec<_>>();
    until("a plan and an alert of the first hub", || !by("hub1").is_empty() && !told_by(&receiver, "hub1").is_empty());
    assert!(!speaks(&mut two) && by("hub2").is_empty() && told_by(&receiver, "hub2").is_empty());

    let (stopped, before) = (Instant::now(), by("hub1").len());
    one.signal(Signal::SIGSTOP);
    until("a plan and an alert of the second hub", || !by("hub2").is_empty() && !told_by(&receiver, "hub2").is_empty());
    assert!(stopped.elapsed() > Duration::from_secs(8), "after {:?}", stopped.elapsed());
    let marks = ["hub1", "hub2"].map(|name| told_by(&receiver, name)[0].header("X-Ntp-Monitor-Fingerprint").unwrap());
    assert_eq!(marks[0], marks[1], "receivers recognise the alert");
    one.signal(Signal::SIGCONT);
    until("the first hub knows", || !speaks(&mut one));
    let since = by("hub2").len();
    until("more plans of the second hub", || by("hub2").len() > since);
    assert_eq!((by("hub1").len(), told_by(&receiver, "hub1").len()), (before, 1));
    let revisions: Vec<u64> = plans.json().iter().map(|plan| plan["revision"].as_u64().unwrap()).collect();
    assert!(revisions.is_sorted() && revisions.first() < revisions.last(), "{revisions:?}");
    assert_eq!((agent.stop(), one.stop(), two.stop()), (0, 0, 0));
}

/// The plans that the agent announces to follow, without consecutive repetitions.
fn followed(announced: &[Value]) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = announced
        .iter()
        .filter_map(|presence| Some((presence["follows"][0].as_u64()?, presence["follows"][1].as_u64()?)))
        .collect();
    all.dedup();
    all
}

#[test]
fn agent_ignores_a_plan_of_an_older_lease() {
    let Some(nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let hub_home = home(&member("hub1", "hub", &nats));
    let agent_home = home(&format!("{}{}", own("s", server.address()), member("ams", "agent", &nats)));
    let (mut hub, mut agent) = (hub_home.start(), agent_home.start());
    let bus = Bus::connect(&nats.url());
    let (plans, presence) = (bus.listen("ntpm.plan.ams"), bus.listen("$KV.NTPM_PRESENCE.ams"));
    until("the agent follows a plan", || !followed(&presence.json()).is_empty());
    assert_eq!(hub.stop(), 0);
    let plan =
        find("a plan that answers the agent", || plans.json().into_iter().rev().find(|p| p["answers"].is_object()));
    let revision = plan["revision"].as_u64().unwrap();
    let forge = |revision: u64, number: u64| {
        let mut forged = plan.clone();
        (forged["revision"], forged["number"]) = (json!(revision), json!(number));
        bus.publish("$KV.NTPM_PLAN.ams", serde_json::to_vec(&forged).unwrap()).unwrap();
    };
    forge(revision.saturating_sub(1), 900);
    forge(revision, 0);
    forge(revision + 7, 1);
    until("the agent follows the newer plan", || followed(&presence.json()).contains(&(revision + 7, 1)));
    let all = followed(&presence.json());
    assert!(all.iter().all(|(lease, number)| *lease >= revision && *number != 900), "{all:?}");
    assert!(all.is_sorted(), "{all:?}");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn silent_agent_is_shown_and_alerted_at_the_hub() {
    let Some(nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let rules = "[alerting]\nstartup_grace = \"0s\"\ngroup_wait = \"0s\"\ndefault_rules = false\n\
                 [[alert]]\nname = \"vantage-silent\"\nexpr = \"fleet_vantages_silent > 0\"\nfor = \"0s\"\n\
                 severity = \"warning\"\nsummary = \"silent: {{ fleet_silent }}\"\n";
    let hub_home = home(&format!("{rules}{}silent_after = \"3s\"\n", member("hub1", "hub", &nats)));
    let agents =
        ["ams", "ber"].map(|name| home(&format!("{}{}", own("s", server.address()), member(name, "agent", &nats))));
    let mut hub = hub_home.start();
    let mut running = agents.each_ref().map(Home::start);
    let state = |hub: &mut Monitor, vantage: &str| {
        let body = hub.get("/api/v1/fleet/vantages").1;
        let rows = body["vantages"].as_array().cloned().unwrap_or_default();
        rows.iter().find(|row| row["name"] == vantage).map(|row| row["state"].clone()).unwrap_or_default()
    };
    until("both are heard", || ["ams", "ber"].iter().all(|name| state(&mut hub, name) == "heard"));
    running[0].signal(Signal::SIGSTOP);
    until("one is silent", || state(&mut hub, "ams") == "silent");
    assert_eq!(state(&mut hub, "ber"), "heard");
    hub.logged("silent: ams");
    running[0].signal(Signal::SIGCONT);
    until("it is heard again", || state(&mut hub, "ams") == "heard");
    assert_eq!((running[0].stop(), running[1].stop(), hub.stop()), (0, 0, 0));
}

#[test]
fn announcement_from_before_the_hub_says_nothing_of_a_clock() {
    let Some(nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let agent_home = home(&format!("{}{}", own("s", server.address()), member("ams", "agent", &nats)));
    let hub_home = home(&member("hub1", "hub", &nats));
    let ahead_s = |hub: &mut Monitor| hub.get("/api/v1/fleet/vantages").1["vantages"][0].get("clock_ahead_s").cloned();
    let (mut hub, agent) = (hub_home.start(), agent_home.start());
    until("the clock of the agent", || ahead_s(&mut hub).is_some_and(|ahead_s| ahead_s.is_number()));
    agent.kill();
    hub.kill();
    // Not for something to happen: for how old the announcement is.
    std::thread::sleep(Duration::from_secs(2));
    let mut hub = hub_home.start();
    until("the announcement is delivered again", || {
        hub.get("/api/v1/fleet/vantages").1["vantages"][0]["version"].is_string()
    });
    assert_eq!(ahead_s(&mut hub), Some(Value::Null));
    assert_eq!(hub.stop(), 0);
}
