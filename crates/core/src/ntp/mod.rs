//! The NTP protocol (RFC 5905): packets, timestamps, the checks of a reply, and the arithmetic of one exchange.
//!
//! Pure functions: no I/O, no clock, no actors.

mod checks;
pub mod exchange;
mod kiss;
pub mod packet;
mod refid;
mod short;
mod timestamp;
mod trailer;

pub use checks::{Check, CheckRow};
pub use exchange::{Exchange, RootDistance};
pub use kiss::{KissCode, StatusCode};
pub use packet::{Mode, Packet, ParseError};
pub use refid::RefId;
pub use short::NtpShort;
pub use timestamp::NtpTimestamp;
pub use trailer::{Mac, Trailer};

use serde::{Deserialize, Serialize};

/// The leap indicator of a reply (RFC 5905 §7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Leap {
    /// 0: no leap second is announced.
    None,
    /// 1: the last minute of the day has 61 seconds.
    Insert,
    /// 2: the last minute of the day has 59 seconds.
    Delete,
    /// 3: the server's clock is not synchronised.
    Unknown,
}

impl Leap {
    /// Decodes the leap indicator; only the lowest two bits are used.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::None,
            1 => Self::Insert,
            2 => Self::Delete,
            _ => Self::Unknown,
        }
    }

    /// The value in the packet, 0 to 3; data files and metrics use the same number.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Insert => 1,
            Self::Delete => 2,
            Self::Unknown => 3,
        }
    }
}
