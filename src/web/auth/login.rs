//! The endpoints that begin, show and end a session.

use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::Gate;
use super::session::{Caller, LASTS, Sessions};
use super::{guesses, known, origin};
use crate::config::Http;
use crate::web::openapi::{Body, Endpoint};
use crate::web::problem::Problem;
use crate::web::{State, audit, body};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/session", || web::to(look))
        .about("The caller's name and role, from its token or session.")
        .open()
        .giving(Body::json::<SessionView>("authenticated, name, role, reading_is_open.")),
    Endpoint::post("/api/v1/session", || web::to(begin))
        .about("Starts a browser session: sets a session cookie in exchange for a token.")
        .open()
        .wanting(Body::json::<Login>("token."))
        .giving(Body::json::<SessionBegun>("name, role."))
        .or(&[401, 403, 429]),
    Endpoint::delete("/api/v1/session", || web::to(end))
        .about("Ends the session of the cookie.")
        .open()
        .giving_with(204, Body::none("The session has ended, if there was one."))
        .or(&[403]),
];

/// A token and the JSON around it are shorter.
const LONGEST_LOGIN: usize = 4096;

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    /// The token, as it was given to its holder.
    token: String,
}

#[derive(JsonSchema, Serialize)]
struct SessionBegun {
    /// What the holder of the token is called.
    name: String,
    /// What he may do: read, operate or admin.
    role: &'static str,
}

#[derive(JsonSchema, Serialize)]
struct SessionView {
    /// Whether a known token or an open session was shown.
    authenticated: bool,
    /// What its holder is called.
    name: Option<String>,
    /// What he may do: read, operate or admin.
    role: Option<&'static str>,
    /// Whether reading needs neither.
    reading_is_open: bool,
}

async fn look(request: HttpRequest, state: web::Data<State>, gate: web::Data<Gate>) -> HttpResponse {
    let http = &state.config.borrow().http;
    let caller = gate.known_caller(http, request.headers(), Instant::now());
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(SessionView {
        authenticated: caller.is_some(),
        name: caller.as_ref().map(|caller| caller.name.to_string()),
        role: caller.map(|caller| caller.role.label()),
        reading_is_open: gate.reading_is_open(http),
    })
}

async fn begin(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
    gate: web::Data<Gate>,
) -> Result<HttpResponse, Problem> {
    not_foreign(&request)?;
    let login: Login = body::json(&request, payload, LONGEST_LOGIN).await?;
    let (now, peer) = (Instant::now(), request.peer_addr().map(|peer| peer.ip()));
    if peer.is_some_and(|peer| gate.guesses.too_many(peer, now)) {
        let detail = "too many wrong tokens: try again in a minute";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(guesses::PENALTY));
    }
    let http = state.config.borrow().http.clone();
    let Some(token) = known(&http, login.token.trim()) else {
        peer.inspect(|peer| gate.guesses.wrong(*peer, now));
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is not known"));
    };
    audit::by(&request, Caller { name: token.name.as_str().into(), role: token.role });
    let cookie = set_cookie(&request, &gate.sessions.open(token, now), LASTS);
    let begun = SessionBegun { name: token.name.clone(), role: token.role.label() };
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie)).insert_header(("Cache-Control", "no-store")).json(begun))
}

async fn end(request: HttpRequest, state: web::Data<State>, gate: web::Data<Gate>) -> Result<HttpResponse, Problem> {
    not_foreign(&request)?;
    let caller = gate.sessions.caller(&state.config.borrow().http, request.headers(), Instant::now());
    if let Some(caller) = caller {
        audit::by(&request, caller);
    }
    gate.sessions.close(request.headers());
    Ok(HttpResponse::NoContent().insert_header((SET_COOKIE, set_cookie(&request, "", Duration::ZERO))).finish())
}

/// Another site must neither log a browser in (as somebody else) nor out.
fn not_foreign(request: &HttpRequest) -> Result<(), Problem> {
    if origin::is_foreign(request.headers()) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "only the page of this service may do that"));
    }
    Ok(())
}

fn set_cookie(request: &HttpRequest, secret: &str, lasts: Duration) -> String {
    let secure = if request.connection_info().scheme() == "https" { "; Secure" } else { "" };
    let (name, seconds) = (Sessions::COOKIE, lasts.as_secs());
    format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

impl Gate {
    /// Who asks, without judging it: by a known token, or by a session.
    fn known_caller(&self, http: &Http, headers: &HeaderMap, now: Instant) -> Option<Caller> {
        let bearer = headers.get(actix_web::http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match bearer.and_then(|text| text.strip_prefix("Bearer ")) {
            Some(token) => {
                known(http, token.trim()).map(|token| Caller { name: token.name.as_str().into(), role: token.role })
            }
            None => self.sessions.caller(http, headers, now),
        }
    }
}
