//! Describes a sheet in lines, and changes in one sentence.

use super::{
    Change, DRAFT, Dispersion, Grain, KissSeen, Nts, Reaction, Reference, Sender, Sheet, Trait, Value, source_of,
};
use crate::ntp::RefId;
use crate::text::units;

/// The hop limits that hosts start with.
const FIRST_HOP_LIMITS: [u8; 4] = [32, 64, 128, 255];
const NOT_KNOWN: &str = "not known yet";

/// One trait of a sheet for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The trait.
    pub of: Trait,
    /// Its name for people.
    pub title: String,
    /// Its value for programs; `None` if it is not known.
    pub value: Option<String>,
    /// Its value in words.
    pub text: String,
    /// Whether it differs from reply to reply.
    pub varies: bool,
}

impl Sheet {
    /// Every trait in words, also those that are not known.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        Trait::ALL.into_iter().map(|of| self.line(of)).collect()
    }

    fn line(&self, of: Trait) -> Line {
        let (value, varies) = (self.values.get(&of), self.varying.contains(&of));
        let mut text = match value {
            None => NOT_KNOWN.to_owned(),
            Some(value) => value.text(of),
        };
        match (of, self.refid, self.kiss) {
            (Trait::Reference, Some((refid, stratum)), _) => text = format!("{}, {text}", named(refid, stratum)),
            (Trait::RateLimit, _, Some(kiss)) => text.push_str(&when(kiss)),
            _ => {}
        }
        if varies {
            text = format!("differs from reply to reply, before: {text}");
        }
        Line { of, title: of.title(), value: value.map(Value::label), text, varies }
    }
}

/// The changes of one poll, as values and as the end of a sentence about the server.
#[must_use]
pub fn changes_text(changes: &[Change]) -> (String, String) {
    let values = changes.iter().map(|Change { of, before, now }| {
        let now = now.map_or_else(|| "varies".to_owned(), |now| now.text(*of));
        format!("{}: {} -> {now}", of.title(), before.text(*of))
    });
    let words = changes.iter().map(|Change { of, before, now }| match now {
        Some(now) => format!("{} was “{}” and is “{}”", of.title(), before.text(*of), now.text(*of)),
        None => format!("{} differs from reply to reply", of.title()),
    });
    (values.collect::<Vec<_>>().join("; "), words.collect::<Vec<_>>().join("; "))
}

impl Trait {
    /// The name of the trait for people.
    #[must_use]
    pub fn title(self) -> String {
        let title = match self {
            Self::Version3 => "NTP version 3",
            Self::Version4 => "NTP version 4",
            Self::Version5 => return format!("NTP version 5 ({DRAFT})"),
            Self::Nts => "NTS",
            Self::Interleaved => "interleaved mode",
            Self::Precision => "precision",
            Self::ReceiveGrain => "receive timestamps",
            Self::TransmitGrain => "transmit timestamps",
            Self::OneStamp => "transmit time",
            Self::Reference => "reference",
            Self::Dispersion => "root dispersion",
            Self::Sender => "answers from",
            Self::RateLimit => "rate limit",
            Self::ExtensionFields => "unknown extension field",
            Self::HopLimit => "hop limit of replies",
        };
        title.to_owned()
    }

    /// The name in data files and the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Version3 => "version_3",
            Self::Version4 => "version_4",
            Self::Version5 => "version_5",
            Self::Nts => "nts",
            Self::Interleaved => "interleaved",
            Self::Precision => "precision",
            Self::ReceiveGrain => "receive_grain",
            Self::TransmitGrain => "transmit_grain",
            Self::OneStamp => "one_stamp",
            Self::Reference => "reference",
            Self::Dispersion => "dispersion",
            Self::Sender => "sender",
            Self::RateLimit => "rate_limit",
            Self::ExtensionFields => "extension_fields",
            Self::HopLimit => "hop_limit",
        }
    }
}

impl Value {
    /// The value for programs: a word, or a number in seconds or hops.
    #[must_use]
    pub fn label(&self) -> String {
        let word = match *self {
            Self::Is(is) => return is.to_string(),
            Self::Log2(log2) => return f64::from(log2).exp2().to_string(),
            Self::HopLimit(limit) => return limit.to_string(),
            Self::Grain(grain) => {
                return grain.seconds().map_or_else(|| "fine".to_owned(), |grain_s| grain_s.to_string());
            }
            Self::Reaction(Reaction::Version(version)) => return format!("version-{version}"),
            Self::Reaction(Reaction::Kiss(code)) | Self::Kiss(Some(code)) => return code_text(code),
            Self::Reaction(Reaction::Ignores) => "ignored",
            Self::Reaction(Reaction::Returns) => "returned",
            Self::Reaction(Reaction::Adds) => "other",
            Self::Reaction(Reaction::Silent) => "silent",
            Self::Reference(Reference::Clock) => "clock",
            Self::Reference(Reference::OwnClock) => "own-clock",
            Self::Reference(Reference::Upstream) => "upstream",
            Self::Reference(Reference::Hash) => "hash",
            Self::Reference(Reference::Smear) => "smear",
            Self::Reference(Reference::Empty) => "empty",
            Self::Dispersion(Dispersion::Grows) => "grows",
            Self::Dispersion(Dispersion::Constant) => "constant",
            Self::Dispersion(Dispersion::Changes) => "changes",
            Self::Sender(Sender::Asked) => "asked",
            Self::Sender(Sender::OtherPort) => "other-port",
            Self::Sender(Sender::OtherAddress) => "other-address",
            Self::Nts(Nts::Offered) => "offered",
            Self::Nts(Nts::Absent) => "absent",
            Self::Nts(Nts::Faulty) => "faulty",
            Self::Kiss(None) => "none",
        };
        word.to_owned()
    }

    /// The value of the trait `of` in words.
    #[must_use]
    pub fn text(&self, of: Trait) -> String {
        match *self {
            Self::Reaction(reaction) => reaction_text(of, reaction),
            Self::Is(is) if of == Trait::OneStamp => {
                (if is { "a copy of the receive time" } else { "a stamp of its own" }).to_owned()
            }
            Self::Is(is) => (if is { "offered" } else { "not offered" }).to_owned(),
            Self::Log2(log2) => format!("2^{log2} s ({})", units::seconds(f64::from(log2).exp2())),
            Self::Grain(grain) => grain_text(grain),
            Self::Reference(reference) => reference_text(reference).to_owned(),
            Self::Dispersion(Dispersion::Grows) => "grows between updates".to_owned(),
            Self::Dispersion(Dispersion::Constant) => "constant".to_owned(),
            Self::Dispersion(Dispersion::Changes) => "changes, but does not grow between updates".to_owned(),
            Self::Sender(Sender::Asked) => "the address that was asked".to_owned(),
            Self::Sender(Sender::OtherPort) => "another port of the address that was asked".to_owned(),
            Self::Sender(Sender::OtherAddress) => "another address than the one that was asked".to_owned(),
            Self::Nts(Nts::Offered) => "offered".to_owned(),
            Self::Nts(Nts::Absent) => "not offered: its port refuses connections".to_owned(),
            Self::Nts(Nts::Faulty) => "the key exchange fails".to_owned(),
            Self::Kiss(None) => "none seen".to_owned(),
            Self::Kiss(Some(code)) => format!("kiss-o'-death {}", code_text(code)),
            Self::HopLimit(limit) => hops_text(limit),
        }
    }
}

fn reaction_text(of: Trait, reaction: Reaction) -> String {
    let asked = match of {
        Trait::Version3 => 3,
        Trait::Version5 => 5,
        _ => 4,
    };
    match reaction {
        Reaction::Version(version) if version == asked => "answered".to_owned(),
        Reaction::Version(version) => format!("answered with version {version}"),
        Reaction::Ignores => "ignored".to_owned(),
        Reaction::Returns => "returned".to_owned(),
        Reaction::Adds => "answered with different octets after the header".to_owned(),
        Reaction::Silent => "not answered".to_owned(),
        Reaction::Kiss(code) => format!("refused with kiss-o'-death {}", code_text(code)),
    }
}

fn code_text(code: [u8; 4]) -> String {
    RefId(code).display(0)
}

fn grain_text(grain: Grain) -> String {
    match (grain, grain.seconds()) {
        (Grain::Decimal(0), _) => "whole seconds".to_owned(),
        (Grain::Decimal(3), _) => "whole milliseconds".to_owned(),
        (Grain::Decimal(6), _) => "whole microseconds".to_owned(),
        (_, Some(grain_s)) => format!("multiples of {}", units::seconds(grain_s)),
        (_, None) => "finer than 100 ns".to_owned(),
    }
}

fn reference_text(reference: Reference) -> &'static str {
    match reference {
        Reference::Clock => "a reference clock",
        Reference::OwnClock => "its own clock without a source",
        Reference::Upstream => "the address of its source, or a hash if that has IPv6",
        Reference::Hash => "the hash of its source's IPv6 address",
        Reference::Smear => "ntpd's marker for smeared leap seconds",
        Reference::Empty => "no source",
    }
}

fn named(refid: RefId, stratum: u8) -> String {
    let code = refid.display(stratum);
    match source_of(&code).filter(|_| stratum <= 1) {
        Some(source) => format!("{code} ({source})"),
        None => code,
    }
}

fn when(kiss: KissSeen) -> String {
    format!(", last at {} while polled every {}", units::wall_time(kiss.wall_ns), units::seconds(kiss.poll_s))
}

fn hops_text(limit: u8) -> String {
    let hops = FIRST_HOP_LIMITS.into_iter().find(|first| *first >= limit).map_or(0, |first| first - limit);
    let plural = if hops == 1 { "" } else { "s" };
    format!("{limit}, probably {hops} hop{plural} away")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_stored_form() {
        for of in Trait::ALL {
            assert_eq!(serde_json::to_value(of).unwrap(), of.label());
        }
    }

    #[test]
    fn lines_show_known_and_unknown_values() {
        let values = [
            (Trait::Version5, Value::Reaction(Reaction::Version(4))),
            (Trait::Precision, Value::Log2(-23)),
            (Trait::ReceiveGrain, Value::Grain(Grain::Decimal(6))),
            (Trait::TransmitGrain, Value::Grain(Grain::Binary(6))),
            (Trait::Reference, Value::Reference(Reference::Clock)),
            (Trait::RateLimit, Value::Kiss(Some(*b"RATE"))),
            (Trait::HopLimit, Value::HopLimit(57)),
        ];
        let sheet = Sheet {
            values: values.into(),
            varying: vec![Trait::HopLimit],
            refid: Some((RefId(*b"GPS\0"), 1)),
            kiss: Some(KissSeen { wall_ns: 1_800_000_000_000_000_000, poll_s: 64.0 }),
        };
        let lines = sheet.lines();
        let text = |of: Trait| lines.iter().find(|line| line.of == of).map(|line| line.text.as_str()).unwrap();
        assert_eq!(lines.len(), Trait::COUNT);
        assert_eq!(text(Trait::Version3), "not known yet");
        assert_eq!(text(Trait::Version5), "answered with version 4");
        assert_eq!(text(Trait::Precision), "2^-23 s (119 ns)");
        assert_eq!(text(Trait::ReceiveGrain), "whole microseconds");
        assert_eq!(text(Trait::TransmitGrain), "multiples of 15.6 ms");
        assert_eq!(text(Trait::Reference), "GPS (Global Positioning System), a reference clock");
        assert!(text(Trait::RateLimit).starts_with("kiss-o'-death RATE, last at 2027-01-15"));
        assert_eq!(text(Trait::HopLimit), "differs from reply to reply, before: 57, probably 7 hops away");
    }

    #[test]
    fn values_for_programs_are_words_or_numbers() {
        let labels = [
            (Value::Log2(-10), "0.0009765625"),
            (Value::Grain(Grain::Decimal(6)), "0.000001"),
            (Value::Grain(Grain::Fine), "fine"),
            (Value::Reaction(Reaction::Version(3)), "version-3"),
            (Value::Kiss(Some(*b"RATE")), "RATE"),
            (Value::Kiss(None), "none"),
            (Value::Is(true), "true"),
        ];
        for (value, label) in labels {
            assert_eq!(value.label(), label);
        }
    }

    #[test]
    fn changes_of_one_poll_are_one_text() {
        let (before, now) = (Value::Log2(-10), Some(Value::Log2(-20)));
        let changes = [
            Change { of: Trait::Precision, before, now },
            Change { of: Trait::HopLimit, before: Value::HopLimit(60), now: None },
        ];
        let (detail, words) = changes_text(&changes);
        assert!(detail.starts_with("precision: 2^-10 s (977 µs) -> 2^-20 s (954 ns); hop limit"), "{detail}");
        assert!(words.starts_with("precision was “2^-10 s (977 µs)” and is “2^-20 s (954 ns)”; hop"), "{words}");
    }
}
