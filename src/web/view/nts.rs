//! The state of NTS at one server as the API shows it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use ntp_monitor_core::nts::{Certificate, Status};
use ntp_monitor_core::stats::verdict::When;

/// The state of NTS at one server. Authentication proves which server replied, not that its time is right.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct NtsState {
    /// The key-exchange server: host and port.
    pub key_server: String,
    /// The NTP server that requests go to: the address of this row, or the one that the key exchange has named.
    pub asked: String,
    /// The negotiated algorithm.
    pub aead: Option<&'static str>,
    /// NTS cookies left; 8 is the maximum.
    pub cookies: usize,
    /// The length of a cookie in octets.
    pub cookie_octets: Option<usize>,
    /// When the last key exchange ended.
    pub exchanged: Option<When>,
    /// How long it took.
    pub exchange_s: Option<f64>,
    /// The name of the last exchange's fault; `null` if it succeeded.
    pub fault: Option<&'static str>,
    /// The last exchange's fault in words; empty if it succeeded.
    pub reason: String,
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
    /// The certificates that the key-exchange server presented, its own first, including rejected ones.
    pub certificates: Vec<CertificateRow>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct CertificateRow {
    /// The subject of the certificate.
    pub subject: String,
    /// The issuer of the certificate.
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Start of its validity.
    #[schemars(with = "String")]
    pub not_before: Timestamp,
    /// End of its validity.
    #[schemars(with = "String")]
    pub not_after: Timestamp,
    /// Days left by this host's clock; negative when it has expired.
    pub days_left: f64,
}

impl NtsState {
    /// The state at `now`, on the wall clock in nanoseconds.
    #[must_use]
    pub fn of(status: &Status, now_ns: i64) -> Self {
        let now = Timestamp::from_nanosecond(i128::from(now_ns)).unwrap_or(Timestamp::UNIX_EPOCH);
        let last = status.last.as_ref();
        Self {
            key_server: status.key_server.to_string(),
            asked: status.asked.to_string(),
            aead: status.aead.map(|aead| aead.label()),
            cookies: status.cookies,
            cookie_octets: status.cookie_len,
            exchanged: last.map(|last| When(last.at.wall_ns)),
            exchange_s: last.map(|last| last.took.as_secs_f64()),
            fault: status.fault().map(|fault| fault.label),
            reason: status.fault().map_or_else(String::new, |fault| fault.text.to_string()),
            exchanges: status.exchanges,
            failures: status.failures,
            failures_in_row: status.failures_in_row,
            naks: status.naks,
            downgrades: status.downgrades,
            certificates: last.iter().flat_map(|last| &*last.chain).map(|it| CertificateRow::of(it, now)).collect(),
        }
    }
}

impl CertificateRow {
    fn of(certificate: &Certificate, now: Timestamp) -> Self {
        Self {
            subject: certificate.subject.to_string(),
            issuer: certificate.issuer.to_string(),
            serial: certificate.serial.to_string(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            days_left: certificate.left_s(now) / 86_400.0,
        }
    }
}
