//! The HTTP API as its users see it: shapes, filters, limits and errors, over a real socket.
use crate::common::service::{Answer, Running};
use ntp_monitor::sim::{ReplyKind, Script};
use serde_json::{Value, json};

const NASTY: &str = "<script>alert('1')</script> a/b?c#d%2F@é";

async fn three() -> Running {
    let scripts = [
        ("alpha", Script::good()),
        ("beta", Script::good().replying([ReplyKind::WrongOrigin, ReplyKind::Good])),
        ("gamma", Script::good()),
        ("liar", Script::good().offset_ns(80_000_000)),
        ("silent", Script::silent()),
        (NASTY, Script::good()),
    ];
    let running = Running::start(&scripts, json!({})).await;
    running.polled(4).await;
    running
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    body["servers"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

/// RFC 9457: the media type, and what the document has to say.
fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body = answer.json();
    assert_eq!((keys(&body), &body["status"]), (vec!["type", "title", "status", "detail"], &json!(status)));
}

#[actix_rt::test]
async fn the_version_and_configuration_are_shown() {
    let running = three().await;
    let version = running.get("/api/v1/version").await.json();
    assert_eq!(keys(&version), ["name", "version", "api", "vantage", "started", "fleet_hub"]);
    assert_eq!((&version["name"], &version["vantage"]), (&json!("ntp-monitor"), &json!("here")));
    let config = running.get("/api/v1/config").await.json();
    assert_eq!(keys(&config), ["values", "sources"]);
    assert_eq!(config["values"]["http"]["listen"], "127.0.0.1:0");
    assert_eq!(config["sources"]["store.raw_for"], "default");
    running.stop().await;
}

#[actix_rt::test]
async fn a_row_of_the_list_has_every_key_whether_known_or_not() {
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
async fn the_liar_is_found_in_the_verdict_and_in_the_list() {
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
async fn any_configured_name_finds_its_server_and_nothing_else_does() {
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

/// The fields of a sample.
const SAMPLE: [&str; 15] = [
    "time",
    "address",
    "outcome",
    "reason",
    "offset_s",
    "delay_s",
    "root_distance_s",
    "stratum",
    "leap",
    "refid",
    "poll_s",
    "timestamping",
    "authentication",
    "reference_age_s",
    "mode",
];

#[actix_rt::test]
async fn samples_come_at_the_resolution_that_fits() {
    let running = three().await;
    let some = |answer: &Answer| !answer.json()["samples"].as_array().unwrap().is_empty();
    let raw = running.get_until("/api/v1/servers/alpha/samples", some).await.json();
    assert_eq!(keys(&raw), ["from", "to", "resolution", "step_s", "samples"]);
    assert_eq!((&raw["resolution"], &raw["step_s"]), (&json!("raw"), &json!(null)));
    assert_eq!(keys(&raw["samples"][0]), SAMPLE);
    let hourly = running.get("/api/v1/servers/alpha/samples?from=-20y&step=1h").await.json();
    assert_eq!(hourly["resolution"], "1h");
    let expected = [
        "time",
        "address",
        "timestamping",
        "polls",
        "successes",
        "offset_s",
        "offset_min_s",
        "offset_max_s",
        "offset_stddev_s",
        "delay_s",
        "delay_min_s",
        "delay_max_s",
        "root_distance_s",
        "root_distance_max_s",
    ];
    assert_eq!(keys(&hourly["samples"][0]), expected);
    let five = running.get("/api/v1/servers/silent/samples?from=-1h&step=300").await.json();
    assert_eq!(
        (&five["resolution"], &five["step_s"], &five["samples"][0]["offset_s"]),
        (&json!("5m"), &json!(300), &json!(null))
    );
    let bad = [
        "from=now",
        "from=now&to=-1h",
        "from=-100y",
        "from=1900-01-01T00:00:00Z",
        "from=soon",
        "step=0",
        "step=-1s",
        "step=0s",
        "to=",
        "span=1h",
    ];
    for bad in bad {
        assert_problem(&running.get(&format!("/api/v1/servers/alpha/samples?{bad}")).await, 400);
    }
    running.stop().await;
}

#[actix_rt::test]
async fn the_own_clock_has_a_history_of_points_or_of_steps() {
    let running = three().await;
    let some = |answer: &Answer| !answer.json()["points"].as_array().unwrap().is_empty();
    let each = running.get_until("/api/v1/local/history", some).await.json();
    assert_eq!((keys(&each), &each["step_s"]), (vec!["from", "to", "step_s", "points", "changes"], &json!(null)));
    let expected = [
        "time",
        "n",
        "estimate_s",
        "low_s",
        "high_s",
        "bound_s",
        "trusted",
        "kernel_synchronised",
        "frequency_ppm",
        "frequency_min_ppm",
        "frequency_max_ppm",
        "max_error_s",
        "est_error_s",
        "daemon_offset_s",
        "daemon_bound_s",
        "wall_less_raw_s",
    ];
    let point = &each["points"][0];
    assert_eq!((keys(point), &point["n"]), (expected.to_vec(), &json!(1)));
    let of = |key: &str| point[key].as_f64().unwrap();
    assert!((of("high_s") - of("low_s") - 2.0 * of("bound_s")).abs() < 1e-12, "{point}");
    assert!(of("low_s") <= of("estimate_s") && of("estimate_s") <= of("high_s"), "{point}");
    let hourly = running.get("/api/v1/local/history?from=-20y&step=1h").await.json();
    assert_eq!((&hourly["step_s"], keys(&hourly["points"][0])), (&json!(3600), expected.to_vec()));
    assert_eq!(running.get("/api/v1/local/history?from=-20y&to=-1y").await.json()["points"], json!([]));
    let past = "/api/v1/local/history?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";
    let first = running.get(past).await;
    assert_eq!(first.header("cache-control"), "no-cache");
    let again = running.get_with(past, &[("If-None-Match", first.header("etag"))]).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    for bad in ["from=now&to=-1h", "from=-100y", "from=soon", "step=0", "step=-1s", "to=", "span=1h", "window=1h"] {
        assert_problem(&running.get(&format!("/api/v1/local/history?{bad}")).await, 400);
    }
    running.stop().await;
}

#[actix_rt::test]
async fn history_of_several_servers_comes_in_columns() {
    let running = three().await;
    let polled = |answer: &Answer| answer.json()["series"][0]["time"].as_array().is_some_and(|times| times.len() > 5);
    let body = running.get_until("/api/v1/history?id=alpha&id=silent&from=-5m", polled).await.json();
    assert_eq!(keys(&body), ["from", "to", "left_out", "series"]);
    let ids: Vec<_> = body["series"].as_array().unwrap().iter().map(|series| series["id"].clone()).collect();
    assert_eq!(ids, ["alpha", "silent"]);
    let alpha = &body["series"][0];
    for column in ["polls", "samples", "offset_s", "offset_min_s", "root_distance_s", "delay_s", "jitter_s", "score"] {
        let lengths = [column, "time"].map(|name| alpha[name].as_array().map(Vec::len));
        assert!(lengths[0].is_some() && lengths[0] == lengths[1], "{column}: {alpha}");
    }
    assert!(alpha["step_s"].is_null() && alpha["began"].is_string() && alpha["offset_s"][0].is_f64(), "{alpha}");
    assert_eq!((&body["series"][1]["offset_s"][0], &body["series"][1]["samples"][0]), (&json!(null), &json!(0)));
    let days = running.get("/api/v1/history?from=-9d&step=1d&of=offset&limit=1").await.json();
    assert_eq!(days["series"][0]["step_s"], json!(86_400));
    assert!(days["left_out"].as_u64() > Some(0) && days["series"].as_array().unwrap().len() == 1, "{days}");
    assert!(days["series"][0]["delay_s"].is_null() && days["series"][0]["time"].as_array().unwrap().len() <= 2);
    assert_eq!(running.get("/api/v1/history?tag=no:such").await.json()["series"], json!([]));
    for bad in ["points=9", "points=many", "of=colour", "limit=0", "step=1s&from=-1d", "from=now", "ids=alpha"] {
        assert_problem(&running.get(&format!("/api/v1/history?{bad}")).await, 400);
    }
    assert_problem(&running.get("/api/v1/history?id=nobody").await, 404);
    let known = running.get("/api/v1/history?id=nobody&id=alpha&of=score").await.json();
    assert_eq!((known["series"].as_array().unwrap().len(), &known["series"][0]["id"]), (1, &json!("alpha")));
    running.stop().await;
}

#[actix_rt::test]
async fn statistics_stability_and_evidence_are_per_series() {
    let running = three().await;
    let enough = |answer: &Answer| answer.json()["series"][0]["stats"]["n"].as_u64() >= Some(12);
    for window in ["5m", "1h", "24h", "7d"] {
        let path = format!("/api/v1/servers/alpha/stats?window={window}");
        let body = running.get_until(&path, enough).await.json();
        assert_eq!(keys(&body), ["window", "from", "to", "series"]);
        let series = &body["series"][0];
        assert_eq!(keys(series), ["name", "address", "stats", "histogram"]);
        let histogram = &series["histogram"];
        let counted: u64 = histogram["counts"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
        let outside = histogram["below"].as_u64().unwrap() + histogram["above"].as_u64().unwrap();
        assert_eq!(counted + outside, series["stats"]["n"].as_u64().unwrap());
    }
    assert_problem(&running.get("/api/v1/servers/alpha/stats?window=1d").await, 400);
    assert_problem(&running.get("/api/v1/servers/alpha/stats?window=1h&from=-1h").await, 400);
    let span = running.get("/api/v1/servers/alpha/stats?from=-30m").await.json();
    assert!(span["window"].is_null() && span["series"][0]["stats"]["n"].as_u64() >= Some(12), "{span}");
    let body = running.get("/api/v1/servers/alpha/stability?taus=0.1,0.2").await.json();
    assert_eq!(keys(&body["series"][0]), ["name", "address", "stability", "reason"]);
    assert!(body["series"][0]["stability"]["oadev"][0].as_f64().unwrap() > 0.0, "{body}");
    assert_problem(&running.get("/api/v1/servers/alpha/stability?taus=0").await, 400);
    let silent = running.get("/api/v1/servers/silent/stability").await.json();
    assert_eq!(silent["series"][0]["stability"], json!(null));
    assert!(silent["series"][0]["reason"].is_string());
    let body = running.get("/api/v1/servers/beta/evidence").await.json();
    let refusal = &body["evidence"][0];
    let expected = ["time", "address", "failed", "explanation", "checks", "sender", "t1", "t2", "t3", "t4", "datagram"];
    assert_eq!((keys(refusal), &refusal["failed"]), (expected.to_vec(), &json!("origin")));
    assert_eq!(keys(&refusal["t1"]), ["ntp", "time"]);
    running.stop().await;
}

#[actix_rt::test]
async fn an_answer_that_the_client_has_is_not_sent_again_and_large_ones_are_compressed() {
    let running = three().await;
    let first = running.get("/api/v1/config").await;
    assert_eq!(first.header("cache-control"), "no-cache");
    let again = running.get_with("/api/v1/config", &[("If-None-Match", first.header("etag"))]).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(again.header("etag"), first.header("etag"));
    let other = running.get_with("/api/v1/config", &[("If-None-Match", "W/\"other\"")]).await;
    assert_eq!(other.status, 200);
    let packed = running.get_with("/api/v1/servers", &[("Accept-Encoding", "identity;q=0.5, gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    running.stop().await;
}

#[actix_rt::test]
async fn what_can_be_got_can_be_asked_for_without_its_body() {
    let running = three().await;
    for path in ["/", "/plain", "/health", "/metrics", "/api/openapi.json", "/api/v1/servers", "/api/v1/stream"] {
        let answer = running.send(reqwest::Method::HEAD, path, &[]).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{path}");
        assert!(!answer.header("content-type").is_empty(), "{path}");
    }
    assert_eq!(running.send(reqwest::Method::HEAD, "/api/v1/servers/nobody", &[]).await.status, 404);
    running.stop().await;
}

#[actix_rt::test]
async fn what_is_not_there_or_not_meant_is_a_problem() {
    let running = three().await;
    assert_problem(&running.get("/api/v1/").await, 404);
    assert_problem(&running.get("/api/v1/nothing").await, 404);
    assert_problem(&running.get("/../../etc/passwd").await, 404);
    assert_problem(&running.get("/nothing").await, 404);
    assert_problem(&running.send(reqwest::Method::DELETE, "/api/v1/servers/alpha", &[]).await, 401);
    assert_problem(&running.send(reqwest::Method::POST, "/health", &[]).await, 405);
    running.stop().await;
}

#[actix_rt::test]
async fn a_reload_shows_at_once_in_the_list_and_in_the_configuration() {
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
async fn the_stream_tells_what_happens_and_goes_on_where_a_reader_left() {
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
async fn the_stream_can_be_narrowed_and_tells_changes_of_verdict_and_health() {
    let running = three().await;
    let mut one = running.stream("?events=sample&server=gamma", None).await;
    for _ in 0..3 {
        assert_eq!(one.next_of("sample").await.data["name"], "gamma");
    }
    // Everything kept is asked for: the verdict and health changed before anybody read.
    let begin = one.next().await.id.rsplit_once('-').unwrap().0.to_owned();
    let mut all = running.stream("?events=verdict,health", Some(&format!("{begin}-0"))).await;
    assert_eq!(keys(&all.next_of("health").await.data), ["status", "reasons"]);
    while all.next_of("verdict").await.data["state"] != "server_wrong" {}
    assert_problem(&running.get("/api/v1/stream?events=everything").await, 400);
    running.stop().await;
}

#[actix_rt::test]
async fn the_plain_page_shows_names_as_text_and_nothing_that_runs() {
    let running = three().await;
    let page = running.get("/plain").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(!page.text.contains("<script>alert"), "a name became an element");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(running.get("/plain.css").await.header("content-type"), "text/css; charset=utf-8");
    for path in ["/assets/../../Cargo.toml", "/..%2f..%2fCargo.toml", "/assets/nothing.js", "//etc/passwd"] {
        let answer = running.get_with(path, &[("Accept", "application/json")]).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    running.stop().await;
}

#[actix_rt::test]
async fn every_documented_path_answers_as_documented() {
    let running = three().await;
    let document = running.get("/api/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 16, "{:?}", paths.keys());
    let readable = paths.iter().filter(|(path, item)| !path.ends_with("/stream") && item.get("get").is_some());
    for (path, item) in readable {
        let documented = |status: u16| item["get"]["responses"].get(status.to_string()).is_some();
        for query in ["", "?unknown=1", "?target=alpha"] {
            let answer = running.get(&format!("{}{query}", path.replace("{id}", "alpha"))).await;
            assert!(documented(answer.status), "{path}{query}: {}", answer.status);
        }
    }
    let docs = running.get("/api/docs").await;
    assert!(docs.text.contains("/api/v1/servers/{id}/stability") && !docs.text.contains("<script"));
    running.stop().await;
}

#[actix_rt::test]
async fn a_token_that_is_sent_is_judged_and_its_hash_is_never_shown() {
    use sha2::Digest;
    let hash: String = sha2::Sha256::digest(b"a token of ours").iter().map(|byte| format!("{byte:02x}")).collect();
    let tokens = json!([{ "name": "page", "role": "operate", "sha256": hash }]);
    let running = Running::start(&[("alpha", Script::good())], json!({ "http": { "tokens": tokens } })).await;
    let with = async |token: &str| {
        let bearer = format!("Bearer {token}");
        running.get_with("/api/v1/config", &[("Authorization", bearer.as_str())]).await
    };
    let shown = with("a token of ours").await;
    assert_eq!(shown.json()["values"]["http"]["tokens"][0]["name"], "page");
    assert!(!shown.text.contains(&hash), "{shown:?}");
    let refused = with("another").await;
    assert_problem(&refused, 401);
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    let known = [("Authorization", "Bearer a token of ours")];
    assert_problem(&running.send(reqwest::Method::DELETE, "/api/v1/servers/alpha", &known).await, 403);
    for _ in 0..9 {
        assert_problem(&with("another").await, 401);
    }
    assert_problem(&with("another").await, 429);
    assert_eq!(with("a token of ours").await.status, 200);
    assert_eq!(running.get("/ready").await.header("content-type"), "application/json");
    running.stop().await;
}
