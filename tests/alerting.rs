//! Alerts from end to end, in the running program: a server that falls silent, a receiver, a person who wants quiet, and
//! kills in between.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod common;

use std::net::{SocketAddr, UdpSocket};

use common::http::Client;
use common::monitor::{Home, Monitor, own};
use common::receiver::Receiver;
use common::sim::Playground;
use common::wait::until;
use ntp_monitor::sim::{Script, ScriptedServer};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const TOKEN: &str = "an operator's own token";

/// Two good servers, and one that is not there.
struct Scene {
    home: Home,
    receiver: Receiver,
    silent: SocketAddr,
    playground: Playground,
    _good: Vec<ScriptedServer>,
}

impl Scene {
    fn set() -> Self {
        let playground = Playground::open();
        let good: Vec<_> = (0..2).map(|_| playground.server(Script::good())).collect();
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let receiver = Receiver::scripted([]);
        let hash: String = Sha256::digest(TOKEN.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let home = Home::with("");
        let servers = own("one", good[0].address()) + &own("two", good[1].address()) + &own("third", silent);
        home.configure(&format!(
            "[[http.tokens]]\nname = \"op\"\nrole = \"operate\"\nsha256 = \"{hash}\"\n\
             [alerting]\nstartup_grace = \"0s\"\ngroup_wait = \"0s\"\ndefault_rules = false\n\
             [[alert]]\nname = \"silent\"\nexpr = \"consecutive_failures >= 3\"\nfor = \"0s\"\n\
             keep_firing_for = \"0s\"\nseverity = \"critical\"\nsummary = \"{{{{ server }}}} gives no time\"\n\
             [[notifier]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n{servers}",
            receiver.url("/hook")
        ));
        Self { home, receiver, silent, playground, _good: good }
    }

    /// What was received, as (status, server, idempotency key). A kill between delivery and its record repeats a message,
    /// which a receiver knows by its key.
    fn told(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let one = |request: &common::receiver::Request| {
            let body = request.json();
            (text(&body["status"]), text(&body["server"]), request.header("Idempotency-Key").unwrap())
        };
        let mut told: Vec<_> = self.receiver.seen().iter().map(one).collect();
        let mut keys = std::collections::BTreeSet::new();
        told.retain(|(_, _, key)| keys.insert(key.clone()));
        told
    }
}

fn active(monitor: &mut Monitor) -> Vec<Value> {
    monitor.get("/api/v1/alerts").1["active"].as_array().cloned().unwrap_or_default()
}

fn is(monitor: &mut Monitor, state: &str) -> bool {
    active(monitor).iter().any(|alert| alert["server"] == "third" && alert["state"] == state)
}

#[test]
fn an_alert_is_told_once_and_its_end_once_whatever_is_killed_in_between() {
    let scene = Scene::set();
    let monitor = scene.home.start();
    until("the beginning is told", || !scene.told().is_empty());
    monitor.kill();
    for _ in 0..3 {
        let mut monitor = scene.home.start();
        until("it still fires", || is(&mut monitor, "firing"));
        monitor.kill();
    }
    let _now_there = scene.playground.server_at(scene.silent, Script::good());
    let mut monitor = scene.home.start();
    until("the end is told", || scene.told().len() >= 2);
    until("it is over", || active(&mut monitor).is_empty());
    let history = monitor.get("/api/v1/alerts").1["history"].clone();
    assert_eq!(monitor.stop(), 0, "{}", monitor.log());

    let told = scene.told();
    let states: Vec<_> = told.iter().map(|(status, server, _)| (status.as_str(), server.as_str())).collect();
    assert_eq!(states, [("firing", "third"), ("resolved", "third")]);
    assert_eq!(history.as_array().unwrap().len(), 1, "and one alert: {history}");
    assert!(history[0]["ended_at"].is_string(), "{history}");
}

#[test]
fn a_silence_keeps_it_quiet_across_a_kill_until_it_is_lifted() {
    let scene = Scene::set();
    let mut monitor = scene.home.start();
    let operator: &[(&str, &str)] = &[("Authorization", &format!("Bearer {TOKEN}"))];
    let client = Client::of(monitor.http());
    let wish = json!({ "servers": ["third"], "comment": "being moved", "for": "1h" });
    let made = client.ask(Method::POST, "/api/v1/silences", operator, Some(&wish)).is(201).json();
    assert_eq!(made["created_by"], "op", "by whom is said by the token");
    // It may have been told of before the silence was there; from now on it is not.
    until("it is silenced", || is(&mut monitor, "silenced"));
    let before = scene.told();
    monitor.kill();

    let mut monitor = scene.home.start();
    until("it is silenced still", || is(&mut monitor, "silenced"));
    let client = Client::of(monitor.http());
    assert!(before.iter().chain(&scene.told()).all(|(status, ..)| status == "firing"));
    assert_eq!(scene.told().len(), before.len());
    client.ask(Method::DELETE, &format!("/api/v1/silences/{}", made["id"]), operator, None).is(204);
    until("it is not silenced any more", || is(&mut monitor, "firing"));
    until("it is told, now if not before", || scene.told().iter().any(|(status, ..)| status == "firing"));
    assert_eq!(monitor.stop(), 0, "{}", monitor.log());
}
