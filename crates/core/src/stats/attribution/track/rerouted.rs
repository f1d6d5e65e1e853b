//! A series whose route has changed.

use super::super::robust;
use super::super::series::route::unseen_shift_s;
use super::super::values::Value;
use super::{NEWEST, Track, Usual};

/// After a change of the route, the level is uncertain by this many times the noise of single values.
const REROUTED: f64 = 3.0;

/// The delays of a new route scatter by at most this part of how far they are from the usual one.
const STEADY: f64 = 0.35;

impl Track {
    /// Whether the last three delays differ from the usual one as after a change of the route.
    pub fn has_left_delay(&self) -> bool {
        let shift_s = self.excess_of_last(3);
        self.usual.is_some_and(|usual| shift_s.abs() > unseen_shift_s(usual.room_s(shift_s)))
    }

    /// The median delay of the newest values before `t_s`, above the usual one. Zero where nothing is known, and in a
    /// queue.
    pub fn excess_before(&self, t_s: f64) -> f64 {
        let Some(usual) = &self.usual else { return 0.0 };
        let before = self.values.newest_first().filter(|(at_s, _)| *at_s < t_s).take(NEWEST);
        let mut delays: Vec<f64> = before.map(|(_, v)| v.delay).collect();
        let scatter_s = robust::noise(delays.iter().copied(), &mut Vec::new());
        let shift_s = if delays.is_empty() { 0.0 } else { robust::median(&mut delays) - usual.delay_s };
        if is_queue(shift_s, scatter_s, usual) { 0.0 } else { shift_s }
    }

    /// Continues the series on a new route, which the newest values show: `away` of them or some more. Everything
    /// before is moved by how far the route moved offset and delay, so that what was learned stays valid. The offset
    /// drifts by `rate` s/s. Returns by how much the route moved it, in seconds; `None` if too little is known, or if it moved
    /// by more than the delay explains.
    pub fn reroute(&mut self, away: usize, rate: f64) -> Option<f64> {
        let usual = self.usual?;
        let shift_s = self.excess_of_last(NEWEST);
        if is_queue(shift_s, self.steady_delay(NEWEST).1, &usual) {
            return None;
        }
        let is_new = |v: &Value| (v.delay - usual.delay_s) * shift_s.signum() > 0.5 * shift_s.abs();
        // The beginning of the new route: most delays since then are new ones, and most before are not.
        let (mut sum, mut best, mut newest) = (0, 0, 0);
        for (k, v) in self.values.iter().rev().take(away + 2 * NEWEST).enumerate() {
            sum += if is_new(&v) { 1 } else { -1 };
            if sum > best {
                (best, newest) = (sum, k + 1);
            }
        }
        let at_s = self.newest_at_s()?;
        // Of each half of the values, those with the least delay count, as for the level.
        let middle = |skip: usize| {
            let mut some: Vec<_> = self.values.newest_first().skip(skip).take(newest).collect();
            some.sort_unstable_by(|a, b| a.1.delay.total_cmp(&b.1.delay));
            some.truncate(some.len().div_ceil(2));
            let value = |(t_s, v): &(f64, Value)| v.value + rate * (at_s - t_s);
            (2 * some.len() >= NEWEST).then(|| robust::median(&mut some.iter().map(value).collect::<Vec<_>>()))
        };
        let moved_s = middle(0)? - middle(newest)?;
        // A change of one direction moves the offset by half of what it adds to the delay, one of both by less.
        if moved_s.abs() > 0.5 * shift_s.abs() + REROUTED * self.sigma_s() {
            return None;
        }
        self.values.change_before(newest, |v| (v.value, v.delay) = (v.value + moved_s, v.delay + shift_s));
        self.usual = Some(Usual { level_s: usual.level_s + moved_s, delay_s: usual.delay_s + shift_s, ..usual });
        self.home_s += moved_s as f32;
        self.doubt_s = (REROUTED * self.sigma_s()) as f32;
        self.waypoint = self.waypoint.map(|(count, level_s)| (count, level_s + moved_s as f32));
        Some(moved_s)
    }
}

/// Whether delays that are `shift_s` from the usual one and scatter by `scatter_s` are those of a queue.
fn is_queue(shift_s: f64, scatter_s: f64, usual: &Usual) -> bool {
    scatter_s > (STEADY * shift_s.abs()).max(3.0 * usual.delay_noise_s)
}
