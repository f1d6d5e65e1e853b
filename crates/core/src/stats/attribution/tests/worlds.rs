//! Unusual worlds: coarse stamps, steps among queues, camps of the same size, clocks set far back.

use super::*;

const AT_S: f64 = 15_000.0;

fn second(world: &World, at: crate::stats::verdict::When) -> f64 {
    (at.0 - world.start_unix_s * 1_000_000_000) as f64 / 1e9
}

#[test]
fn stamps_in_whole_milliseconds_blame_no_party() {
    for seed in 1..25 {
        let mut world = World::ordinary(seed, 9, 64.0, 60_000.0);
        world.wander_s = 2e-4;
        for server in &mut world.servers {
            (server.delay_s, server.queue_s, server.noise_s) = (0.0008, 2e-5, 5e-5);
            (server.error_s, server.root_delay_s, server.root_dispersion_s) = (server.error_s * 0.1, 5e-4, 1e-3);
        }
        let rounded = |seconds: f64| (seconds * 1e3).round() / 1e3;
        let coarse = world.samples().map(|mut sample| {
            if let Some(m) = &mut sample.measure {
                (m.offset_s, m.delay_s) = (rounded(m.offset_s), rounded(m.delay_s));
            }
            sample
        });
        let mut attribution = Attribution::new();
        let entries = entries_of(coarse, &mut attribution);
        assert!(no_party_is_blamed(&entries), "seed {seed}: {entries:?}");
    }
}

#[test]
fn step_much_larger_than_queues_is_dated_during_congestion() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 40_000.0);
        world.faults = vec![
            Fault::Congestion { from_s: AT_S - 2500.0, until_s: AT_S + 2500.0, mean_s: 0.05 },
            Fault::ServerStep { server: 1, at_s: AT_S, size_s: 0.6 },
        ];
        let (entries, _) = run(&world);
        let wrong = entries.iter().find(|e| e.state == State::ServerWrong).unwrap();
        assert_eq!(wrong.blamed.len(), 1, "seed {seed}: {wrong:?}");
        assert_eq!((wrong.blamed[0].server.as_str(), wrong.blamed[0].kind), ("ntp2", Some(Kind::Step)), "seed {seed}");
        let late_s = second(&world, wrong.blamed[0].since.unwrap()) - AT_S;
        assert!(late_s.abs() < 320.0, "seed {seed}: {late_s}");
    }
}

#[test]
fn slow_drift_of_half_of_the_servers_blames_no_party() {
    for seed in 1..13 {
        let mut world = World::ordinary(seed, 6, 64.0, 40_000.0);
        world.faults = (0..3).map(|server| Fault::ServerDrift { server, at_s: AT_S, ppm: 6.0 }).collect();
        let (entries, _) = run(&world);
        assert!(no_party_is_blamed(&entries), "seed {seed}: {entries:?}");
        assert_eq!(entries.last().unwrap().state, State::Undecidable, "seed {seed}: {entries:?}");
    }
}

#[test]
fn a_clock_set_back_by_an_hour_is_proven_by_the_raw_clock() {
    let mut world = World::ordinary(4, 5, 64.0, 40_000.0);
    world.faults = vec![Fault::LocalStep { at_s: AT_S, size_s: -3600.0 }];
    let (_, attribution) = run(&world);
    let verdict = attribution.verdict();
    assert_eq!((verdict.state, verdict.local.kind), (State::LocalWrong, Some(Kind::Step)), "{verdict:?}");
    assert!(verdict.reason.contains("MONOTONIC_RAW"), "{}", verdict.reason);
}

#[test]
fn step_during_an_outage_of_hours_has_its_true_size() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 60_000.0);
        world.faults = vec![
            Fault::Silence { server: Some(1), from_s: AT_S, until_s: AT_S + 20_000.0 },
            Fault::ServerStep { server: 1, at_s: AT_S + 5000.0, size_s: 0.12 },
        ];
        let (entries, attribution) = run(&world);
        let verdict = attribution.verdict();
        let server = verdict.servers.iter().find(|s| &*s.server == "ntp2").unwrap();
        assert!(server.size_s.is_some_and(|size_s| (size_s - 0.12).abs() < 0.01), "seed {seed}: {verdict:?}");
        let back_s = second(&world, entries.last().unwrap().since) - AT_S - 20_000.0;
        assert!(back_s.abs() < 320.0, "seed {seed}: {back_s}");
    }
}

#[test]
fn lasting_longer_paths_to_all_servers_become_usual() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 60_000.0);
        let route = |server| Fault::RouteChange { server, at_s: AT_S, until_s: 1e12, one_way_s: 0.03 };
        world.faults = (0..5).map(route).collect();
        world.faults.push(Fault::ServerStep { server: 1, at_s: AT_S + 25_000.0, size_s: 0.03 });
        let (entries, _) = run(&world);
        let states: Vec<_> = entries.iter().map(|e| e.state).collect();
        let wanted = [State::Consistent, State::Path, State::Consistent, State::ServerWrong];
        assert_eq!(states, wanted, "seed {seed}: {entries:?}");
        let blamed: Vec<_> = entries[3].blamed.iter().map(|b| b.server.as_str()).collect();
        assert_eq!(blamed, ["ntp2"], "seed {seed}: {entries:?}");
    }
}

#[test]
fn a_slow_drift_of_the_own_clock_is_no_servers_fault() {
    for (seed, share_rare) in [2, 14, 42, 51, 58, 90, 91].into_iter().flat_map(|seed| [(seed, 0.0), (seed, 0.5)]) {
        let mut world = World::ordinary(seed, 5 + 2 * (seed % 4) as usize, 64.0, 86_400.0);
        world.wander_s = 1e-5;
        let mut dice = Dice::new(seed + 1000);
        for server in &mut world.servers {
            if share_rare > 0.0 && dice.unit() < share_rare {
                server.poll_s = 256.0;
            }
            (server.queue_s, server.noise_s) = (dice.between(2e-5, 4e-4), dice.between(5e-6, 5e-5));
            (server.error_s, server.root_delay_s, server.root_dispersion_s) = (0.0, 0.0, 0.0);
        }
        let ppm = [0.6, 1.0, -0.6, -1.0][(seed / 4 % 4) as usize];
        world.faults = vec![Fault::LocalDrift { at_s: -1.0, ppm }];
        let (entries, _) = run(&world);
        assert!(entries.iter().all(|e| e.blamed.is_empty()), "seed {seed}: {entries:?}");
        assert_eq!(entries.last().unwrap().state, State::LocalWrong, "seed {seed}: {entries:?}");
    }
}

#[test]
fn own_clock_that_was_set_is_wrong_though_a_server_went_along() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 30_000.0);
        world.has_raw = true;
        let server = Fault::ServerStep { server: 1, at_s: AT_S, size_s: 0.07 };
        world.faults = vec![Fault::LocalStep { at_s: AT_S, size_s: 0.07 }, server];
        let (entries, _) = run(&world);
        let last = entries.last().unwrap();
        let blamed: Vec<_> = last.blamed.iter().map(|b| b.server.as_str()).collect();
        assert_eq!((last.state, &blamed[..]), (State::LocalWrong, &["ntp2"][..]), "{seed}: {entries:?}");
    }
}

#[test]
fn majority_that_drifts_accuses_no_server_that_stays() {
    for (seed, has_raw, ppm) in
        [(3, false, 20.0), (13, true, 20.0), (28, true, -20.0), (31, true, 8.0), (31, true, 20.0)]
    {
        let mut world = World::ordinary(seed, 5, 64.0, 44_800.0);
        world.has_raw = has_raw;
        let (from_s, until_s) = (9600.0 + 17.0 * (seed % 11) as f64, 20_400.0 + 17.0 * (seed % 11) as f64);
        let drift = |server, at_s, ppm| Fault::ServerDrift { server, at_s, ppm };
        let back = |server| Fault::ServerStep { server, at_s: until_s, size_s: ppm * 1e-6 * (until_s - from_s) };
        let of = |server| [drift(server, from_s, -ppm), drift(server, until_s, ppm), back(server)];
        world.faults = [0, 2, 3].into_iter().flat_map(of).collect();
        let mut attribution = Attribution::new();
        for sample in world.samples() {
            attribution.observe(&sample).unwrap();
            let verdict = attribution.verdict();
            let is_clock = matches!(verdict.state, State::ServerWrong | State::LocalWrong);
            assert!(!is_clock, "seed {seed}, {ppm} ppm: {verdict:?}");
        }
    }
}

#[test]
fn slew_that_no_raw_clock_shows_is_one_fault_with_one_end() {
    for seed in [5, 9, 11, 20] {
        let mut world = World::lan(seed, [4, 5, 3, 6][(seed % 4) as usize], 16.0, 27_200.0);
        world.has_raw = false;
        let at_s = 2400.0 + 17.0 * (seed % 11) as f64;
        let ppm = if seed.is_multiple_of(2) { 60.0 } else { -60.0 };
        let slew = |from_s, ppm| Fault::LocalSlew { from_s, until_s: from_s + 400.0, ppm };
        world.faults = vec![slew(at_s, ppm), slew(at_s + 1300.0, -ppm)];
        let (mut attribution, mut states) = (Attribution::new(), Vec::new());
        for sample in world.samples() {
            attribution.observe(&sample).unwrap();
            states.push(attribution.verdict().state);
        }
        states.dedup();
        let first = states.iter().position(|state| *state == State::Consistent).unwrap();
        assert_eq!(states[first..], [State::Consistent, State::LocalWrong, State::Consistent], "seed {seed}");
    }
}
