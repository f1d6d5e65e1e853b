//! Offset, delay or error bound over time, with event marks.

use plotters::style::RGBColor;

use super::canvas::draw;
use super::chart::{Chart, Key, Labels};
use super::scale::{Scale, seconds_label};
use super::{Look, MOST_LINES, Theme};
use crate::history::course::{Course, Point, Range};
use crate::history::span::Span;

/// The quantity on the vertical axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// Offset, with the range of the true offset if the server's claim holds.
    Offset,
    Delay,
    /// Upper bound of this host's clock error if the server's claim holds, on a logarithmic axis, with a limit.
    Bound {
        limit_s: f64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its time, in nanoseconds since 1970.
    pub at_ns: i64,
}

/// Maximum number of marks in the chart.
const MOST_MARKS: usize = 100;

impl Quantity {
    fn label(self) -> &'static str {
        match self {
            Self::Offset => "offset",
            Self::Delay => "delay",
            Self::Bound { .. } => "|offset| + root distance",
        }
    }

    fn range(self, point: &Point) -> Range {
        match self {
            Self::Offset => point.offset_s,
            Self::Delay => point.delay_s,
            Self::Bound { .. } => Range { mean: point.bound_s, low: point.bound_s, high: point.bound_s },
        }
    }

    /// The vertical axis. It includes zero, except for bounds.
    fn scale(self, courses: &[&Course]) -> Scale {
        let ranges = || courses.iter().flat_map(|course| &course.points).map(|point| self.range(point));
        let low = ranges().map(|range| range.low).reduce(f64::min).unwrap_or(0.0);
        let high = ranges().map(|range| range.high).reduce(f64::max).unwrap_or(0.0);
        match self {
            Self::Offset => Scale::seconds(low.min(0.0), high.max(0.0), 6),
            Self::Delay => Scale::seconds(0.0, high, 6),
            Self::Bound { limit_s } => Scale::decades(low.min(limit_s), high.max(limit_s), seconds_label),
        }
    }
}

/// Draws the chart for up to [`MOST_LINES`] servers.
#[must_use]
pub fn over_time(look: Look<'_>, quantity: Quantity, courses: &[&Course], marks: &[Mark], span: Span) -> String {
    let courses = &courses[..courses.len().min(MOST_LINES)];
    draw(look.size, look.title, |canvas| {
        let legend = legend(look.theme, quantity, courses);
        let labels =
            Labels { x: "time, UTC", y: quantity.label(), legend: &legend, remark: &remark(courses, marks.len()) };
        let ticks = (look.size.width / 110).max(2) as usize;
        let time = Scale::time(span.from_ns, span.to_ns, ticks);
        let chart = Chart::new(canvas, look, &labels, time, quantity.scale(courses));
        if courses.iter().all(|course| course.points.is_empty()) {
            chart.empty("no measurements in this period");
        } else if quantity == Quantity::Offset {
            chart.line(&[(span.from_ns as f64, 0.0), (span.to_ns as f64, 0.0)], look.theme.faint, 1.0, 1.0);
        }
        for mark in marks.iter().take(MOST_MARKS) {
            chart.upright(mark.at_ns as f64, look.theme.alarm);
        }
        for (n, course) in courses.iter().enumerate() {
            if courses.len() == 1 && quantity == Quantity::Offset {
                claim(&chart, course, look.theme.series[CLAIM]);
            }
            let shade = if courses.len() == 1 { SHADE } else { SHADE / 2.0 };
            series(&chart, course, quantity, look.theme.of_series(n), shade);
            course.failures_ns.iter().for_each(|at_ns| chart.rug(*at_ns as f64, look.theme.alarm));
        }
        if let Quantity::Bound { limit_s } = quantity {
            chart.level(limit_s, "limit", look.theme.alarm);
        }
    })
}

/// The opacity of the range between the smallest and the largest value.
const SHADE: f64 = 0.28;
/// The colour of the range of the true offset; its opacity follows.
const CLAIM: usize = 2;
const CLAIM_SHADE: f64 = 0.09;

fn legend(theme: &Theme, quantity: Quantity, courses: &[&Course]) -> Vec<Key> {
    // A server without a curve needs no key; the colours stay those of the curves.
    let drawn = courses.iter().enumerate().filter(|(_, course)| !course.points.is_empty());
    let mut keys: Vec<Key> = drawn.map(|(n, course)| Key::new(theme.of_series(n), course.server.clone())).collect();
    if let ([alone], Some(key)) = (courses, keys.first().cloned()) {
        if !alone.is_raw && !matches!(quantity, Quantity::Bound { .. }) {
            keys[0].name.push_str(", mean");
            keys.push(Key { opacity: SHADE, name: "smallest to largest".to_owned(), ..key });
        }
        if quantity == Quantity::Offset {
            let name = "true offset range, if the claim holds".to_owned();
            keys.push(Key { color: theme.series[CLAIM], opacity: 2.0 * CLAIM_SHADE, name });
        }
    }
    keys
}

fn remark(courses: &[&Course], marks: usize) -> String {
    let mut said = Vec::new();
    if courses.len() > 1 && courses.iter().any(|course| !course.is_raw && !course.points.is_empty()) {
        said.push("lines: mean, shade: smallest to largest".to_owned());
    }
    if courses.iter().any(|course| !course.failures_ns.is_empty()) {
        said.push("ticks: failed polls".to_owned());
    }
    match marks {
        0 => {}
        n if n > MOST_MARKS => said.push(format!("heads: the first {MOST_MARKS} of {n} events")),
        _ => said.push("heads: events".to_owned()),
    }
    said.join("; ")
}

/// Draws the range of each point and a line through the means, interrupted at gaps.
fn series(chart: &Chart<'_, '_>, course: &Course, quantity: Quantity, color: RGBColor, opacity: f64) {
    for stretch in course.stretches() {
        let ranges = || stretch.iter().map(|point| (point.at_ns as f64, quantity.range(point)));
        if !course.is_raw && !matches!(quantity, Quantity::Bound { .. }) {
            chart.band(&ranges().map(|(x, range)| (x, range.low, range.high)).collect::<Vec<_>>(), color, opacity);
        }
        chart.line(&ranges().map(|(x, range)| (x, range.mean)).collect::<Vec<_>>(), color, 1.5, 1.0);
        if let [alone] = stretch {
            chart.canvas.dot(chart.place((alone.at_ns as f64, quantity.range(alone).mean)), 2.0, color, 1.0);
        }
    }
}

/// Draws offset ± root distance, the range of the true offset if the server's claim holds. Usually exceeds the chart.
fn claim(chart: &Chart<'_, '_>, course: &Course, color: RGBColor) {
    for stretch in course.stretches() {
        let range = |point: &Point| {
            let (low, high) = (point.offset_s.mean - point.distance_s, point.offset_s.mean + point.distance_s);
            (point.at_ns as f64, low, high)
        };
        chart.band(&stretch.iter().map(range).collect::<Vec<_>>(), color, CLAIM_SHADE);
    }
}
