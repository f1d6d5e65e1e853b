//! Who may do what: bearer tokens, their roles, and a limit for those who guess.
//!
//! Reading is open on loopback, and beyond it with `public_read`; everything else needs a token. A token that is sent is
//! always judged, also where none is needed. Tokens come in the `Authorization` header only: a URL ends up in logs. What
//! is kept is their hash, which is compared in constant time with that of each token there is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError, web};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::State;
use super::problem::Problem;
use crate::config::{Http, Role};

/// Wrong tokens from one address within [`PENALTY`], after which it is not listened to until that is over.
const FAILURES: u32 = 10;
const PENALTY: Duration = Duration::from_secs(60);
/// Addresses that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 4096;

/// The gate before every handler.
#[derive(Debug)]
pub struct Gate {
    /// Whether other machines can reach the service.
    exposed: bool,
    failures: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// No token, or none that is known.
    Unauthorised(&'static str),
    /// The holder of the token may not do this.
    Forbidden,
    /// Too many wrong tokens from there.
    Guessing,
}

impl Gate {
    /// A gate of a service that can be reached from other machines, or not.
    #[must_use]
    pub fn new(exposed: bool) -> Self {
        Self { exposed, failures: Mutex::default() }
    }

    fn judge(
        &self,
        http: &Http,
        headers: &HeaderMap,
        needed: Role,
        peer: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(header) = headers.get(AUTHORIZATION) else {
            let open = needed == Role::Read && (!self.exposed || http.public_read);
            return if open { Ok(()) } else { Err(Refusal::Unauthorised("a bearer token is needed")) };
        };
        if peer.is_some_and(|peer| self.is_guessing(peer, now)) {
            return Err(Refusal::Guessing);
        }
        let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        match token.and_then(|token| role_of(http, token.trim())) {
            Some(role) if role >= needed => Ok(()),
            Some(_) => Err(Refusal::Forbidden),
            None => {
                if let Some(peer) = peer {
                    self.failed(peer, now);
                }
                Err(Refusal::Unauthorised("the token is not known"))
            }
        }
    }

    fn is_guessing(&self, peer: IpAddr, now: Instant) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&peer).is_some_and(|(count, since)| *count >= FAILURES && now.duration_since(*since) < PENALTY)
    }

    fn failed(&self, peer: IpAddr, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED && !failures.contains_key(&peer) {
            failures.retain(|_, (_, since)| now.duration_since(*since) < PENALTY);
            let oldest = failures.iter().min_by_key(|(_, (_, since))| *since).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest.filter(|_| failures.len() >= REMEMBERED) {
                failures.remove(&oldest);
            }
        }
        let (count, since) = failures.entry(peer).or_insert((0, now));
        if now.duration_since(*since) >= PENALTY {
            (*count, *since) = (0, now);
        }
        *count += 1;
    }
}

/// The role of a token; all are compared, so that time tells nothing.
fn role_of(http: &Http, token: &str) -> Option<Role> {
    let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    http.tokens
        .iter()
        .fold(None, |found, known| if bool::from(known.sha256.ct_eq(&hash)) { Some(known.role) } else { found })
}

/// Lets a request through to its handler, or answers 401, 403 or 429.
///
/// # Errors
/// Those of the handler.
pub async fn guard(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let needed = super::openapi::needed(&request).filter(|_| !is_open(request.path()));
    let verdict = match (needed, request.app_data::<web::Data<Gate>>(), request.app_data::<web::Data<State>>()) {
        (None, _, _) => Ok(()),
        (Some(needed), Some(gate), Some(state)) => {
            let config = state.config.borrow().clone();
            let peer = request.peer_addr().map(|peer| peer.ip());
            gate.judge(&config.http, request.headers(), needed, peer, Instant::now())
        }
        _ => Err(Refusal::Unauthorised("nobody is let in")),
    };
    match verdict {
        Ok(()) => next.call(request).await,
        Err(why) => Ok(request.into_response(refusal(&why))),
    }
}

/// What holds nothing worth protecting: whether the service is up, and the built page without its data.
fn is_open(path: &str) -> bool {
    path == "/plain.css" || super::page::is_built(path)
}

fn refusal(why: &Refusal) -> HttpResponse {
    let (status, detail) = match why {
        Refusal::Unauthorised(detail) => (StatusCode::UNAUTHORIZED, *detail),
        Refusal::Forbidden => (StatusCode::FORBIDDEN, "the holder of this token may not do that"),
        Refusal::Guessing => (StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens: try again in a minute"),
    };
    let mut response = Problem::new(status, detail).error_response();
    let headers = response.headers_mut();
    match why {
        Refusal::Unauthorised(_) => {
            headers.insert(WWW_AUTHENTICATE, actix_web::http::header::HeaderValue::from_static("Bearer"))
        }
        Refusal::Guessing => headers.insert(RETRY_AFTER, actix_web::http::header::HeaderValue::from(PENALTY.as_secs())),
        Refusal::Forbidden => return response,
    };
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Token;

    const PEER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn http(public_read: bool) -> Http {
        let token =
            |name: &str, role| Token { name: name.into(), role, sha256: Sha256::digest(name.as_bytes()).into() };
        let tokens = vec![token("reader", Role::Read), token("operator", Role::Operate)];
        Http { listen: "127.0.0.1:0".parse().unwrap(), public_read, tokens }
    }

    fn asked(gate: &Gate, http: &Http, needed: Role, authorization: &str, now: Instant) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        gate.judge(http, &headers, needed, PEER, now)
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
        assert!(matches!(asked(&gate, &http(true), Role::Operate, "", now), Err(Refusal::Unauthorised(_))));
        assert_eq!(asked(&gate, &http(true), Role::Operate, "Bearer reader", now), Err(Refusal::Forbidden));
        assert_eq!(asked(&gate, &http(true), Role::Operate, "Bearer operator", now), Ok(()));
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
}
