//! A series of numbers that should stay constant: its last values, its usual level and noise, and whether it has left
//! the level.
//!
//! A server's series holds its offsets from the common mode; that of this host's clock holds the common mode itself.
//! Memory: [`KEPT`] values of ten bytes.

use serde::{Deserialize, Serialize};

mod rerouted;

use super::bits::{self, Bits};
use super::means::{Bound, mean};
use super::noise::{self, Sigmas, WINDOWS};
use super::robust;
use super::values::{KEPT, Value, Values};

/// The newest values do not teach, because they are judged. At most a quarter of all.
const HOLD_OUT: usize = 34;
/// With fewer values, no level is learned.
const LEAST: usize = 8;
/// The same after something was wrong.
const LEAST_AFTER_TROUBLE: usize = 64;
/// A mean that is so many of its standard deviations from the level is a sighting. Six would do for Gaussian noise;
/// eight allow for tails and for noise that is not known well.
const SIGMAS: f64 = 8.0;
/// A movement this many times larger than what a single value shows is over if the newest value does not show it.
const CLEAR: f64 = 2.5;
/// A movement leads back if at most this part of it is missing or too much.
const BACK: f64 = 0.3;
/// The first level is that of so many values.
const KNOWN: usize = 64;
/// A level of fewer values than this is trusted less.
const YOUNG: f64 = 64.0;
/// A movement within so many times what the level usually moves is wander.
const WANDERS: f64 = 5.0;
/// Weight of the newest movement of the level in its mean square.
const WANDER_WEIGHT: f64 = 0.25;
/// A fault went away slowly if it was seen for so many values more after half of it was gone.
const SLOWLY: usize = 2;
/// A delay may be below the usual one by so many times the distance of the 5 % quantile.
const DIP: f64 = 2.0;
/// At most so many of the newest delays are looked at together.
const NEWEST: usize = 8;

/// What is usual.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Usual {
    pub level_s: f64,
    /// The lower quartile of the delays.
    pub delay_s: f64,
    /// How far the delay is usually above `delay_s`.
    pub excess_s: f64,
    /// How far the delay is usually below `delay_s`: a shorter delay shows another route as well as a longer one does.
    pub dip_s: f64,
    /// Noise of the delay, one standard deviation.
    pub delay_noise_s: f64,
    /// Standard deviations of the means of 2, 4, 8, 16 and 32 values; NaN where not known.
    pub sigmas: Sigmas,
    /// How many values it was learned from.
    pub values: usize,
}

/// What one look at the newest values found.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Sighting {
    /// How far the mean is from the level, in units of the smallest distance that is a sighting.
    pub score: f64,
    /// The mean less the level, in seconds.
    pub size_s: f64,
}

impl Usual {
    /// How far a delay may be from the usual one without being unusual, above it if `x_s` is positive, otherwise below.
    pub fn room_s(&self, x_s: f64) -> f64 {
        if x_s > 0.0 { self.excess_s } else { self.dip_s }
    }

    /// The standard deviation of the mean of so many values.
    pub fn sigma_of(&self, values: u32) -> f64 {
        let known = self.sigmas.iter().zip(WINDOWS).take_while(|(sigma, _)| sigma.is_finite());
        let near = known.take_while(|(_, length)| *length as u32 <= values.max(2)).last();
        near.map_or(f64::INFINITY, |(sigma, _)| *sigma)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Track {
    values: Values,
    /// When the series began, perhaps before its first value; absent after a cut.
    born_s: Option<f64>,
    anchor_s: f64,
    pub usual: Option<Usual>,
    /// Values since the level was learned last, and since the last cut.
    unlearned: u16,
    pub count: u32,
    /// Whether values that do not teach are among those that are kept.
    troubled: bool,
    /// When the last fault ended. Earlier values are not used to date the next one.
    pub ended_s: f64,
    /// How far the level moves in half of [`KEPT`] values, root mean square, and the count and the level when that was
    /// last measured.
    wander_s: f32,
    /// By how much the level may be off since the series was continued on a new route, in seconds.
    doubt_s: f32,
    /// The level that was known first, not a number before. It stays while the level follows a slow drift.
    home_s: f32,
    waypoint: Option<(u32, f32)>,
}

/// Buffers that all tracks share.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The values that teach.
    good: Vec<Value>,
    values: Vec<f64>,
    weights: Vec<f64>,
    delays: Vec<f64>,
    sorted: Vec<f64>,
}

/// What a series needs from elsewhere to learn and to be judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peers {
    /// The medians of all servers' sigmas; NaN where there are none.
    pub sigmas: Sigmas,
    /// The root distance, in seconds: the error that a young level may have.
    pub claim_s: f64,
    /// The smallest movement that rounded stamps cannot cause, in seconds.
    pub grain_s: f64,
    /// The least noise, as a part of the peers'.
    pub floor: f64,
}

impl Track {
    pub fn new(begin_s: f64) -> Self {
        Self {
            values: Values::default(),
            born_s: Some(begin_s),
            anchor_s: 0.0,
            usual: None,
            unlearned: 0,
            count: 0,
            troubled: false,
            ended_s: f64::NEG_INFINITY,
            wander_s: 0.0,
            doubt_s: 0.0,
            home_s: f32::NAN,
            waypoint: None,
        }
    }

    /// The first reply came at `t_s`, before the first value.
    pub fn begin(&mut self, t_s: f64) {
        if self.count == 0 && self.born_s.is_some() {
            self.born_s = Some(t_s);
        }
    }

    /// The time of the first value since the last cut, or of the beginning if there was none. `None` if that value is
    /// no longer kept or a fault ended after it.
    pub fn first_s(&self) -> Option<f64> {
        let first_s = self.values.oldest_s().filter(|_| self.values.len() == self.count as usize)?;
        Some(self.born_s.unwrap_or(first_s)).filter(|first_s| *first_s >= self.ended_s)
    }

    /// The time of the first value since the last cut.
    pub fn begins_s(&self) -> f64 {
        self.values.begin_s()
    }

    /// Whether this is no longer the series that it was at first.
    pub fn was_cut(&self) -> bool {
        self.born_s.is_none()
    }

    /// Forgets everything: from now on this is another series.
    pub fn cut(&mut self) {
        self.values.clear();
        (self.born_s, self.waypoint) = (None, None);
        (self.usual, self.unlearned, self.count, self.troubled) = (None, 0, 0, false);
        self.doubt_s = 0.0;
    }

    pub fn push(&mut self, t_s: f64, value_s: f64, delay_s: f64, teaches: bool) {
        if self.values.is_empty() {
            self.anchor_s = value_s;
        }
        self.values.push(t_s, Value { value: value_s - self.anchor_s, delay: delay_s, teaches });
        self.troubled |= !teaches;
        self.count = self.count.saturating_add(1);
        self.unlearned = self.unlearned.saturating_add(1);
    }

    /// The usual level, or as long as there is none, the median of what there is.
    pub fn level_s(&self) -> Option<f64> {
        if let Some(usual) = &self.usual {
            return Some(usual.level_s);
        }
        let mut values: Vec<f64> = self.values.iter().rev().take(16).map(|v| v.value).collect();
        (!values.is_empty()).then(|| self.anchor_s + robust::median(&mut values))
    }

    /// The delay of the newest values above the usual one: their median. Zero while nothing is usual.
    pub fn excess_of_last(&self, values: usize) -> f64 {
        let Some(usual) = &self.usual else { return 0.0 };
        let (mut last, count) = self.newest_delays(values);
        let last = &mut last[..count];
        if last.is_empty() { 0.0 } else { robust::median(last) - usual.delay_s }
    }

    /// The newest delays, newest first, and how many there are: at most [`NEWEST`].
    fn newest_delays(&self, values: usize) -> ([f64; NEWEST], usize) {
        let (mut last, mut count) = ([0.0; NEWEST], 0);
        for (value, delay) in self.values.iter().rev().zip(&mut last).take(values) {
            *delay = value.delay;
            count += 1;
        }
        (last, count)
    }

    /// Whether the newest delays stay away from the usual one. If queues make the path longer, some delays are short.
    pub fn stays_away(&self, values: usize) -> bool {
        let Some(usual) = &self.usual else { return false };
        let mut rises: Vec<f64> = self.values.iter().rev().take(values).map(|v| v.delay - usual.delay_s).collect();
        let rise_s = robust::median(&mut rises);
        let least = if rise_s > 0.0 { robust::quantile(&mut rises, 0.1) } else { -robust::quantile(&mut rises, 0.9) };
        least >= 0.6 * rise_s.abs()
    }

    /// Whether the newest values are constant: their halves differ by no more than noise.
    pub fn stands_still(&self, values: usize) -> bool {
        let Some(usual) = self.usual.filter(|_| self.values.len() >= values) else { return false };
        let half = |skip: usize| {
            let newest = self.values.iter().rev().skip(skip).take(values / 2);
            robust::median(&mut newest.map(|v| v.value).collect::<Vec<_>>())
        };
        (half(0) - half(values / 2)).abs() < 6.0 * usual.sigma_of(values as u32 / 2)
    }

    /// The median of the newest delays, and their noise.
    pub fn steady_delay(&self, values: usize) -> (f64, f64) {
        let (mut last, count) = self.newest_delays(values);
        let last = &mut last[..count];
        let scatter = robust::noise(last.iter().copied(), &mut Vec::new());
        (robust::median(last), scatter)
    }

    /// Whether it is time to learn.
    pub fn is_due(&self) -> bool {
        let wait = if self.count < 32 { 1 } else { (self.count / 8).clamp(4, 24) };
        u32::from(self.unlearned) >= wait
    }

    /// Learns what is usual from all values that teach, except the newest.
    pub fn learn(&mut self, peers: &Peers, scratch: &mut Scratch) {
        self.unlearned = 0;
        let Scratch { good, values, weights, delays, sorted } = scratch;
        good.clear();
        good.extend(self.values.iter().filter(|v| v.teaches));
        let all = good.len();
        let count = all - HOLD_OUT.min(all / 4);
        self.troubled &= all < self.values.len();
        let is_new = self.usual.is_none() && self.values.len() == self.count as usize;
        if count < LEAST || (self.troubled && count < LEAST_AFTER_TROUBLE && !is_new) {
            return;
        }
        good.truncate(count);
        delays.clear();
        delays.extend(good.iter().map(|v| v.delay));
        let delay_noise_s = robust::noise(delays.iter().copied(), sorted);
        sorted.clear();
        sorted.extend_from_slice(delays);
        let delay_s = robust::quantile(sorted, 0.25);
        let limit_s = robust::quantile(sorted, 0.6);
        let excess_s = usual_excess(sorted, delay_s, delay_noise_s);
        let dip_s = (DIP * (delay_s - robust::quantile(sorted, 0.05))).clamp(1e-7, excess_s.max(1e-7));
        sorted.clear();
        sorted.extend(good.iter().filter(|v| v.delay <= limit_s).map(|v| v.value));
        let level = robust::median(sorted);
        values.clear();
        weights.clear();
        for v in good.iter() {
            let x_s = v.delay - delay_s;
            values.push(reduced(v.value - level, x_s, if x_s > 0.0 { excess_s } else { dip_s }));
            weights.push(weight(x_s, excess_s));
        }
        let white_s = robust::noise(values.iter().copied(), sorted);
        let mut sigmas = noise::sigmas(values, weights, white_s, sorted);
        for ((sigma, peer), length) in sigmas.iter_mut().zip(peers.sigmas).zip(WINDOWS) {
            let root = (length as f64).sqrt();
            let earned = (white_s / root).max(0.5 * delay_noise_s / root);
            if peer.is_finite() {
                *sigma = sigma.clamp(peers.floor * peer, (4.0 * peer).max(earned));
            }
            let young = (1.0 - count as f64 / YOUNG).max(0.0);
            *sigma += 0.02 * peers.claim_s / root * young;
        }
        self.usual = Some(Usual {
            level_s: self.anchor_s + level,
            delay_s,
            excess_s,
            dip_s,
            delay_noise_s,
            sigmas,
            values: count,
        });
        if count >= KNOWN && self.home_s.is_nan() {
            self.home_s = (self.anchor_s + level) as f32;
        }
        self.doubt_s = 0.0;
        self.note_wander(self.anchor_s + level);
    }

    /// Whether a movement by `size_s` leads back to where the series was at first, before its level followed a drift.
    pub fn returns(&self, size_s: f64) -> bool {
        // False while the first level is not known, which is not a number.
        let is_home = |usual: Usual| (usual.level_s + size_s - f64::from(self.home_s)).abs() < BACK * size_s.abs();
        self.usual.is_some_and(is_home)
    }

    /// Learns how far the level moves by itself.
    fn note_wander(&mut self, level_s: f64) {
        let (count, before_s) = *self.waypoint.get_or_insert((self.count, level_s as f32));
        if self.count - count >= KEPT as u32 / 2 {
            let square = f64::from(self.wander_s).powi(2);
            let square = square + WANDER_WEIGHT * ((level_s - f64::from(before_s)).powi(2) - square);
            (self.wander_s, self.waypoint) = (square.sqrt() as f32, Some((self.count, level_s as f32)));
        }
    }

    /// The time of the newest value.
    pub fn newest_at_s(&self) -> Option<f64> {
        self.values.newest_first().next().map(|(t_s, _)| t_s)
    }

    /// The newest value.
    pub fn newest_s(&self) -> Option<f64> {
        self.values.iter().next_back().map(|v| self.anchor_s + v.value)
    }

    /// How far the newest values have left the level, if it is more than noise.
    pub fn look(&self, peers: &Peers) -> Option<Sighting> {
        let usual = self.usual.filter(|_| self.values.len() >= 10)?;
        let level = usual.level_s - self.anchor_s;
        let (mut values, mut weights) = ([0.0; 32], [0.0; 32]);
        let mut count = 0;
        for v in self.values.iter().rev().take(32) {
            let x_s = v.delay - usual.delay_s;
            values[count] = reduced(v.value - level, x_s, usual.room_s(x_s));
            weights[count] = weight(x_s, usual.excess_s);
            count += 1;
        }
        let mut best: Option<Sighting> = None;
        let mut bound = Bound::default();
        let wander_s = (WANDERS * f64::from(self.wander_s)).max(f64::from(self.doubt_s));
        for (sigma, length) in usual.sigmas.iter().zip(WINDOWS) {
            if length > count || sigma.is_nan() {
                break;
            }
            bound.extend(&values[..length], &weights[..length]);
            let enough_s = (SIGMAS * sigma).max(peers.grain_s).max(2e-6).max(wander_s);
            // The bound usually suffices, and the values need not be sorted.
            if bound.of_mean() <= enough_s {
                continue;
            }
            let size_s = mean(&values[..length], &weights[..length]);
            let score = size_s.abs() / enough_s;
            if score > 1.0
                && best.is_none_or(|b| score > b.score)
                && is_present(&values, length, size_s)
                && self.is_shown(values[0], size_s)
            {
                best = Some(Sighting { score, size_s });
            }
        }
        best
    }

    /// Whether the newest value alone shows a movement of `size_s`, if a single value can.
    fn is_shown(&self, newest_s: f64, size_s: f64) -> bool {
        let clear_s = SIGMAS * self.sigma_s();
        size_s.abs() <= CLEAR * clear_s || newest_s * size_s.signum() > clear_s
    }

    /// The mean of the newest four values less the level, and its noise.
    pub fn recent(&self) -> Option<(f64, f64)> {
        let usual = self.usual?;
        let sigma_s = if usual.sigmas[1].is_nan() { usual.sigmas[0] } else { usual.sigmas[1] };
        let level = usual.level_s - self.anchor_s;
        let (sum, of) = self.values.iter().rev().take(4).fold((0.0, 0.0), |(sum, of), v| {
            let x_s = v.delay - usual.delay_s;
            let w = weight(x_s, usual.excess_s);
            (sum + w * reduced(v.value - level, x_s, usual.room_s(x_s)), of + w)
        });
        (of > 0.0).then(|| (sum / of, sigma_s))
    }

    /// The noise of single values, in seconds.
    pub fn sigma_s(&self) -> f64 {
        self.usual.map_or(f64::INFINITY, |u| u.sigmas[0] * std::f64::consts::SQRT_2)
    }

    /// The noise of the longest means, in seconds; infinite while nothing is usual.
    pub fn slow_s(&self) -> f64 {
        self.usual.map_or(f64::INFINITY, |u| u.sigma_of(32))
    }

    /// The newest values less the level as (time, value, weight), oldest first, without what their delays explain.
    pub fn deviations(&self, values: usize) -> Vec<(f64, f64, f64)> {
        let level_s = self.level_s().unwrap_or(0.0) - self.anchor_s;
        let usual = self.usual;
        let of = |(t_s, v): (f64, Value)| {
            let x_s = usual.map_or(0.0, |u| v.delay - u.delay_s);
            let excess_s = usual.map_or(1.0, |u| u.excess_s);
            let room_s = usual.map_or(1.0, |u| u.room_s(x_s));
            (t_s, reduced(v.value - level_s, x_s, room_s), weight(x_s, excess_s))
        };
        let newest = self.values.newest_first().take(values).take_while(|(t_s, _)| *t_s >= self.ended_s);
        let mut deviations: Vec<_> = newest.map(of).collect();
        deviations.reverse();
        deviations
    }

    /// The median deviation of those of the newest values that are odd, without what their delays explain. `None` if there
    /// are none, or if it is noise.
    pub fn size_of(&self, odd: Bits) -> Option<f64> {
        let newest = self.deviations(bits::KEPT as usize).into_iter().rev();
        let mut sizes: Vec<f64> =
            newest.zip(odd.newest_first()).filter(|(_, odd)| *odd).map(|((_, y_s, _), _)| y_s).collect();
        let size_s = robust::median(&mut sizes);
        (size_s.abs() > 2.0 * self.sigma_s()).then_some(size_s)
    }

    /// When the newest values stopped being further than half of `size_s` from the level: the middle between the last
    /// value that was and the next. A fault that goes away slowly ends when it is no longer seen, at the latest at
    /// `seen_s`.
    pub fn end_of(&self, size_s: f64, seen_s: f64) -> Option<f64> {
        let level_s = self.level_s()? - self.anchor_s;
        let mut all: Vec<_> = self.values.newest_first().map(|(t_s, v)| (t_s, v.value - level_s)).collect();
        all.reverse();
        let is_beyond = |y_s: f64, limit_s: f64| y_s * size_s.signum() > limit_s;
        // The clock may have been set to the other side of the others before.
        let is_wrong = |(t_s, y_s): &(f64, f64)| {
            let limit_s = 0.5 * size_s.abs();
            is_beyond(*y_s, limit_s) || (*t_s <= seen_s && y_s.abs() > limit_s)
        };
        let mut last = all.iter().rposition(is_wrong)?;
        let least_s = (0.02 * size_s.abs()).clamp(4.0 * self.sigma_s(), 8.0 * self.sigma_s());
        let is_rest = |(t_s, y_s): &(f64, f64)| *t_s <= seen_s && is_beyond(*y_s, least_s);
        if let Some(end) = all.iter().rposition(is_rest).filter(|end| *end >= last + SLOWLY) {
            let rest = all[last + 1..=end].iter().filter(|it| is_rest(it)).count();
            last = if rest * 4 >= (end - last) * 3 { end } else { last };
        }
        let next = all.get(last + 1).unwrap_or(&all[last]);
        Some(0.5 * (all[last].0 + next.0))
    }
}

/// See [`Usual::excess_s`]; `delays` are partly sorted.
fn usual_excess(delays: &mut [f64], delay_s: f64, noise_s: f64) -> f64 {
    let (low, middle) = (robust::quantile(delays, 0.05), robust::quantile(delays, 0.5));
    let high = robust::quantile(delays, 0.9);
    (high - delay_s).min(3.0 * (middle - low)).min(4.0 * noise_s).max(1e-7)
}

/// A value less what its delay explains: an unusual delay moves an offset by at most half of itself.
fn reduced(y: f64, x_s: f64, excess_s: f64) -> f64 {
    if x_s.abs() <= excess_s { y } else { y.signum() * (y.abs() - x_s.abs() / 2.0).max(0.0) }
}

/// The weight of a value in a mean.
pub(super) fn weight(x_s: f64, excess_s: f64) -> f64 {
    let ratio = x_s.max(0.0) / (0.7 * excess_s);
    1.0 / (1.0 + ratio * ratio)
}

/// Whether the newest values of a long window still show the movement that its mean shows.
fn is_present(values: &[f64; 32], length: usize, size_s: f64) -> bool {
    let newest = (length / 8).max(3);
    length <= 4 || values[..newest].iter().sum::<f64>() / newest as f64 * size_s.signum() > 0.4 * size_s.abs()
}

#[cfg(test)]
#[path = "track_tests.rs"]
mod tests;
