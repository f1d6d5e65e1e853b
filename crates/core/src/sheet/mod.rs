//! The protocol sheet of a server: which versions it answers, the resolution of its timestamps, the meaning of its
//! fields, and how it reacts to unusual requests.
//!
//! Most of it follows from the replies to polls ([`Watch`]). The rest needs a [`Question`], at most one a day
//! ([`Agenda`]). A property that takes another value is a [`Change`]; one that has a value for the first time is not.

mod agenda;
mod book;
mod dispersion;
mod grain;
mod question;
mod reference;
mod seen;
mod steady;
mod text;
mod watch;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ntp::RefId;
use crate::nts::Status;
pub use agenda::{Agenda, BETWEEN_QUESTIONS_NS};
pub use book::{Book, Kept};
pub use dispersion::Dispersion;
pub use grain::Grain;
pub use question::{DRAFT, Question, Reaction};
pub use reference::{Reference, source_of};
pub use seen::Seen;
pub use text::{Line, changes_text};
pub use watch::Watch;

/// A property of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Trait {
    /// How it reacts to a request of version 3.
    #[serde(rename = "version_3")]
    Version3,
    /// How it reacts to a poll, which has version 4.
    #[serde(rename = "version_4")]
    Version4,
    /// How it reacts to a request of version 5, which is a draft.
    #[serde(rename = "version_5")]
    Version5,
    /// Whether it offers Network Time Security.
    Nts,
    /// Whether it offers interleaved mode (RFC 9769).
    Interleaved,
    /// The precision that it states.
    Precision,
    /// The grain of its receive timestamps.
    ReceiveGrain,
    /// The grain of its transmit timestamps.
    TransmitGrain,
    /// Whether its transmit timestamp is a copy of the receive timestamp.
    OneStamp,
    /// What its reference identifier is.
    Reference,
    /// How its root dispersion behaves.
    Dispersion,
    /// Where its replies come from.
    Sender,
    /// Whether it was seen to limit the rate of requests. It is never provoked.
    RateLimit,
    /// How it reacts to an unknown extension field.
    ExtensionFields,
    /// The hop limit (TTL) that is left of its replies.
    HopLimit,
}

impl Trait {
    /// The number of traits.
    pub const COUNT: usize = Self::ALL.len();

    /// Every trait, in the order of a sheet.
    pub const ALL: [Self; 15] = [
        Self::Version3,
        Self::Version4,
        Self::Version5,
        Self::Nts,
        Self::Interleaved,
        Self::Precision,
        Self::ReceiveGrain,
        Self::TransmitGrain,
        Self::OneStamp,
        Self::Reference,
        Self::Dispersion,
        Self::Sender,
        Self::RateLimit,
        Self::ExtensionFields,
        Self::HopLimit,
    ];
}

/// The value of a trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// How a server reacts to a request.
    Reaction(Reaction),
    /// Whether it does so.
    Is(bool),
    /// An exponent: log2 seconds.
    Log2(i8),
    /// The unit of timestamps.
    Grain(Grain),
    /// The meaning of a reference identifier.
    Reference(Reference),
    /// The behaviour of the root dispersion.
    Dispersion(Dispersion),
    /// Where replies come from.
    Sender(Sender),
    /// The result of a key exchange.
    Nts(Nts),
    /// No kiss-o'-death was seen in the last 30 days, or this one.
    Kiss(Option<[u8; 4]>),
    /// A hop limit, 0 to 255.
    HopLimit(u8),
}

/// Where the replies of a server come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// From the address and port that was asked.
    Asked,
    /// From another port of that address.
    OtherPort,
    /// From another address.
    OtherAddress,
}

/// Whether a server offers Network Time Security.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nts {
    /// Keys were exchanged.
    Offered,
    /// The port of key exchange refuses connections.
    Absent,
    /// Key exchange fails in another way.
    Faulty,
}

impl Nts {
    /// The result of the last key exchange; `None` if there was none.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        match (status.fault(), status.aead) {
            (None, Some(_)) => Some(Self::Offered),
            (None, None) => None,
            (Some(fault), _) if fault.label == "refused" => Some(Self::Absent),
            (Some(_), _) => Some(Self::Faulty),
        }
    }
}

/// The known traits of a server. Plain data: sheets can be compared, stored and shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sheet {
    /// The value of each trait that is known.
    pub values: BTreeMap<Trait, Value>,
    /// Traits that differ from reply to reply; their value is the last stable one.
    pub varying: Vec<Trait>,
    /// The last reference identifier, with its stratum.
    pub refid: Option<(RefId, u8)>,
    /// The last kiss-o'-death.
    pub kiss: Option<KissSeen>,
}

/// When a kiss-o'-death came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KissSeen {
    /// On the wall clock, in nanoseconds since 1970.
    pub wall_ns: i64,
    /// The poll interval at that time, in seconds.
    pub poll_s: f64,
}

/// A trait that changed its value, or that has no stable value any more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Which one.
    pub of: Trait,
    /// Its value before.
    pub before: Value,
    /// Its value now; `None` when it differs from reply to reply.
    pub now: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheet_is_read_back_from_json_and_unknown_keys_are_ignored() {
        let values = [
            (Trait::Version5, Value::Reaction(Reaction::Kiss(*b"RATE"))),
            (Trait::ReceiveGrain, Value::Grain(Grain::Decimal(6))),
            (Trait::RateLimit, Value::Kiss(None)),
        ];
        let kiss = Some(KissSeen { wall_ns: 5, poll_s: 64.0 });
        let refid = Some((RefId(*b"GPS\0"), 1));
        let sheet = Sheet { values: values.into(), varying: vec![Trait::HopLimit], refid, kiss };
        let mut json = serde_json::to_value(&sheet).unwrap();
        json["later"] = serde_json::json!(1);
        assert_eq!(serde_json::from_value::<Sheet>(json).unwrap(), sheet);
    }
}
