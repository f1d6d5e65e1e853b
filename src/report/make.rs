//! Creates a report from the store, in every format. Blocks, for seconds if the period is long.

use super::data::Data;
use super::document::{Document, document};
use super::material::{Order, gather};
use super::message::Report;
use super::{html, mail, text};
use crate::history::survey::SurveyError;
use crate::plot::png::Fonts;
use crate::store::read::Reader;

#[derive(Debug, Clone)]
pub struct Made {
    document: Document,
    data: Data,
    made_ns: i64,
}

/// Creates a report; `made_ns` is the wall time of its creation.
///
/// # Errors
/// When the store cannot be read, or does not know a requested server.
pub fn make(
    reader: &Reader,
    order: Order,
    made_ns: i64,
    progress: &mut dyn FnMut(u64, i64),
) -> Result<Made, SurveyError> {
    let material = gather(reader, order, made_ns, progress)?;
    let document = document(&material);
    Ok(Made { data: Data::of(&material, &document), document, made_ns })
}

impl Made {
    /// Whether no server was polled, neither by this host nor by another vantage of its fleet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.document.rows.is_empty() && self.document.fleet.is_none()
    }

    /// How much of the period was monitored, in words.
    #[must_use]
    pub fn coverage(&self) -> String {
        self.data.coverage()
    }

    /// The self-contained HTML page.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(&self.document, self.made_ns)
    }

    /// The report as plain text, with its summary.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}", self.document.title, self.document.summary.join("\n"), text::text(&self.document))
    }

    /// The facts as CSV: one line for the majority and one for each server.
    #[must_use]
    pub fn csv(&self) -> String {
        self.data.csv(&self.document)
    }

    /// The facts as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(&self.data).map_or_else(|why| format!("{{\"error\": \"{why}\"}}\n"), |json| json + "\n")
    }

    /// The report as it is sent, with this key. Without a font it has no charts and says so.
    #[must_use]
    pub fn report(&self, key: String) -> Report {
        mail::report(key, &self.document, self.made_ns, Fonts::find().as_ref())
    }
}
