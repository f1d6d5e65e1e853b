//! A proof that a verdict states holds at that moment.

use super::*;

fn is_proven(verdict: &Verdict, name: &str) -> bool {
    verdict.servers.iter().any(|s| &*s.server == name && s.proven)
}

/// Gives the servers with these indexes one upstream.
fn sharing(world: &mut World, servers: std::ops::Range<usize>) {
    servers.for_each(|i| world.servers[i].upstream = 99);
}

#[test]
fn bound_of_the_own_clock_is_true_while_it_is_stated() {
    for seed in 1..=6 {
        let mut world = World::ordinary(seed, 5, 64.0, 30_000.0);
        world.has_raw = seed % 2 == 0;
        let slew = |from_s, ppm| Fault::LocalSlew { from_s, until_s: from_s + 600.0, ppm };
        world.faults = vec![slew(9600.0, 300.0), slew(16_000.0, -300.0)];
        let (mut attribution, mut samples) = (Attribution::new(), world.samples());
        let (mut stated, mut errors_s) = (0, std::collections::VecDeque::new());
        while let Some(sample) = samples.next() {
            errors_s.push_back(samples.local_error_s());
            if errors_s.len() > 6 {
                errors_s.pop_front();
            }
            let is_new = attribution.observe(&sample) == Ok(true);
            let local = &attribution.verdict().local;
            if is_new && local.at_least_s > 0.0 {
                stated += 1;
                // The bound held at some moment of about the last poll interval.
                assert!(errors_s.iter().any(|e| *e >= local.at_least_s), "{local:?} {errors_s:?}");
            }
        }
        assert!(stated > 50, "seed {seed}: {stated}");
    }
}

#[test]
fn server_that_left_the_others_a_little_is_no_longer_proven() {
    let mut world = World::ordinary(4, 5, 64.0, 60_000.0);
    let step = |at_s, size_s| Fault::ServerStep { server: 1, at_s, size_s };
    // Most of the error is repaired; the rest is within the error range.
    world.faults = vec![step(15_000.0, 0.3), step(30_000.0, -0.292)];
    let mut attribution = Attribution::new();
    let (mut proven, mut last) = (0, None);
    let mut samples = world.samples();
    while let Some((t_s, sample)) = samples.next_timed() {
        attribution.observe(&sample).unwrap();
        if (20_000.0..29_000.0).contains(&t_s) {
            proven += usize::from(is_proven(attribution.verdict(), "ntp2"));
        }
        if t_s > 31_000.0 {
            assert!(!is_proven(attribution.verdict(), "ntp2") && attribution.verdict().confidence < 0.95);
            last = Some(attribution.verdict().state);
        }
    }
    assert!(proven > 500 && last == Some(State::ServerWrong), "{proven} {last:?}");
}

#[test]
fn group_with_one_source_and_one_more_server_prove_nothing() {
    for seed in 1..=40 {
        let mut world = World::ordinary(seed, 5, 64.0, 20_000.0);
        sharing(&mut world, 1..5);
        let step = |server| Fault::ServerStep { server, at_s: 6000.0, size_s: 0.05 };
        world.faults = (1..5).map(step).collect();
        let (entries, _) = run(&world);
        assert!(entries.iter().all(|e| e.state != State::LocalWrong && e.blamed.is_empty()), "{seed} {entries:?}");
    }
}

#[test]
fn one_of_a_group_that_leaves_it_is_still_proven_wrong() {
    let mut world = World::ordinary(3, 5, 64.0, 20_000.0);
    sharing(&mut world, 1..5);
    world.faults = vec![Fault::ServerStep { server: 2, at_s: 6000.0, size_s: 1.0 }];
    let (_, attribution) = run(&world);
    let verdict = attribution.verdict();
    assert_eq!((verdict.state, is_proven(verdict, "ntp3")), (State::ServerWrong, true), "{}", verdict.sentence);
}

#[test]
fn named_server_alone_does_not_move_the_own_clock() {
    for seed in 1..=10 {
        let mut world = World::ordinary(seed, 4, 64.0, 30_000.0);
        world.has_raw = true;
        world.faults = vec![Fault::ServerStep { server: 1, at_s: 12_000.0, size_s: 0.03 }];
        let silence = |server| Fault::Silence { server: Some(server), from_s: 20_000.0, until_s: 20_600.0 };
        world.faults.extend([0, 2, 3].map(silence));
        let (entries, _) = run(&world);
        let is_unmoved = |e: &Entry| e.sentence.contains("provably not set");
        assert!(!entries.iter().any(is_unmoved), "{seed} {entries:?}");
    }
}

#[test]
fn both_families_of_one_name_have_one_vote() {
    let mut world = World::ordinary(1, 3, 64.0, 40_000.0);
    world.faults = vec![Fault::ServerStep { server: 2, at_s: 20_000.0, size_s: 0.5 }];
    // The second one is the IPv6 address of the first.
    let ident = world.samples().find(|sample| &*sample.server.name == "ntp1").unwrap().server;
    let as_one_name = |mut sample: Sample| {
        if &*sample.server.name == "ntp2" {
            (sample.server, sample.address) = (Arc::clone(&ident), Some("[2001:db8::1]:123".parse().unwrap()));
        }
        sample
    };
    let (_, apart) = run(&world);
    assert_eq!(apart.verdict().state, State::ServerWrong, "two against one");
    let mut attribution = Attribution::new();
    entries_of(world.samples().map(as_one_name), &mut attribution);
    let verdict = attribution.verdict();
    assert_eq!(verdict.state, State::Undecidable, "{verdict:?}");
    assert_eq!(verdict.independence.as_deref(), Some("2 of your 3 servers are addresses of one host"));
}
