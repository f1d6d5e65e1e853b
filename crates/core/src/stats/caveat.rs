//! The caveat of recorded verdicts about servers that applied while this host's clock was not reliable.

use super::verdict::sentence::UNRELIABLE;
use super::verdict::{Entry, State};

/// When this host's clock began to be reliable or unreliable, by time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Reliability(Vec<(i64, bool)>);

impl Reliability {
    /// Adds that from `wall_ns` on, the clock is reliable or not.
    pub fn add(&mut self, wall_ns: i64, is_reliable: bool) {
        self.0.push((wall_ns, is_reliable));
    }

    /// Adds the caveat to the verdicts about servers.
    pub fn mark(&self, entries: &mut [Entry]) {
        for entry in entries {
            let is_about_servers = entry.state != State::LocalWrong && !entry.blamed.is_empty();
            let until_ns = entry.until.map_or(i64::MAX, |until| until.0);
            if is_about_servers && self.is_unreliable(entry.since.0, until_ns) && !entry.sentence.ends_with(UNRELIABLE)
            {
                entry.sentence.push(' ');
                entry.sentence.push_str(UNRELIABLE);
            }
        }
    }

    /// Whether the clock was unreliable at any time within a span.
    fn is_unreliable(&self, from_ns: i64, until_ns: i64) -> bool {
        let ends = self.0.iter().skip(1).map(|next| next.0).chain([i64::MAX]);
        let mut spans = self.0.iter().zip(ends);
        spans.any(|((begin_ns, is_reliable), end_ns)| !is_reliable && *begin_ns < until_ns && end_ns > from_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::verdict::{Blame, EntryLocal, When};

    fn entry(since: i64, until: Option<i64>, state: State) -> Entry {
        let blame =
            Blame { server: "a".to_owned(), kind: None, gap_s: None, proven: true, since: None, authentication: None };
        Entry {
            since: When(since),
            until: until.map(When),
            state,
            local: EntryLocal { estimate_s: None, bound_s: None, kind: None },
            blamed: if state == State::Consistent { Vec::new() } else { vec![blame] },
            confidence: 0.9,
            assumption: String::new(),
            sentence: "a is wrong.".to_owned(),
            differs: false,
        }
    }

    #[test]
    fn verdicts_about_servers_have_the_caveat_while_it_applies() {
        let mut reliability = Reliability::default();
        [(0, true), (10, false), (20, true)].into_iter().for_each(|(at, is_reliable)| reliability.add(at, is_reliable));
        let of = |since, until, state| entry(since, until, state);
        let mut entries = [
            of(0, Some(10), State::ServerWrong),
            of(10, Some(15), State::ServerWrong),
            of(12, Some(15), State::LocalWrong),
            of(12, Some(15), State::Consistent),
            of(20, None, State::ServerWrong),
        ];
        reliability.mark(&mut entries);
        let marked: Vec<_> = entries.iter().map(|entry| entry.sentence.ends_with(UNRELIABLE)).collect();
        assert_eq!(marked, [false, true, false, false, false]);
    }
}
