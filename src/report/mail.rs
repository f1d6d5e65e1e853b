//! A report as mail: the same content, with charts attached as images. Mail readers show no SVG and support little CSS.

use std::collections::BTreeMap;

use super::document::Document;
use super::drawings::Drawing;
use super::html::{body, figure};
use super::message::{Picture, Report};
use super::text::text;
use crate::plot::png::{Fonts, PngError, png};
use ntp_monitor_core::text::html::Text;

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
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n",
        Text(&document.title)
    );
    body(&mut html, document, made_ns, &|drawing| {
        let about = Text(&drawing.about);
        match failures.get(drawing.id.as_str()) {
            Some(why) => format!("<p class=\"faint\">{about}: {}</p>\n", Text(why)),
            None => figure(&format!(
                "<img src=\"cid:{}\" alt=\"{about}\" width=\"960\" style=\"max-width:100%\">",
                content_id(drawing)
            )),
        }
    });
    html.push_str("</body>\n</html>\n");
    let summary = document.summary.join(" ");
    Report { key, title: document.title.clone(), summary, text: text(document), html, pictures }
}

fn content_id(drawing: &Drawing) -> String {
    format!("{}.png", drawing.id)
}
