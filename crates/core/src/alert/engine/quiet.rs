//! What keeps alerts quiet at one moment: silences, maintenance windows, and causes that explain them.

use std::fmt;

use jiff::Timestamp;

use crate::alert::inhibit::{Cause, Inhibitor};
use crate::alert::rule::Rule;
use crate::alert::selector::Selector;
use crate::alert::silence::{Matcher, Silence, Window, admits};
use crate::sample::ServerIdent;

/// Why nobody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mute {
    /// Somebody said so: which silence or window.
    Silenced(String),
    /// Something else explains it.
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

/// All that is in force.
pub(super) struct Quiet<'a> {
    said: Vec<(Matcher, String)>,
    inhibitor: &'a Inhibitor,
}

/// What of it concerns one rule.
pub(super) struct QuietRule<'q> {
    said: Vec<(&'q Selector, &'q str)>,
    cause: Option<Cause>,
}

impl<'a> Quiet<'a> {
    pub(super) fn new(now: Timestamp, silences: &[Silence], windows: &[Window], inhibitor: &'a Inhibitor) -> Self {
        let silences = silences.iter().filter(|silence| silence.is_in_force(now));
        let silences = silences.map(|silence| (silence.matcher(), silence.id.to_string()));
        let windows = windows.iter().filter(|window| window.times.open_until(now).is_some());
        let windows = windows.map(|window| (window.matcher.clone(), window.comment.clone()));
        Self { said: silences.chain(windows).collect(), inhibitor }
    }

    pub(super) fn of(&self, rule: &Rule) -> QuietRule<'_> {
        let meant = self.said.iter().filter(|(matcher, _)| matcher.is_about(&rule.spec.name));
        QuietRule {
            said: meant.map(|(matcher, by)| (&matcher.servers, by.as_str())).collect(),
            cause: self.inhibitor.cause(rule),
        }
    }
}

impl QuietRule<'_> {
    /// What keeps the alert about this server, or about none, quiet.
    pub(super) fn mute(&self, about: Option<(&str, &ServerIdent)>) -> Option<Mute> {
        let said = self.said.iter().find(|(servers, _)| admits(servers, about));
        said.map(|(_, by)| Mute::Silenced((*by).to_owned())).or(self.cause.map(Mute::Inhibited))
    }
}
