//! Builds the sentences of a verdict, with sizes and units, the evidence, and whether it is a proof.

use std::borrow::Cow;

use super::{Class, Kind, LocalVerdict, MajorityVerdict, ServerVerdict, Sign, State};
use crate::ntp::KissCode;
use crate::sample::Outcome;
use crate::text::units;

/// The most servers that a text names one by one. The verdict has a sentence about each server.
pub(super) const MOST_NAMED: usize = 10;

/// A size with three significant digits and a suitable unit. The sign is dropped.
#[must_use]
pub fn seconds(size_s: f64) -> String {
    trimmed(&units::seconds(size_s.abs()))
}

/// A proven minimum, rounded down. The sign is dropped.
#[must_use]
pub fn at_least(size_s: f64) -> String {
    format!("at least {}", trimmed(&units::at_least(size_s)))
}

/// A limit, rounded up. The sign is dropped.
#[must_use]
pub fn within(size_s: f64) -> String {
    format!("within {}", trimmed(&units::at_most(size_s)))
}

/// Without the zeros at the end of the number.
fn trimmed(text: &str) -> String {
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text.to_owned(),
    }
}

/// Formats a rate with the half width of its confidence interval: "+8.1 ppm ± 0.4". A small half width gets up to four
/// decimals and is never shown as zero. A half width that is not finite is left out.
#[must_use]
pub fn ppm((rate, half): (f64, f64)) -> String {
    let sign = if rate < 0.0 { "-" } else { "+" };
    format!("{sign}{}", unsigned_ppm(rate, half))
}

/// The same without the sign of the rate.
fn unsigned_ppm(rate: f64, half: f64) -> String {
    const SMALLEST: f64 = 1e-4;
    let rate = rate.abs();
    if !half.is_finite() {
        return format!("{rate:.1} ppm");
    }
    let half = half.abs().max(SMALLEST);
    let decimals = match half {
        h if h >= 0.095 => 1,
        h if h >= 0.009_5 => 2,
        h if h >= 0.000_95 => 3,
        _ => 4,
    };
    format!("{rate:.decimals$} ppm ± {half:.decimals$}")
}

fn since(at: Option<super::When>) -> String {
    at.map_or_else(String::new, |at| format!(" since {at}"))
}

fn share(majority: Option<&MajorityVerdict>) -> String {
    majority.map_or_else(|| "the others".to_owned(), |m| format!("{} of {} servers", m.members, m.of))
}

/// What a sentence about a server also depends on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside {
    /// This host's clock is not reliable.
    pub is_unreliable: bool,
    /// The newest error range of the server overlaps that of the majority.
    pub overlaps: bool,
}

/// The sentence about one server.
#[must_use]
pub fn server_sentence(it: &ServerVerdict, majority: Option<&MajorityVerdict>, beside: Beside) -> String {
    let name = &it.server;
    let since = since(it.since);
    let kind = it.kind.map_or_else(String::new, |k| format!(" ({})", describe(k, it)));
    let others = share(majority);
    let text = match (it.kind, it.proven, it.blamed) {
        (_, true, true) => format!(
            "{name} is wrong by {}{since}{kind}: its error range does not overlap the range that {others} agree on.",
            at_least(it.gap_s.unwrap_or(0.0))
        ),
        (Some(Kind::Asymmetry), ..) => format!(
            "The path to {name} changed{since}: the delay changed by twice as much as the offset ({}), so its clock \
             is not blamed.",
            seconds(it.size_s.unwrap_or(0.0))
        ),
        (Some(Kind::Congestion), ..) => {
            format!("The path to {name} is congested{since}: its delay explains its offsets.")
        }
        (Some(Kind::Unreachable), ..) => format!("{name} has given no time{since}: its clock cannot be judged."),
        (_, false, true) => match it.size_s {
            Some(size_s) => format!(
                "{name} is probably wrong{since}{kind}: it moved by {} relative to the others while its delay did not \
                 change. {}",
                seconds(size_s),
                unproven(majority, beside)
            ),
            None if !beside.overlaps => {
                format!("{name} is probably wrong{since}{kind}. {}", unproven(majority, beside))
            }
            None => format!(
                "{name} is probably wrong{since}{kind}: its error range did not overlap that of the majority before. It \
                 overlaps it again, so this is no longer proven."
            ),
        },
        _ if it.class == Class::Truechimer => format!("{name} agrees with the majority within its error range."),
        _ => format!("{name} cannot be judged."),
    };
    if beside.is_unreliable && it.accuses_its_clock() { format!("{text} {UNRELIABLE}") } else { text }
}

/// Why an accusation is not proven.
fn unproven(majority: Option<&MajorityVerdict>, beside: Beside) -> &'static str {
    match (majority, beside.overlaps) {
        (None, _) => "There is no majority with which its error range can be compared, so this is not proven.",
        (Some(_), true) => "Its error range still overlaps that of the majority, so this is not proven.",
        (Some(_), false) => {
            "Its error range no longer overlaps that of the majority; more replies must confirm that \
                             before it is proven."
        }
    }
}

/// Appended to a sentence about a server when this host's clock is not reliable.
pub(in crate::stats) const UNRELIABLE: &str = "This host's clock is not reliable, so this says which servers disagree, not which \
                                     is right in absolute terms.";

/// The sentence about a server whose offset moved while no clock is blamed.
#[must_use]
pub fn moved_sentence(name: &str, size_s: f64) -> String {
    let size = seconds(size_s);
    format!("{name} moved by {size} relative to the others; its path may have done it, so its clock is not blamed.")
}

/// The sentence about a server whose newest reply alone disagrees with the majority.
#[must_use]
pub fn stray_sentence(name: &str, gap_s: f64) -> String {
    let gap = at_least(gap_s);
    format!("The last reply of {name} disagrees with the majority by {gap}; one reply does not prove its clock wrong.")
}

/// Ends the sentence about a server that gives no time.
const UNJUDGED: &str = ": its clock cannot be judged.";

/// The sentence about a server that was wrong since `onset` when it was last compared with the others, at `at`: `ahead_s`
/// ahead of them, or at least that.
#[must_use]
pub fn last_seen_sentence(ahead_s: Option<f64>, is_least: bool, at: super::When, onset: super::When) -> String {
    let Some(ahead_s) = ahead_s else {
        return format!("It was wrong when last compared with the others, at {at}, and had been since {onset}.");
    };
    let size = if is_least { at_least(ahead_s) } else { format!("about {}", seconds(ahead_s)) };
    let way = if ahead_s < 0.0 { "behind" } else { "ahead of" };
    format!("It was {size} {way} the others when last compared with them, at {at}, and had been wrong since {onset}.")
}

/// The sentence about a server that was compared with the others in the past only, last at `at`.
#[must_use]
pub fn unseen_sentence(name: &str, at: super::When) -> String {
    format!("{name} has not been compared with the other servers since {at}{UNJUDGED}")
}

/// What follows the sentence about a server that gives no time: what was known of it before.
#[must_use]
pub(super) fn after_silence(text: &str) -> &str {
    text.split_once(UNJUDGED).map_or("", |(_, after)| after)
}

/// The sentence about a server that gives no time, by the outcome of its last poll.
#[must_use]
pub fn silence_sentence(name: &str, start: Option<super::When>, last: &Outcome) -> String {
    let since = since(start);
    let what = match last {
        Outcome::Timeout => format!("{name} has not answered{since}"),
        Outcome::Refused => format!("{name} has refused our requests{since}, because nothing listens on its port"),
        Outcome::Kiss(code) if *code == KissCode::RATE => {
            format!("{name} answers, but has asked us to poll less often (RATE) and given no time{since}")
        }
        Outcome::Kiss(code) => format!("{name} answers, but has denied us its service ({code}){since}"),
        Outcome::Rejected(check) => {
            format!(
                "{name} answers, but all its replies were rejected{since}, the last one by the check {}",
                check.label()
            )
        }
        Outcome::Unsynchronised(_) => format!("{name} answers, but has not been synchronised{since}"),
        Outcome::Dns(_) => format!("The name of {name} has not resolved{since}"),
        Outcome::Fault(why) => format!("This host could not poll {name}{since} ({why})"),
        Outcome::Sample => format!("{name} has lost most polls{since} and answers now and then"),
    };
    format!("{what}{UNJUDGED}")
}

fn describe(kind: Kind, it: &ServerVerdict) -> String {
    // A step below the proven minimum is the movement that was seen, not the whole error.
    let is_part = |size_s: f64| it.gap_s.is_some_and(|gap_s| size_s.abs() < gap_s);
    match (kind, it.size_s, it.rate_ppm) {
        (Kind::Constant | Kind::Step, Some(size), _) if is_part(size) => kind.label().to_owned(),
        (Kind::Frequency | Kind::Smear, _, Some(rate)) => format!("{} of {}", kind.label(), ppm(rate)),
        (Kind::Constant, Some(size), _) => format!("constant, about {}", seconds(size)),
        (Kind::Step, Some(size), _) => format!("step of {}{}", if size < 0.0 { "−" } else { "+" }, seconds(size)),
        (Kind::Unsteady, Some(size), _) => format!("unsteady, to and fro by ±{}", seconds(size)),
        (Kind::Periodic, Some(size), _) => {
            let every = it.period_s.map_or_else(String::new, |period_s| format!(" every {}", span(period_s)));
            format!("periodic, ±{}{every}", seconds(size))
        }
        (Kind::Intermittent, ..) => {
            let share =
                it.bad_share.map_or_else(String::new, |share| format!(", {:.0} % of its replies", 100.0 * share));
            format!("intermittent{share}")
        }
        _ => kind.label().to_owned(),
    }
}

/// A duration with two significant digits, in minutes, hours or days.
fn span(duration_s: f64) -> String {
    let (value, unit) = match duration_s {
        s if s >= 2.0 * 86_400.0 => (s / 86_400.0, "days"),
        s if s >= 2.0 * 3600.0 => (s / 3600.0, "hours"),
        s => (s / 60.0, "minutes"),
    };
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
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
        (true, Some(estimate)) => format!("by {} (estimate {})", at_least(it.at_least_s), seconds(estimate)),
        (_, Some(estimate)) => format!("by about {}", seconds(estimate)),
        _ => "by an unknown amount".to_owned(),
    };
    let kind = match (it.kind, it.rate_ppm) {
        (Some(Kind::Frequency), Some((rate, half))) => {
            let (way, grows) = if rate > 0.0 { ("loses", Sign::Slow) } else { ("gains", Sign::Fast) };
            // The error of a clock that is ahead and loses time shrinks.
            let shrinks = if it.sign == grows || it.sign == Sign::None { "" } else { ", so the error shrinks" };
            format!(" (frequency: it {way} {}{shrinks})", unsigned_ppm(rate, half))
        }
        (Some(kind), _) => format!(" ({})", kind.label()),
        (None, _) => String::new(),
    };
    // Without a majority, only the raw clock has shown the error.
    let against = majority.map_or_else(String::new, |_| format!(", compared with {}", share(majority)));
    format!("This host's clock is {which} {size}{}{kind}{against}.", since(it.since))
}

/// The sentences about the servers that are blamed: the first of them, and how many more there are.
#[must_use]
pub fn blamed_sentences(servers: &[ServerVerdict]) -> String {
    let blamed = servers.iter().filter(|s| s.blamed);
    let more = blamed.clone().count().saturating_sub(MOST_NAMED);
    let mut sentences: Vec<_> = blamed.take(MOST_NAMED).map(|s| Cow::Borrowed(s.sentence.as_str())).collect();
    match more {
        0 => {}
        1 => sentences.push("One more server is affected.".into()),
        more => sentences.push(format!("{more} more servers are affected.").into()),
    }
    sentences.join(" ")
}

/// The first of `count` names, and how many more there are.
pub fn list_names<'a>(count: usize, names: impl Iterator<Item = &'a str>) -> String {
    let named = names.take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    if count > MOST_NAMED { format!("{named} and {} more", count - MOST_NAMED) } else { named }
}

/// The whole verdict in one sentence, or in one sentence for each clock that is wrong.
#[must_use]
pub fn verdict_sentence(state: State, local: &str, servers: &[ServerVerdict], reason: &str) -> String {
    match state {
        State::LocalWrong => format!("{local} {}", blamed_sentences(servers)).trim_end().to_owned(),
        State::ServerWrong => blamed_sentences(servers),
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
            period_s: None,
            authentication: None,
            sentence: String::new(),
        }
    }

    const UNSURE: Beside = Beside { is_unreliable: true, overlaps: false };

    #[test]
    fn sizes_have_a_suitable_unit() {
        for (size, text) in [
            (1.158, "1.16 s"),
            (0.118, "118 ms"),
            (-0.06, "60 ms"),
            (0.0052, "5.2 ms"),
            (3.1e-5, "31 µs"),
            (0.0, "0 s"),
            (4e-7, "400 ns"),
            (0.999_7, "1 s"),
            (100.0, "100 s"),
        ] {
            assert_eq!(seconds(size), text);
        }
    }

    #[test]
    fn rate_is_never_exact() {
        let texts = [(8.06, 0.42), (-8.0, 0.04), (0.0, 0.0), (12.3, 0.002), (3.0, f64::NAN)].map(ppm);
        assert_eq!(
            texts,
            ["+8.1 ppm ± 0.4", "-8.00 ppm ± 0.04", "+0.0000 ppm ± 0.0001", "+12.300 ppm ± 0.002", "+3.0 ppm"]
        );
    }

    #[test]
    fn sign_and_rate_of_this_hosts_clock_do_not_contradict() {
        let local = |sign, estimate_s, rate| LocalVerdict {
            estimate_s: Some(estimate_s),
            bound_s: Some(0.01),
            at_least_s: 0.0,
            sign,
            kind: Some(Kind::Frequency),
            rate_ppm: Some((rate, 0.4)),
            since: None,
            distrust: None,
        };
        let text = |sign, estimate_s, rate| local_sentence(&local(sign, estimate_s, rate), None);
        assert_eq!(
            text(Sign::Slow, 0.005, 20.0),
            "This host's clock is behind by about 5 ms (frequency: it loses 20.0 ppm ± 0.4)."
        );
        assert_eq!(
            text(Sign::Fast, -0.005, 20.0),
            "This host's clock is ahead by about 5 ms (frequency: it loses 20.0 ppm ± 0.4, so the error shrinks)."
        );
        assert!(text(Sign::Fast, -0.005, -20.0).ends_with("it gains 20.0 ppm ± 0.4)."));
        assert!(text(Sign::Slow, 0.005, -20.0).contains("gains 20.0 ppm ± 0.4, so the error shrinks"));
    }

    #[test]
    fn sentence_gives_the_reason_of_silence() {
        let kiss = |code: &str| Outcome::Kiss(KissCode::parse(code).unwrap());
        for (outcome, words) in [
            (Outcome::Timeout, "n has not answered"),
            (Outcome::Refused, "nothing listens on its port"),
            (kiss("RATE"), "asked us to poll less often (RATE)"),
            (kiss("DENY"), "denied us its service (DENY)"),
            (Outcome::Unsynchronised(None), "answers, but has not been synchronised"),
            (Outcome::Dns("no such name".into()), "has not resolved"),
        ] {
            let text = silence_sentence("n", None, &outcome);
            assert!(text.contains(words) && text.ends_with(": its clock cannot be judged."), "{text}");
            assert_eq!(matches!(outcome, Outcome::Timeout), text.contains("not answered"), "{text}");
        }
    }

    #[test]
    fn proven_step_states_size_time_and_evidence() {
        let majority = MajorityVerdict { low_s: -0.01, high_s: 0.01, members: 4, of: 5, independent: 5 };
        assert_eq!(
            server_sentence(&server(), Some(&majority), Beside::default()),
            "ntp3 is wrong by at least 118 ms since 2023-11-14 22:13 UTC (step of +160 ms): its error range does \
             not overlap the range that 4 of 5 servers agree on."
        );
        assert!(server_sentence(&server(), Some(&majority), UNSURE).contains("This host's clock is not reliable"));
    }

    #[test]
    fn clock_that_goes_to_and_fro_is_described() {
        let it = |kind, period_s| ServerVerdict { kind: Some(kind), size_s: Some(0.005), period_s, ..server() };
        let text = |kind, period_s| server_sentence(&it(kind, period_s), None, Beside::default());
        assert!(text(Kind::Unsteady, None).contains("(unsteady, to and fro by ±5 ms)"));
        assert!(text(Kind::Periodic, Some(86_300.0)).contains("(periodic, ±5 ms every 24 hours)"));
    }

    #[test]
    fn text_about_ten_thousand_servers_stays_short() {
        let servers: Vec<_> =
            (0..10_000).map(|k| ServerVerdict { sentence: format!("s{k} is wrong."), ..server() }).collect();
        let text = verdict_sentence(State::LocalWrong, "This host's clock is ahead.", &servers, "");
        assert!(text.starts_with("This host's clock is ahead. s0 is wrong. s1 "), "{text}");
        assert!(text.ends_with("s9 is wrong. 9990 more servers are affected."), "{text}");
        assert_eq!(verdict_sentence(State::LocalWrong, "Ahead.", &[], ""), "Ahead.");
        assert_eq!(list_names(12, ["a"; 12].into_iter()), "a, a, a, a, a, a, a, a, a, a and 2 more");
    }

    #[test]
    fn inferred_error_is_not_stated_as_proven() {
        let inferred = ServerVerdict { proven: false, gap_s: None, class: Class::Unknown, ..server() };
        let text = server_sentence(&inferred, None, Beside::default());
        assert!(text.contains("probably wrong") && text.contains("not proven"), "{text}");
        let overlaps = Beside { overlaps: true, ..Beside::default() };
        let without_size = server_sentence(&ServerVerdict { size_s: None, ..inferred.clone() }, None, overlaps);
        assert!(without_size.contains("no longer proven") && !without_size.contains("moved by"), "{without_size}");
        let majority = MajorityVerdict { low_s: -0.01, high_s: 0.01, members: 4, of: 5, independent: 5 };
        assert!(server_sentence(&inferred, Some(&majority), overlaps).contains("still overlaps"));
        let apart = server_sentence(&inferred, Some(&majority), Beside::default());
        assert!(!apart.contains("still overlaps") && apart.contains("before it is proven"), "{apart}");
    }

    #[test]
    fn step_below_the_proven_error_is_not_stated() {
        let text = server_sentence(&ServerVerdict { size_s: Some(0.1), ..server() }, None, Beside::default());
        assert!(text.contains("at least 118 ms") && text.contains("(step)"), "{text}");
    }

    #[test]
    fn doubt_of_this_hosts_clock_is_no_word_about_a_silent_server() {
        let silent = ServerVerdict { kind: Some(Kind::Unreachable), proven: false, ..server() };
        assert!(!server_sentence(&silent, None, UNSURE).contains("not reliable"));
    }
}
