//! The reference identifier of a reply (RFC 5905 §7.3).

use std::fmt;

/// Four octets that name a server's source: ASCII for stratum 0 and 1, otherwise an IPv4 address or the first bytes of
/// a hash of an IPv6 address. The packet does not say which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefId(pub [u8; 4]);

impl RefId {
    /// Formats for display: ASCII at stratum 0 and 1 (`GPS`), a dotted quad at higher strata. Always printable ASCII.
    #[must_use]
    pub fn display(self, stratum: u8) -> String {
        let bytes = self.0;
        let text: Vec<u8> = bytes.iter().copied().take_while(|b| *b != 0).collect();
        let is_text = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
        if stratum <= 1 && is_text {
            return text.into_iter().map(char::from).collect();
        }
        self.to_string()
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
