//! The event stream, and reloads.

use super::*;

#[actix_rt::test]
async fn reload_is_visible_at_once_in_list_and_configuration() {
    let mut running = three().await;
    let fewer = running.configuration(&["alpha"], json!({ "monitor": { "vantage": "there" } }));
    running.service.reload(fewer).await.unwrap();
    let body = running.get("/api/v1/servers").await;
    assert_eq!(names(&body), ["alpha"]);
    assert_eq!(running.get("/api/v1/config").await.json()["values"]["monitor"]["vantage"], "there");
    assert_problem(&running.get("/api/v1/servers/beta").await, 404);
    running.stop().await;
}

#[actix_rt::test]
async fn stream_sends_events_and_resumes_after_a_reconnect() {
    let running = three().await;
    let mut events = running.stream("", None).await;
    let hello = events.next().await;
    assert_eq!((hello.event.as_str(), &hello.data), ("hello", &json!({ "resumed": false })));
    let sample = events.next_of("sample").await;
    assert_eq!(keys(&sample.data), [&["name"], &SAMPLE[..]].concat());
    drop(events);
    running.polled(12).await;
    let mut again = running.stream("", Some(&sample.id)).await;
    assert_eq!(again.next().await.data, json!({ "resumed": true }));
    let number = |id: &str| id.rsplit_once('-').unwrap().1.parse::<u64>().unwrap();
    let first = number(&sample.id) + 1;
    for expected in first..first + 20 {
        assert_eq!(number(&again.next().await.id), expected, "each once, in order");
    }
    let mut strange = running.stream("?last_event_id=1a2b-7", None).await;
    assert_eq!(strange.next().await.data, json!({ "resumed": false }));
    running.stop().await;
}

#[actix_rt::test]
async fn stream_is_filtered_and_sends_verdict_and_health_changes() {
    let running = three().await;
    let mut one = running.stream("?events=sample&server=gamma", None).await;
    for _ in 0..3 {
        assert_eq!(one.next_of("sample").await.data["name"], "gamma");
    }
    // Request all kept events, because verdict and health changed before the first reader connected.
    let begin = one.next().await.id.rsplit_once('-').unwrap().0.to_owned();
    let mut all = running.stream("?events=verdict,health", Some(&format!("{begin}-0"))).await;
    assert_eq!(keys(&all.next_of("health").await.data), ["status", "reasons"]);
    while all.next_of("verdict").await.data["state"] != "server_wrong" {}
    assert_problem(&running.get("/api/v1/stream?events=everything").await, 400);
    running.stop().await;
}
