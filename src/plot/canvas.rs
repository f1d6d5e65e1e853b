//! Drawing primitives at pixel positions, on top of plotters. Positions have a resolution of a quarter of a pixel:
//! plotters supports integers only, so the image is drawn at four times its size and scaled down.

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle};

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    /// The default size, for a page or a screen.
    pub const USUAL: Self = Self { width: 960, height: 400 };
    /// The smallest legible size.
    pub const SMALLEST: Self = Self { width: 320, height: 200 };
    /// The largest size; beyond it only memory use grows.
    pub const LARGEST: Self = Self { width: 8192, height: 8192 };
}

const DENSITY: u32 = 4;
/// Plotters interprets the font size as the line height.
const LINE: f64 = 1.24;
/// The estimated width of a letter relative to its size, for layout; real font metrics are not available.
const LETTER: f64 = 0.56;

/// A point in pixels from the upper left corner.
pub(super) type Place = (f64, f64);

/// The style and alignment of a text.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub size: f64,
    pub color: RGBColor,
    pub at: (HPos, VPos),
    pub upright: bool,
}

impl Type {
    pub fn new(size: f64, color: RGBColor, at: (HPos, VPos)) -> Self {
        Self { size, color, at, upright: false }
    }
}

pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    pub size: Size,
}

/// Draws an image and returns it as SVG; `title` is the text alternative for screen readers.
pub(super) fn draw(size: Size, title: &str, work: impl FnOnce(&Canvas<'_>)) -> String {
    let mut svg = String::new();
    let large = (size.width * DENSITY, size.height * DENSITY);
    let canvas = Canvas { area: SVGBackend::with_string(&mut svg, large).into_drawing_area(), size };
    work(&canvas);
    canvas.area.present().expect(TO_MEMORY);
    drop(canvas);
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    format!(
        "<svg width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\">\n\
         <title>{}</title>{body}",
        size.width,
        size.height,
        large.0,
        large.1,
        ntp_monitor_core::text::html::Text(title),
    )
}

const TO_MEMORY: &str = "writing to memory does not fail";

/// The estimated width of a text, in pixels.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

impl Canvas<'_> {
    fn put<E, B>(&self, element: &E)
    where
        B: plotters::element::CoordMapper,
        for<'b> &'b E: PointCollection<'b, (i32, i32), B>,
        for<'b> E: Drawable<SVGBackend<'b>, B>,
    {
        self.area.draw(element).expect(TO_MEMORY);
    }

    pub fn fill(&self, color: RGBColor) {
        self.area.fill(&color).expect(TO_MEMORY);
    }

    /// A line through the places; draws nothing with fewer than two.
    pub fn line(&self, places: &[Place], color: RGBColor, width: f64, opacity: f64) {
        if places.len() > 1 {
            let style = ShapeStyle { color: color.mix(opacity), filled: false, stroke_width: stroke(width) };
            self.put(&PathElement::new(places.iter().map(|place| dense(*place)).collect::<Vec<_>>(), style));
        }
    }

    pub fn area(&self, places: &[Place], color: RGBColor, opacity: f64) {
        if places.len() > 2 {
            let places: Vec<_> = places.iter().map(|place| dense(*place)).collect();
            self.put(&Polygon::new(places, color.mix(opacity).filled()));
        }
    }

    pub fn rectangle(&self, upper_left: Place, lower_right: Place, color: RGBColor, opacity: f64) {
        self.put(&Rectangle::new([dense(upper_left), dense(lower_right)], color.mix(opacity).filled()));
    }

    pub fn dot(&self, place: Place, radius: f64, color: RGBColor, opacity: f64) {
        let radius = (radius * f64::from(DENSITY)).round() as i32;
        self.put(&Circle::new(dense(place), radius, color.mix(opacity).filled()));
    }

    /// A text. Characters that XML does not allow are replaced.
    pub fn text(&self, text: &str, place: Place, look: Type) {
        if text.trim().is_empty() {
            return;
        }
        let text: String = text.chars().map(|c| if is_xml(c) { c } else { '\u{fffd}' }).collect();
        let font = ("sans-serif", look.size * LINE * f64::from(DENSITY)).into_font();
        let font = if look.upright { font.transform(FontTransform::Rotate270) } else { font };
        let style = TextStyle::from(font).color(&look.color).pos(Pos::new(look.at.0, look.at.1));
        self.area.draw_text(&text, &style, dense(place)).expect(TO_MEMORY);
    }
}

/// Converts to drawing coordinates. Places far outside of the image are clamped to the range of 32-bit integers.
fn dense((x, y): Place) -> (i32, i32) {
    let one = |value: f64| (value.clamp(-1e5, 1e5) * f64::from(DENSITY)).round() as i32;
    (one(x), one(y))
}

fn stroke(width: f64) -> u32 {
    (width * f64::from(DENSITY)).round().max(1.0) as u32
}

/// Whether XML 1.0 allows the character; control characters are always excluded.
fn is_xml(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')
}
