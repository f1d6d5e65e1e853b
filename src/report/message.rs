//! A report as it is sent.

/// A report, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Stays the same when the report is sent again, so that a receiver can drop repeats.
    pub key: String,
    /// One line: the subject of a mail.
    pub title: String,
    /// The most important facts, in a few sentences.
    pub summary: String,
    /// The report as plain text.
    pub text: String,
    /// The report as HTML, which refers to its images as `cid:ID`.
    pub html: String,
    /// The images of the HTML.
    pub pictures: Vec<Picture>,
}

/// An image in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The content ID used in the HTML.
    pub id: String,
    pub png: Vec<u8>,
}
