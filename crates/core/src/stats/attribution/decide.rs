//! Decides who is named, from sightings and proofs; no party is named if counting does not decide.

use std::collections::HashSet;

use super::engine::Engine;
use super::finding::Finding;
use super::own::Now;
use super::proof::{self, Claim};
use super::robust;
use super::series::Series;
use super::series::route::{PRIOR_YEARS, YEAR_S, changes_a_year, unseen_shift_s};
use super::watch::Look;
use crate::stats::consensus::MIN_SERVERS;
use crate::stats::independence::Independence;

/// How often a server is assumed to become wrong, per year.
const ERRORS_A_YEAR: f64 = 1.0;
/// How far a change of a route moves an offset on average, in seconds, assumed exponentially distributed.
const ROUTE_SCALE_S: f64 = 0.03;
/// With fewer replies than about this, a path is assumed to change more often than its record says.
const YOUNG_PATH: f64 = 64.0;
/// How far a server wanders, as a part of the error that it claims; for a movement of the common mode, as a part of the
/// median root distance.
const WANDER: f64 = 0.065;
const OWN_WANDER: f64 = 0.05;
/// The share of path changes that move extra delay from one direction to the other and keep the round trip.
const EXCHANGES: f64 = 0.05;
/// The share is larger, up to so many times, if the spread of the levels is more than this part of the median delay.
const LARGE_ASYMMETRY: f64 = 0.1;
const MORE_EXCHANGES: f64 = 8.0;
/// The error of a wrong server is assumed to be equally likely in each of 16 e-foldings, from 100 ns to 1 s.
const SIZES: f64 = 16.0;
/// The standard deviation of levels that asymmetry causes, at least, as a part of the delay.
const ASYMMETRY: f64 = 0.06;
/// A movement that no change of delay shows and that nothing proves counts as this part of a path change: `ENDED` when
/// it is over, `OPEN` while it goes on.
const ENDED: f64 = 0.1;
const OPEN: f64 = 0.3;
/// After a change of its path, a server's level is uncertain for so many rounds.
const LEARNING_ROUNDS: f64 = 128.0;
/// An accusation begins at the probability `SAID` and is kept while it is at least `KEPT`.
const SAID: f64 = 0.55;
const KEPT: f64 = 0.35;
/// Least and largest stated confidence of an accusation that is not proven. In simulated worlds about nine in ten of
/// them were right, nearly independent of the computed probability. See "How well it works" in docs/ANALYSIS.md.
pub(super) const SURE: (f64, f64) = (0.83, 0.87);
/// Onsets within so many rounds of each other count as simultaneous.
pub(super) const TOGETHER: f64 = 8.0;
/// Sizes that differ by less than this part are the same.
pub(super) const SAME: f64 = 0.35;
/// A named server stays named for this many rounds in which too few servers are heard.
const KEPT_ROUNDS: u16 = 16;
/// `camps` and `torn` open after so many rounds in a row.
const OPEN_AFTER: u8 = 2;

impl Engine {
    pub(super) fn decide(&mut self, now: &Now, voters: &[usize], silent: bool) {
        self.few_rounds = if voters.len() < MIN_SERVERS { self.few_rounds.saturating_add(1) } else { 0 };
        self.forget_repairs(voters);
        if let Some(end_s) = self.own.returned_s.take() {
            self.ended_s = Some(end_s);
            self.dirty = true;
        }
        let (bias_s, spread_s) = self.levels(voters);
        if !silent {
            let peers = self.own_peers();
            let before = self.own.finding.map(|f| (f.named, f.kind, f.proven));
            let went_along = !voters.iter().any(|i| self.may_have_stayed(*i));
            if let Some(end_s) = self.own.look(now, &peers, (bias_s, spread_s), self.period_s, went_along) {
                self.ended_s = Some(end_s);
                self.dirty = true;
            }
            self.dirty |= before != self.own.finding.map(|f| (f.named, f.kind, f.proven));
        }
        let suspects: Vec<usize> = voters.iter().copied().filter(|i| self.series[*i].finding().is_some()).collect();
        let stayed = suspects.iter().any(|i| self.stayed_with_own(*i, now));
        let stayed = stayed || self.minority_has_own(now, &suspects, voters);
        let look = if stayed { Look::Hit(1) } else { Look::Calm };
        self.dirty |= self.camps.look(self.round, look, OPEN_AFTER).is_some();
        if self.camps.open {
            self.camps_s = now.t_s;
        }
        let accusable: Vec<usize> = suspects.into_iter().filter(|i| self.is_accusable(*i)).collect();
        let votes = self.votes_in_doubt(&accusable, voters, now);
        let is_half =
            !accusable.is_empty() && (votes * 2.0 >= self.votes - 1e-9 || accusable.len() * 2 >= voters.len());
        let look = if is_half && voters.len() >= MIN_SERVERS { Look::Hit(1) } else { Look::Calm };
        self.dirty |= self.torn.look(self.round, look, OPEN_AFTER).is_some();
        let (split, few) = (self.smear.is_split(), voters.len() < MIN_SERVERS);
        let silenced = self.camps.open || self.torn.open || split || is_half || stayed || few;
        let looked_at = if accusable.is_empty() { &[] } else { voters };
        let sides = Sides::of(looked_at.iter().map(|i| &*self.series[*i]));
        let evidence = Evidence { sides, bias_s, spread_s, exchanges: self.exchanges(voters, spread_s) };
        for i in 0..self.series.len() {
            let was_named = self.series[i].finding().is_some_and(|f| f.named);
            // A named server stays named unless the doubt lasts.
            let may = if was_named { !self.camps.open && !self.torn.open && !split } else { !silenced };
            // Nothing is decided about a server that has been silent for long, until it answers again.
            if !self.series[i].has_voice && !self.series[i].is_named_lately(now.t_s) {
                continue;
            }
            let may = may && (was_named && self.few_rounds <= KEPT_ROUNDS || !few);
            let (named, confidence) = if may { self.weigh(i, &evidence, now) } else { (false, 0.5) };
            let level_s = self.series[i].track.level_s();
            if let Some(finding) = &mut self.series[i].finding {
                self.dirty |= finding.named != named;
                if let Some(level_s) = level_s.filter(|_| named) {
                    finding.named_at(level_s);
                }
                finding.confidence = confidence;
                finding.name(named, now.t_s);
            }
        }
        let stayed = stayed || voters.iter().any(|i| self.may_have_stayed(*i));
        let own_named = self.names_own(voters, now, stayed || is_half);
        if let Some(finding) = &mut self.own.finding {
            // A proven error is stated with a bound, which must be that of this round.
            self.dirty |= finding.named != own_named || own_named && finding.proven;
            finding.name(own_named, now.t_s);
        }
    }

    pub(super) fn own_peers(&self) -> super::track::Peers {
        let mut lambdas: Vec<f64> = self.series.iter().filter_map(|s| s.latest.map(|l| l.lambda_s)).collect();
        super::track::Peers {
            sigmas: [f64::NAN; 5],
            claim_s: robust::median(&mut lambdas),
            grain_s: self.grain.threshold_s(),
            floor: 0.0,
        }
    }

    /// The median of the servers' levels, and their spread (1.4826 · MAD), in seconds.
    fn levels(&self, voters: &[usize]) -> (f64, f64) {
        let mut levels: Vec<f64> = voters.iter().filter_map(|i| self.series[*i].track.level_s()).collect();
        let bias_s = robust::median(&mut levels);
        let mut apart: Vec<f64> = levels.iter().map(|l| (l - bias_s).abs()).collect();
        (bias_s, 1.4826 * robust::median(&mut apart))
    }

    /// The share of path changes that move extra delay from one direction to the other. Levels that are far apart for
    /// such round trips show that there is extra delay in one direction, which can move.
    fn exchanges(&self, voters: &[usize], spread_s: f64) -> f64 {
        let mut delays: Vec<f64> = voters.iter().filter_map(|i| Some(self.series[*i].track.usual?.delay_s)).collect();
        let asymmetry = spread_s / robust::median(&mut delays).max(1e-6);
        EXCHANGES * (asymmetry / LARGE_ASYMMETRY).powi(2).clamp(1.0, MORE_EXCHANGES)
    }

    /// Starts the series of a server again that moves to where the others are, or back to where it was before its level
    /// followed a slow drift: it was repaired, which is no fault.
    fn forget_repairs(&mut self, voters: &[usize]) {
        let (bias_s, spread_s) = self.levels(voters);
        for i in voters {
            let series = &mut self.series[*i];
            let (Some(finding), Some(level_s)) = (series.finding(), series.track.level_s()) else { continue };
            if finding.proven || finding.named || series.sighting.is_none() {
                continue;
            }
            let (before_s, after_s) = (level_s - bias_s, level_s + series.lean_s - bias_s);
            // A level within the root distance may be lasting asymmetry, not an error.
            let usual_s = series.latest.map_or(0.0, |l| l.lambda_s);
            let improves = before_s.abs() > (3.0 * spread_s).max(usual_s) && after_s.abs() < 0.5 * before_s.abs();
            let size_s = series.sighting.map_or(series.lean_s, |s| s.size_s);
            if improves || series.track.returns(size_s) {
                series.start_again();
            }
        }
    }

    /// The votes of the `accused`. A server that is proven wrong and agrees with others that share its source may have
    /// its error from that source: then the votes of all of them are in doubt. Its newest reply must show both: a server
    /// that was repaired agrees with the others, whatever its earlier replies proved.
    fn votes_in_doubt(&self, accused: &[usize], voters: &[usize], now: &Now) -> f64 {
        let is_wrong = |series: &Series| series.is_proven() && series.conflicts.last();
        let is_shared = |i: &&usize| self.series[**i].vote < 1.0 && is_wrong(&self.series[**i]);
        if !accused.iter().any(|i| is_shared(&i)) {
            return accused.iter().map(|i| self.series[*i].vote).sum();
        }
        let sources = self.sources(voters.iter().copied());
        let groups = Independence::groups(&sources);
        let group_of = |i: usize| voters.iter().position(|v| *v == i).map(|at| groups[at]);
        let members = |group: usize| voters.iter().zip(&groups).filter(move |(_, g)| **g == group).map(|(i, _)| *i);
        let range = |i: usize| self.series[i].range_at(now.t_s, now.moved_s, self.own.drift(now));
        let agrees = |i: usize, group: usize| {
            let claim = |k| Some(Claim { range: range(k)?, vote: 1.0 });
            let others: Vec<Claim> = members(group).filter(|k| *k != i).filter_map(claim).collect();
            range(i).zip(proof::majority(&others, 0.0)).is_some_and(|(its, shared)| its.gap_s(&shared) <= 0.0)
        };
        let shared = accused.iter().filter(is_shared).filter_map(|i| Some((*i, group_of(*i)?)));
        let doubted: HashSet<usize> = shared.filter(|(i, group)| agrees(*i, *group)).map(|(_, group)| group).collect();
        let is_doubted = |i: usize, group: usize| doubted.contains(&group) || accused.contains(&i);
        voters
            .iter()
            .zip(&groups)
            .filter(|(i, group)| is_doubted(**i, **group))
            .map(|(i, _)| self.series[*i].vote)
            .sum()
    }

    /// Whether the server may be at fault and not only its path.
    fn is_accusable(&self, i: usize) -> bool {
        let series = &self.series[i];
        let Some(finding) = series.finding() else { return false };
        finding.proven || finding.bad_share.is_some() || finding.named || series.is_suspect() && !is_path(series)
    }

    /// Whether a server is named, and how sure that is.
    fn weigh(&self, i: usize, evidence: &Evidence, now: &Now) -> (bool, f64) {
        let series = &self.series[i];
        let Some(finding) = series.finding() else { return (false, 0.5) };
        // What was seen while it was open who moved says nothing once it is over.
        let is_over = finding.misses > 0 && !finding.comes_back() && self.camps_s >= finding.since_s;
        if !finding.named && (is_over || self.may_have_stayed(i)) {
            return (false, 0.5);
        }
        if finding.proven {
            return (true, 0.99);
        }
        if !self.is_accusable(i) || !(finding.named || evidence.sides.outvote(self.lean_s(i), self.votes)) {
            return (false, 0.5);
        }
        // A server is not named for the first time without a sighting now.
        if !finding.named && series.sighting.is_none() && finding.bad_share.is_none() {
            return (false, 0.5);
        }
        let moved_s = series.sighting.map_or(finding.size_s.unwrap_or(series.lean_s), |s| s.size_s);
        let (size_s, score) = (moved_s.abs(), series.sighting.map_or(1.0, |s| s.score));
        if !finding.named && self.smear.explains(finding, size_s, self.period_s) {
            return (false, 0.5);
        }
        let Some(usual) = series.track.usual.filter(|_| finding.named || size_s > self.own.unrest_s) else {
            return (false, 0.5);
        };
        let (all, its) = (self.changes_of_paths(finding, now), series.route.whole_record(now.t_s));
        let young = 1.0 + (YOUNG_PATH / usual.values as f64).powi(2);
        // One change of the route during a fault does not make the path more likely than the clock.
        let known = f64::from(finding.rerouted && finding.named);
        let routes = changes_a_year((its.0 - known, its.1), (all.0 - known, all.1)) * young;
        let level_s = finding.left_s(usual.level_s);
        let unseen = (2.0 * unseen_shift_s(usual.excess_s) / ROUTE_SCALE_S).min(1.0);
        let is_possible = size_s <= usual.delay_s + usual.excess_s && finding.is_jump();
        let exchange =
            if is_possible { evidence.exchanges * evidence.exchange(level_s, moved_s, usual.delay_s) } else { 0.0 };
        let reach = evidence.reach(level_s, moved_s, usual.delay_s + usual.excess_s);
        // Changes of a route are jumps, and no series of them goes smoothly to and fro.
        let share = if finding.is_swinging() { 0.0 } else { routes * reach };
        let path = share * (unseen * (-size_s / ROUTE_SCALE_S).exp() + exchange);
        let p = ERRORS_A_YEAR / (ERRORS_A_YEAR + path) * size_s / (size_s + WANDER * series.claim_s);
        let limit = if finding.named { KEPT } else { SAID };
        let sure = p * (1.0 - 0.5 * (-2.0 * (score - 0.6)).exp());
        let stated = SURE.0 + (SURE.1 - SURE.0) * sure.clamp(0.0, 1.0);
        (p >= limit, stated.max(if finding.named { finding.confidence } else { SURE.0 }))
    }

    /// Changes of all paths, and years watched. An unproven movement of another server that began before `finding` and
    /// goes on may be a path change too: two servers rarely become wrong soon after each other.
    fn changes_of_paths(&self, finding: &Finding, now: &Now) -> (f64, f64) {
        let before_s = finding.since_s - TOGETHER * self.period_s;
        let is_open = |f: &Finding| f.is_lasting() && !f.proven && f.bad_share.is_none() && f.since_s < before_s;
        self.series.iter().fold((0.0, 0.0), |(changes, years), series| {
            let (seen, its_years) = series.route.record(now.t_s);
            let its_changes = seen + ENDED * (series.route.whole_record(now.t_s).0 - seen);
            let open = f64::from(series.finding().is_some_and(is_open));
            (changes + its_changes + OPEN * open, years + its_years)
        })
    }

    fn lean_s(&self, i: usize) -> f64 {
        self.series[i].sighting.map_or(self.series[i].lean_s, |s| s.size_s)
    }

    /// Whether the movement of this host's clock is larger than the wander of its servers within what they claim.
    fn is_large_enough(&self, limit: f64, now: &Now) -> bool {
        let size_s = self.own.sighting.map_or_else(|| self.own.lean_s(), |s| s.size_s).abs();
        size_s / (size_s + OWN_WANDER * self.own_peers().claim_s + self.unrest_of_paths_s(now)) >= limit
    }

    /// How far the common mode may move, in seconds, because servers on new routes have learned their levels again from
    /// a common mode that was uncertain itself.
    fn unrest_of_paths_s(&self, now: &Now) -> f64 {
        let records = self.series.iter().map(|s| s.route.record(now.t_s));
        let (changes, years) = records.fold((0.0, PRIOR_YEARS), |all, its| (all.0 + its.0, all.1 + its.1));
        let learning_years = LEARNING_ROUNDS * self.period_s / YEAR_S;
        let share = (changes / years * learning_years).min(1.0);
        share * ROUTE_SCALE_S / (self.voters.max(1) as f64).sqrt()
    }

    /// Whether at least two thirds of the votes moved with the common mode.
    fn all_went_along(&self, voters: &[usize]) -> bool {
        let size_s = self.own.sighting.map_or_else(|| self.own.lean_s(), |s| s.size_s).abs();
        let went = |i: &&usize| {
            let recent = self.series[**i].recent;
            recent.is_none_or(|(its_s, noise_s)| its_s.abs() < SAME * size_s + 2.0 * noise_s)
        };
        let votes: f64 = voters.iter().filter(went).map(|i| self.series[*i].vote).sum();
        votes * 3.0 >= self.votes * 2.0 - 1e-9
    }

    fn names_own(&self, voters: &[usize], now: &Now, doubtful: bool) -> bool {
        let Some(finding) = self.own.finding.filter(|_| !self.smear.is_split()) else { return false };
        if !finding.named && self.smear.explains(&finding, self.own.lean_s(), self.period_s) {
            return false;
        }
        if self.own.missed_leap_s.is_some() {
            return true;
        }
        if self.own.unmoved.is_some() || doubtful && !finding.named || self.camps.open {
            return false;
        }
        // Once this host's clock is named, only paths count: while it drifts, replies of different ages make servers
        // seem to move. Before, a level that was learned after the onset does not show what happened at the onset.
        let is_shifted = |series: &Series| match finding.named {
            true => series.is_elsewhere(),
            false => series.is_unsettled() || !series.knows_since(finding.since_s),
        };
        let shifted = voters.iter().filter(|i| is_shifted(&self.series[**i])).count();
        let by_path = shifted * 2 >= voters.len() && voters.len() > 1;
        // If servers moved and the common mode did not, the majority itself is in doubt.
        let still = self.own.track.usual.is_some() && self.own.sighting.is_none();
        let is_odd = still && voters.iter().any(|i| self.series[*i].finding().is_some());
        if finding.proven && voters.len() >= MIN_SERVERS {
            return finding.named || !self.torn.open && (!still || !is_odd && self.own.is_long_proven());
        }
        let limit = if finding.named { KEPT } else { SAID };
        let is_clear = finding.named || self.all_went_along(voters) && self.own.moved_clearly(now, self.period_s);
        if !is_clear || !self.is_large_enough(limit, now) {
            return false;
        }
        let recent = voters.iter().filter(|i| self.series[**i].is_recent(now.t_s, self.period_s)).count();
        let enough = recent >= MIN_SERVERS || now.has_raw && (voters.len() < MIN_SERVERS || finding.named);
        enough && !by_path && !self.torn.open && (self.own.track.usual.is_some() || finding.named)
    }
}

/// What all servers together show about a movement of one of them.
struct Evidence {
    sides: Sides,
    /// The median of the servers' levels, and their spread.
    bias_s: f64,
    spread_s: f64,
    /// The share of path changes that move extra delay from one direction to the other.
    exchanges: f64,
}

impl Evidence {
    /// How much more likely a movement from `level_s` by `moved_s` is if extra delay of the path changed its direction
    /// than if the clock moved. After a change of direction, the server is as far on the other side of the true offset.
    fn exchange(&self, level_s: f64, moved_s: f64, delay_s: f64) -> f64 {
        let sigma_s = self.spread_s.hypot(ASYMMETRY * delay_s).max(1e-9);
        // Levels scatter with heavy tails: Student's t with three degrees of freedom.
        let density = |x_s: f64| (1.0 + (x_s / sigma_s).powi(2) / 3.0).powi(-2);
        let before_s = level_s - self.bias_s;
        let size = moved_s.abs() / ROUTE_SCALE_S;
        let of_sizes = SIZES * size * (-size).exp();
        of_sizes * density(before_s + 0.5 * moved_s) / density(before_s)
    }

    /// How well a path with a round trip of `delay_s` explains a movement from `level_s` by `moved_s`, from 0 to 1. A
    /// path errs by at most half of its round trip, whatever its directions. The levels show where the true offset is.
    fn reach(&self, level_s: f64, moved_s: f64, delay_s: f64) -> f64 {
        let sigma_s = self.spread_s.hypot(ASYMMETRY * delay_s).max(1e-9);
        let beyond_s = (level_s + moved_s - self.bias_s).abs() - 0.5 * delay_s;
        // From one bound to the other, a path moves an offset by its round trip.
        let beyond_s = beyond_s.max(moved_s.abs() - delay_s).max(0.0);
        (-0.5 * (beyond_s / sigma_s).powi(2)).exp()
    }
}

/// The servers that did not move up, and those that did not move down, in ascending order: the smallest movement of an
/// accused server that puts this one on the other side, and the sum of the votes up to this one.
struct Sides([Vec<(f64, f64)>; 2]);

impl Sides {
    fn of<'a>(voters: impl Iterator<Item = &'a Series> + Clone) -> Self {
        Self([1.0, -1.0].map(|sign| {
            let key = |series: &Series| {
                let (its_s, noise_s) = series.recent?;
                let (its_s, latest_s) = (its_s * sign, series.lean_s * sign);
                // Servers that move the same way are on the same side, whatever the size.
                let is_unmoved = its_s < 2.0 * noise_s;
                is_unmoved.then_some((2.0 * (its_s.max(latest_s - noise_s) + noise_s), series.vote))
            };
            let mut keys: Vec<_> = voters.clone().filter_map(key).collect();
            keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let mut sum = 0.0;
            keys.iter_mut().for_each(|(_, vote)| {
                sum += *vote;
                *vote = sum;
            });
            keys
        }))
    }

    /// Whether more than half of all `votes` are on the other side of the middle between a server that moved by
    /// `lean_s` and where it used to be.
    fn outvote(&self, lean_s: f64, votes: f64) -> bool {
        let keys = &self.0[usize::from(lean_s < 0.0)];
        let apart = keys.partition_point(|(key, _)| *key < lean_s.abs());
        apart > 0 && keys[apart - 1].1 * 2.0 > votes
    }
}

/// Whether the delay changed too, so that the path explains the movement. On a route that was new before the movement
/// began, only what changed since then counts.
fn is_path(series: &Series) -> bool {
    let Some(usual) = series.track.usual else { return false };
    let size_s = series.sighting.map_or(series.lean_s, |s| s.size_s).abs();
    let (few_s, more_s) = (series.track.excess_of_last(3), series.track.excess_of_last(8));
    let before_s = match series.finding().filter(|_| series.route.is_away()) {
        Some(finding) => series.track.excess_before(finding.since_s),
        None => 0.0,
    };
    let (few_s, more_s) = (few_s - before_s, more_s - before_s);
    let room_s = usual.room_s(if few_s.abs() > more_s.abs() { few_s } else { more_s });
    let shift_s = few_s.abs().max(more_s.abs());
    let is_half = shift_s > 1.4 * size_s && shift_s > 3.0 * usual.delay_noise_s;
    is_half || shift_s > unseen_shift_s(room_s).max(0.05 * size_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn move_to_the_opposite_side_speaks_for_the_path() {
        let evidence =
            Evidence { sides: Sides([Vec::new(), Vec::new()]), bias_s: 0.001, spread_s: 0.001, exchanges: 0.05 };
        let to_opposite = evidence.exchange(-0.006, 0.014, 0.03);
        let away = evidence.exchange(-0.006, -0.014, 0.03);
        let from_middle = evidence.exchange(0.001, 0.014, 0.03);
        assert!(to_opposite > 10.0 && away < 1.0 && from_middle < 1.0, "{to_opposite} {away} {from_middle}");
    }

    #[test]
    fn path_moves_an_offset_by_half_of_its_round_trip_at_most() {
        let evidence =
            Evidence { sides: Sides([Vec::new(), Vec::new()]), bias_s: 0.001, spread_s: 0.001, exchanges: 0.05 };
        let reach = |level_s, moved_s| evidence.reach(level_s, moved_s, 0.016);
        assert_eq!((reach(0.001, 0.008), reach(-0.006, 0.014)), (1.0, 1.0));
        assert!(reach(0.001, 0.025) < 1e-3 && reach(-0.008, 0.025) < 1e-3 && reach(0.001, -0.025) < 1e-3);
    }
}
