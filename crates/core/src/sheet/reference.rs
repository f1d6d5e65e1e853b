//! The meaning of a server's reference identifier.

use serde::{Deserialize, Serialize};

use crate::ntp::RefId;

/// What a reference identifier means at its stratum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// A code for a reference clock, at stratum 1.
    Clock,
    /// The server's own clock without a source: `LOCL`, or 127.127.1.x as ntpd and chrony send it.
    OwnClock,
    /// The IPv4 address of an upstream, or the first octets of the hash of an IPv6 address; both look alike.
    Upstream,
    /// The same, but no server can have this IPv4 address, so it is a hash.
    Hash,
    /// ntpd's sign that the server smears leap seconds (254.x.x.x).
    Smear,
    /// Four zero octets.
    Empty,
}

impl Reference {
    /// The meaning of `refid` at `stratum`, 1 to 15.
    #[must_use]
    pub fn of(refid: RefId, stratum: u8) -> Self {
        match (stratum, refid.0) {
            (_, [0, 0, 0, 0]) => Self::Empty,
            (0 | 1, code) if &code == b"LOCL" => Self::OwnClock,
            (_, [127, 127, 1, _]) => Self::OwnClock,
            (0 | 1, _) => Self::Clock,
            (_, [254, ..]) => Self::Smear,
            (_, [0 | 127 | 224..=255, ..]) => Self::Hash,
            _ => Self::Upstream,
        }
    }
}

/// The source that a code at stratum 1 names (RFC 5905 §7.3 and codes in wide use).
#[must_use]
pub fn source_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "GPS" => "Global Positioning System",
        "GAL" => "Galileo",
        "GLO" | "GLON" => "GLONASS",
        "BDS" => "BeiDou",
        "GNSS" | "MGNS" => "satellites of several systems",
        "GOES" => "Geostationary Orbit Environment Satellite",
        "PPS" => "a pulse per second (PPS)",
        "PTP" => "Precision Time Protocol",
        "PHC" => "the clock of a network card",
        "IRIG" => "Inter-Range Instrumentation Group time code",
        "ATOM" | "CS" | "CESM" | "RB" | "RUBD" => "an atomic clock",
        "DCF" | "DCFa" | "DCFp" | "DCF7" => "radio of Mainflingen, Germany",
        "MSF" => "radio of Anthorn, United Kingdom",
        "TDF" => "radio of Allouis, France",
        "HBG" => "radio of Prangins, Switzerland",
        "JJY" => "radio of Japan",
        "WWV" => "radio of Ft. Collins, United States",
        "WWVB" => "long-wave radio of Ft. Collins, United States",
        "WWVH" => "radio of Kauai, Hawaii",
        "CHU" => "radio of Ottawa, Canada",
        "LORC" => "LORAN-C",
        "ACTS" | "NIST" => "NIST, United States",
        "USNO" => "US Naval Observatory",
        "PTB" => "PTB, Germany",
        "NMIJ" | "NICT" => "national laboratory of Japan",
        "GOOG" => "Google, with smeared leap seconds",
        "SHM" | "SHM0" => "another program through shared memory",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meaning_depends_on_the_stratum() {
        let meaning = |octets: &[u8; 4], stratum| Reference::of(RefId(*octets), stratum);
        assert_eq!(meaning(b"GPS\0", 1), Reference::Clock);
        assert_eq!(meaning(b"GPS\0", 2), Reference::Upstream, "71.80.83.0 is an address");
        assert_eq!((meaning(b"LOCL", 1), meaning(&[127, 127, 1, 1], 5)), (Reference::OwnClock, Reference::OwnClock));
        assert_eq!(meaning(&[192, 0, 2, 1], 2), Reference::Upstream);
        assert_eq!(meaning(&[240, 1, 2, 3], 2), Reference::Hash);
        assert_eq!((meaning(&[254, 128, 0, 0], 2), meaning(&[0; 4], 3)), (Reference::Smear, Reference::Empty));
    }
}
