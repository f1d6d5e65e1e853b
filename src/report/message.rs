//! A report as it is sent.

/// What notifiers hand on: mail takes all of it, everything else the summary and the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One line: what it is about.
    pub title: String,
    /// One or two sentences: what there is to know.
    pub summary: String,
    /// The report for readers without HTML.
    pub text: String,
    /// The report for mail: its pictures are referred to as `cid:` and their [`Picture::id`].
    pub html: String,
    /// The pictures of `html`.
    pub pictures: Vec<Picture>,
}

/// A picture beside a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its content identifier, without brackets; letters, digits, dots and hyphens.
    pub id: String,
    /// The picture.
    pub png: Vec<u8>,
}
