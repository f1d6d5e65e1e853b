//! Charts of measurements, as SVG. [`png`] renders an SVG to PNG, for which it needs a font.
//!
//! Plotters writes the shapes. Layout, scales and ticks are implemented here, because charts of offsets need suitable
//! units, must keep peaks and must state what they omit. Charts contain no scripts, styles or external references.
//! Texts from servers and configuration appear only as text.

mod canvas;
mod chart;
mod comparison;
mod course;
mod histogram;
pub mod png;
mod scale;
mod scatter;
mod stability;
mod theme;

pub use canvas::Size;
pub use comparison::{Compared, comparison};
pub use course::{Mark, Quantity, over_time};
pub use histogram::histogram;
pub use scatter::scatter;
pub use stability::{Deviation, deviations};
pub use theme::Theme;

/// Size, colours and heading of a chart.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    pub size: Size,
    pub theme: &'a Theme,
    pub title: &'a str,
    /// The line below it, with the period and the monitoring location.
    pub subtitle: &'a str,
}

/// Maximum number of distinguishable lines in one chart.
pub const MOST_LINES: usize = theme::SERIES;
