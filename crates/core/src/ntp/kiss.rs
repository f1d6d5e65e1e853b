//! The codes that a server sends in place of a reference identifier (RFC 5905 §7.4).

use std::fmt;

use super::RefId;

/// A code that asks the client to change its behaviour: a kiss-o'-death. All other codes are a [`StatusCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KissCode(&'static str);

impl KissCode {
    /// "Slow down."
    pub const RATE: Self = Self("RATE");
    /// "Access denied, stop."
    pub const DENY: Self = Self("DENY");
    /// "Access restricted, stop."
    pub const RSTR: Self = Self("RSTR");
    /// "Your cookies are no longer valid" (Network Time Security, RFC 8915 §5.7).
    pub const NTSN: Self = Self("NTSN");

    /// Every code.
    pub const ALL: [Self; 4] = [Self::RATE, Self::DENY, Self::RSTR, Self::NTSN];

    /// The code in the reference identifier of a stratum 0 reply; `None` for any other text.
    #[must_use]
    pub fn from_refid(refid: RefId) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.0.as_bytes() == refid.0)
    }

    /// The code as text.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.0
    }

    /// What the server says with it, as a clause for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self.0 {
            "RATE" => "the server asks for fewer requests (kiss code RATE)",
            "DENY" => "the server refuses to serve this host (kiss code DENY)",
            "RSTR" => "the server refuses to serve this host (kiss code RSTR)",
            _ => "the server does not know the cookies of this client (kiss code NTSN)",
        }
    }

    /// The code as it is in a packet.
    #[must_use]
    pub fn octets(self) -> [u8; 4] {
        // Every code has four letters.
        self.0.as_bytes().first_chunk().copied().unwrap_or_default()
    }

    /// The inverse of `Display`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.0 == text)
    }

    /// Whether the server refuses all further requests (DENY or RSTR).
    #[must_use]
    pub fn is_denial(self) -> bool {
        self == Self::DENY || self == Self::RSTR
    }
}

impl fmt::Display for KissCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Why a server is not synchronised, in one to four printable characters: `INIT`, `STEP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusCode(RefId);

impl StatusCode {
    /// The code in the reference identifier of a reply of this stratum. `None` where the field names an upstream, and
    /// if it contains anything but printable ASCII.
    #[must_use]
    pub fn from_refid(refid: RefId, stratum: u8) -> Option<Self> {
        let is_code = stratum == 0 || stratum > 15;
        (is_code && refid.text(stratum).is_some()).then_some(Self(refid))
    }

    /// The inverse of `Display`: one to four printable ASCII characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_text = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mut refid = [0; 4];
        is_text.then(|| refid[..text.len()].copy_from_slice(text.as_bytes()))?;
        Some(Self(RefId(refid)))
    }

    /// What the code means, as the end of a sentence about the server; `None` for unknown codes.
    #[must_use]
    pub fn meaning(self) -> Option<&'static str> {
        Some(match self.to_string().as_str() {
            "INIT" => "it has not synchronised since it started",
            "STEP" => "its clock was stepped, and it has not synchronised since",
            "DROP" => "it has lost its own source",
            "AUTH" | "CRYP" => "authentication failed",
            "NKEY" => "it has no key for this client",
            _ => return None,
        })
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text(0).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_change_behaviour_are_kisses() {
        for code in KissCode::ALL {
            assert_eq!(KissCode::parse(&code.to_string()), Some(code));
        }
        assert_eq!(KissCode::from_refid(RefId(*b"RSTR")), Some(KissCode::RSTR));
        for other in [b"INIT", b"STEP", b"XYZW", b"rate"] {
            assert_eq!(KissCode::from_refid(RefId(*other)), None);
        }
    }

    #[test]
    fn only_deny_and_rstr_are_denials() {
        let denials = KissCode::ALL.into_iter().filter(|code| code.is_denial());
        assert_eq!(denials.collect::<Vec<_>>(), [KissCode::DENY, KissCode::RSTR]);
    }

    #[test]
    fn status_code_is_text_of_an_unusable_stratum() {
        let code = |refid: &[u8; 4], stratum| StatusCode::from_refid(RefId(*refid), stratum).map(|c| c.to_string());
        assert_eq!(code(b"INIT", 0), Some("INIT".into()));
        assert_eq!(code(b"STEP", 16), Some("STEP".into()));
        assert_eq!(code(b"A\0\0\0", 0), Some("A".into()));
        assert_eq!(code(b"GPS\0", 1), None, "a working source");
        assert_eq!(code(&[192, 0, 2, 1], 16), None, "the last upstream");
        assert_eq!(code(b"A\n\xff\0", 0), None, "control characters never reach logs and labels");
        assert_eq!(code(&[0; 4], 0), None);
    }

    #[test]
    fn status_code_is_read_back_from_its_text() {
        assert_eq!(StatusCode::parse("INIT"), StatusCode::from_refid(RefId(*b"INIT"), 0));
        assert_eq!(StatusCode::parse("A").map(|code| code.to_string()), Some("A".into()));
        for bad in ["", "too long", "A B", "ä"] {
            assert_eq!(StatusCode::parse(bad), None, "{bad}");
        }
    }
}
