//! Samples, statistics and evidence of series.

use super::*;

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
async fn host_clock_has_a_history_of_points_or_steps() {
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
