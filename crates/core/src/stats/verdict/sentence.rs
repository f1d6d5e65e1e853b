//! Sentences for a person: plain words, sizes with units, the evidence named, no more certainty than there is.

use super::{Class, Kind, LocalVerdict, MajorityVerdict, ServerVerdict, Sign, State};

/// A size as people write it: three figures and the unit that fits. The sign is dropped.
#[must_use]
pub fn seconds(size_s: f64) -> String {
    let size = size_s.abs();
    let (value, unit) = match size {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    let decimals = if value >= 100.0 { 0 } else { usize::from(value < 10.0) + 1 };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {unit}")
}

/// A rate with its interval: "+8.1 ppm ± 0.4".
#[must_use]
pub fn ppm((rate, half): (f64, f64)) -> String {
    format!("{rate:+.1} ppm ± {half:.1}")
}

fn since(at: Option<super::When>) -> String {
    at.map_or_else(String::new, |at| format!(" since {at}"))
}

fn share(majority: Option<&MajorityVerdict>) -> String {
    majority.map_or_else(|| "the others".to_owned(), |m| format!("{} of {} servers", m.members, m.of))
}

/// What is known of one server. `local_unreliable` adds that the own clock cannot vouch for it.
#[must_use]
pub fn server_sentence(it: &ServerVerdict, majority: Option<&MajorityVerdict>, local_unreliable: bool) -> String {
    let name = &it.server;
    let since = since(it.since);
    let kind = it.kind.map_or_else(String::new, |k| format!(" ({})", describe(k, it)));
    let others = share(majority);
    let text = match (it.kind, it.proven, it.blamed) {
        (_, true, true) => format!(
            "{name} is wrong by at least {}{since}{kind}: its interval is disjoint from the one that {others} share.",
            seconds(it.gap_s.unwrap_or(0.0))
        ),
        (Some(Kind::Asymmetry), ..) => format!(
            "The path to {name} changed{since}: the delay moved by twice what the offset did ({}); its clock is not accused.",
            seconds(it.size_s.unwrap_or(0.0))
        ),
        (Some(Kind::Congestion), ..) => {
            format!("The path to {name} is congested{since}: its offsets are explained by its delay.")
        }
        (Some(Kind::Unreachable), ..) => format!("{name} has not answered{since}: its clock cannot be judged."),
        (_, false, true) => format!(
            "{name} is inferred to be wrong{since}{kind}: it moved by {} against the others while its delay did not \
             change; its interval still meets the majority, so the intervals alone do not prove it.",
            seconds(it.size_s.unwrap_or(0.0))
        ),
        _ if it.class == Class::Truechimer => format!("{name} agrees with the majority within its bound."),
        _ => format!("{name} cannot be judged."),
    };
    if local_unreliable && it.blamed {
        return format!("{text} This is relative to an unreliable local clock; the difference between servers stands.");
    }
    text
}

fn describe(kind: Kind, it: &ServerVerdict) -> String {
    match (kind, it.size_s, it.rate_ppm) {
        (Kind::Frequency | Kind::Smear, _, Some(rate)) => format!("{} of {}", kind.label(), ppm(rate)),
        (Kind::Step, Some(size), _) => format!("step of {}{}", if size < 0.0 { "−" } else { "+" }, seconds(size)),
        _ => kind.label().to_owned(),
    }
}

/// What is known of the own clock.
#[must_use]
pub fn local_sentence(it: &LocalVerdict, majority: Option<&MajorityVerdict>) -> String {
    let which = match it.sign {
        Sign::Slow => "slow",
        Sign::Fast => "fast",
        Sign::None => "off",
    };
    let size = match (it.at_least_s > 0.0, it.estimate_s) {
        (true, Some(estimate)) => format!("by at least {} (estimate {})", seconds(it.at_least_s), seconds(estimate)),
        (_, Some(estimate)) => format!("by about {}", seconds(estimate)),
        _ => "by an unknown amount".to_owned(),
    };
    let kind = match (it.kind, it.rate_ppm) {
        (Some(Kind::Frequency), Some((rate, half))) => {
            let way = if rate > 0.0 { "loses" } else { "gains" };
            format!(" (frequency: it {way} {:.1} ppm ± {half:.1})", rate.abs())
        }
        (Some(kind), _) => format!(" ({})", kind.label()),
        (None, _) => String::new(),
    };
    // Without a majority nothing was compared with it: its own raw clock knows.
    let against = majority.map_or_else(String::new, |_| format!(", seen against {}", share(majority)));
    format!("This machine's clock is {which} {size}{}{kind}{against}.", since(it.since))
}

/// The whole verdict in one sentence, or one per accused.
#[must_use]
pub fn verdict_sentence(state: State, local: &str, servers: &[ServerVerdict], reason: &str) -> String {
    let blamed = servers.iter().filter(|s| s.blamed).map(|s| s.sentence.as_str());
    match state {
        State::LocalWrong => std::iter::once(local).chain(blamed).collect::<Vec<_>>().join(" "),
        State::ServerWrong => blamed.collect::<Vec<_>>().join(" "),
        State::Consistent | State::Path | State::Undecidable => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::verdict::When;

    fn server() -> ServerVerdict {
        ServerVerdict {
            server: "ntp3".into(),
            address: None,
            class: Class::Falseticker,
            gap_s: Some(0.118),
            size_s: Some(0.16),
            rate_ppm: None,
            since: Some(When(1_700_000_000_000_000_000)),
            kind: Some(Kind::Step),
            blamed: true,
            proven: true,
            confidence: 0.99,
            sentence: String::new(),
        }
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (size, text) in [
            (1.158, "1.16 s"),
            (0.118, "118 ms"),
            (-0.06, "60 ms"),
            (0.0052, "5.2 ms"),
            (3.1e-5, "31 µs"),
            (0.0, "0 µs"),
            (100.0, "100 s"),
        ] {
            assert_eq!(seconds(size), text);
        }
    }

    #[test]
    fn a_proven_step_names_size_time_and_evidence() {
        let majority = MajorityVerdict { low_s: -0.01, high_s: 0.01, members: 4, of: 5, independent: 5 };
        assert_eq!(
            server_sentence(&server(), Some(&majority), false),
            "ntp3 is wrong by at least 118 ms since 2023-11-14 22:13 UTC (step of +160 ms): its interval is disjoint from \
             the one that 4 of 5 servers share."
        );
        assert!(server_sentence(&server(), Some(&majority), true).contains("unreliable local clock"));
    }

    #[test]
    fn an_inference_does_not_read_like_a_proof() {
        let inferred = ServerVerdict { proven: false, gap_s: None, class: Class::Unknown, ..server() };
        let text = server_sentence(&inferred, None, false);
        assert!(text.contains("inferred") && text.contains("do not prove"), "{text}");
    }
}
