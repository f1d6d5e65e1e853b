//! The grain of a server's timestamps: the coarsest unit such that all observed timestamps are multiples of it.

use serde::{Deserialize, Serialize};

use crate::ntp::NtpTimestamp;

/// Units of 10^-n seconds can be distinguished down to n = 7; below, the multiples are too close together in a
/// timestamp.
const FINEST_DECIMAL: u8 = 7;
/// Fractions that end in fewer zero bits than this show no binary grain.
const FEWEST_ZEROS: u8 = 8;
/// Servers round or truncate to 2^-32 s, some twice.
const TOLERANCE: u64 = 2;
/// Timestamps from which the first grain is known …
const FIRST: u8 = 3;
/// … and those of each later observation. By chance, a fine timestamp looks like a multiple of 100 ns once in a hundred
/// times.
const BATCH: u8 = 8;

/// The grain of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    /// Below 100 ns: too fine to be recognised.
    Fine,
    /// 10^-n seconds, n from 0 to 7.
    Decimal(u8),
    /// 2^-n seconds, n from 1 to 24.
    Binary(u8),
}

impl Grain {
    /// The grain in seconds; `None` for one that is too fine to be seen.
    #[must_use]
    pub fn seconds(self) -> Option<f64> {
        match self {
            Self::Fine => None,
            Self::Decimal(n) => Some(10_f64.powi(-i32::from(n))),
            Self::Binary(n) => Some(2_f64.powi(-i32::from(n))),
        }
    }
}

/// Timestamps; only their common units are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grains {
    count: u8,
    wanted: u8,
    /// Bit n: all are multiples of 10^-n s.
    decimals: u8,
    /// The smallest number of zero bits at the end of a fraction.
    zeros: u8,
}

impl Default for Grains {
    fn default() -> Self {
        Self { count: 0, wanted: FIRST, decimals: u8::MAX, zeros: 32 }
    }
}

impl Grains {
    /// Adds a timestamp. Returns the grain when there are enough for an observation.
    pub fn add(&mut self, stamp: NtpTimestamp) -> Option<Grain> {
        let fraction = stamp.0 as u32;
        self.count += 1;
        self.zeros = self.zeros.min(fraction.trailing_zeros() as u8);
        self.decimals &= decimals(fraction);
        if self.count < self.wanted {
            return None;
        }
        let grain = self.grain();
        *self = Self { wanted: BATCH, ..Self::default() };
        Some(grain)
    }

    fn grain(&self) -> Grain {
        let decimal = (self.decimals != 0).then(|| Grain::Decimal(self.decimals.trailing_zeros() as u8));
        let binary = (FEWEST_ZEROS..32).contains(&self.zeros).then(|| Grain::Binary(32 - self.zeros));
        let coarser = |a: Grain, b: Grain| if b.seconds() > a.seconds() { b } else { a };
        [decimal, binary].into_iter().flatten().reduce(coarser).unwrap_or(Grain::Fine)
    }
}

/// Bit n is set if this fraction of a second is a multiple of 10^-n s.
fn decimals(fraction: u32) -> u8 {
    let mut found = 0;
    let mut per_second = 1_u64;
    for n in 0..=FINEST_DECIMAL {
        let rest = (u64::from(fraction) * per_second) & u64::from(u32::MAX);
        let distance = rest.min((1 << 32) - rest);
        found |= u8::from(distance <= TOLERANCE * per_second) << n;
        per_second *= 10;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grains of 403 timestamps at random fractions, which `coarse` makes coarser.
    fn grains_of(coarse: impl Fn(u32) -> u32) -> Vec<Grain> {
        let (mut state, mut grains) = (5_u64, Grains::default());
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        };
        (0..403_u64).filter_map(|s| grains.add(NtpTimestamp(s << 32 | u64::from(coarse(random()))))).collect()
    }

    /// The multiple of 10^-n s at or below a fraction, truncated as C code does.
    fn decimal(fraction: u32, n: u32) -> u32 {
        let per_second = 10_u64.pow(n);
        ((((u64::from(fraction) * per_second) >> 32) << 32) / per_second) as u32
    }

    #[test]
    fn grain_of_decimal_clocks_is_found() {
        for n in 0..=7 {
            let found = grains_of(|fraction| decimal(fraction, n));
            assert_eq!(found.len(), 51, "three, then 400 by eight");
            let right = found.iter().filter(|grain| **grain == Grain::Decimal(n as u8)).count();
            assert!(right >= 49, "{n}: {found:?}");
        }
    }

    #[test]
    fn grain_of_binary_clocks_is_found() {
        for n in [6, 10, 18, 23] {
            let found = grains_of(|fraction| fraction >> (32 - n) << (32 - n));
            let right = found.iter().filter(|grain| **grain == Grain::Binary(n as u8)).count();
            assert!(right >= 48, "{n}: {found:?}");
        }
    }

    #[test]
    fn fine_timestamps_show_no_grain() {
        for found in [grains_of(|fraction| fraction), grains_of(|fraction| decimal(fraction, 9))] {
            assert!(found.iter().all(|grain| *grain == Grain::Fine), "{found:?}");
        }
    }
}
