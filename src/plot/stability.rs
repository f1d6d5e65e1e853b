//! Allan or time deviation by averaging time, on logarithmic axes, with confidence intervals.

use plotters::style::RGBColor;

use super::canvas::draw;
use super::chart::{Chart, Key, Labels};
use super::scale::{Scale, power_label, seconds_label};
use super::{Look, MOST_LINES};
use ntp_monitor_core::stats::stability::Stability;

/// The kind of deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deviation {
    /// Overlapping Allan deviation: a fractional frequency.
    Allan,
    /// Time deviation, in seconds.
    Time,
}

/// The deviation at one averaging time, with its confidence interval.
struct Row {
    tau_s: f64,
    dev: f64,
    interval: Option<(f64, f64)>,
}

impl Deviation {
    fn label(self) -> &'static str {
        match self {
            Self::Allan => "ADEV (overlapping)",
            Self::Time => "TDEV",
        }
    }

    fn rows(self, of: &Stability) -> Vec<Row> {
        let (dev, low, high) = match self {
            Self::Allan => (&of.oadev, &of.oadev_lo, &of.oadev_hi),
            Self::Time => (&of.tdev, &of.tdev_lo, &of.tdev_hi),
        };
        let positive = |value: Option<f64>| value.filter(|value| *value > 0.0 && value.is_finite());
        let row = |at: usize| {
            let interval = positive(low[at]).zip(positive(high[at]));
            Some(Row { tau_s: of.tau_s[at], dev: positive(dev[at])?, interval })
        };
        (0..of.tau_s.len()).filter_map(row).collect()
    }
}

/// Draws the chart for up to [`MOST_LINES`] servers.
#[must_use]
pub fn deviations(look: Look<'_>, deviation: Deviation, servers: &[(&str, &Stability)]) -> String {
    let servers = &servers[..servers.len().min(MOST_LINES)];
    // A server without a line needs no key; the colours stay those of its other charts.
    let lines = servers.iter().enumerate().map(|(n, (name, stability))| (n, *name, deviation.rows(stability)));
    let lines: Vec<_> = lines.filter(|(_, _, rows)| !rows.is_empty()).collect();
    let all = || lines.iter().flat_map(|(_, _, rows)| rows);
    let ends = |row: &Row| row.interval.unwrap_or((row.dev, row.dev));
    let range = |low: &mut dyn Iterator<Item = f64>, high: &mut dyn Iterator<Item = f64>| {
        (low.reduce(f64::min).unwrap_or(1.0), high.reduce(f64::max).unwrap_or(10.0))
    };
    let (least, most) = range(&mut all().map(|row| ends(row).0), &mut all().map(|row| ends(row).1));
    let (shortest_s, longest_s) = range(&mut all().map(|row| row.tau_s), &mut all().map(|row| row.tau_s));
    draw(look.size, look.title, |canvas| {
        let legend: Vec<Key> = lines.iter().map(|(n, name, _)| Key::new(look.theme.of_series(*n), *name)).collect();
        let (x, remark) = ("averaging time τ", "bars: 95 % confidence intervals");
        let labels = Labels { x, y: deviation.label(), legend: &legend, remark };
        let label = if deviation == Deviation::Time { seconds_label } else { power_label };
        let x = Scale::decades(shortest_s, longest_s, seconds_label);
        let chart = Chart::new(canvas, look, &labels, x, Scale::decades(least, most, label));
        if all().next().is_none() {
            return chart.empty("too few samples of this period in the store");
        }
        for ((_, _, rows), key) in lines.iter().zip(&legend) {
            self::line(&chart, rows, key.color);
        }
    })
}

fn line(chart: &Chart<'_, '_>, rows: &[Row], color: RGBColor) {
    chart.line(&rows.iter().map(|row| (row.tau_s, row.dev)).collect::<Vec<_>>(), color, 1.75, 1.0);
    for row in rows {
        let (x, y) = chart.place((row.tau_s, row.dev));
        chart.canvas.dot((x, y), 3.0, color, 1.0);
        if let Some((low, high)) = row.interval {
            let (low, high) = (chart.y_of(low), chart.y_of(high));
            for bar in [[(x, low), (x, high)], [(x - 3.0, low), (x + 3.0, low)], [(x - 3.0, high), (x + 3.0, high)]] {
                chart.canvas.line(&bar, color, 1.25, 0.8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::{Size, Theme};

    #[test]
    fn server_without_a_line_has_no_key() {
        let line = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        let measured = Stability {
            tau_s: vec![1.0, 2.0],
            oadev: line(&[1e-3, 5e-4]),
            oadev_lo: vec![None; 2],
            oadev_hi: vec![None; 2],
            ..Stability::default()
        };
        let look = Look { size: Size { width: 600, height: 300 }, theme: &Theme::LIGHT, title: "t", subtitle: "s" };
        let servers = [("silent", &Stability::default()), ("measured", &measured)];
        let svg = deviations(look, Deviation::Allan, &servers);
        assert!(svg.contains("measured") && !svg.contains("silent"), "{svg}");
    }
}
