//! Accepts or rejects each request by its token, its session, or the lack of both.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};

use super::guesses::Guesses;
use super::session::{Caller, Sessions};
use super::{hash, known, origin};
use crate::config::{Http, Role};
use crate::log::{Allowance, RateLimit};

/// Changes that one token holder may make in a burst.
const WRITES_AT_ONCE: u32 = 60;
/// Interval at which one more change is allowed.
pub(super) const WRITE_REFILL_NS: i64 = 1_000_000_000;
/// Rejections of one token holder that are recorded in a burst.
const NOTES_AT_ONCE: u32 = 10;
/// Interval at which one more is recorded. The audit log is limited, and rejections must not push changes out of it.
const NOTE_REFILL_NS: i64 = 60_000_000_000;

/// The check that runs before every handler.
#[derive(Debug)]
pub struct Gate {
    /// Whether other machines can reach the service.
    exposed: bool,
    pub(super) guesses: Guesses,
    pub(super) sessions: Sessions,
    writes: Mutex<RateLimit>,
    notes: Mutex<RateLimit>,
}

/// The properties of a request that the gate checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub headers: &'a HeaderMap,
    pub writing: bool,
    pub needed: Option<Role>,
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// `http` or `https`.
    pub scheme: &'a str,
    pub now: Instant,
    pub mono_ns: i64,
}

/// Why a request is rejected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token, or an unknown one.
    Unauthorised(&'static str),
    /// The caller is known, but its role does not allow this.
    Forbidden(&'static str, Caller),
    /// A wrong token after too many others from the same network, with the time until the count restarts.
    Guessing(Duration),
    /// Too many changes by one token holder.
    Hurrying(Caller),
    /// The `Host` header is not one of the service's names.
    Misdirected,
}

impl Gate {
    /// Creates the gate. `is_reachable`: whether other machines can reach the service.
    #[must_use]
    pub fn new(exposed: bool) -> Self {
        Self {
            exposed,
            guesses: Guesses::default(),
            sessions: Sessions::default(),
            writes: Mutex::new(RateLimit::new(WRITES_AT_ONCE, WRITE_REFILL_NS)),
            notes: Mutex::new(RateLimit::new(NOTES_AT_ONCE, NOTE_REFILL_NS)),
        }
    }

    /// Whether other machines can reach the service.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.exposed
    }

    /// Whether reading needs no token.
    #[must_use]
    pub fn reading_is_open(&self, http: &Http) -> bool {
        !self.exposed || http.public_read
    }

    /// The caller of a request, if the request is accepted.
    pub(super) fn judge(&self, http: &Http, request: Request<'_>) -> Result<Option<Caller>, Refusal> {
        let host = request.headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
        if !origin::is_ours(host, http, self.exposed) {
            return Err(Refusal::Misdirected);
        }
        let Some(needed) = request.needed else { return Ok(None) };
        let caller = self.identify(http, request)?;
        match caller {
            None if needed == Role::Read && self.reading_is_open(http) => Ok(None),
            None => Err(Refusal::Unauthorised("a bearer token or a session is needed")),
            Some(caller) if caller.role < needed => {
                Err(Refusal::Forbidden("the role of this token does not permit this", caller))
            }
            Some(caller) if request.writing && !self.may_write(&caller, request.mono_ns) => {
                Err(Refusal::Hurrying(caller))
            }
            Some(caller) => Ok(Some(caller)),
        }
    }

    /// Identifies the caller by the token in the request, otherwise by the session.
    fn identify(&self, http: &Http, request: Request<'_>) -> Result<Option<Caller>, Refusal> {
        let Some(header) = request.headers.get(AUTHORIZATION) else {
            let caller = self.sessions.caller(http, request.headers, request.now);
            return match caller {
                Some(caller) if request.writing && !origin::is_same(request.headers, request.scheme) => {
                    Err(Refusal::Forbidden("a session permits this only from the page of this service", caller))
                }
                caller => Ok(caller),
            };
        };
        match bearer(header) {
            Some(token) => self.holder(http, token, request.client, request.now).map(Some),
            None => Err(Refusal::Unauthorised("Authorization must be \"Bearer TOKEN\"")),
        }
    }

    /// The holder of a token. The token is looked up before guesses are counted, so a right one is never refused.
    pub(super) fn holder(
        &self,
        http: &Http,
        token: &str,
        client: Option<IpAddr>,
        now: Instant,
    ) -> Result<Caller, Refusal> {
        if let Some(token) = known(http, &hash(token)) {
            return Ok(Caller { name: token.name.as_str().into(), role: token.role });
        }
        match client.and_then(|client| self.guesses.wrong(client, now)) {
            Some(wait) => Err(Refusal::Guessing(wait)),
            None => Err(Refusal::Unauthorised("the token is unknown")),
        }
    }

    /// Whether to record this rejection in the audit log; if so, how many before it were not recorded.
    pub(super) fn noted(&self, caller: &Caller, mono_ns: i64) -> Option<u64> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        match notes.allow(&caller.name, "refusal", mono_ns) {
            Allowance::Log { suppressed } => Some(suppressed),
            Allowance::Suppress => None,
        }
    }

    fn may_write(&self, caller: &Caller, mono_ns: i64) -> bool {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.allow(&caller.name, "write", mono_ns) != Allowance::Suppress
    }
}

/// The token of a request, if it has one.
pub(super) fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION).and_then(bearer)
}

/// The token of an `Authorization` header.
pub(super) fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{COOKIE, ORIGIN};
    use sha2::{Digest, Sha256};

    use super::super::guesses::{FAILURES, PERIOD};
    use super::*;
    use crate::config::Token;

    const CLIENT: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn http(public_read: bool) -> Http {
        let token = |name: &str, role| Token {
            name: name.into(),
            role,
            sha256: Sha256::digest(name.as_bytes()).into(),
            file: None,
        };
        let tokens = vec![token("reader", Role::Read), token("operator", Role::Operate), token("boss", Role::Admin)];
        Http {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_read,
            names: Vec::new(),
            trusted_proxies: Vec::new(),
            base_path: String::new(),
            tls: None,
            tokens,
        }
    }

    fn request(headers: &HeaderMap, needed: Role, now: Instant) -> Request<'_> {
        let writing = needed > Role::Read;
        Request { headers, writing, needed: Some(needed), client: CLIENT, scheme: "https", now, mono_ns: 0 }
    }

    fn asked(gate: &Gate, http: &Http, needed: Role, authorization: &str, now: Instant) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        gate.judge(http, request(&headers, needed, now)).map(drop)
    }

    #[test]
    fn reading_needs_a_token_unless_on_loopback_or_public() {
        let now = Instant::now();
        let read = |exposed, public| asked(&Gate::new(exposed), &http(public), Role::Read, "", now);
        assert!(read(false, false).is_ok() && read(true, true).is_ok());
        assert!(matches!(read(true, false), Err(Refusal::Unauthorised(_))));
        let exposed = Gate::new(true);
        assert_eq!(asked(&exposed, &http(false), Role::Read, "Bearer reader", now), Ok(()));
        for wrong in ["Bearer stranger", "Bearer ", "Basic reader", "reader"] {
            assert!(matches!(asked(&exposed, &http(true), Role::Read, wrong, now), Err(Refusal::Unauthorised(_))));
        }
    }

    #[test]
    fn writing_needs_a_token_whose_role_allows_it_everywhere() {
        let (gate, now) = (Gate::new(false), Instant::now());
        let write = |needed, token| asked(&gate, &http(true), needed, token, now);
        assert!(matches!(write(Role::Operate, ""), Err(Refusal::Unauthorised(_))));
        assert!(matches!(write(Role::Operate, "Bearer reader"), Err(Refusal::Forbidden(..))));
        assert!(matches!(write(Role::Admin, "Bearer operator"), Err(Refusal::Forbidden(..))));
        assert_eq!(write(Role::Operate, "Bearer operator"), Ok(()));
        assert_eq!(write(Role::Admin, "Bearer boss"), Ok(()));
    }

    #[test]
    fn right_token_is_accepted_after_any_number_of_wrong_ones() {
        let (gate, now) = (Gate::new(true), Instant::now());
        let read = |token: &str, now| asked(&gate, &http(false), Role::Read, token, now);
        for n in 0..FAILURES {
            assert!(matches!(read(&format!("Bearer {n}"), now), Err(Refusal::Unauthorised(_))));
        }
        assert_eq!(read("Bearer wrong", now), Err(Refusal::Guessing(PERIOD)));
        assert_eq!(read("bearer reader", now), Ok(()));
        assert_eq!(read("Bearer wrong", now), Err(Refusal::Guessing(PERIOD)));
        assert!(matches!(read("Bearer wrong", now + PERIOD), Err(Refusal::Unauthorised(_))));
    }

    #[test]
    fn too_many_changes_delay_their_caller_only() {
        let (gate, now) = (Gate::new(true), Instant::now());
        let operator = Caller { name: "operator".into(), role: Role::Operate };
        for _ in 0..WRITES_AT_ONCE {
            assert_eq!(asked(&gate, &http(false), Role::Operate, "Bearer operator", now), Ok(()));
        }
        let refused = asked(&gate, &http(false), Role::Operate, "Bearer operator", now);
        assert_eq!(refused, Err(Refusal::Hurrying(operator)));
        assert_eq!(asked(&gate, &http(false), Role::Read, "Bearer operator", now), Ok(()));
        assert_eq!(asked(&gate, &http(false), Role::Operate, "Bearer boss", now), Ok(()));
    }

    #[test]
    fn session_writes_only_from_our_page_and_ends_with_its_token() {
        let (gate, now, mut http) = (Gate::new(true), Instant::now(), http(false));
        let boss = Caller { name: "boss".into(), role: Role::Admin };
        let cookie = gate.sessions.open(&boss, "boss", now);
        let headers = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, format!("a=b; {}={cookie}", Sessions::COOKIE).parse().unwrap());
            headers.insert(HOST, "monitor.example".parse().unwrap());
            headers.insert(ORIGIN, origin.parse().unwrap());
            headers
        };
        let (ours, theirs) = (headers("https://monitor.example"), headers("https://evil.example"));
        assert_eq!(gate.judge(&http, request(&ours, Role::Admin, now)), Ok(Some(boss.clone())));
        assert!(matches!(gate.judge(&http, request(&theirs, Role::Admin, now)), Err(Refusal::Forbidden(..))));
        assert_eq!(gate.judge(&http, request(&theirs, Role::Read, now)), Ok(Some(boss)));
        http.tokens.pop();
        assert!(matches!(gate.judge(&http, request(&ours, Role::Read, now)), Err(Refusal::Unauthorised(_))));
    }
}
