//! The state of NTS at one target, which each sample contains.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Aead, Certificate};
use crate::clock::Stamp;

/// The state of NTS at one target when a poll ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The key-exchange server: host and port.
    pub key_server: Arc<str>,
    /// The destination of requests: the configured address, or the one from the key exchange.
    pub asked: SocketAddr,
    /// The negotiated algorithm, once keys were exchanged.
    pub aead: Option<Aead>,
    /// Cookies left.
    pub cookies: usize,
    /// The length of a cookie in octets.
    pub cookie_len: Option<usize>,
    /// The last key exchange.
    pub last: Option<LastExchange>,
    /// Key exchanges since start, including failed ones.
    pub exchanges: u64,
    /// Failed key exchanges since start.
    pub failures: u64,
    /// Failed key exchanges since the last successful one.
    pub failures_in_row: u32,
    /// How often the server could not read a cookie, since start.
    pub naks: u64,
    /// Requests since start that were answered without NTS.
    pub downgrades: u64,
}

/// The last key exchange of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct LastExchange {
    /// When it ended.
    pub at: Stamp,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub fault: Option<KeyFault>,
    /// The certificates of the last key exchange in which the server sent any, its own first.
    pub chain: Arc<[Certificate]>,
}

/// Why a key exchange failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFault {
    /// The name of the fault in metrics and the API.
    pub label: &'static str,
    /// The fault as a sentence without a full stop.
    pub text: Arc<str>,
}

impl KeyFault {
    /// The label of an expired certificate.
    pub const EXPIRED: &'static str = "certificate-expired";
    /// The label of a certificate that is not valid yet.
    pub const NOT_YET_VALID: &'static str = "certificate-not-yet-valid";

    /// Whether a wrong clock of this host could cause the fault.
    #[must_use]
    pub fn depends_on_clock(&self) -> bool {
        matches!(self.label, Self::EXPIRED | Self::NOT_YET_VALID)
    }
}

impl Status {
    /// The certificate of the server itself.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.last.as_ref()?.chain.first()
    }

    /// Why the last key exchange failed, if it did.
    #[must_use]
    pub fn fault(&self) -> Option<&KeyFault> {
        self.last.as_ref()?.fault.as_ref()
    }

    /// How many seconds `now` is outside of the validity of a certificate that was refused for this reason: positive if
    /// it has expired, negative if it is not valid yet. `None` for other faults.
    #[must_use]
    pub fn outside_s(&self, now: Timestamp) -> Option<f64> {
        let (fault, certificate) = (self.fault()?, self.certificate()?);
        let seconds = |until: Timestamp| now.duration_since(until).as_secs_f64();
        match fault.label {
            KeyFault::EXPIRED => Some(seconds(certificate.not_after)),
            KeyFault::NOT_YET_VALID => Some(seconds(certificate.not_before)),
            _ => None,
        }
    }

    /// Whether the proven error of this host's clock explains the fault: the clock is ahead by more than the time since
    /// the certificate's expiry, or behind by more than the time until its validity. `ahead_s` is the proven part of
    /// the error, positive when this host's clock is ahead of true time.
    #[must_use]
    pub fn is_explained_by_clock(&self, now: Timestamp, ahead_s: f64) -> bool {
        self.outside_s(now)
            .is_some_and(|outside_s| ahead_s.signum() == outside_s.signum() && ahead_s.abs() > outside_s.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(label: &'static str) -> Status {
        let at = |second| Timestamp::from_second(second).unwrap();
        let text = || "".into();
        let (not_before, not_after) = (at(1000), at(2000));
        let certificate = Certificate { subject: text(), issuer: text(), serial: text(), not_before, not_after };
        let fault = Some(KeyFault { label, text: "".into() });
        let last = LastExchange { at: Stamp::new(0, 0, 0), took: Duration::ZERO, fault, chain: [certificate].into() };
        Status {
            key_server: "a:4460".into(),
            asked: ([192, 0, 2, 1], 123).into(),
            aead: None,
            cookies: 0,
            cookie_len: None,
            last: Some(last),
            exchanges: 1,
            failures: 1,
            failures_in_row: 1,
            naks: 0,
            downgrades: 0,
        }
    }

    #[test]
    fn wrong_clock_explains_a_certificate_only_beyond_the_margin() {
        let explained =
            |label, now, ahead_s| status(label).is_explained_by_clock(Timestamp::from_second(now).unwrap(), ahead_s);
        assert!(explained(KeyFault::EXPIRED, 2100, 150.0));
        assert!(!explained(KeyFault::EXPIRED, 2100, 50.0), "the certificate would still have expired");
        assert!(!explained(KeyFault::EXPIRED, 2100, -150.0), "the clock is behind");
        assert!(explained(KeyFault::NOT_YET_VALID, 900, -150.0));
        assert!(!explained(KeyFault::NOT_YET_VALID, 900, -50.0) && !explained("refused", 2100, 150.0));
        assert!(!status("refused").fault().unwrap().depends_on_clock());
    }
}
