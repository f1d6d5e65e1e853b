//! Decides when to poll next, and enforces the minimum interval. Pure: the caller passes the monotonic time and the
//! random number.
//!
//! Each address has one schedule, which outlives its prober, so that a restart, a reload or a panic never causes polls
//! that are too frequent.

use std::time::Duration;

use super::kernel::TICK;
use crate::config::{EngineChoice, Server};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::KissCode;
use ntp_monitor_core::sample::Outcome;

/// Each poll is moved by up to this fraction of its interval, so that monitors do not stay synchronised with each
/// other.
const JITTER: f64 = 1.0 / 16.0;
/// Polls are aligned to common instants, so that one wake-up serves many servers: to ticks of the kernel engine, this
/// part of the interval apart and at most [`WIDEST_GRID`]. That moves a poll less than jitter does.
const GRID: u32 = 64;
const WIDEST_GRID: Duration = TICK.saturating_mul(2);
/// The first polls of a server that was never polled, so that it is judged within a minute: so many come this far apart,
/// unless its interval is shorter. Fewer than the eight of `iburst` in other clients, and eight times as far apart.
const FIRST_POLLS: u32 = 4;
const FIRST_INTERVAL: Duration = Duration::from_secs(16);
/// Upper limit of an interval doubled by kiss RATE (RFC 5905 §7.4: reduce the rate at once, and again at each RATE).
const LONGEST_INTERVAL: Duration = Duration::from_secs(36 * 3600);
/// Time without another RATE after which one doubling is undone.
const UNDO_DOUBLING_AFTER: Duration = Duration::from_secs(24 * 3600);
/// First pause after DENY or RSTR, which mean stop. A monitor asks again, but each time later.
const DENIAL: Duration = Duration::from_secs(3600);
const LONGEST_DENIAL: Duration = Duration::from_secs(24 * 3600);

/// The poll schedule of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    floor: Duration,
    wanted: Duration,
    /// Whether polls are aligned with those of other servers. Not with userland timestamps, because work for one server
    /// would delay the timestamps of another.
    is_aligned: bool,
    /// Whether the interval is a limit that a fleet shares out, rather than a wish.
    pace: Option<Duration>,
    /// Since when the present interval counts, in monotonic nanoseconds, if that is later than the last request: what was
    /// waited under a longer interval counts in proportion.
    paced_since: Option<i64>,
    /// How many polls may still come early.
    early: u32,
    /// How often RATE has doubled the interval.
    doublings: u32,
    rated_at: Option<i64>,
    /// Number of consecutive denials.
    denials: u32,
    /// No request is sent before this monotonic time, in nanoseconds.
    not_before: i64,
    last_request: Option<i64>,
}

/// The history of an address before this process started. Times are those of the wall clock, in nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// When its last poll ended.
    pub wall_ns: i64,
    /// How that poll ended.
    pub outcome: Outcome,
    /// The last kiss RATE, even if samples followed.
    pub rate: Option<Rate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// When it arrived, on the wall clock in nanoseconds.
    pub wall_ns: i64,
    /// The poll interval at that time, which was too short for the server.
    pub poll: Duration,
}

impl Past {
    /// When its last poll ended, on the monotonic clock of this process. If the wall clock was set back, the true age is
    /// unknown; the waiting time then starts now, which is the safe choice.
    #[must_use]
    pub fn ended_ns(&self, now: Stamp) -> i64 {
        on_axis(self.wall_ns, now)
    }
}

fn on_axis(wall_ns: i64, now: Stamp) -> i64 {
    now.mono_ns.saturating_sub(now.wall_ns.saturating_sub(wall_ns).max(0))
}

impl Schedule {
    /// The schedule of a server that was never polled. The first poll is due at `first` (monotonic nanoseconds).
    #[must_use]
    pub fn new(server: &Server, first: i64) -> Self {
        Self {
            floor: server.floor(),
            wanted: server.poll_interval.max(server.floor()),
            is_aligned: server.engine == EngineChoice::Kernel,
            pace: server.pace,
            paced_since: None,
            early: if server.pace.is_some() { 0 } else { FIRST_POLLS },
            doublings: 0,
            rated_at: None,
            denials: 0,
            not_before: first.saturating_add(nanos(server.pace.unwrap_or_default())),
            last_request: None,
        }
    }

    /// Restores the state of an earlier process: the minimum interval and kisses-o'-death hold across a restart.
    pub fn resume(&mut self, past: &Past, now: Stamp) {
        self.early = 0;
        let ended = past.ended_ns(now);
        if let Outcome::Kiss(code) = past.outcome
            && code.is_denial()
        {
            self.kissed(code, ended);
        }
        if let Some(rate) = past.rate {
            self.doublings = doublings_between(self.wanted, rate.poll);
            self.kissed(KissCode::RATE, on_axis(rate.wall_ns, now));
            while self.is_undo_due(now.mono_ns) {
                self.undo_doubling(self.rated_at.unwrap_or_default().saturating_add(nanos(UNDO_DOUBLING_AFTER)));
            }
        }
        self.asked_before(ended);
    }

    /// Takes into account that an earlier process may have sent a request at this monotonic time.
    pub fn asked_before(&mut self, at: i64) {
        self.hold(at.saturating_add(nanos(self.floor)));
        if self.pace.is_some() {
            self.last_request = self.last_request.max(Some(at));
        }
    }

    /// Applies a changed configuration at `now`; waiting times that were set before still hold.
    pub fn reconfigure(&mut self, server: &Server, now: i64) {
        let before = self.interval();
        self.floor = server.floor();
        self.wanted = server.poll_interval.max(server.floor());
        self.is_aligned = server.engine == EngineChoice::Kernel;
        if server.pace.is_some() {
            self.early = 0;
        }
        let is_new_plan = self.pace.is_none_or(|first| first.is_zero());
        if let (Some(since), true) = (self.counts_since(), self.pace.is_some() && self.interval() < before) {
            let waited = now.saturating_sub(since) as f64 / nanos(before).max(1) as f64;
            let counts = nanos(self.interval().mul_f64(waited.clamp(0.0, 1.0)));
            self.paced_since = Some(now.saturating_sub(counts).max(since));
        }
        self.pace = server.pace;
        if let Some(first) = server.pace.filter(|first| is_new_plan && !first.is_zero()) {
            self.hold(now.saturating_add(nanos(first)));
        }
    }

    /// From when the interval counts.
    fn counts_since(&self) -> Option<i64> {
        self.last_request.max(self.paced_since)
    }

    /// The current interval: the configured one, doubled for each RATE, never below the minimum interval.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let doubled = self.wanted.saturating_mul(1 << self.doublings.min(24));
        doubled.min(LONGEST_INTERVAL.max(self.wanted)).max(self.floor)
    }

    /// When to send the next request, in monotonic nanoseconds; `dice` is uniform in [0, 1). A time in the past means
    /// now. After a delay only one poll is late, because the following one is scheduled relative to the request.
    #[must_use]
    pub fn next_poll(&self, dice: f64) -> i64 {
        let Some(last) = self.last_request else { return self.not_before };
        let interval = match self.early {
            0 => self.interval(),
            _ => self.interval().min(FIRST_INTERVAL.max(self.floor)),
        };
        let dice = dice.clamp(0.0, 1.0);
        let swing = if self.pace.is_some() { JITTER * dice } else { JITTER * (2.0 * dice - 1.0) };
        let due = interval.mul_f64(1.0 + swing).max(self.floor);
        self.on_grid(last.saturating_add(nanos(due)), self.earliest())
    }

    /// The grid instant at or before `due`, or the first one after `earliest`.
    fn on_grid(&self, due: i64, earliest: i64) -> i64 {
        let due = due.max(earliest);
        let grid = grid(self.interval());
        let before = due - due.rem_euclid(grid);
        match before >= earliest {
            _ if !self.is_aligned => due,
            true => before,
            false => before.saturating_add(grid),
        }
    }

    /// The earliest time at which a request may be sent, in monotonic nanoseconds, after denials and the minimum
    /// interval; the latter counts from the last request even if it became longer since. Where a fleet shares the server,
    /// the whole interval is the minimum.
    #[must_use]
    pub fn earliest(&self) -> i64 {
        let floor = self.last_request.map_or(i64::MIN, |last| last.saturating_add(nanos(self.floor)));
        let since = self.counts_since().filter(|_| self.pace.is_some());
        let paced = since.map_or(i64::MIN, |since| since.saturating_add(nanos(self.interval())));
        self.not_before.max(floor).max(paced)
    }

    /// When a question beside the polls may be asked, in monotonic nanoseconds: half-way to the next poll, and not before
    /// the minimum interval has passed. `None` during the first polls, and while a kiss-o'-death lengthens the interval.
    #[must_use]
    pub fn question_at(&self) -> Option<i64> {
        let half_way = self.last_request?.saturating_add(nanos(self.interval() / 2));
        let is_limited = self.early > 0 || self.doublings > 0 || self.denials > 0;
        (!is_limited).then(|| half_way.max(self.earliest()))
    }

    /// Records that a question is being asked: the next poll keeps its time, but leaves the minimum interval.
    pub fn asked(&mut self, now: i64) {
        self.hold(now.saturating_add(nanos(self.floor)));
    }

    /// When the last request was sent, in monotonic nanoseconds.
    #[must_use]
    pub fn last_request(&self) -> Option<i64> {
        self.last_request
    }

    /// Records that a request is being sent.
    pub fn requested(&mut self, now: i64) {
        (self.last_request, self.paced_since) = (Some(now), None);
        self.early = self.early.saturating_sub(1);
        self.hold(now.saturating_add(nanos(self.floor)));
    }

    /// Records the outcome of a poll.
    pub fn ended(&mut self, outcome: &Outcome, now: i64) {
        match outcome {
            Outcome::Kiss(code) => self.kissed(*code, now),
            Outcome::Sample => {
                self.denials = 0;
                if self.is_undo_due(now) {
                    self.undo_doubling(now);
                }
            }
            _ => {}
        }
    }

    fn kissed(&mut self, code: KissCode, now: i64) {
        self.early = 0;
        if code.is_denial() {
            let pause = DENIAL.saturating_mul(1 << self.denials.min(8)).min(LONGEST_DENIAL);
            self.denials += 1;
            self.hold(now.saturating_add(nanos(pause)));
        } else if code == KissCode::RATE {
            if self.interval() < LONGEST_INTERVAL {
                self.doublings += 1;
            }
            self.rated_at = Some(now);
        }
    }

    fn is_undo_due(&self, now: i64) -> bool {
        self.rated_at.is_some_and(|at| now.saturating_sub(at) >= nanos(UNDO_DOUBLING_AFTER))
    }

    /// Undoes one doubling; the next one is undone after the same time again.
    fn undo_doubling(&mut self, now: i64) {
        self.doublings = self.doublings.saturating_sub(1);
        self.rated_at = (self.doublings > 0).then_some(now);
    }

    /// Prevents requests before `until`, in monotonic nanoseconds.
    pub fn hold(&mut self, until: i64) {
        self.not_before = self.not_before.max(until);
    }
}

/// The time between two common instants, in nanoseconds: whole ticks, unless a tick would exceed the jitter.
fn grid(interval: Duration) -> i64 {
    let (fine, tick) = (nanos((interval / GRID).min(WIDEST_GRID)).max(1), nanos(TICK));
    if interval.mul_f64(JITTER) < TICK { fine } else { (fine / tick).max(1) * tick }
}

/// Number of doublings from `wanted` to about `kept`.
fn doublings_between(wanted: Duration, kept: Duration) -> u32 {
    let ratio = kept.as_secs_f64() / wanted.as_secs_f64().max(1e-3);
    if ratio > 1.0 { ratio.log2().round().min(24.0) as u32 } else { 0 }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::ntp::KissCode;

    const S: i64 = 1_000_000_000;

    fn server(poll_s: u64, own: bool) -> Server {
        Server::polled_every(Duration::from_secs(poll_s), own)
    }

    fn polled(poll_s: u64) -> Schedule {
        let mut schedule = Schedule::new(&server(poll_s, false), 0);
        (0..FIRST_POLLS).for_each(|_| schedule.requested(0));
        schedule
    }

    #[test]
    fn first_polls_of_a_new_server_come_at_the_floor() {
        let next_s = |schedule: &Schedule| schedule.next_poll(0.5) / S;
        let mut schedule = Schedule::new(&server(64, false), 0);
        for last_s in [0, 16, 32] {
            schedule.requested(last_s * S);
            assert_eq!((next_s(&schedule), schedule.question_at()), (last_s + 16, None));
        }
        schedule.requested(48 * S);
        assert_eq!(next_s(&schedule), 48 + 64);

        let mut limited = Schedule::new(&server(64, false), 0);
        limited.requested(0);
        limited.ended(&Outcome::Kiss(KissCode::RATE), 0);
        assert_eq!(next_s(&limited), 128, "a server that limits the rate is left alone");
        let mut own = Schedule::new(&server(1, true), 0);
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
        let mut schedule = Schedule::new(&server(64, false), 0);
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
            schedule.reconfigure(&by_ourselves, 0);
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
        schedule.ended(&Outcome::Kiss(KissCode::RSTR), 3601 * S);
        assert_eq!(schedule.next_poll(0.0), (3601 + 7200) * S);
    }

    #[test]
    fn restart_keeps_the_floor_and_a_denial() {
        let resumed = |age_s: i64, outcome| {
            let mut schedule = Schedule::new(&server(64, false), 1000 * S);
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
            let mut schedule = Schedule::new(&server(64, false), 0);
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
        let mut schedule = Schedule::new(&Server { poll_interval: Duration::from_secs(1), ..server(1, true) }, 0);
        schedule.requested(0);
        assert!(schedule.earliest() < S);
        schedule.reconfigure(&server(64, false), 0);
        assert_eq!(schedule.earliest(), 16 * S);
    }

    fn paced(poll_s: u64, first_s: u64) -> Server {
        Server { pace: Some(Duration::from_secs(first_s)), ..server(poll_s, false) }
    }

    #[test]
    fn shared_server_is_never_asked_before_its_interval() {
        let mut schedule = Schedule::new(&paced(80, 0), 7);
        for n in 0..50 {
            let last = schedule.next_poll(f64::from(n) / 50.0);
            schedule.requested(last);
            assert_eq!(schedule.earliest() - last, 80 * S, "a manual poll");
            assert!((80 * S..=86 * S).contains(&(schedule.next_poll(f64::from(n) / 50.0) - last)));
        }
    }

    #[test]
    fn wait_under_a_longer_interval_counts_in_proportion() {
        let mut schedule = Schedule::new(&paced(1800, 0), 0);
        schedule.requested(0);
        schedule.reconfigure(&paced(80, 0), 450 * S);
        assert_eq!(schedule.earliest(), (450 + 60) * S);
        schedule.reconfigure(&paced(40, 0), 470 * S);
        assert_eq!(schedule.earliest(), (470 + 20) * S, "half of 80 s has passed");
        schedule.reconfigure(&paced(1800, 0), 471 * S);
        assert_eq!(schedule.earliest() - 1800 * S, (470 - 20) * S);
        schedule.requested(5000 * S);
        assert_eq!(schedule.earliest(), 6800 * S);
    }

    #[test]
    fn new_plan_begins_with_its_own_delay() {
        let schedule = Schedule::new(&paced(80, 32), 5 * S);
        assert_eq!(schedule.next_poll(0.0), 37 * S);
        let mut schedule = Schedule::new(&paced(1800, 0), 0);
        schedule.requested(0);
        schedule.reconfigure(&paced(80, 32), 2000 * S);
        assert_eq!(schedule.earliest(), 2032 * S);
        schedule.requested(2032 * S);
        schedule.reconfigure(&paced(90, 36), 2033 * S);
        assert_eq!(schedule.earliest(), (2032 + 90) * S, "the same place");
    }

    #[test]
    fn restart_keeps_the_interval_of_a_shared_server() {
        let mut schedule = Schedule::new(&paced(1800, 0), 1000 * S);
        let past = Past { wall_ns: 4900 * S, outcome: Outcome::Sample, rate: None };
        schedule.resume(&past, Stamp::new(5000 * S, 1000 * S, 0));
        assert_eq!(schedule.earliest(), 2700 * S);
        schedule.reconfigure(&paced(80, 0), 1000 * S);
        assert!((1070 * S..1080 * S).contains(&schedule.earliest()), "{}", schedule.earliest());
    }

    #[test]
    fn changed_interval_keeps_a_denial() {
        let mut schedule = polled(64);
        schedule.ended(&Outcome::Kiss(KissCode::DENY), 0);
        schedule.reconfigure(&server(16, false), 0);
        assert!(schedule.next_poll(0.0) >= 3600 * S);
    }
}
