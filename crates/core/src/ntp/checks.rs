//! The checks of a reply, as a row of named bits (the list of chrony, ntpd-rs, beevik/ntp and RFC 5905 taken together).
//!
//! All checks that can be made are made, also after one has failed: the row is the evidence that a person reads.

use std::fmt;

/// One test of a reply. The order is the order in which a failure is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Check {
    /// The reply came from the address and port that was asked.
    Source,
    /// At least 48 octets, a multiple of four, extension fields that parse.
    Length,
    /// Version 4, as was sent, or 3, whose header is the same.
    Version,
    /// Mode 4, server.
    Mode,
    /// The origin field echoes the random cookie of our request.
    Origin,
    /// Not a reply to this request that was refused before: the transmit time differs.
    Duplicate,
    /// No MAC or extension that we did not ask for claims to fail (crypto-NAK).
    Authentication,
    /// Not a kiss-o'-death: stratum 0 with a printable code. Only one whose origin matches is believed.
    Kiss,
    /// Receive and transmit time are present.
    ZeroTimestamp,
    /// Leap indicator not 3 and stratum 1 to 15.
    Synchronised,
    /// Root delay / 2 + root dispersion below 16 s (RFC 5905 MAXDISP).
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
}

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 16] = [
        Self::Source,
        Self::Length,
        Self::Version,
        Self::Mode,
        Self::Origin,
        Self::Duplicate,
        Self::Authentication,
        Self::Kiss,
        Self::ZeroTimestamp,
        Self::Synchronised,
        Self::RootDistance,
        Self::ServerTime,
        Self::ReferenceTime,
        Self::Delay,
        Self::Loop,
        Self::LocalStep,
    ];

    /// The name in data files, metrics and the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Source => "source",
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
        }
    }

    /// The inverse of [`Check::label`].
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.label() == label)
    }

    /// What a failure means, in words for a person who did not write an NTP client.
    #[must_use]
    pub fn explain(self) -> &'static str {
        match self {
            Self::Source => "the reply came from another address or port than the one asked",
            Self::Length => "the reply is too short, or its length is not that of an NTP packet",
            Self::Version => "the reply speaks another version of NTP than the request",
            Self::Mode => "the reply is not a server's answer (mode 4)",
            Self::Origin => {
                "the reply does not answer our request: its origin field is not our cookie (stale or forged)"
            }
            Self::Duplicate => "the same reply again, after it was refused",
            Self::Authentication => "the server says that authentication failed (crypto-NAK), but none was asked for",
            Self::Kiss => "a kiss-o'-death: the server refuses service, its timestamps mean nothing",
            Self::ZeroTimestamp => "the reply lacks its receive or transmit time",
            Self::Synchronised => "the server says that its clock is not synchronised",
            Self::RootDistance => "the server claims to be 16 s or more from its reference: no use as a time source",
            Self::ServerTime => "the server's transmit time is before its receive time, or more than 4 s after it",
            Self::ReferenceTime => "the server's clock was last set in its own future",
            Self::Delay => "the round trip came out negative: the server's timestamps cannot be right",
            Self::Loop => "the server takes its time from this host",
            Self::LocalStep => "the clock of this host was stepped while the request was under way",
        }
    }

    fn bit(self) -> u32 {
        1 << (self as u8)
    }
}

/// Which checks were made on a reply, and which of them failed.
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

    /// `Some(passed)` when the check was made.
    #[must_use]
    pub fn result(self, check: Check) -> Option<bool> {
        (self.made & check.bit() != 0).then_some(self.failed & check.bit() == 0)
    }

    /// The first check that failed, in the order of [`Check::ALL`].
    #[must_use]
    pub fn first_failure(self) -> Option<Check> {
        self.failures().next()
    }

    /// Every check that failed.
    pub fn failures(self) -> impl Iterator<Item = Check> {
        Check::ALL.into_iter().filter(move |check| self.failed & check.bit() != 0)
    }

    /// The row as two words for storage: made and failed.
    #[must_use]
    pub fn to_bits(self) -> (u32, u32) {
        (self.made, self.failed)
    }

    /// The inverse of [`CheckRow::to_bits`]; unknown bits are dropped.
    #[must_use]
    pub fn from_bits(made: u32, failed: u32) -> Self {
        let known = Check::ALL.iter().fold(0, |bits, check| bits | check.bit());
        Self { made: made & known, failed: failed & made & known }
    }
}

/// `source+ length+ origin- …`: one word a check, in order; what was not made is left out.
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
    fn the_row_keeps_what_was_made_apart_from_what_failed() {
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
    fn every_check_has_a_label_of_its_own_and_an_explanation() {
        for check in Check::ALL {
            assert_eq!(Check::parse(check.label()), Some(check));
            assert!(check.explain().len() > 20);
        }
    }
}
