//! The records of the key exchange (RFC 8915 §4): the request of a client over TLS, and the answer of the server.

use super::{Aead, Cookie, FULL_STOCK};

/// Octets of type and length before the body of a record.
const PREFIX_LEN: usize = 4;
/// Maximum length of a body; a longer one is refused before it is read. Cookies have about 100 octets, names at most
/// 253.
const MAX_BODY_LEN: usize = 4096;
/// All records of an answer together; a usual one has about 900 octets.
const MAX_OCTETS: usize = 32 * 1024;
const MAX_RECORDS: usize = 128;
const MAX_NAME_LEN: usize = 253;
/// The number of NTPv4 among the next protocols.
const NTPV4: u16 = 0;
const CRITICAL: u16 = 0x8000;

mod kind {
    pub const END_OF_MESSAGE: u16 = 0;
    pub const NEXT_PROTOCOL: u16 = 1;
    pub const ERROR: u16 = 2;
    pub const WARNING: u16 = 3;
    pub const AEAD: u16 = 4;
    pub const COOKIE: u16 = 5;
    pub const SERVER: u16 = 6;
    pub const PORT: u16 = 7;
}

/// The name of the protocol that TLS must agree on (ALPN).
pub const PROTOCOL_NAME: &[u8] = b"ntske/1";
/// The TCP port of key exchange.
pub const PORT: u16 = 4460;

/// The result of the negotiation.
#[derive(Debug, PartialEq, Eq)]
pub struct Agreement {
    /// How requests and replies are authenticated.
    pub aead: Aead,
    /// The first cookies: one at least, at most [`FULL_STOCK`].
    pub cookies: Vec<Cookie>,
    /// The NTP server to ask: a name or an address. `None` for the host of the key exchange.
    pub server: Option<String>,
    /// The UDP port of the NTP server. `None` for 123.
    pub port: Option<u16>,
}

/// Why the answer of a key-exchange server cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// An error record.
    #[error("the server reports error {0} ({meaning})", meaning = error_meaning(*.0))]
    Error(u16),
    /// A warning record. None is defined, so that each must be treated as an error (RFC 8915 §4.1.4).
    #[error("the server sends warning {0}, which is not defined")]
    Warning(u16),
    /// An unknown record that the server marked as critical.
    #[error("the server requires support for record type {0}, which is not defined")]
    UnknownCritical(u16),
    /// The server does not support NTPv4, or did not say so.
    #[error("the server does not offer NTPv4 with NTS")]
    NoCommonProtocol,
    /// The server has none of the algorithms that were offered.
    #[error("the server has none of the offered algorithms: AES-SIV-CMAC-256, AES-SIV-CMAC-512")]
    NoCommonAead,
    /// The server gave no cookie of a usable length.
    #[error("the server gave no usable cookie")]
    NoCookies,
    /// A record with an invalid body.
    #[error("record type {0} has an invalid body")]
    Invalid(u16),
    /// A record that must not be repeated.
    #[error("record type {0} occurs twice")]
    Repeated(u16),
    /// A record with a body that is too long.
    #[error("record type {kind} has {octets} octets, more than {MAX_BODY_LEN}")]
    LongRecord {
        /// The type of the record.
        kind: u16,
        /// The length of its body in octets.
        octets: usize,
    },
    /// More octets or records than an answer needs.
    #[error("the answer has more than {MAX_RECORDS} records or {MAX_OCTETS} octets")]
    TooMuch,
    /// The connection ended before the end of the message.
    #[error("the answer ends before its last record")]
    Truncated,
}

fn error_meaning(code: u16) -> &'static str {
    match code {
        0 => "unrecognised critical record",
        1 => "bad request",
        2 => "internal server error",
        _ => "not defined",
    }
}

/// The request of a client: NTPv4, the algorithms in order of preference, and the end of the message.
#[must_use]
pub fn request() -> Vec<u8> {
    let mut octets = Vec::new();
    append(&mut octets, CRITICAL | kind::NEXT_PROTOCOL, &NTPV4.to_be_bytes());
    let algorithms: Vec<u8> = Aead::OFFERED.iter().flat_map(|aead| aead.number().to_be_bytes()).collect();
    append(&mut octets, CRITICAL | kind::AEAD, &algorithms);
    append(&mut octets, CRITICAL | kind::END_OF_MESSAGE, &[]);
    octets
}

fn append(octets: &mut Vec<u8>, kind: u16, body: &[u8]) {
    octets.extend(kind.to_be_bytes());
    octets.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    octets.extend(body);
}

/// Reads the answer of a server as it arrives. Records may come in any order; only the end of the message is last.
#[derive(Debug, Default)]
pub struct Reader {
    unread: Vec<u8>,
    octets: usize,
    records: usize,
    has_protocol: bool,
    aead: Option<Aead>,
    cookies: Vec<Cookie>,
    server: Option<String>,
    port: Option<u16>,
}

impl Reader {
    /// Adds the next octets. Returns the agreement once the message is complete; octets after it are ignored.
    ///
    /// # Errors
    /// As soon as it is certain that the answer cannot be used.
    pub fn push(&mut self, octets: &[u8]) -> Result<Option<Agreement>, RecordFault> {
        self.unread.extend(octets);
        self.octets += octets.len();
        let mut at = 0;
        while let Some((kind, body)) = next_record(&self.unread[at..])? {
            at += PREFIX_LEN + body.len();
            if kind & !CRITICAL == kind::END_OF_MESSAGE {
                return self.conclude().map(Some);
            }
            self.records += 1;
            if self.records > MAX_RECORDS {
                return Err(RecordFault::TooMuch);
            }
            let body = body.to_vec();
            self.record(kind, &body)?;
        }
        self.unread.drain(..at);
        if self.octets > MAX_OCTETS { Err(RecordFault::TooMuch) } else { Ok(None) }
    }

    fn record(&mut self, kind: u16, body: &[u8]) -> Result<(), RecordFault> {
        let (kind, is_critical) = (kind & !CRITICAL, kind & CRITICAL != 0);
        let invalid = RecordFault::Invalid(kind);
        match kind {
            kind::ERROR => return Err(RecordFault::Error(number(body).ok_or(invalid)?)),
            kind::WARNING => return Err(RecordFault::Warning(number(body).ok_or(invalid)?)),
            kind::NEXT_PROTOCOL => {
                if std::mem::replace(&mut self.has_protocol, true) {
                    return Err(RecordFault::Repeated(kind));
                }
                match numbers(body).ok_or(invalid)?.contains(&NTPV4) {
                    true => {}
                    false => return Err(RecordFault::NoCommonProtocol),
                }
            }
            kind::AEAD => {
                // An empty list means that there is none in common.
                let chosen = numbers(body).ok_or(invalid)?.first().copied().ok_or(RecordFault::NoCommonAead)?;
                let aead = Aead::from_number(chosen).ok_or(RecordFault::NoCommonAead)?;
                once(&mut self.aead, aead, kind)?;
            }
            kind::COOKIE if self.cookies.len() < FULL_STOCK => self.cookies.extend(Cookie::new(body)),
            kind::COOKIE => {}
            kind::SERVER => once(&mut self.server, host_name(body).ok_or(invalid)?, kind)?,
            kind::PORT => once(&mut self.port, number(body).filter(|port| *port != 0).ok_or(invalid)?, kind)?,
            _ if is_critical => return Err(RecordFault::UnknownCritical(kind)),
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self) -> Result<Agreement, RecordFault> {
        if !self.has_protocol {
            return Err(RecordFault::NoCommonProtocol);
        }
        let aead = self.aead.ok_or(RecordFault::NoCommonAead)?;
        let cookies = std::mem::take(&mut self.cookies);
        if cookies.is_empty() {
            return Err(RecordFault::NoCookies);
        }
        Ok(Agreement { aead, cookies, server: self.server.take(), port: self.port })
    }
}

/// The first record and its body, if it is complete.
fn next_record(octets: &[u8]) -> Result<Option<(u16, &[u8])>, RecordFault> {
    let [high, low, long, short, rest @ ..] = octets else { return Ok(None) };
    let kind = u16::from_be_bytes([*high, *low]);
    let len = usize::from(u16::from_be_bytes([*long, *short]));
    if len > MAX_BODY_LEN {
        return Err(RecordFault::LongRecord { kind: kind & !CRITICAL, octets: len });
    }
    Ok(rest.get(..len).map(|body| (kind, body)))
}

fn once<T>(place: &mut Option<T>, value: T, kind: u16) -> Result<(), RecordFault> {
    match place.replace(value) {
        Some(_) => Err(RecordFault::Repeated(kind)),
        None => Ok(()),
    }
}

fn number(body: &[u8]) -> Option<u16> {
    body.try_into().ok().map(u16::from_be_bytes)
}

fn numbers(body: &[u8]) -> Option<Vec<u16>> {
    let (pairs, rest) = body.as_chunks();
    rest.is_empty().then(|| pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
}

/// A name or an address in ASCII that is safe to pass to a resolver.
fn host_name(body: &[u8]) -> Option<String> {
    let is_allowed = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_' | b':');
    let is_valid = (1..=MAX_NAME_LEN).contains(&body.len()) && body.iter().all(is_allowed);
    is_valid.then(|| String::from_utf8(body.to_vec()).ok()).flatten()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
