//! Verdicts after a return: of a server to the right time, of a fault to a server, of the monitor after a pause.

use super::*;
use crate::stats::verdict::When;

const AT_S: f64 = 12_000.0;

fn second(world: &World, at: When) -> f64 {
    (at.0 - world.start_unix_s * 1_000_000_000) as f64 / 1e9
}

fn step(server: usize, at_s: f64, size_s: f64) -> Fault {
    Fault::ServerStep { server, at_s, size_s }
}

/// Begin and end of each span in which a server is blamed.
fn spans(world: &World, entries: &[Entry], server: &str) -> Vec<(f64, f64)> {
    let names = |e: &&Entry| e.state == State::ServerWrong && e.blamed.iter().any(|b| b.server == server);
    let span = |e: &Entry| (second(world, e.since), e.until.map_or(world.duration_s, |until| second(world, until)));
    entries.iter().filter(names).map(span).collect()
}

#[test]
fn second_fault_of_a_server_begins_after_the_first_ended() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 40_000.0);
        let faults = [(AT_S, 0.2), (AT_S + 4000.0, -0.2), (AT_S + 8000.0, 0.2), (AT_S + 12_000.0, -0.2)];
        world.faults = faults.map(|(at_s, size_s)| step(1, at_s, size_s)).to_vec();
        let (entries, _) = run(&world);
        let spans = spans(&world, &entries, "ntp2");
        let is_near = |(at, truth): (f64, f64)| (at - truth).abs() < 200.0;
        let times = spans.iter().flat_map(|span| [span.0, span.1]).zip(faults.map(|f| f.0));
        assert!(spans.len() == 2 && times.into_iter().all(is_near), "seed {seed}: {spans:?}");
    }
}

#[test]
fn fault_that_is_slewed_away_ends_when_it_is_gone() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 40_000.0);
        let rate = |at_s, ppm| Fault::ServerDrift { server: 1, at_s, ppm };
        world.faults = vec![step(1, AT_S, 0.03), rate(AT_S + 7000.0, -10.0), rate(AT_S + 10_000.0, 10.0)];
        let (entries, _) = run(&world);
        let spans = spans(&world, &entries, "ntp2");
        let is_right = |span: &(f64, f64)| (-500.0..1500.0).contains(&(span.1 - AT_S - 10_000.0));
        assert!(spans.len() == 1 && spans.iter().all(is_right), "seed {seed}: {spans:?}");
    }
}

#[test]
fn repaired_server_makes_no_other_path_suspect() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 40_000.0);
        let size_s = if seed % 2 == 0 { 0.03 } else { -0.03 };
        world.faults = vec![step(1, AT_S, size_s), step(1, AT_S + 7000.0, -size_s), step(2, AT_S + 11_000.0, -size_s)];
        let (entries, _) = run(&world);
        assert!(!spans(&world, &entries, "ntp3").is_empty(), "seed {seed}: {entries:?}");
    }
}

#[test]
fn pause_of_the_monitor_interrupts_no_verdict() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 40_000.0);
        world.faults = vec![step(1, AT_S, 0.03), Fault::Pause { from_s: AT_S + 4000.0, until_s: AT_S + 11_000.0 }];
        world.has_raw = seed % 2 == 0;
        let (entries, _) = run(&world);
        let states: Vec<_> = entries.iter().map(|e| e.state).collect();
        assert_eq!(states, [State::Consistent, State::ServerWrong], "seed {seed}: {entries:?}");
    }
}

#[test]
fn server_with_coarse_offsets_among_others_is_not_blamed() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 200_000.0);
        world.faults = vec![Fault::Grain { server: 1, grain_s: 1e-3 }];
        let (entries, _) = run(&world);
        assert!(no_party_is_blamed(&entries), "seed {seed}: {entries:?}");
    }
}

/// The servers that share one upstream may have an error from there; one that was repaired has none.
#[test]
fn repair_of_a_server_with_a_shared_upstream_is_decided() {
    for (shared, seed) in (2..5).flat_map(|shared| (1..9).map(move |seed| (shared, seed))) {
        for size_s in [0.2, 0.06] {
            let mut world = World::ordinary(seed, 5, 64.0, 30_000.0);
            world.servers[..shared].iter_mut().for_each(|server| server.upstream = 77);
            world.faults = vec![step(0, AT_S, size_s), step(0, AT_S + 3600.0, -size_s)];
            let (entries, _) = run(&world);
            let states: Vec<_> = entries.iter().map(|e| e.state).collect();
            let wanted = [State::Consistent, State::ServerWrong, State::Consistent];
            assert_eq!(states, wanted, "{shared} share, seed {seed}, {size_s} s: {entries:#?}");
        }
    }
}

#[test]
fn fault_that_no_path_explains_is_named_each_time() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 100_000.0);
        world.servers[1].delay_s = 0.015;
        let is_drift = seed % 2 == 0;
        let on = |k: u32| AT_S + 14_400.0 * f64::from(k);
        let faults = |k: u32| match is_drift {
            // A drift that is set back after two hours.
            true => vec![
                Fault::ServerDrift { server: 1, at_s: on(k), ppm: 8.0 },
                Fault::ServerDrift { server: 1, at_s: on(k) + 7200.0, ppm: -8.0 },
                step(1, on(k) + 7200.0, -8e-6 * 7200.0),
            ],
            false => vec![step(1, on(k), 0.025), step(1, on(k) + 7200.0, -0.025)],
        };
        world.faults = (0..6).flat_map(faults).collect();
        let (entries, _) = run(&world);
        let spans = spans(&world, &entries, "ntp2");
        let is_named = |k: u32| spans.iter().any(|span| (span.0 - on(k)).abs() < 1000.0);
        assert!((0..6).all(is_named), "seed {seed}: {spans:?}");
    }
}

/// No oscillator moves by 20 ms in 64 s, and the raw clock shows no slew.
#[test]
fn jump_of_all_servers_and_back_blames_no_clock() {
    for seed in 1..9 {
        for (poll_s, size_s) in [(64.0, 0.02), (64.0, -0.02), (256.0, 0.1), (16.0, 0.02)] {
            let mut world = World::ordinary(seed, 6, poll_s, 300.0 * poll_s);
            let (from_s, until_s) = (150.0 * poll_s, 210.0 * poll_s);
            let of_all = |at_s, size_s| (0..6).map(move |server| step(server, at_s, size_s));
            world.faults = of_all(from_s, size_s).chain(of_all(until_s, -size_s)).collect();
            let (entries, _) = run(&world);
            assert!(no_party_is_blamed(&entries), "seed {seed}, {poll_s} s, {size_s} s: {entries:#?}");
        }
    }
}
