//! The state machine of one alert: inactive, pending, firing. It uses monotonic time, so that setting the wall clock
//! has no effect; wall times are only kept for display.

use std::collections::VecDeque;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::expression::Answer;
use crate::clock::Stamp;

/// The phase of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The condition is not true.
    Inactive,
    /// The condition is true, but not for long enough.
    Pending,
    /// The alert fires.
    Firing,
}

/// The durations that control an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The condition must be true for this long before the alert fires.
    pub held_for: Duration,
    /// The condition must be false for this long before the alert resolves.
    pub keep_firing_for: Duration,
    /// A firing alert without data for this long ends.
    pub no_data_after: Duration,
    /// An alert that starts to fire this many times within `flap_window` is flapping.
    pub flap_count: u32,
    /// The window for `flap_count`. A flapping alert keeps firing until its condition has been false for a quarter of
    /// it.
    pub flap_window: Duration,
}

/// Why an alert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The condition became false.
    Clear,
    /// There was no data for too long.
    NoData,
    /// The rule or the server is no longer configured.
    Gone,
}

/// A transition of the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The condition became true.
    Pending,
    /// The condition became false before the alert fired.
    Dropped,
    /// The alert starts to fire.
    Firing,
    /// The alert ended.
    Ended(End),
}

/// The state of one alert.
#[derive(Debug, Clone)]
pub struct Life {
    phase: Phase,
    /// When the current phase began.
    since: Stamp,
    /// When the condition became true.
    holds_since: Stamp,
    /// When the condition of a firing alert became false.
    clear_since: Option<Stamp>,
    /// When a firing alert last began to be without data.
    silent_since: Option<Stamp>,
    /// The recent times at which the alert started to fire, oldest first.
    begins: VecDeque<Stamp>,
    /// Whether the firing alert is flapping.
    flaps: bool,
}

impl Life {
    /// Creates an inactive alert.
    #[must_use]
    pub fn new(now: Stamp) -> Self {
        Self {
            phase: Phase::Inactive,
            since: now,
            holds_since: now,
            clear_since: None,
            silent_since: None,
            begins: VecDeque::new(),
            flaps: false,
        }
    }

    /// Restores an alert that was firing when the service stopped. The caller keeps the original start times.
    #[must_use]
    pub fn restored(now: Stamp, flaps: bool) -> Self {
        Self { phase: Phase::Firing, flaps, ..Self::new(now) }
    }

    /// The current phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// When the current phase began.
    #[must_use]
    pub fn since(&self) -> Stamp {
        self.since
    }

    /// When the condition became true.
    #[must_use]
    pub fn holds_since(&self) -> Stamp {
        self.holds_since
    }

    /// Whether the condition is true as far as is known. False while the alert only fires because of `keep_firing_for`.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.phase != Phase::Inactive && self.clear_since.is_none()
    }

    /// Whether the alert is inactive and no longer needed to detect flapping.
    #[must_use]
    pub fn is_forgettable(&self, now: Stamp, timing: &Timing) -> bool {
        self.phase == Phase::Inactive && self.begins.back().is_none_or(|last| now.since(*last) >= timing.flap_window)
    }

    /// Whether the alert is flapping.
    #[must_use]
    pub fn is_flapping(&self) -> bool {
        self.flaps
    }

    /// Advances the state machine with the result of an evaluation. No alert starts to fire while `may_fire` is false.
    pub fn step(&mut self, now: Stamp, answer: &Answer, timing: &Timing, may_fire: bool) -> Option<Change> {
        match (self.phase, answer) {
            (Phase::Inactive, Answer::True) => {
                self.enter(Phase::Pending, now);
                self.holds_since = now;
                self.fire(now, timing, may_fire).or(Some(Change::Pending))
            }
            (Phase::Inactive, _) => None,
            (Phase::Pending, Answer::True) => self.fire(now, timing, may_fire),
            (Phase::Pending, _) => {
                self.enter(Phase::Inactive, now);
                Some(Change::Dropped)
            }
            (Phase::Firing, Answer::True) => {
                (self.clear_since, self.silent_since) = (None, None);
                None
            }
            (Phase::Firing, Answer::False) => {
                self.silent_since = None;
                let clear_since = *self.clear_since.get_or_insert(now);
                let wait = if self.flaps { timing.flap_window / 4 } else { Duration::ZERO };
                let is_over = now.since(clear_since) >= timing.keep_firing_for.max(wait);
                is_over.then(|| self.end(now, End::Clear))
            }
            (Phase::Firing, Answer::NoData | Answer::Error(_)) => {
                let silent_since = *self.silent_since.get_or_insert(now);
                (now.since(silent_since) >= timing.no_data_after).then(|| self.end(now, End::NoData))
            }
        }
    }

    /// Restarts the durations after a gap in the evaluations, because the condition may have changed during the gap.
    pub fn was_unwatched(&mut self, now: Stamp) {
        if self.phase == Phase::Pending {
            self.holds_since = now;
        }
        self.clear_since = None;
    }

    /// Ends the alert in any phase. Returns [`Change::Ended`] if it was firing, otherwise [`Change::Dropped`].
    pub fn end(&mut self, now: Stamp, why: End) -> Change {
        let change = if self.phase == Phase::Firing { Change::Ended(why) } else { Change::Dropped };
        self.enter(Phase::Inactive, now);
        change
    }

    fn fire(&mut self, now: Stamp, timing: &Timing, may_fire: bool) -> Option<Change> {
        if !may_fire || now.since(self.holds_since) < timing.held_for {
            return None;
        }
        self.enter(Phase::Firing, now);
        self.begins.push_back(now);
        // Older starts are not needed to detect flapping.
        while self.begins.len() > usize::try_from(timing.flap_count).unwrap_or(usize::MAX) {
            self.begins.pop_front();
        }
        let lately = self.begins.iter().filter(|begin| now.since(**begin) < timing.flap_window).count();
        self.flaps = u32::try_from(lately).unwrap_or(u32::MAX) >= timing.flap_count;
        Some(Change::Firing)
    }

    fn enter(&mut self, phase: Phase, now: Stamp) {
        (self.phase, self.since, self.clear_since, self.silent_since) = (phase, now, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        held_for: Duration::from_secs(60),
        keep_firing_for: Duration::from_secs(30),
        no_data_after: Duration::from_secs(600),
        flap_count: 3,
        flap_window: Duration::from_secs(3600),
    };

    fn at(s: i64) -> Stamp {
        Stamp::new(0, s * 1_000_000_000, 0)
    }

    /// Takes one answer every ten seconds (`T` true, `f` false, `.` no data) and returns the changes with their times.
    fn live(answers: &str) -> Vec<(i64, Change)> {
        let mut life = Life::new(at(0));
        let mut changes = Vec::new();
        for (n, c) in answers.chars().enumerate() {
            let answer = match c {
                'T' => Answer::True,
                'f' => Answer::False,
                _ => Answer::NoData,
            };
            let s = 10 * n as i64;
            changes.extend(life.step(at(s), &answer, &TIMING, true).map(|change| (s, change)));
        }
        changes
    }

    #[test]
    fn transitions_follow_the_answers() {
        use Change::{Dropped, Ended, Firing, Pending};
        let table: &[(&str, &[(i64, Change)])] = &[
            ("ffff....", &[]),
            ("fTTTfff", &[(10, Pending), (40, Dropped)]),
            ("fTTT.ff", &[(10, Pending), (40, Dropped)]),
            ("TTTTTTT", &[(0, Pending), (60, Firing)]),
            ("TTTTTTTfffff", &[(0, Pending), (60, Firing), (100, Ended(End::Clear))]),
            ("TTTTTTTffTffT", &[(0, Pending), (60, Firing)]),
            ("TTTTTTT......T", &[(0, Pending), (60, Firing)]),
            ("TTTTTTT.f..fff", &[(0, Pending), (60, Firing), (110, Ended(End::Clear))]),
        ];
        for (answers, expected) in table {
            assert_eq!(live(answers), *expected, "{answers}");
        }
        let forgotten = format!("TTTTTTT{}", ".".repeat(70));
        assert_eq!(live(&forgotten).last(), Some(&(670, Ended(End::NoData))));
    }

    #[test]
    fn setting_the_wall_clock_does_not_affect_pending_alerts() {
        let mut life = Life::new(at(0));
        let set = |s: i64, wall_ns: i64| Stamp { wall_ns, ..at(s) };
        assert_eq!(life.step(set(0, 0), &Answer::True, &TIMING, true), Some(Change::Pending));
        assert_eq!(life.step(set(10, 3_600_000_000_000), &Answer::True, &TIMING, true), None);
        assert_eq!(life.step(set(59, -3_600_000_000_000), &Answer::True, &TIMING, true), None);
        assert_eq!(life.step(set(60, 0), &Answer::True, &TIMING, true), Some(Change::Firing));
    }

    #[test]
    fn startup_grace_and_evaluation_gaps_delay_firing() {
        let mut life = Life::new(at(0));
        life.step(at(0), &Answer::True, &TIMING, false);
        assert_eq!(life.step(at(100), &Answer::True, &TIMING, false), None);
        life.was_unwatched(at(5000));
        assert_eq!(life.step(at(5000), &Answer::True, &TIMING, true), None);
        assert_eq!(life.step(at(5060), &Answer::True, &TIMING, true), Some(Change::Firing));
    }

    #[test]
    fn flapping_alert_fires_until_it_is_quiet() {
        let round = format!("{}{}", "T".repeat(7), "f".repeat(4));
        // From the third start on the alert flaps, so all further starts belong to the same firing period.
        let changes = live(&format!("{}{}", round.repeat(50), "f".repeat(90)));
        let ends: Vec<i64> =
            changes.iter().filter(|(_, change)| matches!(change, Change::Ended(_))).map(|(s, _)| *s).collect();
        assert_eq!(ends, [100, 210, 49 * 110 + 70 + 900]);
    }
}
