//! Alerts of hubs and of agents.

use super::*;

#[test]
fn only_the_hub_with_the_lease_notifies_about_the_fleet() {
    let bench = Bench::new();
    let mut book = Rulebook::built_in();
    book.settings.fleet = Some("ntpm".to_owned());
    let (mut one, mut two) = (Engine::new(book.clone(), at(0)), Engine::new(book, at(0)));
    let what = |told: Vec<(i64, Notification)>| -> Vec<(String, Status)> {
        assert!(told.iter().all(|(_, it)| it.fleet.as_deref() == Some("ntpm")), "{told:?}");
        told.into_iter().map(|(_, it)| (it.alert, it.status)).collect()
    };
    let begun = vec![("vantage-silent".to_owned(), Status::Firing)];
    assert_eq!(what(bench.run_hub(&mut one, 0..400, true, 1)), begun);
    assert_eq!(what(bench.run_hub(&mut two, 0..400, false, 1)), []);
    // The second hub takes over and notifies again, because the first may not have.
    assert_eq!(what(bench.run_hub(&mut one, 400..40_000, false, 1)), [], "no reminder either");
    assert_eq!(what(bench.run_hub(&mut two, 400..800, true, 1)), begun);
    assert_eq!(what(bench.run_hub(&mut one, 40_000..42_000, false, 0)), []);
    assert_eq!(what(bench.run_hub(&mut two, 800..2800, true, 0)), [("vantage-silent".to_owned(), Status::Resolved)]);
}

/// The notifications of an agent while servers are lost; it has a hub until `hub_until_s`.
fn told_by_agent(bench: &Bench, hub_until_s: i64, span: std::ops::Range<i64>, lost: Lost) -> Vec<(i64, Notification)> {
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    let (begun, mut told) = (tokio::time::Instant::now(), Vec::new());
    let after = |s: i64| begun + Duration::from_secs(s.cast_unsigned());
    for s in span.step_by(10) {
        let heard = Some(after(s.min(hub_until_s)));
        let names = bench.servers.iter().map(|server| server.name.to_string());
        let silence = quiet::left(begun, heard, after(s)).map(|left| {
            let now = jiff::Timestamp::from_nanosecond(at(s).wall_ns.into()).unwrap();
            Silence {
                id: 0,
                alert: None,
                servers: names.collect(),
                comment: String::new(),
                created_by: "fleet".to_owned(),
                starts_at: now,
                ends_at: now + left,
            }
        });
        engine.set_silences(silence.into_iter().collect());
        let step = bench.step_at(&mut engine, at(s), lost).notifications;
        told.extend(step.into_iter().map(|it| (s, it.notification)));
    }
    told
}

#[test]
fn agent_notifies_ten_minutes_after_its_hub_is_lost() {
    let bench = Bench::new();
    assert!(told_by_agent(&bench, 7200, 0..7200, FIRST).is_empty(), "the hub notifies");
    let alone = told_by_agent(&bench, 3600, 0..7200, FIRST);
    assert_eq!((seconds(&alone), &*alone[0].1.alert), (vec![3600 + 600 + 30], "failing-queries"));
    let blind = told_by_agent(&bench, 7200, 0..7200, ALL);
    assert_eq!(blind.iter().map(|(_, it)| &*it.alert).collect::<Vec<_>>(), ["monitor-blind"], "it is about itself");
}
