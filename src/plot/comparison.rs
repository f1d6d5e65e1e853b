//! Compares servers: one row per server with the distribution of its offsets.

use plotters::style::text_anchor::{HPos, VPos};

use super::Look;
use super::canvas::{Size, Type, draw, text_width};
use super::chart::{Chart, Labels};
use super::scale::Scale;
use ntp_monitor_core::stats::summary::Summary;

#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    pub server: &'a str,
    pub offset: &'a Summary,
    /// Whether a verdict blames it.
    pub blamed: bool,
}

/// Maximum number of rows in the chart.
const MOST: usize = 60;
const ROW: f64 = 24.0;
const SMALL: f64 = 12.0;

/// Draws the chart. Its height depends on the number of servers.
#[must_use]
pub fn comparison(look: Look<'_>, servers: &[Compared<'_>]) -> String {
    let measured = || servers.iter().filter(|one| one.offset.n > 0);
    let shown: Vec<_> = measured().take(MOST).collect();
    let height = (150.0 + ROW * shown.len().max(2) as f64) as u32;
    let size = Size { height, ..look.size };
    let name = |one: &Compared<'_>| one.server.chars().take(28).collect::<String>();
    let left = shown.iter().map(|one| text_width(&name(one), SMALL)).fold(60.0, f64::max) + 20.0;
    let (least_s, most_s) = extent(&shown);
    draw(size, look.title, |canvas| {
        let more = measured().count() - shown.len();
        let more = if more > 0 { format!("; {more} more servers are not shown") } else { String::new() };
        let remark = format!("dot: median, bar: p5 to p95, line: smallest to largest{more}");
        let labels = Labels { x: "offset", y: "", legend: &[], remark: &remark };
        let rows = Scale::unmarked(0.0, shown.len().max(1) as f64);
        let x = Scale::seconds(least_s, most_s, 8);
        let chart = Chart::with_left(canvas, Look { size, ..look }, &labels, x, rows, left);
        if shown.is_empty() {
            return chart.empty("no measurements in this period");
        }
        let zero = chart.x_of(0.0);
        chart.canvas.line(&[(zero, chart.y_of(0.0)), (zero, chart.y_of(f64::MAX))], look.theme.ink, 1.0, 0.6);
        let step = (chart.y_of(0.0) - chart.y_of(f64::MAX)) / shown.len() as f64;
        for (n, one) in shown.iter().enumerate() {
            let y = chart.y_of(f64::MAX) + step * (n as f64 + 0.5);
            let ink = if one.blamed { look.theme.alarm } else { look.theme.ink };
            let at = (HPos::Right, VPos::Center);
            canvas.text(&name(one), (left - 8.0, y), Type::new(SMALL, ink, at));
            row(&chart, one, y, look);
        }
    })
}

/// The range of the axis: zero and all extremes, cut off beyond twenty times the range of the bars.
fn extent(shown: &[&Compared<'_>]) -> (f64, f64) {
    let bars = shown.iter().flat_map(|one| [bar(one.offset).0, bar(one.offset).1]);
    let (low, high) = bars.fold((0.0, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)));
    let room = (high - low) * 20.0;
    let ends = shown.iter().flat_map(|one| [one.offset.min, one.offset.max]).flatten();
    ends.fold((low, high), |(least, most), value| (least.min(value.max(low - room)), most.max(value.min(high + room))))
}

/// p5 and p95, or the extremes if there are fewer than twenty samples.
fn bar(offset: &Summary) -> (f64, f64) {
    let low = offset.percentile("p5").or(offset.min).unwrap_or(0.0);
    (low, offset.percentile("p95").or(offset.max).unwrap_or(0.0))
}

fn row(chart: &Chart<'_, '_>, one: &Compared<'_>, y: f64, look: Look<'_>) {
    let color = if one.blamed { look.theme.alarm } else { look.theme.series[0] };
    let x = |value: f64| chart.x_of(value);
    if let (Some(min), Some(max)) = (one.offset.min, one.offset.max) {
        chart.canvas.line(&[(x(min), y), (x(max), y)], color, 1.5, 0.6);
    }
    let (low, high) = bar(one.offset);
    let left = x(low);
    chart.canvas.rectangle((left, y - 5.0), (x(high).max(left + 2.0), y + 5.0), color, 0.45);
    if let Some(median) = one.offset.median.or(one.offset.mean) {
        chart.canvas.dot((x(median), y), 4.0, color, 1.0);
    }
}
