//! The look at the delays: routes that changed, queues that all paths share.

use super::engine::Engine;
use super::robust;
use super::series::Series;
use super::watch::{Edge, Look};

/// A change of route must show in every value for this long: queues come and go.
const ROUTE_AFTER: u8 = 7;
/// A route that has lasted this many cells is the usual one.
const ROUTE_ACCEPTED: u64 = 64;
/// The same for all routes at once: an evening's queues last longer than one route's troubles.
const ACCESS_ACCEPTED: u64 = 128;

impl Engine {
    /// Whether the delays explain what the offsets do, server by server and for all of them.
    pub(super) fn look_at_paths(&mut self) {
        let (k, t_s) = (self.cell, self.cell_s);
        let move_s = self.common.move_s(k);
        let (mut up, mut known) = (0, 0);
        for i in &self.present {
            let series = &mut self.series[*i];
            let (Some(base), Some(now), Some(y)) = (series.base, series.now, series.movement()) else { continue };
            let (more_s, limit) = (now.delay_s - base.delay_s, series.delay_threshold_s());
            // A path that changed for good says nothing of the others.
            if !series.route.open {
                known += 1;
                up += usize::from(more_s > limit);
            }
            if move_s.is_nan() || self.common.congested || !series.is_fresh {
                continue;
            }
            let moved_s = y - move_s;
            let explained = series.is_explained(moved_s);
            let look = match more_s.abs() {
                d if d > limit && moved_s.abs() > series.threshold_s() && explained => Look::Hit(1),
                d if d <= 0.7 * limit => Look::Calm,
                _ => Look::Unclear,
            };
            if series.route.is_quiet() {
                series.route_since_s = t_s;
            }
            let edge = series.route.look(k, look, ROUTE_AFTER);
            if edge == Some(Edge::Closed) {
                series.forget_until(k);
            }
            self.dirty |= edge.is_some();
        }
        self.look_at_congestion(known >= 2 && up * 2 > known);
        self.settle_routes(move_s);
        self.settle_access();
    }

    fn look_at_congestion(&mut self, most_are_up: bool) {
        let common = &mut self.common;
        if most_are_up {
            if common.congestion == 0 {
                (common.congested_since_s, common.congested_first) = (self.cell_s, self.cell);
            }
            common.congestion = (common.congestion + 1).min(6);
        } else {
            common.congestion = common.congestion.saturating_sub(1);
        }
        let congested = if common.congested { common.congestion > 0 } else { common.congestion >= 3 };
        if congested != common.congested {
            common.congested = congested;
            self.dirty = true;
            // What single paths seemed to do was this.
            self.series.iter_mut().for_each(|s| s.route.reset());
            if !congested {
                self.common.valid_from = self.cell;
                self.series.iter_mut().for_each(|s| s.forget_until(self.cell));
            }
        }
    }

    /// Delays that went up for most servers and stay there without the scatter of a queue are a new access route, which is
    /// the usual one once it has lasted. Not while any clock is suspected: that would become usual too.
    fn settle_access(&mut self) {
        let (k, first) = (self.cell, self.common.congested_first);
        let has_lasted = self.common.congested && (k - first).is_multiple_of(ACCESS_ACCEPTED);
        if !has_lasted || self.common.is_suspect() || self.series.iter().any(|s| !s.moved.is_quiet()) {
            return;
        }
        let known: Vec<usize> = (0..self.series.len()).filter(|i| self.series[*i].base.is_some()).collect();
        if known.iter().filter(|i| self.series[**i].stays_away_since(first, k)).count() * 2 <= known.len() {
            return;
        }
        known.iter().for_each(|i| self.series[*i].begin_anew(first));
        for i in known {
            self.series[i].learn(k, self.step_s, |_| 0.0, &mut self.scratch);
        }
        (self.common.congested, self.common.congestion) = (false, 0);
        (self.common.valid_from, self.common.usual_level_s, self.common.lacks_past) = (k, None, true);
        self.dirty = true;
    }

    /// Describes routes that changed, and accepts them once they have lasted.
    fn settle_routes(&mut self, move_s: f64) {
        let k = self.cell;
        for series in self.series.iter_mut().filter(|s| s.route.open) {
            let age = k - series.route.first;
            if age == u64::from(ROUTE_AFTER) || age == 16 || age == 32 {
                let (delay_s, scatter_s) = series.since_cell(series.route.first, k);
                let base = series.base.map_or((0.0, 0.0), |b| (b.delay_s, b.delay_noise_s));
                series.route_steady = scatter_s <= (0.35 * (delay_s - base.0).abs()).max(3.0 * base.1);
                self.dirty = true;
            }
            if let Some(y) = series.movement().filter(|_| !move_s.is_nan()) {
                series.route_size_s = y - move_s;
            }
            if age >= ROUTE_ACCEPTED {
                let first = series.route.first;
                series.begin_anew(first);
                series.learn(k, self.step_s, |j| self.wander.at(self.common.time_s(j)), &mut self.scratch);
                self.dirty = true;
            }
        }
    }
}

impl Series {
    /// Whether the path is a longer one since a cell: a queue that makes it longer is short now and then.
    fn stays_away_since(&self, first: u64, k: u64) -> bool {
        let Some(base) = self.base else { return false };
        let mut rises_s = self.delays_since(first, k);
        rises_s.iter_mut().for_each(|delay_s| *delay_s -= base.delay_s);
        let rise_s = robust::median(&mut rises_s);
        rise_s > 0.0 && robust::quantile(&mut rises_s, 0.05) >= 0.75 * rise_s
    }

    /// Whether a movement is one that a path can make whose delay changed as it did.
    pub(super) fn is_explained(&self, moved_s: f64) -> bool {
        let (Some(base), Some(now)) = (self.base, self.now) else { return false };
        moved_s.abs() <= 0.65 * (now.delay_s - base.delay_s).abs() + self.threshold_s()
    }
}
