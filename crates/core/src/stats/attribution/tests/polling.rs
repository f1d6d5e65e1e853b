//! The verdict does not depend on how servers are polled: rarely, all at once, each at its own interval, with losses.

use std::sync::Arc;

use super::*;

/// Samples of servers that are all polled at the same instants, in a recording without poll intervals.
fn at_once(servers: usize, poll_s: f64, polls: u32, offset_s: impl Fn(usize, u32) -> f64) -> Vec<Sample> {
    let world = World::ordinary(5, servers, 64.0, 640.0);
    let template = world.samples().find(|s| s.measure.is_some()).unwrap();
    let mut dice = Dice::new(9);
    let mut samples = Vec::new();
    for k in 0..polls {
        for (i, server) in world.servers.iter().enumerate() {
            let wall_ns = 1_780_000_000_000_000_000 + (f64::from(k) * poll_s * 1e9) as i64;
            let at = crate::clock::Stamp::new(wall_ns, wall_ns, 0);
            let (server, address) = (Arc::clone(&server.ident), Some(server.address));
            let sample = Sample { at, server, address, ..template.clone() };
            samples.push(measured(sample, offset_s(i, k) + 1e-4 * dice.normal()));
        }
    }
    samples
}

#[test]
fn servers_that_are_polled_together_and_rarely_are_judged() {
    for poll_s in [16.0, 256.0, 1024.0, 2048.0] {
        let samples = at_once(5, poll_s, 120, |i, k| if i == 2 && k >= 60 { 0.12 } else { 0.0 });
        let entries = entries_of(samples.into_iter(), &mut Attribution::new());
        let last = entries.last().unwrap();
        assert_eq!((entries.len(), last.state), (2, State::ServerWrong), "{poll_s}: {entries:?}");
        assert_eq!((last.blamed[0].server.as_str(), last.blamed[0].kind), ("ntp3", Some(Kind::Step)));
        let late_s = (last.since.0 - 1_780_000_000_000_000_000) as f64 / 1e9 - 60.0 * poll_s;
        assert!(late_s.abs() <= 2.0 * poll_s, "{poll_s}: {late_s}");
    }
}

#[test]
fn single_server_polled_every_two_hours_is_never_refused() {
    // The recording has no poll interval.
    let samples = at_once(1, 7200.0, 40, |_, _| 0.0);
    let mut attribution = Attribution::new();
    samples.iter().for_each(|sample| assert!(attribution.observe(sample).is_ok()));
    assert_eq!(attribution.refused(), 0);
    let last = samples.last().unwrap().at.wall_ns;
    assert!(attribution.timeline.wall_ns(attribution.last_s) >= last - 7_200_000_000_000);
}

#[test]
fn server_that_disagrees_is_never_counted_as_agreeing() {
    let mut attribution = Attribution::new();
    for sample in at_once(5, 64.0, 20, |i, _| if i == 2 { 1.5 } else { 0.0 }) {
        attribution.observe(&sample).unwrap();
        let verdict = attribution.verdict();
        assert!(verdict.majority.as_ref().is_none_or(|majority| majority.members < majority.of), "{verdict:?}");
        assert!(!verdict.sentence.starts_with("All"), "{verdict:?}");
    }
    assert_eq!(attribution.verdict().state, State::ServerWrong);
}

#[test]
fn polls_that_become_rare_do_not_end_the_judging() {
    let offset_s = |i: usize, k: u32| if i == 1 && k >= 60 { -0.2 } else { 0.0 };
    let mut samples = at_once(4, 64.0, 120, offset_s);
    for sample in &mut samples[4 * 30..] {
        let begin_ns = 1_780_000_000_000_000_000 + 30 * 64_000_000_000;
        sample.at.wall_ns = begin_ns + (sample.at.wall_ns - begin_ns) * 16;
        sample.at.mono_ns = sample.at.wall_ns;
    }
    let entries = entries_of(samples.into_iter(), &mut Attribution::new());
    let blamed: Vec<_> = entries.iter().flat_map(|e| &e.blamed).map(|b| b.server.as_str()).collect();
    assert_eq!((blamed, entries.last().unwrap().state), (vec!["ntp2"], State::ServerWrong), "{entries:?}");
}

#[test]
fn rarely_polled_server_is_not_blamed_for_the_own_clock() {
    for seed in 1..12 {
        for fault in
            [Fault::LocalStep { at_s: 10_000.0, size_s: 0.08 }, Fault::LocalDrift { at_s: 10_000.0, ppm: -200.0 }]
        {
            let mut world = World::ordinary(seed, 5, 16.0, 16_000.0);
            (world.servers[0].poll_s, world.servers[1].poll_s) = (64.0, 64.0);
            world.servers[1].tail = 0.2;
            world.faults = vec![fault];
            let (entries, _) = run(&world);
            assert!(entries.iter().all(|e| e.blamed.is_empty()), "seed {seed}: {entries:?}");
            assert_eq!(entries.last().unwrap().state, State::LocalWrong, "seed {seed}");
        }
    }
}

#[test]
fn lost_poll_neither_makes_nor_breaks_a_majority() {
    for seed in 1..12 {
        let mut world = World::ordinary(seed, 5, 64.0, 40_000.0);
        for server in &mut world.servers {
            (server.loss, server.root_dispersion_s) = (0.15, 0.4);
        }
        let step = |server| Fault::ServerStep { server, at_s: 15_000.0, size_s: 0.2 };
        world.faults = vec![step(1), step(3)];
        let (entries, _) = run(&world);
        let last = entries.last().unwrap();
        let mut blamed: Vec<_> = last.blamed.iter().map(|b| b.server.as_str()).collect();
        blamed.sort_unstable();
        assert_eq!((last.state, blamed), (State::ServerWrong, vec!["ntp2", "ntp4"]), "seed {seed}: {entries:?}");
        let doubtful = |e: &&Entry| e.state == State::Undecidable && e.since > entries[1].since;
        assert_eq!(entries.iter().filter(doubtful).count(), 0, "seed {seed}: {entries:?}");
    }
}

#[test]
fn server_with_frequent_losses_is_not_often_unreachable() {
    for seed in 1..9 {
        let mut world = World::ordinary(seed, 5, 64.0, 400_000.0);
        world.servers.iter_mut().for_each(|server| server.loss = 0.3);
        world.faults = vec![Fault::Silence { server: Some(1), from_s: 390_000.0, until_s: 400_000.0 }];
        let (entries, attribution) = run(&world);
        // The usual loss is not known in the first hour.
        let begin_s = world.start_unix_s + 3600;
        let late = entries.iter().filter(|e| e.since.0 > begin_s * 1_000_000_000 && e.state == State::Path);
        let unreachable: Vec<_> = late.flat_map(|e| &e.blamed).map(|b| b.server.as_str()).collect();
        assert_eq!(unreachable, ["ntp2"], "seed {seed}: {entries:?}");
        assert_eq!(attribution.verdict().state, State::Path, "seed {seed}");
    }
}

#[test]
fn history_says_why_a_server_is_silent() {
    let samples = at_once(4, 64.0, 60, |_, _| 0.0).into_iter().enumerate().map(|(n, sample)| match n {
        n if n % 4 == 3 && n > 100 => Sample { outcome: Outcome::Refused, measure: None, reply: None, ..sample },
        _ => sample,
    });
    let entries = entries_of(samples, &mut Attribution::new());
    let last = entries.last().unwrap();
    assert_eq!(last.state, State::Path);
    assert!(last.sentence.contains("nothing listens on its port"), "{last:?}");
}

/// The first replies on a busy host come late together.
#[test]
fn disturbed_first_rounds_are_no_step_of_all_servers() {
    for disturbed in 1..4 {
        let samples = at_once(4, 0.1, 200, |_, k| if k < disturbed { -5e-3 } else { 0.0 });
        let with_raw = |mut sample: Sample| {
            sample.at.raw_ns = sample.at.mono_ns;
            sample
        };
        let mut attribution = Attribution::new();
        entries_of(samples.into_iter().map(with_raw), &mut attribution);
        let verdict = attribution.verdict();
        assert_eq!(verdict.state, State::Consistent, "{disturbed}: {}", verdict.sentence);
    }
}

/// A new server is polled every 16 s at first, and then at its interval.
#[test]
fn early_first_polls_are_judged_and_are_no_pause_later() {
    let at_s = |k: u32| if k < 4 { 16.0 * f64::from(k) } else { 48.0 + 64.0 * f64::from(k - 3) };
    let mut samples = at_once(4, 1.0, 40, |i, _| if i == 3 { 0.08 } else { 0.0 });
    for (n, sample) in samples.iter_mut().enumerate() {
        let (k, i) = (n as u32 / 4, n as u32 % 4);
        sample.at.wall_ns = 1_780_000_000_000_000_000 + ((at_s(k) + 0.3 * f64::from(i)) * 1e9) as i64;
        sample.at.mono_ns = sample.at.wall_ns;
        let measure = sample.measure.as_mut().unwrap();
        (measure.delay_s, measure.root_distance_s) = (0.01, 0.01);
    }
    let (mut attribution, mut named_s, mut events) = (Attribution::new(), None, Vec::new());
    for sample in &samples {
        attribution.observe(sample).unwrap();
        events.extend(attribution.take_events());
        let verdict = attribution.verdict();
        let apart = verdict.servers.iter().find(|it| &*it.server == "ntp4");
        assert!(apart.is_none_or(|it| it.class != Class::Truechimer), "{verdict:?}");
        if verdict.state == State::ServerWrong && named_s.is_none() {
            named_s = Some((sample.at.wall_ns - samples[0].at.wall_ns) / 1_000_000_000);
        }
    }
    assert!(named_s.is_some_and(|named_s| named_s <= 40), "{named_s:?}");
    assert_eq!(attribution.verdict().state, State::ServerWrong);
    assert!(events.iter().all(|event| event.kind != EventKind::MonitorPause), "{events:?}");
}

#[test]
fn polls_that_become_frequent_are_judged_at_once() {
    const RARE: u32 = 60;
    let mut samples = at_once(4, 300.0, RARE + 60, |i, k| if i == 1 && k >= RARE { 0.2 } else { 0.0 });
    let begin_ns = samples[4 * RARE as usize].at.wall_ns;
    for sample in &mut samples[4 * RARE as usize..] {
        sample.at.wall_ns = begin_ns + (sample.at.wall_ns - begin_ns) / 300;
        sample.at.mono_ns = sample.at.wall_ns;
    }
    let entries = entries_of(samples.into_iter(), &mut Attribution::new());
    let last = entries.last().unwrap();
    assert_eq!((last.state, last.blamed[0].server.as_str()), (State::ServerWrong, "ntp2"), "{entries:?}");
}

#[test]
fn longer_interval_of_all_servers_is_no_movement() {
    const LONGER: i64 = 225;
    let mut dice = Dice::new(4);
    let noise_s: Vec<f64> = (0..5 * 400).map(|_| 5e-4 * dice.normal()).collect();
    let mut samples = at_once(5, 16.0, 400, |i, k| noise_s[5 * k as usize + i]);
    for (n, sample) in samples.iter_mut().enumerate() {
        let (poll, server) = ((n / 5) as i64, (n % 5) as i64);
        let at_s = 16 * poll + 46 * (poll - LONGER).max(0);
        sample.at.wall_ns = 1_780_000_000_000_000_000 + at_s * 1_000_000_000 + server * 400_000_000;
        sample.at.mono_ns = sample.at.wall_ns;
    }
    let (mut attribution, mut fastest) = (Attribution::new(), 0.0_f64);
    for sample in samples {
        attribution.observe(&sample).unwrap();
        fastest = fastest.max(attribution.engine.own.rate.abs());
    }
    assert_eq!(attribution.verdict().state, State::Consistent);
    // Two rounds in quick succession would make a rate of the noise.
    assert!(fastest < 6e-5, "{fastest}");
}
