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

use crate::sample::{Sample, Timestamping};

/// The measurement of [`append_sample`].
const SAMPLE: &str = "ntp_sample";
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
        Self { builder: DataPoint::builder(measurement_name(measurement)).timestamp(wall_ns) }
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

/// Appends the line of one poll to `out`: measurement `ntp_sample`, tags `vantage`, `server`, `address` and the
/// configured ones, which cannot replace the three. All else is a field, stratum and leap too: as tags they would open
/// a new series at each change.
///
/// The stamp is the wall clock at the end of the poll. A server is never polled faster than every 100 ms, so two
/// samples of a series could share a stamp only if the clock were stepped back by exactly the time between them. `raw_s`
/// is a 64-bit float here, good to a quarter of a microsecond; the store and CSV keep the nanoseconds.
pub fn append_sample(out: &mut Vec<u8>, vantage: &str, sample: &Sample) -> bool {
    let mut point = Point::new(SAMPLE, sample.at.wall_ns);
    for (name, value) in &sample.server.tags {
        if !key(name).is_some_and(|name| OWN_TAGS.contains(&name.as_ref())) {
            point = point.tag(name, value);
        }
    }
    point = point.tag("vantage", vantage).tag("server", &sample.server.name);
    if let Some(address) = sample.address {
        point = point.tag("address", &address.to_string());
    }
    measured(poll(point, sample), sample).append_to(out)
}

/// What every poll has, however it ended.
fn poll(mut point: Point, sample: &Sample) -> Point {
    let reason = sample.outcome.reason();
    if !reason.is_empty() {
        point = point.text("reason", &reason);
    }
    if let Some(way) = sample.timestamping.map(Timestamping::label) {
        point = point.text("timestamping", way);
    }
    point
        .text("outcome", sample.outcome.label())
        .integer("success", i64::from(sample.outcome.is_success()))
        .integer("sent", i64::from(sample.sent))
        .integer("lost", i64::from(sample.lost))
        .number("poll_s", sample.poll_s)
        .number("mono_s", sample.at.mono_ns as f64 / 1e9)
        .number("raw_s", sample.at.raw_ns as f64 / 1e9)
}

/// What only an answer has.
fn measured(mut point: Point, sample: &Sample) -> Point {
    if let Some(measure) = sample.measure {
        point = point
            .number("offset_s", measure.offset_s)
            .number("delay_s", measure.delay_s)
            .number("root_distance_s", measure.root_distance_s);
    }
    if let Some(reply) = sample.reply {
        point = point
            .number("root_delay_s", reply.root_delay_s)
            .number("root_dispersion_s", reply.root_dispersion_s)
            .number("precision_s", reply.precision_s())
            .integer("stratum", i64::from(reply.stratum))
            .integer("leap", i64::from(reply.leap.bits()))
            .text("refid", &reply.refid.display(reply.stratum));
    }
    point
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
fn field_text(text: &str) -> String {
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
