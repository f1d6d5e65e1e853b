use super::*;
use crate::fleet::judge::Judge;
use crate::fleet::presence::{Candidate, Presence};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn fleet() -> Fleet {
    let settings = [
        ("NTP_SERVER", "a"),
        ("NTP_MONITOR__MONITOR__VANTAGE", "hub1"),
        ("NTP_MONITOR__NATS__URL", "nats://127.0.0.1"),
        ("NTP_MONITOR__FLEET__ROLE", "hub"),
    ];
    let all = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    crate::config::load(None, &all, &[]).unwrap().config.fleet.unwrap()
}

/// Agents that all see the same server, each under a different name.
fn agents(count: usize, own: bool, now: Instant) -> (HubView, Roster) {
    let (judge, mut view) = (Judge::default(), HubView::default());
    for n in 0..count {
        let (vantage, name) = (format!("v{n}"), format!("server of v{n}"));
        let candidate = Candidate { name: name.clone(), own, interval_s: 16.0, ..Candidate::default() };
        let presence = Presence { servers: vec![candidate], ..Presence::default() };
        let known = VantageView { presence: Some(Arc::new(presence)), heard: Some(now), ..VantageView::default() };
        view.vantages.insert(vantage.clone(), known);
        let sample = Sample {
            address: "198.51.100.1:123".parse().ok(),
            ..Sample::unasked(Stamp::default(), ServerIdent::seen_from(&vantage, &name), Outcome::Timeout, 16.0)
        };
        judge.observe(&[Arc::new(sample)], &view, 0);
    }
    (view, judge.roster())
}

fn rate(planner: &Planner, view: &HubView, of: impl Fn(&Planned) -> Option<f64>) -> f64 {
    let planned = |vantage: &String| planner.current(vantage)?.planned.first().and_then(&of);
    view.vantages.keys().filter_map(planned).map(|interval_s| 1.0 / interval_s).sum()
}

#[test]
fn all_agents_keep_the_budget_with_and_without_plans() {
    let now = Instant::now();
    let (view, roster) = agents(8, false, now);
    let mut planner = Planner::new(&fleet());
    for _ in 0..20 {
        planner.turn(&view, &roster, now, 0.0);
        view.vantages.keys().for_each(|vantage| planner.written(vantage, 1, Some(now), now));
        let planned = rate(&planner, &view, |planned| planned.interval_s);
        assert!(planned <= 1.0 / 16.0 + 1e-9, "{planned}");
    }
    assert!(rate(&planner, &view, |planned| planned.fallback_s) <= 1.0 / 16.0);
    let polling = view.vantages.keys().filter(|v| planner.current(v).unwrap().planned[0].interval_s.is_some());
    assert_eq!(polling.count(), 5);
}

#[test]
fn own_servers_are_left_to_the_file_of_each_agent() {
    let now = Instant::now();
    let (view, roster) = agents(8, true, now);
    let mut planner = Planner::new(&fleet());
    planner.turn(&view, &roster, now, 0.0);
    assert!(view.vantages.keys().all(|vantage| planner.current(vantage).unwrap().planned.is_empty()));
}

#[test]
fn silent_vantage_gets_no_plan_of_its_own() {
    let now = Instant::now();
    let (mut view, roster) = agents(3, false, now);
    view.vantages.get_mut("v1").unwrap().heard = now.checked_sub(Duration::from_secs(91));
    let mut planner = Planner::new(&fleet());
    planner.turn(&view, &roster, now, 0.0);
    assert!(planner.current("v1").unwrap().planned[0].interval_s.is_none());
    assert!(planner.current("v0").unwrap().planned[0].interval_s.is_some());
}

/// Samples may come before the hub knows to which group a private address belongs.
#[test]
fn private_server_is_planned_once_when_its_group_comes_late() {
    let now = Instant::now();
    let (judge, mut view) = (Judge::default(), HubView::default());
    let names: Vec<Arc<str>> = (0..4).map(|n| format!("v{n}").into()).collect();
    let observe = |view: &HubView| {
        for name in &names {
            let sample = Sample {
                address: "10.0.0.1:123".parse().ok(),
                ..Sample::unasked(Stamp::default(), ServerIdent::seen_from(name, "a"), Outcome::Timeout, 16.0)
            };
            judge.observe(&[Arc::new(sample)], view, 0);
        }
    };
    observe(&view);
    let candidate = Candidate { name: "a".into(), interval_s: 16.0, ..Candidate::default() };
    let presence = Arc::new(Presence { groups: vec!["here".into()], servers: vec![candidate], ..Presence::default() });
    let known = VantageView { presence: Some(presence), heard: Some(now), ..VantageView::default() };
    view.vantages = names.iter().map(|name| (name.to_string(), known.clone())).collect();
    observe(&view);
    let mut planner = Planner::new(&fleet());
    planner.turn(&view, &judge.roster(), now, 0.0);
    let slots = |planner: &Planner| -> Vec<_> {
        let planned = names.iter().map(|name| planner.current(name).unwrap().planned.clone());
        planned.map(|planned| (planned.len(), planned[0].more.len(), planned[0].slots.clone())).collect()
    };
    let first = slots(&planner);
    assert!(first.iter().all(|(servers, more, _)| (*servers, *more) == (1, 0)), "{first:?}");
    let classes: BTreeSet<_> = first.iter().flat_map(|(.., slots)| slots.clone()).collect();
    assert_eq!((classes.len(), first.iter().map(|(.., slots)| slots.len()).sum::<usize>()), (5, 5));
    // A hub that takes over and has not received any announcement.
    let mut next = Planner::new(&fleet());
    for name in &names {
        let document = PlanDocument {
            v: 1,
            hub: "h".into(),
            revision: 1,
            number: planner.current(name).unwrap().number,
            answers: None,
            clock: None,
            line: None,
            group: Some(planner.group(name).to_string()),
            validity_s: VALID.as_secs_f64(),
            servers: Some(planner.current(name).unwrap().planned.clone()),
            stored: Vec::new(),
            caught_up: true,
        };
        next.adopt(name, &document, name, now);
    }
    let later = now + Duration::from_secs(121);
    for name in &names[..3] {
        next.written(name, 2, Some(later), later);
        view.vantages.get_mut(&**name).unwrap().heard = Some(later);
    }
    view.vantages.get_mut("v3").unwrap().presence = None;
    next.turn(&view, &judge.roster(), later, 0.0);
    let second = slots(&next);
    assert!(first[..3].iter().zip(&second).all(|(a, b)| a.2.iter().all(|class| b.2.contains(class))), "{second:?}");
    let spare = |planner: &Planner, name: &str| planner.current(name).unwrap().planned[0].spare;
    assert!(names.iter().all(|name| spare(&planner, name) == spare(&next, name)), "{second:?}");
}

/// How long the plans of `fleet()` are valid.
const VALID: Duration = Duration::from_secs(90);

/// An agent in simulated time.
#[derive(Default)]
struct Simulated {
    planned: Vec<Planned>,
    version: (u64, u64),
    /// When it sent the announcement that its plan answers.
    since: Option<Instant>,
    is_cut_off_until: u64,
}

impl Simulated {
    fn is_valid(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now < since + VALID)
    }

    /// Polls per second.
    fn rate(&self, now: Instant) -> f64 {
        let Some(planned) = self.planned.first() else { return 1.0 / 1800.0 };
        let interval_s = if self.is_valid(now) { planned.interval_s } else { planned.fallback_s };
        interval_s.map_or(0.0, |interval_s| 1.0 / interval_s)
    }
}

/// Twelve agents and one shared server, through cut links, killed hubs, late documents and rotation.
#[test]
fn partitions_and_kills_never_exceed_the_budget() {
    const HOURS: u64 = 8;
    assert_eq!(fleet().plan_ends_after(), VALID);
    let mut rng = StdRng::seed_from_u64(7);
    let start = Instant::now();
    let (mut view, roster) = agents(12, false, start);
    let names: Vec<String> = view.vantages.keys().cloned().collect();
    let mut all: BTreeMap<String, Simulated> = names.iter().map(|name| (name.clone(), Simulated::default())).collect();
    let mut documents: BTreeMap<String, (PlanDocument, Option<Instant>, u64)> = BTreeMap::new();
    let (mut planner, mut lease, mut polls, mut planned_s) = (Planner::new(&fleet()), 1, 0.0, 0_u64);
    for second in 0..HOURS * 3600 {
        let now = start + Duration::from_secs(second);
        if rng.random_bool(1.0 / 1200.0) {
            // The hub is killed; its successor knows only the documents.
            (planner, lease) = (Planner::new(&fleet()), lease + 1);
            for (vantage, (document, ..)) in &documents {
                planner.adopt(&vantage.as_str().into(), document, &vantage.as_str().into(), now);
            }
        }
        for name in &names {
            let agent = all.get_mut(name).unwrap();
            if rng.random_bool(1.0 / 900.0) {
                agent.is_cut_off_until = second + rng.random_range(1..600);
            }
            let is_connected = second >= agent.is_cut_off_until;
            if is_connected && second % 20 == 0 {
                let known = view.vantages.get_mut(name).unwrap();
                (known.heard, known.announced) = (Some(now), Some(now));
                let follows = agent.is_valid(now).then_some(agent.version);
                Arc::make_mut(known.presence.as_mut().unwrap()).follows = follows;
            }
            // Documents arrive some seconds after they were written, or not at all.
            if let Some((document, answered, written)) = documents.get(name)
                && is_connected
                && second >= written + rng.random_range(0..8)
                && (document.revision, document.number) >= agent.version
            {
                agent.version = (document.revision, document.number);
                (agent.planned, agent.since) = (document.servers.clone().unwrap_or_default(), *answered);
            }
        }
        if second % 4 == 0 {
            planner.turn(&view, &roster, now, 0.0);
            for name in &names {
                let current = planner.current(name).unwrap().clone();
                let is_due = documents.get(name).is_none_or(|(document, _, written)| {
                    (document.revision, document.number) != (lease, current.number) || second >= written + 30
                });
                if is_due {
                    let announced = view.vantages[name].announced;
                    planner.written(name, lease, announced, now);
                    let document = PlanDocument {
                        v: 1,
                        hub: "h".into(),
                        revision: lease,
                        number: current.number,
                        answers: None,
                        clock: None,
                        line: None,
                        group: None,
                        validity_s: VALID.as_secs_f64(),
                        servers: Some(current.planned),
                        stored: Vec::new(),
                        caught_up: true,
                    };
                    documents.insert(name.clone(), (document, announced, second));
                }
            }
        }
        let rate: f64 = all.values().map(|agent| agent.rate(now)).sum();
        assert!(rate <= 1.0 / 16.0 + 1e-9, "{rate} polls a second at {second} s");
        polls += rate;
        planned_s += u64::from(all.values().filter(|agent| agent.is_valid(now)).count() >= 5);
    }
    assert!(planned_s > HOURS * 3600 / 2, "{planned_s} s with plans only");
    assert!(polls > 0.5 * (HOURS * 3600) as f64 / 16.0, "{polls} polls only");
}
