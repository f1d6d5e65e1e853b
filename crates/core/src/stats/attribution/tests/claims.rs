//! Claims of a verdict that the samples must support: across a restart of the machine, and with few answers
//! or few servers.

use super::*;

const AT_S: f64 = 15_000.0;

/// Whether any verdict of these worlds says this.
fn is_said(entries: &[Entry], text: &str) -> bool {
    entries.iter().any(|e| e.sentence.contains(text))
}

#[test]
fn clock_set_across_a_restart_is_not_called_unset() {
    for (seed, size_s) in [20.0, -3.0, 0.7, 0.04, -20.0].into_iter().enumerate() {
        let mut world = World::ordinary(seed as u64 + 1, 5, 64.0, 40_000.0);
        world.faults = vec![
            Fault::Pause { from_s: AT_S, until_s: AT_S + 200.0 },
            Fault::LocalStep { at_s: AT_S + 100.0, size_s },
            Fault::LocalStep { at_s: AT_S + 3000.0, size_s: -size_s },
        ];
        // Both clocks that count from the boot begin again.
        let up_ns = 80_000_000_000_000;
        let restarted = world.samples().map(|mut sample| {
            if sample.at.wall_ns > world.start_unix_s * 1_000_000_000 + (AT_S * 1e9) as i64 + 50_000_000_000 {
                sample.at = Stamp::new(sample.at.wall_ns, sample.at.mono_ns - up_ns, sample.at.raw_ns + up_ns);
            }
            sample
        });
        let entries = entries_of(restarted, &mut Attribution::new());
        let states: Vec<_> = entries.iter().map(|e| e.state).collect();
        assert!(!is_said(&entries, "provably"), "{size_s} s: {entries:?}");
        assert_eq!(states, [State::Consistent, State::LocalWrong, State::Consistent], "{size_s} s: {entries:?}");
    }
}

#[test]
fn few_answers_are_no_movement_of_all_servers() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 32.0, 80_000.0);
        let step = |at_s, size_s| Fault::ServerStep { server: 1, at_s, size_s };
        world.faults = vec![step(AT_S, 0.05), step(AT_S + 18_000.0, -0.05)];
        // Each server is silent for 22 of 52 minutes, so that often only one or two answer.
        let mut dice = Dice::new(seed);
        for server in 0..5 {
            let phase_s = dice.between(0.0, 3100.0);
            let silence = |k: u32| Fault::Silence {
                server: Some(server),
                from_s: 3100.0 * f64::from(k) - phase_s,
                until_s: 3100.0 * f64::from(k) - phase_s + 1300.0,
            };
            world.faults.extend((0..28).map(silence));
        }
        let (entries, _) = run(&world);
        assert!(!is_said(&entries, "all servers moved together"), "seed {seed}: {entries:?}");
    }
}

#[test]
fn clock_that_is_set_by_an_hour_is_wrong_since_the_true_time() {
    for size_s in [-3600.0, 3600.0] {
        let mut world = World::ordinary(3, 5, 64.0, 40_000.0);
        let step = |at_s, size_s| Fault::LocalStep { at_s, size_s };
        world.faults = vec![step(AT_S, size_s), step(AT_S + 1200.0, -size_s)];
        let mut attribution = Attribution::new();
        let entries = entries_of(world.samples(), &mut attribution);
        let second = |at: crate::stats::verdict::When| at.0 as f64 / 1e9 - world.start_unix_s as f64 - AT_S;
        let wrong = entries.iter().find(|e| e.state == State::LocalWrong).unwrap();
        let (since_s, until_s) = (second(wrong.since), second(wrong.until.unwrap()));
        assert!(since_s.abs() < 64.0 && (until_s - 1200.0).abs() < 64.0, "{size_s}: {since_s} {until_s}");
        let events = attribution.take_events();
        assert!(events.iter().all(|e| e.end.is_none_or(|end| end >= e.start)), "{size_s}: {events:?}");
    }
}

#[test]
fn step_that_is_slewed_away_is_not_over_at_its_half() {
    for (seed, size_s) in [0.4, -0.25, 0.15, -0.4].into_iter().enumerate() {
        let mut world = World::ordinary(seed as u64 + 1, 5, 64.0, 40_000.0);
        let (ppm, slew_s) = (-500.0 * f64::signum(size_s), f64::abs(size_s) / 500e-6);
        world.faults = vec![
            Fault::LocalStep { at_s: AT_S, size_s },
            Fault::LocalSlew { from_s: AT_S, until_s: AT_S + slew_s, ppm },
        ];
        let (entries, _) = run(&world);
        let at_s = |at: crate::stats::verdict::When| at.0 as f64 / 1e9 - world.start_unix_s as f64 - AT_S;
        let wrong = entries.iter().find(|e| e.state == State::LocalWrong).unwrap();
        let until_s = at_s(wrong.until.unwrap());
        assert!((-130.0..130.0).contains(&(until_s - slew_s)), "{size_s}: {until_s} of {slew_s}");
    }
}

#[test]
fn drift_that_ended_keeps_its_rate() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 70_000.0);
        let rate = |at_s, ppm| Fault::ServerDrift { server: 1, at_s, ppm };
        let own = |at_s, ppm| Fault::LocalDrift { at_s, ppm };
        // This host's clock follows the server ten minutes later.
        world.faults =
            vec![rate(AT_S, 5.0), rate(AT_S + 10_800.0, -5.0), own(AT_S + 600.0, 5.0), own(AT_S + 11_400.0, -5.0)];
        let (_, attribution) = run(&world);
        let verdict = attribution.verdict();
        let rates = verdict.servers.iter().filter(|s| s.blamed).map(|s| s.rate_ppm).chain([verdict.local.rate_ppm]);
        let rates: Vec<_> = rates.flatten().collect();
        assert!(rates.iter().all(|(ppm, _)| (3.0..7.0).contains(&ppm.abs())), "seed {seed}: {rates:?}");
        let agree = verdict.majority.as_ref().map(|m| m.members);
        let named = verdict.servers.iter().filter(|s| s.blamed).count();
        assert!(agree.is_none_or(|n| n + named <= 5), "seed {seed}: {verdict:?}");
    }
}

#[test]
fn two_servers_that_disagree_are_said_to_differ() {
    for (seed, size_s) in [0.3, -0.3, 0.5].into_iter().enumerate() {
        let mut world = World::ordinary(seed as u64 + 1, 2, 64.0, 40_000.0);
        let step = |at_s, size_s| Fault::ServerStep { server: 1, at_s, size_s };
        world.faults = vec![step(AT_S, size_s), step(AT_S + 20_000.0, -size_s)];
        let mut attribution = Attribution::new();
        let mut said: Vec<(f64, String)> = Vec::new();
        for sample in world.samples() {
            let at_s = sample.at.wall_ns as f64 / 1e9 - world.start_unix_s as f64;
            attribution.observe(&sample).unwrap();
            said.push((at_s, attribution.verdict().sentence.clone()));
        }
        let differs = |it: &(f64, String)| it.1.contains("differ by");
        let is_fault = |it: &&(f64, String)| (AT_S + 400.0..AT_S + 20_000.0).contains(&it.0);
        let is_right = |it: &&(f64, String)| it.0 < AT_S || it.0 > AT_S + 20_900.0;
        assert!(said.iter().filter(is_fault).all(differs), "seed {seed}");
        assert!(!said.iter().filter(is_right).any(differs), "seed {seed}");
        let text = &said.iter().find(|it| differs(it)).unwrap().1;
        let is_onset = |late_s: i64| {
            let onset_ns = (world.start_unix_s + AT_S as i64 + late_s) * 1_000_000_000;
            text.contains(&format!("since {}", crate::stats::verdict::When(onset_ns)))
        };
        assert!((-128..=128).any(is_onset), "{text}");
        assert_eq!(attribution.verdict().state, State::Undecidable);
    }
}

#[test]
fn the_only_server_is_not_called_all_servers() {
    for size_s in [0.5, -0.5] {
        let mut world = World::ordinary(3, 1, 64.0, 30_000.0);
        world.faults = vec![Fault::ServerStep { server: 0, at_s: AT_S, size_s }];
        let (_, attribution) = run(&world);
        let sentence = &attribution.verdict().sentence;
        assert!(sentence.contains("the only server that answers moved"), "{sentence}");
    }
}
