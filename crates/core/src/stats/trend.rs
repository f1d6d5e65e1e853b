//! Drift by a line that is robust against outliers: Theil–Sen, on the samples of lowest delay.
//!
//! The slope is the median of the slopes of all pairs of points (Sen 1968), its confidence interval comes from the
//! distribution of Kendall's S with ties (normal approximation). Up to 29 % of the points may be arbitrarily wrong.
//!
//! Kendall's S assumes independent points. If the points wander, that interval is far too narrow, so it is widened
//! according to the noise about the line ([`super::stability`]), from about thirty points on; fewer do not show their
//! noise.

use schemars::JsonSchema;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

use super::quantile;
use super::stability::slope;

/// Beyond this many points, evenly spaced ones are used: the pairs grow with the square.
pub const MAX_POINTS: usize = 512;

/// With fewer points, the 95 % interval would need more pairs than there are.
pub const MIN_POINTS: usize = 5;

/// The confidence of every interval given here.
pub const CONFIDENCE: f64 = 0.95;

/// A line through points, robust against outliers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Units of y for each unit of x.
    pub slope: f64,
    /// The lower end of the slope's interval of [`CONFIDENCE`].
    pub slope_lo: f64,
    /// The upper end.
    pub slope_hi: f64,
    /// y at x = 0, through the medians of both.
    pub intercept: f64,
    /// How many points it was computed from.
    pub n: usize,
}

/// How fast a server's offset changes.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize)]
pub struct Trend {
    /// The slope in parts per million; positive when the server gains on this host.
    pub ppm: f64,
    /// The lower end of the interval of [`CONFIDENCE`].
    pub ppm_lo: f64,
    /// The upper end.
    pub ppm_hi: f64,
    /// How many low-delay samples carried it.
    pub n: usize,
}

/// One measured offset, with its delay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The time in seconds on any one clock.
    pub at_s: f64,
    /// Offset, positive when the server is ahead.
    pub offset_s: f64,
    /// Round-trip delay.
    pub delay_s: f64,
}

/// The Theil–Sen line through finite points (x, y). `None` without two different x.
#[must_use]
pub fn theil_sen(points: &[(f64, f64)]) -> Option<Line> {
    let stride = points.len().div_ceil(MAX_POINTS).max(1);
    let points: Vec<_> = points.iter().copied().step_by(stride).collect();
    let mut slopes = pair_slopes(&points);
    if slopes.is_empty() {
        return None;
    }
    let half_width = half_width_in_ranks(&points);
    let last = slopes.len() - 1;
    let pairs = slopes.len() as f64;
    let low_rank = (((pairs - half_width) / 2.0).round_ties_even() as usize).saturating_sub(1);
    let high_rank = (((pairs + half_width) / 2.0).round_ties_even() as usize).min(last);
    let slope = quantile::median(&mut slopes)?;
    let (_, &mut slope_lo, _) = slopes.select_nth_unstable_by(low_rank.min(last), f64::total_cmp);
    let (_, &mut slope_hi, _) = slopes.select_nth_unstable_by(high_rank, f64::total_cmp);
    let (slope_lo, slope_hi) = match wander_half_width(&points, slope) {
        Some(half) => (slope_lo.min(slope - half), slope_hi.max(slope + half)),
        None => (slope_lo, slope_hi),
    };
    let middle_x = quantile::median(&mut points.iter().map(|p| p.0).collect::<Vec<_>>())?;
    let middle_y = quantile::median(&mut points.iter().map(|p| p.1).collect::<Vec<_>>())?;
    Some(Line { slope, slope_lo, slope_hi, intercept: middle_y - slope * middle_x, n: points.len() })
}

/// A grid with more than this many places for each point is too sparse.
const SPARSE: f64 = 4.0;
/// Distances from the line are limited to this many times the median distance: spikes are no wander.
const SPIKE: f64 = 5.0 * 1.4826;

/// Half of the interval of the slope, from the noise of the points about their line; `None` if the noise looks white,
/// or if the points are too few or too uneven.
pub(super) fn wander_half_width(points: &[(f64, f64)], slope: f64) -> Option<f64> {
    let mut points: Vec<_> = points.iter().map(|&(x, y)| (x, y - slope * x)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (first, last) = (points.first()?.0, points.last()?.0);
    let mut steps: Vec<f64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|step| *step > 0.0).collect();
    let step = quantile::median(&mut steps)?;
    let places = (last - first) / step + 1.0;
    if places.is_nan() || places > SPARSE * points.len() as f64 {
        return None;
    }
    let middle = quantile::median(&mut points.iter().map(|point| point.1).collect::<Vec<_>>())?;
    let mut distances: Vec<f64> = points.iter().map(|point| (point.1 - middle).abs()).collect();
    let most = SPIKE * quantile::median(&mut distances)?;
    let mut residuals = vec![f64::NAN; places.round() as usize];
    let end = residuals.len().checked_sub(1)?;
    for (x, y) in points {
        residuals[(((x - first) / step).round() as usize).min(end)] = (y - middle).clamp(-most, most);
    }
    slope::half_width(&residuals, CONFIDENCE).map(|half| half / step)
}

/// The drift of offsets in time order, from the lowest-delay sample of each of at most `groups` equal stretches of
/// time. `None` when fewer than [`MIN_POINTS`] remain.
#[must_use]
pub fn of_low_delay(points: &[Point], groups: usize) -> Option<Trend> {
    let chosen: Vec<_> = lowest_delay(points, groups).iter().map(|point| (point.at_s, point.offset_s)).collect();
    if chosen.len() < MIN_POINTS {
        return None;
    }
    let line = theil_sen(&chosen)?;
    Some(Trend { ppm: line.slope * 1e6, ppm_lo: line.slope_lo * 1e6, ppm_hi: line.slope_hi * 1e6, n: line.n })
}

/// The lowest-delay sample of each of equal stretches of time: one stretch for eight samples (as in the clock filter),
/// at least 32, and at most `groups`.
fn lowest_delay(points: &[Point], groups: usize) -> Vec<Point> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let stretches = (points.len() / 8).max(32).min(groups).max(1);
    let length_s = (last.at_s - first.at_s) / stretches as f64;
    let stretch_of = |point: &Point| (((point.at_s - first.at_s) / length_s) as usize).min(stretches - 1);
    points
        .chunk_by(|a, b| stretch_of(a) == stretch_of(b))
        .filter_map(|stretch| stretch.iter().min_by(|a, b| a.delay_s.total_cmp(&b.delay_s)).copied())
        .collect()
}

/// The slopes of all pairs with different x.
fn pair_slopes(points: &[(f64, f64)]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (i, a) in points.iter().enumerate() {
        let slopes_from_a = points[i + 1..].iter().filter(|b| b.0 != a.0).map(|b| (b.1 - a.1) / (b.0 - a.0));
        slopes.extend(slopes_from_a.filter(|slope| slope.is_finite()));
    }
    slopes
}

/// How many ranks the interval spans: the quantile of the normal distribution times the deviation of Kendall's S,
/// whose variance ties in x and y reduce (Sen 1968, eq. 2.6).
fn half_width_in_ranks(points: &[(f64, f64)]) -> f64 {
    let spread = |k: f64| k * (k - 1.0) * (2.0 * k + 5.0);
    let ties = |mut values: Vec<f64>| -> f64 {
        values.sort_by(f64::total_cmp);
        values.chunk_by(|a, b| a == b).map(|equal| spread(equal.len() as f64)).sum()
    };
    let tied = ties(points.iter().map(|p| p.0).collect()) + ties(points.iter().map(|p| p.1).collect());
    let variance = (spread(points.len() as f64) - tied) / 18.0;
    Normal::standard().inverse_cdf((1.0 + CONFIDENCE) / 2.0) * variance.max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::world::Dice;

    fn assert_line(points: &[(f64, f64)], slope: f64, intercept: f64, interval: [f64; 2]) {
        let line = theil_sen(points).unwrap();
        let got = [line.slope, line.intercept, line.slope_lo, line.slope_hi];
        for (got, expected) in got.into_iter().zip([slope, intercept, interval[0], interval[1]]) {
            assert!((got - expected).abs() <= 1e-9 * expected.abs().max(1e-6), "{got} is not {expected}");
        }
    }

    /// `scipy.stats.theilslopes(x, t, 0.95)`, SciPy 1.17.1, on offsets of `NTP-IPv6-with-Auth.pcap` of the Wireshark
    /// sample captures: one spike of −122 ms, for which least squares sees −22 ppm.
    #[test]
    fn slope_of_a_real_series_with_a_spike_matches_scipy() {
        let t = [
            0.0,
            64.000017,
            130.000027,
            197.000221,
            261.000048,
            324.999947,
            390.000032,
            454.016572,
            519.018649,
            584.00002,
            650.00001,
            714.000018,
            777.999868,
            842.000009,
            908.999988,
            973.000035,
            1037.246719,
            1100.999934,
            1167.000015,
        ];
        let x = [
            0.000931824,
            0.001078362,
            0.000929003,
            0.000816287,
            0.000780683,
            0.000618653,
            0.00089964,
            -0.007345238,
            -0.008336306,
            0.000940247,
            0.001003268,
            0.000773909,
            0.00086312,
            0.001381186,
            0.001481714,
            0.001385301,
            -0.122237919,
            0.001147926,
            0.001492852,
        ];
        let points: Vec<_> = t.into_iter().zip(x).collect();
        assert_line(
            &points,
            3.668574173540696e-07,
            0.000714758260928075,
            [-2.656057676984284e-07, 8.758126909647915e-07],
        );
    }

    /// The same function of SciPy on 20 ppm with 1 ms of uniform noise, polled every 64 s, and four spikes.
    #[test]
    fn slope_of_a_drift_with_spikes_matches_scipy() {
        let x = [
            -0.0009998278198762927,
            0.0011738313391496573,
            0.0021833170882907312,
            0.002930302902315885,
            0.005840879223067723,
            0.256217102099218,
            0.0077149815567186955,
            0.008895023771103018,
            0.01018452092840547,
            0.011083243710698208,
            0.012237045704776909,
            0.014507160185495001,
            0.014641237614472044,
            0.016400586431604153,
            0.018096155970979556,
            0.019853404253373577,
            0.02024528644969933,
            -0.09907063990335475,
            0.10247514431660769,
            0.024790529225408347,
            0.025784691438071754,
            0.026988999671930913,
            0.028117486142850243,
            0.028909602884012092,
            0.03033567159118861,
            0.03259243310689574,
            0.03230322759666631,
            0.033946217170574805,
            0.035991985850721595,
            0.03754619307778133,
            0.03742705827077249,
            0.0394483568730803,
            0.041733965860611746,
            0.042284219301568456,
            0.0427138014608779,
            0.045021152974861284,
            0.04699804849352597,
            0.04700103069093127,
            0.049442822481749034,
            0.048957450755963784,
            0.5516348554832092,
            0.05309610629671072,
            0.05465852881706251,
            0.05461382836964626,
            0.05565340864457815,
            0.05819908942487049,
            0.05977596379822864,
            0.060623556828658824,
            0.06243961926881207,
            0.063321050924324,
            0.06386288511327602,
            0.06479009883010299,
            0.06679103754093454,
            0.0668879504866749,
            0.07002382954473786,
            0.07106315840914061,
            0.07138338242626907,
            0.07370843830417305,
            0.07324257823616387,
            0.07585241520604698,
            0.07770236803139671,
            0.07817950368436963,
            0.07971842320013718,
            0.080658724705567,
        ];
        let points: Vec<_> = (0..64).map(|i| f64::from(i) * 64.0).zip(x).collect();
        let interval = [1.9977060700368013e-05, 2.0276621033910553e-05];
        assert_line(&points, 2.0120023658757073e-05, 0.0019370426851689215, interval);
    }

    /// The same function of SciPy.
    #[test]
    fn exact_lines_and_ties_come_out_as_in_scipy() {
        let exact: Vec<_> = (0..5).map(f64::from).map(|t| (t, 2.0 * t + 1.0)).collect();
        assert_line(&exact, 2.0, 1.0, [2.0, 2.0]);
        let tied = [(0.0, 0.0), (0.0, 0.1), (1.0, 1.0), (1.0, 1.1), (2.0, 2.0)];
        assert_line(&tied, 1.0, 0.0, [0.9, 1.1]);
    }

    #[test]
    fn queueing_does_not_bend_the_drift_of_low_delay_samples() {
        let points: Vec<_> = (0..800)
            .map(|i| {
                let queue_s = if i % 3 == 0 { 0.0 } else { f64::from(i) * 1e-4 };
                let at_s = f64::from(i) * 64.0;
                Point { at_s, offset_s: 10e-6 * at_s - queue_s / 2.0, delay_s: 0.02 + queue_s }
            })
            .collect();
        let trend = of_low_delay(&points, 64).unwrap();
        assert!((trend.ppm - 10.0).abs() < 1e-6, "{trend:?}");
        assert_eq!(trend.n, 64);
    }

    #[test]
    fn few_points_have_no_drift_and_equal_offsets_zero_drift() {
        let flat =
            |n: usize| -> Vec<_> { (0..n).map(|i| Point { at_s: i as f64, offset_s: 0.5, delay_s: 0.01 }).collect() };
        assert_eq!(of_low_delay(&flat(4), 64), None);
        let trend = of_low_delay(&flat(100), 64).unwrap();
        assert_eq!((trend.ppm, trend.ppm_lo, trend.ppm_hi), (0.0, 0.0, 0.0));
        assert_eq!(theil_sen(&[(1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(theil_sen(&[]), None);
    }

    /// Phases of one kind of noise, a second apart.
    fn noise(dice: &mut Dice, kind: &str, n: usize) -> Vec<f64> {
        let mut state = dice.normal();
        let white: Vec<f64> = (0..2 * n).map(|_| dice.normal()).collect();
        let weights: Vec<f64> =
            (1..n).scan(1.0, |h, k| Some(std::mem::replace(h, *h * (k as f64 - 0.5) / k as f64))).collect();
        let keep = (-1.0 / 100.0_f64).exp();
        let mut one = |i: usize| match kind {
            "white PM" => white[i],
            "flicker PM" => weights.iter().zip(white[..=n + i].iter().rev()).map(|(h, w)| h * w).sum(),
            "white FM" => {
                state += white[i];
                state
            }
            _ => {
                state = keep * state + (1.0 - keep * keep).sqrt() * white[i];
                state
            }
        };
        (0..n).map(&mut one).collect()
    }

    /// The share of 95 % intervals that hold the true slope, which is 3 per second.
    fn held(kind: &str, n: usize, loss: f64) -> f64 {
        const SERIES: usize = 150;
        let mut dice = Dice::new(23);
        let holds = |_: usize| {
            let x = noise(&mut dice, kind, n);
            let points = x.iter().enumerate().map(|(i, x)| (i as f64, x + 3.0 * i as f64));
            let points: Vec<_> = points.filter(|_| dice.unit() >= loss).collect();
            let line = theil_sen(&points).unwrap();
            line.slope_lo <= 3.0 && 3.0 <= line.slope_hi
        };
        (0..SERIES).map(holds).filter(|holds| *holds).count() as f64 / SERIES as f64
    }

    #[test]
    fn interval_of_the_slope_holds_in_every_noise() {
        // With 150 series, the standard deviation of a share is 2 %.
        for (kind, band) in
            [("white PM", 0.91..=0.99), ("flicker PM", 0.88..=0.985), ("white FM", 0.91..=0.99), ("wander", 0.92..=1.0)]
        {
            for loss in [0.0, 0.1] {
                let share = held(kind, 100, loss);
                assert!(band.contains(&share), "{kind}, loss {loss}: {share}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_slope_lies_within_its_interval(
            points in prop::collection::vec((-1e6..1e6_f64, -1e3..1e3_f64), 0..60),
        ) {
            if let Some(line) = theil_sen(&points) {
                prop_assert!(line.slope_lo <= line.slope && line.slope <= line.slope_hi);
            }
        }

        #[test]
        fn any_times_and_delays_give_a_trend_or_none(
            points in prop::collection::vec((0.0..1e9_f64, -1e9..1e9_f64, 0.0..16.0_f64), 0..80),
            groups in 0..40_usize,
        ) {
            let mut points: Vec<_> =
                points.into_iter().map(|(at_s, offset_s, delay_s)| Point { at_s, offset_s, delay_s }).collect();
            points.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
            if let Some(trend) = of_low_delay(&points, groups) {
                prop_assert!(trend.n <= groups && trend.ppm.is_finite());
            }
        }
    }
}
