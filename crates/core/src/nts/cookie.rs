//! A cookie: octets from the server, which are sent back to it once.

use std::fmt;

/// A cookie that has not been used. It is not `Clone`, so that none is used twice.
#[derive(PartialEq, Eq)]
pub struct Cookie(Box<[u8]>);

impl Cookie {
    /// Maximum length of a cookie in octets; usual ones have about 100. A longer one would not fit into a request that
    /// is not fragmented.
    pub const MAX_LEN: usize = 1024;

    /// A cookie of these octets; `None` if there are none, or more than [`Cookie::MAX_LEN`].
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        (1..=Self::MAX_LEN).contains(&octets.len()).then(|| Self(octets.into()))
    }

    /// The content.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({} octets)", self.0.len())
    }
}
