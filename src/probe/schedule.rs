//! Decides when to poll next, and enforces the minimum interval. Pure: the caller passes the monotonic time and the
//! random number.
//!
//! For a server that a fleet shares, polls are sent only in the slots of its plan. While the position of the slots is
//! unknown, polls keep at least the interval without slots.
//!
//! Each address has one schedule, which outlives its prober, so that a restart, a reload or a panic never causes polls
//! that are too frequent.

use std::net::SocketAddr;
use std::time::Duration;

use super::kernel::TICK;
use crate::config::{EngineChoice, Server};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::fleet::plan::slots::{Line, Slots};
use ntp_monitor_core::ntp::KissCode;
use ntp_monitor_core::sample::Outcome;

/// Each poll is moved by up to this fraction of its interval, so that monitors do not stay synchronised with each
/// other.
const JITTER: f64 = 1.0 / 16.0;
/// Polls are aligned to common instants, so that one wake-up serves many servers. The instants are ticks of the kernel
/// engine; their distance is the interval divided by this, at most [`WIDEST_GRID`]. That moves a poll less than jitter
/// does.
const GRID: u32 = 64;
const WIDEST_GRID: Duration = TICK.saturating_mul(2);
/// A server that was never polled gets this many first polls, [`FIRST_INTERVAL`] apart unless its interval is shorter,
/// so that it is judged within a minute. `iburst` of other clients sends up to eight, at an eighth of the distance.
const FIRST_POLLS: u32 = 4;
const FIRST_INTERVAL: Duration = Duration::from_secs(16);
/// Upper limit of an interval doubled by kiss RATE (RFC 5905 §7.4: reduce the rate at once, and again at each RATE).
const LONGEST_INTERVAL: Duration = Duration::from_secs(36 * 3600);
/// Time without another RATE after which one doubling is undone.
const UNDO_DOUBLING_AFTER: Duration = Duration::from_secs(24 * 3600);
/// First pause after DENY or RSTR, which mean stop. The service still asks again, but after longer pauses each time.
const DENIAL: Duration = Duration::from_secs(3600);
const LONGEST_DENIAL: Duration = Duration::from_secs(24 * 3600);

/// The poll schedule of one address.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    floor: Duration,
    wanted: Duration,
    /// Whether polls are aligned with those of other servers. Not with userland timestamps, because work for one server
    /// would delay the timestamps of another.
    is_aligned: bool,
    /// Set where a fleet shares the server.
    share: Option<Share>,
    /// The position of the slots on the monotonic clock; `None` while it is unknown or they may not be used.
    line: Option<Line>,
    /// When `line` was set, in monotonic nanoseconds. Earlier slots are over.
    looked_at: i64,
    /// Set when the interval changed since the last request, in monotonic nanoseconds: the present interval counts from
    /// here. The time already waited under another interval is taken into account in proportion.
    paced_since: Option<i64>,
    /// How many polls may still come early.
    early: u32,
    /// How often RATE has doubled the interval.
    doublings: u32,
    rated_at: Option<i64>,
    /// Number of consecutive denials.
    denials: u32,
    /// The pause that the last denial caused.
    pause: Option<Pause>,
    /// No request is sent before this monotonic time, in nanoseconds.
    not_before: i64,
    last_request: Option<i64>,
}

/// A pause after the server refused to serve this host. Times are monotonic nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The kiss code that the server sent.
    pub code: KissCode,
    /// When it arrived.
    pub since: i64,
    /// Before this time the server is not asked.
    pub until: i64,
}

/// This host's share of the polls of one address in a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Share {
    slots: Option<Slots>,
    /// The minimum interval between polls in slots, and without slots.
    least: Duration,
    otherwise: Duration,
    /// Whether the slots end when the plan expires.
    is_planned: bool,
}

impl Share {
    fn of(server: &Server, address: SocketAddr) -> Option<Self> {
        let pace = server.pace.as_ref()?;
        Some(Self {
            slots: pace.slots.get(&address).cloned(),
            least: pace.least,
            otherwise: pace.otherwise,
            is_planned: pace.is_planned,
        })
    }
}

/// The position of the slots of a fleet, and until when those of a plan may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SlotLine {
    /// The position on the slot clock ([`Stamp::slot_s`]); `None` while it is unknown.
    pub line: Option<Line>,
    /// How long this machine had been suspended since boot when the line was received, in nanoseconds. After another
    /// suspension the line is unknown.
    pub asleep_ns: i64,
    /// When the plan expires, in monotonic nanoseconds.
    pub planned_until: i64,
}

impl SlotLine {
    /// The line on the monotonic clock. The clocks run at different rates, so it is accurate only for the near future.
    fn on_axis(&self, now: Stamp) -> Option<Line> {
        let is_awake = now.boot_ns.abs_diff(self.asleep_ns) < 10_000_000;
        let line = self.line.filter(|_| is_awake)?;
        let shift_s = now.mono_ns as f64 / 1e9 - now.slot_s();
        Some(Line { zero_s: line.zero_s + shift_s, at_s: line.at_s + shift_s, ..line })
    }
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
    /// When its last poll ended, on the monotonic clock of this process. If the wall clock was set back, the true age
    /// is unknown; the waiting time then starts now, which is the safe choice.
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
    pub fn new(server: &Server, address: SocketAddr, first: i64) -> Self {
        Self {
            floor: server.floor(),
            wanted: server.poll_interval.max(server.floor()),
            is_aligned: server.engine == EngineChoice::Kernel,
            share: Share::of(server, address),
            line: None,
            looked_at: i64::MIN,
            paced_since: None,
            early: if server.pace.is_some() { 0 } else { FIRST_POLLS },
            doublings: 0,
            rated_at: None,
            denials: 0,
            pause: None,
            not_before: first,
            last_request: None,
        }
    }

    /// Restores the state of an earlier process: the minimum interval and kisses-o'-death still apply after a restart.
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
        if self.share.is_some() {
            self.last_request = self.last_request.max(Some(at));
        }
    }

    /// Applies a changed configuration at `now`; earlier waiting times still apply.
    pub fn reconfigure(&mut self, server: &Server, address: SocketAddr, now: i64) {
        let (before, was_shared) = (self.paced_interval(), self.share.is_some());
        self.share = Share::of(server, address);
        // Unknown until `look` is called: the new slots may not be usable.
        self.line = None;
        self.floor = server.floor();
        self.wanted = server.poll_interval.max(server.floor());
        self.is_aligned = server.engine == EngineChoice::Kernel;
        if server.pace.is_some() {
            self.early = 0;
        }
        if let (Some(since), true) = (self.counts_since(), was_shared && self.paced_interval() < before) {
            let waited = now.saturating_sub(since) as f64 / nanos(before).max(1) as f64;
            let counts = nanos(self.paced_interval().mul_f64(waited.clamp(0.0, 1.0)));
            self.paced_since = Some(now.saturating_sub(counts).max(since));
        }
    }

    /// Updates the position of the slots.
    pub fn look(&mut self, line: &SlotLine, now: Stamp) {
        let is_over = self.share.as_ref().is_some_and(|share| share.is_planned) && now.mono_ns >= line.planned_until;
        (self.line, self.looked_at) = (line.on_axis(now).filter(|_| !is_over), now.mono_ns);
    }

    /// The span of the first slot that is not over at `from` and in which a request may be sent, in monotonic
    /// nanoseconds. `None` if the server is not polled in slots.
    fn slot(&self, from: i64) -> Option<(i64, i64)> {
        let share = self.share.as_ref()?;
        let doubled = share.least.saturating_mul(1 << self.doublings.min(24)).min(LONGEST_INTERVAL.max(share.least));
        let slots = share.slots.as_ref()?;
        // At least half a slot, so that a slot is used once.
        let least = nanos(doubled.mul_f64(1.0 - JITTER).max(self.floor).max(slots.length / 2));
        let limit = self.last_request.map_or(i64::MIN, |last| last.saturating_add(least)).max(self.not_before);
        let (begin_s, end_s) = slots.next(self.line.as_ref()?, limit.max(from) as f64 / 1e9)?;
        Some((((begin_s * 1e9) as i64).max(limit), (end_s * 1e9) as i64))
    }

    /// When a request that may be sent at `now` must have been sent, if it is polled in slots, in monotonic nanoseconds.
    #[must_use]
    pub fn slot_end(&self, now: i64) -> Option<i64> {
        self.slot(now).map(|(_, end)| end)
    }

    /// Whether the server is polled in slots. The time of the next poll is then accurate only for the near future.
    #[must_use]
    pub fn is_slotted(&self) -> bool {
        self.slot(self.looked_at).is_some()
    }

    /// When a request may be sent, at `now` or after it, in monotonic nanoseconds.
    #[must_use]
    pub fn permitted_at(&self, now: i64) -> i64 {
        self.slot(now).map_or_else(|| self.earliest(), |(begin, _)| begin)
    }

    /// The interval, at least as long as a fleet permits without slots.
    fn paced_interval(&self) -> Duration {
        let otherwise = self.share.as_ref().map_or(Duration::ZERO, |share| share.otherwise);
        self.interval().max(otherwise)
    }

    /// When the interval began to count, in monotonic nanoseconds.
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
        if let Some((begin, end)) = self.slot(self.looked_at) {
            // Between an eighth and a quarter of the span, because timers are late.
            return begin.saturating_add(((end - begin) as f64 * (1.0 + dice.clamp(0.0, 1.0)) / 8.0) as i64);
        }
        let Some(last) = self.last_request else { return self.not_before };
        let interval = match self.early {
            0 => self.paced_interval(),
            _ => self.interval().min(FIRST_INTERVAL.max(self.floor)),
        };
        let dice = dice.clamp(0.0, 1.0);
        let swing = if self.share.is_some() { JITTER * dice } else { JITTER * (2.0 * dice - 1.0) };
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
    /// interval; the latter counts from the last request even if it became longer since. If a fleet shares the server,
    /// the minimum is the whole interval; [`Schedule::permitted_at`] also takes slots into account.
    #[must_use]
    pub fn earliest(&self) -> i64 {
        let floor = self.last_request.map_or(i64::MIN, |last| last.saturating_add(nanos(self.floor)));
        let since = self.counts_since().filter(|_| self.share.is_some());
        let paced = since.map_or(i64::MIN, |since| since.saturating_add(nanos(self.paced_interval())));
        self.not_before.max(floor).max(paced)
    }

    /// When a question about the protocol may be asked, in monotonic nanoseconds: half-way to the next poll, and not
    /// before the minimum interval has passed. `None` during the first polls, and while a kiss-o'-death lengthens the
    /// interval.
    #[must_use]
    pub fn question_at(&self) -> Option<i64> {
        let half_way = self.last_request?.saturating_add(nanos(self.interval() / 2));
        let is_limited = self.early > 0 || self.doublings > 0 || self.denials > 0;
        (!is_limited).then(|| half_way.max(self.earliest()))
    }

    /// Records that a question is being asked: the next poll keeps its time unless the minimum interval delays it.
    pub fn asked(&mut self, now: i64) {
        self.hold(now.saturating_add(nanos(self.floor)));
    }

    /// The pause after a denial, if it lasts at `now`.
    #[must_use]
    pub fn pause(&self, now: i64) -> Option<Pause> {
        self.pause.filter(|pause| now < pause.until)
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
            let until = now.saturating_add(nanos(pause));
            self.pause = Some(Pause { code, since: now, until });
            self.hold(until);
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
#[path = "schedule_tests.rs"]
mod tests;
