//! The checks of a reply, stored as named bits. The list combines the checks of chrony, ntpd-rs, beevik/ntp and RFC
//! 5905.
//!
//! Every applicable check is made, even after one has failed, so that the record shows all faults of a reply.

use std::fmt;

/// One check of a reply. The first failed check in the order of [`Check::ALL`] is the one that is reported.
///
/// The place in this list is the bit in stored rows, so new checks are appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Check {
    /// The reply came from the address and port that was asked.
    Sender,
    /// The length is at least 48 octets and a multiple of four, and the extension fields parse.
    Length,
    /// The version is 4, as in the request, or 3, which has the same header.
    Version,
    /// The mode is 4 (server).
    Mode,
    /// The origin field echoes the random cookie of our request.
    Origin,
    /// The transmit time differs from that of replies to this request that were already rejected.
    Duplicate,
    /// The reply is not a crypto-NAK; the request asked for no authentication.
    Authentication,
    /// The reply is not a kiss-o'-death (stratum 0 with a [`KissCode`](super::KissCode)). A kiss counts only if its
    /// origin matches.
    Kiss,
    /// Receive and transmit time are present.
    ZeroTimestamp,
    /// The leap indicator is not 3 and the stratum is 1 to 15.
    Synchronised,
    /// Root delay / 2 + root dispersion is below 16 s (RFC 5905 MAXDISP).
    RootDistance,
    /// The server transmitted after it received, and took at most 4 s.
    ServerTime,
    /// The reference time is not after the transmit time.
    ReferenceTime,
    /// The round trip was not negative beyond the precision of both clocks.
    Delay,
    /// The server is not synchronised to this host.
    Loop,
    /// The local clock was not stepped during the exchange.
    LocalStep,
    /// The precision exponent is not above 0: no time server has a clock that ticks in steps of more than a second.
    Precision,
    /// NTS: the extension fields parse, those in the encrypted part too.
    ExtensionFields,
    /// NTS: the reply repeats the unique identifier of the request.
    UniqueIdentifier,
    /// NTS: the authenticator verifies, so that the server that was part of the key exchange wrote every octet.
    Authenticator,
    /// NTS: the server could read the cookie. If it has lost its keys it cannot, and keys are exchanged again.
    Nak,
    /// NTS: the reply is not a plain one. A server with NTS never sends a plain reply to a request with NTS.
    Downgrade,
    /// NTS: the reply contains a cookie for the next request. A missing cookie is recorded and does not reject the
    /// reply.
    Cookie,
    /// Interleaved mode: the times of the reply fit the previous exchange, whose transmit time it states.
    Interleaved,
}

impl Check {
    /// Every check, in the order in which failures are reported. An unsynchronised server may leave its timestamps
    /// empty, and a step of the local clock makes the delay look wrong, so the checks for these causes come first.
    pub const ALL: [Self; 24] = [
        Self::Sender,
        Self::Length,
        Self::Version,
        Self::Mode,
        Self::Origin,
        Self::Duplicate,
        Self::Authentication,
        Self::ExtensionFields,
        Self::Downgrade,
        Self::UniqueIdentifier,
        Self::Nak,
        Self::Authenticator,
        Self::Kiss,
        Self::Synchronised,
        Self::ZeroTimestamp,
        Self::RootDistance,
        Self::ServerTime,
        Self::Precision,
        Self::ReferenceTime,
        Self::LocalStep,
        Self::Interleaved,
        Self::Delay,
        Self::Loop,
        Self::Cookie,
    ];

    /// The name in data files, metrics and the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Length => "length",
            Self::Version => "version",
            Self::Mode => "mode",
            Self::Origin => "origin",
            Self::Duplicate => "duplicate",
            Self::Authentication => "authentication",
            Self::Kiss => "kiss",
            Self::ZeroTimestamp => "zero-timestamp",
            Self::Synchronised => "synchronised",
            Self::RootDistance => "root-distance",
            Self::ServerTime => "server-time",
            Self::ReferenceTime => "reference-time",
            Self::Delay => "delay",
            Self::Loop => "loop",
            Self::LocalStep => "local-step",
            Self::Precision => "precision",
            Self::ExtensionFields => "extension-fields",
            Self::UniqueIdentifier => "unique-identifier",
            Self::Authenticator => "authenticator",
            Self::Nak => "nts-nak",
            Self::Downgrade => "downgrade",
            Self::Cookie => "cookie",
            Self::Interleaved => "interleaved",
        }
    }

    /// The inverse of [`Check::label`]. Also knows the names of earlier releases.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        if label == "source" {
            return Some(Self::Sender);
        }
        Self::ALL.into_iter().find(|check| check.label() == label)
    }

    /// What a failure of this check means, for readers who do not know NTP in detail.
    #[must_use]
    pub fn explain(self) -> &'static str {
        match self {
            Self::Sender => "the reply came from a different address or port than the one polled",
            Self::Length => "the reply is too short, or its length is not valid for an NTP packet",
            Self::Version => "the reply has a different NTP version than the request",
            Self::Mode => "the reply is not a server reply (mode 4)",
            Self::Origin => {
                "the reply does not match the request: its origin field is not the cookie that was sent (stale or \
                 forged)"
            }
            Self::Duplicate => "the same reply was already received and rejected",
            Self::Authentication => {
                "the server reports an authentication failure (crypto-NAK) for an unauthenticated request"
            }
            Self::Kiss => "the reply is a kiss-o'-death: the server refuses service and its timestamps are not valid",
            Self::ZeroTimestamp => "the reply has no receive or no transmit time",
            Self::Synchronised => "the server says that its clock is not synchronised",
            Self::RootDistance => {
                "the server reports a root distance of 16 s or more: it is not usable as a time source"
            }
            Self::ServerTime => "the server's transmit time is before its receive time, or more than 4 s after it",
            Self::ReferenceTime => "the server's reference time is after its transmit time",
            Self::Delay => "the round-trip delay is negative: the server's timestamps are wrong",
            Self::Loop => "the server is synchronised to this host",
            Self::LocalStep => "this host's clock was stepped during the exchange",
            Self::Precision => "the server claims a precision of more than a second: its reply is not plausible",
            Self::ExtensionFields => "the extension fields of the reply cannot be parsed",
            Self::UniqueIdentifier => {
                "the reply does not repeat the unique identifier of the request: it answers another one, or is forged"
            }
            Self::Authenticator => {
                "the authenticator does not verify: the reply was changed on the way, or another server wrote it"
            }
            Self::Nak => {
                "the server cannot read the cookie (NTS NAK): it has lost its keys, and keys must be exchanged again"
            }
            Self::Downgrade => {
                "the reply has no NTS, although the request had: the server does not support it there, or the reply is \
                 forged"
            }
            Self::Cookie => "the reply brings no new cookie; when none is left, keys must be exchanged again",
            Self::Interleaved => {
                "the reply is in interleaved mode, but does not continue the exchange before it: the server's clock \
                 was set in between, or the server is faulty"
            }
        }
    }

    /// Whether a failure is only recorded and the reply is still used.
    #[must_use]
    pub const fn is_advisory(self) -> bool {
        matches!(self, Self::Cookie)
    }

    fn bit(self) -> u32 {
        1 << (self as u8)
    }
}

/// The checks that were made on a reply, and the ones that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CheckRow {
    made: u32,
    failed: u32,
}

impl CheckRow {
    /// Records the result of one check.
    pub fn record(&mut self, check: Check, passed: bool) {
        self.made |= check.bit();
        if !passed {
            self.failed |= check.bit();
        }
    }

    /// `Some(passed)` if the check was made, otherwise `None`.
    #[must_use]
    pub fn result(self, check: Check) -> Option<bool> {
        (self.made & check.bit() != 0).then_some(self.failed & check.bit() == 0)
    }

    /// The first check that failed, in the order of [`Check::ALL`], and rejects the reply.
    #[must_use]
    pub fn first_failure(self) -> Option<Check> {
        self.failures().find(|check| !check.is_advisory())
    }

    /// All checks that failed, in the order of [`Check::ALL`].
    pub fn failures(self) -> impl Iterator<Item = Check> {
        Check::ALL.into_iter().filter(move |check| self.failed & check.bit() != 0)
    }

    /// The row as two bit masks for storage: checks made, checks failed.
    #[must_use]
    pub fn to_bits(self) -> (u32, u32) {
        (self.made, self.failed)
    }

    /// The inverse of [`CheckRow::to_bits`]; unknown bits are ignored.
    #[must_use]
    pub fn from_bits(made: u32, failed: u32) -> Self {
        let known = Check::ALL.iter().fold(0, |bits, check| bits | check.bit());
        Self { made: made & known, failed: failed & made & known }
    }
}

/// Formats as `source+ length+ origin- …`: one word for each check that was made, in order.
impl fmt::Display for CheckRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for check in Check::ALL {
            if let Some(passed) = self.result(check) {
                write!(f, "{separator}{}{}", check.label(), if passed { '+' } else { '-' })?;
                separator = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_distinguishes_passed_failed_and_skipped_checks() {
        let mut row = CheckRow::default();
        row.record(Check::Length, true);
        row.record(Check::Origin, false);
        row.record(Check::Delay, false);
        assert_eq!(row.result(Check::Length), Some(true));
        assert_eq!(row.result(Check::Mode), None);
        assert_eq!(row.first_failure(), Some(Check::Origin));
        assert_eq!(row.to_string(), "length+ origin- delay-");
        let (made, failed) = row.to_bits();
        assert_eq!(CheckRow::from_bits(made, failed), row);
    }

    #[test]
    fn bits_in_stored_rows_are_stable() {
        let bit = |check: Check| check.bit().trailing_zeros();
        assert_eq!((bit(Check::Sender), bit(Check::Synchronised), bit(Check::LocalStep)), (0, 9, 15));
        assert_eq!((bit(Check::Precision), bit(Check::ExtensionFields), bit(Check::Cookie)), (16, 17, 22));
        assert_eq!(bit(Check::Interleaved), 23);
    }

    #[test]
    fn missing_cookie_is_recorded_and_rejects_nothing() {
        let mut row = CheckRow::default();
        row.record(Check::Cookie, false);
        assert_eq!((row.first_failure(), row.failures().next()), (None, Some(Check::Cookie)));
    }

    #[test]
    fn every_check_has_a_unique_label_and_an_explanation() {
        for check in Check::ALL {
            assert_eq!(Check::parse(check.label()), Some(check));
            assert!(check.explain().len() > 20);
        }
    }
}
