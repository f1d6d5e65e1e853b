//! Root distance, the bound on what a server claims, taken apart.
//!
//! The bound is `delay/2 + root delay/2 + root dispersion + server precision + own precision + 15 ppm · age`: the true
//! offset lies within it when the server's own claims hold. It is ntpd's definition without the jitter, which is a
//! statistic and bounds nothing.

use serde::Serialize;

use super::filter::PHI;
use crate::sample::Sample;

/// The parts of a root distance, all in seconds and not negative; [`RootDistance::total_s`] is their sum.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct RootDistance {
    /// Half of the round trip to the server: how far asymmetry can shift the offset.
    pub half_delay_s: f64,
    /// Half of the round trip from the server to its reference clock, as it says.
    pub half_root_delay_s: f64,
    /// The server's own dispersion to its reference clock, as it says.
    pub root_dispersion_s: f64,
    /// The precision of the server's clock, as it says.
    pub server_precision_s: f64,
    /// What the measurement adds on this side: own precision, and 15 ppm of the exchange.
    pub own_s: f64,
    /// 15 ppm of the time since.
    pub age_s: f64,
}

impl RootDistance {
    /// The parts of a sample's root distance, `age_s` seconds later. `None` when the poll brought no sample.
    #[must_use]
    pub fn of(sample: &Sample, age_s: f64) -> Option<Self> {
        let (measure, reply) = (sample.measure?, sample.reply?);
        let mut parts = Self {
            half_delay_s: measure.delay_s / 2.0,
            half_root_delay_s: reply.root_delay_s / 2.0,
            root_dispersion_s: reply.root_dispersion_s,
            server_precision_s: reply.precision_s(),
            ..Self::default()
        };
        parts.own_s = (measure.root_distance_s - parts.total_s()).max(0.0);
        parts.age_s = PHI * age_s.max(0.0);
        Some(parts)
    }

    /// The root distance in seconds.
    #[must_use]
    pub fn total_s(&self) -> f64 {
        self.half_delay_s
            + self.half_root_delay_s
            + self.root_dispersion_s
            + self.server_precision_s
            + self.own_s
            + self.age_s
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn the_parts_add_up_to_the_distance_and_age_at_15_ppm() {
        let mut sample = testing::sample(0.0, 0.001, 0.02);
        let reply = sample.reply.as_mut().unwrap();
        (reply.root_delay_s, reply.root_dispersion_s, reply.precision_log2) = (0.004, 0.003, -20);
        sample.measure.as_mut().unwrap().root_distance_s = 0.0151;
        let fresh = RootDistance::of(&sample, 0.0).unwrap();
        assert_eq!((fresh.half_delay_s, fresh.half_root_delay_s), (0.01, 0.002));
        assert!((fresh.own_s - (0.0001 - 2_f64.powi(-20))).abs() < 1e-12);
        assert!((fresh.total_s() - 0.0151).abs() < 1e-12);
        let old = RootDistance::of(&sample, 1000.0).unwrap();
        assert!((old.total_s() - fresh.total_s() - 0.015).abs() < 1e-12);
    }

    #[test]
    fn a_poll_without_a_sample_has_no_distance() {
        assert_eq!(RootDistance::of(&testing::lost(0.0), 0.0), None);
    }
}
