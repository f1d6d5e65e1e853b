//! The groups of servers that vote. A group that only one vantage reads exists by the word of this vantage: it may have
//! invented its servers.

use super::grid::Grid;

/// The groups of servers with a claim.
pub(super) struct Votes {
    /// By group: `None` if it does not vote, else the only vantage that reads its servers, if it is one.
    groups: Vec<Option<Option<usize>>>,
}

impl Votes {
    pub fn of(grid: &Grid) -> Self {
        let mut groups: Vec<Option<Option<usize>>> = vec![None; grid.servers];
        for server in (0..grid.servers).filter(|server| grid.claims_s[*server].is_some()) {
            let only = grid.only_reader(server);
            let group = &mut groups[grid.groups[server]];
            *group = Some(match group {
                Some(known) if *known != only => None,
                _ => only,
            });
        }
        Self { groups }
    }

    /// Whether a group votes if `liar` reports falsely: not if it exists by the word of that vantage.
    pub fn counts(&self, group: usize, liar: Option<usize>) -> bool {
        self.groups[group].is_some_and(|only| only.is_none() || only != liar)
    }

    /// The number of groups that vote if `liar` reports falsely.
    pub fn count(&self, liar: Option<usize>) -> usize {
        (0..self.groups.len()).filter(|group| self.counts(*group, liar)).count()
    }

    /// Whether a group votes about the clock of `vantage`: not if only another vantage reads it.
    pub fn is_heard_by(&self, group: usize, vantage: usize) -> bool {
        self.groups[group].is_some_and(|only| only.is_none_or(|only| only == vantage))
    }

    /// The vantages by whose word alone there are groups.
    pub fn lone_readers(&self) -> Vec<usize> {
        let mut readers: Vec<usize> = self.groups.iter().flatten().flatten().copied().collect();
        readers.sort_unstable();
        readers.dedup();
        readers
    }
}
