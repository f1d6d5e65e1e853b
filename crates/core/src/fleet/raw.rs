//! Steps of the wall clock of one vantage, seen against its own raw clock, which is never set.

use crate::clock::Stamp;

/// A jump of REALTIME − MONOTONIC_RAW below this is not distinguished from jitter, in seconds.
const RAW_JITTER_S: f64 = 3e-4;
/// A change of that difference below this rate is slewing, not a step, in seconds per second.
const RAW_SLEW: f64 = 1e-4;
/// Samples of several servers end in any order; a monotonic clock that falls further was restarted.
const REBOOT_NS: i64 = 60_000_000_000;

/// Detects steps of the wall clock of one vantage.
#[derive(Debug, Clone, Default)]
pub(super) struct RawClock {
    last: Option<(Stamp, i64)>,
    /// The sum of the steps since the last round, in seconds.
    pending_s: f64,
}

/// What the clocks of one vantage show about steps since the last round.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RawStep {
    /// Whether there is a raw clock.
    pub is_known: bool,
    /// By how much the clock was set forward, in seconds.
    pub step_s: f64,
}

impl RawClock {
    /// Takes the steps since the last round.
    pub fn take(&mut self) -> RawStep {
        RawStep { is_known: self.last.is_some(), step_s: std::mem::take(&mut self.pending_s) }
    }

    /// By how much the wall clock was set since the stamp before, in seconds. A suspension is not a step.
    pub fn step_s(&mut self, at: Stamp, at_ns: i64) -> Option<f64> {
        if at.raw_ns == 0 {
            return None;
        }
        let Some((last, last_ns)) = self.last else {
            self.last = Some((at, at_ns));
            return None;
        };
        let backwards_ns = last.mono_ns.saturating_sub(at.mono_ns);
        if (0..REBOOT_NS).contains(&backwards_ns) && at_ns <= last_ns {
            return None;
        }
        self.last = Some((at, at_ns));
        if backwards_ns >= REBOOT_NS {
            return None;
        }
        let moved = |stamp: Stamp| stamp.raw_ns.wrapping_sub(stamp.boot_ns);
        let step_s = moved(at).wrapping_sub(moved(last)) as f64 / 1e9;
        let elapsed_s = at.mono_ns.saturating_sub(last.mono_ns).max(0) as f64 / 1e9;
        (step_s.abs() > RAW_JITTER_S + RAW_SLEW * elapsed_s).then(|| {
            self.pending_s += step_s;
            step_s
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn steps(stamps: &[(i64, i64, i64)]) -> Vec<Option<f64>> {
        let mut clock = RawClock::default();
        let stamp = |(mono_ns, raw_ns, boot_ns): &(i64, i64, i64)| Stamp {
            boot_ns: *boot_ns,
            ..Stamp::new(*mono_ns, *mono_ns, *raw_ns)
        };
        stamps.iter().map(|it| clock.step_s(stamp(it), it.0)).collect()
    }

    #[test]
    fn set_clock_is_a_step_and_slewing_is_none() {
        assert_eq!(steps(&[(0, 9 * S, 0), (64 * S, 9 * S + 2_000_000, 0)]), [None, None]);
        assert_eq!(steps(&[(0, 9 * S, 0), (64 * S, 9 * S + 50_000_000, 0)]), [None, Some(0.05)]);
    }

    #[test]
    fn suspension_and_restart_are_no_steps() {
        assert_eq!(steps(&[(0, 9 * S, 0), (64 * S, 3609 * S, 3600 * S)]), [None, None]);
        assert_eq!(steps(&[(5000 * S, 9 * S, 0), (10 * S, 6009 * S, 0)]), [None, None]);
    }
}
