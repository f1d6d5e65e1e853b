use proptest::prelude::*;

use super::*;

/// Type 7 over sorted values, as NumPy computes it, and the error that the sketch promises around it.
fn exact(sorted: &[f64], q: f64) -> (f64, f64) {
    let rank = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    let promised = RELATIVE_ACCURACY * low.abs().max(high.abs()) * (1.0 + 1e-9) + SMALLEST;
    (low + (high - low) * rank.fract(), promised)
}

fn assert_close(sketch: &Sketch, values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    for q in [0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0] {
        let (expected, promised) = exact(values, q);
        let got = sketch.quantile(q).unwrap();
        assert!((got - expected).abs() <= promised, "q {q}: {got} is not within {promised} of {expected}");
    }
}

/// From a tenth of the smallest magnitude to the largest, both signs, and zero.
fn magnitudes() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-10.0..9.6_f64, any::<bool>()).prop_map(|(e, negative)| {
            let magnitude = 10_f64.powf(e);
            if negative { -magnitude } else { magnitude }
        }),
        1 => Just(0.0),
    ]
}

#[test]
fn the_last_bucket_holds_the_largest_magnitude_and_is_needed() {
    assert_eq!(((LARGEST / SMALLEST).ln() / *LN_GAMMA).ceil(), f64::from(LAST_INDEX));
    assert_eq!(index_of(f64::MAX), LAST_INDEX);
    assert_eq!(index_of(f64::MIN), -LAST_INDEX);
}

#[test]
fn empty_sketch_and_invalid_rank_have_no_quantile() {
    let mut sketch = Sketch::new();
    assert_eq!(sketch.quantile(0.5), None);
    assert!(sketch.add(1.0));
    assert_eq!(sketch.quantile(1.01), None);
    assert_eq!(sketch.quantile(f64::NAN), None);
}

#[test]
fn values_that_are_not_finite_are_rejected() {
    let mut sketch = Sketch::new();
    assert!(![f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().any(|value| sketch.add(value)));
    assert_eq!(sketch.count(), 0);
}

#[test]
fn values_below_a_nanosecond_are_zero_and_lie_between_the_signs() {
    let mut sketch = Sketch::new();
    sketch.extend([-1.0, 1e-10, -1e-10, 0.0, 1.0]);
    assert_eq!(sketch.quantile(0.5), Some(0.0));
    assert!(sketch.quantile(0.0).unwrap() < -0.99);
    assert!(sketch.quantile(1.0).unwrap() > 0.99);
}

/// Both estimates are within 1 % of the value at the rank.
#[test]
fn quantiles_agree_with_those_of_sketches_ddsketch() {
    let mut ours = Sketch::new();
    let mut theirs = sketches_ddsketch::DDSketch::default();
    for i in 0..1001_i32 {
        let value = f64::from(i * 7919 % 1001 - 400).powi(3) * 1e-9;
        ours.add(value);
        theirs.add(value);
    }
    for permille in 0..=1000 {
        let q = f64::from(permille) / 1000.0;
        let (ours, theirs) = (ours.quantile(q).unwrap(), theirs.quantile(q).unwrap().unwrap());
        assert!((ours - theirs).abs() <= 0.0203 * theirs.abs() + 2e-9, "q {q}: {ours} is not about {theirs}");
    }
}

#[test]
fn other_versions_and_damaged_bytes_are_rejected() {
    let mut sketch = Sketch::new();
    sketch.extend([0.5, -0.25, 0.0]);
    let bytes = sketch.to_bytes();
    assert_eq!(Sketch::from_bytes(&[]), Err(SketchError::Truncated));
    assert_eq!(Sketch::from_bytes(&bytes[..bytes.len() - 1]), Err(SketchError::Truncated));
    assert_eq!(Sketch::from_bytes(&[bytes.as_slice(), &[0]].concat()), Err(SketchError::Trailing));
    assert_eq!(Sketch::from_bytes(&[9]), Err(SketchError::Version(9)));
    assert_eq!(Sketch::from_bytes(&[VERSION, 1, 0, 1]), Err(SketchError::Bucket));
    assert_eq!(Sketch::from_bytes(&[VERSION, 1, 1, 0]), Err(SketchError::Bucket));
}

proptest! {
    #[test]
    fn quantiles_are_within_the_stated_error(mut values in prop::collection::vec(magnitudes(), 1..400)) {
        let mut sketch = Sketch::new();
        sketch.extend(values.iter().copied());
        assert_close(&sketch, &mut values);
    }

    #[test]
    fn quantiles_rise_with_q(values in prop::collection::vec(magnitudes(), 1..200)) {
        let mut sketch = Sketch::new();
        sketch.extend(values);
        let quantiles: Vec<_> = (0..=100).map(|p| sketch.quantile(f64::from(p) / 100.0).unwrap()).collect();
        prop_assert!(quantiles.is_sorted());
    }

    #[test]
    fn merging_equals_adding_everything_to_one(
        parts in prop::collection::vec(prop::collection::vec(magnitudes(), 0..60), 1..6),
    ) {
        let (mut whole, mut merged) = (Sketch::new(), Sketch::new());
        for part in parts {
            let mut sketch = Sketch::new();
            sketch.extend(part.iter().copied());
            merged.merge(&sketch);
            whole.extend(part);
        }
        prop_assert_eq!(merged, whole);
    }

    #[test]
    fn magnitudes_are_those_of_the_values(values in prop::collection::vec(magnitudes(), 0..200)) {
        let (mut signed, mut unsigned) = (Sketch::new(), Sketch::new());
        signed.extend(values.iter().copied());
        unsigned.extend(values.iter().map(|value| value.abs()));
        prop_assert_eq!(signed.magnitudes(), unsigned);
    }

    #[test]
    fn a_sketch_survives_its_bytes_and_stays_within_its_bound(
        values in prop::collection::vec(any::<f64>(), 0..500),
    ) {
        let mut sketch = Sketch::new();
        sketch.extend(values);
        prop_assert!(sketch.buckets.len() <= Sketch::MAX_BUCKETS);
        prop_assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Ok(sketch));
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200), versioned in any::<bool>(),
    ) {
        if versioned && !bytes.is_empty() {
            bytes[0] = VERSION;
        }
        if let Ok(sketch) = Sketch::from_bytes(&bytes) {
            prop_assert_eq!(sketch.quantile(0.5).is_some(), sketch.count() > 0);
        }
    }
}
