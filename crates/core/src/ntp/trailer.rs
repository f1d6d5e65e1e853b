//! The extension fields and MAC that may follow the header of a packet (RFC 5905 §7.3, RFC 7822).
//!
//! They are only counted and classified, not interpreted, because this program requests neither.

use super::ParseError;

/// The extension fields and MAC of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Trailer {
    /// The number of extension fields.
    pub extension_fields: u16,
    /// The MAC after the extension fields.
    pub mac: Mac,
}

/// The kind of MAC, derived from its length alone (RFC 5905 §7.3, RFC 7822 §7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mac {
    /// No MAC.
    #[default]
    None,
    /// 4 octets: the server could not authenticate the request.
    CryptoNak,
    /// 20 octets: a key identifier and 16 octets of digest (MD5, AES-CMAC).
    Digest16,
    /// 24 octets: a key identifier and 20 octets of digest (SHA-1).
    Digest20,
}

impl Trailer {
    /// The minimum length of an extension field in octets (RFC 7822 §7.5).
    const SHORTEST_FIELD: usize = 16;

    /// Parses the octets after the header of a packet with this NTP version. Only version 4 has extension fields.
    ///
    /// # Errors
    /// [`ParseError::Trailer`] if the extension fields and MAC do not fill `octets` exactly.
    pub fn parse(version: u8, octets: &[u8]) -> Result<Self, ParseError> {
        let malformed = ParseError::Trailer { octets: octets.len() };
        let mut rest = octets;
        let mut extension_fields = 0;
        loop {
            // The last extension field without a MAC has at least 28 octets (RFC 7822 §7.5.1.4), so a rest of these
            // lengths must be a MAC.
            let mac = match rest.len() {
                0 => Mac::None,
                4 => Mac::CryptoNak,
                20 => Mac::Digest16,
                24 => Mac::Digest20,
                _ if version < 4 => return Err(malformed),
                _ => {
                    rest = Self::skip_field(rest).ok_or(malformed)?;
                    extension_fields += 1;
                    continue;
                }
            };
            return Ok(Self { extension_fields, mac });
        }
    }

    fn skip_field(octets: &[u8]) -> Option<&[u8]> {
        let [_, _, high, low, ..] = octets else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let fits = length >= Self::SHORTEST_FIELD && length.is_multiple_of(4);
        octets.get(length..).filter(|_| fits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trailer(version: u8, octets: &[u8]) -> Option<(u16, Mac)> {
        Trailer::parse(version, octets).ok().map(|trailer| (trailer.extension_fields, trailer.mac))
    }

    fn field(length: u8) -> Vec<u8> {
        let mut field = vec![0; usize::from(length)];
        field[..4].copy_from_slice(&[1, 4, 0, length]);
        field
    }

    #[test]
    fn length_identifies_mac_and_crypto_nak() {
        assert_eq!(trailer(4, &[]), Some((0, Mac::None)));
        assert_eq!(trailer(4, &[0; 4]), Some((0, Mac::CryptoNak)));
        assert_eq!(trailer(4, &[0; 20]), Some((0, Mac::Digest16)));
        assert_eq!(trailer(3, &[0; 24]), Some((0, Mac::Digest20)));
        for length in [1, 2, 3, 5, 8, 12, 16, 18, 22, 28, 36, 68] {
            assert_eq!(trailer(4, &vec![0; length]), None, "{length}");
        }
    }

    #[test]
    fn extension_fields_must_fill_the_datagram_exactly() {
        assert_eq!(trailer(4, &field(28)), Some((1, Mac::None)));
        assert_eq!(trailer(4, &[field(16), field(32)].concat()), Some((2, Mac::None)));
        assert_eq!(trailer(4, &[field(16), vec![9; 20]].concat()), Some((1, Mac::Digest16)));
        assert_eq!(trailer(3, &field(28)), None, "version 3 has no extension fields");
        assert_eq!(trailer(4, &field(28)[..27]), None);
        assert_eq!(trailer(4, &[field(28), vec![0; 3]].concat()), None);
        assert_eq!(trailer(4, &[vec![1, 4, 0, 0], vec![0; 24]].concat()), None, "a length of zero must not loop");
    }

    proptest! {
        #[test]
        fn chained_fields_are_counted(lengths in proptest::collection::vec(4_u8..=60, 1..8)) {
            // Multiples of four from 28 on, so that no remaining length equals that of a MAC.
            let lengths: Vec<u8> = lengths.into_iter().map(|n| n.max(7) * 4).collect();
            let octets: Vec<u8> = lengths.iter().flat_map(|n| field(*n)).collect();
            prop_assert_eq!(trailer(4, &octets), Some((lengths.len() as u16, Mac::None)));
        }
    }
}
