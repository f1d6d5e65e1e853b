//! Checks with an independent strict parser that each point is one line that parses back.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use proptest::prelude::*;

use super::*;
use crate::sinks::influx::SampleLines;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};

#[derive(Debug, PartialEq)]
struct Parsed {
    measurement: String,
    tags: BTreeMap<String, String>,
    fields: BTreeMap<String, FieldValue>,
    stamp: i64,
}

/// Reads until an unescaped character of `ends`. Panics at a backslash that escapes no delimiter.
fn word(chars: &mut Peekable<Chars>, ends: &[char]) -> String {
    let mut out = String::new();
    while let Some(&c) = chars.peek() {
        if ends.contains(&c) {
            break;
        }
        chars.next();
        if c == '\\' {
            let escaped = chars.next().expect("a backslash at the end");
            assert!(matches!(escaped, ',' | '=' | ' '), "a backslash before {escaped:?}");
            out.push(escaped);
        } else {
            out.push(c);
        }
    }
    assert!(!out.is_empty(), "an empty name or value");
    out
}

fn quoted(chars: &mut Peekable<Chars>) -> String {
    assert_eq!(chars.next(), Some('"'));
    let mut out = String::new();
    loop {
        match chars.next().expect("a closing quote") {
            '"' => return out,
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\')) => out.push(c),
                other => panic!("a backslash before {other:?}"),
            },
            c => out.push(c),
        }
    }
}

fn value(chars: &mut Peekable<Chars>) -> FieldValue {
    if chars.peek() == Some(&'"') {
        return FieldValue::String(quoted(chars));
    }
    let text = word(chars, &[',', ' ']);
    match text.as_str() {
        "t" => FieldValue::Bool(true),
        "f" => FieldValue::Bool(false),
        text => match text.strip_suffix('i') {
            Some(integer) => FieldValue::I64(integer.parse().unwrap()),
            None => {
                let number: f64 = text.parse().unwrap();
                assert!(number.is_finite());
                FieldValue::F64(number)
            }
        },
    }
}

fn parse(bytes: &[u8]) -> Parsed {
    let text = std::str::from_utf8(bytes).unwrap();
    let line = text.strip_suffix('\n').expect("a newline at the end");
    assert!(!line.contains(breaks_lines), "more than one line, or a control character: {line:?}");
    assert!(!line.starts_with('#'), "a comment");
    let mut chars = line.chars().peekable();
    let measurement = word(&mut chars, &[',', ' ']);
    let (mut tags, mut fields) = (BTreeMap::new(), BTreeMap::new());
    while chars.next_if_eq(&',').is_some() {
        let name = word(&mut chars, &['=', ',', ' ']);
        assert_eq!(chars.next(), Some('='));
        assert!(tags.insert(name, word(&mut chars, &[',', ' ', '='])).is_none());
    }
    assert_eq!(chars.next(), Some(' '));
    loop {
        let name = word(&mut chars, &['=', ',', ' ']);
        assert_eq!(chars.next(), Some('='));
        assert!(fields.insert(name, value(&mut chars)).is_none());
        if chars.next_if_eq(&',').is_none() {
            break;
        }
    }
    assert_eq!(chars.next(), Some(' '));
    let stamp = chars.collect::<String>().parse().unwrap();
    Parsed { measurement, tags, fields, stamp }
}

fn hostile() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        '\\', '"', ',', '=', ' ', '#', '\n', '\r', '\t', '\0', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}',
        'a', 'ü', '_', '🕰',
    ]);
    prop::collection::vec(prop_oneof![3 => nasty, 1 => any::<char>()], 0..12)
        .prop_map(|chars| chars.into_iter().collect())
}

fn field() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        any::<f64>().prop_map(FieldValue::F64),
        any::<i64>().prop_map(FieldValue::I64),
        any::<bool>().prop_map(FieldValue::Bool),
        hostile().prop_map(FieldValue::String),
    ]
}

/// The expected text: with the documented replacements.
fn visible(text: &str, backslash: char) -> String {
    text.chars()
        .map(|c| match c {
            '\\' => backslash,
            c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => '_',
            c => c,
        })
        .collect()
}

fn visible_key(name: &str) -> String {
    let name = visible(name, '/');
    if name == "time" || name.starts_with('_') { format!("tag_{}", name.trim_start_matches('_')) } else { name }
}

proptest! {
    #[test]
    fn one_point_is_one_line_that_parses_back(
        measurement in hostile(),
        tags in prop::collection::vec((hostile(), hostile()), 0..5),
        fields in prop::collection::vec((hostile(), field()), 0..6),
        stamp: i64,
    ) {
        let mut point = Point::new(&measurement, stamp);
        let mut expected_tags = BTreeMap::new();
        for (name, value) in &tags {
            // Names with several leading underscores are tested separately.
            prop_assume!(!visible(name, '/').starts_with("__"));
            point = point.tag(name, value);
            if !name.is_empty() && !value.is_empty() {
                expected_tags.insert(visible_key(name), visible(value, '/'));
            }
        }
        let mut expected_fields = BTreeMap::new();
        for (name, value) in fields {
            prop_assume!(!visible(&name, '/').starts_with("__"));
            let (next, kept) = match &value {
                FieldValue::F64(v) => (point.number(&name, *v), v.is_finite().then(|| value.clone())),
                FieldValue::I64(v) => (point.integer(&name, *v), Some(value.clone())),
                FieldValue::Bool(v) => (point.flag(&name, *v), Some(value.clone())),
                FieldValue::String(v) => (point.text(&name, v), Some(FieldValue::String(visible(v, '\\')))),
            };
            point = next;
            if let (false, Some(kept)) = (name.is_empty(), kept) {
                expected_fields.insert(visible_key(&name), kept);
            }
        }
        let mut out = Vec::new();
        prop_assert_eq!(point.append_to(&mut out), !expected_fields.is_empty());
        if expected_fields.is_empty() {
            prop_assert!(out.is_empty());
        } else {
            let parsed = parse(&out);
            let name = visible(&measurement, '/');
            let name = if name.is_empty() { "_".to_owned() } else { name };
            let name = name.strip_prefix('#').map_or(name.clone(), |rest| format!("_{rest}"));
            let expected = Parsed { measurement: name, tags: expected_tags, fields: expected_fields, stamp };
            prop_assert_eq!(parsed, expected);
        }
    }
}

fn timeout_with_tags(tags: &[(&str, &str)]) -> Sample {
    let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let at = Stamp::new(1_795_380_162_000_000_001, 2_500_000_000, 1_500_000_000);
    let server = std::sync::Arc::new(ServerIdent { vantage: "".into(), name: "a b,c".into(), tags });
    Sample { sent: 1, lost: 1, ..Sample::unasked(at, server, Outcome::Timeout, 64.0) }
}

#[test]
fn configured_tags_never_replace_built_in_tags() {
    let mut out = Vec::new();
    let sample = timeout_with_tags(&[("address", "x"), ("server", "y"), ("vantage", "z"), ("rack", "4")]);
    SampleLines::new("ams".to_owned()).append(&mut out, &sample);
    let tags: Vec<_> = parse(&out).tags.into_iter().collect();
    let expected = [("rack", "4"), ("server", "a b,c"), ("vantage", "ams")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(tags, expected);
}

#[test]
fn failed_poll_has_only_poll_fields() {
    let mut out = Vec::new();
    SampleLines::new("ams".to_owned()).append(&mut out, &timeout_with_tags(&[]));
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "ntp_sample,server=a\\ b\\,c,vantage=ams lost=1i,mono_s=2.5,outcome=\"timeout\",poll_s=64,raw_s=1.5,sent=1i,\
         success=0i 1795380162000000001\n"
    );
}

#[test]
fn reserved_names_are_renamed_and_huge_values_limited() {
    let mut out = Vec::new();
    let long = "é".repeat(MAX_TEXT_BYTES);
    assert!(
        Point::new("m", 0).tag("__x", "1").tag("time", "2").count("n", u64::MAX).text("s", &long).append_to(&mut out)
    );
    let parsed = parse(&out);
    assert_eq!(parsed.tags.keys().collect::<Vec<_>>(), ["tag__x", "tag_time"]);
    assert_eq!(parsed.fields["n"], FieldValue::I64(i64::MAX));
    assert_eq!(parsed.fields["s"], FieldValue::String("é".repeat(MAX_TEXT_BYTES / 2)));
}
