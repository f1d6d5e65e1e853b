//! The distribution of offsets.

use super::Look;
use super::canvas::draw;
use super::chart::{Chart, Labels};
use super::scale::Scale;
use ntp_monitor_core::stats::histogram::DisplayHistogram;

/// The share of values at each side that may be omitted if they would compress the rest.
const TAIL: f64 = 0.002;

/// Draws the histogram of offsets in seconds, each with its number of occurrences.
#[must_use]
pub fn histogram(look: Look<'_>, values: &[(f64, u64)]) -> String {
    let mut values: Vec<_> = values.iter().copied().filter(|(value, _)| value.is_finite()).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n: u64 = values.iter().map(|(_, count)| count).sum();
    let within = without_tails(&values, n);
    let shown: u64 = within.iter().map(|(_, count)| count).sum();
    draw(look.size, look.title, |canvas| {
        let rest = if n > shown { format!("; {} further out are not shown", n - shown) } else { String::new() };
        let labels = Labels { x: "offset", y: "samples", legend: &[], remark: &format!("n = {n}{rest}") };
        let found = DisplayHistogram::of(within);
        let (from_s, to_s) = found.as_ref().map_or((0.0, 0.0), |all| (all.from_s, end_s(all)));
        let most = found.iter().flat_map(|all| &all.counts).max().copied().unwrap_or(0);
        let (x, y) = (Scale::seconds(from_s, to_s, 8), Scale::linear(0.0, most.max(1) as f64, 5));
        let chart = Chart::new(canvas, look, &labels, x, y);
        let Some(found) = found else { return chart.empty("no measurements in this period") };
        bars(&chart, &found, look);
    })
}

/// The sorted values without a few far outliers at either end.
fn without_tails(values: &[(f64, u64)], n: u64) -> &[(f64, u64)] {
    let at_most = (n as f64 * TAIL) as u64;
    let cut = |counts: &mut dyn Iterator<Item = u64>| {
        let mut left_out = 0;
        counts
            .take_while(|count| {
                left_out += count;
                left_out <= at_most
            })
            .count()
    };
    let below = cut(&mut values.iter().map(|(_, count)| *count));
    let above = cut(&mut values.iter().rev().map(|(_, count)| *count));
    let kept = &values[below..values.len() - above];
    let width = |part: &[(f64, u64)]| part.last().zip(part.first()).map_or(0.0, |(last, first)| last.0 - first.0);
    if width(kept) * 3.0 < width(values) { kept } else { values }
}

/// The end of the last bin.
fn end_s(histogram: &DisplayHistogram) -> f64 {
    histogram.from_s + histogram.bin_s * histogram.counts.len() as f64
}

fn bars(chart: &Chart<'_, '_>, histogram: &DisplayHistogram, look: Look<'_>) {
    for (n, count) in histogram.counts.iter().enumerate() {
        let left = chart.x_of(histogram.from_s + histogram.bin_s * n as f64);
        let right = chart.x_of(histogram.from_s + histogram.bin_s * (n + 1) as f64).max(left + 3.0);
        let (top, bottom) = (chart.y_of(*count as f64), chart.y_of(0.0));
        if *count > 0 {
            chart.canvas.rectangle((left, top.min(bottom - 1.0)), (right - 1.0, bottom), look.theme.series[0], 0.85);
        }
    }
    if chart.x.holds(0.0) {
        let x = chart.x_of(0.0);
        chart.canvas.line(&[(x, chart.y_of(0.0)), (x, chart.y_of(f64::MAX))], look.theme.ink, 1.0, 0.6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_far_outliers_are_cut_and_near_ones_are_kept() {
        let mut values: Vec<_> = (0..1000).map(|k| (f64::from(k), 1)).collect();
        assert_eq!(without_tails(&values, 1000).len(), 1000);
        values.push((5e6, 1));
        values.push((7e6, 1));
        assert_eq!(without_tails(&values, 1002).last(), Some(&(999.0, 1)));
        assert_eq!(without_tails(&[], 0), []);
        assert_eq!(without_tails(&[(1.0, 7)], 7), [(1.0, 7)]);
    }
}
