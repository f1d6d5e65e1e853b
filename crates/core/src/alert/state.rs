//! The life of one alert: inactive, pending, firing, and over. Time is monotonic, so that a clock that is set changes
//! nothing; wall times are kept to be shown.

use std::collections::VecDeque;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::expression::Answer;
use crate::clock::Stamp;

/// Where an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It does not hold.
    Inactive,
    /// It holds, but not for long enough.
    Pending,
    /// It fires.
    Firing,
}

/// The times of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// It must hold for this long.
    pub held_for: Duration,
    /// It must have ceased to hold for this long.
    pub keep_firing_for: Duration,
    /// An alert whose value is not known ends after this.
    pub no_data_after: Duration,
    /// An alert that begins this often …
    pub flap_count: u32,
    /// … within this is flapping: it goes on until it has been quiet for a quarter of it.
    pub flap_window: Duration,
}

/// Why an alert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It ceased to hold.
    Clear,
    /// Nothing was known for too long.
    NoData,
    /// The rule or the server is no longer configured.
    Gone,
}

/// What a step changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It began to hold.
    Pending,
    /// It held, but not for long enough.
    Dropped,
    /// It fires from now on.
    Firing,
    /// It is over.
    Ended(End),
}

/// One alert.
#[derive(Debug, Clone)]
pub struct Life {
    phase: Phase,
    /// When the present phase began.
    since: Stamp,
    /// When it began to hold.
    holds_since: Stamp,
    clear_since: Option<Stamp>,
    silent_since: Option<Stamp>,
    /// When it began to fire lately, oldest first.
    begins: VecDeque<Stamp>,
    /// Whether it began so often that it is not told each time, for as long as it fires.
    flaps: bool,
}

impl Life {
    /// An alert that does not hold.
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

    /// An alert that fired, and perhaps flapped, when the monitor ended. How long it has is for the caller to remember.
    #[must_use]
    pub fn restored(now: Stamp, flaps: bool) -> Self {
        Self { phase: Phase::Firing, flaps, ..Self::new(now) }
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// When the present phase began.
    #[must_use]
    pub fn since(&self) -> Stamp {
        self.since
    }

    /// When it began to hold.
    #[must_use]
    pub fn holds_since(&self) -> Stamp {
        self.holds_since
    }

    /// Whether it holds as far as is known, and does not merely go on firing for a while.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.phase != Phase::Inactive && self.clear_since.is_none()
    }

    /// Whether nothing need be remembered of it.
    #[must_use]
    pub fn is_forgettable(&self, now: Stamp, timing: &Timing) -> bool {
        self.phase == Phase::Inactive && self.begins.back().is_none_or(|last| now.since(*last) >= timing.flap_window)
    }

    /// Whether it began and ended too often to be told each time, and goes on until it is quiet.
    #[must_use]
    pub fn is_flapping(&self) -> bool {
        self.flaps
    }

    /// Takes an answer. While `may_fire` is false nothing begins to fire.
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

    /// Nobody looked for a while: what held before need not have held all the time.
    pub fn was_unwatched(&mut self, now: Stamp) {
        if self.phase == Phase::Pending {
            self.holds_since = now;
        }
        self.clear_since = None;
    }

    /// Ends it whatever it is; says whether it fired.
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
        // More than this many need not be counted.
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

    /// `T`rue, `f`alse or `.` no data, ten seconds apart; returns the changes with their times.
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
    fn a_clock_that_is_set_while_an_alert_is_pending_changes_nothing() {
        let mut life = Life::new(at(0));
        let set = |s: i64, wall_ns: i64| Stamp { wall_ns, ..at(s) };
        assert_eq!(life.step(set(0, 0), &Answer::True, &TIMING, true), Some(Change::Pending));
        assert_eq!(life.step(set(10, 3_600_000_000_000), &Answer::True, &TIMING, true), None);
        assert_eq!(life.step(set(59, -3_600_000_000_000), &Answer::True, &TIMING, true), None);
        assert_eq!(life.step(set(60, 0), &Answer::True, &TIMING, true), Some(Change::Firing));
    }

    #[test]
    fn nothing_fires_during_the_grace_and_what_was_not_watched_does_not_count() {
        let mut life = Life::new(at(0));
        life.step(at(0), &Answer::True, &TIMING, false);
        assert_eq!(life.step(at(100), &Answer::True, &TIMING, false), None);
        life.was_unwatched(at(5000));
        assert_eq!(life.step(at(5000), &Answer::True, &TIMING, true), None);
        assert_eq!(life.step(at(5060), &Answer::True, &TIMING, true), Some(Change::Firing));
    }

    #[test]
    fn who_flaps_goes_on_firing_until_it_is_quiet() {
        let round = format!("{}{}", "T".repeat(7), "f".repeat(4));
        // The third begins while it is told; the others are within it, for longer than the window.
        let changes = live(&format!("{}{}", round.repeat(50), "f".repeat(90)));
        let ends: Vec<i64> =
            changes.iter().filter(|(_, change)| matches!(change, Change::Ended(_))).map(|(s, _)| *s).collect();
        assert_eq!(ends, [100, 210, 49 * 110 + 70 + 900]);
    }
}
