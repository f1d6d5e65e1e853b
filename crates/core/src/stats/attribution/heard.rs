//! Whether a server was measured recently enough to take part in a round.

use super::series::Series;

/// A reply is recent for so many poll intervals.
const RECENT: f64 = 6.0;

impl Series {
    /// Whether it was measured recently enough to take part in a round: if many polls are usually lost, longer ago.
    pub fn votes(&self, t_s: f64, period_s: f64) -> bool {
        let patience = f64::from(self.reach.patience()).max(RECENT);
        self.is_heard_within(patience, t_s, period_s)
    }

    /// Whether its last reply is recent, whatever its losses.
    pub fn is_recent(&self, t_s: f64, period_s: f64) -> bool {
        self.is_heard_within(RECENT, t_s, period_s)
    }

    fn is_heard_within(&self, polls: f64, t_s: f64, period_s: f64) -> bool {
        let patience_s = polls * self.interval_s().unwrap_or(4.0 * period_s).max(period_s);
        !self.reach.is_lost() && !self.unsynchronised && self.latest.is_some_and(|l| t_s - l.t_s <= patience_s)
    }
}
