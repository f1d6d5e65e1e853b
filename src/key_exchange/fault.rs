//! Why a key exchange failed: a label for metrics and alerts, and a sentence for people.

use std::io::{self, ErrorKind};

use jiff::Timestamp;
use ntp_monitor_core::nts::{KeyFault, RecordFault};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use crate::outbound::short;

/// Why a key exchange failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeFault {
    /// The name of the server did not resolve.
    #[error("{0}")]
    Dns(String),
    /// The deadline passed.
    #[error("no complete answer within {seconds} s ({stage})")]
    Timeout {
        seconds: u64,
        /// The step that was in progress.
        stage: &'static str,
    },
    #[error("the server refuses TCP connections at that port: does it serve NTS?")]
    Refused,
    #[error("the server closed the connection {0}")]
    Closed(&'static str),
    #[error("the server or a firewall reset the connection {0}")]
    Reset(&'static str),
    #[error("the connection failed: {0}")]
    Io(String),
    #[error("the certificate expired on {0}")]
    Expired(String),
    #[error("the certificate is valid from {0} only")]
    NotYetValid(String),
    #[error("the certificate is for {presented}, not for {expected}")]
    WrongName { expected: String, presented: String },
    #[error("the certificate is signed by an authority that this host does not trust; for one of your own, set nts_ca")]
    UnknownAuthority,
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    #[error("the server does not offer the protocol ntske/1: it is no key-exchange server")]
    NoProtocol,
    #[error("the server does not support TLS 1.3, which NTS requires")]
    OldTls,
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("{0}")]
    Trust(&'static str),
    #[error("{0}")]
    Record(#[from] RecordFault),
}

impl ExchangeFault {
    /// The name of the fault in metrics and the API.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Timeout { .. } => "timeout",
            Self::Refused => "refused",
            Self::Closed(_) => "closed",
            Self::Reset(_) => "reset",
            Self::Io(_) => "io",
            Self::Expired(_) => KeyFault::EXPIRED,
            Self::NotYetValid(_) => KeyFault::NOT_YET_VALID,
            Self::WrongName { .. } => "certificate-wrong-name",
            Self::UnknownAuthority => "certificate-unknown-authority",
            Self::Certificate(_) => "certificate",
            Self::NoProtocol => "no-alpn",
            Self::OldTls => "tls-version",
            Self::Tls(_) => "tls",
            Self::Trust(_) => "no-trust",
            Self::Record(fault) => record_label(*fault),
        }
    }

    /// The fault for an error of the connection during `stage`.
    pub(super) fn of(error: &io::Error, stage: &'static str) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return Self::of_tls(tls);
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Self::Reset(stage),
            ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Self::Closed(stage),
            _ => Self::Io(short(&error.to_string())),
        }
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(why) => Self::of_certificate(why),
            Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::NoProtocol
            }
            Error::PeerIncompatible(_) | Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::OldTls,
            other => Self::Tls(short(&other.to_string())),
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired(date(*not_after)),
            CertificateError::NotValidYetContext { not_before, .. } => Self::NotYetValid(date(*not_before)),
            CertificateError::NotValidForNameContext { expected, presented } => {
                let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
                Self::WrongName { expected: expected.to_str().into_owned(), presented: short(&names.join(", ")) }
            }
            // Another authority of the same name, for example one that was created again.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
            other => Self::Certificate(short(&other.to_string())),
        }
    }
}

const fn record_label(fault: RecordFault) -> &'static str {
    match fault {
        RecordFault::Error(_) => "error-record",
        RecordFault::Warning(_) => "warning-record",
        RecordFault::UnknownCritical(_) => "unknown-record",
        RecordFault::NoCommonProtocol => "no-protocol",
        RecordFault::NoCommonAead => "no-aead",
        RecordFault::NoCookies => "no-cookies",
        RecordFault::Invalid(_) | RecordFault::Repeated(_) => "invalid-record",
        RecordFault::LongRecord { .. } | RecordFault::TooMuch => "too-long",
        RecordFault::Truncated => "truncated",
    }
}

/// A name of a certificate without its kind: rustls writes `DnsName("a.example")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(name, |inner| inner.trim_matches('"'))
}

fn date(time: UnixTime) -> String {
    let second = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(second).map_or_else(|_| "a date out of range".to_owned(), |at| at.to_string())
}
