//! The majority of servers with one vote each, and the servers that it blames.

use proptest::prelude::*;

use super::*;

/// Intervals in milliseconds, as (centre, half width).
fn set(ms: &[(f64, f64)]) -> Vec<Interval> {
    ms.iter().map(|(c, h)| Interval::around(c / 1e3, h / 1e3).unwrap()).collect()
}

/// The majority of servers with one vote each. `absent` of them have no interval at this instant.
fn majority_with(intervals: &[Interval], absent: f64) -> Option<Interval> {
    let claims: Vec<Claim> = intervals.iter().map(|range| Claim { range: *range, vote: 1.0 }).collect();
    majority(&claims, absent)
}

/// The servers outside of the majority, if there is one.
fn blamed(intervals: &[Interval]) -> Vec<usize> {
    let Some(majority) = majority_with(intervals, 0.0) else { return Vec::new() };
    (0..intervals.len()).filter(|n| intervals[*n].gap_s(&majority) > 0.0).collect()
}

#[track_caller]
fn assert_majority(ms: &[(f64, f64)], low_ms: f64, high_ms: f64) {
    let got = majority_with(&set(ms), 0.0).expect("a majority");
    assert!((got.low_s * 1e3 - low_ms).abs() < 1e-9 && (got.high_s * 1e3 - high_ms).abs() < 1e-9, "{got:?}");
}

#[test]
fn majority_is_what_more_than_half_of_the_servers_cover() {
    // Three of four cover -8..9 (the second-lowest and second-highest ends fall on either side).
    assert_majority(&[(0.0, 10.0), (2.0, 10.0), (-3.0, 12.0), (1.0, 8.0)], -8.0, 9.0);
    // All three honest ones are needed for a majority of four.
    assert_majority(&[(0.0, 10.0), (2.0, 10.0), (-3.0, 10.0), (150.0, 20.0)], -8.0, 7.0);
    assert_majority(&[(7.0, 3.0); 5], 4.0, 10.0);
    assert_eq!(majority_with(&set(&[(0.0, 5.0), (1.0, 5.0), (100.0, 5.0), (101.0, 5.0)]), 0.0), None);
}

#[test]
fn intervals_outside_of_the_majority_are_blamed_and_no_others() {
    for (ms, expected) in [
        (vec![(0.0, 10.0), (2.0, 10.0), (-3.0, 12.0), (1.0, 8.0)], vec![]),
        (vec![(0.0, 10.0), (2.0, 10.0), (-3.0, 10.0), (150.0, 20.0)], vec![3]),
        (vec![(0.0, 10.0), (200.0, 10.0), (1.0, 10.0), (201.0, 10.0), (-1.0, 10.0)], vec![1, 3]),
        // A wrong majority is believed, because nothing could show it.
        (vec![(200.0, 10.0), (200.5, 10.0), (199.0, 10.0), (0.0, 10.0), (0.5, 10.0)], vec![3, 4]),
        // A huge root distance accuses no server and is not accused.
        (vec![(0.0, 10.0), (1.0, 10.0), (2.0, 10.0), (5000.0, 9000.0)], vec![]),
        // Each overlaps its neighbours; three of five share points in the middle, and the outer ones meet that hull.
        (vec![(0.0, 10.0), (8.0, 10.0), (16.0, 10.0), (24.0, 10.0), (12.0, 10.0)], vec![]),
        // The truth is 0. The liars 3 and 4 overlap 0 and 1 at a deeper point, which excludes the honest 2.
        (vec![(10.0, 11.0), (10.0, 11.0), (-10.0, 11.0), (18.0, 10.0), (18.0, 10.0)], vec![]),
        // Touching intervals meet, and points are intervals too.
        (vec![(0.5, 0.5), (1.5, 0.5), (2.0, 1.0)], vec![]),
        (vec![(1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (2.0, 0.0)], vec![3]),
    ] {
        assert_eq!(blamed(&set(&ms)), expected, "{ms:?}");
    }
}

#[test]
fn an_absent_voter_does_not_make_a_camp_a_majority() {
    let intervals = set(&[(0.0, 5.0), (1.0, 5.0), (100.0, 5.0)]);
    assert!(majority_with(&intervals, 0.0).is_some());
    assert_eq!(majority_with(&intervals, 1.0), None);
    // Three agree above zero, and a fourth who is absent may well cover it.
    let above = set(&[(6.0, 5.0), (6.0, 7.0), (6.0, 8.0)]);
    assert!(majority_with(&above, 1.0).unwrap().contains(0.0));
}

fn interval() -> impl Strategy<Value = Interval> {
    // A coarse grid, so that touching and identical ends happen often.
    (-20i32..20, 0i32..12).prop_map(|(c, h)| Interval::around(f64::from(c), f64::from(h)).unwrap())
}

proptest! {
    #[test]
    fn right_server_is_never_blamed_by_an_honest_majority(
        honest in prop::collection::vec((-10i32..10, 0i32..10), 2..8),
        liars in prop::collection::vec(interval(), 0..7),
    ) {
        let mut all: Vec<Interval> = honest.iter().map(|(c, extra)|
            Interval::around(f64::from(*c), f64::from(c.abs() + extra)).unwrap()).collect();
        let n = all.len();
        all.extend(liars.into_iter().take(n - 1));
        prop_assert!(blamed(&all).iter().all(|blamed| *blamed >= n));
        prop_assert!(majority_with(&all, 0.0).unwrap().contains(0.0));
    }

    #[test]
    fn another_server_within_the_majority_gets_no_server_blamed(
        set in prop::collection::vec(interval(), 3..10), below in 0i32..5, above in 0i32..5,
    ) {
        let before = majority_with(&set, 0.0);
        prop_assume!(before.is_some());
        let majority = before.unwrap();
        let mut grown = set.clone();
        grown.push(Interval {
            low_s: majority.low_s - f64::from(below), high_s: majority.high_s + f64::from(above),
        });
        prop_assert!(blamed(&grown).iter().all(|n| blamed(&set).contains(n)));
    }

    #[test]
    fn the_order_of_servers_does_not_matter(set in prop::collection::vec(interval(), 1..10), by in 0usize..10) {
        let mut turned = set.clone();
        turned.rotate_left(by % set.len());
        prop_assert_eq!(majority_with(&set, 0.0), majority_with(&turned, 0.0));
    }

    #[test]
    fn shifting_every_server_shifts_the_majority(set in prop::collection::vec(interval(), 3..10), by in -64i32..64) {
        // Multiples of 1/4 are exact, so the comparison is too.
        let by = f64::from(by) / 4.0;
        let moved: Vec<_> = set.iter().map(|i| Interval { low_s: i.low_s + by, high_s: i.high_s + by }).collect();
        let shifted = majority_with(&set, 0.0).map(|m| Interval { low_s: m.low_s + by, high_s: m.high_s + by });
        prop_assert_eq!(majority_with(&moved, 0.0), shifted);
    }
}
