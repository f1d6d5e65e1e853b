//! Alerts across restarts, clock changes and changes of the rules.

use super::*;

/// The notifications when the engine is rebuilt at `restart`, as after a kill of the process.
fn told_across(bench: &Bench, restart: i64, lost: impl Fn(i64) -> Lost, silences: &[Silence]) -> Vec<(String, Status)> {
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    engine.set_silences(silences.to_vec());
    let (mut outcomes, mut told) = (Vec::new(), Vec::new());
    for s in (0..6000).step_by(10) {
        if s == restart {
            engine = Engine::new(Rulebook::built_in(), at(s));
            let gone = engine.restore(at(s), remembered(&outcomes));
            assert!(gone.is_empty());
            engine.set_silences(silences.to_vec());
        }
        let outcome = bench.step_at(&mut engine, at(s), lost(s));
        told.extend(outcome.notifications.iter().map(|it| (it.notification.alert.clone(), it.notification.status)));
        outcomes.push(outcome);
    }
    assert!(remembered(&outcomes).is_empty(), "restart at {restart}");
    told
}

fn pair(alert: &str) -> [(String, Status); 2] {
    [Status::Firing, Status::Resolved].map(|status| (alert.to_owned(), status))
}

#[test]
fn restart_at_any_moment_repeats_and_loses_no_message() {
    let bench = Bench::new();
    let lost = |s: i64| if (100..2000).contains(&s) { FIRST } else { NONE_LOST };
    for restart in (0..3000).step_by(50) {
        assert_eq!(told_across(&bench, restart, lost, &[]), pair("failing-queries"), "restart at {restart}");
    }
}

/// The store may lack polls that ended shortly before a kill.
#[test]
fn restored_alert_ends_only_after_its_server_was_polled() {
    let bench = Bench::new();
    for (restart, ends) in [(1000, 1), (100_000, 0)] {
        let mut before = Engine::new(Rulebook::built_in(), at(0));
        let outcomes: Vec<_> = (0..600).step_by(10).map(|s| bench.step_at(&mut before, at(s), FIRST)).collect();
        let mut engine = Engine::new(Rulebook::built_in(), at(restart));
        assert!(engine.restore(at(restart), remembered(&outcomes)).is_empty());
        let told = bench.run(&mut engine, restart..restart + 400, NONE_LOST);
        let resolved = told.iter().filter(|(_, it)| it.status == Status::Resolved).count();
        assert_eq!(resolved, ends, "restart at {restart}");
    }
}

#[test]
fn restart_during_a_silence_keeps_the_alert_silent() {
    let bench = Bench::new();
    let lost = |s: i64| if (100..4000).contains(&s) { FIRST } else { NONE_LOST };
    for restart in (0..5000).step_by(100) {
        let told = told_across(&bench, restart, lost, &[silence(0, 2000)]);
        assert_eq!(told, pair("failing-queries"), "restart at {restart}");
        let told = told_across(&bench, restart, lost, &[silence(0, 6000)]);
        assert_eq!(told, [], "restart at {restart}: no resolution is sent for an alert that was never sent");
    }
}

#[test]
fn restart_while_inhibited_notifies_about_the_cause_only() {
    let bench = Bench::new();
    let lost = |s: i64| if (100..2000).contains(&s) { ALL } else { NONE_LOST };
    for restart in (0..3000).step_by(100) {
        assert_eq!(told_across(&bench, restart, lost, &[]), pair("monitor-blind"), "restart at {restart}");
    }
}

#[test]
fn clock_step_changes_no_pending_or_firing_alert() {
    let bench = Bench::new();
    for jump_s in [-7200, -30, 30, 7200, 86_400 * 365] {
        for set_at in [150, 400] {
            let mut engine = Engine::new(Rulebook::built_in(), at(0));
            let mut told = Vec::new();
            for s in (0..2000).step_by(10) {
                let wall_ns = at(s).wall_ns + if s >= set_at { jump_s * 1_000_000_000 } else { 0 };
                let outcome =
                    bench.step_at(&mut engine, Stamp { wall_ns, ..at(s) }, if s < 1000 { FIRST } else { NONE_LOST });
                told.extend(outcome.notifications.into_iter().map(|it| (s, it.notification.status)));
            }
            let expected = [(330, Status::Firing), (1330, Status::Resolved)];
            assert_eq!(told, expected, "set by {jump_s} s at {set_at}");
        }
    }
}

#[test]
fn a_rule_removed_while_stopped_resolves_sent_alerts() {
    let bench = Bench::new();
    let spec = RuleSpec { notify: Some(vec!["ops".to_owned()]), ..rule("failing-queries") };
    let book = |enabled| {
        let spec = RuleSpec { enabled, ..spec.clone() };
        Rulebook { rules: vec![Arc::new(Rule::compile(spec).unwrap())], ..Rulebook::default() }
    };
    for (until, is_sent) in [(320, false), (400, true)] {
        let mut engine = Engine::new(book(true), at(0));
        let outcomes: Vec<_> = (0..until).step_by(10).map(|s| bench.step_at(&mut engine, at(s), FIRST)).collect();
        let mut engine = Engine::new(book(false), at(500));
        let outcome = engine.restore(at(500), remembered(&outcomes));
        let ends: Vec<_> = outcome.history.iter().map(|past| (past.alert.as_str(), past.end)).collect();
        assert_eq!(ends, [("failing-queries", Some(End::Gone))]);
        let told: Vec<_> = outcome.notifications.iter().map(|it| (it.notify.clone(), it.notification.status)).collect();
        assert_eq!(told, if is_sent { vec![(spec.notify.clone(), Status::Resolved)] } else { Vec::new() });
        assert!(remembered(&[&outcomes[..], &[outcome]].concat()).is_empty());
    }
}

#[test]
fn new_name_of_the_monitor_ends_alerts_under_the_old_one() {
    let bench = Bench::new();
    let book = |name: &str| book_at_once(Settings { vantage: name.to_owned(), ..without_grace() }, "x");
    let mut old = Engine::new(book("old"), at(0));
    let outcomes: Vec<_> = (0..100).step_by(10).map(|s| bench.step_at(&mut old, at(s), FIRST)).collect();
    let mut new = Engine::new(book("new"), at(0));
    for outcome in [new.restore(at(200), remembered(&outcomes)), old.reconfigure(at(200), book("new"))] {
        let [it] = &outcome.notifications[..] else { panic!("{outcome:?}") };
        let it = &it.notification;
        assert_eq!((it.status, it.vantage.as_str()), (Status::Resolved, "old"));
        assert!(it.description.contains("is now called \"new\""), "{}", it.description);
        assert!(remembered(&[&outcomes[..], std::slice::from_ref(&outcome)].concat()).is_empty());
    }
    for engine in [&mut new, &mut old] {
        let again = bench.run(engine, 200..300, FIRST);
        assert_eq!((again[0].1.status, again[0].1.vantage.as_str()), (Status::Firing, "new"));
    }
}

#[test]
fn a_rule_that_is_taken_away_ends_its_alerts() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    bench.run(&mut engine, 0..600, FIRST);
    let outcome = engine.reconfigure(at(600), Rulebook::default());
    let told: Vec<_> =
        outcome.notifications.iter().map(|it| (it.notification.alert.as_str(), it.notification.status)).collect();
    assert_eq!(told, [("failing-queries", Status::Resolved)]);
    assert!(engine.status().active.is_empty());
}
