//! Inhibition: alerts about servers are held back while a common cause explains them, so that you get one notification
//! instead of fifty. There are two causes: this host's clock is wrong, which makes all offsets wrong, or no server
//! answers, which points to this host's network.
//!
//! A cause only inhibits alerts if an enabled rule with `inhibit = false` watches the cause, so that you are always
//! notified of the cause itself.

use std::time::Duration;

use serde::Serialize;

use super::facts::Facts;
use super::rule::Rule;
use crate::clock::Stamp;
use crate::stats::verdict::State;

/// Inhibition continues after the cause has gone until each server has been polled twice, but at least this long.
const RELEASE_AFTER: Duration = Duration::from_secs(150);
/// The longest time for which inhibition continues after the cause has gone.
const RELEASE_WITHIN: Duration = Duration::from_secs(3600);

/// The variables that are wrong when this host's clock is wrong.
const CLOCK_DEPENDENT: [&str; 10] = [
    "offset_ms",
    "abs_offset_ms",
    "provable",
    "jitter_ms",
    "offset_p95_ms",
    "drift_ppm",
    "falseticker",
    "suspected",
    "gap_ms",
    "wrong_kind",
];

/// The variables with which a rule can watch this host's clock.
const WATCH_CLOCK: [&str; 4] = ["local_wrong", "local_error_ms", "local_error_at_least_ms", "verdict"];
/// The variables with which a rule can watch whether servers answer.
const WATCH_NETWORK: [&str; 2] = ["servers_answering", "servers_lost"];

/// The cause that inhibits alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// This host's clock is wrong.
    OwnClock,
    /// No server answers.
    Network,
}

impl Cause {
    /// The cause in words, for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::OwnClock => "this host's clock is wrong",
            Self::Network => "no server answers",
        }
    }
}

/// Tracks the causes that are present or were present shortly before.
#[derive(Debug, Default)]
pub struct Inhibitor {
    watches_clock: bool,
    watches_network: bool,
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
    /// Sets the enabled rules. Those with `inhibit = false` that watch a cause allow that cause to inhibit others.
    pub fn set_rules<'a>(&mut self, rules: impl Iterator<Item = &'a Rule>) {
        (self.watches_clock, self.watches_network) = (false, false);
        for rule in rules.filter(|rule| !rule.spec.inhibit) {
            self.watches_clock |= uses(rule, &WATCH_CLOCK);
            self.watches_network |= uses(rule, &WATCH_NETWORK);
        }
    }

    /// Updates the causes from the latest data.
    pub fn observe(&mut self, now: Stamp, facts: &Facts<'_>) {
        let polls = facts.servers.iter().filter_map(|server| server.poll_s());
        let twice = Duration::try_from_secs_f64(2.0 * polls.fold(0.0, f64::max)).unwrap_or(RELEASE_WITHIN);
        let release_after = twice.clamp(RELEASE_AFTER, RELEASE_WITHIN);
        let count = facts.common.count;
        self.own_clock.observe(now, facts.common.snapshot.verdict.state == State::LocalWrong, release_after);
        self.network.observe(now, count.polled > 0 && count.lost == count.polled, release_after);
    }

    /// The cause that inhibits the alerts of `rule` now, if there is one.
    #[must_use]
    pub fn cause(&self, rule: &Rule) -> Option<Cause> {
        if !rule.spec.inhibit {
            return None;
        }
        if self.network.is_on && self.watches_network {
            return Some(Cause::Network);
        }
        (self.own_clock.is_on && self.watches_clock && uses(rule, &CLOCK_DEPENDENT)).then_some(Cause::OwnClock)
    }
}

fn uses(rule: &Rule, names: &[&str]) -> bool {
    rule.expression.variables().iter().any(|it| names.contains(&it.name))
}

/// Whether the rule watches a cause and is never inhibited itself.
#[must_use]
pub fn watches_a_cause(rule: &Rule) -> bool {
    !rule.spec.inhibit && (uses(rule, &WATCH_CLOCK) || uses(rule, &WATCH_NETWORK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{defaults, variables};

    #[test]
    fn inhibition_lists_only_known_variables() {
        let all = CLOCK_DEPENDENT.iter().chain(&WATCH_CLOCK).chain(&WATCH_NETWORK);
        assert!(all.into_iter().all(|name| variables::find(name).is_some()));
    }

    #[test]
    fn cause_without_a_watching_rule_inhibits_nothing() {
        let rules: Vec<Rule> =
            defaults::rules().into_iter().map(|spec| Rule::compile(spec).expect("a test compiles each")).collect();
        let of_a_server = rules.iter().find(|rule| rule.spec.name == "failing-queries").unwrap();
        let held = Hold { last: None, is_on: true };
        let mut inhibitor = Inhibitor { network: held, ..Inhibitor::default() };
        inhibitor.set_rules(rules.iter());
        assert_eq!(inhibitor.cause(of_a_server), Some(Cause::Network));
        inhibitor.set_rules(rules.iter().filter(|rule| rule.spec.name != "monitor-blind"));
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
