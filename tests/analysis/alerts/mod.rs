//! Alerts over worlds whose truth is known: a healthy week sends nothing, and each fault notifies once.

mod addresses;
mod fleet;
mod restart;
mod silences;
mod worlds;

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

/// A bench for the engine: snapshots of three servers, where some do not answer, and time.
struct Bench {
    servers: Vec<Arc<ServerIdent>>,
    pictures: BTreeMap<&'static [usize], Snapshot>,
}

/// Which servers are lost.
type Lost = &'static [usize];

const NONE_LOST: Lost = &[];

const FIRST: Lost = &[0];

const TWO: Lost = &[0, 1];

const ALL: Lost = &[0, 1, 2];

impl Bench {
    fn new() -> Self {
        let world = World::ordinary(1, 3, 64.0, HOUR);
        let servers = world.servers.iter().map(|server| Arc::clone(&server.ident)).collect();
        let pictures = [NONE_LOST, FIRST, TWO, ALL].map(|lost| (lost, Self::picture(&world, lost)));
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
            let told = self.step_with(engine, at(s), NONE_LOST, Some(&facts)).notifications;
            told.into_iter().map(move |it| (s, it.notification))
        });
        steps.collect()
    }

    /// Evaluates every ten seconds; returns the notifications with their time in seconds.
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
fn alerts_notify_after_the_wait_repeat_and_end_once() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    let begun = bench.run(&mut engine, 0..400, FIRST);
    // Five minutes of `for`, and half a minute for grouping; the grace of one minute is over by then.
    assert_eq!(seconds(&begun), [330]);
    assert_eq!(begun[0].1.alerts[0].server.as_deref(), Some("ntp1"));
    let reminders = bench.run(&mut engine, 400..40_000, FIRST);
    assert_eq!(seconds(&reminders), [330 + 4 * 3600, 330 + 8 * 3600]);
    assert!(reminders.iter().all(|(_, it)| it.reminder && it.status == Status::Firing));
    let over = bench.run(&mut engine, 40_000..41_000, NONE_LOST);
    assert_eq!(seconds(&over), [40_330]);
    assert_eq!(over[0].1.status, Status::Resolved);
    let mut keys: Vec<_> = begun.iter().chain(&reminders).chain(&over).map(|(_, it)| &it.key).collect();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count, "each message has a key of its own");
}

/// The states in a store after these outcomes.
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

#[test]
fn reminder_is_sent_although_other_alerts_of_the_rule_began() {
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
        let lost = if minute % 2 == 0 { FIRST } else { NONE_LOST };
        told.extend(bench.run(&mut engine, 60 * minute..60 * minute + 60, lost));
    }
    // Five starts and four ends: from the fifth start on, the alert flaps.
    let statuses: Vec<_> = told.iter().map(|(_, it)| it.status).collect();
    assert_eq!(statuses, [Status::Firing, Status::Resolved].repeat(5)[..9]);
    assert_eq!(told[8].1.alerts[0].labels["flapping"], "true");
    // The last outage ended at 7140; a quarter of an hour without one follows.
    let told = bench.run(&mut engine, 7200..9000, NONE_LOST);
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
    for (span, lost) in [(0..100, FIRST), (100..120, NONE_LOST), (120..500, FIRST), (500..900, NONE_LOST)] {
        told.extend(bench.run(&mut engine, span, lost));
    }
    let what: Vec<_> = told.iter().map(|(s, it)| (*s, it.status, it.alerts[0].started_at.as_second())).collect();
    let start = 1_800_000_000;
    assert_eq!(what, [(30, Status::Firing, start), (530, Status::Resolved, start)]);
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

fn rule(name: &str) -> RuleSpec {
    defaults::rules().into_iter().find(|spec| spec.name == name).unwrap()
}

#[test]
fn observed_value_of_an_alert_is_shown_with_its_unit() {
    let shown = |expr: &str| {
        let spec = RuleSpec { expr: expr.to_owned(), held_for: Duration::ZERO, ..rule("failing-queries") };
        let rules = vec![Arc::new(Rule::compile(spec).unwrap())];
        let mut engine = Engine::new(Rulebook { rules, ..Rulebook::default() }, at(0));
        Bench::new().run(&mut engine, 0..100, NONE_LOST);
        let active = engine.status().active.swap_remove(0);
        (active.value, active.unit)
    };
    assert_eq!(shown("provable || poll_s > 60"), (Some(64.0), "s"));
    assert_eq!(shown("reach > 7"), (Some(8.0), ""));
    assert_eq!(shown("majority || unsynchronised"), (None, ""));
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
