//! Alerts over worlds whose truth is known: a healthy week sends nothing, and each fault notifies once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ntp_monitor::config::{self, Environment};
use ntp_monitor::fleet::quiet;
use ntp_monitor_core::alert::defaults;
use ntp_monitor_core::alert::docs;
use ntp_monitor_core::alert::engine::{Engine, Rulebook, Settings};
use ntp_monitor_core::alert::facts::{FleetFacts, Observation};
use ntp_monitor_core::alert::notification::{Notification, Status};
use ntp_monitor_core::alert::replay::{AlertReplay, AlertReport};
use ntp_monitor_core::alert::rule::{Rule, RuleSpec};
use ntp_monitor_core::alert::silence::Silence;
use ntp_monitor_core::alert::state::End;
use ntp_monitor_core::alert::status::{AlertState, Outcome, Saved};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::sample::{Sample, ServerIdent};
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::stats::window::Window;
use ntp_monitor_core::world::{Fault, World};

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
            alerts.look(wall_ns, &analysis.snapshot(Stamp::new(wall_ns, wall_ns, 0)));
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

/// Looks at worlds that differ in all that chance decides.
fn in_each_world(seeds: &[u64], look: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| seeds.iter().for_each(|seed| drop(scope.spawn(|| look(*seed)))));
}

#[test]
fn a_healthy_week_tells_nobody_anything() {
    // A week and many days: what chance can do is seen in many worlds rather than in long ones.
    in_each_world(&[5, 1, 77, 2026], |seed| {
        let days = if seed == 5 { 7.0 } else { 1.0 };
        let report = replay(&World::ordinary(seed, 5, 64.0, days * DAY));
        assert_eq!((report.notifications, report.alerts), (Vec::new(), Vec::new()), "seed {seed}");
    });
}

#[test]
fn fifty_servers_that_are_lost_at_once_are_one_alert() {
    let mut world = World::ordinary(8, 50, 64.0, 3.0 * HOUR);
    world.faults = vec![Fault::Silence { server: None, from_s: HOUR, until_s: 1.5 * HOUR }];
    let report = replay(&world);
    let told: Vec<_> =
        told(&world, &report.notifications).into_iter().map(|(alert, status, ..)| (alert, status)).collect();
    let blind = |status| ("monitor-blind".to_owned(), status);
    assert_eq!(told, [blind(Status::Firing), blind(Status::Resolved)]);
    let held = report.alerts.iter().filter(|past| past.held_by.as_deref() == Some("no server answers"));
    assert!(held.count() >= 50, "they are in the history all the same");
}

#[test]
fn a_week_with_faults_tells_each_of_them_once() {
    in_each_world(&[6, 2026], a_week_with_faults);
}

fn a_week_with_faults(seed: u64) {
    let mut world = World::ordinary(seed, 5, 64.0, 7.0 * DAY);
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
        ("falseticker", over, "ntp3", 51.0),
        ("monitor-blind", begun, "", 96.0),
        ("monitor-blind", over, "", 96.5),
        ("own-clock-wrong", begun, "", 120.0),
        ("own-clock-wrong", over, "", 122.0),
    ];
    let what = |(alert, status, server, _): &(String, Status, String, f64)| (alert.clone(), *status, server.clone());
    let wanted =
        |(alert, status, server, _): &(&str, Status, &str, f64)| (alert.to_string(), *status, server.to_string());
    assert_eq!(
        told.iter().map(what).collect::<Vec<_>>(),
        expected.iter().map(wanted).collect::<Vec<_>>(),
        "seed {seed}: {told:#?}"
    );
    for (told, expected) in told.iter().zip(&expected) {
        assert!((-0.01..0.6).contains(&(told.3 - expected.3)), "seed {seed}: {told:?}, expected {expected:?}");
    }
    let held: Vec<_> = report.alerts.iter().filter(|past| past.held_by.is_some()).map(|past| &past.alert).collect();
    assert!(held.iter().all(|alert| ["failing-queries", "high-offset", "no-majority"].contains(&alert.as_str())));
}

/// A bench for the engine: pictures of three servers, some of which do not answer, and time.
struct Bench {
    servers: Vec<Arc<ServerIdent>>,
    pictures: BTreeMap<&'static [usize], Snapshot>,
}

/// Which servers are lost.
type Lost = &'static [usize];
const NOBODY: Lost = &[];
const FIRST: Lost = &[0];
const TWO: Lost = &[0, 1];
const ALL: Lost = &[0, 1, 2];

impl Bench {
    fn new() -> Self {
        let world = World::ordinary(1, 3, 64.0, HOUR);
        let servers = world.servers.iter().map(|server| Arc::clone(&server.ident)).collect();
        let pictures = [NOBODY, FIRST, TWO, ALL].map(|lost| (lost, Self::picture(&world, lost)));
        Self { servers, pictures: pictures.into() }
    }

    fn picture(world: &World, lost: Lost) -> Snapshot {
        let silence = |server: &usize| Fault::Silence { server: Some(*server), from_s: HOUR / 2.0, until_s: HOUR };
        let world = World { faults: lost.iter().map(silence).collect(), ..world.clone() };
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
        world.samples().for_each(|sample| analysis.observe(&Arc::new(sample)));
        analysis.snapshot(Stamp::new(0, 0, 0))
    }

    fn step_at(&self, engine: &mut Engine, now: Stamp, lost: Lost) -> Outcome {
        self.step_with(engine, now, lost, None)
    }

    fn step_with(&self, engine: &mut Engine, now: Stamp, lost: Lost, fleet: Option<&FleetFacts>) -> Outcome {
        let health = Health::default();
        engine.step(
            &Observation { now, servers: &self.servers, snapshot: &self.pictures[lost], health: &health, fleet },
            &|| 0,
        )
    }

    /// As [`Bench::run`], at a hub.
    fn run_hub(
        &self,
        engine: &mut Engine,
        span: std::ops::Range<i64>,
        speaks: bool,
        silent: usize,
    ) -> Vec<(i64, Notification)> {
        let facts = FleetFacts { speaks, vantages: 3, silent, ..FleetFacts::default() };
        let steps = span.step_by(10).flat_map(|s| {
            let told = self.step_with(engine, at(s), NOBODY, Some(&facts)).notifications;
            told.into_iter().map(move |it| (s, it.notification))
        });
        steps.collect()
    }

    /// Steps of ten seconds; the notifications, with the second.
    fn run(&self, engine: &mut Engine, span: std::ops::Range<i64>, lost: Lost) -> Vec<(i64, Notification)> {
        let steps = span.step_by(10).flat_map(|s| {
            let told = self.step_at(engine, at(s), lost).notifications;
            told.into_iter().map(move |it| (s, it.notification))
        });
        steps.collect()
    }
}

fn at(s: i64) -> Stamp {
    let wall_ns = (1_800_000_000 + s) * 1_000_000_000;
    Stamp::new(wall_ns, s * 1_000_000_000, 0)
}

fn seconds(told: &[(i64, Notification)]) -> Vec<i64> {
    told.iter().map(|(s, _)| *s).collect()
}

#[test]
fn of_two_hubs_the_one_that_speaks_notifies_about_the_fleet() {
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
    // The second takes over: what fires is notified again, because the first may not have.
    assert_eq!(what(bench.run_hub(&mut one, 400..40_000, false, 1)), [], "no reminder either");
    assert_eq!(what(bench.run_hub(&mut two, 400..800, true, 1)), begun);
    assert_eq!(what(bench.run_hub(&mut one, 40_000..42_000, false, 0)), []);
    assert_eq!(what(bench.run_hub(&mut two, 800..2800, true, 0)), [("vantage-silent".to_owned(), Status::Resolved)]);
}

/// An agent with a hub until `hub_until_s`: what it notifies while servers are lost.
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
fn agent_leaves_servers_to_its_hub_until_ten_minutes_without_one() {
    let bench = Bench::new();
    assert!(told_by_agent(&bench, 7200, 0..7200, FIRST).is_empty(), "the hub notifies");
    let alone = told_by_agent(&bench, 3600, 0..7200, FIRST);
    assert_eq!((seconds(&alone), &*alone[0].1.alert), (vec![3600 + 600 + 30], "failing-queries"));
    let blind = told_by_agent(&bench, 7200, 0..7200, ALL);
    assert_eq!(blind.iter().map(|(_, it)| &*it.alert).collect::<Vec<_>>(), ["monitor-blind"], "it is about itself");
}

#[test]
fn alerts_notify_after_the_wait_repeat_and_end_once() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    let begun = bench.run(&mut engine, 0..400, FIRST);
    // Five minutes that it must hold, and half a minute for grouping; the grace of a minute runs within.
    assert_eq!(seconds(&begun), [330]);
    assert_eq!(begun[0].1.alerts[0].server.as_deref(), Some("ntp1"));
    let reminders = bench.run(&mut engine, 400..40_000, FIRST);
    assert_eq!(seconds(&reminders), [330 + 4 * 3600, 330 + 8 * 3600]);
    assert!(reminders.iter().all(|(_, it)| it.reminder && it.status == Status::Firing));
    let over = bench.run(&mut engine, 40_000..41_000, NOBODY);
    assert_eq!(seconds(&over), [40_330]);
    assert_eq!(over[0].1.status, Status::Resolved);
    let mut keys: Vec<_> = begun.iter().chain(&reminders).chain(&over).map(|(_, it)| &it.key).collect();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count, "each message has a key of its own");
}

/// What a store would hold after these outcomes.
fn remembered(outcomes: &[Outcome]) -> Vec<Saved> {
    let mut all = BTreeMap::new();
    for memo in outcomes.iter().flat_map(|outcome| &outcome.memos) {
        let key = (memo.alert.clone(), memo.target.clone());
        match &memo.saved {
            Some(saved) => drop(all.insert(key, saved.clone())),
            None => drop(all.remove(&key)),
        }
    }
    all.into_values().collect()
}

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
fn a_restart_at_any_moment_neither_repeats_nor_loses_a_message() {
    let bench = Bench::new();
    let lost = |s: i64| if (100..2000).contains(&s) { FIRST } else { NOBODY };
    for restart in (0..3000).step_by(50) {
        assert_eq!(told_across(&bench, restart, lost, &[]), pair("failing-queries"), "restart at {restart}");
    }
}

#[test]
fn a_restart_while_it_is_silenced_neither_tells_it_nor_forgets_it() {
    let bench = Bench::new();
    let lost = |s: i64| if (100..4000).contains(&s) { FIRST } else { NOBODY };
    for restart in (0..5000).step_by(100) {
        let told = told_across(&bench, restart, lost, &[silence(0, 2000)]);
        assert_eq!(told, pair("failing-queries"), "restart at {restart}");
        let told = told_across(&bench, restart, lost, &[silence(0, 6000)]);
        assert_eq!(told, [], "restart at {restart}: no resolution is sent for an alert that was never sent");
    }
}

#[test]
fn a_restart_while_it_is_inhibited_tells_the_cause_and_nothing_else() {
    let bench = Bench::new();
    let lost = |s: i64| if (100..2000).contains(&s) { ALL } else { NOBODY };
    for restart in (0..3000).step_by(100) {
        assert_eq!(told_across(&bench, restart, lost, &[]), pair("monitor-blind"), "restart at {restart}");
    }
}

#[test]
fn a_clock_that_is_set_while_it_is_pending_or_fires_changes_nothing() {
    let bench = Bench::new();
    for jump_s in [-7200, -30, 30, 7200, 86_400 * 365] {
        for set_at in [150, 400] {
            let mut engine = Engine::new(Rulebook::built_in(), at(0));
            let mut told = Vec::new();
            for s in (0..2000).step_by(10) {
                let wall_ns = at(s).wall_ns + if s >= set_at { jump_s * 1_000_000_000 } else { 0 };
                let outcome =
                    bench.step_at(&mut engine, Stamp { wall_ns, ..at(s) }, if s < 1000 { FIRST } else { NOBODY });
                told.extend(outcome.notifications.into_iter().map(|it| (s, it.notification.status)));
            }
            let expected = [(330, Status::Firing), (1330, Status::Resolved)];
            assert_eq!(told, expected, "set by {jump_s} s at {set_at}");
        }
    }
}

#[test]
fn a_reminder_comes_although_other_alerts_of_the_rule_began_meanwhile() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    let mut told = bench.run(&mut engine, 0..7200, FIRST);
    told.extend(bench.run(&mut engine, 7200..30_000, TWO));
    let what = |(s, it): &(i64, Notification)| (*s, it.reminder, it.alerts.len());
    let repeat = 4 * 3600;
    let expected = [(330, false, 1), (7200 + 330, false, 1), (330 + repeat, true, 2), (330 + 2 * repeat, true, 2)];
    assert_eq!(told.iter().map(what).collect::<Vec<_>>(), expected);
}

#[test]
fn alerts_of_a_rule_that_begin_together_are_one_message() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    // The second follows within the grouping time of the first.
    let mut told = bench.run(&mut engine, 0..20, FIRST);
    told.extend(bench.run(&mut engine, 20..600, TWO));
    let [(s, only)] = &told[..] else { panic!("{told:#?}") };
    assert_eq!((*s, only.alerts.len()), (330, 2));
    assert_eq!(only.summary, "failing-queries: 2 servers: ntp1, ntp2");
}

#[test]
fn a_flapping_alert_notifies_a_few_times_and_at_its_end() {
    let bench = Bench::new();
    let mut engine = at_once(Settings { group_wait: Duration::ZERO, ..without_grace() }, "x");
    let mut told = Vec::new();
    for minute in 0..120 {
        let lost = if minute % 2 == 0 { FIRST } else { NOBODY };
        told.extend(bench.run(&mut engine, 60 * minute..60 * minute + 60, lost));
    }
    // Five beginnings and four ends, and no fifth: from then on it flaps.
    let statuses: Vec<_> = told.iter().map(|(_, it)| it.status).collect();
    assert_eq!(statuses, [Status::Firing, Status::Resolved].repeat(5)[..9]);
    assert_eq!(told[8].1.alerts[0].labels["flapping"], "true");
    // The last beat was lost until 7140; a quarter of an hour of quiet follows.
    let told = bench.run(&mut engine, 7200..9000, NOBODY);
    assert_eq!(seconds(&told), [7140 + 900]);
    assert_eq!(told[0].1.status, Status::Resolved);
}

/// An engine with one rule that fires at once, and these settings.
fn at_once(settings: Settings, summary: &str) -> Engine {
    Engine::new(book_at_once(settings, summary), at(0))
}

fn book_at_once(settings: Settings, summary: &str) -> Rulebook {
    let spec = RuleSpec {
        held_for: Duration::ZERO,
        keep_firing_for: Duration::ZERO,
        summary: summary.to_owned(),
        ..rule("failing-queries")
    };
    let rules = vec![Arc::new(Rule::compile(spec).unwrap())];
    Rulebook { settings, rules, windows: Vec::new() }
}

fn without_grace() -> Settings {
    Settings { startup_grace: Duration::ZERO, ..Settings::default() }
}

#[test]
fn an_alert_that_refires_before_its_resolution_continues() {
    let bench = Bench::new();
    let mut engine = at_once(without_grace(), "x");
    let mut told = Vec::new();
    for (span, lost) in [(0..100, FIRST), (100..120, NOBODY), (120..500, FIRST), (500..900, NOBODY)] {
        told.extend(bench.run(&mut engine, span, lost));
    }
    let what: Vec<_> = told.iter().map(|(s, it)| (*s, it.status, it.alerts[0].started_at.as_second())).collect();
    let start = 1_800_000_000;
    assert_eq!(what, [(30, Status::Firing, start), (530, Status::Resolved, start)]);
}

/// A bench with one server, a pool whose addresses are the servers of the other bench.
fn pool(addresses: usize) -> Bench {
    let world = World::ordinary(1, 3, 64.0, HOUR);
    let ident = ServerIdent::named("pool");
    let place: BTreeMap<_, _> = world.servers.iter().map(|it| Arc::clone(&it.ident.name)).zip(1_u8..).collect();
    let picture = |lost: Lost| {
        let silence = |server: &usize| Fault::Silence { server: Some(*server), from_s: HOUR / 2.0, until_s: HOUR };
        let world = World { faults: lost.iter().map(silence).collect(), ..world.clone() };
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
        for sample in world.samples().filter(|sample| usize::from(place[&sample.server.name]) <= addresses) {
            let address = Some(std::net::SocketAddr::from(([192, 0, 2, place[&sample.server.name]], 123)));
            analysis.observe(&Arc::new(Sample { server: Arc::clone(&ident), address, ..sample }));
        }
        analysis.snapshot(Stamp::new(0, 0, 0))
    };
    Bench { servers: vec![Arc::clone(&ident)], pictures: [NOBODY, FIRST, TWO].map(|lost| (lost, picture(lost))).into() }
}

#[test]
fn addresses_of_a_name_share_one_alert_that_survives_a_rotation() {
    let (three, two, one) = (pool(3), pool(2), pool(1));
    let mut engine = at_once(without_grace(), "{{ server }}");
    let mut told = Vec::new();
    for (bench, span, lost) in [(&three, 0..100, FIRST), (&one, 100..200, FIRST), (&two, 200..600, TWO)] {
        told.extend(bench.run(&mut engine, span, lost));
    }
    told.extend(two.run(&mut engine, 600..1000, NOBODY));
    let what: Vec<_> = told.iter().map(|(s, it)| (*s, it.status, it.alerts[0].server.as_deref())).collect();
    assert_eq!(what, [(30, Status::Firing, Some("pool")), (630, Status::Resolved, Some("pool"))]);
    assert_eq!(told[0].1.alerts[0].summary, "pool@192.0.2.1:123", "the address is a detail");
}

#[test]
fn silence_of_one_address_leaves_the_others() {
    let told = |silenced: &str, lost: Lost| {
        let mut engine = at_once(without_grace(), "{{ server }}");
        engine.set_silences(vec![Silence { servers: vec![silenced.to_owned()], ..silence(0, 3600) }]);
        let told = pool(2).run(&mut engine, 0..100, lost);
        told.iter().map(|(_, it)| it.alerts[0].summary.clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("pool@192.0.2.1:123", FIRST), Vec::<String>::new());
    assert_eq!(told("pool@192.0.2.1:123", TWO), ["pool@192.0.2.2:123"]);
    assert_eq!(told("pool@192.0.2.2:123", FIRST), ["pool@192.0.2.1:123"]);
    assert_eq!(told("pool", TWO), Vec::<String>::new());
}

#[test]
fn alert_of_an_address_that_an_earlier_version_stored_continues() {
    let bench = pool(2);
    let mut engine = at_once(without_grace(), "x");
    let outcomes: Vec<Outcome> = (0..100).step_by(10).map(|s| bench.step_at(&mut engine, at(s), FIRST)).collect();
    let by_name = remembered(&outcomes).remove(0);
    let saved = Saved { target: "pool@192.0.2.1:123".into(), ..by_name };
    let mut later = at_once(without_grace(), "x");
    assert!(later.restore(at(200), vec![saved]).is_empty());
    assert_eq!(bench.run(&mut later, 200..300, FIRST), Vec::new(), "it was sent before");
    let resolved = bench.run(&mut later, 300..700, NOBODY);
    assert!(matches!(&resolved[..], [(_, it)] if it.alerts[0].server.as_deref() == Some("pool")), "{resolved:?}");
}

#[test]
fn the_texts_of_an_alert_that_goes_on_stay_true() {
    let bench = Bench::new();
    let mut engine = at_once(without_grace(), "{{ servers_lost }} are lost");
    let told = bench.run(&mut engine, 0..60, FIRST);
    assert_eq!(told[0].1.alerts[0].summary, "1 are lost");
    let told = bench.run(&mut engine, 60..4 * 3600 + 60, TWO);
    let reminder = told.iter().find(|(_, it)| it.reminder).unwrap();
    assert_eq!(reminder.1.alerts[0].summary, "2 are lost");
}

#[test]
fn grace_is_silent_and_unwatched_time_does_not_count() {
    let bench = Bench::new();
    let settings = Settings { startup_grace: Duration::from_secs(120), ..Settings::default() };
    assert_eq!(seconds(&bench.run(&mut at_once(settings, "x"), 0..600, FIRST)), [120 + 30]);
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    assert!(bench.run(&mut engine, 0..200, FIRST).is_empty());
    assert_eq!(seconds(&bench.run(&mut engine, 1000..2000, FIRST)), [1000 + 300 + 30]);
}

#[test]
fn a_maintenance_window_of_the_configuration_keeps_quiet_while_it_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    // The bench begins on Friday, 2027-01-15, at 08:00 UTC.
    let windows = "[[silence]]\ncomment = \"now\"\nservers = [\"ntp1\"]\nalert = \"failing-queries\"\n\
                   from = \"2027-01-15T08:00:00Z\"\nuntil = \"2027-01-15T09:00:00Z\"\n\
                   [[silence]]\ncomment = \"each week\"\nweekdays = [\"Fri\"]\nstart = \"10:00\"\nfor = \"1h\"\n\
                   timezone = \"Europe/Berlin\"\n";
    let told = |windows: &str| {
        std::fs::write(&file, format!("[[server]]\naddress = \"192.0.2.1\"\n{windows}")).unwrap();
        let loaded = config::load(Some(&file), &Environment::new(), &[]).unwrap_or_else(|why| panic!("{why}"));
        let mut engine = Engine::new((*loaded.config.alerting).clone(), at(0));
        let told = seconds(&bench_run(&mut engine));
        (told, engine.status())
    };
    assert_eq!(told("").0, [330]);
    // The first hour by the one, the second by the other, which begins at 10:00 in Berlin.
    let (seconds, status) = told(windows);
    assert_eq!(seconds, [2 * 3600 + 30]);
    assert_eq!(status.active[0].state, AlertState::Firing);
    assert_eq!(told(&windows.replace("ntp1", "ntp2")).0, [330]);
}

fn bench_run(engine: &mut Engine) -> Vec<(i64, Notification)> {
    Bench::new().run(engine, 0..3 * 3600, FIRST)
}

fn rule(name: &str) -> RuleSpec {
    defaults::rules().into_iter().find(|spec| spec.name == name).unwrap()
}

#[test]
fn what_a_rule_looked_at_is_shown_with_its_unit() {
    let shown = |expr: &str| {
        let spec = RuleSpec { expr: expr.to_owned(), held_for: Duration::ZERO, ..rule("failing-queries") };
        let rules = vec![Arc::new(Rule::compile(spec).unwrap())];
        let mut engine = Engine::new(Rulebook { rules, ..Rulebook::default() }, at(0));
        Bench::new().run(&mut engine, 0..100, NOBODY);
        let active = engine.status().active.swap_remove(0);
        (active.value, active.unit)
    };
    assert_eq!(shown("provable || poll_s > 60"), (Some(64.0), "s"));
    assert_eq!(shown("reach > 7"), (Some(8.0), ""));
    assert_eq!(shown("majority || unsynchronised"), (None, ""));
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
        assert!(it.description.contains("is called \"new\" now"), "{}", it.description);
        assert!(remembered(&[&outcomes[..], std::slice::from_ref(&outcome)].concat()).is_empty());
    }
    for engine in [&mut new, &mut old] {
        let again = bench.run(engine, 200..300, FIRST);
        assert_eq!((again[0].1.status, again[0].1.vantage.as_str()), (Status::Firing, "new"));
    }
}

fn silence(from: i64, until: i64) -> Silence {
    Silence {
        id: 7,
        alert: None,
        servers: vec!["ntp1".to_owned()],
        comment: "moving".to_owned(),
        created_by: String::new(),
        starts_at: jiff::Timestamp::from_second(1_800_000_000 + from).unwrap(),
        ends_at: jiff::Timestamp::from_second(1_800_000_000 + until).unwrap(),
    }
}

#[test]
fn what_still_fires_at_the_end_of_a_silence_notifies() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    engine.set_silences(vec![silence(0, 3600)]);
    assert_eq!(seconds(&bench.run(&mut engine, 0..3600, FIRST)), Vec::<i64>::new());
    let status = engine.status();
    assert_eq!((status.active[0].state, status.active[0].silenced_by.as_deref()), (AlertState::Silenced, Some("7")));
    assert_eq!(seconds(&bench.run(&mut engine, 3600..4000, FIRST)), [3630]);
}

#[test]
fn an_alert_shorter_than_the_wait_never_notifies() {
    let bench = Bench::new();
    let settings = Settings { group_wait: Duration::from_secs(1200), ..Settings::default() };
    let mut engine = Engine::new(Rulebook { settings, ..Rulebook::built_in() }, at(0));
    assert!(bench.run(&mut engine, 0..900, FIRST).is_empty());
    assert!(bench.run(&mut engine, 900..9000, NOBODY).is_empty());
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

#[test]
fn the_tables_in_the_documentation_are_those_in_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ALERTING.md");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (name, table) in [("variables", docs::variables()), ("rules", docs::rules()), ("filters", docs::filters())] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let (before, rest) = text.split_once(&begin).unwrap();
        let (found, after) = rest.split_once(&end).unwrap();
        if std::env::var_os("NTP_MONITOR_WRITE_DOCS").is_none() {
            assert!(found == table, "docs/ALERTING.md: NTP_MONITOR_WRITE_DOCS=1 cargo test --test analysis tables");
        }
        text = [before, &begin, &table, &end, after].concat();
    }
    if std::env::var_os("NTP_MONITOR_WRITE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
}
