//! What follows from the looks over time: learning what is usual, describing what began, and letting repairs be repairs.

use super::change::{self, Change};
use super::engine::Engine;
use super::robust;
use super::series::Episode;
use crate::stats::verdict::Kind;

/// The newest cells do not teach what is usual: they are what it judges.
const HELD_OUT: u64 = 4;
/// Ages, in cells, at which the shape of a change is worked out again; after the last it is settled.
const REFINE_AT: [u64; 11] = [1, 2, 3, 4, 6, 9, 13, 20, 32, 48, 64];
/// At this age a shape is named even when another explains it nearly as well.
const NAMED_AT: u64 = 13;

impl Engine {
    /// Learns from quiet cells what is usual.
    pub(super) fn learn(&mut self) {
        let k = self.cell;
        // Nothing is usual while the own clock moves or everybody waits in queues.
        if !self.common.moved.is_quiet() || self.common.congestion > 0 || self.common.torn.open {
            return;
        }
        let due = k.is_multiple_of(8);
        if due {
            self.learn_all_servers();
        } else if k.is_multiple_of(4) {
            self.learn_new_servers();
        }
        if due {
            self.common.learn(k, k.saturating_sub(HELD_OUT), &mut self.scratch);
        }
        if self.common.lacks_past && self.taught() * 2 > self.voters {
            self.common.lacks_past = false;
            self.fill_in_past();
            // For once the newest cells too: there are no others.
            self.common.learn(k, k, &mut self.scratch);
        }
    }

    /// Once baselines are known, the cells from before are measured against them too: what was wrong from the beginning
    /// began then and not when it could first be judged.
    fn fill_in_past(&mut self) {
        for j in self.common.cells(self.cell) {
            if !self.common.move_s(j).is_nan() {
                continue;
            }
            self.scratch.clear();
            let moves = self.series.iter().filter_map(|s| Some(s.offset_at(j)? - s.base?.offset_s));
            self.scratch.extend(moves);
            if !self.scratch.is_empty() {
                let move_s = robust::median(&mut self.scratch);
                self.common.set_move(j, move_s);
            }
        }
    }

    /// Works out the shapes of what is open, at certain ages.
    pub(super) fn refine(&mut self) {
        let k = self.cell;
        if let Some(mut episode) = self.common.episode
            && REFINE_AT.contains(&(k - episode.opened))
        {
            let threshold_s = self.common.threshold_now_s;
            episode.refine(k, &self.common.moves(k), threshold_s);
            self.dirty = true;
            self.common.episode = Some(episode);
            self.settle_common(episode);
        }
        for i in 0..self.series.len() {
            let Some(mut episode) = self.series[i].episode else { continue };
            if !REFINE_AT.contains(&(k - episode.opened)) {
                continue;
            }
            let threshold_s = self.series[i].threshold_s();
            episode.refine(k, &self.residuals(i), threshold_s);
            self.dirty = true;
            self.series[i].episode = Some(episode);
            self.settle_server(i, episode);
        }
    }

    /// The offsets of a server without its baseline and without what all share, as (time, seconds).
    pub(super) fn residuals(&self, i: usize) -> Vec<(f64, f64)> {
        let series = &self.series[i];
        let base_s = series.base.map_or(0.0, |b| b.offset_s);
        let at = |(j, theta_s): (u64, f64)| (self.common.time_s(j), theta_s - base_s - self.common.move_s(j));
        // What waited less than a part of the movement shows the movement nevertheless.
        let moved_s = series.movement().map_or(0.0, |y| y - self.common.move_s(self.cell));
        let limit_s = series.threshold_s().max(0.2 * moved_s.abs());
        series.offsets(self.cell, limit_s).into_iter().map(at).filter(|(_, r)| !r.is_nan()).collect()
    }

    /// A common movement that brought the own clock nearer to the servers was a repair.
    fn settle_common(&mut self, episode: Episode) {
        let (Some(usual_s), Some(change)) = (self.common.usual_level_s, episode.change) else { return };
        let now_s = usual_s + change.size_s;
        let was_off = usual_s.abs() > self.common.threshold_s(0.0);
        if episode.named && !self.common.excluded.open && was_off && now_s.abs() < 0.5 * usual_s.abs() {
            let first = self.common.moved.first;
            self.series.iter_mut().for_each(|s| s.begin_anew(first));
            self.common.moved.reset();
            self.common.usual_level_s = None;
            self.common.lacks_past = true;
            self.close_common();
        }
    }

    /// A server that jumped into agreement with the others was repaired. A drift that passes through it was not.
    fn settle_server(&mut self, i: usize, episode: Episode) {
        let usual_level_s = self.common.usual_level_s.unwrap_or(0.0);
        let series = &mut self.series[i];
        let (Some(base), Some(change)) = (series.base, episode.change) else { return };
        let before_s = base.offset_s - usual_level_s;
        let was_off = before_s.abs() > series.threshold_s();
        if episode.named
            && change.kind == Kind::Step
            && was_off
            && (before_s + change.size_s).abs() < 0.3 * before_s.abs()
        {
            let first = series.moved.first;
            series.begin_anew(first);
        }
    }
}

impl Episode {
    /// Opened at the cell `k` of the time `t_s`; first seen at `seen_s`.
    pub(super) fn open(k: u64, t_s: f64, seen_s: f64) -> Self {
        Self { opened: k, seen_s, since_s: t_s, change: None, named: false }
    }

    /// Works out the shape anew. It is named once it is clear, and only while it is large enough to matter.
    fn refine(&mut self, k: u64, points: &[(f64, f64)], threshold_s: f64) {
        let Some(change) = self.describe(points) else { return };
        if self.named && points.first().is_some_and(|(t_s, _)| self.since_s < *t_s) {
            return self.go_on(change, points);
        }
        let is_material = change.size_s.abs() >= 0.6 * threshold_s;
        // Something else has happened since, or the beginning is about to leave the window, or it is over, which the looks
        // decide.
        let misleads = |was: Change| change.is_worse_than(&was, threshold_s) || !change.ends_at(points, threshold_s);
        if self.named && (!is_material || self.change.is_some_and(misleads)) {
            return;
        }
        self.since_s = change.onset_s;
        let is_clear = self.named || change.decisive || k - self.opened >= NAMED_AT;
        self.named = is_clear && is_material;
        self.change = Some(change);
    }

    /// The shape of `points`, which are deviations from the baseline. When nothing is left of the time before the first
    /// sighting (the server was silent for long), the baseline stands for it.
    fn describe(&self, points: &[(f64, f64)]) -> Option<Change> {
        let ((first_s, _), (second_s, _)) = (points.first()?, points.get(1)?);
        if self.seen_s > *first_s {
            return change::describe(points);
        }
        let before = (2.0 * first_s - second_s, 0.0);
        change::describe(&std::iter::once(before).chain(points.iter().copied()).collect::<Vec<_>>())
    }

    /// The onset has left the window: what was found of it holds, and only what goes on since is known better.
    fn go_on(&mut self, seen: Change, points: &[(f64, f64)]) {
        let Some(change) = &mut self.change else { return };
        if change.kind == Kind::Frequency {
            change.size_s = change::level_now(points);
            change.slope = seen.slope.or(change.slope);
        }
    }
}
