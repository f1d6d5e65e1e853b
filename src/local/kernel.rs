//! The kernel's view of the own clock: adjtimex(2) with `modes = 0`, which changes nothing and needs no privilege.

use std::ffi::{c_int, c_long};
use std::io;

use nix::libc;

use ntp_monitor_core::stats::local::KernelState;

/// A tick of 10 ms in microseconds; the kernel's is longer or shorter when somebody corrects the clock coarsely.
const NOMINAL_TICK_US: f64 = 10_000.0;
/// A microsecond a tick, 100 ticks a second.
const PPM_PER_TICK_US: f64 = 100.0;
/// The kernel keeps frequencies in ppm · 2¹⁶.
const FREQUENCY_SCALE: f64 = 65_536.0;

/// What the call gives, of `struct timex` (linux/timex.h) only what is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawTimex {
    /// The return value: `TIME_OK` to `TIME_ERROR`.
    pub state: c_int,
    /// `STA_…` bits.
    pub status: c_int,
    /// Frequency correction in ppm · 2¹⁶.
    pub freq: c_long,
    /// Maximum error in microseconds.
    pub maxerror: c_long,
    /// Estimated error in microseconds.
    pub esterror: c_long,
    /// Microseconds between ticks.
    pub tick: c_long,
    /// TAI − UTC in seconds; 0 when nobody told the kernel.
    pub tai: c_int,
}

/// Asks the kernel.
///
/// # Errors
/// When the call is not permitted, as in some sandboxes.
pub fn read_kernel() -> io::Result<KernelState> {
    Ok(decode(&call()?))
}

/// What the kernel's numbers mean.
#[must_use]
pub fn decode(raw: &RawTimex) -> KernelState {
    let has = |bit: c_int| raw.status & bit != 0;
    KernelState {
        synchronised: !has(libc::STA_UNSYNC) && raw.state != libc::TIME_ERROR,
        max_error_s: raw.maxerror as f64 / 1e6,
        est_error_s: raw.esterror as f64 / 1e6,
        frequency_ppm: raw.freq as f64 / FREQUENCY_SCALE + (raw.tick as f64 - NOMINAL_TICK_US) * PPM_PER_TICK_US,
        tai_offset_s: (raw.tai != 0).then_some(raw.tai),
        leap_pending: i8::from(has(libc::STA_INS)) - i8::from(has(libc::STA_DEL)),
    }
}

#[expect(unsafe_code, reason = "no crate that is used here wraps adjtimex")]
fn call() -> io::Result<RawTimex> {
    // SAFETY: `timex` is a C struct of integers, for which all zeroes is a value; zero `modes` asks for nothing but to
    // read. The pointer is to a live local of exactly the type that the kernel fills.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(RawTimex {
        state,
        status: timex.status,
        freq: timex.freq,
        maxerror: timex.maxerror,
        esterror: timex.esterror,
        tick: timex.tick,
        tai: timex.tai,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that is well: `STA_PLL | STA_NANO`.
    const WELL: RawTimex =
        RawTimex { state: 0, status: 8193, freq: 0, maxerror: 0, esterror: 0, tick: 10_000, tai: 37 };

    #[test]
    fn frequencies_are_scaled_and_ticks_are_part_of_them() {
        for (freq, ppm) in [(65_536, 1.0), (-211_353, -3.224_990_844_726_562_5), (32_768_000, 500.0)] {
            assert_eq!(decode(&RawTimex { freq, ..WELL }).frequency_ppm, ppm);
        }
        assert_eq!(decode(&RawTimex { freq: -65_536, tick: 10_001, ..WELL }).frequency_ppm, 99.0);
    }

    #[test]
    fn a_clock_is_synchronised_when_flag_and_return_value_say_so() {
        for (state, status, synchronised) in [(0, 8193, true), (5, 8193, false), (0, 64, false), (0, 8257, false)] {
            assert_eq!(decode(&RawTimex { state, status, ..WELL }).synchronised, synchronised, "{state} {status}");
        }
    }

    #[test]
    fn a_leap_second_that_is_armed_has_its_sign() {
        for (status, pending) in [(8193, 0), (8209, 1), (8225, -1)] {
            assert_eq!(decode(&RawTimex { status, ..WELL }).leap_pending, pending);
        }
    }

    #[test]
    fn a_host_without_daemon_is_at_the_limit_of_error_and_was_never_told_of_tai() {
        // As a container host without time daemon answered.
        let raw = RawTimex {
            state: 5,
            status: 64,
            freq: 0,
            maxerror: 16_000_000,
            esterror: 16_000_000,
            tick: 10_000,
            tai: 0,
        };
        let state = decode(&raw);
        assert_eq!((state.synchronised, state.max_error_s, state.est_error_s), (false, 16.0, 16.0));
        assert_eq!((state.frequency_ppm, state.tai_offset_s), (0.0, None));
        assert_eq!(decode(&WELL).tai_offset_s, Some(37));
    }

    #[test]
    fn the_kernel_answers_whoever_asks() {
        // A sandbox may forbid it, which is no fault of ours.
        if let Ok(state) = read_kernel() {
            assert!(state.frequency_ppm.abs() <= 100_000.0 && state.max_error_s >= 0.0, "{state:?}");
        }
    }
}
