//! A report as it is sent.

/// A report, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The same whenever this report is sent again, so that a receiver can drop a repeat.
    pub key: String,
    /// One line: the subject of a mail.
    pub title: String,
    /// One sentence that says what matters.
    pub summary: String,
    /// All of it as plain text.
    pub text: String,
    /// All of it as HTML, which refers to its pictures as `cid:ID`.
    pub html: String,
    /// The pictures of the HTML.
    pub pictures: Vec<Picture>,
}

/// A picture within a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What the HTML calls it.
    pub id: String,
    /// The picture.
    pub png: Vec<u8>,
}
