//! The endpoints that start, show and end a session.

use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::{Gate, Refusal, bearer, bearer_of};
use super::session::{Caller, LASTS, Sessions};
use super::setup::{LinkState, NotTaken};
use super::{guard, hash, origin, reports, setup};
use crate::config::edit::TokenEdit;
use crate::config::{Http, Role};
use crate::web::config_editor::{Condition, Edit};
use crate::web::openapi::{Body, Endpoint};
use crate::web::problem::Problem;
use crate::web::{State, audit, body, prefix};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/session", || web::to(look))
        .about("The name and role of the caller, from the token or the session.")
        .open()
        .giving(Body::json::<SessionView>("authenticated, name, role, reading_is_open."))
        .or(&[429]),
    Endpoint::post("/api/v1/session", || web::to(begin))
        .about("Starts a browser session: takes a token and sets a session cookie.")
        .open()
        .wanting(Body::json::<Login>("token."))
        .giving(Body::json::<SessionBegun>("name, role."))
        .or(&[401, 403, 429]),
    Endpoint::post("/api/v1/session/setup", || web::to(set_up))
        .about(
            "Uses the one-time link of the first start: creates the token of the first administrator, writes its hash \
             to the configuration file, and starts a browser session. The token is shown only in this response.",
        )
        .open()
        .wanting(Body::json::<SetUp>("code."))
        .giving(Body::json::<SetUpDone>("name, role, token, file."))
        .or(&[401, 403, 409, 422, 429, 503]),
    Endpoint::delete("/api/v1/session", || web::to(end))
        .about("Ends the browser session.")
        .open()
        .giving_with(204, Body::none("There is no session any more."))
        .or(&[403]),
];

/// The largest accepted body; a token and the JSON around it are shorter.
const LONGEST_LOGIN: usize = 4096;

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    /// The token in plain text.
    token: String,
}

#[derive(JsonSchema, Serialize)]
struct SessionBegun {
    /// The name of the token.
    name: String,
    /// The role: read, operate or admin.
    role: &'static str,
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetUp {
    /// What follows `setup=` in the link.
    code: String,
}

#[derive(JsonSchema, Serialize)]
struct SetUpDone {
    /// The name of the new token.
    name: &'static str,
    role: &'static str,
    /// The new token. Needed to sign in when the session has ended.
    token: String,
    /// The file that its hash was written to.
    file: String,
}

#[derive(JsonSchema, Serialize)]
struct SessionView {
    /// Whether the request has a known token or an open session.
    authenticated: bool,
    /// The name of the token.
    name: Option<String>,
    /// The role: read, operate or admin.
    #[schemars(extend("enum" = ["read", "operate", "admin", null]))]
    role: Option<&'static str>,
    /// Whether reading needs neither a token nor a session.
    reading_is_open: bool,
    /// The one-time link of the first start: `waiting` to be used, or `expired`; `null` without one.
    setup_link: Option<&'static str>,
}

async fn look(request: HttpRequest, state: web::Data<State>, gate: web::Data<Gate>) -> Result<HttpResponse, Problem> {
    let (http, now) = (state.renewal.http(bearer_of(request.headers())).await, Instant::now());
    let caller = match request.headers().get(AUTHORIZATION) {
        None => gate.sessions.caller(&http, request.headers(), now),
        Some(header) => {
            match bearer(header).map(|token| gate.holder(&http, token, guard::client(&request, &http), now)) {
                Some(Ok(caller)) => Some(caller),
                Some(Err(why)) => {
                    reports::report(&gate, &state);
                    match why {
                        Refusal::Guessing(_) => return Err(guard::problem(&why)),
                        _ => None,
                    }
                }
                None => None,
            }
        }
    };
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(SessionView {
        authenticated: caller.is_some(),
        name: caller.as_ref().map(|caller| caller.name.to_string()),
        role: caller.map(|caller| caller.role.label()),
        reading_is_open: gate.reading_is_open(&http),
        setup_link: state.setup.state(&http, now).map(LinkState::label),
    }))
}

async fn begin(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
    gate: web::Data<Gate>,
) -> Result<HttpResponse, Problem> {
    not_foreign(&request, &state)?;
    let login: Login = body::json(&request, payload, LONGEST_LOGIN).await?;
    let token = login.token.trim();
    let (http, now) = (state.renewal.http(Some(token)).await, Instant::now());
    let caller = gate.holder(&http, token, guard::client(&request, &http), now).map_err(|why| {
        reports::report(&gate, &state);
        guard::problem(&why)
    })?;
    let cookie = set_cookie(&request, &http, &gate.sessions.open(&caller, token, now), LASTS);
    let begun = SessionBegun { name: caller.name.to_string(), role: caller.role.label() };
    audit::by(&request, caller);
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie)).insert_header(("Cache-Control", "no-store")).json(begun))
}

async fn set_up(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
    gate: web::Data<Gate>,
) -> Result<HttpResponse, Problem> {
    not_foreign(&request, &state)?;
    let SetUp { code } = body::json(&request, payload, LONGEST_LOGIN).await?;
    let (http, now) = (state.renewal.http(None).await, Instant::now());
    let client = guard::client(&request, &http);
    // A forwarding program on this host must not let other hosts become the first administrator.
    if !gate.is_exposed() && client.is_some_and(|client| !client.is_loopback()) {
        let detail = "this link works only on the host of the service, because the service listens only on loopback";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let taken = match state.setup.take(code.trim(), &http, now) {
        Ok(taken) => taken,
        Err(NotTaken::Expired) => return Err(Problem::new(StatusCode::UNAUTHORIZED, NotTaken::Expired.to_string())),
        Err(why) => {
            let wait = client.and_then(|client| gate.guesses.wrong(client, now));
            reports::report(&gate, &state);
            return Err(wait.map_or_else(
                || Problem::new(StatusCode::UNAUTHORIZED, why.to_string()),
                |wait| guard::problem(&Refusal::Guessing(wait)),
            ));
        }
    };
    let token = setup::secret();
    let edit = Edit::Token(TokenEdit { name: setup::TOKEN_NAME.to_owned(), role: Role::Admin, sha256: hash(&token) });
    let running = state.config.borrow().clone();
    let done = state.config_editor.write(Condition::None, edit, running).await?;
    taken.use_up();
    let caller = Caller { name: setup::TOKEN_NAME.into(), role: Role::Admin };
    let cookie = set_cookie(&request, &http, &gate.sessions.open(&caller, &token, now), LASTS);
    audit::about(&request, "the token of the first administrator, by the link of the first start");
    audit::by(&request, caller);
    let (name, role) = (setup::TOKEN_NAME, Role::Admin.label());
    let done = SetUpDone { name, role, token, file: done.path.display().to_string() };
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie)).insert_header(("Cache-Control", "no-store")).json(done))
}

async fn end(request: HttpRequest, state: web::Data<State>, gate: web::Data<Gate>) -> Result<HttpResponse, Problem> {
    let caller = gate.sessions.caller(&state.config.borrow().http, request.headers(), Instant::now());
    if let Some(caller) = caller {
        audit::by(&request, caller);
    }
    not_foreign(&request, &state)?;
    gate.sessions.close(request.headers());
    Ok(HttpResponse::NoContent()
        .insert_header((SET_COOKIE, set_cookie(&request, &state.config.borrow().http, "", Duration::ZERO)))
        .finish())
}

/// Another site must not log a browser in (as a different caller) or out.
fn not_foreign(request: &HttpRequest, state: &State) -> Result<(), Problem> {
    if origin::is_foreign(request.headers(), guard::scheme(request, &state.config.borrow().http)) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "this is permitted only from the page of this service"));
    }
    Ok(())
}

fn set_cookie(request: &HttpRequest, http: &Http, secret: &str, lasts: Duration) -> String {
    let secure = if guard::scheme(request, http) == "https" { "; Secure" } else { "" };
    let (name, seconds) = (Sessions::COOKIE, lasts.as_secs());
    let prefix = prefix::of(request);
    format!("{name}={secret}; Path={prefix}/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}
