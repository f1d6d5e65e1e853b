//! Judges requests by what they show: a token, a session, or nothing.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap};

use super::guesses::Guesses;
use super::session::{Caller, Sessions};
use super::{known, origin};
use crate::config::{Http, Role};
use crate::log::{Allowance, RateLimit};

/// What one holder of a token may change at once …
const WRITES_AT_ONCE: u32 = 60;
/// … and then once in this time.
pub(super) const WRITE_REFILL_NS: i64 = 1_000_000_000;

/// The gate before every handler.
#[derive(Debug)]
pub struct Gate {
    /// Whether other machines can reach the service.
    exposed: bool,
    pub(super) guesses: Guesses,
    pub(super) sessions: Sessions,
    writes: Mutex<RateLimit>,
}

/// What a request shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub headers: &'a HeaderMap,
    pub writing: bool,
    pub needed: Option<Role>,
    /// Where it comes from.
    pub peer: Option<IpAddr>,
    pub now: Instant,
    pub mono_ns: i64,
}

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token, or none that is known.
    Unauthorised(&'static str),
    /// The caller may not do this.
    Forbidden(&'static str),
    /// Too many wrong tokens from there.
    Guessing,
    /// Too many changes by one holder.
    Hurrying,
    /// The service does not go by that name.
    Misdirected,
}

impl Gate {
    /// A gate of a service that can be reached from other machines, or not.
    #[must_use]
    pub fn new(exposed: bool) -> Self {
        Self {
            exposed,
            guesses: Guesses::default(),
            sessions: Sessions::default(),
            writes: Mutex::new(RateLimit::new(WRITES_AT_ONCE, WRITE_REFILL_NS)),
        }
    }

    /// Whether reading needs no token.
    #[must_use]
    pub fn reading_is_open(&self, http: &Http) -> bool {
        !self.exposed || http.public_read
    }

    /// Who asks, if it may.
    pub(super) fn judge(&self, http: &Http, request: Request<'_>) -> Result<Option<Caller>, Refusal> {
        let host = request.headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
        if !origin::is_ours(host, http, self.exposed) {
            return Err(Refusal::Misdirected);
        }
        let Some(needed) = request.needed else { return Ok(None) };
        let caller = self.identify(http, request)?;
        match &caller {
            None if needed == Role::Read && self.reading_is_open(http) => {}
            None => return Err(Refusal::Unauthorised("a bearer token or a session is needed")),
            Some(caller) if caller.role < needed => {
                return Err(Refusal::Forbidden("the holder of this token may not do that"));
            }
            Some(caller) if request.writing && !self.may_write(caller, request.mono_ns) => {
                return Err(Refusal::Hurrying);
            }
            Some(_) => {}
        }
        Ok(caller)
    }

    /// By the token that is sent, else by the session.
    fn identify(&self, http: &Http, request: Request<'_>) -> Result<Option<Caller>, Refusal> {
        let Some(header) = request.headers.get(AUTHORIZATION) else {
            let caller = self.sessions.caller(http, request.headers, request.now);
            if caller.is_some() && request.writing && !origin::is_same(request.headers) {
                return Err(Refusal::Forbidden("with a session, only the page of this service may do that"));
            }
            return Ok(caller);
        };
        if request.peer.is_some_and(|peer| self.guesses.too_many(peer, request.now)) {
            return Err(Refusal::Guessing);
        }
        let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        match token.and_then(|token| known(http, token.trim())) {
            Some(token) => Ok(Some(Caller { name: token.name.as_str().into(), role: token.role })),
            None => {
                if let Some(peer) = request.peer {
                    self.guesses.wrong(peer, request.now);
                }
                Err(Refusal::Unauthorised("the token is not known"))
            }
        }
    }

    fn may_write(&self, caller: &Caller, mono_ns: i64) -> bool {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.allow(&caller.name, "write", mono_ns) != Allowance::Suppress
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{COOKIE, ORIGIN};
    use sha2::{Digest, Sha256};

    use super::super::guesses::{FAILURES, PENALTY};
    use super::*;
    use crate::config::Token;

    const PEER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn http(public_read: bool) -> Http {
        let token =
            |name: &str, role| Token { name: name.into(), role, sha256: Sha256::digest(name.as_bytes()).into() };
        let tokens = vec![token("reader", Role::Read), token("operator", Role::Operate), token("boss", Role::Admin)];
        Http { listen: "127.0.0.1:0".parse().unwrap(), public_read, names: Vec::new(), tls: None, tokens }
    }

    fn request(headers: &HeaderMap, needed: Role, now: Instant) -> Request<'_> {
        Request { headers, writing: needed > Role::Read, needed: Some(needed), peer: PEER, now, mono_ns: 0 }
    }

    fn asked(gate: &Gate, http: &Http, needed: Role, authorization: &str, now: Instant) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        gate.judge(http, request(&headers, needed, now)).map(drop)
    }

    #[test]
    fn reading_is_open_on_loopback_or_to_the_public_and_needs_a_token_otherwise() {
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
        assert!(matches!(write(Role::Operate, "Bearer reader"), Err(Refusal::Forbidden(_))));
        assert!(matches!(write(Role::Admin, "Bearer operator"), Err(Refusal::Forbidden(_))));
        assert_eq!(write(Role::Operate, "Bearer operator"), Ok(()));
        assert_eq!(write(Role::Admin, "Bearer boss"), Ok(()));
    }

    #[test]
    fn who_guesses_is_not_listened_to_for_a_minute() {
        let (gate, now) = (Gate::new(true), Instant::now());
        for n in 0..FAILURES {
            assert!(asked(&gate, &http(false), Role::Read, &format!("Bearer {n}"), now).is_err());
        }
        assert_eq!(asked(&gate, &http(false), Role::Read, "Bearer reader", now), Err(Refusal::Guessing));
        assert_eq!(asked(&gate, &http(false), Role::Read, "Bearer reader", now + PENALTY), Ok(()));
    }

    #[test]
    fn a_hurried_caller_is_refused_and_others_are_not() {
        let (gate, now) = (Gate::new(true), Instant::now());
        for _ in 0..WRITES_AT_ONCE {
            assert_eq!(asked(&gate, &http(false), Role::Operate, "Bearer operator", now), Ok(()));
        }
        assert_eq!(asked(&gate, &http(false), Role::Operate, "Bearer operator", now), Err(Refusal::Hurrying));
        assert_eq!(asked(&gate, &http(false), Role::Read, "Bearer operator", now), Ok(()));
        assert_eq!(asked(&gate, &http(false), Role::Operate, "Bearer boss", now), Ok(()));
    }

    #[test]
    fn a_session_writes_from_our_own_page_only_and_ends_with_its_token() {
        let (gate, now, mut http) = (Gate::new(true), Instant::now(), http(false));
        let cookie = gate.sessions.open(&http.tokens[2], now);
        let headers = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, format!("a=b; {}={cookie}", Sessions::COOKIE).parse().unwrap());
            headers.insert(HOST, "monitor.example".parse().unwrap());
            headers.insert(ORIGIN, origin.parse().unwrap());
            headers
        };
        let (ours, theirs) = (headers("https://monitor.example"), headers("https://evil.example"));
        let boss = Caller { name: "boss".into(), role: Role::Admin };
        assert_eq!(gate.judge(&http, request(&ours, Role::Admin, now)), Ok(Some(boss.clone())));
        assert!(matches!(gate.judge(&http, request(&theirs, Role::Admin, now)), Err(Refusal::Forbidden(_))));
        assert_eq!(gate.judge(&http, request(&theirs, Role::Read, now)), Ok(Some(boss)));
        http.tokens.pop();
        assert!(matches!(gate.judge(&http, request(&ours, Role::Read, now)), Err(Refusal::Unauthorised(_))));
    }
}
