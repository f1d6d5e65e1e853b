//! Line protocol: one point is exactly one line, whatever names, tags and values contain.
//!
//! The builder of influxdb2 escapes only delimiters. A newline in a tag would start a second, forged line; a backslash
//! before a delimiter or at the end would remove it; an empty tag, a NaN or a leading `#` would invalidate or hide the
//! line. So every text is cleaned before it reaches the builder:
//!
//! - control characters (C0, DEL, C1) and the line separators U+2028 and U+2029 become `_`;
//! - in names and tags a backslash becomes `/`, because servers parse `\\` differently there; in string fields, where
//!   they agree, it is doubled and preserved;
//! - names that InfluxDB reserves (`time`, anything that starts with `_`) get the prefix `tag`;
//! - texts are cut after 1 KiB, far below the limits of servers.

use std::borrow::Cow;

use influxdb2::models::WriteDataPoint;
use influxdb2::models::data_point::{DataPoint, DataPointBuilder, FieldValue};

/// Tags of every sample; configured tags with these names are ignored.
pub(super) const OWN_TAGS: [&str; 3] = ["vantage", "server", "address"];
const MAX_TEXT_BYTES: usize = 1024;

/// A point that is being built.
#[derive(Debug)]
pub struct Point {
    builder: DataPointBuilder,
}

impl Point {
    /// A point of `measurement` at `wall_ns` nanoseconds since 1970. Because the timestamp is explicit, a line that is
    /// sent twice overwrites itself.
    #[must_use]
    pub fn new(measurement: &str, wall_ns: i64) -> Self {
        Self { builder: Self::without_time(measurement).builder.timestamp(wall_ns) }
    }

    /// A point of `measurement` without a timestamp, which is not a complete line.
    pub(super) fn without_time(measurement: &str) -> Self {
        Self { builder: DataPoint::builder(measurement_name(measurement)) }
    }

    /// Sets a tag; omitted if the name or value is empty. If a name is set twice, the last value counts.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        if let (Some(name), false) = (key(name), value.is_empty()) {
            self.builder = self.builder.tag(name, name_text(value));
        }
        self
    }

    /// Sets a number; NaN and infinities are omitted, because InfluxDB cannot store them.
    #[must_use]
    pub fn number(self, name: &str, value: f64) -> Self {
        if value.is_finite() { self.field(name, FieldValue::F64(value)) } else { self }
    }

    #[must_use]
    pub fn maybe_number(self, name: &str, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    #[must_use]
    pub fn integer(self, name: &str, value: i64) -> Self {
        self.field(name, FieldValue::I64(value))
    }

    /// Sets a count. Not every server supports unsigned integers, so this is a signed integer that saturates at its
    /// maximum.
    #[must_use]
    pub fn count(self, name: &str, value: u64) -> Self {
        self.integer(name, i64::try_from(value).unwrap_or(i64::MAX))
    }

    #[must_use]
    pub fn flag(self, name: &str, value: bool) -> Self {
        self.field(name, FieldValue::Bool(value))
    }

    /// Sets a text. Free text must not be a tag, because each text would create a new series.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.field(name, FieldValue::String(field_text(value)))
    }

    /// Appends the line with its newline to `out`. Returns `false` for a point without fields, which is not a line.
    pub fn append_to(self, out: &mut Vec<u8>) -> bool {
        // The builder only fails for a point without fields.
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
    // A line that starts with `#` is a comment, and one without a measurement an error.
    match name.strip_prefix('#') {
        Some(rest) => format!("_{rest}"),
        None if name.is_empty() => "_".to_owned(),
        None => name.into_owned(),
    }
}

/// The cleaned name of a tag or field; `None` if it is empty.
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

/// A cleaned name or tag value.
fn name_text(text: &str) -> Cow<'_, str> {
    let text = shortened(text);
    if !text.contains(|c| c == '\\' || breaks_lines(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if c == '\\' { '/' } else { clean(c) }).collect())
}

/// The cleaned content of a string field; the builder adds quotes and escapes inner ones.
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
