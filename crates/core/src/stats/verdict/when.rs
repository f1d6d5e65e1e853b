//! A point in wall-clock time, with its formats for data files and sentences.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds since 1970-01-01 UTC. Serialises as RFC 3339, in binary formats as the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct When(pub i64);

impl When {
    fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .expect("64 bits of nanoseconds are within years 1677 to 2262")
    }
}

/// Formats for people, to the minute.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.timestamp().strftime("%Y-%m-%d %H:%M UTC").to_string())
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.timestamp())
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let at = jiff::Timestamp::deserialize(deserializer)?.as_nanosecond();
            return i64::try_from(at).map(Self).map_err(serde::de::Error::custom);
        }
        i64::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for When {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "When".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_shows_minutes_and_json_rfc_3339() {
        let when = When(1_483_228_799_500_000_000);
        assert_eq!(when.to_string(), "2016-12-31 23:59 UTC");
        assert_eq!(serde_json::to_string(&when).unwrap(), "\"2016-12-31T23:59:59.5Z\"");
        assert!(!When(i64::MIN).to_string().is_empty() && !When(i64::MAX).to_string().is_empty());
    }
}
