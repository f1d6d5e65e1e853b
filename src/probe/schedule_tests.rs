use super::*;
use crate::config::Pace;
use ntp_monitor_core::fleet::plan::slots::Class;
use ntp_monitor_core::ntp::KissCode;
use std::sync::Arc;

const S: i64 = 1_000_000_000;

fn address() -> SocketAddr {
    ([192, 0, 2, 1], 123).into()
}

fn server(poll_s: u64, own: bool) -> Server {
    Server::polled_every(Duration::from_secs(poll_s), own)
}

fn polled(poll_s: u64) -> Schedule {
    let mut schedule = Schedule::new(&server(poll_s, false), address(), 0);
    (0..FIRST_POLLS).for_each(|_| schedule.requested(0));
    schedule
}

#[test]
fn first_polls_of_a_new_server_come_at_the_floor() {
    let next_s = |schedule: &Schedule| schedule.next_poll(0.5) / S;
    let mut schedule = Schedule::new(&server(64, false), address(), 0);
    for last_s in [0, 16, 32] {
        schedule.requested(last_s * S);
        assert_eq!((next_s(&schedule), schedule.question_at()), (last_s + 16, None));
    }
    schedule.requested(48 * S);
    assert_eq!(next_s(&schedule), 48 + 64);

    let mut limited = Schedule::new(&server(64, false), address(), 0);
    limited.requested(0);
    limited.ended(&Outcome::Kiss(KissCode::RATE), 0);
    assert_eq!(next_s(&limited), 128, "a server that limits the rate is left alone");
    let mut own = Schedule::new(&server(1, true), address(), 0);
    own.requested(0);
    assert_eq!(next_s(&own), 1, "no interval becomes longer");
}

#[test]
fn jitter_is_a_sixteenth_and_never_below_the_floor() {
    let schedule = polled(64);
    assert_eq!(schedule.next_poll(0.5), 64 * S);
    assert_eq!(schedule.next_poll(0.0), 60 * S);
    assert!(schedule.next_poll(0.999_999) <= 68 * S);
    assert_eq!(polled(16).next_poll(0.0), 16 * S);
}

#[test]
fn question_leaves_the_floor_to_the_polls_around_it() {
    for (poll_s, asked_s, next_s) in [(64, 32, 64), (40, 20, 40), (24, 16, 32), (16, 16, 32)] {
        let mut schedule = polled(poll_s);
        assert_eq!(schedule.question_at(), Some(asked_s * S));
        schedule.asked(asked_s * S);
        let next = schedule.next_poll(0.5);
        assert_eq!(next / S, next_s, "{poll_s}");
        assert!(schedule.next_poll(0.0) >= (asked_s + 16) * S);
    }
}

#[test]
fn server_that_limits_the_rate_is_asked_no_question() {
    let mut schedule = Schedule::new(&server(64, false), address(), 0);
    assert_eq!(schedule.question_at(), None, "it was never polled");
    schedule.requested(0);
    schedule.ended(&Outcome::Kiss(KissCode::RATE), 0);
    assert_eq!(schedule.question_at(), None);
    let mut denied = polled(64);
    denied.ended(&Outcome::Kiss(KissCode::DENY), 0);
    assert_eq!(denied.question_at(), None);
    denied.ended(&Outcome::Sample, 0);
    assert!(denied.question_at() >= Some(3600 * S), "the pause after a denial still holds");
}

#[test]
fn polls_are_aligned_but_never_below_the_floor() {
    for (poll_s, last, dice) in [(64, 7, 0.3), (64, 99_999_999, 0.9), (16, 3, 0.0), (16, 3, 0.2), (1024, 1, 0.7)] {
        let mut schedule = polled(poll_s);
        schedule.requested(last);
        let (next, interval) = (schedule.next_poll(dice), poll_s as i64 * S);
        assert_eq!(next % nanos(WIDEST_GRID), 0);
        assert!(next - last >= 16 * S && (next - last - interval).abs() <= interval / 16, "{poll_s} {next}");
        let by_ourselves = Server { engine: EngineChoice::Sntp, ..server(poll_s, false) };
        schedule.reconfigure(&by_ourselves, address(), 0);
        let alone = schedule.next_poll(dice);
        assert!((alone - next).abs() < nanos(WIDEST_GRID) && alone % nanos(TICK) != 0);
    }
}

#[test]
fn common_instants_are_ticks_unless_polls_are_frequent() {
    let of = |ms| Duration::from_nanos(u64::try_from(grid(Duration::from_millis(ms))).unwrap());
    assert_eq!([64_000, 3_000, 2_000, 320].map(of), [2 * TICK, 2 * TICK, TICK, TICK]);
    assert!([319, 100].map(of).into_iter().all(|grid| grid < TICK / 4));
}

#[test]
fn kiss_rate_doubles_the_poll_interval() {
    let mut schedule = polled(64);
    schedule.ended(&Outcome::Kiss(KissCode::RATE), 0);
    assert_eq!(schedule.interval(), Duration::from_secs(128));
    schedule.ended(&Outcome::Kiss(KissCode::RATE), 128 * S);
    schedule.ended(&Outcome::Sample, 400 * S);
    assert_eq!(schedule.interval(), Duration::from_secs(256));
}

#[test]
fn one_doubling_is_undone_per_day_without_rate() {
    let mut schedule = polled(64);
    schedule.ended(&Outcome::Kiss(KissCode::RATE), 0);
    schedule.ended(&Outcome::Kiss(KissCode::RATE), 0);
    let day = 86_400 * S;
    schedule.ended(&Outcome::Sample, day);
    assert_eq!(schedule.interval(), Duration::from_secs(128));
    schedule.ended(&Outcome::Sample, day + 1000 * S);
    assert_eq!(schedule.interval(), Duration::from_secs(128));
    schedule.ended(&Outcome::Sample, 2 * day);
    assert_eq!(schedule.interval(), Duration::from_secs(64));
}

#[test]
fn rate_never_shortens_a_longer_configured_interval() {
    let mut schedule = polled(200_000);
    schedule.ended(&Outcome::Kiss(KissCode::RATE), 0);
    assert_eq!(schedule.interval(), Duration::from_secs(200_000));
}

#[test]
fn denial_pauses_for_an_hour_and_longer_each_time() {
    let mut schedule = polled(64);
    schedule.ended(&Outcome::Kiss(KissCode::DENY), S);
    assert_eq!(schedule.next_poll(0.0), 3601 * S);
    let pause = Pause { code: KissCode::DENY, since: S, until: 3601 * S };
    assert_eq!((schedule.pause(3600 * S), schedule.pause(3601 * S)), (Some(pause), None));
    schedule.ended(&Outcome::Kiss(KissCode::RSTR), 3601 * S);
    assert_eq!(schedule.next_poll(0.0), (3601 + 7200) * S);
}

#[test]
fn restart_keeps_the_floor_and_a_denial() {
    let resumed = |age_s: i64, outcome| {
        let mut schedule = Schedule::new(&server(64, false), address(), 1000 * S);
        let past = Past { wall_ns: (5000 - age_s) * S, outcome, rate: None };
        schedule.resume(&past, Stamp::new(5000 * S, 1000 * S, 0));
        schedule.next_poll(0.0)
    };
    assert_eq!(resumed(5, Outcome::Sample), 1011 * S);
    assert_eq!(resumed(500, Outcome::Timeout), 1000 * S);
    assert_eq!(resumed(-500, Outcome::Sample), 1016 * S);
    assert_eq!(resumed(600, Outcome::Kiss(KissCode::DENY)), 4000 * S);
}

#[test]
fn restart_keeps_doublings_and_their_age() {
    let resumed = |age_s: i64, poll_s: u64, outcome| {
        let mut schedule = Schedule::new(&server(64, false), address(), 0);
        let rate = Some(Rate { wall_ns: -age_s * S, poll: Duration::from_secs(poll_s) });
        schedule.resume(&Past { wall_ns: 0, outcome, rate }, Stamp::new(0, 0, 0));
        schedule
    };
    let interval_s = |age_s, poll_s, outcome| resumed(age_s, poll_s, outcome).interval().as_secs();
    assert_eq!(interval_s(0, 128, Outcome::Kiss(KissCode::RATE)), 256);
    assert_eq!(interval_s(86_399, 128, Outcome::Sample), 256, "good samples change nothing");
    assert_eq!(interval_s(86_400, 128, Outcome::Sample), 128);
    assert_eq!(interval_s(2 * 86_400, 128, Outcome::Sample), 64);
    assert_eq!(interval_s(-500, 64, Outcome::Timeout), 128, "the clock was set back");

    let mut half_served = resumed(86_400 + 43_200, 128, Outcome::Sample);
    half_served.ended(&Outcome::Sample, 43_199 * S);
    assert_eq!(half_served.interval(), Duration::from_secs(128));
    half_served.ended(&Outcome::Sample, 43_200 * S);
    assert_eq!(half_served.interval(), Duration::from_secs(64));
}

#[test]
fn stall_causes_one_poll_and_then_a_full_interval() {
    let mut schedule = polled(64);
    let late = 10_000 * S;
    assert!(schedule.next_poll(0.5) < late);
    schedule.requested(late);
    assert_eq!(schedule.next_poll(0.5), late + 64 * S);
}

#[test]
fn server_no_longer_own_gets_the_public_floor_at_once() {
    let mut schedule =
        Schedule::new(&Server { poll_interval: Duration::from_secs(1), ..server(1, true) }, address(), 0);
    schedule.requested(0);
    assert!(schedule.earliest() < S);
    schedule.reconfigure(&server(64, false), address(), 0);
    assert_eq!(schedule.earliest(), 16 * S);
}

fn paced(poll_s: u64) -> Server {
    Server { pace: Some(Arc::default()), ..server(poll_s, false) }
}

/// Polled in the second and fourth of six slots, but at least `least_s` seconds apart.
fn slotted(least_s: u64) -> Server {
    let classes = [1, 3].map(|at| Class { cycle: 6, at }).to_vec();
    let slots = Slots { length: Duration::from_secs(17), classes };
    let pace = Pace {
        slots: [(address(), slots)].into(),
        least: Duration::from_secs(least_s),
        otherwise: Duration::from_secs(1800),
        is_planned: true,
    };
    Server { pace: Some(Arc::new(pace)), ..server(51, false) }
}

/// The slots begin at 10 s, and the plan expires after 2000 s.
fn line() -> SlotLine {
    let line = Line { zero_s: 10.0, bound_s: 0.05, at_s: 10.0 };
    SlotLine { line: Some(line), asleep_ns: 0, planned_until: 2000 * S }
}

/// A stamp whose slot clock equals the monotonic clock.
fn at(s: i64) -> Stamp {
    Stamp::new(s * S, s * S, 0)
}

#[test]
fn polls_are_sent_in_the_middle_of_slots_only() {
    let mut schedule = Schedule::new(&slotted(16), address(), 0);
    let mut polls_s = Vec::new();
    while polls_s.len() < 6 {
        schedule.look(&line(), at(polls_s.last().copied().unwrap_or(0)));
        let due = schedule.next_poll(0.5);
        assert!(schedule.permitted_at(due) <= due && schedule.permitted_at(due - S) > due - S, "a manual poll");
        assert!(schedule.permitted_at(due + S) > due + 16 * S, "a late one waits for the next slot");
        let end = schedule.slot_end(due).unwrap();
        assert!(schedule.permitted_at(end - 1) < end && schedule.permitted_at(end + 1) > end + 16 * S, "the end");
        schedule.requested(due);
        assert!(schedule.permitted_at(due) > due, "a slot is used once");
        polls_s.push((due + S / 2) / S);
    }
    // The middles of slots 1, 3, 7, 9, 13 and 15.
    assert_eq!(polls_s, [1, 3, 7, 9, 13, 15].map(|slot| (10.0 + (slot as f64 + 0.5) * 17.0) as i64));
}

#[test]
fn slots_pass_unused_while_the_own_file_forbids_a_poll() {
    let mut schedule = Schedule::new(&slotted(64), address(), 0);
    schedule.look(&line(), at(0));
    schedule.requested(schedule.next_poll(0.5));
    assert_eq!(schedule.next_poll(0.5) / S, 137, "slot 7 rather than 3");
    schedule.ended(&Outcome::Kiss(KissCode::RATE), 40 * S);
    assert_eq!(schedule.next_poll(0.5) / S, 171, "slot 9");
}

#[test]
fn interval_is_a_minimum_while_slots_are_not_known() {
    let mut schedule = Schedule::new(&slotted(16), address(), 0);
    schedule.requested(30 * S);
    let asleep = Stamp { boot_ns: S, ..at(40) };
    for (line, now) in [(SlotLine::default(), at(40)), (line(), at(2000)), (line(), asleep)] {
        schedule.look(&line, now);
        assert_eq!(schedule.permitted_at(40 * S), (30 + 1800) * S, "{now:?}");
        assert!(!schedule.is_slotted());
    }
    schedule.look(&line(), at(40));
    assert!(schedule.is_slotted() && schedule.permitted_at(40 * S) < 70 * S);
}

#[test]
fn shared_server_is_never_asked_before_its_interval() {
    let mut schedule = Schedule::new(&paced(80), address(), 7);
    for n in 0..50 {
        let last = schedule.next_poll(f64::from(n) / 50.0);
        schedule.requested(last);
        assert_eq!(schedule.earliest() - last, 80 * S, "a manual poll");
        assert!((80 * S..=86 * S).contains(&(schedule.next_poll(f64::from(n) / 50.0) - last)));
    }
}

#[test]
fn wait_under_a_longer_interval_counts_in_proportion() {
    let mut schedule = Schedule::new(&paced(1800), address(), 0);
    schedule.requested(0);
    schedule.reconfigure(&paced(80), address(), 450 * S);
    assert_eq!(schedule.earliest(), (450 + 60) * S);
    schedule.reconfigure(&paced(40), address(), 470 * S);
    assert_eq!(schedule.earliest(), (470 + 20) * S, "half of 80 s has passed");
    schedule.reconfigure(&paced(1800), address(), 471 * S);
    assert_eq!(schedule.earliest() - 1800 * S, (470 - 20) * S);
    schedule.requested(5000 * S);
    assert_eq!(schedule.earliest(), 6800 * S);
}

#[test]
fn restart_keeps_the_interval_of_a_shared_server() {
    let mut schedule = Schedule::new(&paced(1800), address(), 1000 * S);
    let past = Past { wall_ns: 4900 * S, outcome: Outcome::Sample, rate: None };
    schedule.resume(&past, Stamp::new(5000 * S, 1000 * S, 0));
    assert_eq!(schedule.earliest(), 2700 * S);
    schedule.reconfigure(&paced(80), address(), 1000 * S);
    assert!((1070 * S..1080 * S).contains(&schedule.earliest()), "{}", schedule.earliest());
}

#[test]
fn changed_interval_keeps_a_denial() {
    let mut schedule = polled(64);
    schedule.ended(&Outcome::Kiss(KissCode::DENY), 0);
    schedule.reconfigure(&server(16, false), address(), 0);
    assert!(schedule.next_poll(0.0) >= 3600 * S);
}
