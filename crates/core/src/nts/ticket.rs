//! One authenticated request, and the examination of its reply (RFC 8915 §5).

use std::fmt;
use std::sync::Arc;

use super::field::{Field, append, fields, kind};
use super::{Cookie, FULL_STOCK, Keys};
use crate::ntp::packet::HEADER_LEN;
use crate::ntp::{KissCode, RefId};

/// A random value that a reply must repeat, so that it cannot be confused with the reply to another request.
pub type UniqueId = [u8; 32];

/// Minimum length of an extension field in a packet; fields in the encrypted part may be shorter.
const SHORTEST_FIELD: usize = 16;
const SHORTEST_ENCRYPTED_FIELD: usize = 4;
/// A nonce of the length that AES-SIV uses.
const NONCE_LEN: usize = 16;
/// Maximum length of a request that is not fragmented: IPv6 guarantees 1280 octets including its headers.
const MAX_REQUEST_LEN: usize = 1200;
/// The octets of a request without cookie and placeholders.
const FIXED_LEN: usize = HEADER_LEN + (4 + size_of::<UniqueId>()) + (4 + 4 + NONCE_LEN + 16);

/// The data of one request. It holds a cookie, so it must not be used again.
pub struct Ticket {
    keys: Arc<Keys>,
    cookie: Cookie,
    placeholders: usize,
    id: UniqueId,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("placeholders", &self.placeholders).finish_non_exhaustive()
    }
}

/// The result of examining a datagram as the reply to one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Whether the extension fields, also the encrypted ones, can be parsed; `None` if there is no header before them.
    pub parses: Option<bool>,
    /// Whether it has any field of NTS. A server that does not know NTS sends replies without.
    pub is_nts: bool,
    /// Whether it repeats the unique identifier; `None` without one.
    pub repeats_id: Option<bool>,
    /// Whether the authenticator verifies; `None` without one.
    pub is_authentic: Option<bool>,
    /// Whether it is an NTS NAK that repeats the unique identifier: the server cannot read the cookie.
    pub is_nak: bool,
    /// The new cookies of an authentic reply, at most [`FULL_STOCK`].
    pub cookies: Vec<Cookie>,
}

impl Ticket {
    /// A ticket that uses `cookie` and requests `wanted` cookies, including the replacement for the used one. It
    /// requests fewer if the request would be too long.
    #[must_use]
    pub fn new(keys: Arc<Keys>, cookie: Cookie, wanted: usize, id: UniqueId) -> Self {
        let each = (4 + cookie.octets().len()).next_multiple_of(4).max(SHORTEST_FIELD);
        let fitting = (MAX_REQUEST_LEN - FIXED_LEN) / each;
        let placeholders = wanted.min(FULL_STOCK).min(fitting).saturating_sub(1);
        Self { keys, cookie, placeholders, id }
    }

    /// The request: `header`, the unique identifier, the cookie, a placeholder for each further cookie, and the
    /// authenticator over all of it. `nonce` must differ between all requests with the same keys: it is random.
    #[must_use]
    pub fn seal(&self, header: &[u8; HEADER_LEN], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut octets = Vec::with_capacity(MAX_REQUEST_LEN);
        octets.extend(header);
        append(&mut octets, kind::UNIQUE_IDENTIFIER, &self.id);
        let cookie = padded(self.cookie.octets());
        append(&mut octets, kind::COOKIE, &cookie);
        let nothing = vec![0; cookie.len()];
        (0..self.placeholders).for_each(|_| append(&mut octets, kind::PLACEHOLDER, &nothing));
        let sealed = self.keys.to_server.seal(&octets, &nonce, &[]).unwrap_or_default();
        append(&mut octets, kind::AUTHENTICATOR, &authenticator(&nonce, &sealed));
        octets
    }

    /// Examines a datagram that may answer this request.
    #[must_use]
    pub fn open(&self, datagram: &[u8]) -> Opened {
        let mut opened = Opened::default();
        let Some((header, octets)) = datagram.split_first_chunk::<HEADER_LEN>() else { return opened };
        let Ok(found) = fields(octets, SHORTEST_FIELD) else {
            opened.parses = Some(false);
            return opened;
        };
        opened.parses = Some(true);
        opened.is_nts = found.iter().any(|field| is_nts(field.kind));
        // Fields after the authenticator are not authenticated and not used.
        let end = found.iter().position(|field| field.kind == kind::AUTHENTICATOR);
        let covered = &found[..end.unwrap_or(found.len())];
        opened.repeats_id = self.repeats_id(covered);
        match end.map(|end| found[end]) {
            Some(authenticator) if found.len() == covered.len() + 1 => {
                self.verify(&mut opened, datagram, &authenticator)
            }
            // A second authenticator, or a field after the first.
            Some(_) => opened.parses = Some(false),
            None => opened.is_nak = opened.repeats_id == Some(true) && is_nak(header),
        }
        opened
    }

    /// The unique identifier must be there once.
    fn repeats_id(&self, covered: &[Field<'_>]) -> Option<bool> {
        let mut ids = covered.iter().filter(|field| field.kind == kind::UNIQUE_IDENTIFIER);
        let first = ids.next()?;
        Some(first.body == self.id && ids.next().is_none())
    }

    fn verify(&self, opened: &mut Opened, datagram: &[u8], authenticator: &Field<'_>) {
        let associated = &datagram[..HEADER_LEN + authenticator.at];
        let parts = parts(authenticator.body);
        let plain = parts.and_then(|(nonce, sealed)| self.keys.to_client.open(associated, nonce, sealed));
        opened.parses = Some(parts.is_some());
        opened.is_authentic = Some(plain.is_some());
        let Some(plain) = plain else { return };
        match fields(&plain, SHORTEST_ENCRYPTED_FIELD) {
            Ok(inner) => {
                let cookies = inner.iter().filter(|field| field.kind == kind::COOKIE);
                opened.cookies.extend(cookies.filter_map(|field| Cookie::new(field.body)).take(FULL_STOCK));
            }
            Err(_) => opened.parses = Some(false),
        }
    }
}

fn is_nts(kind: u16) -> bool {
    matches!(kind, kind::UNIQUE_IDENTIFIER | kind::COOKIE | kind::PLACEHOLDER | kind::AUTHENTICATOR)
}

/// Stratum 0 and the code of a NAK (RFC 8915 §5.7).
fn is_nak(header: &[u8; HEADER_LEN]) -> bool {
    let refid = RefId([header[12], header[13], header[14], header[15]]);
    header[1] == 0 && KissCode::from_refid(refid) == Some(KissCode::NTSN)
}

/// A field of at least 16 octets, for cookies that are shorter than any in use.
fn padded(cookie: &[u8]) -> Vec<u8> {
    let mut octets = cookie.to_vec();
    octets.resize(cookie.len().next_multiple_of(4).max(SHORTEST_FIELD - 4), 0);
    octets
}

/// The body of an authenticator: the lengths of nonce and sealed text, and both, each padded.
fn authenticator(nonce: &[u8], sealed: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(4 + nonce.len() + sealed.len());
    for part in [nonce, sealed] {
        body.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
    }
    for part in [nonce, sealed] {
        body.extend(part);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    body
}

/// The nonce and the sealed text in the body of an authenticator.
fn parts(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (lengths, rest) = body.split_first_chunk::<4>()?;
    let [nonce_len, sealed_len] =
        [[lengths[0], lengths[1]], [lengths[2], lengths[3]]].map(|len| usize::from(u16::from_be_bytes(len)));
    let nonce = rest.get(..nonce_len)?;
    let sealed = rest.get(nonce_len.next_multiple_of(4)..)?.get(..sealed_len)?;
    Some((nonce, sealed))
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
mod tests;
