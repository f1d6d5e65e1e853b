use proptest::prelude::*;

use super::*;

/// Intervals in milliseconds, as (centre, half width).
fn set(ms: &[(f64, f64)]) -> Vec<Interval> {
    ms.iter().map(|(c, h)| Interval::around(c / 1e3, h / 1e3).unwrap()).collect()
}

#[test]
fn groups_that_agree_are_named_the_largest_first() {
    let intervals = set(&[(100.0, 5.0), (0.0, 5.0), (1.0, 5.0), (102.0, 5.0), (101.0, 5.0)]);
    assert!(camps(&intervals).eq([vec![0, 3, 4], vec![1, 2]]));
    assert_eq!(camps(&[]).count(), 0);
}

#[test]
fn nan_makes_no_interval() {
    for (c, h) in [(f64::NAN, 1.0), (0.0, f64::NAN), (f64::INFINITY, 1.0), (0.0, f64::INFINITY), (0.0, -1.0)] {
        assert_eq!(Interval::around(c, h), None);
    }
}

fn interval() -> impl Strategy<Value = Interval> {
    // A coarse grid, so that touching and identical ends happen often.
    (-20i32..20, 0i32..12).prop_map(|(c, h)| Interval::around(f64::from(c), f64::from(h)).unwrap())
}

proptest! {
    #[test]
    fn camps_name_everybody_once(set in prop::collection::vec(interval(), 0..12)) {
        let mut named: Vec<usize> = camps(&set).flatten().collect();
        named.sort_unstable();
        prop_assert_eq!(named, (0..set.len()).collect::<Vec<_>>());
    }
}
