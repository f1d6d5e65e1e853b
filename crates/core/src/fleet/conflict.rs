//! Readings that contradict each other for any state of the clocks. A wrong server, a wrong vantage clock and an
//! asymmetric path never cause a contradiction: it proves that a server shows two clocks, that a vantage reports
//! falsely, or that replies are changed on the path. A clock that was set between two readings causes one only for a
//! short time.

use std::collections::{BTreeMap, BTreeSet};

use super::bounds::Ends;
use super::grid::Grid;
use super::party::Party;

/// The most contradictions that are examined in a round; more add nothing.
const MOST: usize = 2000;
/// At most so many parties are combined to explain all contradictions.
const DEEPEST: usize = 3;
/// Rounds without a contradiction after which the suspects of earlier ones are forgotten.
const FORGOTTEN: usize = 6;
/// The first rounds of a contradiction are not compared, and as many later ones may stay unexplained: a clock that was
/// set between two readings causes one too.
const UNSETTLED: usize = 2;
/// Explanations that are kept.
const ALTERNATIVES: usize = 64;

/// Four readings that contradict each other: two vantages, two servers, and by how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Contradiction {
    pub vantages: (usize, usize),
    pub servers: (usize, usize),
    pub gap_s: f64,
}

/// The explanation of the contradictions of one round.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conflict {
    /// The smallest explanation, if there is one that is smaller or more specific than all others.
    pub blamed: Vec<Party>,
    /// The smallest explanations, when none is preferred.
    pub alternatives: Vec<Vec<Party>>,
    /// The largest contradiction, in seconds.
    pub gap_s: f64,
}

impl Conflict {
    /// Removes readings from the grid: those of the blamed parties, of `known` parties that were found before, and of
    /// the servers among the alternatives, or of all alternatives if there is no server among them.
    pub fn exclude_from(&self, grid: &mut Grid, known: impl Iterator<Item = Party>) {
        let mut parties: BTreeSet<Party> = self.alternatives.iter().flatten().copied().collect();
        if parties.iter().any(|party| matches!(party, Party::Server(_))) {
            parties.retain(|party| matches!(party, Party::Server(_)));
        }
        parties.extend(&self.blamed);
        parties.extend(known);
        if parties.is_empty() {
            return;
        }
        for vantage in 0..grid.vantages {
            for server in 0..grid.servers {
                if parties.iter().any(|party| party.covers(vantage, server)) {
                    grid.set(vantage, server, None);
                }
            }
        }
    }
}

/// The explanations that fit the contradictions of the last rounds.
#[derive(Debug, Clone, Default)]
pub(super) struct Suspects {
    /// Every explanation, and how many of these rounds it explains.
    explained: BTreeMap<Vec<Party>, usize>,
    /// Rounds with a contradiction.
    rounds: usize,
    quiet: usize,
}

impl Suspects {
    /// The explanations in `found` that also explain the rounds before, or all of them if there are none.
    /// Contradictions that vary between rounds show who is at fault even if those of a single round do not. A few rounds
    /// may be left unexplained, because a clock that is set adds contradictions of its own for as long.
    fn narrow(&mut self, found: BTreeSet<Vec<Party>>) -> BTreeSet<Vec<Party>> {
        if found.is_empty() {
            self.quiet += 1;
            if self.quiet >= FORGOTTEN {
                *self = Self::default();
            }
            return found;
        }
        self.quiet = 0;
        self.rounds += 1;
        if self.rounds <= UNSETTLED {
            self.explained.clear();
        }
        for set in &found {
            *self.explained.entry(set.clone()).or_default() += 1;
        }
        let compared = self.rounds - (UNSETTLED - 1).min(self.rounds - 1);
        self.explained.retain(|_, explained| {
            let missed = compared - *explained;
            missed <= UNSETTLED && missed < *explained
        });
        let common: BTreeSet<_> = found.iter().filter(|set| self.explained.contains_key(*set)).cloned().collect();
        if common.is_empty() {
            // Something else contradicts now.
            (self.rounds, self.explained) = (UNSETTLED, found.iter().map(|set| (set.clone(), 1)).collect());
            return found;
        }
        common
    }
}

/// The contradictions among the fresh readings, and the smallest set of parties that explains all of them.
pub(super) fn find(grid: &Grid, suspects: &mut Suspects) -> Conflict {
    let all = contradictions(grid);
    let gap_s = all.iter().map(|it| it.gap_s).fold(0.0, f64::max);
    let mut found = BTreeSet::new();
    for size in 1..=DEEPEST {
        if all.is_empty() {
            break;
        }
        search(&all, &mut Vec::new(), size, &mut found);
        if !found.is_empty() {
            break;
        }
    }
    let (blamed, alternatives) = prefer(suspects.narrow(found));
    Conflict { blamed, alternatives, gap_s }
}

fn contradictions(grid: &Grid) -> Vec<Contradiction> {
    let (mut all, fresh) = (Vec::new(), grid.fresh());
    for a in 0..grid.vantages {
        for b in a + 1..grid.vantages {
            let ends = Ends::between(fresh.row(a), fresh.row(b));
            if ends.low[0] > ends.high[0] {
                between(&shared(&fresh, a, b), (a, b), &mut all);
            }
            if all.len() >= MOST {
                return all;
            }
        }
    }
    all
}

/// The clock of one vantage less that of the other, by each server that both see.
fn shared(grid: &Grid, a: usize, b: usize) -> Vec<(usize, f64, f64)> {
    let by = |server: usize| {
        let (mine, theirs) = (grid.view(a, server)?, grid.view(b, server)?);
        let (middle, half) = (theirs.offset_s - mine.offset_s, theirs.half_s + mine.half_s);
        Some((server, middle - half, middle + half))
    };
    (0..grid.servers).filter_map(by).collect()
}

fn between(shared: &[(usize, f64, f64)], vantages: (usize, usize), all: &mut Vec<Contradiction>) {
    for (at, (s, low, high)) in shared.iter().enumerate() {
        for (t, other_low, other_high) in &shared[at + 1..] {
            let gap_s = (low - other_high).max(other_low - high);
            if gap_s > 0.0 {
                all.push(Contradiction { vantages, servers: (*s, *t), gap_s });
            }
        }
    }
}

fn explains(party: Party, it: &Contradiction) -> bool {
    let (a, b) = it.vantages;
    let (s, t) = it.servers;
    [(a, s), (a, t), (b, s), (b, t)].into_iter().any(|(vantage, server)| party.covers(vantage, server))
}

/// Bounded search for minimum hitting sets: the parties that explain the first contradiction that is left.
fn search(all: &[Contradiction], chosen: &mut Vec<Party>, left: usize, found: &mut BTreeSet<Vec<Party>>) {
    let Some(first) = all.iter().find(|it| !chosen.iter().any(|party| explains(*party, it))) else {
        let mut set = chosen.clone();
        set.sort_unstable();
        found.insert(set);
        return;
    };
    if left == 0 || found.len() >= ALTERNATIVES {
        return;
    }
    let ((a, b), (s, t)) = (first.vantages, first.servers);
    let parties = [
        Party::Cell(a, s),
        Party::Cell(a, t),
        Party::Cell(b, s),
        Party::Cell(b, t),
        Party::Server(s),
        Party::Server(t),
        Party::Vantage(a),
        Party::Vantage(b),
    ];
    for party in parties {
        chosen.push(party);
        search(all, chosen, left - 1, found);
        chosen.pop();
    }
}

/// Prefers a set of cells to their servers and vantages, because it blames less. A single remaining set is blamed.
fn prefer(found: BTreeSet<Vec<Party>>) -> (Vec<Party>, Vec<Vec<Party>>) {
    let is_general = |party: &Party, set: &[Party]| match party {
        Party::Server(s) => set.iter().any(|it| matches!(it, Party::Cell(_, t) if s == t)),
        Party::Vantage(v) => set.iter().any(|it| matches!(it, Party::Cell(w, _) if v == w)),
        _ => set.contains(party),
    };
    let covers =
        |wide: &[Party], narrow: &[Party]| wide != narrow && wide.iter().all(|party| is_general(party, narrow));
    let mut specific: Vec<_> =
        found.iter().filter(|set| !found.iter().any(|other| covers(set, other))).cloned().collect();
    if specific.len() == 1 {
        return (specific.pop().unwrap_or_default(), Vec::new());
    }
    // With several, sets of servers and vantages are shorter to state.
    let brief: Vec<_> = found
        .iter()
        .filter(|set| set.iter().all(|it| matches!(it, Party::Server(_) | Party::Vantage(_))))
        .cloned()
        .collect();
    (Vec::new(), if brief.len() > 1 { brief } else { specific })
}

#[cfg(test)]
mod tests {
    use super::super::grid::View;
    use super::*;

    /// Vantages × servers with a bound of 5 ms each. All clocks are right, except for what is added to cells.
    fn grid(vantages: usize, servers: usize, added: &[(usize, usize, f64)]) -> Grid {
        let mut grid = Grid::new(vantages, servers);
        for vantage in 0..vantages {
            for server in 0..servers {
                let of_cell = added.iter().filter(|(v, s, _)| (*v, *s) == (vantage, server));
                let offset_s = of_cell.map(|(_, _, by_s)| by_s).sum();
                grid.set(vantage, server, Some(View { offset_s, half_s: 0.005, is_fresh: true }));
            }
        }
        grid
    }

    fn found_in(grid: &Grid) -> Conflict {
        find(grid, &mut Suspects::default())
    }

    #[test]
    fn contradictions_that_vary_name_who_is_in_all_of_them() {
        let mut suspects = Suspects::default();
        let single = |server| {
            let mut grid = grid(2, 6, &[(0, 3, 0.05)]);
            (0..6).filter(|s| *s != 3 && *s != server).for_each(|s| grid.set(0, s, None));
            grid
        };
        for _ in 0..UNSETTLED {
            assert!(find(&single(0), &mut suspects).blamed.is_empty());
        }
        assert!(find(&single(1), &mut suspects).alternatives.iter().flatten().all(|party| *party != Party::Server(1)));
    }

    /// One vantage displaces what it reports of server 3. While another one is set, one of its readings of that server is
    /// older, so that for a moment only the server explains everything.
    #[test]
    fn clock_that_is_set_makes_no_server_of_false_reports_suspect() {
        let mut suspects = Suspects::default();
        let (lie, set) = ((3, 3, 0.07), (2, 3, -0.1));
        for _ in 0..8 {
            assert_eq!(find(&grid(5, 6, &[lie]), &mut suspects).blamed, [Party::Cell(3, 3)]);
        }
        for _ in 0..UNSETTLED {
            assert_eq!(find(&grid(5, 6, &[lie, set]), &mut suspects).blamed, [Party::Server(3)]);
        }
        for _ in 0..8 {
            assert_eq!(find(&grid(5, 6, &[lie]), &mut suspects).blamed, [Party::Cell(3, 3)]);
        }
        // A server that keeps on showing more than one vantage another clock is named.
        let last = (0..8).map(|_| find(&grid(5, 6, &[lie, set]), &mut suspects).blamed).last();
        assert_eq!(last.unwrap(), [Party::Server(3)]);
    }

    #[test]
    fn wrong_servers_and_wrong_clocks_contradict_nothing() {
        let mut added: Vec<_> = (0..5).map(|vantage| (vantage, 2, 3.0)).collect();
        added.extend((0..6).map(|server| (1, server, -0.5)));
        assert_eq!(found_in(&grid(5, 6, &added)), Conflict::default());
    }

    #[test]
    fn server_that_shows_two_clocks_is_named() {
        let found = found_in(&grid(5, 6, &[(0, 3, 0.04), (3, 3, 0.04)]));
        assert_eq!((found.blamed, found.alternatives), (vec![Party::Server(3)], vec![]));
        assert!((found.gap_s - 0.02).abs() < 1e-9);
    }

    #[test]
    fn vantage_whose_reports_do_not_fit_is_named() {
        let found = found_in(&grid(4, 6, &[(2, 0, 0.04), (2, 1, -0.07), (2, 3, 0.2)]));
        assert_eq!(found.blamed, [Party::Vantage(2)]);
    }

    #[test]
    fn single_reading_that_does_not_fit_names_the_path_only() {
        let found = found_in(&grid(4, 6, &[(2, 4, 0.08)]));
        assert_eq!(found.blamed, [Party::Cell(2, 4)]);
    }

    #[test]
    fn two_vantages_cannot_tell_whose_report_is_false() {
        let found = found_in(&grid(2, 2, &[(0, 0, 0.08)]));
        assert!(found.blamed.is_empty() && found.alternatives.len() == 4, "{found:?}");
    }

    #[test]
    fn two_independent_splits_are_two_parties() {
        let found = found_in(&grid(6, 6, &[(0, 0, 0.05), (1, 0, 0.05), (0, 1, 0.09), (2, 1, 0.09), (5, 1, 0.09)]));
        assert_eq!(found.blamed, [Party::Server(0), Party::Server(1)]);
    }
}
