//! Builds the sentences of a verdict: sizes with units, the evidence, and no more certainty than the evidence supports.

use super::{Class, Kind, LocalVerdict, MajorityVerdict, ServerVerdict, Sign, State};

/// Formats the magnitude of a time with three significant digits and a suitable unit. The sign is dropped.
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

/// Formats a rate with the half width of its confidence interval: "+8.1 ppm ± 0.4".
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

/// The sentence about one server. With `local_unreliable` it adds that this host's clock is not reliable.
#[must_use]
pub fn server_sentence(it: &ServerVerdict, majority: Option<&MajorityVerdict>, local_unreliable: bool) -> String {
    let name = &it.server;
    let since = since(it.since);
    let kind = it.kind.map_or_else(String::new, |k| format!(" ({})", describe(k, it)));
    let others = share(majority);
    let text = match (it.kind, it.proven, it.blamed) {
        (_, true, true) => format!(
            "{name} is wrong by at least {}{since}{kind}: its error range does not overlap the range that {others} \
             agree on.",
            seconds(it.gap_s.unwrap_or(0.0))
        ),
        (Some(Kind::Asymmetry), ..) => format!(
            "The path to {name} changed{since}: the delay changed by twice as much as the offset ({}), so its clock \
             is not blamed.",
            seconds(it.size_s.unwrap_or(0.0))
        ),
        (Some(Kind::Congestion), ..) => {
            format!("The path to {name} is congested{since}: its delay explains its offsets.")
        }
        (Some(Kind::Unreachable), ..) => format!("{name} has not answered{since}: its clock cannot be judged."),
        (_, false, true) => format!(
            "{name} is probably wrong{since}{kind}: it moved by {} relative to the others while its delay did not \
             change. Its error range still overlaps that of the majority, so this is not proven.",
            seconds(it.size_s.unwrap_or(0.0))
        ),
        _ if it.class == Class::Truechimer => format!("{name} agrees with the majority within its error range."),
        _ => format!("{name} cannot be judged."),
    };
    if local_unreliable && it.blamed { format!("{text} {UNRELIABLE}") } else { text }
}

/// What follows a sentence about a server when this host's clock is not reliable.
pub(super) const UNRELIABLE: &str = "This host's clock is not reliable, so this says which servers disagree, not which \
                                     is right in absolute terms.";

fn describe(kind: Kind, it: &ServerVerdict) -> String {
    match (kind, it.size_s, it.rate_ppm) {
        (Kind::Frequency | Kind::Smear, _, Some(rate)) => format!("{} of {}", kind.label(), ppm(rate)),
        (Kind::Step, Some(size), _) => format!("step of {}{}", if size < 0.0 { "−" } else { "+" }, seconds(size)),
        _ => kind.label().to_owned(),
    }
}

/// The sentence about this host's clock.
#[must_use]
pub fn local_sentence(it: &LocalVerdict, majority: Option<&MajorityVerdict>) -> String {
    let which = match it.sign {
        Sign::Slow => "behind",
        Sign::Fast => "ahead",
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
    // Without a majority the raw clock alone has shown the error.
    let against = majority.map_or_else(String::new, |_| format!(", compared with {}", share(majority)));
    format!("This host's clock is {which} {size}{}{kind}{against}.", since(it.since))
}

/// The whole verdict in one sentence, or in one sentence for each clock that is wrong.
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
            bad_share: None,
            sentence: String::new(),
        }
    }

    #[test]
    fn sizes_have_a_suitable_unit() {
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
    fn proven_step_states_size_time_and_evidence() {
        let majority = MajorityVerdict { low_s: -0.01, high_s: 0.01, members: 4, of: 5, independent: 5 };
        assert_eq!(
            server_sentence(&server(), Some(&majority), false),
            "ntp3 is wrong by at least 118 ms since 2023-11-14 22:13 UTC (step of +160 ms): its error range does \
             not overlap the range that 4 of 5 servers agree on."
        );
        assert!(server_sentence(&server(), Some(&majority), true).contains("This host's clock is not reliable"));
    }

    #[test]
    fn inferred_error_is_not_stated_as_proven() {
        let inferred = ServerVerdict { proven: false, gap_s: None, class: Class::Unknown, ..server() };
        let text = server_sentence(&inferred, None, false);
        assert!(text.contains("probably wrong") && text.contains("not proven"), "{text}");
    }
}
