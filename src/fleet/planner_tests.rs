use super::*;
use crate::fleet::judge::Judge;
use crate::fleet::presence::{Candidate, Presence};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};
use std::time::Duration;

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

/// Agents that all see one server, under a name of their own.
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
fn all_agents_together_stay_within_the_budget_with_and_without_plans() {
    let now = Instant::now();
    let (view, roster) = agents(8, false, now);
    let mut planner = Planner::new(&fleet());
    for _ in 0..20 {
        planner.turn(&view, &roster, now);
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
    planner.turn(&view, &roster, now);
    assert!(view.vantages.keys().all(|vantage| planner.current(vantage).unwrap().planned.is_empty()));
}

#[test]
fn silent_vantage_gets_no_plan_of_its_own() {
    let now = Instant::now();
    let (mut view, roster) = agents(3, false, now);
    view.vantages.get_mut("v1").unwrap().heard = now.checked_sub(Duration::from_secs(91));
    let mut planner = Planner::new(&fleet());
    planner.turn(&view, &roster, now);
    assert!(planner.current("v1").unwrap().planned[0].interval_s.is_none());
    assert!(planner.current("v0").unwrap().planned[0].interval_s.is_some());
}
