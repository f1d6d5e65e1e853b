//! The verdict across stops and kills of the running program.

use crate::common::monitor::{Home, Monitor, own};
use crate::common::sim::Playground;
use crate::common::wait::find;
use ntp_monitor::sim::{Script, ScriptedServer};
use serde_json::Value;

/// Four good servers, and one that is half a second ahead.
fn servers(playground: &Playground) -> (Vec<ScriptedServer>, String) {
    let mut servers: Vec<_> = (0..4).map(|_| playground.server(Script::good())).collect();
    servers.push(playground.server(Script::good().offset_ns(500_000_000)));
    let names = ["one", "two", "three", "four", "liar"];
    let configuration = names.iter().zip(&servers).map(|(name, server)| own(name, server.address())).collect();
    (servers, configuration)
}

/// The first verdict that is based on samples, as (state, who is blamed since when).
fn first_verdict(monitor: &mut Monitor) -> (String, Vec<(String, String)>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    find("a verdict", || {
        let verdict = monitor.get("/api/v1/verdict").1;
        let is_early = matches!(verdict["reason"].as_str(), Some("restoring" | "no samples yet"));
        let servers = verdict["servers"].as_array().cloned().unwrap_or_default();
        let blamed = servers.iter().filter(|server| server["blamed"] == true);
        let blamed: Vec<_> = blamed.map(|server| (text(&server["server"]), text(&server["since"]))).collect();
        Some((text(&verdict["state"]), blamed)).filter(|_| !is_early)
    })
}

/// The starts of the server's events, and whether they still last.
fn steps(monitor: &mut Monitor) -> Vec<(Value, bool)> {
    let events = monitor.get("/api/v1/events?server=liar&kind=server_step").1["events"].clone();
    events.as_array().unwrap().iter().map(|event| (event["start"].clone(), event["end"].is_null())).collect()
}

#[test]
fn verdict_and_its_event_survive_stops_and_kills() {
    let playground = Playground::open();
    let (_servers, configuration) = servers(&playground);
    let home = Home::with(&configuration);
    let mut monitor = home.start();
    let (wrong, events) = find("the liar is named", || {
        let verdict = first_verdict(&mut monitor);
        let events = steps(&mut monitor);
        Some((verdict, events)).filter(|(verdict, events)| verdict.0 == "server_wrong" && events.len() == 1)
    });
    assert_eq!(wrong.1[0].0, "liar");
    assert_eq!(monitor.stop(), 0);
    for round in 0..4 {
        let mut monitor = home.start();
        assert_eq!(first_verdict(&mut monitor), wrong, "start {round}: {}", monitor.log());
        find("the same event lasts", || (steps(&mut monitor) == events).then_some(()));
        if round % 2 == 0 {
            monitor.kill();
        } else {
            assert_eq!(monitor.stop(), 0);
        }
    }
    // A state that cannot be read is computed again from the samples, and the log says so.
    let store = rusqlite::Connection::open(home.store()).unwrap();
    store.execute("UPDATE meta SET value = x'00ff' WHERE key = 'verdict_state'", []).unwrap();
    drop(store);
    let mut monitor = home.start();
    assert_eq!(first_verdict(&mut monitor), wrong);
    monitor.logged("has been recomputed");
}
