//! Renders SVG to PNG for mail, because mail readers show no SVG.
//!
//! Without a font installed under the name `sans-serif`, resvg silently omits all text. Therefore a font is selected
//! first, and an image with missing text is an error.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Group, Node, Options, Tree, fontdb};
use thiserror::Error;

/// Pixels of the PNG per pixel of the SVG, for high-density screens.
const DENSITY: f32 = 2.0;

/// Why no PNG was created.
#[derive(Debug, Error)]
pub enum PngError {
    /// No font is installed.
    #[error(
        "no font is installed, so a PNG image would have no text: install one (on Debian: apt install \
         fonts-dejavu-core), or write SVG"
    )]
    NoFont,
    /// The installed fonts lack a needed character.
    #[error("no installed font can write {0:?}: install one that can, or write SVG")]
    NoGlyphs(String),
    /// The SVG cannot be rendered.
    #[error("cannot render the image: {0}")]
    Svg(String),
}

/// The fonts of this machine, loaded once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fonts(Arc<fontdb::Database>);

impl Fonts {
    /// Names of sans-serif fonts, in order of preference.
    const KNOWN: [&str; 12] = [
        "DejaVu Sans",
        "Noto Sans",
        "Liberation Sans",
        "Open Sans",
        "Roboto",
        "Ubuntu",
        "Cantarell",
        "Inter",
        "FreeSans",
        "Nimbus Sans",
        "Arial",
        "Helvetica",
    ];

    /// Loads the fonts of the system; takes some milliseconds.
    ///
    /// # Errors
    /// [`PngError::NoFont`] if there is none.
    pub fn find() -> Result<Self, PngError> {
        let mut fonts = fontdb::Database::new();
        fonts.load_system_fonts();
        Self::of(fonts)
    }

    fn of(mut fonts: fontdb::Database) -> Result<Self, PngError> {
        let names: Vec<String> =
            fonts.faces().flat_map(|face| face.families.iter().map(|(name, _)| name.clone())).collect();
        let known = Self::KNOWN.iter().find(|known| names.iter().any(|name| name == *known)).map(ToString::to_string);
        let named_sans = || names.iter().find(|name| name.contains("Sans") && !name.contains("Mono")).cloned();
        let family = known.or_else(named_sans).or_else(|| names.first().cloned()).ok_or(PngError::NoFont)?;
        fonts.set_sans_serif_family(family);
        Ok(Self(Arc::new(fonts)))
    }
}

/// Renders an SVG of [`super`] as PNG.
///
/// # Errors
/// When its text cannot be rendered, or it is not a valid SVG.
pub fn png(svg: &str, fonts: &Fonts) -> Result<Vec<u8>, PngError> {
    let options = Options { fontdb: Arc::clone(&fonts.0), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|why| PngError::Svg(why.to_string()))?;
    check_text(tree.root(), svg)?;
    let size = tree.size().to_int_size().scale_by(DENSITY).ok_or_else(|| PngError::Svg("it has no size".to_owned()))?;
    let mut pixels =
        Pixmap::new(size.width(), size.height()).ok_or_else(|| PngError::Svg("it is too large".to_owned()))?;
    resvg::render(&tree, Transform::from_scale(DENSITY, DENSITY), &mut pixels.as_mut());
    pixels.encode_png().map_err(|why| PngError::Svg(why.to_string()))
}

/// Checks that every text of the SVG is in the tree, with glyphs.
fn check_text(root: &Group, svg: &str) -> Result<(), PngError> {
    let mut written = 0;
    count_texts(root, &mut written)?;
    let wanted = svg.matches("<text ").count();
    if written < wanted { Err(PngError::NoFont) } else { Ok(()) }
}

fn count_texts(group: &Group, written: &mut usize) -> Result<(), PngError> {
    for node in group.children() {
        match node {
            Node::Group(inner) => count_texts(inner, written)?,
            Node::Text(text) => {
                let said: String = text.chunks().iter().map(|chunk| chunk.text()).collect();
                if !said.trim().is_empty() && text.flattened().children().is_empty() {
                    return Err(PngError::NoGlyphs(said.trim().to_owned()));
                }
                *written += 1;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = "<svg width=\"40\" height=\"20\" xmlns=\"http://www.w3.org/2000/svg\">\
         <text x=\"2\" y=\"15\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#000000\">abc</text></svg>";

    #[test]
    fn missing_font_error_names_the_package() {
        let why = Fonts::of(fontdb::Database::new()).unwrap_err();
        assert!(why.to_string().contains("fonts-dejavu-core"), "{why}");
        let none = Fonts(Arc::new(fontdb::Database::new()));
        assert!(png(SVG, &none).is_err(), "text must not vanish silently");
    }

    #[test]
    fn text_is_rendered() {
        let fonts = Fonts::find().unwrap();
        let bytes = png(SVG, &fonts).unwrap();
        assert_eq!(&bytes[1..4], b"PNG");
        let pixels = Pixmap::decode_png(&bytes).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (80, 40));
        assert!(pixels.pixels().iter().filter(|pixel| pixel.alpha() > 128).count() > 50);
    }
}
