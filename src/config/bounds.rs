//! Limits for configuration texts, checked before the parsers run, because parsers recurse, copy the content of YAML
//! aliases, and use much more memory for each value than its text has.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use yaml_rust2::parser::{Event, Parser};

/// Maximum size of a configuration file, in bytes. A file with ten thousand servers takes half of it.
pub(super) const LARGEST: u64 = super::file::LARGEST;
/// Maximum number of keys and values, with aliases expanded: those of 100,000 servers with name and address.
const MOST_VALUES: usize = 500_000;
/// Maximum nesting of tables and arrays. The keys of this program need five.
pub(super) const DEEPEST: usize = 32;

/// The format of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Yaml,
    Json,
}

/// Rejects a text that is nested too deeply or has too many values. Syntax errors are left to the parser.
///
/// # Errors
/// The limit that is exceeded.
pub(super) fn check(format: Format, text: &str) -> Result<(), String> {
    if text.len() as u64 > LARGEST {
        return Err(too_large());
    }
    match format {
        Format::Yaml => yaml(text),
        Format::Json => json(text).and_then(|()| json_keys(text)),
        // The parser of TOML limits the nesting by itself, to 80.
        Format::Toml => count(text.bytes().filter(|byte| matches!(byte, b'=' | b',' | b'[')).count()),
    }
}

pub(super) fn too_large() -> String {
    format!("is larger than {LARGEST} bytes")
}

pub(super) fn too_deep() -> String {
    format!("is nested more than {DEEPEST} deep")
}

fn count(values: usize) -> Result<(), String> {
    if values <= MOST_VALUES { Ok(()) } else { Err(format!("has more than {MOST_VALUES} keys and values")) }
}

fn depth(depth: usize) -> Result<(), String> {
    if depth <= DEEPEST { Ok(()) } else { Err(too_deep()) }
}

fn json(text: &str) -> Result<(), String> {
    let (mut nested, mut values) = (0_usize, 0_usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                nested += 1;
                values += 1;
                depth(nested)?;
            }
            b']' | b'}' => nested = nested.saturating_sub(1),
            b',' | b':' => values += 1,
            _ => {}
        }
    }
    count(values)
}

/// Rejects duplicate keys of an object, because the JSON parser would silently use the last one. The TOML and YAML
/// parsers reject them.
fn json_keys(text: &str) -> Result<(), String> {
    match serde_json::from_str::<UniqueKeys>(text) {
        Err(why) if why.is_data() => Err(why.to_string()),
        _ => Ok(()),
    }
}

/// Any JSON value in which no object has a key twice.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(values: D) -> Result<Self, D::Error> {
        values.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = items.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(serde::de::Error::custom(format_args!("the key {key:?} occurs twice")));
            }
            keys.insert(key);
            items.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// An open container: the number of values before it, and its anchor.
struct Open {
    before: usize,
    anchor: usize,
}

fn yaml(text: &str) -> Result<(), String> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let (mut values, mut deepest) = (0_usize, 0_usize);
    // The number of values and the nesting of each anchor.
    let mut anchors: HashMap<usize, (usize, usize)> = HashMap::new();
    // The parser itself reports errors with their place.
    while let Ok((event, _)) = parser.next_token() {
        match event {
            Event::MappingStart(anchor, _) | Event::SequenceStart(anchor, _) => {
                open.push(Open { before: values, anchor });
                values += 1;
                deepest = deepest.max(open.len());
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(Open { before, anchor }) = open.pop() {
                    anchors.insert(anchor, (values - before, deepest.saturating_sub(open.len())));
                }
            }
            Event::Scalar(_, _, anchor, _) => {
                values += 1;
                anchors.insert(anchor, (1, 0));
            }
            Event::Alias(anchor) => {
                let (copied, nested) = anchors.get(&anchor).copied().unwrap_or((1, 0));
                values = values.saturating_add(copied);
                deepest = deepest.max(open.len() + nested);
            }
            Event::StreamEnd => break,
            _ => {}
        }
        depth(deepest)?;
        count(values)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, load, load_text};

    #[test]
    fn usual_texts_are_within_the_limits() {
        let yaml = "a: &x {b: [1, 2]}\nc: *x\nd: \"[[[[\"\n";
        assert_eq!(check(Format::Yaml, yaml), Ok(()));
        let brackets = "[".repeat(100);
        assert_eq!(check(Format::Json, &format!("{{\"a\": \"\\\"{brackets}\"}}")), Ok(()));
        let servers: String = (0..10_000)
            .map(|n| {
                format!("[[server]]\naddress = \"10.0.{}.{}\"\nown = true\ntags = {{ a = \"b\" }}\n", n / 256, n % 256)
            })
            .collect();
        assert_eq!(check(Format::Toml, &servers), Ok(()));
    }

    #[test]
    fn key_that_is_there_twice_is_rejected_in_json() {
        let why = |text| check(Format::Json, text).unwrap_err();
        assert!(why(r#"{"server": [], "a": 1.5, "server": null}"#).starts_with(r#"the key "server" occurs twice"#));
        assert!(why(r#"{"http": {"names": [{"a": 1, "a": -1}]}}"#).starts_with(r#"the key "a" occurs twice"#));
        assert_eq!(check(Format::Json, r#"{"a": {"x": 1}, "b": {"x": true}}"#), Ok(()));
        assert_eq!(check(Format::Json, r#"{"a": "#), Ok(()), "left to the parser");
    }

    #[test]
    fn aliases_count_with_their_expanded_size() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..8 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb += &format!("a{n}: &a{n} [{aliases}]\n");
        }
        assert!(check(Format::Yaml, &bomb).unwrap_err().contains("keys and values"));
        let mut tower = "a0: &a0 [x]\n".to_owned();
        for n in 1..40 {
            tower += &format!("a{n}: &a{n} [*a{}]\n", n - 1);
        }
        assert!(check(Format::Yaml, &tower).unwrap_err().contains("deep"));
    }

    #[test]
    fn nesting_is_limited_in_each_format() {
        for (format, open, close) in
            [(Format::Yaml, "{a: ", "}"), (Format::Yaml, "[", "]"), (Format::Json, "{\"a\":", "}")]
        {
            let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(check(format, &nested(DEEPEST)), Ok(()), "{open}");
            assert!(check(format, &nested(100)).unwrap_err().contains("nested more than 32 deep"), "{open}");
        }
        let block: String = (0..100).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(check(Format::Yaml, &(block + &" ".repeat(100) + "b: 1\n")).unwrap_err().contains("deep"));
    }

    #[test]
    fn hostile_files_are_refused_soon() {
        let maps = "{a: ".repeat(3000);
        let block: String = (0..3000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        let dotted = format!("{} = 1\n", vec!["a"; 100_000].join("."));
        let keys: String = (0..50_000).map(|n| format!("k{n} = 1\n")).collect();
        let servers: String = (0..5000).map(|n| format!("[[server]]\naddress = \"a{n}\"\nx{n} = 1\n")).collect();
        let begin = std::time::Instant::now();
        for (name, text) in [
            ("c.yaml", &maps),
            ("c.yaml", &block),
            ("c.json", &maps),
            ("c.toml", &dotted),
            ("c.toml", &keys),
            ("c.toml", &servers),
        ] {
            let faults = load_text(Path::new(name), text, &Environment::new(), &[]).unwrap_err();
            assert!(faults.0.len() <= 101 && faults.to_string().len() < 100_000, "{name}");
        }
        let faults = load_text(Path::new("c.toml"), &keys, &Environment::new(), &[]).unwrap_err();
        assert!(faults.to_string().contains("49900 more faults: only 100 are listed"), "{faults}");
        let flag = format!("{}=1", vec!["a"; 30_000].join("."));
        assert!(load(None, &Environment::new(), &[flag]).unwrap_err().to_string().contains("nested more than 32 deep"));
        // Without the limits this takes minutes; with them, a few seconds on a busy machine.
        assert!(begin.elapsed() < std::time::Duration::from_secs(60), "{:?}", begin.elapsed());
    }

    #[test]
    fn size_and_number_of_values_are_limited_in_each_format() {
        let large = " ".repeat(1 + LARGEST as usize);
        for format in [Format::Yaml, Format::Json, Format::Toml] {
            assert!(check(format, &large).unwrap_err().contains("larger than 4194304 bytes"));
            let many = format!("[{}", "1,".repeat(600_000));
            assert!(check(format, &many).unwrap_err().contains("more than 500000 keys and values"));
        }
    }
}
