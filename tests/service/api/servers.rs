//! The list of servers and the verdict.

use super::*;

#[actix_rt::test]
async fn row_of_the_list_has_every_key_even_if_unknown() {
    let running = three().await;
    let body = running.get("/api/v1/servers").await.json();
    assert_eq!(keys(&body), ["as_of", "total", "limit", "offset", "servers"]);
    let expected = [
        "id",
        "name",
        "address",
        "tags",
        "state",
        "outcome",
        "reason",
        "class",
        "blamed",
        "kind",
        "gap_s",
        "since",
        "sentence",
        "offset_s",
        "delay_s",
        "jitter_s",
        "root_distance_s",
        "interval",
        "reach",
        "stratum",
        "leap",
        "refid",
        "root_delay_s",
        "root_dispersion_s",
        "reference_age_s",
        "precision_s",
        "poll_s",
        "timestamping",
        "authentication",
        "nts",
        "score",
        "success",
        "consecutive_failures",
        "polls",
        "outcomes",
        "rejected_replies",
        "last_poll",
        "last_seen",
        "sparkline",
    ];
    for row in body["servers"].as_array().unwrap() {
        assert_eq!(keys(row), expected);
        assert_eq!(keys(&row["success"]["week"]), ["ok", "polls", "ratio"]);
    }
    let row = |name: &str| body["servers"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    let liar = row("liar");
    let root_distance_s = liar["root_distance_s"].as_f64().unwrap();
    assert!((liar["offset_s"].as_f64().unwrap() - 0.08).abs() <= root_distance_s, "{liar}");
    let (low, high) = (liar["interval"]["low_s"].as_f64().unwrap(), liar["interval"]["high_s"].as_f64().unwrap());
    assert!((high - low - 2.0 * root_distance_s).abs() < 1e-12, "{liar}");
    let silent = row("silent");
    assert_eq!((&silent["state"], &silent["outcome"]), (&json!("unreachable"), &json!("timeout")));
    assert_eq!(
        (&silent["offset_s"], &silent["interval"], &silent["reach"]),
        (&json!(null), &json!(null), &json!("000"))
    );
    assert_eq!(silent["sparkline"][0], json!(null));
    running.stop().await;
}

#[actix_rt::test]
async fn wrong_server_is_named_in_verdict_and_list() {
    let running = three().await;
    let found = |answer: &Answer| answer.json()["state"] == "server_wrong";
    let verdict = running.get_until("/api/v1/verdict", found).await.json();
    let expected = [
        "as_of",
        "state",
        "since",
        "confidence",
        "local",
        "servers",
        "majority",
        "reason",
        "assumption",
        "independence",
        "sentence",
    ];
    assert_eq!(keys(&verdict), expected);
    let wrong = running.get_until("/api/v1/servers?state=wrong", |a| a.json()["total"] == 1).await;
    let row = &wrong.json()["servers"][0];
    assert_eq!((&row["name"], &row["class"], &row["blamed"]), (&json!("liar"), &json!("falseticker"), &json!(true)));
    assert!(row["gap_s"].as_f64().unwrap() > 0.07, "{row}");
    let local = running.get("/api/v1/local").await.json();
    assert_eq!(keys(&local), ["as_of", "verdict", "kernel", "daemon", "distrust", "leap"]);
    let stored = |answer: &Answer| !answer.json()["events"].as_array().unwrap().is_empty();
    let events = running.get_until("/api/v1/events?server=liar", stored).await.json();
    assert_eq!(keys(&events), ["from", "to", "events"]);
    let expected = ["id", "kind", "server", "address", "start", "end", "detail", "sentence"];
    assert_eq!(keys(&events["events"][0]), expected);
    assert_eq!(running.get("/api/v1/events?kind=machine_restart").await.json()["events"], json!([]));
    running.stop().await;
}

#[actix_rt::test]
async fn verdict_and_health_leave_servers_out_when_asked() {
    let running = three().await;
    let found = |answer: &Answer| answer.json()["state"] == "server_wrong";
    let blamed = running.get_until("/api/v1/verdict?servers=blamed", found).await.json();
    let named: Vec<_> = blamed["servers"].as_array().unwrap().iter().map(|one| &one["server"]).collect();
    assert_eq!(named.len(), 1, "{blamed}");
    assert!(named[0].as_str().unwrap().starts_with("liar"), "{blamed}");
    assert_eq!(running.get("/api/v1/verdict?servers=some").await.status, 400);
    let listed = async |path: &str| running.get(path).await.json()["servers"].as_array().unwrap().len();
    assert_eq!(listed("/health?servers=false").await, 0);
    assert!(listed("/health?check=of-a-proxy").await > 0, "a proxy may add parameters of its own");
    running.stop().await;
}

#[actix_rt::test]
async fn lists_are_filtered_sorted_and_cut_into_pages() {
    let running = three().await;
    let of = async |query: &str| running.get(&format!("/api/v1/servers?{query}")).await;
    assert_eq!(names(&of("q=ALPH").await), ["alpha"]);
    assert_eq!(names(&of("tag=site:even&q=a").await), ["beta", "liar"]);
    assert_eq!(names(&of("tag=nothing").await), Vec::<String>::new());
    assert_eq!(names(&of("sort=-magnitude&limit=1").await), ["liar"]);
    assert_eq!(names(&of("sort=offset").await).last().unwrap(), "silent", "what is not known comes last");
    assert_eq!(names(&of("sort=-offset").await).last().unwrap(), "silent", "in both directions");
    assert_eq!(names(&of("sort=name&limit=2&offset=2").await), ["beta", "gamma"]);
    let page = of("limit=2&offset=5").await.json();
    assert_eq!((&page["total"], page["servers"].as_array().unwrap().len()), (&json!(6), 1));
    for bad in ["state=good", "sort=colour", "limit=0", "limit=10001", "limit=-1", "offset=x", "token=secret"] {
        assert_problem(&of(bad).await, 400);
    }
    running.stop().await;
}

#[actix_rt::test]
async fn only_a_configured_name_finds_a_server() {
    let running = three().await;
    let escaped: String = NASTY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let body = running.get(&format!("/api/v1/servers/{escaped}")).await.json();
    assert_eq!(body["name"], NASTY);
    let body = running.get("/api/v1/servers/alpha").await.json();
    assert_eq!(keys(&body), ["as_of", "name", "tags", "settings", "series"]);
    let expected = [
        "host",
        "port",
        "own",
        "poll_interval_s",
        "timeout_s",
        "engine",
        "family",
        "addresses",
        "samples_per_poll",
        "offset_warning_s",
        "offset_critical_s",
        "paused",
    ];
    assert_eq!(keys(&body["settings"]), expected);
    let address = body["series"][0]["address"].as_str().unwrap();
    let same = running.get(&format!("/api/v1/servers/alpha@{address}")).await.json();
    assert_eq!(same["series"][0]["address"], address);
    for path in ["nobody", "alpha@127.0.0.1:1", "alpha@", "@", "..", "%00", "%2e%2e%2fversion", "alpha/nothing"] {
        assert_eq!(running.get(&format!("/api/v1/servers/{path}")).await.status, 404, "{path}");
    }
    for what in ["samples", "stats", "stability", "evidence"] {
        assert_problem(&running.get(&format!("/api/v1/servers/nobody/{what}")).await, 404);
        assert_eq!(running.get(&format!("/api/v1/servers/{escaped}/{what}")).await.status, 200, "{what}");
    }
    running.stop().await;
}
