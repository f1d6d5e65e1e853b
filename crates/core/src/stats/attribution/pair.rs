//! Two servers alone: whether they differ, which is known although neither is known to be wrong.

use super::Attribution;
use super::engine::Engine;
use super::judge::Case;
use super::own::Now;
use super::proof::Claim;
use super::watch::{Edge, Look, OPEN_AFTER};
use crate::stats::verdict::{State, seconds};

impl Engine {
    /// Whether two servers disagree, which is known although neither is known to be wrong.
    pub(super) fn compare_two(&mut self, now: &Now, claims: &[Claim]) {
        let look = match claims {
            [a, b] if a.range.gap_s(&b.range) != 0.0 => Look::Hit(1),
            [] | [_] => Look::Unclear,
            _ => Look::Calm,
        };
        if self.apart.is_quiet() {
            self.apart_since_s = self.two_agreed.then_some(now.t_s - 0.5 * self.period_s);
        }
        self.two_agreed = claims.len() == 2 && look == Look::Calm;
        if look == Look::Hit(1) {
            self.apart_seen_s = now.t_s;
        }
        let edge = self.apart.look(self.round, look, OPEN_AFTER);
        if edge == Some(Edge::Closed) {
            self.ended_s = Some(self.apart_seen_s + 0.5 * self.period_s);
        }
        self.dirty |= edge.is_some();
    }
}

impl Attribution {
    /// By how much the only two servers that are heard differ, if their error ranges do not overlap.
    pub(super) fn apart_text(&self) -> Option<String> {
        let heard: Vec<usize> = (0..self.engine.series.len()).filter(|i| self.is_heard(*i)).collect();
        let [a, b] = heard[..] else { return None };
        let offset_s =
            |i: usize| self.engine.series[i].offset_at(self.last_s, self.witness.moved_s(), self.engine.own.rate);
        let apart_s = (offset_s(a)? - offset_s(b)?).abs();
        self.engine.apart.open.then(|| {
            let name = |i: usize| &self.engine.series[i].ident.name;
            let since = self.engine.apart_since_s.map(|since_s| self.when(since_s));
            format!(
                "Undecidable: {} and {} differ by {}{}. At least one of them is wrong, but with 2 servers it cannot be \
                 identified. Configure at least three, better four.",
                name(a),
                name(b),
                seconds(apart_s),
                since.map_or_else(String::new, |since| format!(" since {since}"))
            )
        })
    }

    /// Whether the verdict says that the only two servers differ.
    pub(super) fn differs(&self, case: &Case, state: State) -> bool {
        state == State::Undecidable && case.heard == 2 && case.local.undecided.is_none() && self.engine.apart.open
    }
}
