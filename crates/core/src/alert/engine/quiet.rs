//! The silences, maintenance windows and inhibiting causes that suppress notifications at one moment.

use std::fmt;

use jiff::Timestamp;

use crate::alert::inhibit::{Cause, Inhibitor};
use crate::alert::rule::Rule;
use crate::alert::selector::Selector;
use crate::alert::silence::{Matcher, Silence, Window, admits};
use crate::sample::ServerIdent;

/// Why notifications of an alert are suppressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mute {
    /// By a silence (its number) or a maintenance window (its comment).
    Silenced(String),
    /// By a common cause that explains the alert.
    Inhibited(Cause),
}

impl fmt::Display for Mute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silenced(by) => f.write_str(by),
            Self::Inhibited(cause) => f.write_str(cause.label()),
        }
    }
}

/// Everything that is active now.
pub(super) struct Quiet<'a> {
    active: Vec<(Matcher, String)>,
    inhibitor: &'a Inhibitor,
}

/// The part that applies to one rule.
pub(super) struct QuietRule<'q> {
    active: Vec<(&'q Selector, &'q str)>,
    cause: Option<Cause>,
}

impl<'a> Quiet<'a> {
    pub(super) fn new(now: Timestamp, silences: &[Silence], windows: &[Window], inhibitor: &'a Inhibitor) -> Self {
        let silences = silences.iter().filter(|silence| silence.is_in_force(now));
        let silences = silences.map(|silence| (silence.matcher(), silence.id.to_string()));
        let windows = windows.iter().filter(|window| window.times.open_until(now).is_some());
        let windows = windows.map(|window| (window.matcher.clone(), window.comment.clone()));
        Self { active: silences.chain(windows).collect(), inhibitor }
    }

    pub(super) fn of(&self, rule: &Rule) -> QuietRule<'_> {
        let meant = self.active.iter().filter(|(matcher, _)| matcher.is_about(&rule.spec.name));
        QuietRule {
            active: meant.map(|(matcher, by)| (&matcher.servers, by.as_str())).collect(),
            cause: self.inhibitor.cause(rule),
        }
    }
}

impl QuietRule<'_> {
    /// Why notifications of the alert about this server, or about no server, are suppressed; `None` if they are not.
    pub(super) fn mute(&self, about: Option<(&str, &ServerIdent)>) -> Option<Mute> {
        let active = self.active.iter().find(|(servers, _)| admits(servers, about));
        active.map(|(_, by)| Mute::Silenced((*by).to_owned())).or(self.cause.map(Mute::Inhibited))
    }
}
