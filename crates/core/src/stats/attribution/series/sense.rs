//! What a server showed at a time when nobody asked it: between the polls before and after.

use super::{Cell, EMPTY, Point, Present, RECENT, Series, slot};

/// Offsets are not trusted to change slower than this over the time that a value is carried, in s/s.
const CARRY_RATE: f64 = 20e-6;

/// How fast time passes on the common grid, and offsets with it.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Pace {
    /// Distance of the cells.
    pub step_s: f64,
    /// How fast all offsets are known to drift, in s/s.
    pub rate: f64,
}

impl Series {
    /// Works out the value at the grid time `g_s` and keeps it as cell `k`. Returns whether there is one.
    pub fn sense(&mut self, k: u64, g_s: f64, pace: Pace) -> bool {
        let known = self.known_at(g_s);
        self.is_fresh = known > std::mem::replace(&mut self.known, known);
        self.now = self.value_at(g_s, pace);
        self.cells[slot(k)] = self.now.map_or(EMPTY, |p| Cell {
            theta_s: p.theta_s,
            delay_s: p.delay_s as f32,
            slack_s: (p.slack_s - p.leap_s) as f32,
        });
        self.now.is_some()
    }

    /// How many measurements there were until the first one after the grid time `g_s`.
    fn known_at(&self, g_s: f64) -> usize {
        let kept = self.count.min(RECENT);
        let after = (1..=kept).take_while(|back| self.recent[(self.count - back) % RECENT].t_s > g_s).count();
        self.count - after.saturating_sub(1)
    }

    fn value_at(&self, g_s: f64, pace: Pace) -> Option<Present> {
        let kept = self.count.min(RECENT);
        let newest_first = (1..=kept).map(|back| &self.recent[(self.count - back) % RECENT]);
        let mut after: Option<&Point> = None;
        for point in newest_first {
            if point.t_s <= g_s {
                return self.between(point, after?, g_s, pace);
            }
            after = Some(point);
        }
        None
    }

    fn between(&self, a: &Point, b: &Point, g_s: f64, pace: Pace) -> Option<Present> {
        let width = b.t_s - a.t_s;
        if width > 2.5 * pace.step_s.max(self.interval_s().unwrap_or(0.0)) {
            return None;
        }
        let usual = self.base.map_or(a.delay_s.min(b.delay_s), |base| base.delay_s);
        let slack = |p: &Point| (p.delay_s - usual).abs() / 2.0;
        let (slack_a, slack_b) = (slack(a), slack(b));
        let leap_s = self.leap_between(a, b, slack_a + slack_b);
        // Of two values of which one waited in a queue, only the other is used.
        if (slack_a - slack_b).abs() > 0.001 {
            let (p, slack_s) = if slack_a < slack_b { (a, slack_a) } else { (b, slack_b) };
            let carried = pace.rate.max(CARRY_RATE) * (g_s - p.t_s).abs() + leap_s;
            let (lambda_s, slack_s) = (p.lambda_s + carried, slack_s + carried);
            return Some(Present { theta_s: p.theta_s, delay_s: p.delay_s, lambda_s, slack_s, leap_s });
        }
        let w = if width > 0.0 { (g_s - a.t_s) / width } else { 0.0 };
        let mix = |x: f64, y: f64| x + w * (y - x);
        Some(Present {
            theta_s: mix(a.theta_s, b.theta_s),
            delay_s: mix(a.delay_s, b.delay_s),
            lambda_s: mix(a.lambda_s, b.lambda_s) + leap_s,
            slack_s: slack_a.max(slack_b) + leap_s,
            leap_s,
        })
    }

    /// By how much two neighbours differ beyond what their paths explain, when that is too much to be drawn a line through:
    /// something stepped between them, nobody knows when. A server that is asked rarely would else seem to disagree with
    /// the others until it is asked again.
    fn leap_between(&self, a: &Point, b: &Point, slack_s: f64) -> f64 {
        let leap_s = ((b.theta_s - a.theta_s).abs() - slack_s).max(0.0);
        if leap_s > self.threshold_s() { leap_s } else { 0.0 }
    }
}
