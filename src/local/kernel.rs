//! The kernel's state of this host's clock: adjtimex(2) with `modes = 0`, which changes nothing and needs no privilege.

use std::ffi::{c_int, c_long};
use std::io;

use nix::libc;

use ntp_monitor_core::stats::local::KernelState;

/// The nominal tick of 10 ms, in microseconds; it differs when the clock is corrected coarsely.
const NOMINAL_TICK_US: f64 = 10_000.0;
/// Frequency change for a tick that is 1 µs longer, at 100 ticks per second.
const PPM_PER_TICK_US: f64 = 100.0;
/// The kernel stores frequencies in units of ppm · 2⁻¹⁶.
const FREQUENCY_SCALE: f64 = 65_536.0;

/// The used fields of `struct timex` (linux/timex.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawTimex {
    /// The return value: `TIME_OK` to `TIME_ERROR`.
    pub state: c_int,
    pub status: c_int,
    /// Frequency correction in ppm · 2¹⁶.
    pub freq: c_long,
    /// Maximum error in microseconds.
    pub maxerror: c_long,
    /// Estimated error in microseconds.
    pub esterror: c_long,
    pub tick: c_long,
    /// TAI − UTC in seconds; 0 if it was never set.
    pub tai: c_int,
}

/// Reads the state from the kernel.
///
/// # Errors
/// When the call is not permitted, as in some sandboxes.
pub fn read_kernel() -> io::Result<KernelState> {
    Ok(decode(&call()?))
}

/// Converts the kernel's numbers.
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
    // SAFETY: `timex` is a C struct of integers, for which all zeroes is a valid value; zero `modes` only reads. The
    // pointer refers to a live local of exactly the type that the kernel fills.
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

    /// A synchronised clock: `STA_PLL | STA_NANO`.
    const WELL: RawTimex =
        RawTimex { state: 0, status: 8193, freq: 0, maxerror: 0, esterror: 0, tick: 10_000, tai: 37 };

    #[test]
    fn frequency_is_scaled_and_includes_the_tick() {
        for (freq, ppm) in [(65_536, 1.0), (-211_353, -3.224_990_844_726_562_5), (32_768_000, 500.0)] {
            assert_eq!(decode(&RawTimex { freq, ..WELL }).frequency_ppm, ppm);
        }
        assert_eq!(decode(&RawTimex { freq: -65_536, tick: 10_001, ..WELL }).frequency_ppm, 99.0);
    }

    #[test]
    fn synchronised_needs_both_flag_and_return_value() {
        for (state, status, synchronised) in [(0, 8193, true), (5, 8193, false), (0, 64, false), (0, 8257, false)] {
            assert_eq!(decode(&RawTimex { state, status, ..WELL }).synchronised, synchronised, "{state} {status}");
        }
    }

    #[test]
    fn pending_leap_second_has_its_sign() {
        for (status, pending) in [(8193, 0), (8209, 1), (8225, -1)] {
            assert_eq!(decode(&RawTimex { status, ..WELL }).leap_pending, pending);
        }
    }

    #[test]
    fn host_without_daemon_has_maximum_error_and_no_tai() {
        // Values from a container host without a time daemon.
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
    fn kernel_state_is_readable_without_privilege() {
        // A sandbox may forbid the call.
        if let Ok(state) = read_kernel() {
            assert!(state.frequency_ppm.abs() <= 100_000.0 && state.max_error_s >= 0.0, "{state:?}");
        }
    }
}
