//! The line of one poll: measurement `ntp_sample`, with the tags `vantage`, `server`, `address` and the configured
//! ones, which cannot replace these three. Everything else is a field, including stratum and leap, which would
//! otherwise start a new series at each change.
//!
//! These lines are most of the traffic. Measurement and tags are the same for all lines of a series, so they are built
//! once, by the same builder as every other point. Fields are written directly, because their names need no cleaning.

use std::collections::HashMap;
use std::sync::Arc;

use super::line::{OWN_TAGS, Point, field_text, key};
use ntp_monitor_core::nts::Status;
use ntp_monitor_core::sample::{Sample, SeriesKey, ServerIdent, Timestamping};
use ntp_monitor_core::text::decimal::{push_f64, push_i64};

const SAMPLE: &str = "ntp_sample";
/// Maximum number of cached series, some 150 bytes each.
const HEADS: usize = 65_536;

/// Writes the lines of samples; `vantage` is the name of this one.
#[derive(Debug)]
pub struct SampleLines {
    vantage: String,
    heads: HashMap<SeriesKey, Head>,
}

/// The common start of the lines of a series: measurement and tags.
#[derive(Debug)]
struct Head {
    /// The server whose tags they are; a reload may change the tags.
    of: Arc<ServerIdent>,
    text: Box<[u8]>,
}

impl SampleLines {
    /// A writer with an empty cache.
    #[must_use]
    pub fn new(vantage: String) -> Self {
        Self { vantage, heads: HashMap::new() }
    }

    /// Appends the line of one poll to `out`.
    ///
    /// The timestamp is the wall clock at the end of the poll. A server is polled every 100 ms at most, so two samples
    /// of a series have the same timestamp only if the clock was stepped back by exactly the time between them.
    /// `raw_s` is a 64-bit float, precise to a quarter of a microsecond; the store and CSV keep nanoseconds.
    pub fn append(&mut self, out: &mut Vec<u8>, sample: &Sample) {
        out.extend_from_slice(self.head(sample));
        append_fields(out, sample);
        out.push(b' ');
        push_i64(out, sample.at.wall_ns);
        out.push(b'\n');
    }

    fn head(&mut self, sample: &Sample) -> &[u8] {
        if self.heads.len() >= HEADS {
            self.heads.clear();
        }
        let new = || Head { of: Arc::clone(&sample.server), text: head(&self.vantage, sample) };
        let head = self.heads.entry(sample.key()).or_insert_with(&new);
        if !Arc::ptr_eq(&head.of, &sample.server) {
            *head = new();
        }
        &head.text
    }
}

fn head(vantage: &str, sample: &Sample) -> Box<[u8]> {
    /// A dummy field, because the builder does not write a point without fields. It is cut off again.
    const FIELD: (&str, &[u8]) = ("x", b" x=t\n");
    let mut point = Point::without_time(SAMPLE).flag(FIELD.0, true);
    for (name, value) in &sample.server.tags {
        if !key(name).is_some_and(|name| OWN_TAGS.contains(&name.as_ref())) {
            point = point.tag(name, value);
        }
    }
    let vantage = if sample.server.vantage.is_empty() { vantage } else { &sample.server.vantage };
    point = point.tag("vantage", vantage).tag("server", &sample.server.name);
    if let Some(address) = sample.address {
        point = point.tag("address", &address.to_string());
    }
    let mut text = Vec::new();
    point.append_to(&mut text);
    text.truncate(text.len() - FIELD.1.len());
    text.into()
}

/// The fields in the order of their names, as the builder writes them.
fn append_fields(out: &mut Vec<u8>, sample: &Sample) {
    let mut fields = Fields { out, next: b' ' };
    let (measure, reply) = (sample.measure, sample.reply);
    let nts = sample.nts.as_deref();
    let certificate = nts.and_then(Status::certificate);
    fields.text("authentication", nts.map_or("", |_| sample.authentication.label()));
    fields.number("delay_s", measure.map(|m| m.delay_s));
    fields.integer("leap", reply.map(|r| i64::from(r.leap.bits())));
    fields.integer("lost", Some(i64::from(sample.lost)));
    fields.number("mono_s", Some(sample.at.mono_ns as f64 / 1e9));
    fields.integer("nts_certificate_end", certificate.map(|it| it.not_after.as_second()));
    fields.integer("nts_cookies", nts.map(|nts| count(nts.cookies as u64)));
    fields.integer("nts_downgrades", nts.map(|nts| count(nts.downgrades)));
    fields.number("nts_exchange_s", nts.and_then(|nts| Some(nts.last.as_ref()?.took.as_secs_f64())));
    fields.integer("nts_failures", nts.map(|nts| count(nts.failures)));
    fields.text("nts_fault", nts.and_then(Status::fault).map_or("", |fault| fault.label));
    fields.integer("nts_naks", nts.map(|nts| count(nts.naks)));
    fields.number("offset_s", measure.map(|m| m.offset_s));
    fields.text("outcome", sample.outcome.label());
    fields.number("poll_s", Some(sample.poll_s));
    fields.number("precision_s", reply.map(|r| r.precision_s()));
    fields.number("raw_s", Some(sample.at.raw_ns as f64 / 1e9));
    fields.text("reason", &sample.outcome.reason());
    fields.number("reference_age_s", reply.and_then(|r| r.reference_age_s));
    fields.text("refid", &reply.map_or_else(String::new, |r| r.refid.display(r.stratum)));
    fields.number("root_delay_s", reply.map(|r| r.root_delay_s));
    fields.number("root_dispersion_s", reply.map(|r| r.root_dispersion_s));
    fields.number("root_distance_s", measure.map(|m| m.root_distance_s));
    fields.integer("sent", Some(i64::from(sample.sent)));
    fields.integer("stratum", reply.map(|r| i64::from(r.stratum)));
    fields.integer("success", Some(i64::from(sample.outcome.is_success())));
    fields.text("timestamping", sample.timestamping.map_or("", Timestamping::label));
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes fields, each with its separator.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    next: u8,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) {
        self.out.push(std::mem::replace(&mut self.next, b','));
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'=');
    }

    /// NaN and infinities are omitted, because InfluxDB cannot store them.
    fn number(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.name(name);
            push_f64(self.out, value);
        }
    }

    fn integer(&mut self, name: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.name(name);
            push_i64(self.out, value);
            self.out.push(b'i');
        }
    }

    /// An empty text is omitted.
    fn text(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        self.name(name);
        self.out.push(b'"');
        for byte in field_text(value).bytes() {
            if byte == b'"' {
                self.out.push(b'\\');
            }
            self.out.push(byte);
        }
        self.out.push(b'"');
    }
}

#[cfg(test)]
#[path = "sample_line_tests.rs"]
mod tests;
