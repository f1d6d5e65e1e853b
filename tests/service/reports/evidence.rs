//! Traceability and availability.

use super::*;

/// An hour of three servers that agree, one that is 40 ms off, and one that is never synchronised.
fn hour_of_five() -> Vec<Sample> {
    let polls = |minute: i64| {
        let good = ["a", "b", "c"].map(|name| measured(name, minute, 1e-4, 0.004));
        let address = |n: u8| Some(format!("192.0.2.{n}:123").parse().unwrap());
        let good = good.into_iter().zip(2..).map(move |(sample, n)| Sample { address: address(n), ..sample });
        let wrong = Sample { address: address(6), ..measured("wrong", minute, 0.04, 0.004) };
        let unset = Sample { outcome: Outcome::Unsynchronised(None), lost: 0, ..failed("unset", minute) };
        good.chain([wrong, Sample { address: address(7), ..unset }]).collect::<Vec<_>>()
    };
    (0..60).flat_map(polls).collect()
}

#[test]
fn wrong_and_unsynchronised_servers_are_no_evidence() {
    let (_dir, path) = small(hour_of_five());
    let span = ["--from", "2026-11-01", "--to", "2026-11-01T01:00:00Z"];
    let report = |form: &str| told(&path, &[&["report", "--format", form], &span[..]].concat());
    let json: Value = serde_json::from_str(&report("json")).unwrap();
    let standing = |name: &str| json["servers"][name]["standing"]["state"].as_str().unwrap().to_owned();
    assert_eq!(["a", "wrong", "unset"].map(standing), ["not_found_wrong", "wrong", "unsynchronised"]);
    let shares = &json["traceability"]["servers"]["wrong"];
    assert!(shares["within"].as_f64() < Some(0.2) && shares["found_wrong"].as_f64() > Some(0.8), "{shares}");
    assert_eq!(json["traceability"]["servers"]["unset"]["unshown"], 1.0);
    assert!(json["traceability"]["majority"]["within"].as_f64() > Some(0.5), "three of five agree");
    for form in ["html", "text", "csv"] {
        let told = report(form);
        assert!(told.contains("unsynchronised in all 60 polls, so it was not judged"), "{form}: {told}");
        assert!(told.contains("proven") && !told.contains("not blamed"), "{form}: {told}");
    }
    let stats = told(&path, &[&["stats"], &span[..]].concat());
    assert!(stats.contains("unset: unsynchronised in all 60 polls"), "{stats}");
}

#[test]
fn unmonitored_days_are_reported() {
    let (_dir, path) = small(hour_of_five());
    let span = ["--from", "2026-10-05", "--to", "2026-11-01T01:00:00Z"];
    let found: Value = serde_json::from_str(&told(&path, &[&["stats", "--json"], &span[..]].concat())).unwrap();
    let coverage = |key: &str| found["coverage"][key].as_f64().unwrap();
    assert_eq!((found["from"].as_str(), coverage("unmonitored_s")), (Some("2026-10-05T00:00:00Z"), 27.0 * 86_400.0));
    assert_eq!((coverage("monitored_s"), coverage("future_s")), (3600.0, 0.0));
    for form in ["html", "text"] {
        let told = told(&path, &[&["report", "--format", form], &span[..]].concat());
        assert!(told.contains("Monitored for 1 h of 27 d 1 h (0.15 %); no server was polled for 27 d (99.85 %)."));
        assert!(told.contains("2026-10-05 00:00 UTC to 2026-11-01 01:00 UTC"), "{form}");
        assert!(told.contains("99.85 %"), "{form}");
    }
}

#[test]
fn future_is_not_expected() {
    let (_dir, path) = small(hour_of_five());
    let reader = Reader::open(&path).unwrap();
    let span = Span { from_ns: T0, to_ns: T0 + 20 * 3600 * S };
    let request = Request { now_ns: T0 + 3600 * S, ..Request::default() };
    let found = survey(&reader, span, &request, &mut |_, _| ()).unwrap();
    assert_eq!((found.coverage.expected_s, found.coverage.unmonitored_s), (3600.0, 0.0));
    assert_eq!(found.coverage.future_s, 19.0 * 3600.0);
    let order = Order { span, servers: Vec::new(), limit_s: 0.1, vantage: None, zone: TimeZone::UTC };
    let text = make(&reader, order, T0 + 3600 * S, &mut |_, _| ()).unwrap().text();
    assert!(text.contains("Monitored for all of 1 h. 19 h of the period are in the future."), "{text}");
    let said = complaint(&path, &["report", "--from", "2126-01-01", "--to", "2126-01-02"]);
    assert!(said.contains("1 d of the period are in the future"), "{said}");
}

#[test]
fn single_server_is_not_shown_right_by_a_majority() {
    let (_dir, path) = small((0..120).map(|n| measured("a", n, 1e-4, 0.004)));
    let span = ["--from", "2026-11-01", "--to", "2026-11-01T02:00:00Z"];
    let text = told(&path, &[&["report", "--format", "text"], &span[..]].concat());
    assert!(text.contains("not shown: a majority needs three servers"), "{text}");
    assert!(text.contains("a: not judged") || text.contains("not judged: there was no majority"), "{text}");
    assert!(text.contains("No clock was judged"), "{text}");
}

#[test]
fn selected_server_is_judged_with_all_servers() {
    let (_dir, path) = &a_week();
    let reader = Reader::open(path).unwrap();
    let span = Span { from_ns: 0, to_ns: i64::MAX };
    let request = Request { servers: vec!["ntp2".to_owned()], taus_s: None, now_ns: T0 };
    let found = survey(&reader, span, &request, &mut |_, _| ()).unwrap();
    assert_eq!(found.servers.keys().collect::<Vec<_>>(), ["ntp2"]);
    assert!(found.accuses("ntp2") && !found.accuses("ntp5"));
}

#[test]
fn error_older_than_the_span_does_not_begin_with_it() {
    let (_dir, path) = small(hour_of_five());
    let verdicts = |from: &str| {
        let found = told(&path, &["stats", "--json", "--from", from, "--to", "2026-11-01T01:00:00Z"]);
        serde_json::from_str::<Value>(&found).unwrap()["verdicts"].to_string()
    };
    let (part, whole) = (verdicts("2026-11-01T00:30:00Z"), verdicts("2026-11-01"));
    assert!(part.contains("since the beginning of the span or before") && !part.contains("since 2026"), "{part}");
    assert!(whole.contains("since 2026") && !whole.contains("beginning of the span"), "{whole}");
}

#[test]
fn verdicts_say_that_the_clock_of_this_host_was_unreliable() {
    let (dir, path) = small(hour_of_five());
    let store = Store::open(options(dir.path()), &slog::Logger::root(slog::Discard, slog::o!())).unwrap();
    let kernel = KernelState {
        synchronised: false,
        max_error_s: 1.0,
        est_error_s: 1.0,
        frequency_ppm: 0.0,
        tai_offset_s: None,
        leap_pending: 0,
    };
    let state = LocalState { kernel: Some(kernel), ..LocalState::default() };
    let row = Box::new(LocalRow::of(T0 - S, "", &state, &LeapSource::default()));
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    store.writer(None).command(Command::LocalRow { row, reply });
    answer.try_recv().unwrap().unwrap();
    drop(store);
    let span = ["--from", "2026-11-01", "--to", "2026-11-01T01:00:00Z"];
    for command in [&["stats"][..], &["report", "--format", "text"], &["report", "--format", "html"]] {
        let said = told(&path, &[command, &span[..]].concat());
        let plain = said.replace("&#39;", "'").replace("&#x27;", "'");
        assert!(plain.contains("This host's clock is not reliable"), "{command:?}: {said}");
    }
}
