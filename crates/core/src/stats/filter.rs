//! The clock filter of RFC 5905 §10: of the last eight samples, the one with the lowest delay is the most accurate.
//!
//! Jitter follows verified erratum 5600, which puts the divisor n − 1 inside of the root. Stages age: their dispersion
//! grows by 15 ppm (PHI) of the time passed. Times are in seconds on any one clock.

use schemars::JsonSchema;
use serde::Serialize;

/// The frequency tolerance of RFC 5905, PHI, in seconds per second: how fast the error bound of an offset grows.
pub const PHI: f64 = 15e-6;

/// The dispersion of an unknown offset, MAXDISP of RFC 5905, in seconds.
pub const MAX_DISPERSION_S: f64 = 16.0;

/// One sample in the register.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// When it was taken.
    pub at_s: f64,
    /// Offset, positive when the server is ahead.
    pub offset_s: f64,
    /// Round-trip delay.
    pub delay_s: f64,
    /// The error bound of the offset without the delay: both precisions and 15 ppm of the round trip.
    pub dispersion_s: f64,
}

impl Stage {
    /// The tuple (0, 16, 16, 0), which stands for no sample.
    const DUMMY: Self = Self { at_s: 0.0, offset_s: 0.0, delay_s: MAX_DISPERSION_S, dispersion_s: MAX_DISPERSION_S };

    fn is_valid(&self) -> bool {
        self.delay_s < MAX_DISPERSION_S
    }

    fn aged_dispersion_s(&self, now_s: f64) -> f64 {
        (self.dispersion_s + PHI * (now_s - self.at_s).max(0.0)).min(MAX_DISPERSION_S)
    }
}

/// The register of eight.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockFilter {
    /// Newest first.
    stages: [Stage; Self::STAGES],
    precision_s: f64,
}

/// The output of the filter.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize)]
pub struct Filtered {
    /// The offset of the sample with the lowest delay, positive when the server is ahead.
    pub offset_s: f64,
    /// That delay.
    pub delay_s: f64,
    /// The dispersions of all stages, aged, halved once for each stage of higher delay.
    pub dispersion_s: f64,
    /// Root mean square distance of the other offsets from the chosen one, at least the precision of this host.
    pub jitter_s: f64,
    /// How many of the eight stages hold a sample.
    pub n: u8,
}

impl ClockFilter {
    /// Stages of the register.
    pub const STAGES: usize = 8;

    /// An empty register; `precision_s` is that of this host's clock.
    #[must_use]
    pub fn new(precision_s: f64) -> Self {
        Self { stages: [Stage::DUMMY; Self::STAGES], precision_s }
    }

    /// Shifts a sample in; the oldest falls out.
    pub fn shift_in(&mut self, stage: Stage) {
        self.stages.rotate_right(1);
        self.stages[0] = stage;
    }

    /// Shifts a dummy in, as RFC 5905 §13 requires after three losses in a row.
    pub fn shift_in_dummy(&mut self) {
        self.shift_in(Stage::DUMMY);
    }

    /// Forgets every sample, for example when samples with another timestamping method follow.
    pub fn clear(&mut self) {
        self.stages = [Stage::DUMMY; Self::STAGES];
    }

    /// The output at `now_s`; `None` when the register holds no sample.
    #[must_use]
    pub fn output(&self, now_s: f64) -> Option<Filtered> {
        let mut by_delay = self.stages;
        // Stable, so the newer of two equal delays comes first.
        by_delay.sort_by(|a, b| a.delay_s.total_cmp(&b.delay_s));
        let best = by_delay[0];
        let n = by_delay.iter().filter(|stage| stage.is_valid()).count();
        if n == 0 {
            return None;
        }
        let dispersion_s = by_delay.iter().rev().fold(0.0, |sum, stage| (sum + stage.aged_dispersion_s(now_s)) / 2.0);
        let squares: f64 = by_delay[..n].iter().map(|stage| (best.offset_s - stage.offset_s).powi(2)).sum();
        let jitter_s = (squares / (n.max(2) - 1) as f64).sqrt().max(self.precision_s);
        Some(Filtered { offset_s: best.offset_s, delay_s: best.delay_s, dispersion_s, jitter_s, n: n as u8 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// (time, offset, delay, dispersion) of 19 exchanges with one server in `NTP-IPv6-with-Auth.pcap` of the Wireshark
    /// sample captures, then offset, dispersion and jitter after each: RFC 5905 §10 with erratum 5600, computed by an
    /// independent program. Counted from 0, polls 7 and 8 are a burst of congestion and poll 16 is a lone spike.
    const STEPS: [(f64, f64, f64, f64, f64, f64, f64); 19] = [
        (0.0, 0.000931824, 0.007183591, 1.118e-06, 0.000931824, 7.937500559094548, 9.5367431640625e-07),
        (64.000017, 0.001078362, 0.007207708, 1.119e-06, 0.000931824, 3.9379808388608692, 0.00014653799999999999),
        (130.000027, 0.000929003, 0.007227476, 1.119e-06, 0.000931824, 1.9387234788334369, 0.00010363721215133105),
        (197.000221, 0.000816287, 0.007379973, 1.121e-06, 0.000931824, 0.9396029264507443, 0.00010774992939518184),
        (261.000048, 0.000780683, 0.007236657, 1.119e-06, 0.000931824, 0.4404729590010643, 0.00012007679181986004),
        (324.999947, 0.000618653, 0.007146958, 1.118e-06, 0.000618653, 0.1894520376496017, 0.00030693272268625903),
        (390.000032, 0.00089964, 0.007234112, 1.119e-06, 0.000618653, 0.06535896172021516, 0.00030276288176475663),
        (454.016572, -0.007345238, 0.023740442, 1.365e-06, 0.000618653, 0.003811713215257041, 0.003023090945074215),
        (519.018649, -0.008336306, 0.025849878, 1.399e-06, 0.000618653, 0.004216978663271293, 0.004536625030189104),
        (584.00002, 0.000940247, 0.007225697, 1.119e-06, 0.000618653, 0.0032378917777072637, 0.00453492568828583),
        (650.00001, 0.001003268, 0.00721466, 1.119e-06, 0.000618653, 0.0031252744446136063, 0.004535738537495425),
        (714.000018, 0.000773909, 0.00720286, 1.119e-06, 0.000618653, 0.0034604307987447834, 0.004535503024413184),
        (777.999868, 0.00086312, 0.007091717, 1.117e-06, 0.00086312, 0.0021748817464755845, 0.004661410366718931),
        (842.000009, 0.001381186, 0.007199971, 1.118e-06, 0.00086312, 0.0011923837775923312, 0.00466460616183112),
        (908.999988, 0.001481714, 0.00720702, 1.118e-06, 0.00086312, 0.0018742389382235705, 0.004670441694336628),
        (973.000035, 0.001385301, 0.007218756, 1.118e-06, 0.00086312, 0.0027240833929041406, 0.003496665989236502),
        (1037.246719, -0.122237919, 0.253896036, 4.819e-06, 0.00086312, 0.0036536676346231246, 0.04652928889486404),
        (1100.999934, 0.001147926, 0.00714822, 1.117e-06, 0.00086312, 0.003486503787604161, 0.046529404284227374),
        (1167.000015, 0.001492852, 0.007181967, 1.118e-06, 0.00086312, 0.0037739658897556366, 0.04652998290234167),
    ];

    #[test]
    fn clock_filter_follows_the_rfc_on_a_real_capture() {
        let mut filter = ClockFilter::new(2_f64.powi(-20));
        for (at_s, offset_s, delay_s, dispersion_s, offset, dispersion, jitter) in STEPS {
            filter.shift_in(Stage { at_s, offset_s, delay_s, dispersion_s });
            let got = filter.output(at_s).unwrap();
            for (got, expected) in [(got.offset_s, offset), (got.dispersion_s, dispersion), (got.jitter_s, jitter)] {
                assert!((got - expected).abs() < 1e-9, "at {at_s} s: {got} is not {expected}");
            }
        }
    }

    #[test]
    fn the_newer_of_two_equal_delays_wins() {
        let mut filter = ClockFilter::new(1e-6);
        for offset_s in [1.0, 2.0] {
            filter.shift_in(Stage { at_s: offset_s, offset_s, delay_s: 0.01, dispersion_s: 0.0 });
        }
        assert_eq!(filter.output(2.0).unwrap().offset_s, 2.0);
    }

    #[test]
    fn samples_age_at_15_ppm_and_dummies_displace_them() {
        let mut filter = ClockFilter::new(1e-6);
        assert_eq!(filter.output(0.0), None);
        (0..8).for_each(|_| filter.shift_in(Stage { at_s: 0.0, offset_s: 0.0, delay_s: 0.01, dispersion_s: 0.0 }));
        let after_an_hour = filter.output(3600.0).unwrap().dispersion_s;
        assert!((after_an_hour - 15e-6 * 3600.0 * (1.0 - 1.0 / 256.0)).abs() < 1e-12);
        (0..8).for_each(|_| filter.shift_in_dummy());
        assert_eq!(filter.output(0.0), None);
    }

    proptest! {
        #[test]
        fn the_chosen_offset_is_one_of_the_lowest_delay(
            stages in prop::collection::vec((-1e3..1e3_f64, 0.0..15.0_f64), 1..30),
        ) {
            let mut filter = ClockFilter::new(1e-6);
            for (i, &(offset_s, delay_s)) in stages.iter().enumerate() {
                filter.shift_in(Stage { at_s: i as f64, offset_s, delay_s, dispersion_s: 1e-6 });
            }
            let got = filter.output(stages.len() as f64).unwrap();
            let lowest = stages.iter().rev().take(8).map(|(_, delay)| *delay).fold(f64::MAX, f64::min);
            prop_assert_eq!(got.delay_s, lowest);
            prop_assert!(got.jitter_s >= 1e-6 && got.dispersion_s <= MAX_DISPERSION_S);
        }
    }
}
