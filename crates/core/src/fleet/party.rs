//! The parties that can be at fault.

/// A party, by the index of its vantage or server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Party {
    Server(usize),
    Vantage(usize),
    /// The path between a vantage and a server.
    Cell(usize, usize),
    /// The access link of a vantage.
    Access(usize),
    /// The access link of a server.
    ServerLink(usize),
}

impl Party {
    /// Whether a finding about this party explains what `cell` shows.
    pub fn covers(self, vantage: usize, server: usize) -> bool {
        match self {
            Self::Server(it) | Self::ServerLink(it) => it == server,
            Self::Vantage(it) | Self::Access(it) => it == vantage,
            Self::Cell(v, s) => (v, s) == (vantage, server),
        }
    }

    /// Whether `party` is a path of this server or vantage.
    pub fn has_path(self, party: Self) -> bool {
        match party {
            Self::Cell(vantage, server) => self.covers(vantage, server),
            Self::Access(vantage) => self == Self::Vantage(vantage),
            Self::ServerLink(server) => self == Self::Server(server),
            Self::Server(_) | Self::Vantage(_) => false,
        }
    }
}
