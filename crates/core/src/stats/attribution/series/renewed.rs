//! When what is usual of a server no longer counts: its route changed, or it was repaired.

use super::super::bits::Bits;
use super::super::finding::Finding;
use super::{NEW_AFTER, Series};

impl Series {
    /// Continues the series of a named server whose route has changed, so that the end of the fault is seen. The series
    /// of other servers start again on a new route.
    pub fn follow_route(&mut self) {
        let Some(away) = self.route.changed_for() else { return };
        let Some(finding) = self.finding().filter(|f| f.named && !f.comes_back()) else { return };
        let rate = finding.rate.map_or(0.0, |(rate, _)| rate);
        if let Some(moved_s) = self.track.reroute(usize::from(away), rate) {
            self.gap_value_s += moved_s as f32;
            self.course = None;
            self.route.settle();
            if let Some(finding) = &mut self.finding {
                finding.rerouted = true;
            }
        }
    }

    /// Whether the delay has changed for good.
    pub fn is_on_new_route(&self) -> bool {
        self.finding().is_none_or(|f| !f.named) && self.route.has_settled() && self.track.stays_away(NEW_AFTER)
    }

    /// Whether the offset has moved for good although the delay has not, and no clock was named: then the path is taken
    /// to have moved it, and the old level is no longer valid.
    pub fn stands_elsewhere(&self) -> bool {
        let is_open = |f: &Finding| !f.proven && f.bad_share.is_none() && f.misses == 0 && !f.is_swinging();
        let is_old = |f: &Finding| f.sightings as usize >= NEW_AFTER && usize::from(f.unnamed) >= NEW_AFTER;
        let lasts = self.finding().is_some_and(|f| is_open(f) && is_old(f));
        lasts && self.track.stands_still(NEW_AFTER)
    }

    /// Forgets what was usual: the server was repaired, or is on a new route.
    pub fn start_again(&mut self) {
        if self.stands_elsewhere() {
            self.route.count_unseen();
        }
        self.track.cut();
        self.route.settle();
        self.course = None;
        (self.odd, self.sights, self.sighting) = (Bits::default(), Bits::default(), None);
        if self.finding().is_some_and(|f| !f.proven) {
            self.finding = None;
        }
    }
}
