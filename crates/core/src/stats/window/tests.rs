//! Windows against the exact summary of the same samples.

use proptest::prelude::*;

use super::super::sketch::RELATIVE_ACCURACY;
use super::super::summary::{Summary, summarise};
use super::super::testing::{lost, sample, stamp};
use super::*;

/// Polls `spacing_s` apart with seeded offsets of a millisecond and delays from 20 ms; every 13th is lost.
fn polls(n: u32, spacing_s: f64) -> Vec<Sample> {
    let mut state = 1_234_567_890_u64;
    let mut random = move || {
        state = state * 16807 % 2_147_483_647;
        state as f64 / 2_147_483_647.0
    };
    let mut poll = |i: u32| {
        let at_s = 1.0 + f64::from(i) * spacing_s;
        let (offset_s, delay_s) = ((random() - 0.5) * 2e-3, 0.02 + random() * 1e-2);
        if i % 13 == 12 { lost(at_s) } else { sample(at_s, offset_s, delay_s) }
    };
    (0..n).map(&mut poll).collect()
}

fn fed(samples: &[Sample]) -> ServerWindows {
    let mut windows = ServerWindows::new(TimeAxis::Monotonic);
    samples.iter().for_each(|sample| windows.observe(sample).unwrap());
    windows
}

/// The exact summary of the last `covers_s` seconds.
fn exact_over(samples: &[Sample], covers_s: f64) -> WindowSummary {
    let end_ns = samples.last().unwrap().at.mono_ns;
    let start_ns = end_ns - (covers_s * 1e9).round() as i64;
    summarise(samples.iter().filter(|sample| sample.at.mono_ns >= start_ns))
}

fn assert_agree(got: &Summary, exact: &Summary, error: f64) {
    assert_eq!(got.n, exact.n);
    let pairs = [(got.mean, exact.mean), (got.stddev, exact.stddev), (got.min, exact.min), (got.max, exact.max)];
    for (a, b) in pairs {
        assert!((a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs() < 1e-9, "{a:?} is not {b:?}");
    }
    assert_eq!(got.percentiles().count(), exact.percentiles().count());
    for ((percentile, a), (_, b)) in got.percentiles().zip(exact.percentiles()) {
        assert!((a - b).abs() <= error * b.abs() + 1e-7, "{}: {a} is not {b}", percentile.label);
    }
}

#[test]
fn short_windows_are_exact_and_end_where_they_should() {
    let samples = polls(1000, 16.0);
    let windows = fed(&samples);
    let now = samples.last().unwrap().at;
    for (window, polls) in [(Window::FiveMinutes, 19), (Window::Hour, 226)] {
        let got = windows.summary(window, now);
        let exact = exact_over(&samples, window.length_s());
        assert!(got.exact);
        assert_eq!((got.polls, &got.outcomes), (polls, &exact.outcomes));
        assert_agree(&got.offset, &exact.offset, 0.0);
        assert_agree(&got.offset_abs, &exact.offset_abs, 0.0);
        assert_agree(&got.delay, &exact.delay, 0.0);
    }
}

#[test]
fn long_windows_agree_with_the_exact_summary_within_the_sketch() {
    let samples = polls(20_000, 64.0);
    let windows = fed(&samples);
    let now = samples.last().unwrap().at;
    for (window, at_most_s) in [(Window::Day, 25.0 * 3600.0), (Window::Week, 7.5 * 86_400.0)] {
        let got = windows.summary(window, now);
        let covers_s = got.covers_s.unwrap();
        assert!(!got.exact && covers_s >= window.length_s() - 64.0 && covers_s <= at_most_s, "{covers_s}");
        let exact = exact_over(&samples, covers_s);
        assert_eq!((got.polls, &got.outcomes), (exact.polls, &exact.outcomes));
        assert_agree(&got.offset, &exact.offset, RELATIVE_ACCURACY);
        assert_agree(&got.offset_abs, &exact.offset_abs, RELATIVE_ACCURACY);
        assert_agree(&got.delay, &exact.delay, RELATIVE_ACCURACY);
        assert!(got.trend.is_some_and(|trend| trend.n >= 18 && trend.ppm.abs() < 0.1), "{:?}", got.trend);
    }
}

#[test]
fn a_seldom_polled_server_has_exact_windows_of_many_hours() {
    let samples = polls(2000, 1800.0);
    let windows = fed(&samples);
    let now = samples.last().unwrap().at;
    let got = windows.summary(Window::Day, now);
    assert!(got.exact);
    assert_agree(&got.offset, &exact_over(&samples, Window::Day.length_s()).offset, 0.0);
    assert!(windows.memory_bytes() < 16 * 1024, "{}", windows.memory_bytes());
}

#[test]
fn a_fast_poller_stays_within_the_same_memory() {
    let samples = polls(100_000, 0.1);
    let windows = fed(&samples);
    let now = samples.last().unwrap().at;
    assert!(windows.singles.len() <= ServerWindows::MAX_SINGLE);
    let got = windows.summary(Window::FiveMinutes, now);
    let covers_s = got.covers_s.unwrap();
    assert!((299.0..=601.0).contains(&covers_s), "{covers_s}");
    assert_agree(&got.offset, &exact_over(&samples, covers_s).offset, RELATIVE_ACCURACY);
    assert!(windows.memory_bytes() < 64 * 1024, "{}", windows.memory_bytes());
}

#[test]
fn memory_does_not_grow_with_time() {
    let samples = polls(30_000, 64.0);
    let windows = fed(&samples);
    assert!(windows.memory_bytes() < 32 * 1024, "{}", windows.memory_bytes());
    let mut short = ServerWindows::up_to(Window::Hour, TimeAxis::Monotonic);
    samples.iter().for_each(|sample| short.observe(sample).unwrap());
    assert!(short.memory_bytes() < 6 * 1024, "{}", short.memory_bytes());
    let now = samples.last().unwrap().at;
    assert_eq!(short.summary(Window::Hour, now), windows.summary(Window::Hour, now));
}

#[test]
fn polls_that_no_window_shows_take_no_memory() {
    let mut windows = ServerWindows::up_to(Window::Hour, TimeAxis::Monotonic);
    let samples = polls(1000, 16.0);
    let (first_hour, later) = samples.split_at(226);
    first_hour.iter().for_each(|sample| windows.observe(sample).unwrap());
    let full = windows.memory_bytes();
    later.iter().for_each(|sample| windows.observe(sample).unwrap());
    assert!(windows.memory_bytes() < full + 500, "{full} and {} bytes", windows.memory_bytes());
}

#[test]
fn window_empties_during_silence_and_long_gaps() {
    let mut windows = fed(&polls(100, 64.0));
    let quiet = windows.summary(Window::FiveMinutes, stamp(100_000.0));
    assert_eq!((quiet.n, quiet.polls, quiet.loss, quiet.covers_s), (0, 0, None, None));
    assert_eq!(windows.summary(Window::Week, stamp(100_000.0)).polls, 100);
    let month_later = sample(30.0 * 86_400.0, 0.5, 0.02);
    windows.observe(&month_later).unwrap();
    assert_eq!(windows.summary(Window::Week, month_later.at).polls, 1);
}

#[test]
fn refused_samples_change_nothing_but_their_count() {
    let samples = polls(50, 64.0);
    let mut windows = fed(&samples);
    let now = samples.last().unwrap().at;
    let before = windows.summary(Window::Day, now);
    let last_s = 1.0 + 49.0 * 64.0;
    windows.intake.until_ns = windows.intake.axis.ns(stamp(1e6));
    let bad = [
        sample(last_s + 64.0, f64::NAN, 0.02),
        sample(last_s, 0.1, 0.02),
        sample(5.0, 0.1, 0.02),
        sample(1e6 + 1.0, 0.1, 0.02),
    ];
    assert!(bad.iter().all(|sample| windows.observe(sample).is_err()));
    let after = windows.summary(Window::Day, now);
    assert_eq!((after.refused.total(), windows.refused()), (4, after.refused));
    assert_eq!(WindowSummary { refused: before.refused, ..after }, before);
}

#[test]
fn the_offset_histogram_holds_every_sample_of_the_window() {
    let samples = polls(20_000, 64.0);
    let windows = fed(&samples);
    let now = samples.last().unwrap().at;
    for window in Window::ALL {
        let n = windows.summary(window, now).n;
        assert_eq!(windows.offset_histogram(window, now).unwrap().counts.iter().sum::<u64>(), n);
        assert_eq!(Window::parse(window.label()), Some(window));
    }
    assert_eq!(windows.offset_histogram(Window::Hour, stamp(1e9)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// At any spacing, a window holds exactly the polls since it began.
    #[test]
    fn every_poll_is_in_exactly_one_place(
        gaps in prop::collection::vec(prop_oneof![8 => 0.1..100.0_f64, 1 => 100.0..1e5_f64], 1..400),
    ) {
        let mut at_s = 0.0;
        let times = gaps.into_iter().map(|gap| { at_s += gap; at_s });
        let samples: Vec<_> = times.map(|at_s| sample(at_s, 1e-3, 0.02)).collect();
        for longest in Window::ALL {
            let mut windows = ServerWindows::up_to(longest, TimeAxis::Monotonic);
            samples.iter().for_each(|sample| windows.observe(sample).unwrap());
            for window in Window::ALL.into_iter().filter(|window| *window <= longest) {
                let got = windows.summary(window, samples.last().unwrap().at);
                let exact = exact_over(&samples, got.covers_s.unwrap());
                prop_assert_eq!(got.polls, exact.polls);
                prop_assert!(got.polls >= exact_over(&samples, window.length_s()).polls);
            }
        }
    }

    #[test]
    fn any_numbers_are_summarised_or_refused(
        values in prop::collection::vec((any::<f64>(), any::<f64>(), any::<i64>()), 0..60),
    ) {
        let mut windows = ServerWindows::new(TimeAxis::Wall);
        for (offset_s, delay_s, wall_ns) in values {
            let mut sample = sample(0.0, offset_s, delay_s);
            sample.at.wall_ns = wall_ns;
            // The test is that it does not panic.
            windows.observe(&sample).ok();
        }
        for window in Window::ALL {
            let summary = windows.summary(window, stamp(0.0));
            prop_assert!(summary.offset.percentiles().all(|(_, value)| value.is_finite()));
        }
    }
}
