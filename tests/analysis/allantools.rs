//! Compares stability with AllanTools, the usual Python package, on seeded noise with and without gaps.
//!
//! Takes the `python3` that can import it, or installs it into a virtual environment below the target directory. Where
//! neither works the test says so and passes, except in CI.

use std::process::Command;

use crate::common::tool;
use ntp_monitor_core::stats::stability::{PhaseGrid, Stability};
use serde_json::{Value, json};

const FACTORS: [f64; 7] = [1.0, 2.0, 5.0, 16.0, 64.0, 250.0, 600.0];

const SCRIPT: &str = r#"
import json, sys
import allantools as at, numpy as np

job = json.load(sys.stdin)
with_gaps = {"oadev": at.gradev}
without = {"oadev": at.oadev, "mdev": at.mdev, "tdev": at.tdev, "hdev": at.ohdev, "mtie": at.mtie, "tie_rms": at.tierms}

def deviations(phase):
    x = np.array([np.nan if v is None else v for v in phase])
    functions = with_gaps if np.isnan(x).any() else without
    results = {name: f(x, rate=1.0, data_type="phase", taus=job["taus"]) for name, f in functions.items()}
    return {name: {"tau_s": list(map(float, r[0])), "dev": list(map(float, r[1]))} for name, r in results.items()}

json.dump([deviations(phase) for phase in job["phases"]], sys.stdout)
"#;

#[test]
fn deviations_of_seeded_noise_are_those_of_allantools() {
    let Some(python) = tool::python("allantools", "import allantools", &[&["allantools"]]) else {
        return tool::may_skip("allantools");
    };
    let (white_pm, white_fm) = (white(5000), integrate(&white(5000)));
    let phases = [with_gaps(&white_pm), with_gaps(&white_fm), white_pm, white_fm];
    let known = |x: &[f64]| x.iter().map(|x| (!x.is_nan()).then_some(*x)).collect::<Vec<_>>();
    let job = json!({ "phases": phases.each_ref().map(|x| known(x)), "taus": FACTORS });
    let theirs = tool::converse(Command::new(python).args(["-c", SCRIPT]), &job);
    for (x, theirs) in phases.into_iter().zip(theirs.as_array().unwrap()) {
        compare(x, theirs);
    }
}

fn compare(x: Vec<f64>, theirs: &Value) {
    let grid = PhaseGrid::from_phase(1.0, x).unwrap();
    let ours = serde_json::to_value(Stability::of(&grid, Some(&FACTORS))).unwrap();
    for (column, theirs) in theirs.as_object().unwrap() {
        assert_eq!(theirs["tau_s"], ours["tau_s"], "{column}");
        for ((got, expected), tau_s) in numbers(&ours[column]).zip(numbers(&theirs["dev"])).zip(FACTORS) {
            assert!((got / expected - 1.0).abs() < 1e-9, "{column} at {tau_s} s: {got} is not {expected}");
        }
        assert_eq!(numbers(&theirs["dev"]).count(), FACTORS.len(), "{column}");
    }
}

/// Removes every 17th phase and a run of 300.
fn with_gaps(x: &[f64]) -> Vec<f64> {
    let missing = |i: usize| i % 17 == 5 || (2000..2300).contains(&i);
    x.iter().enumerate().map(|(i, x)| if missing(i) { f64::NAN } else { *x }).collect()
}

fn numbers(array: &Value) -> impl Iterator<Item = f64> {
    array.as_array().unwrap().iter().map(|number| number.as_f64().unwrap())
}

/// Uniform noise from the generator of NIST SP 1065 §12.4.
fn white(n: usize) -> Vec<f64> {
    let mut state = 1_234_567_890_u64;
    let mut next = || {
        state = state * 16807 % 2_147_483_647;
        state as f64 / 2_147_483_647.0 - 0.5
    };
    (0..n).map(|_| next()).collect()
}

fn integrate(x: &[f64]) -> Vec<f64> {
    x.iter().scan(0.0, |sum, x| Some(std::mem::replace(sum, *sum + x))).collect()
}
