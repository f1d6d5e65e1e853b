//! Proofs under the assumption that more than half of the independent servers keep their claims.

use super::bounds::{Bounds, Ends};
use super::grid::{Cells, Grid, View};
use super::majority::Compatible;
use super::party::Party;
use super::votes::Votes;

/// A server or a vantage that is proven wrong under that assumption.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Proof {
    /// The minimum error in seconds: of a server beyond its claim, of a vantage's clock from true time.
    pub gap_s: f64,
    /// The interval of the error: of a server's clock, or of a vantage's.
    pub interval_s: (f64, f64),
    /// The proof holds only if this vantage reports honestly, because no other vantage sees the server.
    pub relies_on: Option<usize>,
}

/// The proofs of one round, by server and by vantage.
#[derive(Debug, Clone, Default)]
pub(super) struct Proofs {
    pub servers: Vec<Option<Proof>>,
    pub vantages: Vec<Option<Proof>>,
    /// How many independent servers have a claim.
    pub groups: usize,
    /// The largest contradiction of a claim, in seconds, whether or not it proves anything.
    pub gap_s: f64,
    /// If no majority can be right together: the parties that are wrong if each of the largest sets is right.
    pub undecided: Vec<Vec<Party>>,
}

/// The interval of the server's clock less the vantage's, for each vantage and server: from the vantage's own reading,
/// or else from the readings of other vantages and the differences between the clocks. Unknown where one other vantage
/// that reports falsely could change it.
struct Reach {
    servers: usize,
    ends: Vec<(f64, f64)>,
}

impl Reach {
    fn new(grid: &Grid, direct: &Bounds) -> Self {
        let mut ends = Vec::with_capacity(grid.vantages * grid.servers);
        let seen: Vec<Vec<_>> = (0..grid.servers).map(|server| grid.seen_of(server).collect()).collect();
        for vantage in 0..grid.vantages {
            let apart: Vec<_> = (0..grid.vantages).map(|other| direct.difference(other, vantage)).collect();
            for (server, seen) in seen.iter().enumerate() {
                ends.push(match grid.view(vantage, server) {
                    Some(view) => (view.offset_s - view.half_s, view.offset_s + view.half_s),
                    None => indirect(seen, &apart).robust(),
                });
            }
        }
        Self { servers: grid.servers, ends }
    }

    fn of(&self, vantage: usize, server: usize) -> (f64, f64) {
        self.ends[vantage * self.servers + server]
    }
}

/// The intervals from the readings of other vantages.
fn indirect(seen: &[(usize, View)], apart: &[(f64, f64)]) -> Ends {
    let mut ends = Ends::NONE;
    for (other, view) in seen {
        let (low, high) = apart[*other];
        if low.is_finite() && high.is_finite() {
            ends.add(low + view.offset_s - view.half_s, high + view.offset_s + view.half_s);
        }
    }
    ends
}

/// Everything that the claims prove about the readings in `grid`, with the [direct bounds](Bounds::direct) between its
/// vantages.
pub(super) fn prove(grid: &Grid, direct: &Bounds) -> Proofs {
    let votes = Votes::of(grid);
    let groups = votes.count(None);
    let reach = Reach::new(grid, direct);
    let clocks: Vec<_> = (0..grid.vantages).map(|vantage| clock_of(grid, &reach, &votes, vantage)).collect();
    let wrong = |clock: &Option<(f64, f64)>| {
        let (low, high) = (*clock)?;
        let gap_s = low.max(-high);
        (gap_s > 0.0).then_some(Proof { gap_s, interval_s: (low, high), relies_on: None })
    };
    let vantages: Vec<_> = clocks.iter().map(wrong).collect();
    let rivals = Rivals::new(grid, &reach);
    let servers = if groups < 3 {
        vec![None; grid.servers]
    } else {
        rivals.proofs(grid, &votes).into_iter().zip(by_clocks(grid, &clocks)).map(larger).collect()
    };
    let gap_s = servers.iter().chain(&vantages).flatten().map(|proof| proof.gap_s).fold(0.0, f64::max);
    let undecided = if gap_s > 0.0 { undecided(grid, &reach, &votes, &rivals) } else { Vec::new() };
    if undecided.is_empty() {
        return Proofs { servers, vantages, groups, gap_s, undecided };
    }
    Proofs { servers: vec![None; grid.servers], vantages: vec![None; grid.vantages], groups, gap_s, undecided }
}

/// The parties that are wrong if a set of compatible servers is right, for each of the largest sets; none if one of the
/// sets is a majority.
fn undecided(grid: &Grid, reach: &Reach, votes: &Votes, rivals: &Rivals) -> Vec<Vec<Party>> {
    let compatible = Compatible::new(grid, votes, |server, group| rivals.contradicts(server, group));
    let wrong = |set: Vec<usize>| {
        let servers = (0..grid.servers).filter(|server| grid.claims_s[*server].is_some());
        let servers = servers.filter(|server| !compatible.fits(*server, &set)).map(Party::Server);
        let vantages = (0..grid.vantages).filter(|vantage| is_wrong_by(grid, reach, *vantage, &set));
        servers.chain(vantages.map(Party::Vantage)).collect()
    };
    compatible.without_majority().into_iter().map(wrong).collect()
}

/// Whether the clock of a vantage is wrong if these servers keep their claims.
fn is_wrong_by(grid: &Grid, reach: &Reach, vantage: usize, set: &[usize]) -> bool {
    let mut ends = Ends::NONE;
    for server in set {
        let (claim_s, (low, high)) = (grid.claims_s[*server].unwrap_or(f64::INFINITY), reach.of(vantage, *server));
        ends.add(-high - claim_s, claim_s - low);
    }
    let (low, high) = ends.plain();
    low <= high && (low > 0.0 || high < 0.0)
}

fn larger((a, b): (Option<Proof>, Option<Proof>)) -> Option<Proof> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.gap_s >= b.gap_s { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// Proofs from the errors of the vantages' clocks, which a majority of servers bounds, and the readings of the server. At
/// least two vantages must show the error, unless only one sees the server.
fn by_clocks(grid: &Grid, clocks: &[Option<(f64, f64)>]) -> Vec<Option<Proof>> {
    let prove = |server: usize| {
        let claim_s = grid.claims_s[server]?;
        let (mut ends, mut only, mut seen) = (Ends::NONE, None, 0);
        for (vantage, view) in grid.seen_of(server) {
            seen += 1;
            let Some((low, high)) = clocks[vantage] else { continue };
            only = Some(vantage);
            ends.add(low + view.offset_s - view.half_s, high + view.offset_s + view.half_s);
        }
        let ((low, high), relies_on) = if seen == 1 { (ends.plain(), only) } else { (ends.robust(), None) };
        let gap_s = low.max(-high) - claim_s;
        (gap_s > 0.0 && low <= high).then_some(Proof { gap_s, interval_s: (low, high), relies_on })
    };
    (0..grid.servers).map(prove).collect()
}

/// The interval of the clock error of a vantage: the hull of all points that more than half of the groups cover. A group
/// whose interval is unknown may cover any point.
fn clock_of(grid: &Grid, reach: &Reach, votes: &Votes, vantage: usize) -> Option<(f64, f64)> {
    grid.seen_by(vantage).next()?;
    let mut edges: Vec<(f64, bool, usize)> = Vec::new();
    let mut members = vec![0usize; grid.servers];
    let is_heard = |server: &usize| votes.is_heard_by(grid.groups[*server], vantage);
    for server in (0..grid.servers).filter(is_heard) {
        let Some(claim_s) = grid.claims_s[server] else { continue };
        let (low, high) = reach.of(vantage, server);
        let (low, high) = (-high - claim_s, claim_s - low);
        if low.is_finite() && high.is_finite() && low <= high {
            edges.push((low, false, grid.groups[server]));
            edges.push((high, true, grid.groups[server]));
            members[grid.groups[server]] += 1;
        }
    }
    let groups = (0..grid.servers).filter(|group| votes.is_heard_by(*group, vantage)).count();
    let known = members.iter().filter(|count| **count > 0).count();
    let unknown = groups - known;
    if known < 3 || 2 * unknown > groups {
        return None;
    }
    // Intervals that only touch overlap: beginnings come before ends.
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut open, mut covering, mut hull) = (vec![0usize; grid.servers], unknown, None::<(f64, f64)>);
    for (at, is_end, group) in edges {
        if is_end {
            if 2 * covering > groups {
                hull = Some((hull.map_or(at, |(low, _)| low), at));
            }
            open[group] -= 1;
            covering -= usize::from(open[group] == 0);
        } else {
            open[group] += 1;
            covering += usize::from(open[group] == 1);
            if 2 * covering > groups {
                hull = Some((hull.map_or(at, |(low, _)| low), at));
            }
        }
    }
    hull
}

/// By how much the claims of two servers contradict each other, and the interval of the first server's error if the
/// second keeps its claim.
#[derive(Debug, Clone, Copy)]
struct Rivalry {
    gap_s: f64,
    interval_s: (f64, f64),
}

/// For each server and each other group, the member of the group that contradicts the server least.
struct Rivals(Vec<Vec<Option<Rivalry>>>);

impl Rivals {
    fn new(grid: &Grid, reach: &Reach) -> Self {
        let seen: Vec<usize> = (0..grid.servers).map(|server| grid.seen_of(server).count()).collect();
        // Each column is read once for every other one.
        let columns = grid.transposed();
        let mut best: Vec<Vec<Option<Rivalry>>> = vec![vec![None; grid.servers]; grid.servers];
        for s in 0..grid.servers {
            for t in s + 1..grid.servers {
                let (Some(mine), Some(theirs)) = (grid.claims_s[s], grid.claims_s[t]) else { continue };
                let (low, high) = apart(reach, (s, columns.row(s)), (t, columns.row(t)), seen[s].min(seen[t]));
                if low.is_finite() || high.is_finite() {
                    let gap_s = (low - mine - theirs).max(-high - mine - theirs).max(0.0);
                    best[s][grid.groups[t]] = better(best[s][grid.groups[t]], gap_s, (low - theirs, high + theirs));
                    best[t][grid.groups[s]] = better(best[t][grid.groups[s]], gap_s, (-high - mine, mine - low));
                }
            }
        }
        best.iter_mut().zip(&grid.groups).for_each(|(rivals, own)| rivals[*own] = None);
        Self(best)
    }

    fn contradicts(&self, server: usize, group: usize) -> bool {
        self.0[server][group].is_some_and(|rival| rival.gap_s > 0.0)
    }

    fn proofs(&self, grid: &Grid, votes: &Votes) -> Vec<Option<Proof>> {
        let lone = votes.lone_readers();
        let prove = |(server, rivals): (usize, &Vec<Option<Rivalry>>)| {
            let relies_on = grid.only_reader(server);
            let liars = lone.iter().copied().filter(|vantage| relies_on != Some(*vantage)).map(Some);
            Some(Proof { relies_on, ..weakest(rivals, votes, liars)? })
        };
        self.0.iter().enumerate().map(prove).collect()
    }
}

/// The proof that holds whichever one vantage reports falsely: the one with the smallest gap.
fn weakest(rivals: &[Option<Rivalry>], votes: &Votes, liars: impl Iterator<Item = Option<usize>>) -> Option<Proof> {
    let mut weakest = proof(rivals, votes, None)?;
    for liar in liars {
        let other = proof(rivals, votes, liar)?;
        if other.gap_s < weakest.gap_s {
            weakest = other;
        }
    }
    Some(weakest)
}

/// Keeps the member of a group that contradicts least.
fn better(known: Option<Rivalry>, gap_s: f64, interval_s: (f64, f64)) -> Option<Rivalry> {
    match known {
        Some(known) if known.gap_s <= gap_s => Some(known),
        _ => Some(Rivalry { gap_s, interval_s }),
    }
}

/// A server is wrong if fewer than half of the groups, without its own, are compatible with it. If it were right, more
/// than half of all groups would be right and compatible with it.
fn proof(rivals: &[Option<Rivalry>], votes: &Votes, liar: Option<usize>) -> Option<Proof> {
    let groups = votes.count(liar);
    let voting = rivals.iter().enumerate().filter(|(group, _)| votes.counts(*group, liar));
    let mut all: Vec<Rivalry> = voting.filter_map(|(_, rival)| *rival).collect();
    // Groups that cannot be compared with the server may be compatible.
    let unknown = groups.saturating_sub(1 + all.len());
    let compatible = unknown + all.iter().filter(|rival| rival.gap_s <= 0.0).count();
    if groups < 3 || compatible >= groups / 2 {
        return None;
    }
    all.sort_by(|a, b| a.gap_s.total_cmp(&b.gap_s));
    // Its own group and the unknown ones come first, with a gap of zero.
    let place = (groups / 2 + 1).checked_sub(1 + unknown)?.checked_sub(1)?;
    let contradicting = all.get(place).filter(|rival| rival.gap_s > 0.0)?;
    Some(Proof { gap_s: contradicting.gap_s, interval_s: contradicting.interval_s, relies_on: None })
}

/// The interval of the clock of server `s` less the clock of `t`, from the vantages that see both, or else from chains.
/// If several vantages see each of the servers, the interval holds even if one of the vantages reports falsely.
fn apart(reach: &Reach, (s, mine): (usize, Cells), (t, theirs): (usize, Cells), seen: usize) -> (f64, f64) {
    let common = Ends::between(theirs, mine);
    match (common.count, seen) {
        (1.., 0..=1) => return common.plain(),
        (2.., _) => return common.robust(),
        _ => {}
    }
    let mut chained = Ends::NONE;
    for (vantage, (mine, theirs)) in mine.halves_s.iter().zip(theirs.halves_s).enumerate() {
        if mine.is_finite() != theirs.is_finite() {
            let ((low, high), (other_low, other_high)) = (reach.of(vantage, s), reach.of(vantage, t));
            chained.add(low - other_high, high - other_low);
        }
    }
    if seen <= 1 {
        return chained.plain();
    }
    chained.add(common.low[0], common.high[0]);
    chained.robust()
}

#[cfg(test)]
mod tests {
    use super::super::grid::View;
    use super::*;

    /// Clock errors of servers and vantages, as seen with path bounds of 5 ms, all claims 2 ms.
    fn grid(servers: &[f64], vantages: &[f64], sees: impl Fn(usize, usize) -> bool) -> Grid {
        let mut grid = Grid::new(vantages.len(), servers.len());
        grid.claims_s = vec![Some(0.002); servers.len()];
        for (v, clock_s) in vantages.iter().enumerate() {
            for (s, server_s) in servers.iter().enumerate().filter(|(s, _)| sees(v, *s)) {
                grid.set(v, s, Some(View { offset_s: server_s - clock_s, half_s: 0.005, is_fresh: true }));
            }
        }
        grid
    }

    fn proofs(grid: &Grid) -> Proofs {
        prove(grid, &Bounds::direct(grid))
    }

    #[test]
    fn gap_of_a_wrong_server_is_not_larger_than_its_error() {
        let proofs = proofs(&grid(&[0.0, 0.0, 0.04, 0.0, 0.0], &[0.0, 0.3, -0.1], |_, _| true));
        let wrong: Vec<_> = (0..5).filter(|server| proofs.servers[*server].is_some()).collect();
        assert_eq!(wrong, [2]);
        let proof = proofs.servers[2].unwrap();
        assert!(proof.gap_s > 0.0 && proof.gap_s <= 0.038, "{proof:?}");
        assert!(proof.interval_s.0 <= 0.04 && proof.interval_s.1 >= 0.04, "{proof:?}");
        assert_eq!((proofs.vantages[0], proof.relies_on), (None, None));
    }

    #[test]
    fn majority_of_servers_proves_the_clock_of_a_vantage_wrong() {
        let proofs = proofs(&grid(&[0.0, 0.0, 0.04, 0.0, 0.0], &[0.0, 0.3, -0.1], |_, _| true));
        let clocks: Vec<_> = proofs.vantages.iter().map(|proof| proof.map(|proof| proof.interval_s)).collect();
        assert!(clocks[0].is_none());
        assert!(clocks[1].is_some_and(|(low, high)| low <= 0.3 && high >= 0.3 && low > 0.28), "{clocks:?}");
        assert!(clocks[2].is_some_and(|(low, high)| low <= -0.1 && (-0.1..-0.08).contains(&high)), "{clocks:?}");
    }

    #[test]
    fn wrong_majority_of_a_site_is_corrected_by_the_fleet() {
        let servers = [0.06, 0.06, 0.06, 0.0, 0.0, 0.0, 0.0, 0.0];
        let sees = |v: usize, s: usize| if v == 0 { s < 5 } else { s >= 3 };
        let proofs = proofs(&grid(&servers, &[0.0; 5], sees));
        for server in 0..3 {
            assert_eq!(proofs.servers[server].map(|proof| proof.relies_on), Some(Some(0)), "{server}");
        }
        assert!(proofs.servers[3..].iter().all(Option::is_none) && proofs.vantages[0].is_none());
    }

    #[test]
    fn servers_of_one_upstream_have_one_vote() {
        let mut grid = grid(&[0.06, 0.06, 0.06, 0.0, 0.0], &[0.0; 3], |_, _| true);
        grid.groups = vec![0, 0, 0, 3, 4];
        let proofs = proofs(&grid);
        assert!((0..3).all(|server| proofs.servers[server].is_some()) && proofs.servers[4].is_none());
    }

    #[test]
    fn claims_prove_nothing_if_no_majority_can_be_right() {
        let proofs = proofs(&grid(&[0.0, 0.05, 0.001, -0.08], &[0.0; 3], |_, _| true));
        assert!(
            proofs.servers.iter().chain(&proofs.vantages).all(Option::is_none) && proofs.gap_s > 0.03,
            "{proofs:?}"
        );
        let wrong = [Party::Server(1), Party::Server(3)];
        assert!(proofs.undecided.len() == 3 && proofs.undecided[0] == wrong, "{:?}", proofs.undecided);
        let vantages = (0..3).map(Party::Vantage);
        assert!(vantages.clone().all(|party| proofs.undecided[1..].iter().all(|side| side.contains(&party))));
    }

    #[test]
    fn two_independent_servers_prove_nothing() {
        let proofs = proofs(&grid(&[0.5, 0.0], &[0.0; 3], |_, _| true));
        assert!(proofs.servers.iter().chain(&proofs.vantages).all(Option::is_none));
    }

    #[test]
    fn one_vantage_that_shifts_a_reading_frames_no_server() {
        let mut grid = grid(&[0.0; 5], &[0.0; 4], |_, _| true);
        let framed = View { offset_s: 0.0195, half_s: 0.005, is_fresh: true };
        grid.set(0, 2, Some(framed));
        let proofs = prove(&grid, &Bounds::direct(&grid));
        assert!(proofs.servers.iter().all(Option::is_none), "{:?}", proofs.servers);
    }

    #[test]
    fn majority_that_bounds_the_clocks_of_two_places_proves_a_server() {
        // Every place sees the wrong server and two others, so few pairs of servers have two places in common.
        let sees = |v: usize, s: usize| s == 0 || (s + v).is_multiple_of(3);
        let proofs = proofs(&grid(&[0.06, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[0.0; 6], sees));
        let wrong: Vec<_> = (0..7).filter(|server| proofs.servers[*server].is_some()).collect();
        assert_eq!(wrong, [0]);
    }

    #[test]
    fn one_of_two_places_that_reports_falsely_proves_nothing() {
        let sees = |v: usize, s: usize| if s == 0 { v < 2 } else { (s + v).is_multiple_of(2) };
        let mut grid = grid(&[0.0; 6], &[0.0; 5], sees);
        grid.set(0, 0, Some(View { offset_s: 0.2, half_s: 0.005, is_fresh: true }));
        let proofs = proofs(&grid);
        assert!(proofs.servers.iter().chain(&proofs.vantages).all(Option::is_none), "{proofs:?}");
    }

    /// Six servers that all vantages read, and as many more as `invented` that vantage 0 alone reports, 0.1 s off.
    fn invented(count: usize) -> Grid {
        let clocks: Vec<f64> = (0..6 + count).map(|server| if server < 6 { 0.0 } else { 0.1 }).collect();
        grid(&clocks, &[0.0, 0.001, -0.002, 0.0, 0.0], |v, s| s < 6 || v == 0)
    }

    #[test]
    fn vantage_that_invents_servers_proves_nothing_about_others() {
        for count in [1, 4, 7, 30] {
            let proofs = proofs(&invented(count));
            assert!(proofs.servers[..6].iter().all(Option::is_none), "{count}");
            assert!(proofs.vantages[1..].iter().all(Option::is_none), "{count}");
        }
    }

    #[test]
    fn invented_servers_hide_no_wrong_server() {
        let mut grid = invented(7);
        for vantage in 0..5 {
            let view = grid.view(vantage, 2).unwrap();
            grid.set(vantage, 2, Some(View { offset_s: view.offset_s + 0.05, ..view }));
        }
        assert!(proofs(&grid).vantages[1..].iter().all(Option::is_none));
        let proof = proofs(&grid).servers[2];
        assert!(proof.is_some_and(|proof| proof.interval_s.0 <= 0.05 && proof.interval_s.1 >= 0.05), "{proof:?}");
    }
}
