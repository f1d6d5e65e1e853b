//! Alerts over worlds whose truth is known: a healthy week tells nobody anything, and each fault is told once.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ntp_monitor::alert::docs;
use ntp_monitor::alert::engine::{Engine, Rulebook, Settings};
use ntp_monitor::alert::facts::Observation;
use ntp_monitor::alert::notification::{Notification, Status};
use ntp_monitor::alert::replay::{AlertReplay, AlertReport};
use ntp_monitor::alert::silence::Silence;
use ntp_monitor::alert::status::{Outcome, Saved, Standing};
use ntp_monitor::clock::Stamp;
use ntp_monitor::health::report::Health;
use ntp_monitor::sim::world::{Fault, World};
use ntp_monitor::stats::analysis::Analysis;
use ntp_monitor::stats::intake::TimeAxis;
use ntp_monitor::stats::snapshot::Snapshot;
use ntp_monitor::stats::window::Window;

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

fn replay(world: &World) -> AlertReport {
    let mut alerts = AlertReplay::new(Rulebook::built_in());
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
    for sample in world.samples().map(Arc::new) {
        let wall_ns = sample.at.wall_ns;
        analysis.observe(&sample);
        alerts.observe(&sample);
        if alerts.is_due(wall_ns) {
            alerts.look(wall_ns, &analysis.snapshot(Stamp { wall_ns, mono_ns: wall_ns, raw_ns: 0 }));
        }
    }
    alerts.finish()
}

/// Rule, begun or over, about whom, and how many hours after the beginning of the world.
fn told(world: &World, notifications: &[Notification]) -> Vec<(String, Status, String, f64)> {
    let row = |it: &Notification| {
        let servers: Vec<&str> = it.alerts.iter().filter_map(|alert| alert.server.as_deref()).collect();
        let at = it.alerts[0].ended_at.unwrap_or(it.alerts[0].started_at);
        let hours = (at.as_second() - world.start_unix_s) as f64 / HOUR;
        (it.alert.clone(), it.status, servers.join("+"), hours)
    };
    notifications.iter().filter(|it| !it.reminder).map(row).collect()
}

#[test]
fn a_healthy_week_tells_nobody_anything() {
    let report = replay(&World::ordinary(5, 5, 64.0, 7.0 * DAY));
    assert_eq!((report.notifications, report.alerts), (Vec::new(), Vec::new()));
}

#[test]
fn a_week_with_faults_tells_each_of_them_once() {
    let mut world = World::ordinary(6, 5, 64.0, 7.0 * DAY);
    let step = |at_s, size_s| Fault::ServerStep { server: 2, at_s, size_s };
    world.faults = vec![
        Fault::Silence { server: Some(1), from_s: DAY, until_s: DAY + HOUR },
        step(2.0 * DAY, 0.12),
        step(2.0 * DAY + 3.0 * HOUR, -0.12),
        Fault::Silence { server: None, from_s: 4.0 * DAY, until_s: 4.0 * DAY + 0.5 * HOUR },
        Fault::LocalStep { at_s: 5.0 * DAY, size_s: 0.08 },
        Fault::LocalStep { at_s: 5.0 * DAY + 2.0 * HOUR, size_s: -0.08 },
        // Too short for anything.
        Fault::Silence { server: Some(3), from_s: 6.0 * DAY, until_s: 6.0 * DAY + 240.0 },
    ];
    let report = replay(&world);
    let told = told(&world, &report.notifications);
    let (begun, over) = (Status::Firing, Status::Resolved);
    let expected = [
        ("failing-queries", begun, "ntp2", 24.0),
        ("failing-queries", over, "ntp2", 25.0),
        ("falseticker", begun, "ntp3", 48.0),
        ("high-offset", begun, "ntp3", 48.0),
        ("high-offset", over, "ntp3", 51.0),
        ("falseticker", over, "ntp3", 51.0),
        ("monitor-blind", begun, "", 96.0),
        ("monitor-blind", over, "", 96.5),
        ("own-clock-wrong", begun, "", 120.0),
        ("own-clock-wrong", over, "", 122.0),
    ];
    let what = |(alert, status, server, _): &(String, Status, String, f64)| (alert.clone(), *status, server.clone());
    let wanted =
        |(alert, status, server, _): &(&str, Status, &str, f64)| (alert.to_string(), *status, server.to_string());
    assert_eq!(told.iter().map(what).collect::<Vec<_>>(), expected.iter().map(wanted).collect::<Vec<_>>(), "{told:#?}");
    for (told, expected) in told.iter().zip(&expected) {
        assert!((-0.01..0.6).contains(&(told.3 - expected.3)), "{told:?}, expected {expected:?}");
    }
    let held: Vec<_> = report.alerts.iter().filter(|past| past.held_by.is_some()).map(|past| &past.alert).collect();
    assert!(held.iter().all(|alert| ["failing-queries", "high-offset", "no-majority"].contains(&alert.as_str())));
}

/// A bench for the engine: one snapshot of servers that do not answer, and time.
struct Bench {
    servers: Vec<Arc<ntp_monitor::sample::ServerIdent>>,
    well: Snapshot,
    lost: Snapshot,
}

impl Bench {
    fn new() -> Self {
        let mut world = World::ordinary(1, 3, 64.0, HOUR);
        world.faults = vec![Fault::Silence { server: Some(0), from_s: HOUR / 2.0, until_s: HOUR }];
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
        let (mut well, mut servers) = (None, Vec::new());
        let at = |s| Stamp { wall_ns: 0, mono_ns: s, raw_ns: 0 };
        for sample in world.samples().map(Arc::new) {
            if servers.iter().all(|known: &Arc<ntp_monitor::sample::ServerIdent>| known.name != sample.server.name) {
                servers.push(Arc::clone(&sample.server));
            }
            if sample.at.wall_ns / 1_000_000_000 - world.start_unix_s > 1790 && well.is_none() {
                well = Some(analysis.snapshot(at(0)));
            }
            analysis.observe(&sample);
        }
        Self { servers, well: well.unwrap(), lost: analysis.snapshot(at(0)) }
    }

    fn step(&self, engine: &mut Engine, s: i64, is_lost: bool) -> Outcome {
        let snapshot = if is_lost { &self.lost } else { &self.well };
        let health = Health::default();
        engine.step(&Observation { now: at(s), servers: &self.servers, snapshot, health: &health }, &|| 0)
    }

    /// Steps of ten seconds; what was told, with the second.
    fn run(&self, engine: &mut Engine, span: std::ops::Range<i64>, is_lost: bool) -> Vec<(i64, Notification)> {
        let steps = span
            .step_by(10)
            .flat_map(|s| self.step(engine, s, is_lost).notifications.into_iter().map(move |it| (s, it.notification)));
        steps.collect()
    }
}

fn at(s: i64) -> Stamp {
    let wall_ns = (1_800_000_000 + s) * 1_000_000_000;
    Stamp { wall_ns, mono_ns: s * 1_000_000_000, raw_ns: 0 }
}

fn seconds(told: &[(i64, Notification)]) -> Vec<i64> {
    told.iter().map(|(s, _)| *s).collect()
}

#[test]
fn an_alert_is_told_after_the_wait_and_again_after_the_interval_and_its_end_once() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    let begun = bench.run(&mut engine, 0..400, true);
    // Five minutes that it must hold, and half a minute for company; the grace of a minute runs within.
    assert_eq!(seconds(&begun), [330]);
    assert_eq!(begun[0].1.alerts[0].server.as_deref(), Some("ntp1"));
    let reminders = bench.run(&mut engine, 400..40_000, true);
    assert_eq!(seconds(&reminders), [330 + 4 * 3600, 330 + 8 * 3600]);
    assert!(reminders.iter().all(|(_, it)| it.reminder && it.status == Status::Firing));
    let over = bench.run(&mut engine, 40_000..41_000, false);
    assert_eq!(seconds(&over), [40_330]);
    assert_eq!(over[0].1.status, Status::Resolved);
    let mut keys: Vec<_> = begun.iter().chain(&reminders).chain(&over).map(|(_, it)| &it.key).collect();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count, "each message has a key of its own");
}

/// What a store would hold after these outcomes.
fn remembered(outcomes: &[Outcome]) -> Vec<Saved> {
    let mut all = std::collections::BTreeMap::new();
    for memo in outcomes.iter().flat_map(|outcome| &outcome.memos) {
        let key = (memo.alert.clone(), memo.target.clone());
        match &memo.saved {
            Some(saved) => drop(all.insert(key, saved.clone())),
            None => drop(all.remove(&key)),
        }
    }
    all.into_values().collect()
}

#[test]
fn a_restart_at_any_moment_neither_repeats_nor_loses_a_message() {
    let bench = Bench::new();
    let is_lost = |s: i64| (100..2000).contains(&s);
    for restart in (0..3000).step_by(50) {
        let mut engine = Engine::new(Rulebook::built_in(), at(0));
        let (mut outcomes, mut told) = (Vec::new(), Vec::new());
        for s in (0..4000).step_by(10) {
            if s == restart {
                engine = Engine::new(Rulebook::built_in(), at(s));
                let gone = engine.restore(at(s), remembered(&outcomes));
                assert!(gone.is_empty());
            }
            let outcome = bench.step(&mut engine, s, is_lost(s));
            told.extend(outcome.notifications.iter().map(|it| it.notification.status));
            outcomes.push(outcome);
        }
        assert_eq!(told, [Status::Firing, Status::Resolved], "restart at {restart}");
        assert!(remembered(&outcomes).is_empty(), "restart at {restart}");
    }
}

#[test]
fn a_silence_keeps_quiet_and_what_still_fires_is_told_at_its_end() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    let silence = |from: i64, until: i64| Silence {
        id: 7,
        alert: None,
        servers: vec!["ntp1".to_owned()],
        comment: "moving".to_owned(),
        created_by: String::new(),
        starts_at: jiff::Timestamp::from_second(1_800_000_000 + from).unwrap(),
        ends_at: jiff::Timestamp::from_second(1_800_000_000 + until).unwrap(),
    };
    engine.set_silences(vec![silence(0, 3600)]);
    assert_eq!(seconds(&bench.run(&mut engine, 0..3600, true)), Vec::<i64>::new());
    let status = engine.status();
    assert_eq!((status.active[0].state, status.active[0].silenced_by.as_deref()), (Standing::Silenced, Some("7")));
    assert_eq!(seconds(&bench.run(&mut engine, 3600..4000, true)), [3630]);
}

#[test]
fn what_begins_and_ends_before_anybody_is_told_is_never_told() {
    let bench = Bench::new();
    let settings = Settings { group_wait: Duration::from_secs(1200), ..Settings::default() };
    let mut engine = Engine::new(Rulebook { settings, ..Rulebook::built_in() }, at(0));
    assert!(bench.run(&mut engine, 0..900, true).is_empty());
    assert!(bench.run(&mut engine, 900..9000, false).is_empty());
}

#[test]
fn a_rule_that_is_taken_away_ends_its_alerts() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    bench.run(&mut engine, 0..600, true);
    let outcome = engine.reconfigure(at(600), Rulebook::default());
    let told: Vec<_> =
        outcome.notifications.iter().map(|it| (it.notification.alert.as_str(), it.notification.status)).collect();
    assert_eq!(told, [("failing-queries", Status::Resolved)]);
    assert!(engine.status().active.is_empty());
}

#[test]
fn the_tables_in_the_documentation_are_those_in_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ALERTING.md");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (name, table) in [("variables", docs::variables()), ("rules", docs::rules())] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let (before, rest) = text.split_once(&begin).unwrap();
        let (found, after) = rest.split_once(&end).unwrap();
        if std::env::var_os("NTP_MONITOR_WRITE_DOCS").is_none() {
            assert!(found == table, "docs/ALERTING.md: NTP_MONITOR_WRITE_DOCS=1 cargo test --test alerts tables");
        }
        text = [before, &begin, &table, &end, after].concat();
    }
    if std::env::var_os("NTP_MONITOR_WRITE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
}
