//! The standing of one server over a period, as one word and as a sentence.

use std::time::Duration;

use serde::Serialize;

use super::coverage::Presence;
use super::span::Span;
use super::stretches::Stretches;
use ntp_monitor_core::sample::Outcome;
use ntp_monitor_core::stats::loss::Outcomes;
use ntp_monitor_core::stats::verdict::{Blame, Entry, Kind, State};
use ntp_monitor_core::text::percent::percent;
use ntp_monitor_core::text::units::span as length;

/// The standing of a server in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// The error ranges proved its clock wrong.
    Wrong,
    /// Its clock was suspected, without proof.
    Suspected,
    /// No poll gave a sample, and every answer said that its clock is not synchronised.
    Unsynchronised,
    /// No poll gave a sample.
    NoAnswer,
    /// It gave samples, but no majority to compare them with.
    NotJudged,
    /// Its path was disturbed; its clock was not found wrong.
    PathDisturbed,
    /// It was compared with a majority and not found wrong.
    NotFoundWrong,
}

/// The standing of a server over a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    pub state: Position,
    /// Seconds for which its clock was found wrong, proven or suspected.
    pub wrong_s: f64,
    /// Seconds for which its samples were compared with a majority.
    pub judged_s: f64,
    /// Seconds for which it was polled.
    pub polled_s: f64,
    /// In words.
    pub sentence: String,
}

/// Whether a kind is about the path to a server and not about its clock.
#[must_use]
pub fn is_of_path(kind: Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Asymmetry | Kind::Congestion | Kind::Unreachable))
}

/// The verdicts that blame the clock of a server, with the blame.
fn accusations<'a>(verdicts: &'a [Entry], server: &'a str) -> impl DoubleEndedIterator<Item = (&'a Entry, &'a Blame)> {
    let blamed = move |entry: &'a Entry| {
        let mut of_server = entry.blamed.iter().filter(|blame| blame.server == server && !is_of_path(blame.kind));
        of_server.next().map(|blame| (entry, blame))
    };
    verdicts.iter().filter(|entry| entry.state != State::Path).filter_map(blamed)
}

/// Whether any verdict calls the clock of a server wrong.
#[must_use]
pub(super) fn accuses(verdicts: &[Entry], server: &str) -> bool {
    accusations(verdicts, server).next().is_some()
}

/// The monitored time for which verdicts call the clock of a server wrong, from the onset of the error.
#[must_use]
pub fn wrong(verdicts: &[Entry], server: &str, monitored: &Stretches) -> Stretches {
    let spans = accusations(verdicts, server).map(|(entry, blame)| {
        let from = blame.since.map_or(entry.since, |since| since.min(entry.since));
        Span { from_ns: from.0, ..span(entry) }
    });
    Stretches::of(spans.collect()).within(monitored)
}

/// The monitored time for which a majority decided, or, with `undecidable`, for which it could not.
#[must_use]
pub fn decided(verdicts: &[Entry], monitored: &Stretches, undecidable: bool) -> Stretches {
    let wanted = verdicts.iter().filter(|entry| (entry.state == State::Undecidable) == undecidable);
    Stretches::of(wanted.map(span).collect()).within(monitored)
}

/// The time of a verdict. The last one is valid as long as the monitor runs.
fn span(entry: &Entry) -> Span {
    Span { from_ns: entry.since.0, to_ns: entry.until.map_or(i64::MAX, |until| until.0) }
}

impl Standing {
    /// The standing of a server with these outcomes of polls.
    #[must_use]
    pub(super) fn of(
        verdicts: &[Entry],
        server: &str,
        presence: &Presence,
        outcomes: &Outcomes,
        monitored: &Stretches,
    ) -> Self {
        let wrong_s = wrong(verdicts, server, monitored).length_s();
        let judged = presence.answered.within(&decided(verdicts, monitored, false));
        let polled_s = presence.polled.length_s();
        let proven = accusations(verdicts, server).any(|(_, blame)| blame.proven);
        let disturbed = verdicts.iter().flat_map(|entry| &entry.blamed);
        let disturbed = disturbed.filter(|blame| blame.server == server && is_of_path(blame.kind)).count() > 0;
        let unsynchronised = count(outcomes, &Outcome::Unsynchronised(None));
        let state = match () {
            () if accuses(verdicts, server) && proven => Position::Wrong,
            () if accuses(verdicts, server) => Position::Suspected,
            () if outcomes.successes() == 0 && unsynchronised > 0 => Position::Unsynchronised,
            () if outcomes.successes() == 0 => Position::NoAnswer,
            () if judged.length_s() <= 0.0 => Position::NotJudged,
            () if disturbed => Position::PathDisturbed,
            () => Position::NotFoundWrong,
        };
        let mut standing = Self { state, wrong_s, judged_s: judged.length_s(), polled_s, sentence: String::new() };
        standing.sentence = standing.words(outcomes, unsynchronised, verdicts.is_empty());
        standing
    }

    fn words(&self, outcomes: &Outcomes, unsynchronised: u64, unjudged: bool) -> String {
        let text = |seconds: f64| Duration::try_from_secs_f64(seconds.round()).map_or_else(|_| String::new(), length);
        let polls = outcomes.polls();
        let judged = || {
            let share = (self.judged_s / self.polled_s.max(1.0)).min(1.0);
            format!("compared with a majority for {} ({} of its time)", text(self.judged_s), percent(share))
        };
        let said = match self.state {
            Position::Wrong => format!("wrong for {}, proven", text(self.wrong_s)),
            Position::Suspected => format!("probably wrong for {}, not proven", text(self.wrong_s)),
            Position::Unsynchronised if unsynchronised == polls => {
                let all = if polls == 1 { "its only poll".to_owned() } else { format!("all {polls} polls") };
                return format!("unsynchronised in {all}, so it was not judged");
            }
            Position::Unsynchronised | Position::NoAnswer => {
                let listed: Vec<_> = outcomes.by_label().map(|(label, n)| format!("{n} {label}")).collect();
                let word = if polls == 1 { "poll" } else { "polls" };
                return format!("no sample in {polls} {word} ({})", listed.join(", "));
            }
            Position::NotJudged if unjudged => "not judged: verdicts need samples, which are not kept".to_owned(),
            Position::NotJudged => "not judged: there was no majority to compare it with".to_owned(),
            Position::PathDisturbed => format!("path disturbed; its clock was not found wrong, {}", judged()),
            Position::NotFoundWrong => format!("not found wrong, {}", judged()),
        };
        if unsynchronised == 0 {
            return said;
        }
        format!("{said}; unsynchronised in {} of its polls", percent(unsynchronised as f64 / polls.max(1) as f64))
    }
}

fn count(outcomes: &Outcomes, outcome: &Outcome) -> u64 {
    outcomes.by_label().find(|(label, _)| *label == outcome.label()).map_or(0, |(_, count)| u64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::stats::verdict::{EntryLocal, When};

    const HOUR: i64 = 3600 * 1_000_000_000;

    fn hours(from: i64, to: i64) -> Stretches {
        Stretches::of(vec![Span { from_ns: from * HOUR, to_ns: to * HOUR }])
    }

    fn entry(hours: (i64, Option<i64>), state: State, blamed: &[(Option<Kind>, bool)]) -> Entry {
        let blame = |&(kind, proven): &(Option<Kind>, bool)| Blame {
            server: "a".to_owned(),
            kind,
            gap_s: None,
            proven,
            since: None,
            authentication: None,
        };
        Entry {
            since: When(hours.0 * HOUR),
            until: hours.1.map(|to| When(to * HOUR)),
            state,
            local: EntryLocal { estimate_s: None, bound_s: None, kind: None },
            blamed: blamed.iter().map(blame).collect(),
            confidence: 0.9,
            assumption: String::new(),
            sentence: String::new(),
            differs: false,
        }
    }

    /// Ten hours of a server that answered during the first eight, with these counts of outcomes.
    fn standing(verdicts: &[Entry], counts: [u64; 8]) -> Standing {
        let presence =
            Presence { polled: hours(0, 10), answered: if counts[0] > 0 { hours(0, 8) } else { hours(0, 0) } };
        Standing::of(verdicts, "a", &presence, &Outcomes::from_counts(counts, 0, 0), &hours(0, 10))
    }

    #[test]
    fn unsynchronised_server_is_not_called_right() {
        let agreed = [entry((0, None), State::Consistent, &[])];
        let got = standing(&agreed, [0, 0, 0, 0, 0, 600, 0, 0]);
        assert_eq!(got.state, Position::Unsynchronised);
        assert_eq!(got.sentence, "unsynchronised in all 600 polls, so it was not judged");
        let mixed = standing(&agreed, [0, 60, 0, 0, 0, 540, 0, 0]);
        assert_eq!(mixed.sentence, "no sample in 600 polls (60 timeout, 540 unsynchronised)");
        let once =
            [[0, 0, 0, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]].map(|counts| standing(&agreed, counts).sentence);
        assert_eq!(once, ["unsynchronised in its only poll, so it was not judged", "no sample in 1 poll (1 timeout)"]);
        let partly = standing(&agreed, [300, 0, 0, 0, 0, 300, 0, 0]);
        assert!(partly.sentence.ends_with("; unsynchronised in 50.00 % of its polls"), "{}", partly.sentence);
    }

    #[test]
    fn server_without_a_majority_is_not_judged() {
        let got = standing(&[entry((0, None), State::Undecidable, &[])], [600, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((got.state, got.judged_s), (Position::NotJudged, 0.0));
        let unkept = standing(&[], [600, 0, 0, 0, 0, 0, 0, 0]);
        assert!(unkept.sentence.contains("not kept"), "{}", unkept.sentence);
        let silent = standing(&[], [0, 600, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            (silent.state, silent.sentence.as_str()),
            (Position::NoAnswer, "no sample in 600 polls (600 timeout)")
        );
    }

    #[test]
    fn judged_time_is_that_of_samples_and_majority() {
        let verdicts = [entry((0, Some(2)), State::Undecidable, &[]), entry((2, None), State::Consistent, &[])];
        let got = standing(&verdicts, [600, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((got.state, got.judged_s / 3600.0, got.polled_s / 3600.0), (Position::NotFoundWrong, 6.0, 10.0));
        assert_eq!(got.sentence, "not found wrong, compared with a majority for 6 h (60.00 % of its time)");
    }

    #[test]
    fn accusation_lasts_while_the_monitor_runs() {
        for (state, proven, said) in [
            (State::ServerWrong, true, "wrong for 5 h, proven"),
            (State::LocalWrong, false, "probably wrong for 5 h, not proven"),
        ] {
            let verdicts =
                [entry((0, Some(5)), State::Consistent, &[]), entry((5, None), state, &[(Some(Kind::Step), proven)])];
            let got = standing(&verdicts, [600, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!((got.wrong_s / 3600.0, got.sentence.as_str()), (5.0, said));
        }
        let path = [entry((0, None), State::Path, &[(Some(Kind::Asymmetry), false)])];
        assert_eq!(standing(&path, [600, 0, 0, 0, 0, 0, 0, 0]).state, Position::PathDisturbed);
    }
}
