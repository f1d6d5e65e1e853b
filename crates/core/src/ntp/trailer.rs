//! What may follow the header of a packet: extension fields and a MAC (RFC 5905 §7.3, RFC 7822).
//!
//! They are recognised and measured, not interpreted: this program asks for neither.

use super::ParseError;

/// What follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Trailer {
    /// How many extension fields there are.
    pub extension_fields: u16,
    /// What follows them.
    pub mac: Mac,
}

/// The end of a packet, told by its length alone (RFC 5905 §7.3, RFC 7822 §7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mac {
    /// Nothing.
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
    /// No version before 4 has extension fields; RFC 7822 §7.5 says that none is shorter.
    const SHORTEST_FIELD: usize = 16;

    /// Measures what follows the header of a packet of `version`.
    ///
    /// # Errors
    /// [`ParseError::Trailer`] when the lengths do not add up.
    pub fn parse(version: u8, octets: &[u8]) -> Result<Self, ParseError> {
        let malformed = ParseError::Trailer { octets: octets.len() };
        let mut rest = octets;
        let mut extension_fields = 0;
        loop {
            // A last field without MAC has at least 28 octets, so these lengths cannot be a field (RFC 7822 §7.5.1.4).
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
    fn the_length_tells_a_mac_and_a_crypto_nak() {
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
            // Multiples of four from 28: no tail of such a chain is as short as a MAC.
            let lengths: Vec<u8> = lengths.into_iter().map(|n| n.max(7) * 4).collect();
            let octets: Vec<u8> = lengths.iter().flat_map(|n| field(*n)).collect();
            prop_assert_eq!(trailer(4, &octets), Some((lengths.len() as u16, Mac::None)));
        }
    }
}
