//! Comparisons with published numbers and other programs: NIST SP 1065, Stable32, AllanTools.

mod coverage;

use proptest::prelude::*;

use super::super::testing::{lost, sample};
use super::*;

/// The multiplier and modulus of the generator of NIST SP 1065 §12.4.
fn next(state: &mut u64) -> u64 {
    *state = *state * 16807 % 2_147_483_647;
    *state
}

/// The mean-removed phase of the 1000-point suite of NIST SP 1065 §12.4: 1001 points, one second apart.
fn suite() -> Vec<f64> {
    let mut state = 1_234_567_890;
    let mut y = vec![state as f64 / 2_147_483_647.0];
    y.extend((1..1000).map(|_| next(&mut state) as f64 / 2_147_483_647.0));
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let mut x = vec![0.0];
    y.iter().for_each(|y| x.push(x[x.len() - 1] + y - mean));
    x
}

fn analyse(x: Vec<f64>, factors: &[f64]) -> Stability {
    Stability::of(&PhaseGrid::from_phase(1.0, x).unwrap(), Some(factors))
}

fn assert_printed(column: &[Option<f64>], printed: &[&str]) {
    for (got, expected) in column.iter().zip(printed) {
        let digits = expected.chars().filter(char::is_ascii_digit).collect::<String>();
        let digits = digits.trim_start_matches('0').len();
        let expected: f64 = expected.parse().unwrap();
        let got = got.unwrap();
        assert_eq!(format!("{got:.*e}", digits - 1), format!("{expected:.*e}", digits - 1));
    }
    assert_eq!(column.len(), printed.len());
}

/// NIST SP 1065 Table 31 (p. 108).
#[test]
fn nist_1000_point_suite_matches_all_printed_digits() {
    let got = analyse(suite(), &[1.0, 10.0, 100.0]);
    assert_printed(&got.oadev, &["0.2922319", "0.09159953", "0.03241343"]);
    assert_printed(&got.mdev, &["0.2922319", "0.06172376", "0.02170921"]);
    assert_printed(&got.tdev, &["0.1687202", "0.3563623", "1.253382"]);
    assert_printed(&got.hdev, &["0.2943883", "0.09581083", "0.03237638"]);
    assert_eq!(got.n, [999, 981, 801]);
}

/// NIST SP 1065 Tables 29 and 30 (p. 107), from NBS Monograph 140 Annex 8.E.
#[test]
fn nbs14_matches_all_printed_digits() {
    let x = vec![0.0, 892.0, 1701.0, 2524.0, 3322.0, 3993.0, 4637.0, 5520.0, 6423.0, 7100.0];
    let got = analyse(x, &[1.0, 2.0]);
    assert_printed(&got.oadev, &["91.22945", "85.95287"]);
    assert_printed(&got.mdev, &["91.22945", "74.78849"]);
    assert_printed(&got.tdev, &["52.67135", "86.35831"]);
    assert_printed(&got.hdev, &["70.80607", "85.61487"]);
    assert_eq!(got.n, [8, 6]);
    assert_eq!(got.noise, [None, None], "ten points do not show their noise");
}

/// Stable32 1.60 on `PHASE.DAT`, which is the phase of the 1000-point suite: five digits.
#[test]
fn mtie_and_tie_rms_are_those_of_stable32() {
    let got = analyse(suite(), &[1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 127.0, 255.0]);
    let mtie = ["0.50597", "1.2984", "2.2922", "2.9949", "4.4550", "6.5989", "6.8061", "7.8205"];
    assert_printed(&got.mtie, &mtie);
    let got = analyse(suite(), &[1.0, 2.0, 4.0, 8.0, 10.0, 16.0, 32.0, 64.0]);
    let tie_rms = ["0.28832", "0.40240", "0.57044", "0.79644", "0.87588", "1.0573", "1.5871", "2.2171"];
    assert_printed(&got.tie_rms, &tie_rms);
}

/// Stable32 1.60 prints the ends of the one-sigma interval of its overlapping ADEV of the same phase, white FM.
#[test]
fn intervals_are_those_of_stable32() {
    let printed = [
        (1, 0.28515, 0.29987),
        (2, 0.19520, 0.20738),
        (4, 0.13931, 0.15098),
        (8, 0.10038, 0.11198),
        (16, 0.057696, 0.067217),
        (32, 0.043654, 0.054202),
        (64, 0.031755, 0.043377),
        (128, 0.023045, 0.037027),
    ];
    let x = suite();
    let mut second = Vec::new();
    for (m, lo, hi) in printed {
        deviation::second_differences(&x, m, &mut second);
        let oadev = deviation::oadev(&second, m as f64).unwrap();
        let edf = edf::edf(Variance { order: 2, modified: false }, Noise::WhiteFm.alpha(), m, x.len()).unwrap();
        let got = edf::interval(oadev.dev, edf, 0.682_689_492).unwrap();
        assert!((got.0 / lo - 1.0).abs() < 0.01 && (got.1 / hi - 1.0).abs() < 0.01, "m {m}: {got:?}");
    }
    assert_eq!(analyse(x, &[1.0, 2.0, 8.0]).noise, [Some(Noise::WhiteFm); 3]);
}

/// The sums over complete triples and quadruples of the suite with 200 phases missing; the Allan deviations equal
/// `allantools.gradev` (AllanTools 2024.6).
#[test]
fn gaps_are_skipped_like_allantools_gradev() {
    let mut x = suite();
    let mut state = 20_240_229;
    for (i, x) in x.iter_mut().enumerate().take(1000) {
        if (next(&mut state) as f64 / 2_147_483_647.0) < 0.15 || (400..460).contains(&i) {
            *x = f64::NAN;
        }
    }
    let factors = [1.0, 2.0, 4.0, 8.0, 10.0, 16.0, 32.0, 64.0, 100.0, 128.0];
    let got = analyse(x, &factors);
    assert_eq!(got.slots - got.measured, 200);
    assert_eq!(got.n, [600, 581, 570, 565, 558, 536, 488, 416, 373, 335]);
    let oadev = [
        0.2910374325834442,
        0.19570353349704145,
        0.13957894794269257,
        0.10265120043557288,
        0.09007475204111587,
        0.06353901510104348,
        0.05018677330232134,
        0.03442514596074449,
        0.03061867791267519,
        0.026172921058906444,
    ];
    let hdev = [
        0.28925957132560076,
        0.19887374451321094,
        0.13611598447540915,
        0.10695717695572292,
        0.0927818282721638,
        0.06317581624955088,
        0.04699197419901272,
        0.03115407930612278,
        0.029249570552214242,
        0.026360698043842258,
    ];
    for (column, expected) in [(&got.oadev, oadev), (&got.hdev, hdev)] {
        for (got, expected) in column.iter().zip(expected) {
            assert!((got.unwrap() / expected - 1.0).abs() < 1e-12, "{got:?} is not {expected}");
        }
    }
}

#[test]
fn lost_poll_does_not_void_the_modified_deviation() {
    let mut x = suite();
    let whole = analyse(x.clone(), &[8.0]);
    x.iter_mut().step_by(20).for_each(|x| *x = f64::NAN);
    let holed = analyse(x, &[8.0]);
    let (whole, holed) = (whole.mdev[0].unwrap(), holed.mdev[0].unwrap());
    assert!((holed / whole - 1.0).abs() < 0.1, "{holed} is not about {whole}");
}

#[test]
fn samples_are_put_on_a_grid_without_mixing_timestamping() {
    let x = suite();
    let mut samples: Vec<_> = x.iter().zip(0..).map(|(x, i)| sample(64.0 * f64::from(i), *x, 0.01)).collect();
    let whole = of_samples(samples.iter(), Some(&[64.0, 640.0])).unwrap();
    assert_printed(&whole.tdev, &["0.1687202", "0.3563623"]);
    assert_eq!((whole.tau0_s, whole.slots, whole.measured), (64.0, 1001, 1001));
    samples[500].timestamping = None;
    samples[501] = lost(64.0 * 501.0);
    samples[502].measure.as_mut().unwrap().offset_s = f64::NAN;
    let holed = of_samples(samples.iter(), None).unwrap();
    assert_eq!((holed.slots, holed.measured), (1001, 998));
    assert_eq!(of_samples(samples[..1].iter(), None), Err(StabilityError::TooFew(1)));
    assert_eq!(of_samples([].into_iter(), None), Err(StabilityError::TooFew(0)));
    assert!(
        StabilityError::TooFew(1).to_string().ends_with("3 poll intervals; the number of intervals with samples is 1")
    );
}

#[test]
fn linear_drift_is_seen_by_allan_and_not_by_hadamard() {
    let x = (0..300).map(|i| 1e-6 * f64::from(i).powi(2)).collect();
    let got = analyse(x, &[1.0, 10.0]);
    assert!(got.oadev[1].unwrap() > 1e-6);
    assert!(got.hdev[1].unwrap() < 1e-12);
}

#[test]
fn equal_offsets_have_zero_deviation_and_no_noise_type() {
    let got = analyse(vec![0.125; 200], &[1.0, 16.0]);
    assert_eq!(got.oadev, [Some(0.0); 2]);
    assert_eq!(got.mtie, [Some(0.0); 2]);
    assert_eq!((got.noise, got.oadev_hi), (vec![None; 2], vec![None; 2]));
}

#[test]
fn averaging_times_default_to_octaves_up_to_a_third() {
    let grid = PhaseGrid::from_phase(64.0, suite()[..100].to_vec()).unwrap();
    let octaves = Stability::of(&grid, None);
    assert_eq!(octaves.tau_s, [64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0]);
    let asked = Stability::of(&grid, Some(&[f64::NAN, -1.0, 1.0, 640.0, 64.0, 70.0, 1e300, f64::INFINITY]));
    assert_eq!(asked.tau_s, [64.0, 640.0]);
}

#[test]
fn json_has_one_entry_for_each_averaging_time_in_every_column() {
    let json = serde_json::to_value(analyse(suite()[..40].to_vec(), &[1.0, 10.0])).unwrap();
    for column in ["tau_s", "n", "noise", "oadev", "oadev_lo", "mdev", "tdev", "tdev_hi", "hdev", "mtie", "tie_rms"] {
        assert_eq!(json[column].as_array().map(Vec::len), Some(2), "{column}");
    }
    assert!(json["oadev_lo"][0].as_f64() < json["oadev"][0].as_f64());
}

proptest! {
    #[test]
    fn any_samples_give_deviations_or_a_reason(
        samples in prop::collection::vec((0.0..1e4_f64, prop_oneof![9 => -1e9..1e9_f64, 1 => any::<f64>()]), 0..80),
        tau0_s in prop_oneof![9 => 1.0..500.0_f64, 1 => any::<f64>()],
    ) {
        if let Ok(grid) = PhaseGrid::from_samples(tau0_s, &samples) {
            let got = Stability::of(&grid, None);
            prop_assert_eq!(got.oadev.len(), got.tau_s.len());
            prop_assert!(got.n.iter().all(|n| *n >= MIN_TERMS));
            for ((dev, lo), hi) in got.oadev.iter().zip(&got.oadev_lo).zip(&got.oadev_hi) {
                if let (Some(dev), Some(lo), Some(hi)) = (dev, lo, hi) {
                    prop_assert!(lo <= dev && dev <= hi);
                }
            }
        }
    }
}
