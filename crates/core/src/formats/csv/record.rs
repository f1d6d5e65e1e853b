//! One sample as one line of CSV.
//!
//! A record is exactly one line: line breaks in a text become blanks, so that a truncated file can be repaired, and its
//! end found, without reading it from the start. A text that a spreadsheet would take for a formula (a leading `=`,
//! `+`, `-`, `@` or tab) gets a leading apostrophe, which the reader removes. A text that begins with an apostrophe
//! gets one too, so that the reader restores it exactly.
//!
//! Numbers are the shortest that read back to the same value, and never have an exponent. `time`, `mono_s`, `raw_s` and
//! `boot_s` come from integers and show every nanosecond. A value that was not measured is an empty cell.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::sample::Sample;
use crate::text::decimal::{push_f64, push_nanos, push_padded, push_u64};

/// First characters that get an apostrophe before them.
const DEFUSED: &[char] = &['=', '+', '-', '@', '\t', '\r', '\''];

/// Appends `sample` to `out` as one line; `vantage` is the name of this vantage, for samples that were taken here.
pub fn append_record(out: &mut Vec<u8>, vantage: &str, sample: &Sample) {
    time(out, sample.at.wall_ns);
    text(out, if sample.server.vantage.is_empty() { vantage } else { &sample.server.vantage });
    text(out, &sample.server.name);
    out.push(b',');
    if let Some(address) = sample.address {
        write!(out, "{address}").expect("writing to memory does not fail");
    }
    text(out, sample.outcome.label());
    text(out, &sample.outcome.reason());
    let (measure, reply) = (sample.measure.as_ref(), sample.reply.as_ref());
    number(out, measure.map(|m| m.offset_s));
    number(out, measure.map(|m| m.delay_s));
    number(out, reply.map(|r| r.root_delay_s));
    number(out, reply.map(|r| r.root_dispersion_s));
    number(out, measure.map(|m| m.root_distance_s));
    count(out, reply.map(|r| r.stratum));
    count(out, reply.map(|r| r.leap.bits()));
    text(out, &reply.map_or_else(String::new, |r| r.refid.display(r.stratum)));
    number(out, reply.map(|r| r.precision_s()));
    number(out, Some(sample.poll_s));
    text(out, sample.timestamping.map_or("", |way| way.label()));
    out.push(b',');
    push_nanos(out, sample.at.mono_ns);
    out.push(b',');
    push_nanos(out, sample.at.raw_ns);
    out.push(b',');
    push_nanos(out, sample.at.boot_ns);
    text(out, sample.authentication.label());
    number(out, sample.reference_age_s());
    text(out, sample.mode.label());
    out.push(b'\n');
}

/// The UTC day to which a wall stamp belongs.
pub fn day(wall_ns: i64) -> Date {
    TimeZone::UTC.to_datetime(timestamp(wall_ns)).date()
}

/// Protects a text from being taken for a formula by a spreadsheet.
pub fn defused(text: &str) -> String {
    if text.starts_with(DEFUSED) { format!("'{text}") } else { text.to_owned() }
}

/// Undoes [`defused`].
pub fn restored(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(DEFUSED) => rest,
        _ => cell,
    }
}

fn timestamp(wall_ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(wall_ns)).expect("64 bits of nanoseconds end in 2262, jiff in 9999")
}

/// RFC 3339, with every nanosecond. The years of 64 bits of nanoseconds have four digits.
fn time(out: &mut Vec<u8>, wall_ns: i64) {
    let at = TimeZone::UTC.to_datetime(timestamp(wall_ns));
    push_padded(out, at.year().unsigned_abs().into(), 4);
    let parts = [(b'-', at.month()), (b'-', at.day()), (b'T', at.hour()), (b':', at.minute()), (b':', at.second())];
    for (before, part) in parts {
        out.push(before);
        push_padded(out, part.unsigned_abs().into(), 2);
    }
    out.push(b'.');
    push_padded(out, at.subsec_nanosecond().unsigned_abs().into(), 9);
    out.push(b'Z');
}

fn count(out: &mut Vec<u8>, value: Option<u8>) {
    out.push(b',');
    if let Some(value) = value {
        push_u64(out, value.into());
    }
}

fn number(out: &mut Vec<u8>, value: Option<f64>) {
    out.push(b',');
    if let Some(value) = value.filter(|value| value.is_finite()) {
        push_f64(out, value);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b',');
    let apostrophe = text.starts_with(DEFUSED);
    let quoted = text.contains([',', '"', '\n', '\r']);
    if !quoted {
        out.extend_from_slice(if apostrophe { b"'" } else { b"" });
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.extend_from_slice(if apostrophe { b"\"'" } else { b"\"" });
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\"\""),
            b'\n' | b'\r' => out.push(b' '),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::ntp::{Leap, RefId};
    use crate::sample::{Authentication, Measure, Mode, Outcome, Reply, ServerIdent, Timestamping};

    fn line(sample: &Sample) -> String {
        let mut out = Vec::new();
        append_record(&mut out, "ams-1", sample);
        String::from_utf8(out).unwrap()
    }

    fn sample() -> Sample {
        let at = Stamp::new(1_795_380_162_000_000_001, 2_500_000_000, -1);
        let at = Stamp { boot_ns: 3_000_000_007, ..at };
        Sample {
            address: Some("[2001:db8::1]:123".parse().unwrap()),
            reply: Some(Reply {
                stratum: 1,
                leap: Leap::None,
                refid: RefId(*b"GPS\0"),
                precision_log2: -3,
                root_delay_s: 0.0,
                root_dispersion_s: 1e-7,
                reference_age_s: Some(12.5),
            }),
            measure: Some(Measure { offset_s: -0.000_125, delay_s: 0.1, root_distance_s: 0.3 }),
            timestamping: Some(Timestamping::KernelRx),
            authentication: Authentication::Nts,
            mode: Mode::Interleaved,
            sent: 1,
            ..Sample::unasked(at, ServerIdent::named("a"), Outcome::Sample, 64.0)
        }
    }

    #[test]
    fn a_sample_is_a_line_with_every_nanosecond_and_no_exponent() {
        assert_eq!(
            line(&sample()),
            "2026-11-22T20:42:42.000000001Z,ams-1,a,[2001:db8::1]:123,sample,,-0.000125,0.1,0,0.0000001,0.3,1,0,GPS,\
             0.125,64,kernel-rx,2.500000000,-0.000000001,3.000000007,nts,12.5,interleaved\n"
        );
    }

    #[test]
    fn formatted_time_equals_that_of_the_library() {
        for wall_ns in [i64::MIN, -1, 0, 951_782_400_000_000_001, i64::MAX] {
            let mut out = Vec::new();
            time(&mut out, wall_ns);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{:.9}", timestamp(wall_ns)));
        }
    }

    #[test]
    fn missing_values_are_empty_and_text_stays_one_cell() {
        let outcome = Outcome::Dns("=1+1,\n\"x\"".into());
        let failed = Sample { address: None, reply: None, measure: None, timestamping: None, outcome, ..sample() };
        assert_eq!(
            line(&failed),
            "2026-11-22T20:42:42.000000001Z,ams-1,a,,dns,\"'=1+1, \"\"x\"\"\",,,,,,,,,,64,,2.500000000,-0.000000001,\
             3.000000007,nts,,interleaved\n"
        );
    }

    #[test]
    fn apostrophes_come_off_only_where_they_were_put() {
        for text in ["=x", "'", "'=x", "''x", "-", "@a", "+1", "\tx", "plain", "", "'plain"] {
            let mut out = Vec::new();
            super::text(&mut out, text);
            let cell = std::str::from_utf8(&out[1..]).unwrap();
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t']), "{cell}");
            assert_eq!(restored(cell), text);
        }
        assert_eq!(restored("'foreign"), "'foreign");
    }
}
