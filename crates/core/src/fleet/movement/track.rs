//! The movement of one clock against all others, round by round, and whether it moved more than it usually does.

use std::collections::VecDeque;

use super::super::grid::PHI;
use super::super::median::median;

/// Points that are kept.
const KEPT: usize = 96;
/// Differences from which the usual noise is learned.
const LEARNED: usize = 64;
/// A finding needs this many times the usual scatter.
const SIGMAS: f64 = 6.0;
/// Limits are wider while few differences are known: twice as wide at this number of them.
const UNSURE: f64 = 8.0;
/// A movement that grows by this factor after it was found is a drift.
const GROWS: f64 = 1.8;
/// After a pause of more than so many usual spacings, the clock may have wandered.
const GAP: i64 = 6;
/// Rounds for which the difference between a clock and the middle of all others is kept.
const STANDINGS: usize = 16;
/// A movement beyond so many times the distance to the others is no repair.
const BEYOND: f64 = 1.5;
/// From the largest tenth of absolute values to a standard deviation.
const FROM_TENTH: f64 = 1.645;
/// A finding needs this many times the scatter of a reading.
const GRAINS: f64 = 6.0;
/// From the median of absolute values to a standard deviation.
const FROM_MEDIAN: f64 = 1.4826;
/// Movements below this are not worth a finding, in seconds.
const SMALLEST_S: f64 = 1e-5;
/// A movement lapses after this time, in nanoseconds: the present level becomes the usual one.
const LAPSES_NS: i64 = 12 * 3600 * 1_000_000_000;

/// The numbers of newest points and of points before them whose medians are compared, for fast and for slow changes.
const SCALES: [(usize, usize); 2] = [(3, 8), (8, 32)];
/// Differences that must be known before a scale is used. Those of the slow scale are correlated, so more are needed.
const NEEDED: [usize; 2] = [8, 24];

/// How a clock moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fleet) enum MoveKind {
    Step,
    Drift,
}

/// A movement that was found and has not ended.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::fleet) struct Moved {
    pub since_ns: i64,
    pub kind: MoveKind,
    /// How far the clock is now from its level before, in seconds.
    pub by_s: f64,
    /// The half-width within which `by_s` is known.
    pub within_s: f64,
    /// The level before.
    level_s: f64,
    peak_s: f64,
    found_s: f64,
    returned: usize,
    /// The clock less the middle of all others before it moved, in seconds; `None` until it is judged.
    stood_s: Option<f64>,
    /// A distance within this may be that of the paths.
    hidden_s: f64,
}

impl Moved {
    /// The clock less the middle of all others before it moved, in seconds.
    pub fn stood_s(&self) -> f64 {
        self.stood_s.unwrap_or(0.0)
    }

    /// Whether the clock is being repaired, or seems to be back where it was.
    pub fn is_returning(&self) -> bool {
        self.is_repair() || self.returned > 0
    }

    /// Whether the clock moves to where the others are, and not as far beyond. This ends when the clock rests.
    pub fn is_repair(&self) -> bool {
        let stood_s = self.stood_s();
        stood_s.abs() > self.hidden_s && stood_s * self.by_s < 0.0 && self.by_s.abs() < BEYOND * stood_s.abs()
    }
}

/// The course of one party's clock.
#[derive(Debug, Clone, Default)]
pub(in crate::fleet) struct Track {
    points: VecDeque<(i64, f64)>,
    /// The position of the clock in seconds, against the others and its own beginning.
    pub position_s: f64,
    usual: [VecDeque<f64>; SCALES.len()],
    /// The scatter of the readings behind a point.
    grain_s: f64,
    pending: usize,
    /// How far the clock may have wandered in a pause, and for how many more points this matters.
    doubt_s: f64,
    doubtful: usize,
    /// When the last pause ended.
    resumed_ns: i64,
    /// The clock less the middle of all others in the last rounds, newest last.
    standings: VecDeque<f64>,
    pub moved: Option<Moved>,
}

impl Track {
    /// Adds the position of a round. `noise_s` is the scatter of the readings behind it.
    pub fn push(&mut self, at_ns: i64, position_s: f64, noise_s: f64) {
        self.position_s = position_s;
        self.pause(at_ns);
        self.grain_s += if self.points.is_empty() { noise_s } else { 0.1 * (noise_s - self.grain_s) };
        if self.points.len() == KEPT {
            self.points.pop_front();
        }
        self.points.push_back((at_ns, position_s));
        if self.moved.is_some() {
            self.follow(at_ns);
        } else {
            self.look();
        }
        self.doubtful = self.doubtful.saturating_sub(1);
        if self.doubtful == 0 {
            self.doubt_s = 0.0;
        }
    }

    /// After a pause, only the last points before it are kept. Meanwhile the clock may have wandered further than
    /// between two rounds, but no further than its rate in a usual slow change allows.
    fn pause(&mut self, at_ns: i64) {
        let count = self.points.len();
        if count < 2 {
            return;
        }
        let (first, last) = (self.points[0], self.points[count - 1]);
        let spacing_ns = (last.0 - first.0) / (count as i64 - 1);
        if at_ns - last.0 <= GAP.saturating_mul(spacing_ns) {
            return;
        }
        let rounds = (at_ns - last.0) as f64 / spacing_ns.max(1) as f64;
        let (newest, before) = SCALES[1];
        let apart = (newest + before) as f64 / 2.0;
        let by_rate_s = PHI * (at_ns - last.0) as f64 / 1e9;
        let slow_s = limit_s(&self.usual[1], 1, self.grain_s).unwrap_or(f64::INFINITY);
        self.doubt_s = by_rate_s.min(slow_s * (rounds / apart).max(1.0));
        self.doubtful = SCALES[0].0 + SCALES[0].1;
        self.resumed_ns = at_ns;
        self.points.drain(..count.saturating_sub(SCALES[0].1));
        self.pending = 0;
    }

    /// Notes the difference between the clock and the middle of all others.
    pub fn stand(&mut self, standing_s: f64) {
        if self.standings.len() == STANDINGS {
            self.standings.pop_front();
        }
        self.standings.push_back(standing_s);
    }

    /// Compares a movement that was just found with where the clock stood before. A distance within `hidden_s` may be that
    /// of the paths.
    pub fn weigh(&mut self, hidden_s: f64) {
        let before: Vec<f64> = self.standings.iter().rev().skip(SCALES[0].0 + 1).copied().collect();
        if let Some(moved) = self.moved.as_mut().filter(|moved| moved.stood_s.is_none()) {
            moved.stood_s = Some(median(before));
            moved.hidden_s = hidden_s;
        }
    }

    /// Makes the present position the usual one, and ends the movement.
    pub fn rebase(&mut self) {
        let newest = self.points.len().saturating_sub(SCALES[0].0);
        self.points.drain(..newest);
        self.moved = None;
        self.pending = 0;
    }

    /// The scatter from one round to the next, as a standard deviation.
    pub fn noise_s(&self) -> Option<f64> {
        let steps: Vec<_> =
            self.points.iter().zip(self.points.iter().skip(1)).map(|(a, b)| (b.1 - a.1).abs()).collect();
        (steps.len() >= NEEDED[0]).then(|| (FROM_MEDIAN * median(steps)).max(self.grain_s))
    }

    /// By how much the position of this round differs from the usual one, without waiting for a second sighting.
    pub fn jump_s(&self) -> f64 {
        if let Some(moved) = &self.moved {
            return self.position_s - moved.level_s;
        }
        let (newest, before) = SCALES[0];
        let last: Vec<_> = self.points.iter().rev().skip(newest).take(before).map(|point| point.1).collect();
        if last.is_empty() { 0.0 } else { self.position_s - median(last) }
    }

    /// Whether the clock moved back, or by more than `least_s` just now without having moved before.
    pub fn is_repaired(&self, least_s: f64) -> bool {
        match &self.moved {
            Some(moved) => moved.is_returning() || moved.by_s.abs() < 0.5 * moved.peak_s,
            None => self.jump_s().abs() > least_s,
        }
    }

    /// The usual rate of change in seconds a second, robust against steps.
    pub fn rate(&self) -> f64 {
        let newest = self.points.iter().rev().take(9);
        let rates: Vec<_> = newest
            .clone()
            .zip(newest.skip(1))
            .map(|(b, a)| (b.1 - a.1) / ((b.0 - a.0) as f64 / 1e9).max(1e-3))
            .collect();
        if rates.len() < 4 { 0.0 } else { median(rates) }
    }

    /// How far a clock that is known to drift moves in a round, in seconds, without sign; zero for others.
    pub fn drift_s(&self, round_s: f64) -> f64 {
        let is_drifting = self.moved.as_ref().is_some_and(|moved| moved.kind == MoveKind::Drift);
        if is_drifting { self.rate().abs() * round_s } else { 0.0 }
    }

    /// Compares the newest points with those before, at every scale.
    fn look(&mut self) {
        let mut found = None;
        for (scale, (newest, before)) in SCALES.into_iter().enumerate() {
            let Some((now_s, level_s)) = self.medians(newest, before) else { continue };
            let difference_s = now_s - level_s;
            let usual = &mut self.usual[scale];
            let limit_s = limit_s(usual, scale, self.grain_s).map(|limit_s| limit_s + self.doubt_s);
            if difference_s.abs() <= limit_s.unwrap_or(f64::INFINITY) {
                // What a pause may have caused is not usual.
                if self.doubt_s == 0.0 {
                    if usual.len() == LEARNED {
                        usual.pop_front();
                    }
                    usual.push_back(difference_s.abs());
                }
            } else if found.is_none() {
                found = Some((level_s, difference_s, limit_s.unwrap_or(0.0)));
            }
        }
        match found {
            None => self.pending = 0,
            Some(_) if self.pending == 0 => self.pending = 1,
            Some((level_s, by_s, limit_s)) => {
                self.pending = 0;
                self.begin(level_s, by_s, limit_s);
            }
        }
    }

    fn medians(&self, newest: usize, before: usize) -> Option<(f64, f64)> {
        let points = self.points.len();
        if points < newest + before.min(16) {
            return None;
        }
        let of =
            |skip: usize, take: usize| median(self.points.iter().rev().skip(skip).take(take).map(|it| it.1).collect());
        Some((of(0, newest), of(newest, before)))
    }

    fn begin(&mut self, level_s: f64, by_s: f64, limit_s: f64) {
        let first = self.displaced_from(level_s, by_s, 0.5);
        let at = |index: usize| self.points[index.min(self.points.len() - 1)];
        let before = at(first.saturating_sub(1));
        let jump_s = at(first).1 - before.1;
        let is_step = first > 0 && jump_s.abs() > 0.4 * by_s.abs() && jump_s.signum() == by_s.signum();
        let (kind, since_ns) = if is_step && before.0 < self.resumed_ns && self.resumed_ns <= at(first).0 {
            // It happened at an unknown time in a pause. It is wrong at least since the end of that.
            (MoveKind::Step, self.resumed_ns)
        } else if is_step {
            // It happened between two rounds, and is dated in the middle.
            (MoveKind::Step, before.0 + (at(first).0 - before.0) / 2)
        } else {
            (MoveKind::Drift, self.drift_onset(level_s, by_s))
        };
        let moved = Moved {
            since_ns,
            kind,
            by_s,
            within_s: limit_s / 2.0,
            level_s,
            peak_s: by_s.abs(),
            found_s: by_s.abs(),
            returned: 0,
            stood_s: None,
            hidden_s: 0.0,
        };
        self.moved = Some(moved);
    }

    /// The first of the newest stretch of points that are all displaced by this share.
    fn displaced_from(&self, level_s: f64, by_s: f64, share: f64) -> usize {
        let displaced = |point: &&(i64, f64)| (point.1 - level_s) * by_s.signum() > share * by_s.abs();
        self.points.len() - self.points.iter().rev().take_while(displaced).count().max(1)
    }

    /// Where a line through the displaced points meets the level before.
    fn drift_onset(&self, level_s: f64, by_s: f64) -> i64 {
        let first = self.displaced_from(level_s, by_s, 0.25);
        let points: Vec<_> = self.points.iter().skip(first.min(self.points.len() - 1)).collect();
        let start = points[0];
        let end = points[points.len() - 1];
        let span_s = (end.0 - start.0) as f64 / 1e9;
        let rate = (end.1 - start.1) / span_s.max(1e-3);
        if span_s <= 0.0 || rate.abs() < 1e-12 {
            return start.0;
        }
        // If the clock jumped to the line, the jump is the onset.
        let last = self.points[first.saturating_sub(1)];
        let jump_s = (start.1 - last.1) - rate * ((start.0 - last.0) as f64 / 1e9);
        if jump_s * by_s.signum() > 0.5 * by_s.abs() {
            return last.0 + (start.0 - last.0) / 2;
        }
        let back_s = ((start.1 - level_s) / rate).clamp(0.0, 4.0 * span_s + 600.0);
        // A clock that is slewed moves fastest at the beginning, so the line is less steep. While the clock was still
        // within its noise, it had moved no longer than that takes.
        let noise_s = self.grain_s.max(SMALLEST_S);
        let still = self.points.iter().take(first).rev().find(|point| (point.1 - level_s).abs() <= noise_s);
        let earliest_ns = still.map_or(self.points[0].0, |it| it.0 - (2e9 * noise_s / rate.abs()) as i64);
        (start.0 - (back_s * 1e9) as i64).max(earliest_ns).max(self.points[0].0).min(start.0)
    }

    /// Follows a movement. It ends when the clock is back where it was, or when it lapses.
    fn follow(&mut self, at_ns: i64) {
        let newest: Vec<_> = self.points.iter().rev().take(3).map(|point| point.1).collect();
        let limit_s = limit_s(&self.usual[0], 0, self.grain_s).unwrap_or(SMALLEST_S);
        let Some(moved) = self.moved.as_mut() else { return };
        moved.by_s = median(newest) - moved.level_s;
        moved.peak_s = moved.peak_s.max(moved.by_s.abs());
        let is_back = (self.position_s - moved.level_s).abs() < limit_s.max(0.3 * moved.peak_s).min(0.6 * moved.peak_s);
        moved.returned = if is_back { moved.returned + 1 } else { 0 };
        if moved.kind == MoveKind::Step && moved.by_s.abs() > GROWS * moved.found_s {
            moved.kind = MoveKind::Drift;
            let (level_s, by_s) = (moved.level_s, moved.by_s);
            let since_ns = self.drift_onset(level_s, by_s);
            if let Some(moved) = &mut self.moved {
                moved.since_ns = since_ns;
            }
        }
        let Some(moved) = &self.moved else { return };
        let rests = |(now_s, before_s): (f64, f64)| (now_s - before_s).abs() < limit_s;
        let is_repaired = moved.is_repair() && self.medians(SCALES[0].0, SCALES[0].1).is_none_or(rests);
        if is_repaired || moved.returned >= 3 || at_ns - moved.since_ns > LAPSES_NS {
            self.rebase();
        }
    }
}

/// The limit of usual differences. Most may be zero, so the scatter is taken from the largest tenth.
fn limit_s(usual: &VecDeque<f64>, scale: usize, grain_s: f64) -> Option<f64> {
    if usual.len() < NEEDED[scale] {
        return None;
    }
    let mut sorted: Vec<f64> = usual.iter().copied().collect();
    let place = sorted.len() * 9 / 10;
    let tenth = *sorted.select_nth_unstable_by(place, f64::total_cmp).1;
    // The scatter of few differences is uncertain.
    let sigmas = SIGMAS * (1.0 + UNSURE / usual.len() as f64);
    Some((sigmas * tenth / FROM_TENTH).max(GRAINS * grain_s).max(SMALLEST_S))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Dice;

    const ROUND_NS: i64 = 64_000_000_000;

    fn track(rounds: i64, position_s: impl Fn(i64) -> f64, seed: u64) -> (Track, Option<i64>, Option<i64>) {
        let (mut track, mut dice) = (Track::default(), Dice::new(seed));
        let (mut found, mut returned) = (None, None);
        for round in 0..rounds {
            track.push(round * ROUND_NS, position_s(round) + 1e-4 * dice.normal(), 1e-4);
            if track.moved.is_some() && found.is_none() {
                found = Some(round);
            }
            if track.moved.as_ref().is_some_and(Moved::is_returning) && returned.is_none() {
                returned = Some(round);
            }
        }
        (track, found, returned)
    }

    #[test]
    fn step_is_found_within_three_rounds_and_dated() {
        for seed in 0..50 {
            let (track, found, _) = track(80, |round| if round >= 50 { 0.002 } else { 0.0 }, seed);
            assert!((51..=53).contains(&found.unwrap()), "{seed}: {found:?}");
            let moved = track.moved.unwrap();
            assert_eq!((moved.kind, moved.since_ns), (MoveKind::Step, 50 * ROUND_NS - ROUND_NS / 2));
            assert!((moved.by_s - 0.002).abs() < 3e-4);
        }
    }

    #[test]
    fn drift_is_found_and_dated() {
        for seed in 0..50 {
            let (track, found, _) = track(90, |round| 1e-5 * 64.0 * (round - 50).max(0) as f64, seed);
            assert!((51..=58).contains(&found.unwrap()), "{seed}: {found:?}");
            let moved = track.moved.unwrap();
            assert_eq!(moved.kind, MoveKind::Drift);
            assert!((moved.since_ns - 50 * ROUND_NS).abs() <= 3 * ROUND_NS, "{seed}: {}", moved.since_ns / ROUND_NS);
        }
    }

    #[test]
    fn clock_that_jumps_to_and_fro_is_not_dated_by_a_line() {
        for seed in 0..50 {
            let mut dice = Dice::new(1000 + seed);
            let jumps: Vec<bool> = (0..90).map(|round| round >= 50 && dice.between(0.0, 1.0) < 0.6).collect();
            let first = jumps.iter().position(|jumped| *jumped).unwrap() as i64;
            let (track, ..) = track(90, |round| if jumps[round as usize] { 0.06 } else { 0.0 }, seed);
            if let Some(moved) = track.moved {
                assert!(moved.since_ns >= (first - 1) * ROUND_NS, "{seed}: {} < {first}", moved.since_ns / ROUND_NS);
            }
        }
    }

    #[test]
    fn movement_ends_when_the_clock_is_back() {
        let pulse = |round| if (50..70).contains(&round) { 0.01 } else { 0.0 };
        let (track, _, returned) = track(90, pulse, 1);
        assert_eq!((track.moved, returned), (None, Some(70)));
    }

    #[test]
    fn quiet_clock_never_moves() {
        let found = (0..200).filter(|seed| track(150, |_| 0.0, *seed).1.is_some()).count();
        assert_eq!(found, 0);
    }
}
