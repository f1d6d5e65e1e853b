//! Configuration values with a unit: durations, sizes, retention; and secrets.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use ntp_monitor_core::interleaved::Policy;

/// A duration with its unit: `"64s"`, `"25ms"`, `"1h 30m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Span(pub Duration);

/// A duration, or `"forever"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retention(pub Option<Duration>);

/// A number of bytes, or a size with its unit: `"64MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub u64);

/// `"auto"`, `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interleaved(pub Policy);

/// A secret. Neither errors nor `Debug` show its value.
#[derive(Debug, Clone)]
pub(super) struct Secret(pub SecretString);

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as \"64s\" or \"25ms\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        if let Ok(number) = text.trim().parse::<f64>() {
            return Err(bare(number));
        }
        humantime::parse_duration(text)
            .map_err(|why| E::custom(format!("{text:?} is not a duration such as \"64s\" or \"25ms\" ({why})")))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Duration, E> {
        Err(bare(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Duration, E> {
        Err(bare(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Duration, E> {
        Err(bare(number))
    }
}

fn bare<E: Error>(number: impl fmt::Display) -> E {
    E::custom(format!("a duration needs a unit: \"{number}s\" for seconds, \"{number}ms\" for milliseconds"))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.as_str() == Some("forever") {
            return Ok(Self(None));
        }
        Span::deserialize(&value).map(|span| Self(Some(span.0))).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        value
            .as_u64()
            .or_else(|| value.as_str().and_then(parse_bytes))
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("{value} is not a size in bytes, such as 1048576 or \"64MiB\"")))
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let text = text.trim();
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(unit)
}

impl<'de> Deserialize<'de> for Interleaved {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Bool(true) => Ok(Self(Policy::Always)),
            serde_json::Value::Bool(false) => Ok(Self(Policy::Never)),
            serde_json::Value::String(text) if text == "auto" => Ok(Self(Policy::Auto)),
            other => Err(D::Error::custom(format!("{other} is none of \"auto\", true and false"))),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Parse as any value first, because serde's "invalid type" would quote the secret.
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(SecretString::from(text))),
            _ => Err(D::Error::custom("a secret is text, in quotes")),
        }
    }
}

macro_rules! schema {
    ($type:ident, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema!(Span, { "type": "string", "pattern": "^\\s*[0-9].*[A-Za-zµ]\\s*$" });
schema!(Retention, { "type": "string", "pattern": "^(forever|\\s*[0-9].*[A-Za-zµ]\\s*)$" });
schema!(Bytes, { "type": ["integer", "string"], "minimum": 0, "pattern": "^\\s*[0-9]+\\s*([KMGT]iB|[kMG]?B)\\s*$" });
schema!(Interleaved, { "type": ["boolean", "string"], "enum": ["auto", true, false] });
schema!(Secret, { "type": "string", "writeOnly": true });

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_duration_without_a_unit_is_refused_with_the_right_form() {
        for value in [json!(64), json!("64"), json!(-3), json!(1.5)] {
            let why = serde_json::from_value::<Span>(value).unwrap_err().to_string();
            assert!(why.contains("needs a unit"), "{why}");
        }
        let span: Span = serde_json::from_value(json!("1h 30m")).unwrap();
        assert_eq!(span.0, Duration::from_secs(5400));
    }

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        for (value, bytes) in [(json!(7), 7), (json!("64 MiB"), 64 << 20), (json!("5kB"), 5000), (json!("9B"), 9)] {
            assert_eq!(serde_json::from_value::<Bytes>(value).unwrap().0, bytes);
        }
        for value in [json!("64"), json!(-1), json!("99999999999999TiB"), json!("MiB"), json!(1.5)] {
            assert!(serde_json::from_value::<Bytes>(value).is_err());
        }
    }

    #[test]
    fn interleaved_is_auto_true_or_false() {
        let policy = |value| serde_json::from_value::<Interleaved>(value).ok().map(|interleaved| interleaved.0);
        assert_eq!(
            [json!("auto"), json!(true), json!(false), json!("yes"), json!(1)].map(policy),
            [Some(Policy::Auto), Some(Policy::Always), Some(Policy::Never), None, None]
        );
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_not_quoted() {
        let why = serde_json::from_value::<Secret>(json!([271828])).unwrap_err().to_string();
        assert!(!why.contains("271828"), "{why}");
    }

    #[test]
    fn retention_may_be_for_ever() {
        assert_eq!(serde_json::from_value::<Retention>(json!("forever")).unwrap(), Retention(None));
        assert!(serde_json::from_value::<Retention>(json!("never")).is_err());
    }
}
