//! The middleware that runs the gate before the handlers and answers rejected requests.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};

use super::gate::{Gate, Refusal, Request, WRITE_REFILL_NS, bearer_of};
use super::{client, reports};
use crate::config::Http;
use crate::web::problem::Problem;
use crate::web::{State, audit, openapi, page};

/// Time limit for a request that changes something, its body included.
const WRITTEN_WITHIN: Duration = Duration::from_secs(90);

/// Passes a request to its handler, or answers 401, 403, 421 or 429. Changes by a known caller, attempts to change and
/// rejections are recorded in the audit log.
///
/// # Errors
/// Errors of the handler.
pub async fn guard(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let (Some(gate), Some(state)) = (request.app_data::<web::Data<Gate>>(), request.app_data::<web::Data<State>>())
    else {
        let closed = Refusal::Unauthorised("the service is not ready for requests");
        return Ok(request.into_response(response(&closed)));
    };
    let (gate, state) = (gate.clone(), state.clone());
    let http = state.renewal.http(bearer_of(request.headers())).await;
    let writing = !request.method().is_safe();
    let note = audit::Note::of(&request, client(request.request(), &http));
    let mono_ns = state.clock.now().mono_ns;
    let verdict = gate.judge(
        &http,
        Request {
            headers: request.headers(),
            writing,
            needed: openapi::needed(&request).filter(|_| !is_open(request.path())),
            client: client(request.request(), &http),
            scheme: scheme(request.request(), &http),
            now: Instant::now(),
            mono_ns,
        },
    );
    match verdict {
        Err(why) => {
            match &why {
                Refusal::Unauthorised(_) | Refusal::Guessing(_) => reports::report(&gate, &state),
                Refusal::Forbidden(_, caller) | Refusal::Hurrying(caller) => {
                    if let Some(unnoted) = gate.noted(caller, mono_ns) {
                        note.refused(&state, caller, &problem(&why), unnoted);
                    }
                }
                Refusal::Misdirected => {}
            }
            Ok(request.into_response(response(&why)))
        }
        Ok(_) if !writing => next.call(request).await,
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            let answer = tokio::time::timeout(WRITTEN_WITHIN, next.call(request)).await.map_err(|_| too_slow())??;
            if openapi::row_of(answer.request()).is_none_or(|row| !row.only_asks) {
                note.end(&state, &answer);
            }
            Ok(answer)
        }
    }
}

/// The address of the client.
pub(super) fn client(request: &HttpRequest, http: &Http) -> Option<IpAddr> {
    let peer = client::peer(request.peer_addr());
    Some(client::address(request.headers(), peer, &http.trusted_proxies))
}

/// The scheme of the URL that the client sees.
pub(super) fn scheme(request: &HttpRequest, http: &Http) -> &'static str {
    let (peer, is_tls) = (client::peer(request.peer_addr()), request.app_config().secure());
    client::scheme(request.headers(), peer, &http.trusted_proxies, is_tls)
}

/// Whether a path has no data to protect: files of the built page, and a style sheet.
fn is_open(path: &str) -> bool {
    path == "/plain.css" || page::is_built(path)
}

fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long")
}

fn response(why: &Refusal) -> HttpResponse {
    let mut response = problem(why).error_response();
    if matches!(why, Refusal::Unauthorised(_)) {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The response to a rejected request.
pub(super) fn problem(why: &Refusal) -> Problem {
    let problem = |status, detail: &str| Problem::new(status, detail);
    match why {
        Refusal::Unauthorised(detail) => problem(StatusCode::UNAUTHORIZED, detail),
        Refusal::Forbidden(detail, _) => problem(StatusCode::FORBIDDEN, detail),
        Refusal::Guessing(wait) => {
            let detail = "the token is unknown, and this address has sent too many wrong tokens within a minute";
            problem(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(*wait)
        }
        Refusal::Hurrying(_) => {
            let wait = Duration::from_nanos(WRITE_REFILL_NS.unsigned_abs());
            problem(StatusCode::TOO_MANY_REQUESTS, "too many concurrent changes: try again shortly").retry_after(wait)
        }
        Refusal::Misdirected => {
            let detail = "this host name is not one of the service's names; http.names in its configuration lists them";
            problem(StatusCode::MISDIRECTED_REQUEST, detail)
        }
    }
}
