//! Derives the findings from the watches: one about this host's clock and one for each server. `judge` writes the
//! sentences.

use super::Attribution;
use super::series::{Episode, Series};
use crate::stats::consensus::MIN_SERVERS;
use crate::stats::leap::looks_like_smear;
use crate::stats::local::ClockMove;
use crate::stats::trend::{Line, theil_sen};
use crate::stats::verdict::{Kind, When};

/// A slope below this is ignored, in s/s.
const MATERIAL_RATE: f64 = 0.5e-6;
/// The raw clock and the servers agree on the size of a step to within this, in seconds.
const SAME_STEP_S: f64 = 0.005;
/// Changes that began within this many cells of each other began together.
const TOGETHER: u64 = 8;
/// The raw clock and the servers may place the same event up to this many cells apart.
const NEAR: f64 = 6.0;
/// If the sizes match, the servers may show a step up to this many cells later, because polls can be lost.
const FOUND_WITHIN: f64 = 32.0;

/// The finding about this host's clock.
#[derive(Debug, Default)]
pub(super) struct LocalFinding {
    /// The clock is wrong: proven by the majority, inferred from a common movement, or proven by the raw clock.
    pub wrong: bool,
    /// The offset range that the majority agrees on does not contain zero.
    pub proven: bool,
    /// The raw clock shows the same step.
    pub witnessed: bool,
    pub kind: Option<Kind>,
    pub since: Option<When>,
    pub rate_ppm: Option<(f64, f64)>,
    pub size_s: Option<f64>,
    /// Why there is no decision although something moved.
    pub undecided: Option<&'static str>,
}

/// The finding about one server.
#[derive(Debug, Default, Clone)]
pub(super) struct ServerFinding {
    pub heard: bool,
    pub accused: bool,
    pub proven: bool,
    pub path: bool,
    pub kind: Option<Kind>,
    pub since: Option<When>,
    pub size_s: Option<f64>,
    pub rate_ppm: Option<(f64, f64)>,
    pub confidence: f64,
}

impl Attribution {
    fn when(&self, t_s: f64) -> When {
        When(self.timeline.wall_ns(t_s))
    }

    /// Whether a series has been measured lately.
    pub(super) fn is_heard(&self, series: &Series) -> bool {
        !series.unsynchronised && series.votes(self.last_s, self.engine.step_s)
    }

    /// Whether some servers provably did not move while most did. Either this host's clock did not move and most
    /// servers are wrong, or it moved and the few servers moved with it. This cannot be decided, so no clock is blamed.
    pub(super) fn is_contested(&self) -> bool {
        let common = &self.engine.common;
        let (with, of) = common.contested;
        !common.moved.is_quiet() && with >= 2 && with * 2 > of
    }

    /// Whether the disagreement since the cell `first` comes from half of the servers moving away from the others. Then
    /// wide error ranges can still overlap the other group, give it a majority for a while, and shift the majority
    /// interval.
    fn is_torn_apart(&self, first: u64) -> bool {
        let torn = &self.engine.common.torn;
        torn.open && first + TOGETHER >= torn.first
    }

    pub(super) fn local_finding(&self, heard: usize) -> LocalFinding {
        let common = &self.engine.common;
        let episode = common.episode.filter(|e| e.named && common.moved.open);
        let mut it = LocalFinding { proven: common.excluded.open && heard >= MIN_SERVERS, ..LocalFinding::default() };
        if let Some(episode) = episode {
            self.describe_local(&episode, &mut it);
        } else if it.proven {
            self.describe_lasting(&mut it);
        }
        let moved = episode.is_some() && heard >= MIN_SERVERS;
        if it.proven && episode.is_none() && self.is_torn_apart(common.excluded.first) {
            it.undecided = Some(
                "half of the servers moved away from the others when the majority moved away from this host's clock",
            );
        } else if self.is_contested() {
            it.undecided = Some("most servers moved together while others provably stayed with this host's clock");
        } else if it.kind == Some(Kind::Smear) {
            it.undecided = Some(
                "all servers drift at the rate of a smeared leap second: this host's clock is wrong, or all servers \
                 smear",
            );
        } else if it.kind == Some(Kind::Step) && !it.witnessed && self.is_unmoved(it.size_s, it.since) {
            it.undecided = Some(
                "all servers moved together although this host's clock was provably not set: the servers share a \
                 source that stepped, or this host was suspended",
            );
        }
        it.wrong = it.undecided.is_none() && (it.proven || moved || it.witnessed);
        if it.undecided.is_some() {
            it.proven = false;
        }
        it
    }

    fn describe_local(&self, episode: &Episode, it: &mut LocalFinding) {
        let Some(change) = episode.change else { return };
        it.since = Some(self.when(episode.since_s));
        it.size_s = Some(change.size_s);
        it.kind = Some(change.kind);
        if change.kind == Kind::Frequency {
            it.rate_ppm = change.slope.map(rate);
            if self.is_smear(it.rate_ppm, it.since) {
                it.kind = Some(Kind::Smear);
            }
        } else if let Some(step) = self.matching_step(change.size_s, it.since) {
            it.witnessed = true;
            it.since = Some(When(step.until_ns));
        }
    }

    /// Describes an error without a visible onset: it existed from the start or grew slowly.
    fn describe_lasting(&self, it: &mut LocalFinding) {
        let engine = &self.engine;
        let levels = engine.common.levels(engine.cell);
        it.since = Some(self.when(self.or_the_beginning(engine.common.excluded_since_s)));
        it.kind = Some(Kind::Constant);
        if let Some(slope) = creeping(&levels, engine.common.threshold_s(f64::MAX)) {
            it.kind = Some(Kind::Frequency);
            it.rate_ppm = Some(slope);
        }
    }

    /// Rounds a time within the first cells down to the beginning of the recording.
    fn or_the_beginning(&self, t_s: f64) -> f64 {
        let first_s = self.engine.series.iter().map(|s| s.first_s).fold(f64::INFINITY, f64::min);
        if t_s - first_s <= 4.0 * self.engine.step_s { first_s } else { t_s }
    }

    /// The step of this host's clock that explains a common movement of `size_s`. A step forward makes all offsets
    /// fall. A time daemon may have undone part of the step since.
    fn matching_step(&self, size_s: f64, since: Option<When>) -> Option<&ClockMove> {
        let tolerance_s = SAME_STEP_S.max(0.15 * size_s.abs());
        self.steps_near(since, FOUND_WITHIN).find(|step| {
            let is_partly_undone = (-1.0..=-0.5).contains(&(size_s / step.size_s));
            (step.size_s + size_s).abs() <= tolerance_s || is_partly_undone
        })
    }

    /// The movements of this host's clock that the raw clock shows near this time or up to `cells` before it, newest
    /// first, including one in progress.
    fn steps_near(&self, since: Option<When>, cells: f64) -> impl Iterator<Item = &ClockMove> {
        let cell_ns = 1e9 * self.engine.step_s.max(self.engine.wait_s);
        let (near_ns, before_ns) = ((NEAR * cell_ns) as i64, (cells * cell_ns) as i64);
        // Convert stamps from before a step to the current wall clock, which `since` uses.
        let mut moved_since_ns = 0_i64;
        self.steps.moving().into_iter().chain(self.clock_moves.iter().rev()).filter(move |step| {
            let until_ns = step.until_ns.saturating_add(moved_since_ns);
            moved_since_ns = moved_since_ns.saturating_add((step.size_s * 1e9) as i64);
            let from_ns = step.from_ns.saturating_add(moved_since_ns);
            let at = since.map_or(until_ns, |w| w.0);
            at >= from_ns.saturating_sub(near_ns) && at <= until_ns.saturating_add(before_ns)
        })
    }

    /// Whether the raw clock would have shown a step of this size at this time, but shows none of any size.
    fn is_unmoved(&self, size_s: Option<f64>, since: Option<When>) -> bool {
        let is_seen = size_s.zip(self.doubt_s).is_some_and(|(size, doubt)| size.abs() > 2.0 * doubt);
        is_seen && self.steps_near(since, NEAR).next().is_none()
    }

    fn is_smear(&self, rate_ppm: Option<(f64, f64)>, since: Option<When>) -> bool {
        let (Some((rate, half)), Some(since)) = (rate_ppm, since) else { return false };
        looks_like_smear(rate, rate - half, rate + half, since.0.div_euclid(1_000_000_000))
    }

    pub(super) fn server_finding(&self, i: usize, enough: bool, contested: bool) -> ServerFinding {
        let series = &self.engine.series[i];
        let mut it = ServerFinding { heard: self.is_heard(series), confidence: 0.5, ..ServerFinding::default() };
        if series.reach.is_lost() {
            (it.kind, it.path, it.confidence) = (Some(Kind::Unreachable), true, 1.0);
            it.since = Some(self.when(series.reach.since_s));
            return it;
        }
        if !it.heard {
            return it;
        }
        let since_cell = if series.moved.open { series.moved.first } else { series.disjoint.first };
        let part_of_contest = contested && since_cell.abs_diff(self.engine.common.moved.first) <= TOGETHER;
        let episode = series.episode.filter(|_| series.moved.open);
        let is_torn = self.is_torn_apart(series.disjoint.first);
        it.proven = series.disjoint.open && enough && !part_of_contest && !is_torn;
        it.accused = it.proven || (enough && !part_of_contest && episode.is_some_and(|e| e.named));
        if it.accused {
            self.describe_server(series, i, episode, &mut it);
        } else if series.route.open || self.engine.common.congested {
            self.describe_path(series, &mut it);
        } else {
            it.confidence = 0.9;
        }
        it
    }

    fn describe_server(&self, series: &Series, i: usize, episode: Option<Episode>, it: &mut ServerFinding) {
        match episode.and_then(|e| e.change.map(|c| (e, c))) {
            Some((episode, change)) => {
                it.since = Some(self.when(episode.since_s));
                it.size_s = Some(change.size_s);
                it.kind = Some(change.kind);
                it.rate_ppm = change.slope.map(rate).filter(|_| change.kind == Kind::Frequency);
                if self.is_smear(it.rate_ppm, it.since) {
                    it.kind = Some(Kind::Smear);
                }
            }
            None => {
                let since_s = if series.moved.open { episode.map(|e| e.since_s) } else { None };
                let since_s = since_s.unwrap_or(series.disjoint_since_s);
                let from_start = since_s - series.first_s <= 4.0 * self.engine.step_s;
                it.since = Some(self.when(if from_start { series.first_s } else { since_s }));
                it.kind = Some(Kind::Constant);
                if let Some(slope) = creeping(&self.residuals_of_level(i), series.threshold_s()) {
                    (it.kind, it.rate_ppm) = (Some(Kind::Frequency), Some(slope));
                }
            }
        }
        let ratio = it.size_s.unwrap_or(0.0).abs() / series.threshold_s().max(1e-9);
        it.confidence = if it.proven { 0.99 } else { (1.0 - 1.0 / (1.0 + ratio * ratio)).min(0.95) };
    }

    /// Offsets relative to the median of all servers, without baselines.
    fn residuals_of_level(&self, i: usize) -> Vec<(f64, f64)> {
        let engine = &self.engine;
        let series = &engine.series[i];
        let offsets = series.offsets(engine.cell, series.threshold_s()).into_iter();
        offsets
            .map(|(j, theta_s)| (engine.common.time_s(j), theta_s - engine.common.level_s(j)))
            .filter(|(_, r)| !r.is_nan())
            .collect()
    }

    fn describe_path(&self, series: &Series, it: &mut ServerFinding) {
        it.path = true;
        it.confidence = 0.9;
        if self.engine.common.congested {
            it.kind = Some(Kind::Congestion);
            it.since = Some(self.when(self.engine.common.congested_since_s));
            return;
        }
        it.kind = Some(if series.route_steady { Kind::Asymmetry } else { Kind::Congestion });
        it.since = Some(self.when(series.route_since_s));
        it.size_s = Some(series.route_size_s);
    }
}

/// A slope in ppm with the half width of its confidence interval.
fn rate(slope: Line) -> (f64, f64) {
    (slope.slope * 1e6, (slope.slope_hi - slope.slope_lo) / 2.0 * 1e6)
}

/// The slope of a slow drift in ppm, if it is significant and large enough to matter over the window.
fn creeping(points: &[(f64, f64)], threshold_s: f64) -> Option<(f64, f64)> {
    let thinned: Vec<_> = points.iter().copied().step_by(points.len().div_ceil(48).max(1)).collect();
    let fit = theil_sen(&thinned).filter(|_| thinned.len() >= 12)?;
    let span_s = thinned.last()?.0 - thinned.first()?.0;
    let one_sided = fit.slope_lo > MATERIAL_RATE || fit.slope_hi < -MATERIAL_RATE;
    (one_sided && fit.slope.abs() * span_s > 0.5 * threshold_s).then(|| rate(fit))
}
