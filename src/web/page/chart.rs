//! The interval chart as SVG: each server's correctness interval as a bar, the majority intersection shaded, zero
//! marked. The scale is linear around zero and logarithmic further out, so that a server that is wrong by seconds does
//! not hide those that agree within microseconds.

use std::fmt::Write as _;

use crate::web::view::row::{Bounds, Row};
use ntp_monitor_core::stats::verdict::MajorityVerdict;
use ntp_monitor_core::text::html::Text;
use ntp_monitor_core::text::units::signed_seconds;

const WIDTH: f64 = 960.0;
/// The right edge of the column of names, in pixels.
const LEFT: f64 = 220.0;
const RIGHT: f64 = 20.0;
const ROW: f64 = 20.0;
const TOP: f64 = 26.0;
/// Maximum number of bars in the chart.
const MOST: usize = 60;

/// From seconds to pixels.
struct Scale {
    /// The magnitude at which the scale changes from linear to logarithmic, in seconds.
    unit_s: f64,
    /// The largest magnitude shown, on the transformed scale.
    largest: f64,
}

impl Scale {
    fn of(bars: &[(&Row, Bounds)]) -> Self {
        let mut halves: Vec<f64> = bars.iter().map(|(_, bar)| (bar.high_s - bar.low_s) / 2.0).collect();
        halves.sort_by(f64::total_cmp);
        let unit_s = halves.get(halves.len() / 2).copied().unwrap_or(1e-3).max(1e-9);
        let far_s = bars.iter().map(|(_, bar)| bar.low_s.abs().max(bar.high_s.abs())).fold(unit_s, f64::max);
        Self { unit_s, largest: (far_s / unit_s).asinh() * 1.02 }
    }

    fn x(&self, seconds: f64) -> f64 {
        let half = (WIDTH - LEFT - RIGHT) / 2.0;
        let bent = (seconds / self.unit_s).asinh() / self.largest;
        LEFT + half + half * bent.clamp(-1.0, 1.0)
    }

    /// Round offsets on both sides of zero that fit, in seconds.
    fn ticks(&self) -> Vec<f64> {
        let far_s = self.largest.sinh() * self.unit_s;
        let decades = (-9..=3).map(|power| 10_f64.powi(power));
        let kept: Vec<f64> = decades.filter(|tick| *tick >= self.unit_s && *tick <= far_s).collect();
        kept.iter().rev().map(|tick| -tick).chain([0.0]).chain(kept.iter().copied()).collect()
    }
}

/// The chart; empty when no server has an interval.
#[must_use]
pub fn intervals(rows: &[Row], majority: Option<&MajorityVerdict>) -> String {
    let bars: Vec<(&Row, Bounds)> = rows.iter().filter_map(|row| Some((row, row.interval?))).take(MOST).collect();
    if bars.is_empty() {
        return String::new();
    }
    let scale = Scale::of(&bars);
    let height = TOP + ROW * bars.len() as f64 + 8.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Interval of each server: where the true offset \
         is if its claim holds\">\n"
    );
    if let Some(majority) = majority {
        let (low, high) = (scale.x(majority.low_s), scale.x(majority.high_s));
        let width = (high - low).max(1.0);
        let _ = writeln!(
            svg,
            "<rect class=\"majority\" x=\"{low:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
            height - TOP
        );
    }
    axis(&mut svg, &scale, height);
    for (n, (row, bar)) in bars.iter().enumerate() {
        self::bar(&mut svg, &scale, row, *bar, TOP + ROW * (n as f64 + 0.5));
    }
    svg.push_str("</svg>\n");
    svg
}

fn axis(svg: &mut String, scale: &Scale, height: f64) {
    let mut last = f64::MIN;
    for tick in scale.ticks() {
        let (x, class) = (scale.x(tick), if tick == 0.0 { "zero" } else { "axis" });
        let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"18\" y2=\"{height}\"/>");
        // Skip labels that would overlap; zero always has one.
        if tick == 0.0 || x - last > 60.0 {
            let label = signed_seconds(tick);
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"12\" text-anchor=\"middle\">{label}</text>");
            last = x;
        }
    }
}

fn bar(svg: &mut String, scale: &Scale, row: &Row, bar: Bounds, y: f64) {
    let class = row.class.label();
    let (low, high) = (scale.x(bar.low_s), scale.x(bar.high_s).max(scale.x(bar.low_s) + 2.0));
    let centre = scale.x(row.offset_s.unwrap_or((bar.low_s + bar.high_s) / 2.0));
    let name: String = row.id.chars().take(30).collect();
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
         <g class=\"{class}\"><title>{}</title>\
         <line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke-width=\"4\"/>\
         <circle cx=\"{centre:.1}\" cy=\"{y:.1}\" r=\"4\"/></g>",
        LEFT - 10.0,
        y + 4.0,
        Text(&name),
        Text(&row.sentence),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_in_the_middle_and_the_scale_keeps_order_and_sign() {
        let scale = Scale { unit_s: 1e-4, largest: (0.08_f64 / 1e-4).asinh() };
        let middle = scale.x(0.0);
        assert!((middle - (LEFT + WIDTH - RIGHT) / 2.0).abs() < 1e-9);
        assert!((scale.x(0.08) - (WIDTH - RIGHT)).abs() < 1e-6 && (scale.x(-0.08) - LEFT).abs() < 1e-6);
        let ticks = scale.ticks();
        assert!(ticks.windows(2).all(|pair| scale.x(pair[0]) < scale.x(pair[1])), "{ticks:?}");
        assert!(ticks.contains(&0.0) && ticks.len() % 2 == 1);
        assert!(scale.x(1e9) <= WIDTH, "what is beyond stays on the picture");
    }
}
