//! What kind of change a deviation is: a step, or the beginning of a drift; when it began, and how large it is.
//!
//! Each candidate moment is tried with both shapes on the window around the onset, by absolute error, so that single
//! outliers do not decide. The level before the change is fitted too. A third shape, a straight line over the whole window,
//! stands for a drift that was there from the beginning. O(n²) for n ≤ [`MAX_POINTS`]; run a few times per episode.

use super::robust;
use crate::stats::trend::{Line, theil_sen};
use crate::stats::verdict::Kind;

/// Longer windows are cut to their newest points.
pub(super) const MAX_POINTS: usize = 128;
/// Fewer points after the change than this say nothing of its shape.
const MIN_AFTER: usize = 4;
/// A bend among the first points of the window is hard to tell from none.
const BEGINNING: usize = 8;
/// The winning shape must explain this much better than the other before it is believed early.
const DECISIVE: f64 = 1.3;

/// A described change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    /// [`Kind::Step`] or [`Kind::Frequency`].
    pub kind: Kind,
    /// When it began, on the samples' axis.
    pub onset_s: f64,
    /// How far the series is now from where it was, in seconds.
    pub size_s: f64,
    /// The slope since the onset in seconds per second.
    pub slope: Option<Line>,
    /// Whether the other shape explains it clearly worse.
    pub decisive: bool,
    /// Scatter around the fitted shape, in seconds.
    pub scatter_s: f64,
}

impl Change {
    /// Whether the best shape of all points explains them so much worse than `before` explained the fewer ones that were
    /// there then, that something else has happened since. What counts beyond that is a part of `threshold_s`.
    pub(super) fn is_worse_than(&self, before: &Self, threshold_s: f64) -> bool {
        self.scatter_s > 2.0 * before.scatter_s + 0.05 * threshold_s
    }

    /// Whether a step leads from the baseline to where `points`, deviations from it, are now.
    pub(super) fn ends_at(&self, points: &[(f64, f64)], threshold_s: f64) -> bool {
        let now_s = level_now(points);
        self.kind != Kind::Step || (self.size_s - now_s).abs() <= 0.5 * now_s.abs().max(threshold_s)
    }
}

/// Where a series stands: the median of its last few values.
pub(super) fn level_now(points: &[(f64, f64)]) -> f64 {
    median_of(&points[points.len().saturating_sub(MIN_AFTER)..], &mut Vec::new())
}

#[derive(Clone, Copy)]
struct Fit {
    cost: f64,
    at: usize,
}

/// Describes the change in `points` (time, value), oldest first. `None` when there are too few.
pub(super) fn describe(points: &[(f64, f64)]) -> Option<Change> {
    let points = &points[points.len().saturating_sub(MAX_POINTS)..];
    if points.len() < MIN_AFTER + 2 {
        return None;
    }
    let mut scratch = Vec::with_capacity(points.len());
    let mut slopes = Vec::with_capacity(points.len());
    let (mut step, mut hinge) = (Fit { cost: f64::MAX, at: 1 }, Fit { cost: f64::MAX, at: 1 });
    for at in 1..=points.len() - MIN_AFTER {
        let (before, after) = points.split_at(at);
        let level = median_of(before, &mut scratch);
        let before_cost = cost(before, |_| level);
        let new_level = median_of(after, &mut scratch);
        let step_cost = before_cost + cost(after, |_| new_level);
        if step_cost < step.cost {
            step = Fit { cost: step_cost, at };
        }
        let slope = hinge_slope(points[at - 1].0, level, after, &mut slopes);
        let hinge_cost = before_cost + cost(after, |t| level + slope * (t - points[at - 1].0));
        if hinge_cost < hinge.cost {
            hinge = Fit { cost: hinge_cost, at };
        }
    }
    let line = line_cost(points, &mut scratch);
    Some(choose(points, step, hinge, line, &mut scratch))
}

fn choose(points: &[(f64, f64)], step: Fit, hinge: Fit, line: f64, scratch: &mut Vec<f64>) -> Change {
    let drift = hinge.cost.min(line);
    let n = points.len() as f64;
    // A floor for the costs, so that noiseless series do not divide by zero.
    let ratio = (step.cost + 1e-9) / (drift + 1e-9);
    let decisive = !(1.0 / DECISIVE..=DECISIVE).contains(&ratio);
    let last = points[points.len() - 1];
    if ratio <= 1.0 {
        let (before, after) = points.split_at(step.at);
        let size_s = median_of(after, scratch) - median_of(before, scratch);
        return Change {
            kind: Kind::Step,
            onset_s: after[0].0,
            size_s,
            slope: None,
            decisive,
            scatter_s: step.cost / n,
        };
    }
    // A line that fits as well as any hinge was there from the beginning.
    let margin = if hinge.at <= BEGINNING { 1.2 } else { 0.9 };
    let begin = if line < hinge.cost * margin { 0 } else { hinge.at - 1 };
    let after = &points[begin..];
    let level = if begin == 0 { after[0].1 } else { median_of(&points[..begin], scratch) };
    let slope = theil_sen(&thin(after));
    let onset_s = if begin == 0 { after[0].0 } else { crossing(after, level, slope, scratch) };
    Change { kind: Kind::Frequency, onset_s, size_s: last.1 - level, slope, decisive, scatter_s: drift / n }
}

/// Where the fitted slope leaves the level of before: finer than the candidates.
fn crossing(after: &[(f64, f64)], level: f64, slope: Option<Line>, scratch: &mut Vec<f64>) -> f64 {
    let Some(slope) = slope.map(|s| s.slope).filter(|s| s.abs() > 0.0) else { return after[0].0 };
    scratch.clear();
    scratch.extend(after.iter().map(|(t, x)| t - (x - level) / slope));
    let onset = robust::median(scratch);
    let reach = (after[after.len() - 1].0 - after[0].0) / 4.0;
    onset.clamp(after[0].0 - reach, after[0].0 + reach)
}

/// The slope through (`from`, `level`) with the least absolute error: the median of the slopes to each point, weighted by
/// how far away it is.
fn hinge_slope(from: f64, level: f64, after: &[(f64, f64)], slopes: &mut Vec<(f64, f64)>) -> f64 {
    slopes.clear();
    slopes.extend(after.iter().filter(|(t, _)| *t > from).map(|(t, x)| ((x - level) / (t - from), t - from)));
    slopes.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = slopes.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    let middle = slopes.iter().find(|(_, weight)| {
        below += weight;
        below >= half
    });
    middle.map_or(0.0, |(slope, _)| *slope)
}

fn line_cost(points: &[(f64, f64)], scratch: &mut Vec<f64>) -> f64 {
    let Some(fit) = theil_sen(&thin(points)) else { return f64::MAX };
    scratch.clear();
    scratch.extend(points.iter().map(|(t, x)| x - fit.slope * t));
    let intercept = robust::median(scratch);
    cost(points, |t| intercept + fit.slope * t)
}

fn cost(points: &[(f64, f64)], model: impl Fn(f64) -> f64) -> f64 {
    points.iter().map(|(t, x)| (x - model(*t)).abs()).sum()
}

fn median_of(points: &[(f64, f64)], scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend(points.iter().map(|p| p.1));
    robust::median(scratch)
}

/// At most 48 points, evenly chosen: a slope does not need more, and Theil–Sen is quadratic.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points.iter().copied().step_by(points.len().div_ceil(48).max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A deterministic wiggle of ±0.3 ms, heavier now and then.
    fn wiggle(k: u32) -> f64 {
        let u = f64::from(k.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
        u * 0.6e-3 * if k % 11 == 3 { 6.0 } else { 1.0 }
    }

    fn series(n: u32, f: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..n).map(|k| (f64::from(k) * 64.0, f(f64::from(k) * 64.0) + wiggle(k))).collect()
    }

    #[test]
    fn a_step_is_a_step_at_its_time() {
        let change = describe(&series(40, |t| if t >= 2048.0 { 0.03 } else { 0.0 })).unwrap();
        assert_eq!(change.kind, Kind::Step);
        assert!((change.onset_s - 2048.0).abs() < 65.0 && (change.size_s - 0.03).abs() < 5e-4, "{change:?}");
        assert!(change.decisive);
    }

    #[test]
    fn the_beginning_of_a_drift_is_found_within_three_polls() {
        let change = describe(&series(60, |t| 8e-6 * (t - 2048.0).max(0.0))).unwrap();
        assert_eq!(change.kind, Kind::Frequency);
        assert!((change.onset_s - 2048.0).abs() < 192.0, "{change:?}");
        let slope = change.slope.unwrap();
        assert!((slope.slope - 8e-6).abs() < 0.5e-6 && slope.slope_lo < 8.3e-6 && slope.slope_hi > 7.7e-6, "{slope:?}");
    }

    #[test]
    fn a_drift_without_a_beginning_starts_with_the_window() {
        let change = describe(&series(60, |t| -25e-6 * t)).unwrap();
        assert_eq!(change.kind, Kind::Frequency);
        assert!(change.onset_s.abs() < 64.0, "{change:?}");
        assert!(change.size_s < -0.09);
    }

    #[test]
    fn too_few_points_say_nothing() {
        assert_eq!(describe(&series(5, |_| 0.0)), None);
        assert!(describe(&[(0.0, 0.0); 20]).is_some());
    }
}
