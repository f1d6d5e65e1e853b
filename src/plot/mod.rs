//! Pictures of what was measured: data in, SVG out. [`png`] turns an SVG into PNG, for which it needs a font.
//!
//! plotters writes the shapes; layout, scales and ticks are ours, because a picture of offsets has to choose its units,
//! keep peaks and say what it leaves out. Pictures have no script, no style and no reference to anything outside. What
//! comes from servers and configuration is text only.

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

/// What every picture is given besides its data.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// How large.
    pub size: Size,
    /// In which colours.
    pub theme: &'a Theme,
    /// The heading.
    pub title: &'a str,
    /// Small below it: the span, the vantage.
    pub subtitle: &'a str,
}

/// The most servers that lines of one picture can be told apart of.
pub const MOST_LINES: usize = theme::SERIES;
