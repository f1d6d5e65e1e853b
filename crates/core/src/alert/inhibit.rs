//! Alerts about servers are held back while something nearer explains them: the own clock is wrong, so all offsets are;
//! or no server answers, so it is the network of the monitor. One alert then tells it, and not fifty. So a cause holds
//! nothing back unless some rule that is itself never held back looks at it: somebody must be told.

use std::time::Duration;

use serde::Serialize;

use super::facts::Facts;
use super::rule::Rule;
use crate::clock::Stamp;
use crate::stats::verdict::State;

/// After a cause has gone, each server must have been polled twice before its alerts count again: at least this long …
const RELEASE_AFTER: Duration = Duration::from_secs(150);
/// … and at most this.
const RELEASE_WITHIN: Duration = Duration::from_secs(3600);

/// What a wrong own clock makes wrong.
const OF_THE_CLOCK: [&str; 9] = [
    "offset_ms",
    "abs_offset_ms",
    "provable",
    "jitter_ms",
    "offset_p95_ms",
    "drift_ppm",
    "falseticker",
    "gap_ms",
    "wrong_kind",
];

/// By these a rule can tell that the own clock is wrong.
const TELL_OF_THE_CLOCK: [&str; 4] = ["local_wrong", "local_error_ms", "local_error_at_least_ms", "verdict"];
/// By these a rule can tell that no server answers.
const TELL_OF_THE_NETWORK: [&str; 2] = ["servers_answering", "servers_lost"];

/// What holds alerts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The clock of this machine is wrong.
    OwnClock,
    /// No server answers.
    Network,
}

impl Cause {
    /// For people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::OwnClock => "the own clock is wrong",
            Self::Network => "no server answers",
        }
    }
}

/// Which causes there are, and were a moment ago.
#[derive(Debug, Default)]
pub struct Inhibitor {
    tells_of_clock: bool,
    tells_of_network: bool,
    own_clock: Hold,
    network: Hold,
}

#[derive(Debug, Default, Clone, Copy)]
struct Hold {
    last: Option<Stamp>,
    is_on: bool,
}

impl Hold {
    fn observe(&mut self, now: Stamp, is_there: bool, release_after: Duration) {
        if is_there {
            self.last = Some(now);
        }
        self.is_on = self.last.is_some_and(|last| is_there || now.since(last) < release_after);
    }
}

impl Inhibitor {
    /// From now on these rules, of those that are switched on, are there to tell of causes.
    pub fn rely_on<'a>(&mut self, rules: impl Iterator<Item = &'a Rule>) {
        (self.tells_of_clock, self.tells_of_network) = (false, false);
        for rule in rules.filter(|rule| !rule.spec.inhibit) {
            self.tells_of_clock |= looks_at(rule, &TELL_OF_THE_CLOCK);
            self.tells_of_network |= looks_at(rule, &TELL_OF_THE_NETWORK);
        }
    }

    /// Looks for causes.
    pub fn observe(&mut self, now: Stamp, facts: &Facts<'_>) {
        let polls = facts.servers.iter().filter_map(|server| server.poll_s());
        let twice = Duration::try_from_secs_f64(2.0 * polls.fold(0.0, f64::max)).unwrap_or(RELEASE_WITHIN);
        let release_after = twice.clamp(RELEASE_AFTER, RELEASE_WITHIN);
        let count = facts.common.count;
        self.own_clock.observe(now, facts.common.snapshot.verdict.state == State::LocalWrong, release_after);
        self.network.observe(now, count.polled > 0 && count.lost == count.polled, release_after);
    }

    /// What holds the alerts of `rule` back now.
    #[must_use]
    pub fn cause(&self, rule: &Rule) -> Option<Cause> {
        if !rule.spec.inhibit {
            return None;
        }
        if self.network.is_on && self.tells_of_network {
            return Some(Cause::Network);
        }
        (self.own_clock.is_on && self.tells_of_clock && looks_at(rule, &OF_THE_CLOCK)).then_some(Cause::OwnClock)
    }
}

fn looks_at(rule: &Rule, names: &[&str]) -> bool {
    rule.expression.variables().iter().any(|it| names.contains(&it.name))
}

/// Whether people hear of a cause from this rule, so that others need not tell of what follows from it.
#[must_use]
pub fn tells_of_a_cause(rule: &Rule) -> bool {
    !rule.spec.inhibit && (looks_at(rule, &TELL_OF_THE_CLOCK) || looks_at(rule, &TELL_OF_THE_NETWORK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{defaults, variables};

    #[test]
    fn what_a_wrong_clock_makes_wrong_are_variables() {
        let all = OF_THE_CLOCK.iter().chain(&TELL_OF_THE_CLOCK).chain(&TELL_OF_THE_NETWORK);
        assert!(all.into_iter().all(|name| variables::find(name).is_some()));
    }

    #[test]
    fn a_cause_that_no_rule_tells_of_holds_nothing_back() {
        let rules: Vec<Rule> =
            defaults::rules().into_iter().map(|spec| Rule::compile(spec).expect("a test compiles each")).collect();
        let of_a_server = rules.iter().find(|rule| rule.spec.name == "failing-queries").unwrap();
        let held = Hold { last: None, is_on: true };
        let mut inhibitor = Inhibitor { network: held, ..Inhibitor::default() };
        inhibitor.rely_on(rules.iter());
        assert_eq!(inhibitor.cause(of_a_server), Some(Cause::Network));
        inhibitor.rely_on(rules.iter().filter(|rule| rule.spec.name != "monitor-blind"));
        assert_eq!(inhibitor.cause(of_a_server), None);
    }

    #[test]
    fn a_cause_holds_on_for_a_while_after_it_has_gone() {
        let at = |s: i64| Stamp::new(0, s * 1_000_000_000, 0);
        let mut hold = Hold::default();
        let mut on = |s, is_there| {
            hold.observe(at(s), is_there, RELEASE_AFTER);
            hold.is_on
        };
        assert_eq!(
            [on(0, false), on(10, true), on(20, false), on(159, false), on(160, false)],
            [false, true, true, true, false]
        );
    }
}
