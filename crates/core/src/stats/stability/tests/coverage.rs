//! How often the 95 % intervals hold the true deviation, by simulation with seeds.

use super::*;
use crate::world::Dice;

/// Phases in a series.
const N: usize = 300;
/// Averaging factors from short to a third of the series.
const FACTORS: [usize; 4] = [1, 4, 16, 48];
/// Series for each kind of noise. The standard deviation of the measured share is then 2 %.
const SERIES: usize = 150;

/// Phases with a power law of the exponent `alpha`: white noise, summed up by halves (Kasdin 1995).
fn phases(dice: &mut Dice, alpha: i32) -> Vec<f64> {
    let mut x: Vec<f64> = (0..2 * N).map(|_| dice.normal()).collect();
    let halves = 2 - alpha;
    if halves % 2 == 1 {
        let weights: Vec<f64> =
            (1..N).scan(1.0, |h, k| Some(std::mem::replace(h, *h * (k as f64 - 0.5) / k as f64))).collect();
        x = (N..2 * N).map(|i| weights.iter().zip(x[..=i].iter().rev()).map(|(h, x)| h * x).sum()).collect();
    }
    for _ in 0..halves / 2 {
        x = x.iter().scan(0.0, |sum, x| Some(std::mem::replace(sum, *sum + x))).collect();
    }
    x.truncate(N);
    x
}

fn analysed(x: Vec<f64>) -> Stability {
    Stability::of(&PhaseGrid::from_phase(1.0, x).unwrap(), Some(&FACTORS.map(|m| m as f64)))
}

type Column<'a> = &'a [Option<f64>];

fn columns(it: &Stability) -> [(Column<'_>, Column<'_>, Column<'_>); 4] {
    [
        (&it.oadev, &it.oadev_lo, &it.oadev_hi),
        (&it.mdev, &it.mdev_lo, &it.mdev_hi),
        (&it.tdev, &it.tdev_lo, &it.tdev_hi),
        (&it.hdev, &it.hdev_lo, &it.hdev_hi),
    ]
}

/// The mean squares of the deviations of many whole series.
fn true_variances(dice: &mut Dice, alpha: i32) -> [[f64; FACTORS.len()]; 4] {
    const WHOLE: usize = 400;
    let (mut truth, mut second) = ([[0.0; FACTORS.len()]; 4], Vec::new());
    for _ in 0..WHOLE {
        let x = phases(dice, alpha);
        for (i, m) in FACTORS.into_iter().enumerate() {
            let tau_s = m as f64;
            deviation::second_differences(&x, m, &mut second);
            let mdev = deviation::mdev(&x, &second, m, tau_s, f64::from(alpha)).unwrap().dev;
            let tdev = mdev * tau_s / 3_f64.sqrt();
            let others = [deviation::oadev(&second, tau_s), deviation::ohdev(&x, m, tau_s)].map(|it| it.unwrap().dev);
            for (sum, dev) in truth.iter_mut().zip([others[0], mdev, tdev, others[1]]) {
                sum[i] += dev * dev / WHOLE as f64;
            }
        }
    }
    truth
}

/// The share of intervals that hold the truth, by deviation and factor, and the mean square MDEV of the series with
/// gaps over that of the same series without.
fn measured(alpha: i32, loss: f64) -> ([[f64; FACTORS.len()]; 4], [f64; FACTORS.len()]) {
    let mut dice = Dice::new(19);
    let truth = true_variances(&mut dice, alpha);
    let (mut held, mut squares) = ([[0.0; FACTORS.len()]; 4], [[0.0; FACTORS.len()]; 2]);
    for _ in 0..SERIES {
        let whole = phases(&mut dice, alpha);
        let holed: Vec<f64> = whole.iter().map(|x| if dice.unit() < loss { f64::NAN } else { *x }).collect();
        for (squares, x) in squares.iter_mut().zip([&whole, &holed]) {
            for (sum, m) in squares.iter_mut().zip(FACTORS) {
                let mut second = Vec::new();
                deviation::second_differences(x, m, &mut second);
                *sum += deviation::mdev(x, &second, m, m as f64, f64::from(alpha)).unwrap().dev.powi(2);
            }
        }
        let got = analysed(holed);
        for ((held, truth), (_, lo, hi)) in held.iter_mut().zip(truth).zip(columns(&got)) {
            for (i, truth) in truth.into_iter().enumerate() {
                let holds = lo[i].unwrap() <= truth.sqrt() && truth.sqrt() <= hi[i].unwrap();
                held[i] += f64::from(u8::from(holds)) / SERIES as f64;
            }
        }
    }
    (held, std::array::from_fn(|i| squares[1][i] / squares[0][i]))
}

/// Checks for each deviation that 93 to 97.5 % of the intervals of all averaging times hold, and at least 88 % of each.
fn assert_covered(alpha: i32, loss: f64) {
    let (held, ratios) = measured(alpha, loss);
    for (name, shares) in ["ADEV", "MDEV", "TDEV", "HDEV"].into_iter().zip(held) {
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert!((0.93..=0.975).contains(&mean), "{name} alpha {alpha} loss {loss}: {mean} of {shares:?}");
        assert!(shares.iter().all(|share| *share >= 0.88), "{name} alpha {alpha} loss {loss}: {shares:?}");
    }
    assert!(ratios.iter().all(|ratio| (ratio - 1.0).abs() < 0.05), "MDEV alpha {alpha} loss {loss}: {ratios:?}");
}

#[test]
fn intervals_of_phase_noise_hold_as_claimed() {
    for (alpha, loss) in [(2, 0.0), (2, 0.1), (1, 0.0), (1, 0.1)] {
        assert_covered(alpha, loss);
    }
}

#[test]
fn intervals_of_frequency_noise_hold_as_claimed() {
    for (alpha, loss) in [(0, 0.0), (0, 0.1), (-1, 0.0)] {
        assert_covered(alpha, loss);
    }
}
