//! Servers that fall silent: nothing is said of a clock for the time without replies.

use std::sync::Arc;

use super::*;
use crate::stats::events::Event;
use crate::stats::verdict::When;

const STEP_S: f64 = 15_000.0;
const SILENT_S: f64 = 25_000.0;
const BACK_S: f64 = 35_000.0;
/// Polls until a silence or a return is certain.
const FEW_POLLS_S: f64 = 7.0 * 64.0;

fn second(world: &World, at: When) -> f64 {
    (at.0 - world.start_unix_s * 1_000_000_000) as f64 / 1e9
}

fn step(at_s: f64, size_s: f64) -> Fault {
    Fault::ServerStep { server: 1, at_s, size_s }
}

fn silence(from_s: f64, until_s: f64) -> Fault {
    Fault::Silence { server: Some(1), from_s, until_s }
}

fn world(seed: u64, faults: Vec<Fault>) -> World {
    World { faults, ..World::ordinary(seed, 5, 64.0, 45_000.0) }
}

/// Verdicts with their times in seconds.
type Verdicts = Vec<(f64, Arc<Verdict>)>;

/// The verdicts, the history, and the events.
fn follow(world: &World) -> (Verdicts, Vec<Entry>, Vec<Event>) {
    let (mut attribution, mut history) = (Attribution::new(), History::new(1000));
    let (mut verdicts, mut events) = (Vec::new(), Vec::new());
    for sample in world.samples() {
        if attribution.observe(&sample) == Ok(true) {
            let now = When(sample.at.wall_ns);
            history.record(attribution.verdict(), now);
            verdicts.push((second(world, now), Arc::clone(attribution.verdict())));
        }
        attribution.take_events().into_iter().for_each(|event| event.upsert(&mut events));
    }
    (verdicts, history.entries().cloned().collect(), events)
}

fn states(entries: &[Entry]) -> Vec<State> {
    entries.iter().map(|e| e.state).collect()
}

/// Begin and end of the steps of the server.
fn steps(world: &World, events: &[Event]) -> Vec<(f64, Option<f64>)> {
    let steps = events.iter().filter(|event| event.kind == EventKind::ServerStep);
    steps.map(|event| (second(world, event.start), event.end.map(|end| second(world, end)))).collect()
}

fn is_near(at_s: f64, expected_s: f64) -> bool {
    (at_s - expected_s).abs() < FEW_POLLS_S
}

/// Seeds with an error that the error ranges prove, and with one that is inferred.
fn cases() -> impl Iterator<Item = (u64, f64)> {
    (1..6).flat_map(|seed| [0.2, -0.2, 0.03].map(|size_s| (seed, size_s)))
}

#[test]
fn wrong_server_that_falls_silent_is_described_as_last_seen() {
    for (seed, size_s) in cases() {
        let world = world(seed, vec![step(STEP_S, size_s), silence(SILENT_S, 1e12)]);
        let (verdicts, entries, events) = follow(&world);
        let way = if size_s > 0.0 { " ahead of the others when last" } else { " behind the others when last" };
        for (at_s, verdict) in verdicts.iter().filter(|(at_s, _)| *at_s > SILENT_S + FEW_POLLS_S) {
            let text = &verdict.sentence;
            assert!(text.contains("has not answered since") && text.contains(way), "seed {seed}, {at_s}: {text}");
            assert_eq!(verdict.majority.map(|m| (m.members, m.of)), Some((4, 4)), "seed {seed}, {at_s}");
            assert!(verdict.servers.iter().all(|s| !s.proven), "seed {seed}, {at_s}");
        }
        assert_eq!(states(&entries), [State::Consistent, State::ServerWrong, State::Path], "seed {seed}");
        assert!(is_near(second(&world, entries[2].since), SILENT_S), "seed {seed}: {entries:?}");
        assert!(!entries[1].sentence.contains("when last compared"), "seed {seed}: {}", entries[1].sentence);
        let steps = steps(&world, &events);
        assert!(matches!(steps[..], [(_, Some(end_s))] if is_near(end_s, SILENT_S)), "seed {seed}: {steps:?}");
    }
}

#[test]
fn server_that_comes_back_right_was_neither_right_nor_wrong_before() {
    for (seed, size_s) in cases() {
        let world = world(
            seed,
            vec![step(STEP_S, size_s), silence(SILENT_S, BACK_S), step(0.5 * (SILENT_S + BACK_S), -size_s)],
        );
        let (verdicts, entries, events) = follow(&world);
        let wanted = [State::Consistent, State::ServerWrong, State::Path, State::Consistent];
        assert_eq!(states(&entries), wanted, "seed {seed}: {entries:#?}");
        let bounds = entries[2..].iter().map(|e| second(&world, e.since));
        assert!(bounds.zip([SILENT_S, BACK_S]).all(|(at, s)| is_near(at, s)), "seed {seed}: {entries:?}");
        let later = verdicts.iter().filter(|(at_s, _)| *at_s > BACK_S + 64.0);
        later.for_each(|(at_s, verdict)| assert_eq!(verdict.state, State::Consistent, "seed {seed}, {at_s}"));
        assert!(is_near(steps(&world, &events)[0].1.unwrap(), SILENT_S), "seed {seed}: {events:?}");
    }
}

#[test]
fn short_silence_ends_no_accusation_and_the_first_reply_decides() {
    for (seed, size_s) in cases() {
        let (until_s, repaired_s) = (SILENT_S + 1500.0, SILENT_S + 700.0);
        for is_repaired in [false, true] {
            let mut world = world(seed, vec![step(STEP_S, size_s), silence(SILENT_S, until_s)]);
            world.faults.extend(is_repaired.then_some(step(repaired_s, -size_s)));
            let (verdicts, entries, _) = follow(&world);
            let wanted: &[_] = &[State::Consistent, State::ServerWrong, State::Consistent];
            assert_eq!(states(&entries), wanted[..2 + usize::from(is_repaired)], "seed {seed}: {entries:#?}");
            let accuses = |verdict: &Verdict| verdict.state == State::ServerWrong;
            let silent = verdicts.iter().filter(|(at_s, _)| (SILENT_S + 100.0..until_s).contains(at_s));
            silent.for_each(|(at_s, verdict)| assert!(accuses(verdict), "seed {seed}, {at_s}"));
            let later = verdicts.iter().filter(|(at_s, _)| *at_s > until_s + 130.0);
            later.for_each(|(at_s, verdict)| assert_eq!(accuses(verdict), !is_repaired, "seed {seed}, {at_s}"));
        }
    }
}

#[test]
fn server_that_comes_back_wrong_is_named_since_its_onset() {
    for (seed, size_s) in cases() {
        let world = world(seed, vec![step(STEP_S, size_s), silence(SILENT_S, BACK_S)]);
        let (_, entries, events) = follow(&world);
        let last = entries.last().unwrap();
        assert_eq!(last.state, State::ServerWrong, "seed {seed}: {entries:#?}");
        assert!(is_near(second(&world, last.blamed[0].since.unwrap()), STEP_S), "seed {seed}: {last:?}");
        let steps = steps(&world, &events);
        assert!(matches!(steps[..], [(at_s, None)] if is_near(at_s, STEP_S)), "seed {seed}: {steps:?}");
    }
}

/// A server that never answered neither agrees with the others nor was it wrong before its first reply.
#[test]
fn server_that_was_silent_from_the_start_is_judged_from_its_first_reply() {
    for seed in 1..6 {
        let world = world(seed, vec![silence(0.0, STEP_S), step(5000.0, 0.2)]);
        let (verdicts, entries, events) = follow(&world);
        let before = verdicts.iter().filter(|(at_s, _)| *at_s < STEP_S);
        before.for_each(|(at_s, verdict)| assert_eq!(verdict.majority.map(|m| m.of), Some(4), "seed {seed}, {at_s}"));
        assert!(verdicts.iter().all(|(_, verdict)| !verdict.sentence.contains("All 5")), "seed {seed}");
        let last = entries.last().unwrap();
        assert!(
            last.state == State::ServerWrong && is_near(second(&world, last.since), STEP_S),
            "seed {seed}: {last:?}"
        );
        assert!(is_near(steps(&world, &events)[0].0, STEP_S), "seed {seed}: {events:?}");
    }
}

#[test]
fn outage_of_all_servers_during_a_fault_stays_undecidable() {
    for (seed, size_s) in cases() {
        let outage = Fault::Silence { server: None, from_s: SILENT_S, until_s: BACK_S };
        let world = world(seed, vec![step(STEP_S, size_s), outage]);
        let (verdicts, entries, _) = follow(&world);
        let silent = verdicts.iter().filter(|(at_s, _)| (SILENT_S + FEW_POLLS_S..BACK_S).contains(at_s));
        for (at_s, verdict) in silent {
            assert_eq!(verdict.state, State::Undecidable, "seed {seed}, {at_s}");
            let it = verdict.servers.iter().find(|s| &*s.server == "ntp2").unwrap();
            assert!(it.sentence.contains("when last compared"), "seed {seed}, {at_s}: {}", it.sentence);
        }
        let span = entries.iter().find(|e| e.state == State::Undecidable).unwrap();
        let (since_s, until_s) = (second(&world, span.since), second(&world, span.until.unwrap()));
        assert!(is_near(since_s, SILENT_S) && is_near(until_s, BACK_S), "seed {seed}: {entries:#?}");
    }
}
