//! Jumps of all servers that the raw clock shows to be none of this host's clock.

use serde::{Deserialize, Serialize};

use super::super::bits::Bits;
use super::{Now, Own};

/// Free movement between two rounds that is faster than any oscillator, in s/s.
const FAST: f64 = 200e-6;
/// Rounds after which the usual place of the common mode is known.
const KNOWN: u32 = 6;

/// All servers moved together although the raw clock shows that this host's clock was not set.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in super::super) struct Unmoved {
    pub since_s: f64,
    /// How far the offsets moved, in seconds.
    pub size_s: f64,
    /// The common mode before.
    before_s: f64,
    /// How far the offsets had moved at first.
    first_s: f64,
}

impl Own {
    pub(super) fn note_jump(&mut self, now: &Now, size_s: f64, before_s: f64, passed_s: f64) {
        if now.near_leap && (size_s.abs() - 1.0).abs() < 0.05 {
            self.missed_leap_s = Some(size_s);
            return;
        }
        let is_visible = now.doubt_s.is_none_or(|doubt_s| size_s.abs() > 2.0 * doubt_s);
        let is_return = self.unmoved.is_some_and(|u| u.size_s * size_s < 0.0);
        if now.has_raw && is_visible && !is_return && size_s.abs() > FAST * passed_s && self.unmoved.is_none() {
            let Some(before_s) = self.left_s(before_s) else { return };
            let since_s = now.t_s - 0.5 * passed_s;
            self.unmoved = Some(Unmoved { since_s, size_s, before_s, first_s: size_s });
        }
    }

    /// Where the common mode was before it jumped from `before_s`; `None` when the jump is only the return from a
    /// disturbed round. In the first rounds, every jump towards zero counts as a return.
    fn left_s(&self, before_s: f64) -> Option<f64> {
        let common_s = self.common_s?;
        if self.rounds < KNOWN {
            return (common_s.abs() > before_s.abs()).then_some(before_s);
        }
        let usual_s = self.track.level_s()? + self.lean_s();
        ((common_s - usual_s).abs() > 0.5 * (common_s - before_s).abs()).then_some(usual_s)
    }

    /// Ends an undecided jump once the common mode is back where it was or where it usually is, or goes on drifting.
    pub(super) fn end_jump(&mut self, common_s: f64, at_s: f64) {
        let usual_s = self.track.usual.map(|usual| usual.level_s);
        if let Some(unmoved) = &mut self.unmoved {
            let is_at = |place_s: f64| (common_s - place_s).abs() < 0.3 * unmoved.size_s.abs();
            let back = is_at(unmoved.before_s) || usual_s.is_some_and(is_at);
            // A movement that goes on is a drift and was no jump.
            let drifts = (common_s - unmoved.before_s).abs() > 2.0 * unmoved.first_s.abs();
            if back || drifts {
                self.unmoved = None;
            }
            if back && self.finding.is_none_or(|f| !f.named) {
                // The movement that was undecided is over, and with it what it looked like.
                (self.finding, self.sights, self.conflicts) = (None, Bits::default(), Bits::default());
                self.returned_s = Some(at_s);
            } else if let Some(unmoved) = &mut self.unmoved {
                unmoved.size_s = common_s - unmoved.before_s;
            }
        }
    }
}
