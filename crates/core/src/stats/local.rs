//! What is known of the own clock beside the servers' opinion: the kernel's state, a daemon's state, and the clock
//! comparison that every sample carries.
//!
//! `REALTIME − MONOTONIC_RAW` moves slowly while the kernel steers the clock, and jumps when somebody sets it. A jump
//! therefore proves a local step without any server. What it cannot show: a machine that was frozen whole (all clocks
//! stop together), and a bad oscillator (both clocks run on it).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;

/// The state of the kernel clock, as `adjtimex` with `modes = 0` reports it (adjtimex(2), linux/timex.h).
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct KernelState {
    /// Whether the kernel calls its clock synchronised (`STA_UNSYNC` is clear). On Linux chronyd clears the flag only
    /// with `rtcsync`, so "no" alone proves nothing.
    pub synchronised: bool,
    /// The maximum error in seconds; grows by 500 µs per second without updates.
    pub max_error_s: f64,
    /// The estimated error in seconds.
    pub est_error_s: f64,
    /// The correction that the kernel applies, in ppm, positive when it speeds the clock up; ticks included.
    pub frequency_ppm: f64,
    /// TAI − UTC in seconds as the kernel was told; `None` when never told (0).
    pub tai_offset_s: Option<i32>,
    /// A leap second that is armed: +1 insert, −1 delete, 0 none.
    pub leap_pending: i8,
}

/// What a chronyd or ntpd on this machine says of itself.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct DaemonView {
    /// Which daemon: `chronyd`, `ntpd`, …
    pub name: String,
    /// Whether it claims to be synchronised.
    pub synchronised: bool,
    /// Its stratum.
    pub stratum: Option<u8>,
    /// The offset that it believes remains, in seconds, positive when true time is ahead of this host (converted from
    /// the daemon's own sign by whoever reads it).
    pub offset_s: Option<f64>,
    /// The bound that it states, in seconds: root dispersion + root delay / 2.
    pub bound_s: Option<f64>,
}

/// Everything that is known of the own clock without asking a server.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema, Serialize, Deserialize)]
pub struct LocalState {
    /// The kernel's view; absent in replay.
    pub kernel: Option<KernelState>,
    /// The daemon's view, when one runs.
    pub daemon: Option<DaemonView>,
}

/// The kernel gives up on its own clock at this maximum error (linux/timex.h, NTP_PHASE_LIMIT).
const MAX_ERROR_LIMIT_S: f64 = 16.0;
/// The kernel cannot correct beyond this; a clock that needs it is broken (linux/timex.h, MAXFREQ).
const FREQUENCY_LIMIT_PPM: f64 = 490.0;

impl LocalState {
    /// Why the own clock must not be used to judge others, by what it says of itself. It is called unsynchronised only
    /// when the kernel says so and no daemon claims otherwise.
    #[must_use]
    pub fn distrust(&self) -> Option<&'static str> {
        let daemon_vouches = self.daemon.as_ref().is_some_and(|d| d.synchronised);
        let kernel = self.kernel?;
        if !kernel.synchronised && !daemon_vouches {
            return Some("the kernel calls its clock unsynchronised and no daemon says otherwise");
        }
        if kernel.max_error_s >= MAX_ERROR_LIMIT_S && !daemon_vouches {
            return Some("the kernel's maximum error has reached its limit of 16 s");
        }
        if kernel.frequency_ppm.abs() >= FREQUENCY_LIMIT_PPM {
            return Some("the frequency correction of the kernel is at its limit of 500 ppm");
        }
        None
    }
}

/// A movement of the wall clock against the raw clock of the same machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockMove {
    /// The last stamp before it, Unix nanoseconds of the wall clock.
    pub from_ns: i64,
    /// The first stamp after it, Unix nanoseconds of the (moved) wall clock.
    pub until_ns: i64,
    /// How far the wall clock was moved, in seconds, positive when it was set forward.
    pub size_s: f64,
    /// Whether it happened between two neighbouring stamps (a step) or over several (a slew).
    pub step: bool,
}

/// What is slower than this, beyond the usual correction, is steering and not a step; over a pause longer than a minute
/// the usual correction is known better than that.
const STEER_PPM: f64 = 50.0;
/// How well the usual correction is known over a long pause.
const LONG_STEER_PPM: f64 = 5.0;
/// How long a pause without stamps leaves doubt about what happened in it.
const DOUBT_TAU_S: f64 = 3600.0;
/// Steps smaller than this are not reported: three clock reads under load can be that far apart.
const MIN_STEP_S: f64 = 0.002;
/// Two stamps closer than this say nothing of a rate: how far apart their clocks were read is noise.
const SHORTEST_S: f64 = 1.0;
/// Over a pause longer than this the own oscillator's wander is no longer negligible against a step worth reporting.
const WITNESS_GAP_S: f64 = 4.0 * 3600.0;

/// Finds steps of the wall clock from `raw_ns` alone. One number of state per clock; O(1) per stamp.
#[derive(Debug, Default)]
pub struct StepDetector {
    last: Option<Stamp>,
    /// The usual rate of `raw_ns`: the frequency correction that is applied, in seconds per second.
    rate: Option<f64>,
    moving: Option<ClockMove>,
    /// The largest step that can have gone unnoticed lately.
    doubt_s: f64,
}

impl StepDetector {
    /// Whether a stamp says anything of the raw clock. Zero means that the recording has no such column: the true
    /// value is the boot time since 1970 and never zero.
    #[must_use]
    pub fn has_raw(stamp: &Stamp) -> bool {
        stamp.raw_ns != 0
    }

    /// Forgets the past: after a restart of the machine the raw clock began anew.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// The movement that is under way, as far as it got.
    #[must_use]
    pub fn moving(&self) -> Option<&ClockMove> {
        self.moving.as_ref()
    }

    /// The largest step that can have gone unnoticed lately, in seconds; `None` when nothing is known.
    #[must_use]
    pub fn doubt_s(&self) -> Option<f64> {
        self.rate.map(|_| self.doubt_s)
    }

    /// Feeds the stamp of a sample; stamps must come in order. Returns a movement once it is over.
    pub fn observe(&mut self, stamp: &Stamp) -> Option<ClockMove> {
        if !Self::has_raw(stamp) {
            return None;
        }
        let Some(last) = self.last else {
            self.last = Some(*stamp);
            return None;
        };
        // The raw clock itself tells how much time passed; neither wall nor mono need be right.
        // Wide, because a recording may hold any number.
        let raw = |s: &Stamp| i128::from(s.wall_ns) - i128::from(s.raw_ns);
        let passed_s = (raw(stamp) - raw(&last)) as f64 / 1e9;
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
        // Before the usual rate is known, any rate that a kernel can apply is possible.
        let tolerance_s = MIN_STEP_S
            + 1e-6
                * match self.rate {
                    Some(_) => STEER_PPM * passed_s.min(60.0) + LONG_STEER_PPM * (passed_s - 60.0).max(0.0),
                    None => 500.0 * passed_s,
                };
        self.doubt_s = tolerance_s.max(self.doubt_s * (-passed_s / DOUBT_TAU_S).exp());
        if unusual_s.abs() <= tolerance_s {
            self.learn(moved_s / passed_s, passed_s);
            return self.moving.take();
        }
        if passed_s > WITNESS_GAP_S && unusual_s.abs() < 1.0 {
            return self.moving.take();
        }
        let moving = self.moving.get_or_insert(ClockMove {
            from_ns: last.wall_ns,
            until_ns: stamp.wall_ns,
            size_s: 0.0,
            step: true,
        });
        moving.step = moving.size_s == 0.0;
        moving.size_s += unusual_s;
        moving.until_ns = stamp.wall_ns;
        None
    }

    fn learn(&mut self, rate: f64, passed_s: f64) {
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
    fn a_jump_of_the_raw_difference_is_a_step_with_its_size_and_time() {
        let found = moves(|t| 20e-6 * t + if t > 1000.0 { 0.06 } else { 0.0 }, 200);
        assert_eq!(found.len(), 1);
        assert!(found[0].step && (found[0].size_s - 0.06).abs() < 1e-6, "{found:?}");
        assert!(found[0].until_ns - found[0].from_ns < 17_000_000_000);
    }

    #[test]
    fn stamps_of_one_instant_are_no_measure_of_a_rate() {
        let mut detector = StepDetector::default();
        let mut found = Vec::new();
        for k in 0..400_u32 {
            // Two servers answer within a nanosecond; reading the clocks took 50 µs more or less.
            let t = f64::from(k / 2) * 64.0 + f64::from(k % 2) * 1e-9;
            let noise = if k % 2 == 0 { 50e-6 } else { -50e-6 };
            found.extend(detector.observe(&stamp(t, noise + if t > 6400.0 { 0.08 } else { 0.0 })));
        }
        assert_eq!(found.len(), 1);
        assert!((found[0].size_s - 0.08).abs() < 1e-3, "{found:?}");
        assert!(detector.doubt_s().unwrap() < 0.01);
    }

    #[test]
    fn a_change_of_frequency_is_not_a_step() {
        assert_eq!(moves(|t| 20e-6 * t + 25e-6 * (t - 1000.0).max(0.0), 400), []);
    }

    #[test]
    fn a_fast_slew_is_one_movement_and_not_a_chain_of_steps() {
        let found = moves(|t| (500e-6 * (t - 1000.0)).clamp(0.0, 0.06), 200);
        assert_eq!(found.len(), 1);
        assert!(!found[0].step && (found[0].size_s - 0.06).abs() < 0.002, "{found:?}");
    }

    #[test]
    fn a_step_in_a_pause_is_found_when_it_is_larger_than_the_doubt() {
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
    fn recordings_without_the_column_prove_nothing() {
        let mut detector = StepDetector::default();
        for k in 0..10 {
            assert_eq!(detector.observe(&Stamp::new(k * 1_000_000_000, 0, 0)), None);
        }
        assert_eq!(detector.doubt_s(), None);
    }

    #[test]
    fn a_daemon_that_vouches_outweighs_the_flag_of_the_kernel() {
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
