//! The checks at each cell of the common grid, in order: error ranges, common movement, each server against the common
//! movement, delays. Each check feeds a [`Watch`](super::watch::Watch); `findings` draws the conclusions.

use super::engine::Engine;
use super::robust;
use super::series::{Episode, Series};
use super::watch::{Edge, Look, OPEN_AFTER};
use crate::stats::consensus::{Consensus, Interval, MIN_SERVERS, Standing, Undecidable, consense_among};

/// A value below this share of the threshold is calm. Between that and the threshold the result is unclear.
const CALM_SHARE: f64 = 0.6;
/// A path may explain slightly more than half of the excess delay, because delays are noisy.
const PATH_EXCESS: f64 = 1.1;

fn look(value: f64, threshold: f64, slack: f64) -> Look {
    if value.abs() > threshold + slack {
        return Look::Hit(if value > 0.0 { 1 } else { -1 });
    }
    if value.abs() <= CALM_SHARE * threshold { Look::Calm } else { Look::Unclear }
}

/// Like [`look`], if the part of the value that no path can explain (`least`) is already known.
fn look_beyond(value: f64, least: f64, threshold: f64) -> Look {
    if least.abs() > threshold {
        return Look::Hit(if least > 0.0 { 1 } else { -1 });
    }
    if value.abs() <= CALM_SHARE * threshold { Look::Calm } else { Look::Unclear }
}

impl Engine {
    /// Runs all checks at the newest cell.
    pub(super) fn look_at_cell(&mut self) {
        self.look_at_intervals();
        self.look_at_common();
        self.look_at_servers();
        self.look_at_paths();
        self.learn();
        self.refine();
    }

    fn look_at_intervals(&mut self) {
        let intervals: Vec<Interval> = self.present.iter().map(|i| self.series[*i].interval()).collect();
        let consensus = consense_among(&intervals, self.voters);
        let split = consensus.is_split();
        let (k, t_s) = (self.cell, self.cell_s);
        for (i, standing) in self.present.iter().zip(&consensus.standings) {
            let series = &mut self.series[*i];
            let look = match standing {
                Standing::Falseticker { gap_s } => {
                    series.gap_s = *gap_s;
                    Look::Hit(1)
                }
                Standing::Truechimer => Look::Calm,
                // When the servers are split into groups, a lost poll can give one group a majority for a moment.
                Standing::Unknown if split => Look::Calm,
                Standing::Unknown => Look::Unclear,
            };
            if !series.is_fresh {
                continue;
            }
            if series.disjoint.is_quiet() {
                series.disjoint_since_s = t_s;
            }
            self.dirty |= series.disjoint.look(k, look, OPEN_AFTER).is_some();
        }
        let common = &mut self.common;
        // A cell with too few voters is not conclusive: keep the last majority.
        if consensus.majority.is_some() || consensus.undecidable != Some(Undecidable::NoMajority) || split {
            common.majority = consensus.majority;
        }
        if common.excluded.is_quiet() {
            common.excluded_since_s = t_s;
        }
        let excluded = match consensus.majority {
            Some(m) if m.low_s > 0.0 => Look::Hit(1),
            Some(m) if m.high_s < 0.0 => Look::Hit(-1),
            Some(_) => Look::Calm,
            None if split => Look::Calm,
            None => Look::Unclear,
        };
        self.dirty |= common.excluded.look(k, excluded, OPEN_AFTER).is_some();
        let split = match consensus.undecidable {
            Some(Undecidable::NoMajority) if split => Look::Hit(1),
            Some(Undecidable::NoMajority) => Look::Unclear,
            _ => Look::Calm,
        };
        self.dirty |= common.split.look(k, split, OPEN_AFTER).is_some();
        let level_s = self.level(&consensus);
        self.common.set_level(k, level_s);
    }

    /// The median offset of the servers that are not proven wrong.
    fn level(&mut self, consensus: &Consensus) -> f64 {
        self.scratch.clear();
        let trusted = self.present.iter().zip(&consensus.standings);
        self.scratch.extend(
            trusted
                .filter(|(_, s)| !matches!(s, Standing::Falseticker { .. }))
                .filter_map(|(i, _)| self.series[*i].now.map(|p| p.theta_s)),
        );
        robust::median(&mut self.scratch)
    }

    fn look_at_common(&mut self) {
        let known: Vec<usize> = self.present.iter().copied().filter(|i| self.series[*i].base.is_some()).collect();
        let (k, t_s) = (self.cell, self.cell_s);
        // A movement of a minority is not common, even if no other server can be measured.
        if known.len() * 2 <= self.voters {
            return;
        }
        let (shared, torn) = self.shared_movement(&known);
        self.torn_now = torn;
        let Some(members) = shared else {
            if !torn {
                return;
            }
            self.dirty |= self.common.torn.look(k, Look::Hit(1), OPEN_AFTER).is_some();
            if self.common.moved.look(k, Look::Calm, OPEN_AFTER).is_some() {
                self.close_common();
            }
            return;
        };
        self.dirty |= self.common.torn.look(k, Look::Calm, OPEN_AFTER).is_some();
        let (move_s, slack_s, least_s) = self.centre(&members);
        self.common.set_move(k, move_s);
        self.common.slack_s = slack_s;
        self.scratch.clear();
        self.scratch.extend(members.iter().filter_map(|i| self.series[*i].now.map(|p| p.lambda_s)));
        let threshold = self.common.threshold_s(robust::median(&mut self.scratch)).max(self.grain.threshold_s());
        self.common.threshold_now_s = threshold;
        let mut sight = look_beyond(move_s, least_s, threshold);
        if matches!(sight, Look::Hit(_)) && !self.most_are_nearer(&known, move_s, move_s) {
            sight = Look::Unclear;
        }
        let edge = self.common.moved.look(k, sight, OPEN_AFTER);
        match edge {
            Some(Edge::Opened) => {
                let seen_s = self.common.time_s(self.common.moved.first);
                self.common.episode = Some(Episode::open(k, t_s, seen_s));
            }
            Some(Edge::Closed) => {
                self.close_common();
                // Both are signs of the same fault, so they end together.
                self.common.excluded.end_if_calm();
            }
            None => {}
        }
        self.dirty |= edge.is_some();
        if self.common.moved.is_quiet() {
            self.common.contested = (0, 0);
        } else {
            self.count_stayers(&known, move_s);
        }
    }

    /// The servers whose movement from their baselines a majority shares, `None` without such a majority; and whether
    /// there is none because the servers move in different ways.
    fn shared_movement(&self, known: &[usize]) -> (Option<Vec<usize>>, bool) {
        let intervals: Vec<Interval> = known
            .iter()
            .map(|i| {
                let series = &self.series[*i];
                let half = series.threshold_s() + series.now.map_or(0.0, |p| p.slack_s);
                series.movement().and_then(|y| Interval::around(y, half)).unwrap_or_else(|| series.interval())
            })
            .collect();
        let voters = self.voters.min(self.taught());
        if voters.max(known.len()) < MIN_SERVERS {
            let agree = intervals.iter().all(|it| it.gap_s(&intervals[0]) <= 0.0);
            return (agree.then(|| known.to_vec()), !agree);
        }
        let consensus = consense_among(&intervals, voters);
        if consensus.majority.is_none() {
            return (None, consensus.is_split());
        }
        let meets = |s: &Standing| *s == Standing::Truechimer;
        (Some(known.iter().zip(&consensus.standings).filter(|(_, s)| meets(s)).map(|(i, _)| *i).collect()), false)
    }

    /// The number of voters with a baseline.
    pub(super) fn taught(&self) -> usize {
        self.series.iter().filter(|s| s.base.is_some() && s.votes(self.cell_s, self.step_s)).count()
    }

    /// Three medians over the members: the movement (members with quiet paths count twice), the movement that paths
    /// alone can explain, and the movement that remains after each path has explained as much as its delay allows. All
    /// members count, so a member that is about to leave the majority cannot shift the median.
    fn centre(&mut self, members: &[usize]) -> (f64, f64, f64) {
        let series = &self.series;
        let moves = || members.iter().filter_map(|i| Some((series[*i].movement()?, series[*i].now?.slack_s)));
        let scratch = &mut self.scratch;
        scratch.clear();
        scratch.extend(moves().map(|(_, slack)| slack));
        let slack_s = robust::median(scratch);
        scratch.clear();
        scratch.extend(moves().map(|(y, slack)| (y.abs() - slack).max(0.0).copysign(y)));
        let least_s = robust::median(scratch);
        scratch.clear();
        for (y, slack) in moves() {
            let is_quiet = slack <= 2.0 * slack_s + 0.001;
            scratch.extend(std::iter::repeat_n(y, 1 + usize::from(is_quiet)));
        }
        (robust::median(scratch), slack_s, least_s)
    }

    /// Whether more than half of the voters are nearer to `move_s` than to the value `apart_s` away from it, allowing
    /// for their paths. When half of the servers drift away slowly, the common movement is between the two groups for a
    /// while, and the first server beyond a threshold is no more wrong than those on the other side.
    fn most_are_nearer(&self, known: &[usize], move_s: f64, apart_s: f64) -> bool {
        let is_near = |i: &&usize| {
            let series = &self.series[**i];
            let slack_s = series.now.map_or(0.0, |p| p.slack_s);
            series.movement().is_some_and(|y| (y - move_s).abs() <= apart_s.abs() / 2.0 + slack_s)
        };
        let voters = self.voters.min(self.taught()).max(known.len());
        known.iter().filter(is_near).count() * 2 > voters
    }

    /// Counts the cells in which a server provably did not move while the majority moved.
    fn count_stayers(&mut self, known: &[usize], move_s: f64) {
        let stayed = |i: &usize| {
            let series = &self.series[*i];
            let (Some(y), Some(p), Some(base)) = (series.movement(), series.now, series.base) else { return false };
            y.abs() + p.slack_s + 3.0 * base.noise_s < move_s.abs() / 2.0
        };
        let contested = known.iter().any(stayed);
        let (with, of) = self.common.contested;
        if of < 32 {
            self.common.contested = (with + u32::from(contested), of + 1);
        }
    }

    pub(super) fn close_common(&mut self) {
        self.common.episode = None;
        self.common.contested = (0, 0);
        self.common.valid_from = self.cell;
        self.series.iter_mut().for_each(|s| s.forget_until(self.cell));
    }

    fn look_at_servers(&mut self) {
        let (k, t_s) = (self.cell, self.cell_s);
        let move_s = self.common.move_s(k);
        let known: Vec<usize> = self.present.iter().copied().filter(|i| self.series[*i].base.is_some()).collect();
        for i in &self.present {
            let series = &self.series[*i];
            let (Some(y), Some(now), true) = (series.movement(), series.now, series.is_fresh) else { continue };
            let mut look = look(y - move_s, series.threshold_s(), PATH_EXCESS * now.slack_s + self.common.slack_s);
            if matches!(look, Look::Hit(_)) && !self.most_are_nearer(&known, move_s, y - move_s) {
                look = Look::Unclear;
            }
            let series = &mut self.series[*i];
            if !series.route.is_quiet() && series.is_explained(y - move_s) {
                look = Look::Unclear;
            }
            if series.route.open {
                // The baseline belongs to the old route and cannot be compared; the error ranges still can.
                look = Look::Calm;
            }
            if move_s.is_nan() {
                // There is no common movement to compare with. If the servers move in different ways, drop the
                // suspicion.
                look = if self.torn_now { Look::Calm } else { Look::Unclear };
            }
            match series.moved.look(k, look, OPEN_AFTER) {
                Some(Edge::Opened) => {
                    let seen_s = self.common.time_s(series.moved.first);
                    series.episode = Some(Episode::open(k, t_s, seen_s));
                }
                Some(Edge::Closed) => {
                    series.episode = None;
                    series.forget_until(k);
                    series.disjoint.end_if_calm();
                }
                None => continue,
            }
            self.dirty = true;
        }
    }
}

impl Series {
    /// The error range at the newest cell. A point at zero if there is none, which callers rule out.
    fn interval(&self) -> Interval {
        let around = self.now.and_then(|p| Interval::around(p.theta_s, p.lambda_s));
        around.unwrap_or(Interval { low_s: 0.0, high_s: 0.0 })
    }

    /// The distance of the newest value from the baseline, in seconds.
    pub(super) fn movement(&self) -> Option<f64> {
        Some(self.now?.theta_s - self.base?.offset_s)
    }
}
