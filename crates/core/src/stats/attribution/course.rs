//! The course of a server since it was found wrong, however long that lasts, as means over equal spans. It shows a
//! clock that goes to and fro, which no step and no drift describes and for which the window of single values is too
//! short.

use serde::{Deserialize, Serialize};

/// Means that are kept. When there are more, neighbours are joined.
const MOST: usize = 64;
/// Means that a judgement needs, and that it needs for a period.
const LEAST: usize = 12;
const LEAST_FOR_PERIOD: usize = 24;
/// A course that leaves the best line by so many standard deviations (root mean square) is no step and no drift.
const UNFIT: f64 = 3.0;
/// The same for its size.
const LARGE: f64 = 6.0;
/// Neighbouring means differ by at most this part of the range: a jump that is set back is no going to and fro.
const JUMP: f64 = 0.35;
/// At least a third of the means are further than this part of the range from both ends. A step that is slewed back
/// stays near the ends.
const BETWEEN: f64 = 0.15;
/// It comes back by this part of its range, and by [`LARGE`] standard deviations; a noisy drift does not.
const BACK: f64 = 0.1;
/// A course is periodic if it resembles itself so well one period later, and differs by so much half-way.
const ALIKE: f64 = 0.8;
const UNLIKE: f64 = -0.2;
/// The shortest period, in means.
const SHORTEST: usize = 6;

/// How a clock goes to and fro.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Manner {
    /// Half of its range, in seconds.
    pub size_s: f64,
    /// The period in seconds, once two of them were seen.
    pub period_s: Option<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Course {
    begin_s: f64,
    until_s: f64,
    means: Vec<f32>,
    /// Replies in each mean.
    length: u32,
    sum: f64,
    /// Replies in the mean that is not complete.
    open: u32,
    /// Replies since the server was last found wrong.
    quiet: u32,
    /// How far it was off then, in seconds, and since when it was wrong.
    last_s: f32,
    since_s: f64,
}

impl Course {
    pub fn new(t_s: f64) -> Self {
        let means = Vec::new();
        Self { begin_s: t_s, until_s: t_s, means, length: 1, sum: 0.0, open: 0, quiet: 0, last_s: 0.0, since_s: t_s }
    }

    /// The server was found wrong, by `size_s`, and has been since `since_s`.
    pub fn found(&mut self, size_s: f64, since_s: f64) {
        (self.quiet, self.last_s, self.since_s) = (0, size_s as f32, since_s);
    }

    /// Whether the server was right for more than half of its course.
    pub fn is_over(&self) -> bool {
        self.quiet * 2 > self.replies()
    }

    /// Since when the server has gone to and fro, if it was wrong in the other direction until lately, is off by `size_s`
    /// now, and has not jumped: between the two, it only passed the right time.
    pub fn turned(&self, size_s: f64) -> Option<f64> {
        let is_turn = size_s * f64::from(self.last_s) < 0.0 && !self.is_over();
        let values: Vec<f64> = self.means.iter().filter(|_| is_turn).map(|m| f64::from(*m)).collect();
        let (low, high) = range(&values);
        (is_turn && largest_jump(&values) <= JUMP * (high - low)).then_some(self.since_s)
    }

    /// Takes one value; returns whether a mean was completed.
    pub fn push(&mut self, t_s: f64, value_s: f64) -> bool {
        self.until_s = t_s;
        (self.sum, self.open, self.quiet) = (self.sum + value_s, self.open + 1, self.quiet + 1);
        if self.open < self.length {
            return false;
        }
        self.means.push((self.sum / f64::from(self.open)) as f32);
        (self.sum, self.open) = (0.0, 0);
        if self.means.len() > MOST {
            // The odd one is the beginning of the next mean.
            self.sum = self.means.pop().map_or(0.0, |odd| f64::from(odd) * f64::from(self.length));
            self.open = self.length;
            self.means = self.means.chunks_exact(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect();
            self.length *= 2;
        }
        true
    }

    /// Replies so far.
    pub fn replies(&self) -> u32 {
        self.length * self.means.len() as u32 + self.open
    }

    /// Whether the clock goes to and fro. `sigma_s` is the standard deviation of the mean of so many replies.
    pub fn manner(&self, sigma_s: impl Fn(u32) -> f64) -> Option<Manner> {
        if self.means.len() < LEAST {
            return None;
        }
        let values: Vec<f64> = self.means.iter().map(|m| f64::from(*m)).collect();
        // Queues make the noise of a path larger than it was when it was learned.
        let sigma_s = sigma_s(self.length).max(noise(&values));
        let range = range(&values);
        let size_s = 0.5 * (range.1 - range.0);
        let is_smooth = largest_jump(&values) <= JUMP * (range.1 - range.0);
        let is_between = |v: &&f64| (BETWEEN..1.0 - BETWEEN).contains(&((**v - range.0) / (range.1 - range.0)));
        let is_smooth = is_smooth && values.iter().filter(is_between).count() * 3 >= values.len();
        let back_s = turned_back(&values);
        let is_back = back_s >= BACK * (range.1 - range.0) && back_s > LARGE * sigma_s;
        // False if the noise is not known, which makes `sigma_s` infinite.
        let is_to_and_fro = is_smooth && is_back && rest(&values) > UNFIT * sigma_s && size_s > LARGE * sigma_s;
        is_to_and_fro.then(|| Manner { size_s, period_s: self.period_s(&values) })
    }

    fn period_s(&self, values: &[f64]) -> Option<f64> {
        if values.len() < LEAST_FOR_PERIOD {
            return None;
        }
        let middle = values.iter().sum::<f64>() / values.len() as f64;
        let likeness: Vec<f64> = (0..=values.len() / 2).map(|lag| likeness(values, middle, lag)).collect();
        // The first peak: those that follow are multiples of the period.
        let differs = likeness.iter().position(|l| *l < UNLIKE)?;
        let begin = differs + likeness[differs..].iter().position(|l| *l >= ALIKE)?;
        let end = begin + likeness[begin..].iter().position(|l| *l < ALIKE).unwrap_or(likeness.len() - begin);
        let best = (begin..end).max_by(|a, b| likeness[*a].total_cmp(&likeness[*b]))?;
        // At the longest lag, the likeness may still be rising.
        let is_peak = best + 1 < likeness.len() && best >= SHORTEST;
        let each_s = (self.until_s - self.begin_s) / f64::from(self.replies().max(1));
        is_peak.then(|| best as f64 * f64::from(self.length) * each_s)
    }
}

/// The smallest and the largest value.
fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |r, v| (r.0.min(*v), r.1.max(*v)))
}

/// The largest difference of two neighbours.
fn largest_jump(values: &[f64]) -> f64 {
    values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max)
}

/// The standard deviation of white noise that has the second differences of this series.
fn noise(values: &[f64]) -> f64 {
    let squares = values.windows(3).map(|v| (v[0] - 2.0 * v[1] + v[2]).powi(2)).sum::<f64>();
    (squares / (6.0 * values.len().saturating_sub(2).max(1) as f64)).sqrt()
}

/// How far a series rises after it fell, or falls after it rose: the smaller of its largest rise and its largest fall.
/// One mean that stands out is neither.
fn turned_back(values: &[f64]) -> f64 {
    let middle = |v: &[f64]| v[0].max(v[1]).min(v[0].min(v[1]).max(v[2]));
    let values: Vec<f64> = values.windows(3).map(middle).collect();
    let largest = |sign: f64| {
        let (mut lowest, mut most) = (f64::INFINITY, 0.0_f64);
        for value in values.iter().map(|value| sign * value) {
            lowest = lowest.min(value);
            most = most.max(value - lowest);
        }
        most
    };
    largest(1.0).min(largest(-1.0))
}

/// The correlation of a series with itself `lag` values later.
fn likeness(values: &[f64], middle: f64, lag: usize) -> f64 {
    let pairs = values.iter().zip(&values[lag..]);
    let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (a - middle, b - middle);
        (both, one, other) = (both + a * b, one + a * a, other + b * b);
    }
    if one > 0.0 && other > 0.0 { both / (one * other).sqrt() } else { 0.0 }
}

/// The root mean square of what the best line leaves.
fn rest(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let (t0, y0) = (0.5 * (n - 1.0), values.iter().sum::<f64>() / n);
    let (mut tt, mut ty, mut yy) = (0.0, 0.0, 0.0);
    for (k, y) in values.iter().enumerate() {
        let (t, y) = (k as f64 - t0, y - y0);
        (tt, ty, yy) = (tt + t * t, ty + t * y, yy + y * y);
    }
    ((yy - ty * ty / tt) / n).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::world::Dice;

    /// When the course was first judged to go to and fro, and to be periodic, in polls.
    fn judged(polls: u32, value_s: impl Fn(f64) -> f64) -> (Option<u32>, Option<(u32, f64)>) {
        let (mut course, mut dice) = (Course::new(0.0), Dice::new(5));
        let (mut unsteady, mut periodic) = (None, None);
        for k in 0..polls {
            let t_s = f64::from(k) * 64.0;
            if !course.push(t_s, value_s(t_s) + 2e-4 * dice.normal()) {
                continue;
            }
            if let Some(manner) = course.manner(|n| 2e-4 / f64::from(n.min(32)).sqrt()) {
                unsteady = unsteady.or(Some(k));
                periodic = periodic.or(manner.period_s.map(|period_s| (k, period_s)));
            }
        }
        (unsteady, periodic)
    }

    #[test]
    fn slow_sinusoid_is_unsteady_and_after_two_periods_periodic() {
        let day_s = 86_400.0;
        let (unsteady, periodic) = judged(3200, |t_s| 5e-3 * (TAU * t_s / day_s).sin());
        let polls = day_s / 64.0;
        assert!(unsteady.is_some_and(|k| f64::from(k) < 0.4 * polls), "{unsteady:?}");
        let (k, period_s) = periodic.unwrap();
        assert!((1.9..2.3).contains(&(f64::from(k) / polls)), "{k}");
        assert!((period_s / day_s - 1.0).abs() < 0.06, "{period_s}");
    }

    #[test]
    fn smooth_turn_to_the_other_side_continues_the_course() {
        let turned = |value_s: fn(f64) -> f64, replies: u32, size_s: f64| {
            let mut course = Course::new(0.0);
            for k in 0..replies {
                let value_s = value_s(f64::from(k));
                course.push(64.0 * f64::from(k), value_s);
                if value_s > 1e-3 {
                    course.found(value_s, -640.0);
                }
            }
            course.turned(size_s)
        };
        let half_wave = |k: f64| 5e-3 * (TAU * k / 80.0).sin();
        let step = |k: f64| if k < 40.0 { 5e-3 } else { 0.0 };
        assert_eq!((turned(half_wave, 44, -1e-3), turned(half_wave, 44, 1e-3)), (Some(-640.0), None));
        assert_eq!((turned(step, 50, -1e-3), turned(half_wave, 20, -1e-3)), (None, Some(-640.0)));
        let long_right = |k: f64| 5e-3 * (TAU * k.min(40.0) / 80.0).sin();
        assert_eq!(turned(long_right, 90, -1e-3), None);
    }

    #[test]
    fn steps_and_drifts_do_not_go_to_and_fro() {
        assert_eq!(judged(2000, |_| 5e-3), (None, None));
        assert_eq!(judged(2000, |t_s| 5e-6 * t_s), (None, None));
        assert_eq!(judged(2000, |t_s| 5e-6 * t_s + 5e-3 * (t_s / 20_000.0).min(1.0)), (None, None), "its rate falls");
        let queues = |t_s: f64| if ((t_s / 64.0) as u32 + 8).is_multiple_of(13) { 4e-3 } else { 0.0 };
        assert_eq!(judged(300, |t_s| 1e-6 * t_s + queues(t_s)), (None, None), "a drift behind queues");
        let slewed_back = |t_s: f64| (5e-3 - 5e-6 * (t_s - 60_000.0).max(0.0)).max(0.0);
        assert_eq!(judged(940, slewed_back), (None, None));
        let step = |t_s: f64| 3e-2 - 1e-5 * (t_s - 6000.0).clamp(0.0, 3000.0);
        let odd = |t_s: f64| if t_s == 64.0 * 40.0 { -2e-2 } else { 0.0 };
        assert_eq!(judged(150, |t_s| step(t_s) + odd(t_s)), (None, None), "one odd value and a return");
        assert_eq!(
            judged(2000, |t_s| if ((t_s / 9000.0) as u32).is_multiple_of(3) { 5e-3 } else { 0.0 }),
            (None, None)
        );
    }
}
