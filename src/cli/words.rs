//! The outcome of a poll in words that do not require knowledge of NTP.

use std::borrow::Cow;

use ntp_monitor_core::ntp::{KissCode, Leap, StatusCode};
use ntp_monitor_core::sample::Outcome;

/// Two or three words for a table.
#[must_use]
pub fn state(outcome: &Outcome) -> Cow<'static, str> {
    match outcome {
        Outcome::Sample => "ok".into(),
        Outcome::Timeout => "no reply".into(),
        Outcome::Refused => "refused".into(),
        Outcome::Kiss(code) => format!("kiss {code}").into(),
        Outcome::Rejected(check) => format!("rejected: {}", check.label()).into(),
        Outcome::Unsynchronised(None) => "unsynchronised".into(),
        Outcome::Unsynchronised(Some(code)) => format!("unsynchronised ({code})").into(),
        Outcome::Dns(_) => "not resolved".into(),
        Outcome::Fault(_) => "fault".into(),
    }
}

/// A sentence that says what happened and what to do; `None` for a sample.
#[must_use]
pub fn explain(outcome: &Outcome) -> Option<Cow<'_, str>> {
    Some(match outcome {
        Outcome::Sample => return None,
        Outcome::Timeout => {
            "no reply came in time: the host is down, its NTP port is filtered, or packets are lost".into()
        }
        Outcome::Refused => "the host answers that nothing listens on this port (ICMP port unreachable)".into(),
        Outcome::Kiss(code) => explain_kiss(*code),
        Outcome::Rejected(check) => check.explain().into(),
        Outcome::Unsynchronised(code) => explain_unsynchronised(*code),
        Outcome::Dns(why) => Cow::Borrowed(why),
        Outcome::Fault(why) => format!("this host could not measure: {why}").into(),
    })
}

fn explain_unsynchronised(code: Option<StatusCode>) -> Cow<'static, str> {
    let Some(code) = code else {
        return "the server answers, but reports that its clock is not synchronised: its time is not used".into();
    };
    let why = code.meaning().map(|meaning| format!(": {meaning}")).unwrap_or_default();
    format!("the server answers, but its clock is not synchronised (code {code}{why})").into()
}

fn explain_kiss(code: KissCode) -> Cow<'static, str> {
    let advice = if code == KissCode::RATE {
        "wait some minutes, then ask less often"
    } else if code.is_denial() {
        "stop asking, or ask its operator"
    } else {
        "a new key exchange is needed"
    };
    format!("{}: {advice}", code.meaning()).into()
}

/// The leap indicator for a table.
#[must_use]
pub fn leap(leap: Leap) -> &'static str {
    match leap {
        Leap::None => "none",
        Leap::Insert => "insert",
        Leap::Delete => "delete",
        Leap::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::ntp::Check;

    #[test]
    fn whatever_is_not_well_is_explained() {
        assert_eq!(explain(&Outcome::Sample), None);
        let outcomes = [
            (Outcome::Timeout, "no reply"),
            (Outcome::Refused, "nothing listens"),
            (Outcome::Kiss(KissCode::RATE), "fewer requests"),
            (Outcome::Kiss(KissCode::DENY), "refuses to serve"),
            (Outcome::Kiss(KissCode::NTSN), "NTSN"),
            (Outcome::Rejected(Check::Origin), "cookie"),
            (Outcome::Unsynchronised(None), "not synchronised"),
            (Outcome::Unsynchronised(StatusCode::parse("INIT")), "code INIT: it has not synchronised since it started"),
            (Outcome::Unsynchronised(StatusCode::parse("XYZW")), "(code XYZW)"),
            (Outcome::Dns("no such host".into()), "no such host"),
            (Outcome::Fault("no socket".into()), "no socket"),
        ];
        for (outcome, words) in outcomes {
            let text = explain(&outcome).unwrap();
            assert!(text.contains(words), "{text}");
        }
    }
}
