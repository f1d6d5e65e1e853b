//! Browser sessions: a client that sends a token once gets a cookie in its place.
//!
//! Sessions are kept in memory, by the hash of the cookie. A session ends after twelve hours without a request, after
//! a week, on sign-out, when its token is removed from the configuration or changed, and when the process ends. Its
//! role is the current role of the token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{COOKIE, HeaderMap};

use super::hash;
use crate::config::{Http, Role, Token};

/// The caller of a request, as identified by a token or a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name of the token.
    pub name: Arc<str>,
    /// The role of the token.
    pub role: Role,
}

/// A session ends after this time without a request.
const RESTS: Duration = Duration::from_secs(12 * 3600);
/// The longest life of a session.
pub(super) const LASTS: Duration = Duration::from_secs(7 * 86_400);
/// Maximum number of sessions at a time. The least recently used one is removed first.
const MOST: usize = 1024;
/// The open sessions.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

#[derive(Debug)]
struct Session {
    name: String,
    /// The hash of its token, because a new token may have the same name.
    token: [u8; 32],
    begun: Instant,
    used: Instant,
}

impl Session {
    /// The token of the session, if the configuration still has it.
    fn token<'a>(&self, http: &'a Http) -> Option<&'a Token> {
        http.tokens.iter().find(|token| token.name == self.name && token.sha256 == self.token)
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.begun) >= LASTS || now.duration_since(self.used) >= RESTS
    }
}

impl Sessions {
    /// The name of the cookie.
    pub const COOKIE: &str = "ntp-monitor-session";

    /// Starts a session for `token` and returns the secret for the cookie.
    pub(super) fn open(&self, holder: &Caller, token: &str, now: Instant) -> String {
        let secret = super::setup::secret();
        let mut all = self.all();
        all.retain(|_, session| !session.is_over(now));
        if all.len() >= MOST {
            let rested = all.iter().min_by_key(|(_, session)| session.used).map(|(hash, _)| *hash);
            rested.and_then(|hash| all.remove(&hash));
        }
        all.insert(hash(&secret), Session { name: holder.name.to_string(), token: hash(token), begun: now, used: now });
        secret
    }

    /// The caller that the cookie belongs to.
    pub(super) fn caller(&self, http: &Http, headers: &HeaderMap, now: Instant) -> Option<Caller> {
        let hash = hash(secret(headers)?);
        let mut all = self.all();
        let session = all.get_mut(&hash)?;
        match session.token(http) {
            Some(token) if !session.is_over(now) => {
                session.used = now;
                Some(Caller { name: token.name.as_str().into(), role: token.role })
            }
            _ => {
                all.remove(&hash);
                None
            }
        }
    }

    /// The hash of the cookie, if its session is open.
    pub(super) fn current(&self, http: &Http, headers: &HeaderMap, now: Instant) -> Option<[u8; 32]> {
        let hash = hash(secret(headers)?);
        self.is_open(http, &hash, now).then_some(hash)
    }

    /// Whether the session with this cookie hash is open. Does not count as a request of the session.
    pub(super) fn is_open(&self, http: &Http, hash: &[u8; 32], now: Instant) -> bool {
        self.all().get(hash).is_some_and(|session| session.token(http).is_some() && !session.is_over(now))
    }

    pub(super) fn close(&self, headers: &HeaderMap) {
        if let Some(secret) = secret(headers) {
            self.all().remove(&hash(secret));
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn secret(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == Sessions::COOKIE).map(|(_, v)| v)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(tokens: Vec<Token>) -> Http {
        Http {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_read: false,
            names: Vec::new(),
            trusted_proxies: Vec::new(),
            base_path: String::new(),
            tls: None,
            tokens,
        }
    }

    fn token(name: &str) -> Token {
        Token { name: name.into(), role: Role::Operate, sha256: hash(name), file: None }
    }

    fn open(sessions: &Sessions, token: &Token, now: Instant) -> String {
        let holder = Caller { name: token.name.as_str().into(), role: token.role };
        sessions.open(&holder, &token.name, now)
    }

    fn cookie(secret: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, format!("{}={secret}", Sessions::COOKIE).parse().unwrap());
        headers
    }

    #[test]
    fn session_expires_when_unused_and_after_a_week_at_the_latest() {
        let (sessions, http, begin) = (Sessions::default(), http(vec![token("a")]), Instant::now());
        let headers = cookie(&open(&sessions, &http.tokens[0], begin));
        let open_at = |after| sessions.caller(&http, &headers, begin + after).is_some();
        let mut used = Duration::ZERO;
        while used + RESTS < LASTS {
            used += RESTS - Duration::from_secs(1);
            assert!(open_at(used));
        }
        assert!(!open_at(LASTS) && !open_at(used));
        let headers = cookie(&open(&sessions, &http.tokens[0], begin));
        assert!(sessions.caller(&http, &headers, begin + RESTS).is_none());
    }

    #[test]
    fn session_ends_with_its_token_and_reading_does_not_extend_it() {
        let (sessions, http_with, begin) = (Sessions::default(), http(vec![token("a")]), Instant::now());
        let headers = cookie(&open(&sessions, &http_with.tokens[0], begin));
        let hash = sessions.current(&http_with, &headers, begin).unwrap();
        assert!(sessions.is_open(&http_with, &hash, begin + RESTS / 2));
        assert!(!sessions.is_open(&http_with, &hash, begin + RESTS));
        assert!(!sessions.is_open(&http(Vec::new()), &hash, begin));
        sessions.close(&headers);
        assert!(!sessions.is_open(&http_with, &hash, begin));
    }

    #[test]
    fn another_token_of_the_same_name_is_not_the_same() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let headers = cookie(&open(&sessions, &token("a"), now));
        let other = Token { sha256: hash("other"), ..token("a") };
        assert!(sessions.caller(&http(vec![other]), &headers, now).is_none());
        assert!(sessions.caller(&http(vec![token("a")]), &headers, now).is_none(), "it is over for good");
    }

    #[test]
    fn there_are_never_too_many_sessions() {
        let (sessions, http, now) = (Sessions::default(), http(vec![token("a")]), Instant::now());
        let second = |n: usize| now + Duration::from_millis(n as u64);
        let opened: Vec<String> = (0..=MOST).map(|n| open(&sessions, &http.tokens[0], second(n))).collect();
        assert_eq!(sessions.all().len(), MOST);
        assert!(sessions.caller(&http, &cookie(&opened[0]), second(MOST)).is_none(), "the first one went");
        assert!(sessions.caller(&http, &cookie(&opened[MOST]), second(MOST)).is_some());
    }
}
