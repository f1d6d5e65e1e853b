//! Creates a report from the store, in every format. Blocks, for seconds if the period is long.

use super::document::{Document, document};
use super::material::{Order, gather};
use super::message::Report;
use super::{html, mail};
use crate::history::survey::SurveyError;
use crate::plot::png::Fonts;
use crate::store::read::Reader;

#[derive(Debug, Clone)]
pub struct Made {
    document: Document,
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
    Ok(Made { document: document(&gather(reader, order, progress)?), made_ns })
}

impl Made {
    /// The title, on one line.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.document.title
    }

    /// Whether no server was polled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.document.rows.is_empty()
    }

    /// The self-contained HTML page.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(&self.document, self.made_ns)
    }

    /// The report as it is sent, with this key. Without a font it has no charts and says so.
    #[must_use]
    pub fn report(&self, key: String) -> Report {
        mail::report(key, &self.document, self.made_ns, Fonts::find().as_ref())
    }
}
