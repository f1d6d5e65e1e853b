//! When a verdict began to be true.

use super::Attribution;
use crate::stats::verdict::{Kind, LocalVerdict, ServerVerdict, State, When};

impl Attribution {
    /// When the verdict began to be true: the latest onset of what it names anew. When it names nothing anew, something
    /// has ended, which is now; and when it names the same as before, it goes on, its onset perhaps refined.
    pub(super) fn since(&self, state: State, local: &LocalVerdict, servers: &[ServerVerdict]) -> When {
        let now = When(self.timeline.wall_ns(self.last_s));
        let before = &self.verdict;
        let (was, is) = (accusations(before.state, &before.servers), accusations(state, servers));
        let was_local = before.state == State::LocalWrong;
        if before.state == state && was.len() == is.len() && was.iter().zip(&is).all(|(old, it)| it.is_like(old)) {
            let kept = before.since.unwrap_or(now);
            let refined =
                latest_onset(local, servers).filter(|_| latest_onset(&before.local, &before.servers) == Some(kept));
            return refined.unwrap_or(kept).min(now);
        }
        let new = is.iter().filter(|it| !was.iter().any(|old| it.is_like(old))).filter_map(|it| it.since);
        new.chain(local.since.filter(|_| !was_local)).max().unwrap_or(now).min(now)
    }
}

/// What a verdict says against one server: its clock is wrong, or nothing but its path is.
struct Accusation<'a> {
    server: &'a str,
    address: Option<&'a str>,
    of_path: bool,
    since: Option<When>,
}

impl Accusation<'_> {
    /// The same, perhaps with another onset.
    fn is_like(&self, other: &Self) -> bool {
        (self.server, self.address, self.of_path) == (other.server, other.address, other.of_path)
    }
}

fn accusations(state: State, servers: &[ServerVerdict]) -> Vec<Accusation<'_>> {
    let blamed = servers.iter().filter(|s| s.blamed);
    let of_path = |s: &ServerVerdict| state == State::Path || s.kind == Some(Kind::Unreachable);
    blamed
        .map(|s| Accusation { server: &s.server, address: s.address.as_deref(), of_path: of_path(s), since: s.since })
        .collect()
}

fn latest_onset(local: &LocalVerdict, servers: &[ServerVerdict]) -> Option<When> {
    servers.iter().filter(|s| s.blamed).filter_map(|s| s.since).chain(local.since).max()
}
