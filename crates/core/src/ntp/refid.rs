//! The reference identifier of a reply (RFC 5905 §7.3).

use serde::{Deserialize, Serialize};

use std::fmt;

/// Four octets that name a server's source: ASCII for stratum 0 and 1, otherwise an IPv4 address or the first bytes of
/// a hash of an IPv6 address. The packet does not say which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefId(pub [u8; 4]);

impl RefId {
    /// Formats for display: ASCII where the identifier is text (`GPS`, `INIT`), otherwise a dotted quad. Always
    /// printable ASCII.
    #[must_use]
    pub fn display(self, stratum: u8) -> String {
        self.text(stratum).unwrap_or_else(|| self.to_string())
    }

    /// The characters of an identifier that is text at this stratum, without the NULs or spaces that pad it.
    ///
    /// Stratum 0 and 1 have text. An unsynchronised server (stratum 16) has a code in capitals, or still the address of
    /// its last upstream.
    #[must_use]
    pub(super) fn text(self, stratum: u8) -> Option<String> {
        let padding = self.0.iter().rev().take_while(|byte| matches!(byte, 0 | b' ')).count();
        let text = &self.0[..self.0.len() - padding];
        let is_text = match stratum {
            0 | 1 => text.iter().all(u8::is_ascii_graphic),
            2..=15 => false,
            _ => text.iter().all(u8::is_ascii_uppercase),
        };
        (is_text && !text.is_empty()).then(|| text.iter().copied().map(char::from).collect())
    }

    /// The inverse of [`RefId::display`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(quad) = text.parse::<std::net::Ipv4Addr>() {
            return Some(Self(quad.octets()));
        }
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > 4 || !bytes.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut refid = [0; 4];
        refid[..bytes.len()].copy_from_slice(bytes);
        Some(Self(refid))
    }
}

/// Always formats as a dotted quad.
impl fmt::Display for RefId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refid_is_ascii_at_stratum_1_and_an_address_above() {
        assert_eq!(RefId(*b"GPS\0").display(1), "GPS");
        assert_eq!(RefId([192, 0, 2, 1]).display(2), "192.0.2.1");
        assert_eq!(RefId(*b"GPS\0").display(2), "71.80.83.0");
    }

    #[test]
    fn padding_is_not_shown() {
        assert_eq!(RefId(*b"FB  ").display(1), "FB");
        assert_eq!(RefId(*b"FB \0").display(1), "FB");
        assert_eq!(RefId(*b"    ").display(1), "32.32.32.32");
    }

    #[test]
    fn code_of_an_unsynchronised_server_is_text() {
        assert_eq!(RefId(*b"INIT").display(16), "INIT");
        assert_eq!(RefId([192, 0, 2, 1]).display(16), "192.0.2.1");
        assert_eq!(RefId([65, 46, 48, 1]).display(16), "65.46.48.1");
    }

    #[test]
    fn display_and_parse_round_trip() {
        for (refid, stratum) in [(RefId(*b"PPS\0"), 1), (RefId([10, 0, 0, 255]), 3), (RefId([0; 4]), 1)] {
            assert_eq!(RefId::parse(&refid.display(stratum)), Some(refid));
        }
    }

    #[test]
    fn control_characters_are_never_shown() {
        assert_eq!(RefId(*b"G\x1bS\0").display(1), "71.27.83.0");
    }
}
