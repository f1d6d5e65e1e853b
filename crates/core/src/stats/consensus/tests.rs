use proptest::prelude::*;

use super::*;

/// Intervals in milliseconds, as (centre, half width).
fn set(ms: &[(f64, f64)]) -> Vec<Interval> {
    ms.iter().map(|(c, h)| Interval::around(c / 1e3, h / 1e3).unwrap()).collect()
}

/// All voters have an interval.
fn consense(intervals: &[Interval]) -> Consensus {
    consense_among(intervals, intervals.len())
}

fn truechimers(c: &Consensus) -> usize {
    c.standings.iter().filter(|s| matches!(s, Standing::Truechimer)).count()
}

fn falsetickers(c: &Consensus) -> Vec<usize> {
    c.standings.iter().enumerate().filter(|(_, s)| matches!(s, Standing::Falseticker { .. })).map(|(i, _)| i).collect()
}

fn assert_interval(got: Option<Interval>, low_ms: f64, high_ms: f64) {
    let got = got.expect("an interval");
    assert!((got.low_s * 1e3 - low_ms).abs() < 1e-9 && (got.high_s * 1e3 - high_ms).abs() < 1e-9, "{got:?}");
}

#[test]
fn agreeing_servers_are_all_truechimers() {
    let c = consense(&set(&[(0.0, 10.0), (2.0, 10.0), (-3.0, 12.0), (1.0, 8.0)]));
    assert_eq!((truechimers(&c), c.depth, c.undecidable), (4, 4, None));
    // Three of four cover -8..9 (the second-lowest and second-highest ends fall on either side).
    assert_interval(c.majority, -8.0, 9.0);
    assert_interval(c.deepest, -7.0, 9.0);
}

#[test]
fn one_liar_is_blamed_by_its_gap() {
    let c = consense(&set(&[(0.0, 10.0), (2.0, 10.0), (-3.0, 10.0), (150.0, 20.0)]));
    assert_eq!(falsetickers(&c), [3]);
    // All three honest ones are needed for a majority of four: [-8, 7].
    assert_interval(c.majority, -8.0, 7.0);
    let Standing::Falseticker { gap_s } = c.standings[3] else { panic!("{c:?}") };
    assert!((gap_s - 0.123).abs() < 1e-12);
}

#[test]
fn two_equal_groups_are_undecidable_and_named() {
    let intervals = set(&[(0.0, 5.0), (1.0, 5.0), (100.0, 5.0), (101.0, 5.0)]);
    let c = consense(&intervals);
    assert_eq!(c.undecidable, Some(Undecidable::NoMajority));
    assert!(c.standings.iter().all(|s| *s == Standing::Unknown));
    assert!(camps(&intervals).eq([vec![0, 1], vec![2, 3]]));
}

#[test]
fn two_colluders_of_five_are_both_blamed() {
    let c = consense(&set(&[(0.0, 10.0), (200.0, 10.0), (1.0, 10.0), (201.0, 10.0), (-1.0, 10.0)]));
    assert_eq!(falsetickers(&c), [1, 3]);
}

#[test]
fn a_wrong_majority_is_believed_because_nobody_could_know() {
    let c = consense(&set(&[(200.0, 10.0), (200.5, 10.0), (199.0, 10.0), (0.0, 10.0), (0.5, 10.0)]));
    assert_eq!(falsetickers(&c), [3, 4]);
}

#[test]
fn an_own_clock_that_is_off_shows_as_a_majority_without_zero() {
    let c = consense(&set(&[(60.0, 20.0), (62.0, 25.0), (58.0, 15.0)]));
    let majority = c.majority.unwrap();
    assert!(!majority.contains(0.0) && majority.low_s >= 0.037 && truechimers(&c) == 3);
}

#[test]
fn a_huge_root_distance_accuses_nobody_and_is_not_accused() {
    let c = consense(&set(&[(0.0, 10.0), (1.0, 10.0), (2.0, 10.0), (5000.0, 9000.0)]));
    assert_eq!(truechimers(&c), 4);
    assert!(c.majority.unwrap().high_s < 0.013);
}

#[test]
fn identical_intervals_are_one_majority() {
    let c = consense(&set(&[(7.0, 3.0); 5]));
    assert_interval(c.majority, 4.0, 10.0);
    assert_eq!((c.depth, truechimers(&c)), (5, 5));
}

#[test]
fn touching_intervals_meet() {
    let c = consense(&[
        Interval { low_s: 0.0, high_s: 1.0 },
        Interval { low_s: 1.0, high_s: 2.0 },
        Interval { low_s: 1.0, high_s: 3.0 },
    ]);
    assert_eq!((truechimers(&c), c.depth), (3, 3));
    assert_eq!(c.deepest, Some(Interval { low_s: 1.0, high_s: 1.0 }));
}

#[test]
fn one_server_two_servers_and_none_are_undecidable() {
    for n in 0..3 {
        let c = consense(&set(&vec![(50.0, 1.0); n]));
        assert_eq!((c.undecidable, c.majority, c.standings.len()), (Some(Undecidable::TooFew), None, n));
    }
    assert_eq!(camps(&[]).count(), 0);
}

#[test]
fn a_chain_without_a_common_point_still_has_no_false_blame() {
    // Each overlaps its neighbours; three of five share points in the middle, and the outer ones meet that hull.
    let c = consense(&set(&[(0.0, 10.0), (8.0, 10.0), (16.0, 10.0), (24.0, 10.0), (12.0, 10.0)]));
    assert_eq!(falsetickers(&c), Vec::<usize>::new());
}

#[test]
fn an_honest_server_survives_two_liars_that_overlap_the_others() {
    // The truth is 0. Honest: 0, 1, 2. The liars 3 and 4 overlap 0 and 1 at a deeper point that excludes 2.
    let c = consense(&set(&[(10.0, 11.0), (10.0, 11.0), (-10.0, 11.0), (18.0, 10.0), (18.0, 10.0)]));
    assert_eq!(c.depth, 4);
    assert_eq!(c.standings[2], Standing::Truechimer);
}

#[test]
fn an_absent_voter_does_not_make_a_camp_a_majority() {
    let intervals = set(&[(0.0, 5.0), (1.0, 5.0), (100.0, 5.0)]);
    assert_eq!(truechimers(&consense(&intervals)), 2);
    let among_four = consense_among(&intervals, 4);
    assert_eq!((among_four.undecidable, among_four.is_split()), (Some(Undecidable::NoMajority), false));
    // Three agree above zero, and a fourth who is absent may well cover it.
    let above = set(&[(6.0, 5.0), (6.0, 7.0), (6.0, 8.0)]);
    assert!(
        !consense(&above).majority.unwrap().contains(0.0) || consense_among(&above, 4).majority.unwrap().contains(0.0)
    );
    assert!(consense_among(&above, 4).majority.unwrap().contains(0.0));
    assert!(consense(&set(&[(0.0, 5.0), (1.0, 5.0), (100.0, 5.0), (101.0, 5.0)])).is_split());
}

#[test]
fn points_are_intervals_too() {
    assert_eq!(truechimers(&consense(&set(&[(1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (2.0, 0.0)]))), 3);
}

#[test]
fn what_is_not_a_number_makes_no_interval() {
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
    fn a_server_that_holds_the_truth_is_never_blamed_by_an_honest_majority(
        honest in prop::collection::vec((-10i32..10, 0i32..10), 2..8),
        liars in prop::collection::vec(interval(), 0..7),
    ) {
        let mut all: Vec<Interval> = honest.iter().map(|(c, extra)|
            Interval::around(f64::from(*c), f64::from(c.abs() + extra)).unwrap()).collect();
        let n = all.len();
        all.extend(liars.into_iter().take(n - 1));
        prop_assume!(all.len() >= MIN_SERVERS);
        let c = consense(&all);
        prop_assert!(c.standings[..n].iter().all(|s| *s == Standing::Truechimer));
        prop_assert!(c.majority.unwrap().contains(0.0));
    }

    #[test]
    fn adding_a_truechimer_never_turns_a_truechimer_into_a_falseticker(
        set in prop::collection::vec(interval(), 3..10), below in 0i32..5, above in 0i32..5,
    ) {
        let before = consense(&set);
        prop_assume!(before.majority.is_some());
        let majority = before.majority.unwrap();
        let mut grown = set.clone();
        grown.push(Interval {
            low_s: majority.low_s - f64::from(below), high_s: majority.high_s + f64::from(above),
        });
        let after = consense(&grown);
        for (old, new) in before.standings.iter().zip(&after.standings) {
            prop_assert!(*old != Standing::Truechimer || *new == Standing::Truechimer, "{before:?} {after:?}");
        }
    }

    #[test]
    fn the_order_of_servers_does_not_matter(set in prop::collection::vec(interval(), 0..10), by in 0usize..10) {
        let c = consense(&set);
        let mut turned = set.clone();
        if !turned.is_empty() { let k = by % turned.len(); turned.rotate_left(k); }
        let t = consense(&turned);
        prop_assert_eq!((c.majority, c.deepest, c.depth, c.undecidable), (t.majority, t.deepest, t.depth, t.undecidable));
        let mut expected = c.standings.clone();
        if !expected.is_empty() { let k = by % expected.len(); expected.rotate_left(k); }
        prop_assert_eq!(expected, t.standings);
    }

    #[test]
    fn shifting_every_server_shifts_the_majority(set in prop::collection::vec(interval(), 3..10), by in -64i32..64) {
        // Multiples of 1/4 are exact, so the comparison is too.
        let by = f64::from(by) / 4.0;
        let moved: Vec<_> = set.iter().map(|i| Interval { low_s: i.low_s + by, high_s: i.high_s + by }).collect();
        let (a, b) = (consense(&set), consense(&moved));
        prop_assert_eq!(a.standings, b.standings);
        prop_assert_eq!(a.majority.map(|m| m.low_s + by), b.majority.map(|m| m.low_s));
    }

    #[test]
    fn camps_name_everybody_once(set in prop::collection::vec(interval(), 0..12)) {
        let mut named: Vec<usize> = camps(&set).flatten().collect();
        named.sort_unstable();
        prop_assert_eq!(named, (0..set.len()).collect::<Vec<_>>());
    }
}
