//! What this host's clocks show without any server: how far the wall clock was set or steered against the raw clock.
//!
//! A suspension of the machine and an inserted leap second also move the wall clock against the raw clock, but are no
//! steps: the offsets of the servers stay the same. CLOCK_BOOTTIME shows a suspension if it was recorded; otherwise the
//! next reply decides.

use serde::{Deserialize, Serialize};

use std::collections::VecDeque;

use crate::clock::Stamp;
use crate::stats::local::{ClockMove, StepDetector};

/// A jump of this size may be a suspension or a leap second. In seconds.
const AMBIGUOUS_S: f64 = 0.3;
/// Moves of this host's clock that are remembered to explain what servers show.
const MOVES: usize = 16;

/// A jump of the wall clock against the raw clock, before it is known what it was.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Jump {
    pub size_s: f64,
    pub from: Stamp,
    pub until: Stamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Witness {
    last: Option<Stamp>,
    /// Nanoseconds of jumps that were no steps (leap seconds, and suspensions that CLOCK_BOOTTIME does not show). They
    /// are subtracted from the difference of the clocks.
    absorbed_ns: i64,
    /// CLOCK_BOOTTIME less CLOCK_MONOTONIC at the newest stamp.
    slept_ns: Option<i64>,
    /// The difference at the first stamp.
    base_ns: Option<i64>,
    steps: StepDetector,
    pub moves: VecDeque<ClockMove>,
}

impl Witness {
    /// Whether the recording has a raw clock.
    pub fn is_present(&self) -> bool {
        self.last.as_ref().is_some_and(StepDetector::has_raw)
    }

    /// Seconds by which the wall clock was set and steered against the raw clock since the first stamp.
    pub fn moved_s(&self) -> f64 {
        let Some((last, base_ns)) = self.last.filter(StepDetector::has_raw).zip(self.base_ns) else { return 0.0 };
        (self.corrected(&last).raw_ns.saturating_sub(base_ns)) as f64 / 1e9
    }

    /// The usual rate at which the wall clock is steered, in s/s; zero while it is not known.
    pub fn steered(&self) -> f64 {
        self.steps.rate()
    }

    /// The largest recent step that can have gone unnoticed, in seconds.
    pub fn doubt_s(&self) -> Option<f64> {
        self.steps.doubt_s().filter(|_| self.is_present())
    }

    /// The movement that goes on, and those that have ended, newest first.
    pub fn moves(&self) -> impl Iterator<Item = &ClockMove> {
        self.steps.moving().into_iter().chain(self.moves.iter().rev())
    }

    pub fn restart(&mut self) {
        self.steps.restart();
        (self.last, self.base_ns, self.absorbed_ns, self.slept_ns) = (None, None, 0, None);
    }

    /// A jump that may be a suspension or a leap second. Call [`Self::observe`] only once it is known which it was.
    pub fn ambiguous(&self, stamp: &Stamp) -> Option<Jump> {
        let last = self.last.filter(|l| StepDetector::has_raw(l) && StepDetector::has_raw(stamp))?;
        let moved_ns = self.corrected(stamp).raw_ns.saturating_sub(self.corrected(&last).raw_ns);
        let passed_s = (stamp.mono_ns.saturating_sub(last.mono_ns)) as f64 / 1e9;
        let size_s = moved_ns as f64 / 1e9;
        let is_large = size_s.abs() > AMBIGUOUS_S.max(600e-6 * passed_s.max(0.0));
        is_large.then_some(Jump { size_s, from: last, until: *stamp })
    }

    /// Takes note that the jump was no step.
    pub fn absorb(&mut self, jump: &Jump) {
        self.absorbed_ns = self.absorbed_ns.saturating_add((jump.size_s * 1e9) as i64);
    }

    /// Follows the clocks; returns a movement that has ended.
    pub fn observe(&mut self, stamp: &Stamp) -> Option<ClockMove> {
        self.last = Some(*stamp);
        if !StepDetector::has_raw(stamp) {
            return None;
        }
        let corrected = self.corrected(stamp);
        self.base_ns.get_or_insert(corrected.raw_ns);
        let ended = self.steps.observe(&corrected)?;
        if self.moves.len() == MOVES {
            self.moves.pop_front();
        }
        self.moves.push_back(ended);
        Some(ended)
    }

    /// Seconds for which the machine was suspended since this was asked last, by CLOCK_BOOTTIME.
    pub fn suspended_s(&mut self, stamp: &Stamp) -> f64 {
        let before_ns = self.slept_ns.replace(stamp.boot_ns);
        before_ns.map_or(0.0, |before_ns| stamp.boot_ns.saturating_sub(before_ns) as f64 / 1e9)
    }

    fn corrected(&self, stamp: &Stamp) -> Stamp {
        let raw_ns = stamp.raw_ns.saturating_sub(stamp.boot_ns).saturating_sub(self.absorbed_ns);
        Stamp { raw_ns, ..*stamp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT_NS: i64 = 1_700_000_000_000_000_000;

    fn stamp(t_s: f64, moved_s: f64, suspended_s: f64) -> Stamp {
        let raw_ns = BOOT_NS + ((moved_s + suspended_s) * 1e9) as i64;
        let mono_ns = (t_s * 1e9) as i64;
        Stamp { boot_ns: (suspended_s * 1e9) as i64, ..Stamp::new(mono_ns + raw_ns, mono_ns, raw_ns) }
    }

    #[test]
    fn suspension_that_the_clocks_show_is_no_movement() {
        let mut witness = Witness::default();
        for k in 0..20 {
            let it = stamp(f64::from(k) * 64.0, 0.0, if k > 9 { 28_800.0 } else { 0.0 });
            assert!(witness.ambiguous(&it).is_none());
            assert_eq!(witness.observe(&it), None);
        }
        assert!(witness.moved_s().abs() < 1e-6);
    }

    #[test]
    fn suspension_counts_once_while_a_jump_is_undecided() {
        let mut witness = Witness::default();
        let resumed = stamp(200.0, 0.4, 3600.0);
        assert!(witness.suspended_s(&stamp(100.0, 0.0, 0.0)) == 0.0);
        witness.observe(&stamp(100.0, 0.0, 0.0));
        assert!(witness.suspended_s(&resumed) == 3600.0 && witness.ambiguous(&resumed).is_some());
        assert!(witness.suspended_s(&stamp(216.0, 0.4, 3600.0)) == 0.0);
    }

    #[test]
    fn jump_is_a_movement_unless_it_is_absorbed() {
        for absorb in [false, true] {
            let mut witness = Witness::default();
            (0..10).for_each(|k| assert_eq!(witness.observe(&stamp(f64::from(k) * 64.0, 0.0, 0.0)), None));
            let after = stamp(640.0, -1.0, 0.0);
            let jump = witness.ambiguous(&after).unwrap();
            assert!((jump.size_s + 1.0).abs() < 1e-6);
            if absorb {
                witness.absorb(&jump);
            }
            let moves = [after, stamp(704.0, -1.0, 0.0)].iter().filter_map(|s| witness.observe(s)).count();
            assert_eq!((moves, witness.moved_s().abs() < 1e-6), (usize::from(!absorb), absorb));
        }
    }
}
