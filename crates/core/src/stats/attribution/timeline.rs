//! The samples' own time: one axis in seconds that wall clock steps and restarts do not change. Samples that do not fit
//! on it are refused.
//!
//! The axis is the monotonic clock, or the wall clock if the recording has no monotonic clock (zero). A sample far
//! ahead of all others is held until the next one confirms it: one record from the future must not age everything else
//! out of the windows.

use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::sample::Sample;

/// Why a sample was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An offset, delay or root distance that is not finite or beyond what NTP can express, or a negative distance.
    #[error("a measured number is not finite or beyond the range of NTP, or a distance is negative")]
    NotANumber,
    /// The same server was already heard at this time or later.
    #[error("out of order: this server already has a sample of this time or a later one")]
    OutOfOrder,
    /// Far ahead of every other sample, before and after it.
    #[error("from the future: the samples around it are more than an hour older")]
    Future,
}

/// Disorder between servers that is normal: polls of several servers end in any order.
const TOLERATED_S: f64 = 30.0;
/// A jump ahead of this size needs a second sample to confirm it, unless the server is polled this rarely.
const LEAP_AHEAD_S: f64 = 3600.0;
/// A sample may be later than the last one by this many poll intervals without confirmation, because polls can be lost.
const INTERVALS_AHEAD: f64 = 4.0;
/// So many samples in a row that are behind show that the wall clock was set back; the last of them is taken. If the
/// monotonic clock began again too, fewer suffice: late samples of the same boot are behind on both clocks by the same.
const GIVE_IN: u32 = 8;
const GIVE_IN_RESTARTED: u32 = 2;

/// Where a sample belongs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// At this many seconds on the axis; `restarted` when the monotonic clock restarted before it.
    At { t_s: f64, restarted: bool },
    /// Too far ahead to be believed alone.
    Ahead,
    /// Behind what was already used.
    Behind,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Timeline {
    /// The newest stamp and its place.
    head: Option<(Stamp, f64)>,
    /// A sample that waits for confirmation.
    #[serde(skip)]
    pub held: Option<Box<Sample>>,
    behind_in_row: u32,
    /// Times on the axis at which the machine was suspended, and for how long.
    gaps: std::collections::VecDeque<(f64, f64)>,
}

/// Gaps that are remembered.
const GAPS: usize = 16;

impl Timeline {
    /// Takes note that the wall clock went on by `by_s` at `t_s` while the axis stood still.
    pub fn skip(&mut self, t_s: f64, by_s: f64) {
        if self.gaps.len() == GAPS {
            self.gaps.pop_front();
        }
        self.gaps.push_back((t_s, by_s));
    }

    /// Unix nanoseconds of the wall clock at a place on the axis, by the clock as it is set now.
    pub fn wall_ns(&self, t_s: f64) -> i64 {
        let stood_s: f64 = self.gaps.iter().filter(|gap| t_s <= gap.0).map(|gap| gap.1).sum();
        let from =
            |(stamp, head_s): (Stamp, f64)| stamp.wall_ns.saturating_add(((t_s - head_s - stood_s) * 1e9) as i64);
        // To the microsecond: the same time seen from different heads must be the same.
        self.head.map_or(0, |head| from(head).div_euclid(1000).saturating_mul(1000))
    }

    /// Places a stamp without moving the head for one that is ahead or behind. `poll_s` is the interval of its polls.
    pub fn place(&mut self, stamp: &Stamp, poll_s: f64) -> Place {
        let Some((last, last_s)) = self.head else {
            self.head = Some((*stamp, 0.0));
            return Place::At { t_s: 0.0, restarted: false };
        };
        let wall_s = stamp.wall_ns.saturating_sub(last.wall_ns) as f64 / 1e9;
        let (passed_s, restarted) = passed(&last, stamp, wall_s);
        if passed_s < -TOLERATED_S {
            self.behind_in_row += 1;
            let mono_s = stamp.mono_ns.saturating_sub(last.mono_ns) as f64 / 1e9;
            let is_restart = last.mono_ns != 0 && stamp.mono_ns != 0 && (wall_s - mono_s).abs() > TOLERATED_S;
            if self.behind_in_row < if is_restart { GIVE_IN_RESTARTED } else { GIVE_IN } {
                return Place::Behind;
            }
            // All samples are behind: the clock was set back, so continue from here.
            return self.advance(stamp, last_s + 1.0, true);
        }
        if passed_s > LEAP_AHEAD_S.max(INTERVALS_AHEAD * poll_s) && self.held.is_none() {
            return Place::Ahead;
        }
        if passed_s <= 0.0 {
            self.behind_in_row = 0;
            return Place::At { t_s: last_s + passed_s, restarted: false };
        }
        self.advance(stamp, last_s + passed_s, restarted)
    }

    /// Whether `stamp` confirms the held sample: it is not earlier, but may be any time later.
    pub fn confirms(&self, stamp: &Stamp) -> bool {
        self.held.as_ref().is_some_and(|held| {
            let between_s = stamp.wall_ns.saturating_sub(held.at.wall_ns) as f64 / 1e9;
            between_s >= -TOLERATED_S
        })
    }

    fn advance(&mut self, stamp: &Stamp, t_s: f64, restarted: bool) -> Place {
        self.behind_in_row = 0;
        self.head = Some((*stamp, t_s));
        Place::At { t_s, restarted }
    }
}

/// Seconds from one stamp to the next, and whether the machine restarted between them.
fn passed(last: &Stamp, now: &Stamp, wall_s: f64) -> (f64, bool) {
    if last.mono_ns == 0 || now.mono_ns == 0 {
        return (wall_s, false);
    }
    let mono_s = now.mono_ns.saturating_sub(last.mono_ns) as f64 / 1e9;
    // If the monotonic clock goes back and the wall clock does not, the machine was restarted; use the wall clock.
    if mono_s < -TOLERATED_S && wall_s > -TOLERATED_S { (wall_s.max(0.001), true) } else { (mono_s, false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(wall_s: f64, mono_s: f64) -> Stamp {
        Stamp::new((wall_s * 1e9) as i64, (mono_s * 1e9) as i64, 0)
    }

    fn at(t_s: f64) -> Place {
        Place::At { t_s, restarted: false }
    }

    #[test]
    fn a_wall_clock_step_does_not_change_the_axis() {
        let mut line = Timeline::default();
        assert_eq!(line.place(&stamp(1e6, 100.0), 64.0), at(0.0));
        assert_eq!(line.place(&stamp(1e6 - 7200.0, 164.0), 64.0), at(64.0));
    }

    #[test]
    fn another_boot_is_a_restart_and_time_goes_on() {
        let mut line = Timeline::default();
        line.place(&stamp(1e6, 5000.0), 64.0);
        assert_eq!(line.place(&stamp(1e6 + 90.0, 20.0), 64.0), Place::At { t_s: 90.0, restarted: true });
    }

    #[test]
    fn another_boot_with_an_earlier_wall_clock_is_a_restart() {
        let mut line = Timeline::default();
        line.place(&stamp(1e6, 5000.0), 64.0);
        assert_eq!(line.place(&stamp(1e6 - 100.0, 4900.0), 64.0), Place::Behind, "a late sample of the same boot");
        assert_eq!(line.place(&stamp(1e6 + 20.0, 5020.0), 64.0), at(20.0));
        assert_eq!(line.place(&stamp(1e6 - 3500.0, 20.0), 64.0), Place::Behind);
        assert_eq!(line.place(&stamp(1e6 - 3490.0, 30.0), 64.0), Place::At { t_s: 21.0, restarted: true });
    }

    #[test]
    fn a_leap_ahead_needs_confirmation_and_stragglers_are_behind() {
        let mut line = Timeline::default();
        line.place(&stamp(1e6, 0.0), 64.0);
        assert_eq!(line.place(&stamp(1e6 + 1e7, 0.0), 64.0), Place::Ahead);
        assert_eq!(line.place(&stamp(1e6 - 10.0, 0.0), 64.0), at(-10.0));
        assert_eq!(line.place(&stamp(1e6 - 1000.0, 0.0), 64.0), Place::Behind);
    }

    #[test]
    fn wall_clock_set_back_without_monotonic_clock_is_followed() {
        let mut line = Timeline::default();
        line.place(&stamp(1e6, 0.0), 64.0);
        let places: Vec<_> =
            (0..8).map(|k| line.place(&stamp(1e6 - 5000.0 + f64::from(k) * 10.0, 0.0), 64.0)).collect();
        assert!(places[..7].iter().all(|p| *p == Place::Behind));
        assert_eq!(places[7], Place::At { t_s: 1.0, restarted: true });
    }

    #[test]
    fn rarely_polled_server_needs_no_confirmation() {
        let mut line = Timeline::default();
        line.place(&stamp(1e6, 0.0), 86_400.0);
        assert_eq!(line.place(&stamp(1e6 + 86_400.0, 0.0), 86_400.0), at(86_400.0));
        assert_eq!(line.place(&stamp(1e6 + 4e6, 0.0), 86_400.0), Place::Ahead, "that is 46 days");
    }
}
