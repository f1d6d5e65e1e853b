//! How a poll ended, and how that is called wherever it is written.

use std::borrow::Cow;

use crate::ntp::{Check, KissCode};

/// How a poll ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An offset was measured.
    Sample,
    /// No acceptable reply came before the deadline, and none was refused on the way.
    Timeout,
    /// The host answered that nothing listens there (ICMP port unreachable and its kin).
    Refused,
    /// A kiss-o'-death that answers our own request (RFC 5905 §7.4). Never an offset.
    Kiss(KissCode),
    /// Replies came, none acceptable; the first test that the last of them failed.
    Rejected(Check),
    /// The server answers but says that its clock is not synchronised (leap 3, stratum 0 or 16).
    Unsynchronised,
    /// The name did not resolve; the reason as the resolver gave it.
    Dns(Box<str>),
    /// The fault is on our side (no socket, no route, a panic); the reason.
    Fault(Box<str>),
}

impl Outcome {
    /// Every label, in the order of display.
    pub const LABELS: [&'static str; 8] =
        ["sample", "timeout", "refused", "kiss", "rejected", "unsynchronised", "dns", "fault"];

    /// The outcome as data files, metrics and the API name it: one of [`Outcome::LABELS`].
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Kiss(_) => "kiss",
            Self::Rejected(_) => "rejected",
            Self::Unsynchronised => "unsynchronised",
            Self::Dns(_) => "dns",
            Self::Fault(_) => "fault",
        }
    }

    /// The detail behind the label: the kiss code, the failed test, the error. Empty when the label says all.
    #[must_use]
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::Kiss(code) => Cow::Owned(code.to_string()),
            Self::Rejected(check) => Cow::Borrowed(check.label()),
            Self::Dns(why) | Self::Fault(why) => Cow::Borrowed(why),
            Self::Sample | Self::Timeout | Self::Refused | Self::Unsynchronised => Cow::Borrowed(""),
        }
    }

    /// The inverse of [`Outcome::label`] and [`Outcome::reason`]; `None` when the label is unknown or the reason does
    /// not fit it.
    #[must_use]
    pub fn parse(label: &str, reason: &str) -> Option<Self> {
        Some(match label {
            "sample" => Self::Sample,
            "timeout" => Self::Timeout,
            "refused" => Self::Refused,
            "kiss" => Self::Kiss(KissCode::parse(reason)?),
            "rejected" => Self::Rejected(Check::parse(reason)?),
            "unsynchronised" => Self::Unsynchronised,
            "dns" => Self::Dns(reason.into()),
            "fault" => Self::Fault(reason.into()),
            _ => return None,
        })
    }

    /// Whether the server answered as a working time server: what success rates and reach count.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_survives_the_way_through_label_and_reason() {
        let outcomes = [
            Outcome::Sample,
            Outcome::Timeout,
            Outcome::Refused,
            Outcome::Kiss(KissCode::parse("RATE").unwrap()),
            Outcome::Rejected(Check::Origin),
            Outcome::Unsynchronised,
            Outcome::Dns("no such name".into()),
            Outcome::Fault("no route to host".into()),
        ];
        for (outcome, label) in outcomes.iter().zip(Outcome::LABELS) {
            assert_eq!(outcome.label(), label);
            assert_eq!(Outcome::parse(label, &outcome.reason()).as_ref(), Some(outcome));
        }
        assert_eq!(Outcome::parse("success", ""), None);
        assert_eq!(Outcome::parse("kiss", "too long"), None);
    }
}
