//! HTTP. Reads snapshots and the store; never asks an actor, so a busy or dead one cannot hold up an answer. What it
//! changes goes through the configuration file ([`desk`]).

pub mod api;
pub mod audit;
mod auth;
mod body;
pub mod desk;
mod headers;
mod health;
pub mod html;
pub mod live;
pub mod metrics;
pub mod openapi;
mod page;
pub mod params;
mod probe;
pub mod problem;
pub mod respond;
#[cfg(test)]
mod testing;
pub mod view;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server};
use actix_web::middleware::{Compress, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use tokio::sync::watch;

use crate::alert::status::AlertStatus;
use crate::clock::{Clock, Stamp};
use crate::config::Config;
use crate::health::report::Health;
use crate::stats::snapshot::Snapshot;
use crate::store::StoreHandle;
use openapi::Endpoint;
use problem::{Problem, wrong_method};

/// Requests are small; whoever sends one slower than this is cut off.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once: every reader of the stream, and as many others.
const MAX_CONNECTIONS: usize = 2048;
/// A connection is given up when its peer takes nothing for this long.
const UNREAD_FOR: Duration = Duration::from_secs(30);

/// What the handlers read.
#[derive(Clone)]
pub struct State {
    /// The newest health.
    pub health: watch::Receiver<Arc<Health>>,
    /// The newest picture of what was computed.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The configuration in effect.
    pub config: watch::Receiver<Arc<Config>>,
    /// What was measured before.
    pub store: StoreHandle,
    /// By which clock.
    pub clock: Arc<dyn Clock>,
    /// When the service started.
    pub started: Stamp,
    /// What happens.
    pub hub: live::Hub,
    /// How alerts stand.
    pub alerts: watch::Receiver<Arc<AlertStatus>>,
    /// Counts up when a silence changes, for whoever heeds them.
    pub silences: Arc<watch::Sender<u64>>,
    /// Where the configuration file is edited.
    pub desk: desk::Desk,
    /// Who changed what.
    pub audit: audit::Audit,
}

impl State {
    /// Configuration, snapshot and health, as they are.
    #[must_use]
    pub fn now(&self) -> (Arc<Config>, Arc<Snapshot>, Arc<Health>) {
        (self.config.borrow().clone(), self.snapshot.borrow().clone(), self.health.borrow().clone())
    }
}

/// Listens on `listen` and answers until the returned server is stopped; also says where it listens (port 0 takes a free one).
///
/// # Errors
/// When the address cannot be listened on; the error names it and what to do.
pub fn serve(listen: SocketAddr, state: State) -> Result<(Server, Vec<SocketAddr>), ListenError> {
    let state = web::Data::new(state);
    let tests = web::Data::new(api::notifiers::Tests::default());
    let gate = web::Data::new(auth::Gate::new(!listen.ip().is_loopback()));
    let server = HttpServer::new(move || {
        App::new()
            .wrap(from_fn(auth::guard))
            .wrap(Compress::default())
            .wrap(headers::security())
            .app_data(state.clone())
            .app_data(gate.clone())
            .app_data(tests.clone())
            .configure(routes)
    })
    // One worker is plenty, and an idle service should be small.
    .workers(1)
    .on_connect(give_up_on_the_deaf)
    .max_connections(MAX_CONNECTIONS)
    .client_request_timeout(CLIENT_TIMEOUT)
    .shutdown_timeout(2)
    .disable_signals()
    .bind(listen)
    .map_err(|source| ListenError { listen, source })?;
    let listening = server.addrs();
    Ok((server.run(), listening))
}

/// Lets the kernel close a connection whose peer has stopped reading: the server would wait for it for ever.
fn give_up_on_the_deaf(connection: &dyn std::any::Any, _: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let milliseconds = u32::try_from(UNREAD_FOR.as_millis()).unwrap_or(u32::MAX);
    // Without the option the connection lasts longer, and nothing else changes.
    let _ = setsockopt(stream, TcpUserTimeout, &milliseconds);
}

/// Everything that can be asked for; the page and its files are not in it.
pub fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    let service = [health::ENDPOINTS, metrics::ENDPOINTS, probe::ENDPOINTS, openapi::ENDPOINTS];
    api::ENDPOINTS.iter().copied().chain(service).flatten()
}

fn routes(config: &mut web::ServiceConfig) {
    let refused = |why: String| actix_web::Error::from(Problem::bad_request(why));
    config
        .app_data(body::config())
        .app_data(web::QueryConfig::default().error_handler(move |why, _| refused(why.to_string())))
        .app_data(web::PathConfig::default().error_handler(move |why, _| refused(why.to_string())))
        .configure(openapi::routes)
        .service(web::resource("/").get(page::index).default_service(web::to(wrong_method)))
        .service(web::resource("/plain").get(page::plain).default_service(web::to(wrong_method)))
        .service(web::resource("/plain.css").get(page::plain_style))
        .default_service(web::to(page::file));
}

/// The configured address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}: {source}; is another instance running, or is http.listen wrong?")]
pub struct ListenError {
    /// The address.
    pub listen: SocketAddr,
    /// The system's reason.
    pub source: std::io::Error,
}
