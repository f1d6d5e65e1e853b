//! The usual offset and delay of one cell, and changes of its path: a delay that stays longer or shorter, or an offset
//! that moves although the round trip, the server and the vantage do not.

use std::collections::VecDeque;

use super::super::median::median;

/// Readings until the usual offset and delay of a cell are known.
const WARM: usize = 8;
/// Readings after which the scatter of a cell is known well enough to find changes.
const KNOWN: usize = 20;
/// Readings in a row that must show a change.
const SIGHTINGS: usize = 5;
/// Weight of a new reading in the usual values.
const LEARNS: f64 = 0.05;
/// A change below this is not worth a finding, in seconds.
const SMALLEST_S: f64 = 1e-5;

/// One reading, compared with the usual values.
#[derive(Debug, Clone, Copy)]
struct Recent {
    at_ns: i64,
    /// The offset less the usual one and the movements of the clocks.
    beyond_s: f64,
    delay_s: f64,
}

/// A change of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::fleet) struct Changed {
    pub since_ns: i64,
    /// By how much the offset was displaced.
    pub offset_s: f64,
    /// By how much the round trip changed; zero when only the asymmetry did.
    pub delay_s: f64,
    /// The delay before, in seconds.
    before_s: f64,
}

/// The path of one cell.
#[derive(Debug, Clone, Default)]
pub(in crate::fleet) struct Path {
    warm: Vec<(f64, f64)>,
    usual: Option<Usual>,
    recent: VecDeque<Recent>,
    readings: usize,
    pub last_ns: i64,
    /// The newest offset less the usual one, in seconds.
    pub displaced_s: Option<f64>,
    pub changed: Option<Changed>,
}

#[derive(Debug, Clone, Copy)]
struct Usual {
    offset_s: f64,
    delay_s: f64,
    noise_s: f64,
    delay_noise_s: f64,
}

impl Path {
    /// The offset less the usual one, and the part of it that the delay cannot explain: a change in one direction moves
    /// the offset by half of what it adds to the round trip.
    pub fn beyond_s(&self, offset_s: f64, delay_s: f64) -> Option<(f64, f64)> {
        let usual = self.usual?;
        let beyond_s = offset_s - usual.offset_s;
        Some((beyond_s, unexplained_s(beyond_s, delay_s - usual.delay_s)))
    }

    pub fn noise_s(&self) -> f64 {
        self.usual.map_or(1e-3, |usual| usual.noise_s.max(2e-6))
    }

    /// Learns the usual values from the first readings.
    pub fn warm_up(&mut self, offset_s: f64, delay_s: f64) {
        self.warm.push((offset_s, delay_s));
        if self.warm.len() < WARM {
            return;
        }
        let offset = median(self.warm.iter().map(|it| it.0).collect());
        let delay = median(self.warm.iter().map(|it| it.1).collect());
        let scatter = |of: fn(&(f64, f64)) -> f64, middle: f64| {
            1.5 * median(self.warm.iter().map(|it| (of(it) - middle).abs()).collect()) + 1e-6
        };
        let (noise_s, delay_noise_s) = (scatter(|it| it.0, offset), scatter(|it| it.1, delay));
        self.usual = Some(Usual { offset_s: offset, delay_s: delay, noise_s, delay_noise_s });
        self.warm = Vec::new();
    }

    /// Takes a reading. `beyond_s` is the offset less the usual one and the movements of the clocks. While these move by
    /// `stirred_s` in a round, they are known no better, and the usual values are not learned from them.
    pub fn learn(&mut self, at_ns: i64, beyond_s: f64, delay_s: f64, stirred_s: f64) {
        let Some(usual) = &mut self.usual else { return };
        if self.recent.len() == SIGHTINGS {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { at_ns, beyond_s, delay_s });
        self.readings += 1;
        let late_s = delay_s - usual.delay_s;
        let is_calm = stirred_s <= 4.0 * usual.noise_s;
        if is_calm && beyond_s.abs() <= 4.0 * usual.noise_s && late_s.abs() <= 4.0 * usual.delay_noise_s {
            usual.offset_s += LEARNS * beyond_s;
            usual.delay_s += LEARNS * late_s;
        }
        // The scatter follows the median of absolute deviations, up and down by equal small steps. The first steps up
        // are larger, because the few readings of the warm-up may have been too much alike.
        let up = 1.0 + (1.0 / self.readings as f64).max(0.04);
        let follow = |noise_s: f64, deviation_s: f64| {
            let by = if 1.4826 * deviation_s.abs() > noise_s { up } else { 1.0 / 1.04 };
            (noise_s * by).max(1e-6)
        };
        // A lasting displacement of the offset is not scatter.
        if self.changed.is_none_or(|changed| changed.delay_s != 0.0) {
            usual.noise_s = follow(usual.noise_s, beyond_s);
        }
        usual.delay_noise_s = follow(usual.delay_noise_s, late_s);
        self.look();
    }

    /// The number of newest readings in a row with an unusual delay.
    pub fn sightings(&self) -> usize {
        let Some(usual) = self.usual else { return 0 };
        let limit_s = delay_limit_s(&usual);
        let is_late = |it: &&Recent| (it.delay_s - usual.delay_s).abs() > limit_s;
        self.recent.iter().rev().take_while(is_late).count()
    }

    /// Whether the newest reading, or most of the last ones, fit the path as it was before the change.
    pub fn is_returning(&self) -> bool {
        let (Some(usual), Some(changed)) = (self.usual, self.changed) else { return false };
        let is_as_before = |it: &&Recent| match changed.delay_s == 0.0 {
            true => it.beyond_s.abs() < 0.5 * changed.offset_s.abs(),
            false => (it.delay_s - changed.before_s).abs() < changed.limit_of_return_s(&usual),
        };
        let fitting = self.recent.iter().filter(is_as_before).count();
        self.recent.back().as_ref().is_some_and(is_as_before) || 2 * fitting > SIGHTINGS
    }

    fn look(&mut self) {
        let Some(usual) = self.usual else { return };
        if self.recent.len() < SIGHTINGS || self.readings < KNOWN {
            return;
        }
        let limit_s = delay_limit_s(&usual);
        let all = |is: &dyn Fn(&Recent) -> bool| self.recent.iter().all(is);
        let is_moved =
            all(&|it| it.delay_s - usual.delay_s > limit_s) || all(&|it| usual.delay_s - it.delay_s > limit_s);
        let least_s = (8.0 * usual.noise_s).max(SMALLEST_S);
        // A delay that differs, though by less than its own limit, explains half of that.
        let shift_s = |it: &Recent| unexplained_s(it.beyond_s, it.delay_s - usual.delay_s);
        let is_shifted = all(&|it| shift_s(it) > least_s) || all(&|it| shift_s(it) < -least_s);
        if !is_moved && !is_shifted && self.changed.is_none() {
            return;
        }
        let since_ns = self.recent[0].at_ns;
        let beyond_s = median(self.recent.iter().map(|it| it.beyond_s).collect());
        let delay_s = median(self.recent.iter().map(|it| it.delay_s).collect());
        if is_moved {
            self.take_delay(since_ns, beyond_s, delay_s, &usual);
            return;
        }
        match self.changed {
            None if is_shifted => {
                self.changed = Some(Changed { since_ns, offset_s: beyond_s, delay_s: 0.0, before_s: usual.delay_s });
            }
            Some(changed) if changed.delay_s == 0.0 && beyond_s.abs() < 0.5 * changed.offset_s.abs() => {
                self.changed = None;
            }
            _ => {}
        }
    }

    /// Makes a delay that stays the usual one, with the offset that belongs to it.
    fn take_delay(&mut self, since_ns: i64, beyond_s: f64, delay_s: f64, before: &Usual) {
        let by_s = delay_s - before.delay_s;
        let most_s = 0.55 * by_s.abs() + 3.0 * before.noise_s;
        let offset_s = beyond_s.clamp(-most_s, most_s);
        self.usual = Some(Usual { offset_s: before.offset_s + offset_s, delay_s, ..*before });
        self.recent.clear();
        let is_back =
            self.changed.is_some_and(|changed| (delay_s - changed.before_s).abs() < changed.limit_of_return_s(before));
        if is_back {
            self.changed = None;
        } else if self.changed.is_none() {
            self.changed = Some(Changed { since_ns, offset_s, delay_s: by_s, before_s: before.delay_s });
        }
    }
}

/// The part of a displacement that a change of the delay cannot explain.
fn unexplained_s(beyond_s: f64, late_s: f64) -> f64 {
    beyond_s.signum() * (beyond_s.abs() - late_s.abs() / 2.0).max(0.0)
}

fn delay_limit_s(usual: &Usual) -> f64 {
    (6.0 * usual.delay_noise_s).max(0.02 * usual.delay_s).max(SMALLEST_S)
}

impl Changed {
    fn limit_of_return_s(&self, usual: &Usual) -> f64 {
        delay_limit_s(usual).min(0.6 * self.delay_s.abs()).max(0.3 * self.delay_s.abs())
    }

    /// Whether the offset moved enough, compared with the delay, to matter.
    pub fn is_one_sided(&self, noise_s: f64) -> bool {
        self.offset_s.abs() > (4.0 * noise_s).max(0.1 * self.delay_s.abs())
    }
}
