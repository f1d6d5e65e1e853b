//! A report as mail: the same content, with charts attached as images. Mail readers show no SVG and support little CSS.

use std::collections::BTreeMap;

use serde_json::json;

use super::document::Document;
use super::drawings::Drawing;
use super::html::mail;
use super::message::{Picture, Report};
use super::text::text;
use crate::plot::png::{Fonts, PngError, png};

const STYLE: &str = include_str!("mail.css");

/// Creates the mail. A chart that cannot be rendered, because no font is installed, is replaced by the reason.
pub(super) fn report(key: String, document: &Document, made_ns: i64, fonts: Result<&Fonts, &PngError>) -> Report {
    let mut pictures = Vec::new();
    let mut failures: BTreeMap<&str, String> = BTreeMap::new();
    for drawing in document.overview.iter().chain(&document.details) {
        let drawn = fonts.map_err(ToString::to_string);
        match drawn.and_then(|fonts| png(&drawing.svg, fonts).map_err(|why| why.to_string())) {
            Ok(png) => pictures.push(Picture { id: content_id(drawing), png }),
            Err(why) => drop(failures.insert(&drawing.id, why)),
        }
    }
    let html = mail(
        document,
        made_ns,
        STYLE,
        |drawing| json!({ "about": drawing.about, "failure": failures.get(drawing.id.as_str()), "image": content_id(drawing) }),
    );
    let summary = document.summary.join(" ");
    Report { key, title: document.title.clone(), summary, text: text(document), html, pictures }
}

fn content_id(drawing: &Drawing) -> String {
    format!("{}.png", drawing.id)
}
