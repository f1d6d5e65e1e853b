//! When recorded samples were taken, in true time as far as it is known.
//!
//! The clock of a vantage may be set while it records, but its monotonic clock is not. So the true time of a sample less
//! its monotonic time stays the same, and the samples around it show it. It changes when the vantage starts again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sample::Sample;

/// The samples before and after a sample that show its time, by the monotonic clock.
const AROUND: usize = 9;
/// A recorded time that is off by more than this is corrected, and differences within this are none, in nanoseconds.
const FAR_OFF_NS: i128 = 500_000_000;
/// Recorded times outside of 1970 to 2116 count as these, so that no difference of two overflows.
const TIMES_NS: std::ops::RangeInclusive<i64> = 0..=i64::MAX / 2;

/// The samples with their times, in order of these.
pub(super) fn placed(samples: Vec<Arc<Sample>>) -> Vec<(i64, Arc<Sample>)> {
    let mut of_vantage: BTreeMap<Arc<str>, Vec<Arc<Sample>>> = BTreeMap::new();
    for sample in samples {
        of_vantage.entry(Arc::clone(&sample.server.vantage)).or_default().push(sample);
    }
    let rows: Vec<Vec<(i64, Arc<Sample>)>> = of_vantage.into_values().map(corrected).collect();
    let spans: Vec<(i64, i64)> = rows.iter().map(|rows| span(rows)).collect();
    let mut all = Vec::new();
    for (at, rows) in rows.into_iter().enumerate() {
        let others = spans.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, span)| *span);
        let allowed = others.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        all.extend(rows.into_iter().map(|(at_ns, sample)| (within(allowed, at_ns, &sample), sample)));
    }
    all.sort_by_key(|(at_ns, _)| *at_ns);
    all
}

fn span(rows: &[(i64, Arc<Sample>)]) -> (i64, i64) {
    rows.iter().fold((i64::MAX, i64::MIN), |(first, last), (at_ns, _)| (first.min(*at_ns), last.max(*at_ns)))
}

/// The corrected time, unless the recorded one is nearer to the times of the other vantages: one that reports falsely
/// places its own samples anywhere.
fn within(allowed: Option<(i64, i64)>, at_ns: i64, sample: &Sample) -> i64 {
    let (Some((first_ns, last_ns)), wall_ns) = (allowed, clamped(i128::from(sample.at.wall_ns))) else { return at_ns };
    let away_ns = |at_ns: i64| (first_ns - at_ns).max(at_ns - last_ns).max(0);
    if away_ns(wall_ns) < away_ns(at_ns) { wall_ns } else { at_ns }
}

fn clamped(at_ns: i128) -> i64 {
    at_ns.clamp(i128::from(*TIMES_NS.start()), i128::from(*TIMES_NS.end())) as i64
}

/// The samples of one vantage with their times. A recorded time is kept unless it is far off.
fn corrected(mut rows: Vec<Arc<Sample>>) -> Vec<(i64, Arc<Sample>)> {
    // Where no monotonic clock was recorded, the wall clock takes its place, and the recorded order is better.
    if rows.iter().any(|sample| sample.at.mono_ns != sample.at.wall_ns) {
        rows.sort_by_key(|sample| sample.at.mono_ns);
    }
    let shown: Vec<Option<i128>> = rows.iter().map(|sample| beyond_monotonic_ns(sample)).collect();
    let time = |at: usize| {
        let (wall_ns, mono_ns) = (i128::from(rows[at].at.wall_ns), i128::from(rows[at].at.mono_ns));
        let at_ns = mono_ns + agreed_ns(&rows, &shown, at).unwrap_or(wall_ns - mono_ns);
        clamped(if (at_ns - wall_ns).abs() > FAR_OFF_NS { at_ns } else { wall_ns })
    };
    let times: Vec<i64> = (0..rows.len()).map(time).collect();
    times.into_iter().zip(rows).collect()
}

/// The true time of a sample less its monotonic time, by the clock and the offset that it shows.
fn beyond_monotonic_ns(sample: &Sample) -> Option<i128> {
    let offset_ns = i128::from((sample.offset_s()? * 1e9) as i64);
    Some(i128::from(sample.at.wall_ns) + offset_ns - i128::from(sample.at.mono_ns))
}

/// What the samples around one show of this difference: the middle of those that agree with it, or of all of them if
/// few agree. A sample without an offset has that of the sample with the nearest monotonic time.
fn agreed_ns(rows: &[Arc<Sample>], shown: &[Option<i128>], at: usize) -> Option<i128> {
    let around = at.saturating_sub(AROUND)..(at + AROUND + 1).min(rows.len());
    let Some(mine) = shown[at] else {
        let apart_ns = |other: &usize| (i128::from(rows[*other].at.mono_ns) - i128::from(rows[at].at.mono_ns)).abs();
        return shown[around.filter(|other| shown[*other].is_some()).min_by_key(apart_ns)?];
    };
    let all: Vec<i128> = around.filter_map(|other| shown[other]).collect();
    let agreeing: Vec<i128> = all.iter().copied().filter(|it| (it - mine).abs() <= FAR_OFF_NS).collect();
    // Servers that are far off are few, but about half of the samples around a restart are on either side of it.
    middle(if 5 * agreeing.len() >= 2 * all.len() { agreeing } else { all })
}

fn middle(mut all: Vec<i128>) -> Option<i128> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}
