//! A fault of a clock, from its first sighting to its end: onset, kind and size.

use serde::{Deserialize, Serialize};

use super::course::Manner;
use super::track::Track;
use crate::stats::trend;
use crate::stats::verdict::{Kind, When};

/// Replies without a sighting after which a steady fault is over.
const END_AFTER: u8 = 5;
/// An intermittent fault is over when a row of good replies would be this unlikely if it went on; the row has this many
/// replies at least and at most.
const UNLIKELY: f64 = 1e-4;
const END_AFTER_GAPS: (f64, f64) = (16.0, 200.0);
/// So many replies after a change of the route do not end a fault: until then it is known how far the route moved the
/// offset.
const HELD: u8 = 20;
/// Replies that are taken to have been watched before a fault was found.
const BEFORE_FOUND: f64 = 12.0;
/// A fault that goes to and fro is over after a sixth of its replies without a sighting; replies at least and at most.
const END_AFTER_SWINGS: (u32, u32) = (16, 250);
/// A movement that is not blamed on the clock is mentioned after so many sightings.
const TOLD_AFTER: u32 = 4;
/// Onset and kind are worked out at these sightings, then kept.
const DATED_AT: [u32; 10] = [1, 3, 5, 9, 16, 24, 36, 54, 80, 120];
/// The newest values that are used to date an onset.
const SPAN: usize = 220;
/// The newest values that show that a drift has ended: 32, or 64 where noise hides it.
const LEVEL: [usize; 2] = [32, 64];
/// A slope is preferred to a step if the squares that it leaves are less than this part of those that a step leaves.
const BETTER: f64 = 0.7;

/// A fault.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Finding {
    /// The onset, on the samples' axis.
    pub since_s: f64,
    pub kind: Kind,
    /// How far the clock moved, in seconds; absent if it was wrong before its level was known.
    pub size_s: Option<f64>,
    /// The rate and half the width of its 95 % interval, in s/s.
    pub rate: Option<(f64, f64)>,
    /// The error ranges alone prove it.
    pub proven: bool,
    pub confidence: f64,
    /// Whether a verdict names it now.
    pub named: bool,
    /// When it was first named; infinity before.
    named_s: f64,
    /// Rounds since it was named last, or since it was found.
    pub unnamed: u16,
    /// Sightings so far, and replies without one since the last.
    pub sightings: u32,
    pub misses: u8,
    /// Replies in a row that showed nothing, but whose delay had just changed.
    held: u8,
    /// The level of the server when it was first named, in seconds; not a number before.
    level_s: f64,
    /// Its route changed while it was named.
    pub rerouted: bool,
    /// Replies since it was opened.
    replies: u32,
    /// The time of the last sighting.
    pub seen_s: f64,
    /// The share of bad replies, when it comes and goes.
    pub bad_share: Option<f64>,
    /// The period of a clock that goes to and fro, in seconds.
    pub period_s: Option<f64>,
    /// Replies without a sighting after which a clock that goes to and fro is right again; 0 where it does not.
    swings: u8,
    /// The onset as a wall clock time, and for which onset that was.
    pub since: Option<(f64, When)>,
}

/// What one reply shows of a fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub t_s: f64,
    pub is_seen: bool,
    pub proven: bool,
    /// The share of bad replies where they come and go.
    pub bad_share: Option<f64>,
    /// Hardly any of the last replies was right.
    pub is_steady: bool,
    /// The delay has left its usual value, so that the offset shows less.
    pub rerouted: bool,
}

impl Finding {
    pub fn new(t_s: f64) -> Self {
        Self {
            since_s: t_s,
            kind: Kind::Constant,
            size_s: None,
            rate: None,
            proven: false,
            confidence: 0.5,
            named: false,
            named_s: f64::INFINITY,
            unnamed: 0,
            sightings: 0,
            misses: 0,
            held: 0,
            level_s: f64::NAN,
            rerouted: false,
            replies: 0,
            seen_s: t_s,
            bad_share: None,
            period_s: None,
            swings: 0,
            since: None,
        }
    }

    /// Whether it was named, or seen too often to be chance.
    pub fn is_lasting(&self) -> bool {
        self.was_named() || self.sightings >= TOLD_AFTER
    }

    /// Whether it was ever named.
    pub fn was_named(&self) -> bool {
        self.named_s.is_finite()
    }

    /// Whether it is named from `t_s` on.
    pub fn name(&mut self, named: bool, t_s: f64) {
        self.named = named;
        if named {
            self.named_s = self.named_s.min(t_s);
        }
        self.unnamed = if named { 0 } else { self.unnamed.saturating_add(1) };
    }

    /// Replies without a sighting after which it is over.
    fn patience(&self) -> u8 {
        if self.kind != Kind::Intermittent && self.bad_share.is_none() {
            return END_AFTER.max(self.swings);
        }
        // It was found because several bad replies came together, so that their true share is smaller at first.
        let share = f64::from(self.sightings) / (f64::from(self.replies) + BEFORE_FOUND);
        let gap = UNLIKELY.ln() / (-share.min(0.99)).ln_1p();
        gap.clamp(END_AFTER_GAPS.0, END_AFTER_GAPS.1) as u8
    }

    /// Takes one more reply; returns whether the fault is over.
    pub fn take(&mut self, seen: Seen, track: &Track) -> bool {
        let steadied = self.bad_share.is_some() && seen.bad_share.is_none();
        self.bad_share = seen.bad_share;
        self.replies = self.replies.saturating_add(1);
        if !seen.is_seen && seen.rerouted && self.held < HELD {
            self.held += 1;
            return false;
        }
        if !seen.is_seen {
            self.misses += 1;
            return self.misses >= self.patience();
        }
        (self.misses, self.held, self.seen_s) = (0, 0, seen.t_s);
        self.sightings += 1;
        self.proven |= seen.proven;
        if self.swings > 0 {
            return false;
        }
        self.cross(track);
        // Two bad replies in a row among good ones are no step.
        if self.kind == Kind::Intermittent && !seen.is_steady {
            return false;
        }
        if DATED_AT.contains(&self.sightings) || (steadied && self.sightings < DATED_AT[9]) {
            self.date(track);
        } else if self.sightings.is_multiple_of(16) {
            self.refresh(track);
        }
        false
    }

    /// The clock goes to and fro, and has done so for `replies`.
    pub fn swings(&mut self, manner: Manner, replies: u32) {
        self.swings = (replies / 6).clamp(END_AFTER_SWINGS.0, END_AFTER_SWINGS.1) as u8;
        (self.rate, self.size_s) = (None, Some(manner.size_s));
        self.period_s = manner.period_s.or(self.period_s);
        self.kind = if self.period_s.is_some() { Kind::Periodic } else { Kind::Unsteady };
    }

    /// The clock was wrong in the other direction until lately, and has gone to and fro since `since_s`.
    pub fn turns_back(&mut self, since_s: f64) {
        (self.since_s, self.named_s, self.kind) = (since_s, since_s, Kind::Unsteady);
    }

    /// Whether the offset jumped, as a change of the path makes it do.
    pub fn is_jump(&self) -> bool {
        !self.is_swinging() && !matches!(self.kind, Kind::Frequency | Kind::Unsteady)
    }

    /// Whether the clock goes to and fro.
    pub fn is_swinging(&self) -> bool {
        self.swings > 0
    }

    /// Whether single replies may be right while it lasts.
    pub fn comes_back(&self) -> bool {
        self.is_swinging() || self.bad_share.is_some() || self.kind == Kind::Intermittent
    }

    /// It is named, by what is seen now. Later changes of its route do not change what its level was.
    pub fn named_at(&mut self, level_s: f64) {
        if self.level_s.is_nan() {
            self.level_s = level_s;
        }
    }

    /// The level that the clock left, where the present one is `now_s`.
    pub fn left_s(&self, now_s: f64) -> f64 {
        if self.level_s.is_nan() { now_s } else { self.level_s }
    }

    /// It may be over: one more reply without a sighting ends it.
    pub fn is_in_question(&mut self) {
        (self.named, self.proven, self.bad_share) = (false, false, None);
        self.misses = self.patience().saturating_sub(2);
    }

    /// The clock is now wrong in the other direction. It may be right in between, so the fault ends later.
    pub fn turns(&mut self) {
        self.swings = self.swings.max(END_AFTER_SWINGS.0 as u8);
    }

    /// Bad replies have come and gone since `first_s`; the newest of them are off by `size_s`. An error of at least
    /// `least_s` is proven: if they are off by less, their level is not that of a right clock.
    pub fn comes_and_goes(&mut self, first_s: f64, size_s: Option<f64>, least_s: f64) {
        if self.swings > 0 || self.sightings > DATED_AT[5] && self.kind != Kind::Intermittent {
            return;
        }
        (self.kind, self.rate) = (Kind::Intermittent, None);
        self.since_s = self.since_s.min(first_s);
        self.size_s = size_s.or(self.size_s).filter(|size_s| !self.proven || size_s.abs() >= least_s);
    }

    /// Works out onset, kind and size.
    fn date(&mut self, track: &Track) {
        if self.bad_share.is_some() {
            return;
        }
        if track.usual.is_none() {
            self.date_from_start(track);
            return;
        }
        let points = track.deviations(SPAN);
        let whole = track.first_s().is_some() && track.count as usize <= SPAN;
        let Some(shape) = shape(&points, track.sigma_s(), track.slow_s(), whole) else { return };
        if shape.size_s.abs() < 2.0 * track.sigma_s() {
            self.see_trend(track);
            return;
        }
        // A drift that has ended looks like a step from afar.
        let was = self.rate.map(|(rate, _)| rate);
        let is_other = |rate: f64| shape.rate.is_none_or(|(now, _)| (now - rate).abs() > 0.1 * rate.abs());
        if self.sightings > 9 && was.is_some_and(is_other) {
            return;
        }
        let from_start = track.first_s().filter(|_| shape.from_start);
        let since_s = from_start.unwrap_or(shape.onset_s);
        // What began after it was named is a later movement of the same fault.
        if since_s > self.named_s {
            self.size_s = Some(shape.size_s).filter(|_| self.rate.is_none()).or(self.size_s);
            return;
        }
        self.since_s = since_s;
        self.size_s = Some(shape.size_s);
        self.rate = shape.rate;
        self.kind = match (self.rate, from_start) {
            (Some(_), _) => Kind::Frequency,
            (None, Some(_)) => Kind::Constant,
            (None, None) => Kind::Step,
        };
    }

    /// Dates a fault back to the first value, if no level was known before it.
    fn date_from_start(&mut self, track: &Track) {
        let Some(first_s) = track.first_s() else { return };
        self.since_s = self.since_s.min(first_s);
        (self.kind, self.size_s, self.rate) = (Kind::Constant, None, None);
        self.see_trend(track);
    }

    /// Looks for a drift since the first value, which the level has followed.
    fn see_trend(&mut self, track: &Track) {
        let points = track.deviations(SPAN);
        let Some((first_s, line)) = track.first_s().zip(line(&points)).filter(|_| points.len() >= 12) else { return };
        let level: f64 = points.iter().map(|(_, y, w)| w * y * y).sum();
        let half = half_width(&points, &line, track.slow_s());
        if line.rest < 0.5 * level && line.rate.abs() > 4.0 * half {
            self.since_s = self.since_s.min(first_s);
            let half = half.max(wander(&points, &line));
            (self.kind, self.rate) = (Kind::Frequency, Some((line.rate, half)));
        }
    }

    /// Whether the drift has ended: the newest values rise at less than half of its rate.
    fn has_levelled(&self, track: &Track) -> bool {
        let Some((rate, _)) = self.rate else { return false };
        LEVEL.into_iter().any(|count| {
            let points = track.deviations(count);
            let is_known = |line: &Line| half_width(&points, line, track.slow_s()) < 0.25 * rate.abs();
            line(&points).filter(is_known).is_some_and(|line| line.rate * rate.signum() < 0.5 * rate.abs())
        })
    }

    /// Corrects the size of a clock that was set from one side of the others to the other side.
    fn cross(&mut self, track: &Track) {
        let Some((size_s, (now_s, _))) = self.size_s.zip(track.recent()) else { return };
        if self.rate.is_none() && now_s * size_s.signum() < -0.5 * size_s.abs() {
            self.size_s = Some(now_s);
        }
    }

    /// Updates size and rate of a drift that goes on.
    fn refresh(&mut self, track: &Track) {
        let points = track.deviations(32);
        if points.is_empty() || self.size_s.is_none() {
            return;
        }
        if self.rate.is_some() {
            let all = track.deviations(SPAN);
            let late: Vec<_> = all.into_iter().filter(|p| p.0 >= self.since_s).collect();
            if let Some(line) = line(&late).filter(|_| late.len() >= 24 && !self.has_levelled(track)) {
                // Another rate is another fault.
                let is_same =
                    self.rate.is_some_and(|(rate, half)| (line.rate - rate).abs() < (0.3 * rate.abs()).max(half));
                let half = half_width(&late, &line, track.slow_s()).max(wander(&late, &line));
                if is_same && line.rate.abs() > half {
                    self.rate = Some((line.rate, half));
                }
            }
            self.size_s = points.last().map(|p| p.1);
        }
    }
}

/// A step decays if it loses this part of its mean size.
const DECAYED: f64 = 0.3;

/// The step or slope that was fitted to a series.
#[derive(Debug, Clone, Copy)]
struct Shape {
    onset_s: f64,
    size_s: f64,
    rate: Option<(f64, f64)>,
    from_start: bool,
}

/// The step or slope that explains the deviations best by least squares; before it they are zero.
fn shape(points: &[(f64, f64, f64)], sigma_s: f64, slow_s: f64, whole: bool) -> Option<Shape> {
    if points.len() < 4 {
        return None;
    }
    let limit = if sigma_s.is_finite() { 6.0 * sigma_s } else { f64::INFINITY };
    let robust = winsorised(points, limit);
    let all: f64 = robust.iter().map(|(_, y, w)| w * y * y).sum();
    let last_s = robust.last()?.0;
    // Sums over the points from each index on, with times from the last.
    let (mut w1, mut wy, mut wt, mut wtt, mut wty) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut step, mut hinge) = ((f64::INFINITY, 0, 0.0), (f64::INFINITY, 0, 0.0));
    for (i, (t_s, y, w)) in robust.iter().enumerate().rev() {
        let t = t_s - last_s;
        (w1, wy, wt, wtt, wty) = (w1 + w, wy + w * y, wt + w * t, wtt + w * t * t, wty + w * t * y);
        let size = wy / w1;
        let rest = all - size * wy;
        if rest < step.0 {
            step = (rest, i, size);
        }
        let (st, stt) = (wty - t * wy, wtt - 2.0 * t * wt + t * t * w1);
        if i + 4 <= robust.len() && stt > 0.0 {
            let slope = st / stt;
            let rest = all - slope * st;
            if rest < hinge.0 {
                hinge = (rest, i, slope);
            }
        }
    }
    let (first_s, span_s) = (robust[0].0, last_s - robust[0].0);
    let line = line(&robust);
    // A slope without a visible beginning: it is zero in its middle, or before all values that are kept.
    if let Some(line) = line.filter(|l| l.rest < BETTER * step.0.min(hinge.0) && robust.len() >= 12) {
        let rate = Some((line.rate, half_width(&robust, &line, slow_s).max(wander(&robust, &line))));
        let size_s = if whole { line.rate * span_s } else { line.at(last_s) };
        let onset_s = if whole { first_s } else { line.zero_s().min(first_s) };
        return Some(Shape { onset_s, size_s, rate, from_start: whole });
    }
    let is_slope = hinge.0 < BETTER * step.0 && robust.len() - hinge.1 >= 8;
    let (rest, at, value) = if is_slope { hinge } else { step };
    let from_start = whole && at <= 1;
    // A step during a silence is seen only after it.
    let before_s = if at == 0 { first_s } else { robust[at - 1].0 };
    let before_s = before_s.max(robust[at].0 - 2.0 * span_s / robust.len() as f64);
    if !is_slope {
        let size_s = size_at_onset(&points[at..], value, sigma_s);
        return Some(Shape { onset_s: 0.5 * (before_s + robust[at].0), size_s, rate: None, from_start });
    }
    let onset_s = robust[at].0;
    let late = &robust[at..];
    let spread: f64 = late.iter().map(|(t_s, _, w)| w * (t_s - onset_s).powi(2)).sum();
    let variance = rest / robust.len() as f64;
    let half = half(variance, slow_s, spread);
    Some(Shape { onset_s, size_s: value * (last_s - onset_s), rate: Some((value, half)), from_start })
}

/// The size of a step at its onset, where `mean` is that of all values since: a server that is slewed back is nearer
/// later.
fn size_at_onset(since: &[(f64, f64, f64)], mean: f64, sigma_s: f64) -> f64 {
    let clear: Vec<f64> = since.iter().filter(|(_, _, w)| *w >= 0.5).map(|(_, y, _)| *y).collect();
    let (Some(first), Some(last)) = (clear.first(), clear.last()) else { return mean };
    let fallen_s = (first - last) * mean.signum();
    let decays = fallen_s > DECAYED * mean.abs() && fallen_s > 8.0 * sigma_s && first.abs() > mean.abs();
    if decays { *first } else { mean }
}

/// Wander makes the variance of a mean larger than white noise does, for offsets on the Internet by about this factor.
const CORRELATED: f64 = 3.0;
/// Values in the longest means whose noise is learned, and how much their correlation adds to the variance.
const SLOW: f64 = 32.0;
const SLOW_CORRELATED: f64 = 2.0;

/// Half of the 95 % interval of a rate, where `variance` is that of single values, `slow_s` the standard deviation of
/// means of [`SLOW`] before the fault, and `spread` the sum of the squares of times. The residuals of the best line do
/// not show wander that is as slow as the line is long.
fn half(variance: f64, slow_s: f64, spread: f64) -> f64 {
    let slow = if slow_s.is_finite() { SLOW_CORRELATED * SLOW * slow_s * slow_s } else { 0.0 };
    2.0 * ((CORRELATED * variance + slow) / spread.max(1e-12)).sqrt()
}

struct Line {
    rate: f64,
    rest: f64,
    /// A point on it.
    through: (f64, f64),
}

impl Line {
    fn at(&self, t_s: f64) -> f64 {
        self.through.1 + self.rate * (t_s - self.through.0)
    }

    fn zero_s(&self) -> f64 {
        self.through.0 - self.through.1 / self.rate
    }
}

fn line(points: &[(f64, f64, f64)]) -> Option<Line> {
    let (w1, wt, wy) = points.iter().fold((0.0, 0.0, 0.0), |(a, b, c), (t, y, w)| (a + w, b + w * t, c + w * y));
    let (mt, my) = (wt / w1, wy / w1);
    let (mut stt, mut sty, mut syy) = (0.0, 0.0, 0.0);
    for (t, y, w) in points {
        (stt, sty, syy) = (stt + w * (t - mt).powi(2), sty + w * (t - mt) * (y - my), syy + w * (y - my).powi(2));
    }
    (stt > 0.0).then(|| Line { rate: sty / stt, rest: syy - sty * sty / stt, through: (mt, my) })
}

fn half_width(points: &[(f64, f64, f64)], line: &Line, slow_s: f64) -> f64 {
    let n = points.len() as f64;
    let (first_s, last_s) = (points[0].0, points[points.len() - 1].0);
    half(line.rest / n, slow_s, n * (last_s - first_s).powi(2) / 12.0)
}

/// Half of the 95 % interval of a rate, from the wander of the values about the line. If a clock drifts from the start,
/// nothing else is known about its wander.
fn wander(points: &[(f64, f64, f64)], line: &Line) -> f64 {
    let points: Vec<_> = points.iter().map(|(t_s, y_s, _)| (*t_s, *y_s)).collect();
    trend::wander_half_width(&points, line.rate).unwrap_or(0.0)
}

/// Limits each value to its neighbours' range widened by `limit` on both sides: one odd reply is no step.
fn winsorised(points: &[(f64, f64, f64)], limit: f64) -> Vec<(f64, f64, f64)> {
    let at = |i: usize| points[i].1;
    let last = points.len() - 1;
    let of = |i: usize| {
        let (t, y, w) = points[i];
        if i == 0 || i == last {
            return (t, y, w);
        }
        let (low, high) = (at(i - 1).min(at(i + 1)) - limit, at(i - 1).max(at(i + 1)) + limit);
        (t, if low < high { y.clamp(low, high) } else { y }, w)
    };
    (0..points.len()).map(of).collect()
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
