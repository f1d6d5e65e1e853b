//! Offset against delay. A queue in one direction moves a sample along one of two lines of slope ±½ from the sample
//! with the lowest delay; samples outside of this wedge are not explained by the path (Mills, "huff-n'-puff").

use super::Look;
use super::canvas::draw;
use super::chart::{Chart, Labels};
use super::scale::Scale;

/// Draws the samples, given as (offset, delay) in seconds.
#[must_use]
pub fn scatter(look: Look<'_>, samples: &[(f64, f64)]) -> String {
    let samples: Vec<_> = samples.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let extremes = |of: fn(&(f64, f64)) -> f64| {
        let least = samples.iter().map(of).reduce(f64::min).unwrap_or(0.0);
        (least, samples.iter().map(of).reduce(f64::max).unwrap_or(0.0))
    };
    let ((least_s, most_s), (shortest_s, longest_s)) = (extremes(|one| one.0), extremes(|one| one.1));
    // The delay axis starts near the smallest delay, unless that is close to zero.
    let from_s = if shortest_s > longest_s / 4.0 { shortest_s } else { 0.0 };
    draw(look.size, look.title, |canvas| {
        let remark = format!("n = {}; lines: effect of a queue in one direction", samples.len());
        let labels = Labels { x: "delay", y: "offset", legend: &[], remark: &remark };
        let (x, y) = (Scale::seconds(from_s, longest_s, 8), Scale::seconds(least_s.min(0.0), most_s.max(0.0), 6));
        let chart = Chart::new(canvas, look, &labels, x, y);
        let Some((apex_s, _)) = samples.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)) else {
            return chart.empty("no samples of this period in the store");
        };
        for (offset_s, delay_s) in &samples {
            chart.canvas.dot(chart.place((*delay_s, *offset_s)), 2.0, look.theme.series[0], 0.35);
        }
        for side in [-0.5, 0.5] {
            // Each line ends at the edge of the chart.
            let reach_s = if side < 0.0 { apex_s - least_s } else { most_s - apex_s };
            let until_s = longest_s.min(shortest_s + 2.0 * reach_s.max(0.0));
            let end = (until_s, apex_s + side * (until_s - shortest_s));
            chart.line(&[(shortest_s, apex_s), end], look.theme.series[5], 1.5, 1.0);
        }
    })
}
