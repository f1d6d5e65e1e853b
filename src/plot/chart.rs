//! The common parts of charts: heading, legend, two axes with a grid, and shapes positioned by values.

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::Look;
use super::canvas::{Canvas, Place, Type, text_width};
use super::scale::Scale;

const TITLE: f64 = 16.0;
const SMALL: f64 = 12.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 32.0;
const BELOW: f64 = 48.0;

/// Two axes on a canvas.
pub(super) struct Chart<'a, 'c> {
    pub canvas: &'a Canvas<'c>,
    look: Look<'a>,
    pub x: Scale,
    pub y: Scale,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// The labels of a chart.
pub(super) struct Labels<'a> {
    pub x: &'a str,
    pub y: &'a str,
    pub legend: &'a [Key],
    /// A note that is needed to read the chart.
    pub remark: &'a str,
}

/// An entry of the legend.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub color: RGBColor,
    pub opacity: f64,
    pub name: String,
}

impl Key {
    /// An entry for a line, a dot or a bar.
    pub fn new(color: RGBColor, name: impl Into<String>) -> Self {
        Self { color, opacity: 1.0, name: name.into() }
    }
}

impl<'a, 'c> Chart<'a, 'c> {
    /// Draws heading, legend, axes and grid.
    pub fn new(canvas: &'a Canvas<'c>, look: Look<'a>, labels: &Labels<'_>, x: Scale, y: Scale) -> Self {
        Self::with_left(canvas, look, labels, x, y, LEFT)
    }

    /// The same, with a left margin of `left` pixels.
    pub fn with_left(
        canvas: &'a Canvas<'c>,
        look: Look<'a>,
        labels: &Labels<'_>,
        x: Scale,
        y: Scale,
        left: f64,
    ) -> Self {
        let (width, height) = (f64::from(canvas.size.width), f64::from(canvas.size.height));
        let mut chart = Self { canvas, look, x, y, left, right: width - RIGHT, top: 58.0, bottom: height - BELOW };
        canvas.fill(look.theme.ground);
        chart.heading(labels.legend);
        chart.axes(labels);
        chart
    }

    fn heading(&mut self, legend: &[Key]) {
        let (title, subtitle) = (self.look.title, self.look.subtitle);
        let at = (HPos::Left, VPos::Center);
        self.canvas.text(title, (14.0, 18.0), Type::new(TITLE, self.look.theme.ink, at));
        self.canvas.text(subtitle, (14.0, 38.0), Type::new(SMALL, self.look.theme.faint, at));
        let (mut x, mut y) = (self.left, 60.0);
        for key in legend {
            let name: String = key.name.chars().take(40).collect();
            let width = 26.0 + text_width(&name, SMALL);
            if x + width > self.right && x > self.left {
                (x, y) = (self.left, y + 18.0);
            }
            self.canvas.rectangle((x, y - 4.0), (x + 12.0, y + 4.0), key.color, key.opacity);
            self.canvas.text(&name, (x + 17.0, y), Type::new(SMALL, self.look.theme.ink, at));
            x += width + 8.0;
        }
        if !legend.is_empty() {
            self.top = y + 20.0;
        }
    }

    fn axes(&self, labels: &Labels<'_>) {
        let theme = self.look.theme;
        let mut free_from = f64::MIN;
        for tick in self.x.ticks.iter().filter(|tick| self.x.holds(tick.at)) {
            let x = self.x_of(tick.at);
            self.canvas.line(&[(x, self.top), (x, self.bottom)], theme.grid, 1.0, 1.0);
            let half = text_width(&tick.label, SMALL) / 2.0;
            // Labels that would overlap are omitted.
            if x - half > free_from {
                let at = (HPos::Center, VPos::Top);
                self.canvas.text(&tick.label, (x, self.bottom + 6.0), Type::new(SMALL, theme.faint, at));
                free_from = x + half + 6.0;
            }
        }
        for tick in self.y.ticks.iter().filter(|tick| self.y.holds(tick.at)) {
            let y = self.y_of(tick.at);
            self.canvas.line(&[(self.left, y), (self.right, y)], theme.grid, 1.0, 1.0);
            let at = (HPos::Right, VPos::Center);
            self.canvas.text(&tick.label, (self.left - 7.0, y), Type::new(SMALL, theme.faint, at));
        }
        let frame = [(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)];
        self.canvas.line(&frame, theme.faint, 1.0, 1.0);
        let below = self.bottom + 27.0;
        let look = |side| Type::new(SMALL, theme.faint, (side, VPos::Top));
        self.canvas.text(&with_unit(labels.x, self.x.unit), (self.left, below), look(HPos::Left));
        self.canvas.text(labels.remark, (self.right, below), look(HPos::Right));
        let y_label = with_unit(labels.y, self.y.unit);
        let upright = Type { upright: true, ..look(HPos::Center) };
        self.canvas.text(&y_label, (8.0, (self.top + self.bottom) / 2.0), upright);
    }

    pub fn x_of(&self, value: f64) -> f64 {
        self.left + self.x.place(value) * (self.right - self.left)
    }

    pub fn y_of(&self, value: f64) -> f64 {
        self.bottom - self.y.place(value) * (self.bottom - self.top)
    }

    pub fn place(&self, (x, y): (f64, f64)) -> Place {
        (self.x_of(x), self.y_of(y))
    }

    pub fn line(&self, points: &[(f64, f64)], color: RGBColor, width: f64, opacity: f64) {
        let places: Vec<Place> = points.iter().map(|point| self.place(*point)).collect();
        self.canvas.line(&places, color, width, opacity);
    }

    /// The area between the lower and the upper value at each x.
    pub fn band(&self, points: &[(f64, f64, f64)], color: RGBColor, opacity: f64) {
        let there = points.iter().map(|(x, low, _)| self.place((*x, *low)));
        let back = points.iter().rev().map(|(x, _, high)| self.place((*x, *high)));
        self.canvas.area(&there.chain(back).collect::<Vec<_>>(), color, opacity);
    }

    /// A horizontal line across the chart, with a label at its end.
    pub fn level(&self, y: f64, label: &str, color: RGBColor) {
        if self.y.holds(y) {
            let y = self.y_of(y);
            self.canvas.line(&[(self.left, y), (self.right, y)], color, 1.25, 0.9);
            let at = (HPos::Right, VPos::Bottom);
            self.canvas.text(label, (self.right - 4.0, y - 3.0), Type::new(SMALL, color, at));
        }
    }

    /// A thin vertical line with an arrow head, for an event.
    pub fn upright(&self, x: f64, color: RGBColor) {
        if self.x.holds(x) {
            let x = self.x_of(x);
            self.canvas.line(&[(x, self.top), (x, self.bottom)], color, 1.0, 0.45);
            self.canvas.area(&[(x - 4.0, self.top - 5.0), (x + 4.0, self.top - 5.0), (x, self.top + 2.0)], color, 0.9);
        }
    }

    /// A short mark on the lower axis, for a failed poll.
    pub fn rug(&self, x: f64, color: RGBColor) {
        if self.x.holds(x) {
            let x = self.x_of(x);
            self.canvas.line(&[(x, self.bottom), (x, self.bottom - 6.0)], color, 1.0, 0.6);
        }
    }

    /// A message in the middle, if there is no data.
    pub fn empty(&self, why: &str) {
        let place = ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0);
        let look = Type::new(TITLE, self.look.theme.faint, (HPos::Center, VPos::Center));
        self.canvas.text(why, place, look);
    }
}

fn with_unit(label: &str, unit: &str) -> String {
    if unit.is_empty() { label.to_owned() } else { format!("{label} ({unit})") }
}
