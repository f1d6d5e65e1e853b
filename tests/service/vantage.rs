//! The API at a hub: data of this vantage by default, of another one on request.
use std::collections::BTreeSet;

use crate::common::service::Running;
use crate::common::stored;
use ntp_monitor::sim::Script;
use ntp_monitor_core::sample::{Sample, ServerIdent};
use ntp_monitor_core::world::{Fault, World};
use serde_json::{Value, json};

/// A service `here` that polls `alpha`, and has five servers of the vantage `ams/1`; `ntp2` stepped.
async fn hub() -> Running {
    let mut world = World::ordinary(11, 5, 64.0, 8.0 * stored::HOUR_S);
    world.start_unix_s = jiff::Timestamp::now().as_second() - 8 * 3600;
    world.faults = vec![Fault::ServerStep { server: 1, at_s: 6.0 * stored::HOUR_S, size_s: 0.12 }];
    let from_ams = |sample: Sample| Sample { server: ServerIdent::seen_from("ams/1", &sample.server.name), ..sample };
    let dir = tempfile::tempdir().unwrap();
    stored::store(stored::options(dir.path()), world.samples().map(from_ams));
    Running::start_in(dir, &[("alpha", Script::good())], json!({})).await
}

fn names(body: &Value) -> Vec<&str> {
    let rows = body["servers"].as_array().or(body["series"].as_array()).unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<BTreeSet<_>>().into_iter().collect()
}

#[actix_rt::test]
async fn answers_are_of_this_vantage_unless_another_one_is_named() {
    let hub = hub().await;
    hub.polled(1).await;
    for path in ["/api/v1/servers", "/api/v1/servers?vantage=here", "/api/v1/history?from=-8h&vantage=here"] {
        assert_eq!(names(&hub.get(path).await.json()), ["alpha"], "{path}");
    }
    let all = ["ntp1", "ntp2", "ntp3", "ntp4", "ntp5"];
    for path in ["/api/v1/servers?vantage=ams%2F1", "/api/v1/history?from=-8h&vantage=ams%2F1"] {
        assert_eq!(names(&hub.get(path).await.json()), all, "{path}");
    }
    for path in ["samples?from=-2h&", "stats?window=1h&", "stability?from=-2h&", "?"] {
        let at = |vantage: &str| format!("/api/v1/servers/ntp3/{path}vantage={vantage}").replace("/?", "?");
        let there = hub.get(&at("ams/1")).await;
        assert_eq!((there.status, hub.get(&at("here")).await.status), (200, 404), "{path}: {there:?}");
        let known = ["samples", "series"].iter().find_map(|key| there.json()[key].as_array().cloned()).unwrap();
        assert!(!known.is_empty(), "{path}");
    }
    hub.stop().await;
}

#[actix_rt::test]
async fn hub_judges_the_samples_of_another_vantage() {
    let hub = hub().await;
    let verdict = hub.get("/api/v1/verdict?vantage=ams/1").await.json();
    assert_eq!((&verdict["state"], verdict["servers"].as_array().map(Vec::len)), (&json!("server_wrong"), Some(5)));
    let rows = hub.get("/api/v1/servers?vantage=ams/1&state=wrong").await.json();
    assert_eq!(names(&rows), ["ntp2"]);
    let events = hub.get("/api/v1/events?vantage=ams/1&server=ntp2").await.json();
    assert!(events["events"].as_array().unwrap().iter().any(|event| event["kind"] == "server_step"), "{events}");
    let local = hub.get("/api/v1/local?vantage=ams/1").await.json();
    assert_eq!((&local["kernel"], &local["daemon"]), (&Value::Null, &Value::Null));
    hub.stop().await;
}

#[actix_rt::test]
async fn unknown_vantage_is_never_answered_with_this_one() {
    let hub = hub().await;
    hub.polled(1).await;
    let document = hub.get("/api/openapi.json").await.json();
    let mut taking = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(parameters) = item["get"]["parameters"].as_array() else { continue };
        if !path.starts_with("/api/v1/") || path.contains("{name}") {
            continue;
        }
        let is_taken = parameters.iter().any(|parameter| parameter["name"] == "vantage");
        taking += usize::from(is_taken);
        let answer = hub.get(&format!("{}?vantage=nowhere", path.replace("{id}", "alpha"))).await;
        let expected = if is_taken { 404 } else { 400 };
        assert!([expected, 401].contains(&answer.status), "{path}: {answer:?}");
        if is_taken && !path.contains("{id}") {
            let answer = hub.get(&format!("{path}?vantage=ams/1")).await;
            assert!(answer.status == 200 || answer.text.contains("itself has this data"), "{path}: {answer:?}");
        }
    }
    assert!(taking >= 12, "{taking} endpoints take a vantage");
    hub.stop().await;
}
