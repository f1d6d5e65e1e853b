//! One point is exactly one line with one measurement, the tags and fields that were set, and the time, whatever they contain.
//!
//! The input is texts with NUL between them: measurement, tag, its value, field, its text, number.

use ntp_monitor::sinks::influx::Point;

#[allow(dead_code)] // The replay test needs no fragments.
pub const FRAGMENTS: &[&str] = &[
    "\0",
    ",",
    "=",
    " ",
    "\"",
    "\\",
    "\\\\",
    "\\,",
    "\\ ",
    "\\\"",
    "\n",
    "\r",
    "\t",
    "#",
    "_",
    "time",
    "_field",
    "\u{2028}",
    "\u{85}",
    "\u{7f}",
    "é",
    "NaN",
    "inf",
    "1e308",
    "-0",
    "5e-324",
    "9007199254740993",
    "x=1i",
    " 1800000000000000000",
];

const AT_NS: i64 = 1_800_000_000_000_000_000;

pub fn check(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let mut texts = input.split('\0');
    let mut next = || texts.next().unwrap_or_default();
    let (measurement, tag, value, field, text) = (next(), next(), next(), next(), next());
    let number: f64 = next().trim().parse().unwrap_or(f64::NAN);
    let mut out = Vec::new();
    let point = Point::new(measurement, AT_NS).tag(tag, value).text(field, text).number("number", number);
    if !point.append_to(&mut out) {
        assert!(out.is_empty());
        return;
    }
    let line = std::str::from_utf8(&out).expect("a line is text");
    let read = read(line.strip_suffix('\n').expect("a line ends"));
    assert!(!read.measurement.is_empty() && !read.measurement.starts_with('#'), "{line:?}");
    assert_eq!(read.tags.len(), usize::from(!tag.is_empty() && !value.is_empty()), "{line:?}");
    let is_number_kept = number.is_finite();
    let is_overwritten = field == "number" && is_number_kept;
    let is_text_kept = !field.is_empty() && !is_overwritten;
    assert_eq!(read.fields.len(), usize::from(is_text_kept) + usize::from(is_number_kept), "{line:?}");
    if is_number_kept {
        let written = read.fields.iter().find(|(name, _)| name == "number").map(|(_, value)| value.parse());
        assert_eq!(written, Some(Ok(number)), "{line:?}");
    }
    assert_eq!(read.time, AT_NS.to_string());
    assert!(!line.trim_end_matches('\n').contains(char::is_control), "{line:?}");
}

struct Line {
    measurement: String,
    tags: Vec<(String, String)>,
    fields: Vec<(String, String)>,
    time: String,
}

/// A reader of line protocol that follows its specification and shares nothing with the writer. Quotes have a meaning
/// in fields only.
fn read(line: &str) -> Line {
    let series = split(line, ' ', false).swap_remove(0);
    let [fields, time] = <[String; 2]>::try_from(split(&line[series.len() + 1..], ' ', true)).expect("three parts");
    let mut parts = split(&series, ',', false).into_iter();
    let measurement = parts.next().expect("a measurement");
    Line {
        measurement,
        tags: parts.map(|tag| pair(&tag, false)).collect(),
        fields: split(&fields, ',', true).iter().map(|field| pair(field, true)).collect(),
        time,
    }
}

fn pair(text: &str, has_quotes: bool) -> (String, String) {
    let [name, value] = <[String; 2]>::try_from(split(text, '=', has_quotes)).expect("a name and a value");
    assert!(!name.is_empty() && !value.is_empty(), "{text:?}");
    (name, value)
}

/// Splits where the character is neither escaped nor in quotes. A quote opens a text only where a value begins.
fn split(text: &str, at: char, has_quotes: bool) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut is_escaped, mut is_quoted, mut begins_value) = (false, false, false);
    for c in text.chars() {
        let is_end = c == at && !is_escaped && !is_quoted;
        if has_quotes && c == '"' && !is_escaped && (is_quoted || begins_value) {
            is_quoted = !is_quoted;
        }
        begins_value = c == '=' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        match parts.last_mut() {
            Some(part) if !is_end => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    assert!(!is_quoted, "{text:?} does not end its quotes");
    parts
}
