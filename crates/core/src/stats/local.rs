//! Data about this host's clock that needs no server: the state of the kernel and of a time daemon, and the comparison
//! of two local clocks that every sample carries.
//!
//! `REALTIME − MONOTONIC_RAW` changes slowly while the kernel slews the clock, and jumps when the clock is set. A jump
//! therefore proves a local step without any server. It cannot show a suspended host, because all clocks stop together,
//! or a bad oscillator, because both clocks run on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;

/// The state of the kernel clock, as `adjtimex` with `modes = 0` reports it (adjtimex(2), linux/timex.h).
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct KernelState {
    /// Whether the kernel reports its clock as synchronised (`STA_UNSYNC` is clear). On Linux, chronyd clears the flag
    /// only with `rtcsync`, so "no" alone proves nothing.
    pub synchronised: bool,
    /// The maximum error in seconds. It grows by 500 µs per second without updates.
    pub max_error_s: f64,
    /// The estimated error in seconds.
    pub est_error_s: f64,
    /// The frequency correction that the kernel applies in ppm, including the tick; positive when it speeds the clock
    /// up.
    pub frequency_ppm: f64,
    /// TAI − UTC in seconds as set in the kernel; absent if it was never set (0).
    pub tai_offset_s: Option<i32>,
    /// The leap second that the kernel will apply: +1 insertion, −1 deletion, 0 none.
    pub leap_pending: i8,
}

/// The state that a time daemon (chronyd or ntpd) on this host reports.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct DaemonView {
    /// The name of the daemon: `chronyd`, `ntpd`, …
    pub name: String,
    /// Whether the daemon reports that it is synchronised.
    pub synchronised: bool,
    /// The stratum of the daemon.
    pub stratum: Option<u8>,
    /// The remaining offset according to the daemon in seconds, positive when true time is ahead of this host (the
    /// reader converts from the daemon's own sign).
    pub offset_s: Option<f64>,
    /// The error bound according to the daemon in seconds: root dispersion + root delay / 2.
    pub bound_s: Option<f64>,
}

/// The state of this host's clock without any server.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema, Serialize, Deserialize)]
pub struct LocalState {
    /// The state of the kernel clock; absent in replay.
    pub kernel: Option<KernelState>,
    /// The state of the time daemon; absent if none runs.
    pub daemon: Option<DaemonView>,
}

/// At this maximum error the kernel sets its clock to unsynchronised (linux/timex.h, NTP_PHASE_LIMIT).
const MAX_ERROR_LIMIT_S: f64 = 16.0;
/// A correction close to the kernel's limit of 500 ppm (linux/timex.h, MAXFREQ) means that the oscillator is faulty.
const FREQUENCY_LIMIT_PPM: f64 = 490.0;

impl LocalState {
    /// Why this host's clock is not reliable according to the kernel and the daemon; `None` if it is. The clock only
    /// counts as unsynchronised if the kernel says so and no daemon reports that it is synchronised.
    #[must_use]
    pub fn distrust(&self) -> Option<&'static str> {
        let daemon_vouches = self.daemon.as_ref().is_some_and(|d| d.synchronised);
        let kernel = self.kernel?;
        if !kernel.synchronised && !daemon_vouches {
            return Some("the kernel reports an unsynchronised clock and no time daemon reports a synchronised one");
        }
        if kernel.max_error_s >= MAX_ERROR_LIMIT_S && !daemon_vouches {
            return Some("the kernel's maximum error has reached the limit of 16 s");
        }
        if kernel.frequency_ppm.abs() >= FREQUENCY_LIMIT_PPM {
            return Some("the kernel's frequency correction is at the limit of 500 ppm");
        }
        None
    }
}

/// A movement of the wall clock relative to the raw clock of this host.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClockMove {
    /// The last stamp before the movement, in Unix nanoseconds of the wall clock.
    pub from_ns: i64,
    /// The first stamp after the movement, in Unix nanoseconds of the moved wall clock.
    pub until_ns: i64,
    /// The size of the movement in seconds, positive when the clock was set forward.
    pub size_s: f64,
    /// Whether most of the movement happened between two successive stamps, faster than clocks are slewed.
    pub step: bool,
}

/// A movement slower than this, in addition to the usual correction, is slewing and not a step.
const STEER_PPM: f64 = 50.0;
/// The same for the part of a pause beyond one minute, over which the usual correction is known better.
const LONG_STEER_PPM: f64 = 5.0;
/// No usual correction is faster than this: oscillators are rarely off by more than 100 ppm, and clocks that are slewed
/// move by 500 ppm and more.
const USUAL_PPM: f64 = 200.0;
/// The fastest rate at which the kernel slews a clock for `adjtime`, by default.
const SLEW_PPM: f64 = 500.0;
/// A movement is a step if this part of it happened between two stamps.
const MOST: f64 = 0.8;
/// A movement at a usual rate that lasts longer than this is a new usual correction, in seconds.
const LASTING_S: f64 = 1800.0;
/// The time constant with which the uncertainty after a pause without stamps decays, in seconds.
const DOUBT_TAU_S: f64 = 3600.0;
/// Smaller steps are not reported, because under load the clocks of one stamp can be read that far apart. In seconds.
const MIN_STEP_S: f64 = 0.002;
/// Two stamps closer than this are not used to measure a rate, because the noise of reading the clocks dominates. In
/// seconds.
const SHORTEST_S: f64 = 1.0;
/// After a suspension the wall clock is set from the real-time clock, to about so many seconds.
const RESUMED_S: f64 = 1.0;
/// Over a longer pause, in seconds, the wander of the oscillator can look like a step.
const WITNESS_GAP_S: f64 = 4.0 * 3600.0;

/// Detects steps of the wall clock from `raw_ns` alone, in O(1) time per stamp and constant memory.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct StepDetector {
    last: Option<Stamp>,
    /// The usual rate of `raw_ns`: the applied frequency correction, in seconds per second.
    rate: Option<f64>,
    moving: Option<ClockMove>,
    /// For how long the movement has lasted, in seconds.
    moving_s: f64,
    /// The largest part of the movement between two stamps that was faster than slewing, in seconds.
    jump_s: f64,
    /// The largest recent step that could have gone undetected, in seconds.
    doubt_s: f64,
}

impl StepDetector {
    /// Whether a stamp contains the raw clock. Zero means that the recording lacks the column; the real value is close
    /// to the boot time since 1970 and never zero.
    #[must_use]
    pub fn has_raw(stamp: &Stamp) -> bool {
        stamp.raw_ns != 0
    }

    /// Resets the detector after a restart of the host, which also restarts the raw clock.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// The movement in progress, up to the last stamp.
    #[must_use]
    pub fn moving(&self) -> Option<&ClockMove> {
        self.moving.as_ref()
    }

    /// The usual frequency correction of the wall clock, in seconds per second; zero while it is not known.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate.unwrap_or(0.0)
    }

    /// The largest recent step that could have gone undetected, in seconds; `None` if the rate is not known yet.
    #[must_use]
    pub fn doubt_s(&self) -> Option<f64> {
        self.rate.map(|_| self.doubt_s)
    }

    /// Processes the stamp of a sample; stamps must be in order. Returns a movement when it has ended.
    pub fn observe(&mut self, stamp: &Stamp) -> Option<ClockMove> {
        if !Self::has_raw(stamp) {
            return None;
        }
        let Some(last) = self.last else {
            self.last = Some(*stamp);
            return None;
        };
        // Elapsed time comes from the raw clock, because the wall clock may be wrong.
        // 128 bits avoid an overflow, because a recording may contain any number.
        let raw = |s: &Stamp| i128::from(s.wall_ns) - i128::from(s.raw_ns);
        let raw_s = (raw(stamp) - raw(&last)) as f64 / 1e9;
        // The monotonic clock stands still while the machine is suspended, when the kernel steers no clock.
        let has_mono = stamp.mono_ns != 0 && last.mono_ns != 0;
        let mono_s = stamp.mono_ns.saturating_sub(last.mono_ns) as f64 / 1e9;
        let passed_s = if has_mono { raw_s.min(mono_s) } else { raw_s };
        let has_slept = has_mono && raw_s - mono_s > 1.0;
        let moved_s = (i128::from(stamp.raw_ns) - i128::from(last.raw_ns)) as f64 / 1e9;
        if (0.0..SHORTEST_S).contains(&passed_s) && moved_s.abs() <= MIN_STEP_S {
            return None;
        }
        self.last = Some(*stamp);
        if passed_s <= 0.0 {
            return None;
        }
        let usual_s = self.rate.unwrap_or(0.0) * passed_s;
        let unusual_s = moved_s - usual_s;
        // Until the usual rate is known, allow any rate that a kernel can apply.
        let tolerance_s = MIN_STEP_S
            + 1e-6
                * match self.rate {
                    Some(_) => STEER_PPM * passed_s.min(60.0) + LONG_STEER_PPM * (passed_s - 60.0).max(0.0),
                    None => SLEW_PPM * passed_s,
                };
        let unknown_s = if has_slept { RESUMED_S } else { tolerance_s };
        self.doubt_s = unknown_s.max(self.doubt_s * (-passed_s / DOUBT_TAU_S).exp());
        if unusual_s.abs() <= tolerance_s {
            self.learn(moved_s / passed_s, passed_s);
            return self.moving.take();
        }
        if passed_s > WITNESS_GAP_S && unusual_s.abs() < 1.0 {
            return self.moving.take();
        }
        self.moving_s = if self.moving.is_some() { self.moving_s + passed_s } else { passed_s };
        let rate = moved_s / passed_s;
        if self.moving_s - passed_s > LASTING_S && rate.abs() < 1e-6 * USUAL_PPM {
            (self.rate, self.moving) = (Some(rate), None);
            return None;
        }
        if self.moving.is_none() {
            self.jump_s = 0.0;
        }
        if unusual_s.abs() > (1e-6 * SLEW_PPM * passed_s).max(self.jump_s.abs()) {
            self.jump_s = unusual_s;
        }
        let (from_ns, until_ns) = (last.wall_ns, stamp.wall_ns);
        let moving = self.moving.get_or_insert(ClockMove { from_ns, until_ns, size_s: 0.0, step: false });
        moving.size_s += unusual_s;
        moving.step = self.jump_s * moving.size_s.signum() > MOST * moving.size_s.abs();
        moving.until_ns = until_ns;
        None
    }

    fn learn(&mut self, rate: f64, passed_s: f64) {
        if self.rate.is_none() && rate.abs() > 1e-6 * USUAL_PPM {
            return;
        }
        let weight = (passed_s / 600.0).min(0.5);
        self.rate = Some(self.rate.map_or(rate, |old| old + weight * (rate - old)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT_NS: i64 = 1_700_000_000_000_000_000;

    fn stamp(t_s: f64, d_s: f64) -> Stamp {
        let raw = (t_s * 1e9) as i64;
        let raw_ns = BOOT_NS + (d_s * 1e9) as i64;
        Stamp::new(raw + raw_ns, raw, raw_ns)
    }

    fn moves(d_of: impl Fn(f64) -> f64, until: u32) -> Vec<ClockMove> {
        let mut detector = StepDetector::default();
        (0..until).filter_map(|k| detector.observe(&stamp(f64::from(k) * 16.0, d_of(f64::from(k) * 16.0)))).collect()
    }

    #[test]
    fn jump_of_the_raw_difference_is_a_step() {
        let found = moves(|t| 20e-6 * t + if t > 1000.0 { 0.06 } else { 0.0 }, 200);
        assert_eq!(found.len(), 1);
        assert!(found[0].step && (found[0].size_s - 0.06).abs() < 1e-6, "{found:?}");
        assert!(found[0].until_ns - found[0].from_ns < 17_000_000_000);
    }

    #[test]
    fn no_clock_is_steered_while_the_machine_is_suspended() {
        let mut detector = StepDetector::default();
        // The stamps are corrected for three hours of suspension, in which the monotonic clock stood still.
        let found = (0..400).filter_map(|k| {
            let t_s = f64::from(k) * 16.0;
            let slept_ns = if k < 200 { 0 } else { 10_800_000_000_000_i64 };
            let it = stamp(t_s, -12e-6 * t_s);
            detector.observe(&Stamp { wall_ns: it.wall_ns + slept_ns, ..it })
        });
        assert_eq!(found.collect::<Vec<_>>(), []);
    }

    #[test]
    fn stamps_of_the_same_instant_do_not_affect_the_rate() {
        let mut detector = StepDetector::default();
        let mut found = Vec::new();
        for k in 0..400_u32 {
            // Two servers answer within a nanosecond; reading the clocks adds 50 µs of noise.
            let t = f64::from(k / 2) * 64.0 + f64::from(k % 2) * 1e-9;
            let noise = if k % 2 == 0 { 50e-6 } else { -50e-6 };
            found.extend(detector.observe(&stamp(t, noise + if t > 6400.0 { 0.08 } else { 0.0 })));
        }
        assert_eq!(found.len(), 1);
        assert!((found[0].size_s - 0.08).abs() < 1e-3, "{found:?}");
        assert!(detector.doubt_s().unwrap() < 0.01);
    }

    #[test]
    fn frequency_change_is_not_a_step() {
        assert_eq!(moves(|t| 20e-6 * t + 25e-6 * (t - 1000.0).max(0.0), 400), []);
    }

    #[test]
    fn fast_slew_is_one_movement() {
        let found = moves(|t| (500e-6 * (t - 1000.0)).clamp(0.0, 0.06), 200);
        assert_eq!(found.len(), 1);
        assert!(!found[0].step && (found[0].size_s - 0.06).abs() < 0.002, "{found:?}");
    }

    #[test]
    fn step_during_a_pause_is_found_if_large_enough() {
        let mut detector = StepDetector::default();
        let mut found = Vec::new();
        for t in (0..100).chain(300..400).map(|k| f64::from(k) * 16.0) {
            found.extend(detector.observe(&stamp(t, 20e-6 * t + if t > 3000.0 { -0.06 } else { 0.0 })));
        }
        assert_eq!(found.len(), 1);
        assert!((found[0].size_s + 0.06).abs() < 1e-3);
        let doubt_s = detector.doubt_s().unwrap();
        assert!((0.002..0.02).contains(&doubt_s), "{doubt_s}");
    }

    #[test]
    fn slew_at_the_start_is_not_the_usual_correction() {
        let mut detector = StepDetector::default();
        let moved_s = |t_s: f64| 500e-6 * t_s.min(600.0) + 45e-6 * t_s;
        let found: Vec<_> = (0..500)
            .filter_map(|n| detector.observe(&stamp(16.0 * f64::from(n), moved_s(16.0 * f64::from(n)))))
            .collect();
        assert!(found.is_empty(), "{found:?}");
        assert!((detector.rate() - 45e-6).abs() < 1e-9);
    }

    #[test]
    fn rate_that_lasts_becomes_the_usual_correction() {
        let mut detector = StepDetector::default();
        let moved_s = |t_s: f64| 150e-6 * t_s.min(600.0) + 10e-6 * t_s;
        for n in 0..500 {
            detector.observe(&stamp(16.0 * f64::from(n), moved_s(16.0 * f64::from(n))));
        }
        assert!((detector.rate() - 10e-6).abs() < 1e-9 && detector.moving().is_none());
    }

    #[test]
    fn movement_slower_than_a_slew_is_no_step() {
        let mut detector = StepDetector::default();
        let moved_s = |t_s: f64| if t_s < 64_000.0 { 0.0 } else { 0.013 };
        let found: Vec<_> = (0..200)
            .filter_map(|n| detector.observe(&stamp(1024.0 * f64::from(n), moved_s(1024.0 * f64::from(n)))))
            .collect();
        assert_eq!(found.len(), 1);
        assert!(!found[0].step, "{found:?}");
    }

    #[test]
    fn recordings_without_raw_clock_show_no_steps() {
        let mut detector = StepDetector::default();
        for k in 0..10 {
            assert_eq!(detector.observe(&Stamp::new(k * 1_000_000_000, 0, 0)), None);
        }
        assert_eq!(detector.doubt_s(), None);
    }

    #[test]
    fn synchronised_daemon_overrides_the_kernel_flag() {
        let kernel = KernelState {
            synchronised: false,
            max_error_s: 16.0,
            est_error_s: 16.0,
            frequency_ppm: 3.0,
            tai_offset_s: None,
            leap_pending: 0,
        };
        let mut state = LocalState { kernel: Some(kernel), daemon: None };
        assert!(state.distrust().is_some());
        state.daemon = Some(DaemonView {
            name: "chronyd".into(),
            synchronised: true,
            stratum: Some(3),
            offset_s: None,
            bound_s: None,
        });
        assert_eq!(state.distrust(), None);
        assert_eq!(LocalState::default().distrust(), None);
    }
}
