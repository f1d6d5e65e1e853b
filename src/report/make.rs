//! A report from the store, in every form. Blocks: seconds for a long span.

use super::document::{Document, document};
use super::material::{Order, gather};
use super::message::Report;
use super::{html, mail};
use crate::history::survey::SurveyError;
use crate::plot::png::Fonts;
use crate::store::read::Reader;

/// A report that was made.
#[derive(Debug, Clone)]
pub struct Made {
    document: Document,
    made_ns: i64,
}

/// Makes a report; `made_ns` is the wall time that it bears.
///
/// # Errors
/// When the store cannot be read, or does not know a server that is asked for.
pub fn make(
    reader: &Reader,
    order: Order,
    made_ns: i64,
    progress: &mut dyn FnMut(u64, i64),
) -> Result<Made, SurveyError> {
    Ok(Made { document: document(&gather(reader, order, progress)?), made_ns })
}

impl Made {
    /// One line.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.document.title
    }

    /// Whether anything was polled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.document.rows.is_empty()
    }

    /// One self-contained page.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(&self.document, self.made_ns)
    }

    /// As it is sent, under this key. Without a font it has no pictures, and says so.
    #[must_use]
    pub fn report(&self, key: String) -> Report {
        mail::report(key, &self.document, self.made_ns, Fonts::find().as_ref())
    }
}
