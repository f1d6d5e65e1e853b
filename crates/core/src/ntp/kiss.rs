//! Kiss codes (RFC 5905 §7.4).

use std::fmt;

/// The four ASCII characters of a kiss-o'-death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KissCode([u8; 4]);

impl KissCode {
    /// "Slow down."
    pub const RATE: Self = Self(*b"RATE");
    /// "Access denied, stop."
    pub const DENY: Self = Self(*b"DENY");
    /// "Access restricted, stop."
    pub const RSTR: Self = Self(*b"RSTR");

    /// Creates a code from the reference identifier of a stratum 0 reply. Bytes that are not printable ASCII become
    /// `?`, so that a server cannot put control characters into logs and labels. Trailing NULs are not shown.
    #[must_use]
    pub fn from_refid(refid: [u8; 4]) -> Self {
        Self(refid.map(|b| if b.is_ascii_graphic() || b == 0 { b } else { b'?' }))
    }

    /// The inverse of `Display`: one to four printable ASCII characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() > 4 || !bytes.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut code = [0; 4];
        code[..bytes.len()].copy_from_slice(bytes);
        Some(Self(code))
    }

    /// Whether the server refuses all further requests (DENY or RSTR).
    #[must_use]
    pub fn is_denial(self) -> bool {
        self == Self::DENY || self == Self::RSTR
    }
}

impl fmt::Display for KissCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().filter(|b| **b != 0).try_for_each(|b| write!(f, "{}", char::from(*b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unprintable_bytes_are_replaced() {
        let code = KissCode::from_refid([b'A', b'\n', 0xff, 0]);
        assert_eq!(code.to_string(), "A??");
        assert_eq!(KissCode::parse(&code.to_string()), Some(code));
    }

    #[test]
    fn only_deny_and_rstr_are_denials() {
        assert!(KissCode::from_refid(*b"DENY").is_denial());
        assert!(KissCode::from_refid(*b"RSTR").is_denial());
        assert!(!KissCode::from_refid(*b"RATE").is_denial());
    }
}
