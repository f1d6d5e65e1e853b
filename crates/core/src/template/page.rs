//! HTML from templates that are part of the program.

use std::fmt::Write as _;

use serde_json::Value;

use super::meter::Sink;
use super::tree::Expr;
use super::{Fault, Options, Template};
use crate::text::html::Text;

const OPTIONS: Options =
    Options { longest_source: usize::MAX, work: usize::MAX, is_strict: false, null: "", decimals: None, is_html: true };

/// A template for HTML. Values are escaped when they are written, except values whose name ends in `_html`.
#[derive(Debug, Clone)]
pub struct Page(Template);

impl Page {
    /// Parses a template of the program.
    ///
    /// # Panics
    /// If the template is invalid.
    #[must_use]
    pub fn new(source: &'static str) -> Self {
        Self(Template::parse(source, OPTIONS).unwrap_or_else(|why| panic!("a template of the program: {why}")))
    }

    /// The HTML with these values, which are an object.
    ///
    /// # Panics
    /// In a debug build, if a value does not have the type that the template needs.
    #[must_use]
    pub fn render(&self, values: &Value) -> String {
        let mut html = String::new();
        let rendered = values.as_object().map(|values| self.0.render(values, usize::MAX, &mut html));
        debug_assert!(matches!(rendered, Some(Ok(()))), "{rendered:?}");
        html
    }
}

/// Whether the value is already HTML, according to its name.
pub(super) fn is_markup(value: &Expr) -> bool {
    matches!(value, Expr::Name(name) | Expr::Field(_, name) if name.ends_with("_html"))
}

/// Escapes all text that is written.
pub(super) struct Escaped<'s, S>(pub(super) &'s mut S);

impl<S: Sink> Sink for Escaped<'_, S> {
    fn push(&mut self, text: &str) -> Result<(), Fault> {
        let mut escaped = String::with_capacity(text.len());
        let _ = write!(escaped, "{}", Text(text));
        self.0.push(&escaped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_escaped_unless_their_name_says_html() {
        let page =
            Page::new("<p title=\"{{ name }}\">{{ chart_html }}{% for n in rows %}<b>{{ n.text }}</b>{% endfor %}");
        let values = json!({ "name": "\"<x>&'", "chart_html": "<svg/>", "rows": [{ "text": "<" }, { "text": null }] });
        assert_eq!(page.render(&values), "<p title=\"&quot;&lt;x&gt;&amp;&#39;\"><svg/><b>&lt;</b><b></b>");
    }

    #[test]
    fn lists_and_joined_texts_are_escaped_too() {
        let page = Page::new("{{ list }} {{ list|join('<') }} {{ list[0] ~ chart_html }}");
        let values = json!({ "list": ["<"], "chart_html": "<svg/>" });
        assert_eq!(page.render(&values), "[&quot;&lt;&quot;] &lt; &lt;&lt;svg/&gt;");
    }
}
