//! Verdicts during long faults and outages, and after their end.

use super::*;

const AT_S: f64 = 15_000.0;

fn second(world: &World, at: crate::stats::verdict::When) -> f64 {
    (at.0 - world.start_unix_s * 1_000_000_000) as f64 / 1e9
}

#[test]
fn outage_of_all_servers_is_undecidable_while_it_lasts() {
    let mut world = World::ordinary(4, 6, 64.0, 40_000.0);
    world.faults = vec![Fault::Silence { server: None, from_s: AT_S, until_s: AT_S + 4000.0 }];
    let (entries, _) = run(&world);
    let outage = entries.iter().find(|e| e.state == State::Undecidable && e.since.0 > entries[0].since.0).unwrap();
    let (since, until) = (second(&world, outage.since), second(&world, outage.until.unwrap()));
    assert!((since - AT_S).abs() < 320.0 && (until - AT_S - 4000.0).abs() < 320.0, "{entries:?}");
    assert_eq!(entries.last().unwrap().state, State::Consistent);
}

#[test]
fn second_silent_server_does_not_move_the_onset_of_the_first() {
    let mut world = World::ordinary(4, 6, 64.0, 40_000.0);
    let silence = |server, from_s| Fault::Silence { server: Some(server), from_s, until_s: 1e12 };
    world.faults = vec![silence(1, AT_S), silence(2, AT_S + 10_000.0)];
    let (entries, _) = run(&world);
    let path = entries.iter().find(|e| e.state == State::Path).unwrap();
    assert!((second(&world, path.since) - AT_S).abs() < 320.0, "{entries:?}");
    let latest = path.blamed.iter().filter_map(|b| b.since).max().unwrap();
    assert!(path.blamed.len() == 2 && second(&world, latest) > AT_S + 9000.0, "{path:?}");
}

#[test]
fn repaired_step_keeps_its_kind_and_changes_no_estimate() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 40_000.0);
        let step = |at_s, size_s| Fault::LocalStep { at_s, size_s };
        world.faults = vec![step(AT_S, 0.08), step(AT_S + 5000.0, -0.08)];
        world.has_raw = seed % 2 == 0;
        let (entries, _) = run(&world);
        let states: Vec<_> = entries.iter().map(|e| e.state).collect();
        assert_eq!(states, [State::Consistent, State::LocalWrong, State::Consistent], "seed {seed}: {entries:?}");
        assert_eq!(entries[1].local.kind, Some(Kind::Step), "seed {seed}");
        let estimates: Vec<_> = entries.iter().map(|e| e.local.estimate_s.unwrap()).collect();
        let wanted = [0.0, -0.08, 0.0];
        assert!(
            estimates.iter().zip(wanted).all(|(got, want)| (got - want).abs() < 0.01),
            "seed {seed}: {estimates:?}"
        );
    }
}

#[test]
fn the_onset_of_a_slow_drift_stays_when_it_has_left_the_window() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 16.0, 12_000.0);
        world.faults = vec![Fault::LocalDrift { at_s: 4000.0, ppm: 8.0 }];
        let (entries, _) = run(&world);
        let last = entries.last().unwrap();
        assert_eq!((last.state, last.local.kind), (State::LocalWrong, Some(Kind::Frequency)), "seed {seed}");
        let late_s = second(&world, last.since) - 4000.0;
        assert!(late_s.abs() < 400.0, "seed {seed}: {late_s}");
    }
}

#[test]
fn two_of_four_that_step_together_do_not_blame_the_own_clock() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 4, 64.0, 40_000.0);
        world.servers.iter_mut().for_each(|s| s.root_dispersion_s = 0.55);
        let step = |server| Fault::ServerStep { server, at_s: AT_S, size_s: -0.62 };
        world.faults = vec![step(0), step(1)];
        let (entries, _) = run(&world);
        assert!(no_party_is_blamed(&entries), "seed {seed}: {entries:?}");
        assert_eq!(entries.last().unwrap().state, State::Undecidable, "seed {seed}: {entries:?}");
    }
}

/// The level of a server that swings from the start is learned while it swings, so that its path stays more likely than
/// its clock in some worlds.
#[test]
fn server_that_swings_from_the_start_does_not_become_consistent() {
    let is_named_to_the_end = |seed: &u64| {
        let mut world = World::ordinary(*seed, 5, 64.0, 100_000.0);
        let swing = Fault::ServerSine { server: 0, from_s: 0.0, amplitude_s: 0.03, period_s: 10_800.0 };
        world.faults = vec![swing];
        let (entries, attribution) = run(&world);
        let is_late = |e: &Entry| e.until.is_none_or(|until| second(&world, until) > 40_000.0);
        let Some(it) = attribution.verdict().blamed().next() else { return false };
        assert_eq!(&*it.server, "ntp1");
        let is_right = |period_s: f64| (0.9..1.1).contains(&(period_s / 10_800.0));
        assert!(it.period_s.is_none_or(is_right), "seed {seed}: {}", it.sentence);
        entries.iter().filter(|e| is_late(e)).all(|e| e.state == State::ServerWrong)
    };
    let named: Vec<_> = (1..9).filter(is_named_to_the_end).collect();
    assert!(named.len() >= 4, "{named:?}");
}

/// The events of one server or of this host's clock that remain after a world of 40 000 s.
fn clock_events(world: &World, server: Option<&str>) -> Vec<Event> {
    let (mut attribution, mut kept) = (Attribution::new(), Vec::new());
    for sample in world.samples() {
        attribution.observe(&sample).unwrap();
        attribution.take_events().into_iter().for_each(|event| event.upsert(&mut kept));
    }
    let is_of_clock = |event: &Event| {
        use EventKind::{ClockDrift, ClockStep, ServerDrift, ServerStep};
        matches!(event.kind, ClockDrift | ClockStep | ServerDrift | ServerStep)
    };
    kept.retain(|event| event.server.as_deref() == server && is_of_clock(event));
    kept
}

#[test]
fn two_bad_replies_among_good_ones_are_one_event() {
    for seed in 1..=6 {
        let mut world = World::ordinary(seed, [5, 4, 7, 5, 9][(seed % 5) as usize], 64.0, 35_200.0);
        let from_s = 9600.0 + 17.0 * (seed % 11) as f64;
        let size_s = if seed % 2 == 0 { 0.2 } else { -0.2 };
        world.faults = vec![Fault::Intermittent { server: 1, from_s, until_s: f64::INFINITY, size_s, share: 0.1 }];
        let events = clock_events(&world, Some("ntp2"));
        assert_eq!(events.len(), 1, "seed {seed}: {events:#?}");
    }
}

#[test]
fn slew_has_one_event_from_its_first_report_on() {
    for seed in [1, 2, 12] {
        let mut world = World::ordinary(seed, 7, 64.0, 38_400.0);
        let slew = |from_s, ppm| Fault::LocalSlew { from_s, until_s: from_s + 600.0, ppm };
        world.faults = vec![slew(9600.0, 110.0), slew(13_600.0, -110.0)];
        world.has_raw = false;
        let events = clock_events(&world, None);
        assert_eq!(events.len(), 1, "seed {seed}: {events:#?}");
    }
}
