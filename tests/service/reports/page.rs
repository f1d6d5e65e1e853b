//! The report as a page and as mail.

use super::*;

#[test]
fn markup_in_a_name_is_escaped_everywhere() {
    let name = "<script>alert('x')</script>&\"\u{1b}[2J";
    let (_dir, path) = small((0..120).map(|n| measured(name, n, 1e-3, 0.02)));
    for kind in KINDS {
        let svg = told(&path, &[&["plot", kind], &DAY[..]].concat());
        resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
        assert!(!svg.contains("<script") && !svg.contains('\u{1b}'), "{kind}");
    }
    let html = told(&path, &[&["report"], &DAY[..]].concat());
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;") && !html.contains('\u{1b}'));
    assert!(!told(&path, &[&["stats"], &DAY[..]].concat()).contains('\u{1b}'));
}

#[test]
fn report_is_self_contained_and_names_wrong_servers() {
    let (_dir, path) = &a_week();
    let html = told(path, &[&["report"], &WEEK_SPAN[..]].concat());
    for forbidden in ["<script", "src=", "<link", "@import", "url("] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    let elsewhere = html.split("http").skip(1).filter(|rest| !rest.starts_with("://www.w3.org/2000/svg"));
    assert_eq!(elsewhere.count(), 0, "nothing is fetched");
    for said in [
        "5 servers, ",
        "ntp2 is wrong by at least",
        "clock within 100 ms",
        "clock: step, by at least",
        "path: asymmetry",
        "more than half of the servers",
        "loss burst",
        "How each number is defined",
        "prefers-color-scheme:dark",
    ] {
        assert!(html.contains(said), "{said}");
    }
    // Six of all servers, two of each.
    assert_eq!(html.matches("<svg ").count(), 16);
    let strict = told(path, &[&["report", "--limit", "1ms"], &WEEK_SPAN[..]].concat());
    assert!(strict.contains("for 0.00 % of the time"));
}

/// Records alerts as the alerter does: one in the middle of the week, one that lasts, and one long before.
fn with_alerts(dir: &Path, world: &ntp_monitor_core::world::World) {
    let at = |hours: i64| jiff::Timestamp::from_second(world.start_unix_s + hours * 3600).unwrap();
    let past = |server: &str, from: i64, until: Option<i64>| Past {
        alert: "failing-queries".to_owned(),
        severity: Severity::Warning,
        server: Some(server.to_owned()),
        value: Some(5.0),
        summary: format!("{server} gives no time <&>"),
        started_at: at(from),
        fired_at: at(from),
        ended_at: until.map(at),
        end: until.map(|_| End::Clear),
        held_by: None,
    };
    let history = vec![past("ntp4", 120, Some(132)), past("ntp2", 150, None), past("ntp1", -100, Some(-99))];
    let record = AlertRecord { history, ..AlertRecord::default() };
    let store = Store::open(options(dir), &slog::Logger::root(slog::Discard, slog::o!())).unwrap();
    let command = AlertCommand::Record(Box::new(record));
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    store.writer(None).command(Command::Alerts { command, reply });
    answer.try_recv().unwrap().unwrap();
}

#[test]
fn report_lists_the_alerts_of_its_span() {
    let dir = tempfile::tempdir().unwrap();
    let world = week();
    let path = store(options(dir.path()), world.samples());
    with_alerts(dir.path(), &world);
    let html = told(&path, &[&["report"], &WEEK_SPAN[..]].concat());
    let table = html.split("<h2>Alerts</h2>").nth(1).unwrap().split("</table>").next().unwrap();
    let rows: Vec<&str> = table.split("<tr>").skip(1).collect();
    assert_eq!(rows.len(), 2, "{table}");
    for (row, server, from, until) in [
        (rows[0], "ntp4", "2026-03-02 06:13", "2026-03-02 18:13"),
        (rows[1], "ntp2", "2026-03-03 12:13", "still firing"),
    ] {
        for said in [&format!("{server} gives no time &lt;&amp;&gt;"), "failing-queries", "warning", from, until] {
            assert!(row.contains(said), "{said} in {row}");
        }
    }
    assert!(html.contains("2 alerts,"));
    let before = told(&path, &["report", "--from", "2026-02-26", "--to", "2026-02-27"]);
    assert!(before.contains("No alert,") && !before.contains("gives no time"));
}

#[test]
fn mail_has_an_image_for_every_reference_and_no_svg() {
    let (_dir, path) = &a_week();
    let reader = Reader::open(path).unwrap();
    let span = Span { from_ns: 1_771_977_600 * S, to_ns: 1_772_668_800 * S };
    let order = Order { span, servers: vec!["ntp1".to_owned()], limit_s: 0.1, vantage: None, zone: TimeZone::UTC };
    let report = make(&reader, order, T0, &mut |_, _| ()).unwrap().report("k".to_owned());
    let ids: Vec<&str> = report.html.split("cid:").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids, report.pictures.iter().map(|picture| picture.id.as_str()).collect::<Vec<_>>());
    assert!(ids.len() == 8 && report.pictures.iter().all(|picture| picture.png.starts_with(b"\x89PNG")));
    assert!(!report.html.contains("<svg") && report.text.contains("ntp1:") && report.summary.contains("1 server, "));
}

#[test]
fn report_has_its_times_in_the_configured_zone() {
    let (dir, path) = &a_week();
    let config = dir.path().join("c.toml");
    let text = "[[server]]\naddress = \"192.0.2.1\"\n[report]\ntimezone = \"Asia/Tokyo\"\n";
    std::fs::write(&config, text).unwrap();
    let html = told(path, &[&["report", "--config", config.to_str().unwrap()], &WEEK_SPAN[..]].concat());
    let reader = Reader::open(path).unwrap();
    let span = Span { from_ns: 1_771_977_600 * S, to_ns: 1_772_668_800 * S };
    let zone = TimeZone::get("Asia/Tokyo").unwrap();
    let order = Order { span, servers: Vec::new(), limit_s: 0.1, vantage: None, zone };
    let mail = make(&reader, order, T0, &mut |_, _| ()).unwrap().report("k".to_owned());
    for text in [&html, &mail.html, &mail.text] {
        assert!(text.contains("Times are in Asia/Tokyo") && text.contains(" JST ("), "{text}");
        assert!(!text.contains(":00 UTC to"), "a time without the zone");
    }
}
