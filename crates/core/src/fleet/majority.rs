//! Whether more than half of the independent servers can be right together. If no such set exists, the assumption of all
//! proofs by claims is false, and the claims prove nothing.

use super::grid::Grid;
use super::votes::Votes;

/// Sets are grown from at most so many servers.
const SEEDS: usize = 32;
/// Sets that are named when no one has a majority.
const NAMED: usize = 4;

/// The pairs of servers whose claims do not contradict each other, and the votes.
pub(super) struct Compatible<'a> {
    grid: &'a Grid,
    votes: &'a Votes,
    pairs: Vec<bool>,
}

impl<'a> Compatible<'a> {
    /// `contradicts` says whether a server contradicts every member of a group.
    pub fn new(grid: &'a Grid, votes: &'a Votes, contradicts: impl Fn(usize, usize) -> bool) -> Self {
        let size = grid.servers;
        let pair = |at: usize| {
            let (s, t) = (at / size, at % size);
            !contradicts(s, grid.groups[t]) && !contradicts(t, grid.groups[s])
        };
        Self { grid, votes, pairs: (0..size * size).map(pair).collect() }
    }

    pub fn fits(&self, server: usize, set: &[usize]) -> bool {
        set.iter().all(|member| self.pairs[server * self.grid.servers + member])
    }

    /// The largest sets of servers that can be right together, the largest first; none if one of them is a majority.
    pub fn without_majority(&self) -> Vec<Vec<usize>> {
        let voting = (0..self.grid.servers).filter(|server| self.votes.counts(self.grid.groups[*server], None));
        let all = self.by_degree(voting.collect());
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for seed in all.iter().take(SEEDS) {
            let set = self.grow(*seed, &all);
            if self.is_majority(&set) {
                return Vec::new();
            }
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        if let [only] = sets.as_slice()
            && let Some(other) = all.iter().find(|server| !only.contains(server))
        {
            sets.push(self.grow(*other, &all));
        }
        sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
        sets.truncate(NAMED);
        sets
    }

    /// Orders servers by how many of the others they are compatible with.
    fn by_degree(&self, servers: Vec<usize>) -> Vec<usize> {
        let degree = |server: usize| servers.iter().filter(|other| self.fits(server, &[**other])).count();
        let mut order: Vec<(usize, usize)> = servers.iter().map(|server| (degree(*server), *server)).collect();
        order.sort_by_key(|(degree, server)| (std::cmp::Reverse(*degree), *server));
        order.into_iter().map(|(_, server)| server).collect()
    }

    /// The servers that are compatible with `seed` and with each other.
    fn grow(&self, seed: usize, all: &[usize]) -> Vec<usize> {
        let near = self.by_degree(all.iter().copied().filter(|server| self.fits(*server, &[seed])).collect());
        let mut set = vec![seed];
        for server in near {
            if server != seed && self.fits(server, &set) {
                set.push(server);
            }
        }
        set.sort_unstable();
        set
    }

    /// Whether the set has more than half of the groups that vote even if one vantage reports falsely.
    fn is_majority(&self, set: &[usize]) -> bool {
        let liars = self.votes.lone_readers().into_iter().map(Some);
        let mut groups: Vec<usize> = set.iter().map(|server| self.grid.groups[*server]).collect();
        groups.sort_unstable();
        groups.dedup();
        let has_most = |liar: Option<usize>| {
            let mine = groups.iter().filter(|group| self.votes.counts(**group, liar)).count();
            2 * mine > self.votes.count(liar).max(2)
        };
        std::iter::once(None).chain(liars).any(has_most)
    }
}
