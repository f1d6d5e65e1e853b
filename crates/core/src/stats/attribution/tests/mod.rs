mod claims;
mod lasting;
mod polling;
mod proofs;
mod returns;
mod silence;
mod sizes;
mod worlds;

use super::*;
use crate::ntp::Leap;
use crate::sample::ServerIdent;
use crate::stats::events::EventKind;
use crate::stats::verdict::{Class, Entry, History, Kind, State};
use crate::world::{Dice, Fault, World};

fn entries_of(samples: impl Iterator<Item = Sample>, attribution: &mut Attribution) -> Vec<Entry> {
    let mut history = History::new(1000);
    for sample in samples {
        if attribution.observe(&sample) == Ok(true) {
            history.record(attribution.verdict(), crate::stats::verdict::When(sample.at.wall_ns));
        }
    }
    history.entries().cloned().collect()
}

fn run(world: &World) -> (Vec<Entry>, Attribution) {
    let mut attribution = Attribution::new();
    (entries_of(world.samples(), &mut attribution), attribution)
}

fn no_party_is_blamed(entries: &[Entry]) -> bool {
    entries.iter().all(|e| matches!(e.state, State::Consistent | State::Undecidable) && e.blamed.is_empty())
}

fn measured(mut sample: Sample, offset_s: f64) -> Sample {
    if let Some(m) = &mut sample.measure {
        m.offset_s = offset_s;
    }
    sample
}

#[test]
fn numbers_that_are_not_finite_are_refused_and_change_nothing() {
    let world = World::ordinary(1, 4, 64.0, 20_000.0);
    let mut attribution = Attribution::new();
    let mut refused = 0;
    for (k, sample) in world.samples().enumerate() {
        let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].get(k % 10).copied();
        if let Some(bad) = bad.filter(|_| sample.measure.is_some()) {
            refused += 1;
            assert_eq!(attribution.observe(&measured(sample, bad)), Err(Refusal::NotANumber));
        } else {
            attribution.observe(&sample).unwrap();
        }
    }
    assert_eq!(attribution.refused(), refused);
    assert_eq!(attribution.verdict().state, State::Consistent);
}

#[test]
fn duplicates_and_old_samples_are_refused() {
    let world = World::ordinary(1, 4, 64.0, 10_000.0);
    let samples: Vec<_> = world.samples().collect();
    let mut attribution = Attribution::new();
    for sample in &samples {
        attribution.observe(sample).unwrap();
        assert_eq!(attribution.observe(sample), Err(Refusal::OutOfOrder));
    }
    assert_eq!(attribution.observe(&samples[3]), Err(Refusal::OutOfOrder));
    assert_eq!(attribution.verdict().state, State::Consistent);
}

#[test]
fn a_sample_from_the_future_neither_counts_nor_ages_the_rest() {
    let mut world = World::ordinary(1, 4, 64.0, 20_000.0);
    for has_raw in [true, false] {
        world.has_raw = has_raw;
        let with_one_from_2090 = world.samples().enumerate().flat_map(|(k, sample)| {
            let mut ahead = measured(sample.clone(), 1e6);
            ahead.at.wall_ns += 2_000_000_000_000_000_000;
            ahead.at.mono_ns += if has_raw { 2_000_000_000_000_000_000 } else { 0 };
            let ahead = (k == 700).then_some(ahead);
            ahead.into_iter().chain([sample])
        });
        let mut attribution = Attribution::new();
        let entries = entries_of(with_one_from_2090, &mut attribution);
        assert!(no_party_is_blamed(&entries), "{entries:?}");
        assert_eq!((entries.len(), attribution.refused()), (1, 1));
    }
}

#[test]
fn fewer_than_three_servers_are_undecidable() {
    for n in [1, 2] {
        let mut world = World::ordinary(3, n, 64.0, 30_000.0);
        world.faults = vec![Fault::ServerStep { server: 0, at_s: 15_000.0, size_s: 0.5 }];
        let (entries, _) = run(&world);
        assert!(entries.iter().all(|e| e.state == State::Undecidable && e.blamed.is_empty()), "{entries:?}");
    }
    assert_eq!(Attribution::new().verdict().state, State::Undecidable);
}

#[test]
fn one_server_and_the_raw_clock_prove_a_local_step() {
    let mut world = World::ordinary(3, 1, 64.0, 30_000.0);
    world.faults = vec![Fault::LocalStep { at_s: 15_000.0, size_s: 0.25 }];
    let (entries, _) = run(&world);
    let last = entries.last().unwrap();
    assert_eq!((last.state, last.local.kind), (State::LocalWrong, Some(Kind::Step)));
}

#[test]
fn an_own_clock_set_by_an_hour_is_wrong_in_either_direction() {
    for size_s in [-3600.0, 3600.0] {
        let mut world = World::ordinary(3, 5, 64.0, 30_000.0);
        world.faults = vec![Fault::LocalStep { at_s: 15_000.0, size_s }];
        let (entries, attribution) = run(&world);
        let verdict = attribution.verdict();
        assert_eq!((verdict.state, verdict.local.kind), (State::LocalWrong, Some(Kind::Step)), "{entries:?}");
        assert!(entries.iter().all(|e| e.blamed.is_empty()), "{entries:?}");
    }
}

#[test]
fn equal_offsets_without_noise_do_not_divide_by_zero() {
    // A clock whose offsets do not change is not steered either.
    let world = World { wander_s: 0.0, ..World::ordinary(3, 5, 64.0, 40_000.0) };
    let mut attribution = Attribution::new();
    let still = world.samples().map(|mut s| {
        if let Some(m) = &mut s.measure {
            (m.offset_s, m.delay_s, m.root_distance_s) = (0.0, 0.0, 0.0);
        }
        s
    });
    let entries = entries_of(still, &mut attribution);
    assert!(no_party_is_blamed(&entries) && attribution.verdict().state == State::Consistent, "{entries:?}");
}

#[test]
fn step_of_all_servers_is_not_blamed_on_a_smooth_own_clock() {
    let mut world = World::ordinary(4, 4, 64.0, 30_000.0);
    world.faults = (0..4).map(|server| Fault::ServerStep { server, at_s: 15_000.0, size_s: 0.2 }).collect();
    let (entries, attribution) = run(&world);
    assert_eq!(attribution.verdict().state, State::Undecidable, "{:?}", attribution.verdict());
    assert!(attribution.verdict().reason.contains("provably not set"));
    assert!(entries.iter().all(|e| e.state != State::ServerWrong));
}

#[test]
fn majority_that_steps_away_does_not_blame_the_minority() {
    for has_raw in [true, false] {
        let mut world = World::ordinary(4, 5, 64.0, 30_000.0);
        world.has_raw = has_raw;
        world.faults = (0..3).map(|server| Fault::ServerStep { server, at_s: 15_000.0, size_s: 0.2 }).collect();
        let (entries, attribution) = run(&world);
        let honest = |e: &Entry| e.blamed.iter().any(|b| b.server == "ntp4" || b.server == "ntp5");
        assert!(!entries.iter().any(honest), "{entries:?}");
        assert_eq!(attribution.verdict().state, State::Undecidable);
        assert!(attribution.verdict().reason.contains("ntp4, ntp5"), "{}", attribution.verdict().reason);
    }
}

#[test]
fn two_against_two_are_undecidable_and_named() {
    let mut world = World::ordinary(4, 4, 64.0, 30_000.0);
    world.faults = (0..2).map(|server| Fault::ServerStep { server, at_s: 15_000.0, size_s: 0.2 }).collect();
    let (entries, attribution) = run(&world);
    assert!(no_party_is_blamed(&entries), "{entries:?}");
    let reason = &attribution.verdict().reason;
    assert!(reason.contains("against") && reason.contains("ntp3, ntp4"), "{reason}");
}

#[test]
fn server_at_the_edge_of_its_bound_makes_no_verdict_flap() {
    for size_ms in [22, 26, 30, 34, 38, 42, 46, 50] {
        let mut world = World::ordinary(11, 5, 64.0, 86_400.0);
        world.servers[0].queue_s = 0.002;
        world.faults = vec![Fault::ServerStep { server: 0, at_s: 20_000.0, size_s: f64::from(size_ms) / 1e3 }];
        let (entries, _) = run(&world);
        assert!(entries.len() <= 3, "{size_ms} ms: {entries:#?}");
    }
}

#[test]
fn neither_a_repaired_server_nor_its_repair_is_blamed() {
    let mut world = World::ordinary(5, 4, 64.0, 60_000.0);
    world.servers[1].error_s = 0.3;
    world.faults = vec![Fault::ServerStep { server: 1, at_s: 30_000.0, size_s: -0.3 }];
    let (entries, attribution) = run(&world);
    assert_eq!(attribution.verdict().state, State::Consistent, "{entries:#?}");
    assert!(entries.iter().all(|e| e.blamed.iter().all(|b| b.server == "ntp2")));
}

#[test]
fn a_clock_that_is_set_right_is_right() {
    for has_raw in [true, false] {
        let mut world = World::ordinary(5, 4, 64.0, 60_000.0);
        world.has_raw = has_raw;
        let set = |at_s, size_s| Fault::LocalStep { at_s, size_s };
        world.faults = vec![set(20_000.0, 0.3), set(40_000.0, -0.3)];
        let (entries, attribution) = run(&world);
        let states: Vec<_> = entries.iter().map(|e| e.state).collect();
        assert_eq!(states, [State::Consistent, State::LocalWrong, State::Consistent], "{entries:#?}");
        assert!(attribution.verdict().blamed().next().is_none());
    }
}

#[test]
fn events_are_reported_once_with_start_and_end() {
    let mut world = World::ordinary(6, 4, 64.0, 60_000.0);
    world.faults = vec![
        Fault::LocalStep { at_s: 15_000.0, size_s: 0.2 },
        Fault::LocalStep { at_s: 25_000.0, size_s: -0.2 },
        Fault::Pause { from_s: 30_000.0, until_s: 36_000.0 },
        Fault::Silence { server: Some(2), from_s: 45_000.0, until_s: 47_000.0 },
    ];
    let (_, mut attribution) = run(&world);
    let mut events = Vec::new();
    attribution.take_events().into_iter().for_each(|e| e.upsert(&mut events));
    let count = |kind| events.iter().filter(|e| e.kind == kind).count();
    let found = [EventKind::ClockStep, EventKind::MonitorPause, EventKind::LossBurst, EventKind::ServerStep].map(count);
    assert_eq!(found, [2, 1, 1, 0], "{events:#?}");
    assert!(events.iter().all(|e| e.end.is_some_and(|end| end >= e.start)));
    assert!(attribution.take_events().is_empty());
}

#[test]
fn server_verdicts_mention_an_unreliable_local_clock() {
    let mut world = World::ordinary(5, 4, 64.0, 30_000.0);
    world.faults = vec![Fault::ServerStep { server: 1, at_s: 15_000.0, size_s: 0.3 }];
    let mut attribution = Attribution::new();
    entries_of(world.samples(), &mut attribution);
    let verdict = Verdict::clone(attribution.verdict()).distrusting("the kernel says so");
    assert_eq!(verdict.state, State::ServerWrong);
    assert!(
        verdict.local.distrust.is_some() && verdict.sentence.contains("This host's clock is not reliable"),
        "{}",
        verdict.sentence
    );
}

#[test]
fn a_server_that_left_the_configuration_leaves_the_verdict() {
    let mut world = World::ordinary(5, 4, 64.0, 30_000.0);
    world.faults = vec![Fault::ServerStep { server: 1, at_s: 10_000.0, size_s: 0.3 }];
    let mut attribution = Attribution::new();
    for (k, sample) in world.samples().filter(|s| s.at.wall_ns % 3 != 7).enumerate() {
        if k == 1500 {
            assert_eq!(attribution.verdict().state, State::ServerWrong);
            attribution.forget(&["ntp2".into()].into());
        }
        if k < 1500 || *sample.server.name != *"ntp2" {
            attribution.observe(&sample).unwrap();
        }
    }
    assert_eq!(attribution.verdict().servers.len(), 3);
    assert_eq!(attribution.verdict().state, State::Consistent);
}

#[test]
fn announcements_of_leap_seconds_can_be_read_back() {
    let world = World::ordinary(5, 3, 64.0, 1000.0);
    let (_, attribution) = run(&world);
    assert_eq!(attribution.announcements().len(), 3);
    assert!(attribution.announcements().iter().all(|(_, leap)| *leap == Leap::None));
}

#[test]
fn a_name_that_stops_resolving_stays_the_same_server() {
    let world = World::ordinary(5, 3, 64.0, 10_000.0);
    let (_, mut attribution) = run(&world);
    let mut last = world.samples().last().unwrap();
    last.at.wall_ns += 64_000_000_000;
    last.at.mono_ns += 64_000_000_000;
    (last.address, last.measure, last.reply) = (None, None, None);
    last.outcome = Outcome::Dns("gone".into());
    attribution.observe(&last).unwrap();
    assert_eq!(attribution.engine.series.len(), 3);
}

#[test]
fn a_server_that_is_only_named_gets_its_address_later() {
    let world = World::ordinary(5, 3, 64.0, 10_000.0);
    let mut attribution = Attribution::new();
    for (k, mut sample) in world.samples().enumerate() {
        if k < 6 {
            (sample.address, sample.measure, sample.reply) = (None, None, None);
            sample.outcome = Outcome::Dns("not yet".into());
        }
        attribution.observe(&sample).unwrap();
    }
    assert_eq!((attribution.engine.series.len(), attribution.unresolved), (3, 0));
    assert!(
        ServerIdent::named("ntp1").name
            == attribution.engine.series.iter().find(|s| &*s.ident.name == "ntp1").unwrap().ident.name
    );
}

#[test]
fn random_samples_do_not_panic_and_numbers_stay_finite() {
    let template: Vec<_> = World::ordinary(5, 6, 64.0, 2000.0).samples().collect();
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut attribution = Attribution::new();
        let mut t_ns = template[0].at.wall_ns;
        for _ in 0..1500 {
            let mut sample = template[(dice.bits() % template.len() as u64) as usize].clone();
            t_ns = t_ns.wrapping_add(match dice.bits() % 50 {
                0 => -(dice.exponential(1e13) as i64),
                1 => dice.exponential(1e14) as i64,
                2 => dice.bits() as i64,
                _ => dice.exponential(1e10) as i64,
            });
            let raw_ns = if seed % 3 == 0 { 0 } else { dice.exponential(1e10) as i64 };
            sample.at = Stamp::new(t_ns, if seed % 2 == 0 { 0 } else { t_ns / 3 }, raw_ns);
            sample.poll_s = [64.0, 0.0, -1.0, f64::NAN, f64::INFINITY, 1e300][(dice.bits() % 6) as usize];
            if let Some(m) = &mut sample.measure {
                let size = [1e-9, 1e-3, 1.0, 1e9, 1e300, f64::NAN][(dice.bits() % 6) as usize];
                (m.offset_s, m.delay_s, m.root_distance_s) =
                    (dice.normal() * size, dice.normal() * size, dice.unit() * size);
            }
            let _ = attribution.observe(&sample);
            let local = &attribution.verdict().local;
            assert!(local.estimate_s.into_iter().chain(local.bound_s).all(f64::is_finite), "{local:?}");
        }
        assert!(!attribution.verdict().sentence.is_empty());
    }
}
