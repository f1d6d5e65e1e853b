//! Alerts from end to end in the running program: a server that stops answering, a receiver, silences, and kills in
//! between.

use std::net::{SocketAddr, UdpSocket};

use crate::common::http::Client;
use crate::common::monitor::{Home, Monitor, own, run, text};
use crate::common::receiver::Receiver;
use crate::common::service::Running;
use crate::common::sim::Playground;
use crate::common::wait::until;
use ntp_monitor::sim::{Script, ScriptedServer};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const TOKEN: &str = "an operator's own token";

/// Two good servers, and one that does not exist.
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

    /// The received messages as (status, server, idempotency key). A kill between delivery and its record repeats a
    /// message with the same key.
    fn told(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let one = |request: &crate::common::receiver::Request| {
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
fn alert_and_resolution_are_sent_once_despite_kills() {
    let scene = Scene::set();
    let monitor = scene.home.start();
    until("the alert is sent", || !scene.told().is_empty());
    monitor.kill();
    for _ in 0..3 {
        let mut monitor = scene.home.start();
        until("it still fires", || is(&mut monitor, "firing"));
        monitor.kill();
    }
    let _now_there = scene.playground.server_at(scene.silent, Script::good());
    let mut monitor = scene.home.start();
    until("the resolution is sent", || scene.told().len() >= 2);
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
fn silence_suppresses_messages_across_a_kill_until_its_end() {
    let scene = Scene::set();
    let mut monitor = scene.home.start();
    let operator: &[(&str, &str)] = &[("Authorization", &format!("Bearer {TOKEN}"))];
    let client = Client::of(monitor.http());
    let misspelt = json!({ "alert": "server-unreachabel", "comment": "being moved", "for": "1h" });
    client.ask(Method::POST, "/api/v1/silences", operator, Some(&misspelt)).is(400);
    let wish = json!({ "servers": ["third"], "comment": "being moved", "for": "1h" });
    let made = client.ask(Method::POST, "/api/v1/silences", operator, Some(&wish)).is(201).json();
    assert_eq!(made["created_by"], "op", "by whom is said by the token");
    // Messages may have been sent before the silence existed; from now on none is sent.
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
    until("it is sent, now if not before", || scene.told().iter().any(|(status, ..)| status == "firing"));
    assert_eq!(monitor.stop(), 0, "{}", monitor.log());
}

/// A service with a missing server and a rule that notifies about it at once.
async fn with_a_lost_server() -> Running {
    let hash: String = Sha256::digest(TOKEN.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let more = json!({
        "http": { "tokens": [{ "name": "op", "role": "operate", "sha256": hash }] },
        "alerting": { "startup_grace": "0s", "group_wait": "0s", "default_rules": false },
        "alert": [{
            "name": "silent", "expr": "consecutive_failures >= 3", "for": "0s", "keep_firing_for": "0s",
            "severity": "critical", "summary": "{{ server }} gives no time",
        }],
    });
    Running::start(&[("alpha", Script::good()), ("gone", Script::silent())], more).await
}

async fn post(running: &Running, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(format!("{}{path}", running.base));
    let request = request.header("Authorization", format!("Bearer {TOKEN}")).header("Content-Type", "application/json");
    let answer = request.body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[actix_rt::test]
async fn stream_sends_alert_states_and_resumes_without_loss() {
    let running = with_a_lost_server().await;
    let mut events = running.stream("?events=alert", None).await;
    // A reader that connects late finds it in the list.
    let fires = |answer: &crate::common::service::Answer| answer.json()["active"][0]["state"] == "firing";
    running.get_until("/api/v1/alerts", fires).await;
    let wish = json!({ "servers": ["gone"], "comment": "being moved", "for": "1h" });
    let (status, silence) = post(&running, "/api/v1/silences", &wish).await;
    assert_eq!(status, 201, "{silence}");
    let silenced = loop {
        let event = events.next_of("alert").await;
        if event.data["state"] == "silenced" {
            break event;
        }
    };
    assert_eq!((&silenced.data["server"], &silenced.data["alert"]), (&json!("gone"), &json!("silent")));
    assert_eq!(silenced.data["silenced_by"], silence["id"].to_string());
    drop(events);

    let path = format!("{}/api/v1/silences/{}", running.base, silence["id"]);
    let request = reqwest::Client::builder().no_proxy().build().unwrap().delete(path);
    let lifted = request.header("Authorization", format!("Bearer {TOKEN}")).send().await.unwrap();
    assert_eq!(lifted.status(), 204);
    running.get_until("/api/v1/alerts", fires).await;
    let mut again = running.stream("?events=alert", Some(&silenced.id)).await;
    let missed = again.next_of("alert").await;
    assert_eq!((&missed.data["server"], &missed.data["state"]), (&json!("gone"), &json!("firing")));
    running.stop().await;
}

#[actix_rt::test]
async fn rule_is_checked_and_replayed_without_notifying() {
    let running = with_a_lost_server().await;
    let check = async |rule: Value| {
        let (status, answer) = post(&running, "/api/v1/rules/check", &json!({ "rule": rule })).await;
        assert_eq!(status, 200, "{answer}");
        (answer["valid"].as_bool().unwrap(), answer["faults"].to_string())
    };
    assert_eq!(check(json!({ "name": "a", "expr": "offset_ms > 5" })).await, (true, "[]".to_owned()));
    for (rule, key, said) in [
        (json!({ "name": "a", "expr": "ofset_ms > 5" }), "expr", "did you mean"),
        (json!({ "name": "a", "expr": "offset_ms" }), "expr", "must be true or false"),
        (json!({ "name": "a", "expr": "offset_ms / stratum > 1" }), "expr", "can fail"),
        (json!({ "name": "a" }), "expr", "is missing"),
        (json!({ "name": "a", "expr": "provable", "for": "soon" }), "for", "soon"),
        (json!({ "name": "a", "expr": "provable", "fro": "5m" }), "fro", "unknown field"),
        (
            json!({ "name": "a", "expr": "provable",
                    "summary": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}" }),
            "summary",
            "there are no functions",
        ),
    ] {
        let (valid, faults) = check(rule).await;
        assert!(!valid && faults.contains(&format!("\"path\":{key:?}")) && faults.contains(said), "{key}: {faults}");
    }

    running.polled(20).await;
    let rule = json!({ "name": "tried", "expr": "consecutive_failures >= 5", "for": "0s" });
    // The newest samples may not be in the store yet.
    let body = json!({ "rule": rule, "since": "1h" });
    let all = async {
        loop {
            let (status, tried) = post(&running, "/api/v1/rules/replay", &body).await;
            assert_eq!((status, &tried["complete"]), (200, &json!(true)), "{tried}");
            if tried["samples"].as_u64().unwrap() >= 40 {
                break tried;
            }
            actix_rt::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    };
    let tried = tokio::time::timeout(crate::common::wait::PATIENCE, all).await.unwrap();
    let elsewhere = tried["alerts"].as_array().unwrap().iter().filter(|alert| alert["alert"] != "tried");
    assert_eq!(elsewhere.count(), 0, "{tried}");
    let bad = json!({ "rule": { "name": "tried", "expr": "1 / 0 > 1" } });
    assert_eq!(post(&running, "/api/v1/rules/replay", &bad).await.0, 422);
    let bad = json!({ "rule": rule, "since": "a while" });
    assert_eq!(post(&running, "/api/v1/rules/replay", &bad).await.0, 400);
    let active = running.get("/api/v1/alerts").await.json()["active"].to_string();
    assert!(!active.contains("tried"), "{active}");
    running.stop().await;
}

#[test]
fn all_alert_faults_are_reported_at_once_with_key_and_line() {
    let home = Home::with("");
    home.write(
        r#"[[server]]
address = "192.0.2.1"
[alerting]
flap_count = 1
[[alert]]
name = "a"
expr = "ofset_ms > 5"
notify = ["nobody", "mail", "dead-man"]
[[alert]]
name = "b"
expr = "offset_ms / stratum > 1"
summary = "{% for a in range(9999) %}{% endfor %}"
[[alert]]
name = "b"
expr = "provable"
[[alert]]
name = "c"
expr = "offset_ms"
description = "{{ offset_ms"
runbook_url = "wiki"
[[alert]]
name = "d"
expr = "local_wrong"
servers = ["office"]
[[alert]]
name = "e"
[[silence]]
comment = "x"
alert = "nothing"
weekdays = ["Someday"]
start = "25:00"
for = "9days"
timezone = "Europe/Nowhere"
[[silence]]
comment = ""
from = "2027-01-02T00:00:00Z"
until = "2027-01-01T00:00:00Z"
[[notifier]]
name = "mail"
type = "email"
[[notifier]]
name = "mail"
type = "slack"
url = "ftp://example.net"
[[notifier]]
name = "dead-man"
type = "heartbeat"
url = "https://example.net/ping"
"#,
    );
    let output = run(home.path(), &["--config", home.config().to_str().unwrap(), "config", "check"]);
    let said = text(&output.stderr) + &text(&output.stdout);
    assert_eq!(output.status.code(), Some(78), "{said}");
    for (line, key, why) in [
        (4, "alerting.flap_count", "2 to 100"),
        (7, "alert[0].expr", "did you mean \"offset_ms\"?"),
        (8, "alert[0].notify[0]", "there is no notifier \"nobody\""),
        (8, "alert[0].notify[2]", "is a heartbeat"),
        (11, "alert[1].expr", "can fail"),
        (12, "alert[1].summary", "there are no functions"),
        (14, "alert[2].name", "is also the name of alert[1]"),
        (18, "alert[3].expr", "must be true or false"),
        (19, "alert[3].description", "{{ is not closed"),
        (20, "alert[3].runbook_url", "is not a web address"),
        (24, "alert[4].servers", "uses no server variable"),
        (25, "alert[5].expr", "is missing"),
        (29, "silence[0].alert", "there is no rule \"nothing\""),
        (30, "silence[0].weekdays", "must be weekdays"),
        (31, "silence[0].start", "is not a time of day"),
        (32, "silence[0].for", "at most six days"),
        (33, "silence[0].timezone", "is not a time zone"),
        (35, "silence[1].comment", "must not be empty"),
        (37, "silence[1].until", "must be later than from"),
        (38, "notifier[0].host", "is missing"),
        (42, "notifier[1].name", "is also the name of another notifier"),
        (44, "notifier[1].url", "must be a URL"),
    ] {
        let found = said.lines().find(|it| it.contains(&format!(" {key}: ")));
        let found = found.unwrap_or_else(|| panic!("nothing of {key} in\n{said}"));
        assert!(found.contains(why), "{key}: {found}");
        assert!(found.contains(&format!("servers.toml:{line}:")), "line {line}: {found}");
    }
    assert!(!said.contains("alert[0].notify[1]"), "a notifier that is faulty itself is not missing: {said}");
}
