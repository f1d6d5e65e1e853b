use super::super::events::EventKind;
use super::super::testing::{lost, sample, stamp};
use super::*;
use crate::ntp::{Leap, RefId};
use crate::sample::{Outcome, ServerIdent};
use crate::stats::verdict::{Kind, State};
use crate::world::{Fault, World};

#[test]
fn windows_survive_a_restart_and_counters_start_at_zero() {
    let earlier: Vec<_> = (0..20).map(|k| sample(f64::from(k) * 64.0, 0.001, 0.01)).collect();
    let gone = SeriesKey::here(&"gone".into(), None);
    let recalled = Recalled::from([(earlier[0].key(), earlier.clone()), (gone, earlier)]);
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic).recalling(recalled);
    analysis.observe(&Arc::new(sample(1300.0, 0.001, 0.01)));
    let snapshot = analysis.snapshot(stamp(1300.0));
    assert_eq!(snapshot.series.len(), 1, "what is no longer polled does not come back");
    let series = snapshot.series.values().next().unwrap();
    assert_eq!((series.hour.n, series.recent_s.len(), series.polls), (21, 21, 1));
}

#[test]
fn recent_offsets_are_those_of_the_last_polls() {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
    let mut polls = 0_u32;
    for polls_between in [3, 20, 1, 40, 2, 16] {
        for _ in 0..polls_between {
            polls += 1;
            analysis.observe(&Arc::new(sample(f64::from(polls) * 16.0, f64::from(polls), 0.01)));
        }
        let snapshot = analysis.snapshot(stamp(f64::from(polls) * 16.0));
        let expected: Vec<f32> = (polls.saturating_sub(30) + 1..=polls).map(|poll| poll as f32).collect();
        assert_eq!(snapshot.series.values().next().unwrap().recent_s[..], expected);
    }
}

/// One poll of a server that changes stratum, upstream, leap indicator and reference time at each poll.
fn lies(k: u64) -> Sample {
    let mut poll = sample(k as f64 * 16.0, 0.001, 0.01);
    let reply = poll.reply.as_mut().unwrap();
    reply.stratum = 2 + (k % 9) as u8;
    reply.refid = RefId([10, 0, (k >> 8) as u8, k as u8]);
    reply.leap = if k.is_multiple_of(2) { Leap::None } else { Leap::Insert };
    reply.reference_age_s = Some(if k.is_multiple_of(2) { 1.0 } else { 400.0 * 86_400.0 });
    poll
}

#[test]
fn events_found_elsewhere_pass_the_same_limit() {
    let key = SeriesKey::here(&"test".into(), None);
    let change = crate::sheet::Change {
        of: crate::sheet::Trait::HopLimit,
        before: crate::sheet::Value::HopLimit(60),
        now: None,
    };
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic).restoring();
    let note = |analysis: &mut Analysis, k: i32| {
        let at = stamp(f64::from(k));
        analysis.note(super::super::events::sheet_changed(&key, at, &[change]), at);
    };
    (0..10).for_each(|k| note(&mut analysis, k));
    assert_eq!(analysis.take_events(), [], "the verdict is being restored");
    analysis.restored(Judgement::default());
    assert_eq!(analysis.take_events().len(), 10);
    (10..1000).for_each(|k| note(&mut analysis, k));
    let mut kept = Vec::new();
    analysis.take_events().into_iter().for_each(|event| event.upsert(&mut kept));
    assert_eq!(kept.len(), 15, "24 an hour and their summary");
    assert_eq!(kept.last().map(|event| event.kind), Some(EventKind::ManyEvents));
}

#[test]
fn server_that_lies_for_a_day_leaves_few_events() {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
    let (mut kept, mut reports) = (Vec::new(), 0);
    for k in 0..5400 {
        analysis.observe(&Arc::new(lies(k)));
        let events = analysis.take_events();
        reports += events.len();
        events.into_iter().for_each(|event| event.upsert(&mut kept));
    }
    assert!(kept.len() <= 16 && reports <= 24, "{} events in {reports} reports", kept.len());
    let ongoing = analysis.snapshot(stamp(86_400.0)).ongoing;
    let mut kinds: Vec<_> = ongoing.iter().map(|event| event.kind.label()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["leap", "refid", "stale_reference", "stratum"]);
    let refid = ongoing.iter().find(|event| event.kind == EventKind::Refid).unwrap();
    assert_eq!(refid.sentence, "test changes its upstream at most polls (100 %).");
}

fn named(server: &str, poll: Sample) -> Arc<Sample> {
    Arc::new(Sample { server: ServerIdent::named(server), ..poll })
}

#[test]
fn one_server_gives_no_estimate_of_this_hosts_clock() {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
    (0..60).for_each(|k| analysis.observe(&named("a", sample(f64::from(k) * 16.0, 2e-6, 1e-5))));
    let verdict = analysis.snapshot(stamp(960.0)).verdict;
    assert_eq!((verdict.state, verdict.majority), (State::Undecidable, None));
    assert_eq!((verdict.local.estimate_s, verdict.local.bound_s), (None, None));
    assert!(!verdict.sentence.contains("right"), "{}", verdict.sentence);
}

/// A statement is shown until the next one, so it must hold at the end of that time too.
#[test]
fn drifting_clock_stays_within_the_stated_bound() {
    const BEGINS_S: f64 = 600.0;
    let (mut stated, mut broken) = (0, 0);
    for seed in 0..10 {
        let ppm = 4.0 * f64::from(seed as u32 + 1) * if seed % 2 == 0 { 1.0 } else { -1.0 };
        let mut world = World::lan(seed, 5, 16.0, 3600.0);
        (world.wander_s, world.faults) = (0.0, vec![Fault::LocalDrift { at_s: BEGINS_S, ppm }]);
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        let mut within_s = None;
        for sample in world.samples() {
            let passed_s = (sample.at.wall_ns - world.start_unix_s * 1_000_000_000) as f64 / 1e9;
            let error_s = ppm * 1e-6 * (passed_s - BEGINS_S).max(0.0);
            if let Some(within_s) = within_s {
                stated += 1;
                broken += u32::from(error_s.abs() > within_s);
            }
            analysis.observe(&Arc::new(sample));
            let verdict = analysis.verdict();
            let local = verdict.local.estimate_s.zip(verdict.local.bound_s);
            within_s = local.filter(|_| verdict.state == State::Consistent).map(|(s, bound)| s.abs() + bound);
        }
    }
    assert!(stated > 1000 && broken == 0, "{broken} of {stated} statements were broken");
}

#[test]
fn refused_polls_are_not_called_unanswered() {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
    for k in 0..80 {
        for name in ["a", "b", "c", "d"] {
            let at_s = f64::from(k) * 16.0;
            let poll = match name {
                "d" if k > 20 => Sample { outcome: Outcome::Refused, ..lost(at_s) },
                _ => sample(at_s, 1e-4, 0.002),
            };
            analysis.observe(&named(name, poll));
        }
    }
    let verdict = analysis.snapshot(stamp(1280.0)).verdict;
    let refused = verdict.servers.iter().find(|it| &*it.server == "d").unwrap();
    assert_eq!(refused.kind, Some(Kind::Unreachable));
    assert!(refused.sentence.contains("nothing listens on its port"), "{}", refused.sentence);
    let told = [&verdict.sentence, &verdict.reason];
    assert!(told.iter().all(|text| !text.contains("has given no time") && !text.contains("not answered")), "{told:?}");
}

#[test]
fn lossy_server_is_one_open_event() {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
    let mut kept = Vec::new();
    for k in 0..1800 {
        let at_s = f64::from(k);
        let poll = if k % 10 < 3 { lost(at_s) } else { sample(at_s, 0.001, 0.01) };
        analysis.observe(&Arc::new(poll));
        analysis.take_events().into_iter().for_each(|event| event.upsert(&mut kept));
    }
    let lossy: Vec<_> = kept.iter().filter(|event| event.kind == EventKind::Lossy).collect();
    assert_eq!((lossy.len(), lossy[0].end, lossy[0].detail.as_str()), (1, None, "30 % of polls"));
    assert!(kept.len() <= 4, "{kept:?}");
    let forgotten = SeriesKey::here(&"test".into(), None);
    analysis.forget(&[forgotten]);
    assert!(analysis.take_events().iter().all(|event| event.end.is_some()));
}

#[test]
fn successor_of_a_series_continues_its_failures_in_a_row() {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
    let at = |address: &str, poll: Sample| Arc::new(Sample { address: Some(address.parse().unwrap()), ..poll });
    let (old, new) = (at("192.0.2.1:123", lost(64.0)), at("192.0.2.2:123", lost(192.0)));
    analysis.observe(&at("192.0.2.1:123", sample(0.0, 0.0, 0.01)));
    analysis.observe(&old);
    analysis.observe(&at("192.0.2.1:123", lost(128.0)));
    analysis.replace(&[old.key()], &new.key());
    analysis.observe(&new);
    let snapshot = analysis.snapshot(stamp(192.0));
    assert_eq!(snapshot.series.len(), 1);
    let series = &snapshot.series[&new.key()];
    assert_eq!((series.consecutive_failures, series.hour.reach.bits(), series.polls), (3, 0b1000, 1));
}

#[test]
fn long_hour_is_summarised_rarely_but_poll_values_always() {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
    let mut polls_summed = |at_s: f64, poll: Sample| {
        analysis.observe(&Arc::new(poll));
        let snapshot = analysis.snapshot(stamp(at_s));
        let series = snapshot.series.values().next().unwrap();
        (series.hour.polls, series.polls, series.hour.reach.bits() & 1)
    };
    for n in 1..=16_u64 {
        assert_eq!(polls_summed(n as f64, sample(n as f64, 0.0, 0.01)), (n, n, 1));
    }
    assert_eq!(polls_summed(17.0, lost(17.0)), (16, 17, 0), "five seconds are not over");
    assert_eq!(polls_summed(22.0, sample(22.0, 0.0, 0.01)), (18, 18, 1));
    let lag = |(summed, polls, _)| polls - summed;
    let lags: Vec<u64> =
        (19..=64).map(|n| lag(polls_summed(n as f64 * 10.0, sample(n as f64 * 10.0, 0.0, 0.01)))).collect();
    assert_eq!((lags[..13].iter().max(), lags.iter().max()), (Some(&0), Some(&1)), "one poll of 32 is a small part");
    assert_eq!(polls_summed(720.0, sample(720.0, 0.0, 0.01)), (65, 65, 1), "a minute is over");
}
