//! Line protocol: one point is exactly one line, whatever names, tags and values contain.
//!
//! influxdb2's builder escapes delimiters and nothing else. A newline in a tag would begin a second, forged line; a
//! backslash before a delimiter or at an end would swallow it; an empty tag, a NaN or a leading `#` would spoil or hide
//! the line. So every text is cleaned here before the builder sees it:
//!
//! - control characters (C0, DEL, C1) and the line separators U+2028 and U+2029 become `_`;
//! - in names and tags a backslash becomes `/`, because servers disagree on how `\\` reads there; in string fields,
//!   where they agree, it is doubled and survives;
//! - names that InfluxDB keeps for itself (`time`, anything that begins with `_`) get the prefix `tag`;
//! - texts end after 1 KiB, far below what servers refuse.

use std::borrow::Cow;

use influxdb2::models::WriteDataPoint;
use influxdb2::models::data_point::{DataPoint, DataPointBuilder, FieldValue};

/// Tags that every point of a sample has; configured tags of these names are ignored.
pub(super) const OWN_TAGS: [&str; 3] = ["vantage", "server", "address"];
const MAX_TEXT_BYTES: usize = 1024;

/// One point on its way to becoming one line.
#[derive(Debug)]
pub struct Point {
    builder: DataPointBuilder,
}

impl Point {
    /// A point of `measurement` at `wall_ns` nanoseconds since 1970. The stamp is explicit, so a line that is sent
    /// twice lands on itself.
    #[must_use]
    pub fn new(measurement: &str, wall_ns: i64) -> Self {
        Self { builder: Self::without_time(measurement).builder.timestamp(wall_ns) }
    }

    /// A point of `measurement` that is not a whole line yet.
    pub(super) fn without_time(measurement: &str) -> Self {
        Self { builder: DataPoint::builder(measurement_name(measurement)) }
    }

    /// Sets a tag; one without a name or a value is left out. The last of a name counts.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        if let (Some(name), false) = (key(name), value.is_empty()) {
            self.builder = self.builder.tag(name, name_text(value));
        }
        self
    }

    /// Sets a number; NaN and the infinities are left out, for InfluxDB has no such values.
    #[must_use]
    pub fn number(self, name: &str, value: f64) -> Self {
        if value.is_finite() { self.field(name, FieldValue::F64(value)) } else { self }
    }

    /// Sets a number when there is one.
    #[must_use]
    pub fn maybe_number(self, name: &str, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    /// Sets an integer.
    #[must_use]
    pub fn integer(self, name: &str, value: i64) -> Self {
        self.field(name, FieldValue::I64(value))
    }

    /// Sets a count. The protocol's unsigned type is not understood everywhere, so a count is a signed integer that
    /// stays at its largest value.
    #[must_use]
    pub fn count(self, name: &str, value: u64) -> Self {
        self.integer(name, i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// Sets a truth value.
    #[must_use]
    pub fn flag(self, name: &str, value: bool) -> Self {
        self.field(name, FieldValue::Bool(value))
    }

    /// Sets a text. Free text belongs here and never into a tag, where each wording would open a series of its own.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.field(name, FieldValue::String(field_text(value)))
    }

    /// Appends the line with its newline to `out`. Returns whether there was one: a point without fields is no line.
    pub fn append_to(self, out: &mut Vec<u8>) -> bool {
        // The builder refuses one thing only, a point without fields.
        let Ok(point) = self.builder.build() else { return false };
        point.write_data_point_to(out).expect("writing to memory does not fail");
        true
    }

    fn field(mut self, name: &str, value: FieldValue) -> Self {
        if let Some(name) = key(name) {
            self.builder = self.builder.field(name, value);
        }
        self
    }
}

fn measurement_name(name: &str) -> String {
    let name = name_text(name);
    // A line that begins with `#` is a comment, one without a measurement an error.
    match name.strip_prefix('#') {
        Some(rest) => format!("_{rest}"),
        None if name.is_empty() => "_".to_owned(),
        None => name.into_owned(),
    }
}

/// The name of a tag or field; `None` when there is none.
pub(super) fn key(name: &str) -> Option<Cow<'_, str>> {
    let name = name_text(name);
    if name.is_empty() {
        return None;
    }
    Some(match name {
        name if name == "time" => Cow::Borrowed("tag_time"),
        name if name.starts_with('_') => Cow::Owned(format!("tag{name}")),
        name => name,
    })
}

/// A name or a tag value, cleaned.
fn name_text(text: &str) -> Cow<'_, str> {
    let text = shortened(text);
    if !text.contains(|c| c == '\\' || breaks_lines(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if c == '\\' { '/' } else { clean(c) }).collect())
}

/// The content of a string field, cleaned; the builder adds the quotes and escapes those inside.
pub(super) fn field_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_TEXT_BYTES));
    for c in shortened(text).chars() {
        if c == '\\' {
            out.push('\\');
        }
        out.push(clean(c));
    }
    out
}

fn clean(c: char) -> char {
    if breaks_lines(c) { '_' } else { c }
}

fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
