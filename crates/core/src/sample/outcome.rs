//! How a poll ended, and the label of each outcome in data files, metrics and the API.

use std::borrow::Cow;

use crate::ntp::{Check, KissCode, StatusCode};

/// How a poll ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An offset was measured.
    Sample,
    /// No reply arrived before the deadline.
    Timeout,
    /// An ICMP error came back, such as port unreachable: nothing listens on that port.
    Refused,
    /// A kiss-o'-death in reply to our request that asks us to change our behaviour. It never yields an offset.
    Kiss(KissCode),
    /// Replies arrived, but all were rejected. Holds the first check that the last reply failed.
    Rejected(Check),
    /// The server answers but says that its clock is not synchronised (leap 3, stratum 0 or 16). Holds its reason, if it
    /// gives one.
    Unsynchronised(Option<StatusCode>),
    /// The name did not resolve. Holds the resolver's error.
    Dns(Box<str>),
    /// This host could not poll the server (no socket, no route, a panic). Holds the reason.
    Fault(Box<str>),
}

impl Outcome {
    /// All labels, in display order.
    pub const LABELS: [&'static str; 8] =
        ["sample", "timeout", "refused", "kiss", "rejected", "unsynchronised", "dns", "fault"];

    /// The name of the outcome in data files, metrics and the API: one of [`Outcome::LABELS`].
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Kiss(_) => "kiss",
            Self::Rejected(_) => "rejected",
            Self::Unsynchronised(_) => "unsynchronised",
            Self::Dns(_) => "dns",
            Self::Fault(_) => "fault",
        }
    }

    /// The detail of the outcome: the server's code, the failed check or the error. Empty for outcomes without detail.
    #[must_use]
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::Kiss(code) => Cow::Owned(code.to_string()),
            Self::Unsynchronised(Some(code)) => Cow::Owned(code.to_string()),
            Self::Rejected(check) => Cow::Borrowed(check.label()),
            Self::Dns(why) | Self::Fault(why) => Cow::Borrowed(why),
            Self::Sample | Self::Timeout | Self::Refused | Self::Unsynchronised(None) => Cow::Borrowed(""),
        }
    }

    /// The inverse of [`Outcome::label`] and [`Outcome::reason`]; `None` if the label is unknown or the reason is not
    /// valid for the label.
    ///
    /// Earlier releases recorded every code as a kiss; those that do not change our behaviour are read as what they are.
    #[must_use]
    pub fn parse(label: &str, reason: &str) -> Option<Self> {
        Some(match label {
            "sample" => Self::Sample,
            "timeout" => Self::Timeout,
            "refused" => Self::Refused,
            "kiss" => match KissCode::parse(reason) {
                Some(code) => Self::Kiss(code),
                None => Self::Unsynchronised(Some(StatusCode::parse(reason)?)),
            },
            "rejected" => Self::Rejected(Check::parse(reason)?),
            "unsynchronised" if reason.is_empty() => Self::Unsynchronised(None),
            "unsynchronised" => Self::Unsynchronised(Some(StatusCode::parse(reason)?)),
            "dns" => Self::Dns(reason.into()),
            "fault" => Self::Fault(reason.into()),
            _ => return None,
        })
    }

    /// Whether the poll gave a sample. Success rates and the reach register count these polls.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_round_trip_through_label_and_reason() {
        let outcomes = [
            Outcome::Sample,
            Outcome::Timeout,
            Outcome::Refused,
            Outcome::Kiss(KissCode::parse("RATE").unwrap()),
            Outcome::Rejected(Check::Origin),
            Outcome::Unsynchronised(StatusCode::parse("INIT")),
            Outcome::Dns("no such name".into()),
            Outcome::Fault("no route to host".into()),
        ];
        for (outcome, label) in outcomes.iter().zip(Outcome::LABELS) {
            assert_eq!(outcome.label(), label);
            assert_eq!(Outcome::parse(label, &outcome.reason()).as_ref(), Some(outcome));
        }
        assert_eq!(Outcome::parse("unsynchronised", ""), Some(Outcome::Unsynchronised(None)));
        assert_eq!(Outcome::parse("success", ""), None);
        assert_eq!(Outcome::parse("kiss", "too long"), None);
    }

    #[test]
    fn old_kiss_with_another_code_is_unsynchronised() {
        for code in ["INIT", "STEP", "A?"] {
            assert_eq!(Outcome::parse("kiss", code), Some(Outcome::Unsynchronised(StatusCode::parse(code))));
        }
    }
}
