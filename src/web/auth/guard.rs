//! The gate as it stands before the handlers, and what becomes of those who are not let in.

use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError, web};

use super::gate::{Gate, Refusal, Request, WRITE_REFILL_NS};
use super::guesses::PENALTY;
use crate::web::problem::Problem;
use crate::web::{State, audit, openapi, page};

/// A request that changes something is over within this time, its body included.
const WRITTEN_WITHIN: Duration = Duration::from_secs(90);

/// Lets a request through to its handler, or answers 401, 403, 421 or 429. Whatever a known caller changes, or tries to,
/// is noted.
///
/// # Errors
/// Those of the handler.
pub async fn guard(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let (Some(gate), Some(state)) = (request.app_data::<web::Data<Gate>>(), request.app_data::<web::Data<State>>())
    else {
        return Ok(request.into_response(refusal(&Refusal::Unauthorised("access is disabled"))));
    };
    let state = state.clone();
    let writing = !request.method().is_safe();
    let verdict = gate.judge(
        &state.config.borrow().http,
        Request {
            headers: request.headers(),
            writing,
            needed: openapi::needed(&request).filter(|_| !is_open(request.path())),
            peer: request.peer_addr().map(|peer| peer.ip()),
            now: Instant::now(),
            mono_ns: state.clock.now().mono_ns,
        },
    );
    match verdict {
        Err(why) => Ok(request.into_response(refusal(&why))),
        Ok(_) if !writing => next.call(request).await,
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            let note = audit::Note::of(&request);
            let answer = tokio::time::timeout(WRITTEN_WITHIN, next.call(request)).await.map_err(|_| too_slow())??;
            if !openapi::only_asks(answer.request()) {
                note.end(&state, &answer);
            }
            Ok(answer)
        }
    }
}

/// What holds nothing worth protecting: the built page without its data, and a style.
fn is_open(path: &str) -> bool {
    path == "/plain.css" || page::is_built(path)
}

fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long")
}

fn refusal(why: &Refusal) -> HttpResponse {
    let problem = |status, detail: &str| Problem::new(status, detail);
    match why {
        Refusal::Unauthorised(detail) => {
            let mut response = problem(StatusCode::UNAUTHORIZED, detail).error_response();
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        Refusal::Forbidden(detail) => problem(StatusCode::FORBIDDEN, detail),
        Refusal::Guessing => {
            let detail = "too many wrong tokens: try again in a minute";
            problem(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(PENALTY)
        }
        Refusal::Hurrying => {
            let wait = Duration::from_nanos(WRITE_REFILL_NS.unsigned_abs());
            problem(StatusCode::TOO_MANY_REQUESTS, "too many changes at once: try again shortly").retry_after(wait)
        }
        Refusal::Misdirected => {
            let detail = "this service does not go by that name; http.names in its configuration lists those it does";
            problem(StatusCode::MISDIRECTED_REQUEST, detail)
        }
    }
    .error_response()
}
