//! A manual poll of one server. The minimum interval of the server still applies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::points::NamedPoll;
use crate::actors::ledger::NotNow;
use crate::config::Server;
use crate::probe::poll::{BURST_SPACING, GRACE};
use crate::web::State;
use crate::web::openapi::{Body, Endpoint, ID};
use crate::web::params::Target;
use crate::web::problem::Problem;
use ntp_monitor_core::sample::{Batch, Sample, SeriesKey};

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::post("/api/v1/servers/{id}/probe", || web::to(ask))
    .about(
        "Polls a server now and returns the result. The minimum interval still applies: a 429 response says how long \
         to wait.",
    )
    .taking(&[ID])
    .giving(Body::json::<NamedPoll<'static>>("The sample, as in the list of samples, and the name of the server."))
    .or(&[404, 409, 429, 503, 504])];

/// Maximum time that a sample takes from the prober to this handler.
const ON_THE_WAY: Duration = Duration::from_secs(2);

async fn ask(state: web::Data<State>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let target = Target::find(&state, &id)?;
    let config = state.config.borrow().clone();
    let found = config.servers.iter().find(|server| server.ident.name == target.name);
    let server = found.ok_or_else(|| Problem::not_found(format!("there is no server {:?}", &*target.name)))?;
    let address = address(&state, &target, server)?;
    // Subscribe before the request is sent, so that the reply cannot be missed.
    let samples = state.samples.subscribe();
    let now_ns = state.clock.now().mono_ns;
    state.ledger.poll_soon(address, now_ns).map_err(|why| refused(&why))?;
    let key = SeriesKey::here(&target.name, Some(address));
    match tokio::time::timeout(longest(server), answer(samples, &key, now_ns)).await {
        Ok(Some(sample)) => {
            Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(NamedPoll::of(&sample)))
        }
        Ok(None) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping")),
        Err(_) => Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "the poll has not ended in time")),
    }
}

/// The requested address, or the only address of the server.
fn address(state: &State, target: &Target, server: &Server) -> Result<SocketAddr, Problem> {
    let conflict = |why: &str| Err(Problem::new(StatusCode::CONFLICT, format!("{}: {why}", target.name)));
    if server.paused {
        return conflict("it is paused");
    }
    if let Some(address) = target.address {
        return Ok(address);
    }
    let snapshot = state.snapshot.borrow();
    let known: Vec<_> = snapshot.series_of(&target.name).into_iter().filter_map(|(key, _)| key.address).collect();
    match known.as_slice() {
        [] => conflict("none of its addresses has been polled yet"),
        [only] => Ok(*only),
        [first, ..] => conflict(&format!("it has several addresses; ask for one, such as {}@{first}", target.name)),
    }
}

fn refused(why: &NotNow) -> Problem {
    match why {
        NotNow::NotPolled => Problem::new(StatusCode::CONFLICT, "this address is no longer polled"),
        NotNow::TooSoon(wait) => {
            let detail =
                format!("it was polled a moment ago: the minimum interval ends in {:.1} s", wait.as_secs_f64());
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(*wait)
        }
    }
}

/// The next sample of this series; `None` if the channel closes first.
async fn answer(mut samples: Receiver<Batch>, key: &SeriesKey, asked_ns: i64) -> Option<Arc<Sample>> {
    loop {
        match samples.recv().await {
            Ok(batch) => {
                let is_it = |sample: &&Arc<Sample>| {
                    let is_named = sample.server.name == key.server && sample.address == key.address;
                    is_named && sample.at.mono_ns >= asked_ns
                };
                if let Some(sample) = batch.iter().find(is_it) {
                    return Some(Arc::clone(sample));
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

/// The longest time that a poll takes, for every engine.
fn longest(server: &Server) -> Duration {
    let single = server.timeout + GRACE;
    (single + BURST_SPACING) * u32::from(server.samples_per_poll) + ON_THE_WAY
}
