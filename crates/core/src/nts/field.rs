//! Extension fields (RFC 7822): a type, a length that counts all octets, and a body.

/// Maximum number of fields in one packet. Replies with NTS have two; the limit bounds the work for a forged reply.
const MAX_FIELDS: usize = 16;
/// The octets of type and length.
pub(super) const PREFIX_LEN: usize = 4;

/// The types of NTS (RFC 8915 §7.5), as they are on the wire.
pub(super) mod kind {
    pub const UNIQUE_IDENTIFIER: u16 = 0x0104;
    pub const COOKIE: u16 = 0x0204;
    pub const PLACEHOLDER: u16 = 0x0304;
    pub const AUTHENTICATOR: u16 = 0x0404;
}

/// One extension field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The type.
    pub kind: u16,
    /// The body after type and length, with its padding.
    pub body: &'a [u8],
    /// The position of the field, counted from the first parsed octet.
    pub at: usize,
}

/// Why octets are not extension fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// A length is too short, not a multiple of four, or reaches beyond the end.
    #[error("an extension field has the length {0}")]
    Length(usize),
    /// There are too many.
    #[error("there are more than {MAX_FIELDS} extension fields")]
    TooMany,
}

/// Splits `octets` into extension fields, each of at least `shortest` octets.
///
/// # Errors
/// When they do not fill `octets` exactly, or are more than 16.
pub fn fields(octets: &[u8], shortest: usize) -> Result<Vec<Field<'_>>, FieldFault> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        let rest = &octets[at..];
        let [high, low, long, short, ..] = *rest else { return Err(FieldFault::Length(rest.len())) };
        let len = usize::from(u16::from_be_bytes([long, short]));
        let is_valid = len >= shortest.max(PREFIX_LEN) && len.is_multiple_of(4) && len <= rest.len();
        if !is_valid {
            return Err(FieldFault::Length(len));
        }
        if found.len() == MAX_FIELDS {
            return Err(FieldFault::TooMany);
        }
        found.push(Field { kind: u16::from_be_bytes([high, low]), body: &rest[PREFIX_LEN..len], at });
        at += len;
    }
    Ok(found)
}

/// Appends a field with this body, padded with zeros to a multiple of four octets. `body` has at most
/// [`Cookie::MAX_LEN`](super::Cookie::MAX_LEN) octets, or is shorter than a datagram, so the length fits.
pub(super) fn append(octets: &mut Vec<u8>, kind: u16, body: &[u8]) {
    let len = (PREFIX_LEN + body.len()).next_multiple_of(4);
    let end = octets.len() + len;
    octets.extend(kind.to_be_bytes());
    octets.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
    octets.extend(body);
    octets.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn impossible_lengths_are_refused() {
        for len in [0_u16, 3, 4, 12, 15, 18, 24, u16::MAX] {
            let mut octets = vec![0; 20];
            octets[2..4].copy_from_slice(&len.to_be_bytes());
            assert_eq!(fields(&octets, 16), Err(FieldFault::Length(usize::from(len))), "{len}");
        }
        assert_eq!(fields(&[1, 4, 0], 16), Err(FieldFault::Length(3)));
    }

    #[test]
    fn sixty_fields_are_too_many() {
        let mut octets = Vec::new();
        (0..60).for_each(|_| append(&mut octets, 9, &[0; 12]));
        assert_eq!(fields(&octets, 16), Err(FieldFault::TooMany));
        assert_eq!(fields(&octets[..16 * MAX_FIELDS], 16).map(|fields| fields.len()), Ok(MAX_FIELDS));
    }

    proptest! {
        #[test]
        fn appended_fields_are_found_again(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..90), 0..8)) {
            let mut octets = Vec::new();
            bodies.iter().for_each(|body| append(&mut octets, 7, body));
            let found = fields(&octets, 4).unwrap();
            prop_assert_eq!(found.len(), bodies.len());
            for (field, body) in found.iter().zip(&bodies) {
                prop_assert_eq!(&field.body[..body.len()], &body[..]);
                prop_assert!(field.body.len() < body.len() + 4 && octets[field.at..].starts_with(&[0, 7]));
            }
        }

        #[test]
        fn any_octets_are_parsed_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(found) = fields(&octets, 16) {
                prop_assert_eq!(found.iter().map(|field| field.body.len() + 4).sum::<usize>(), octets.len());
            }
        }
    }
}
