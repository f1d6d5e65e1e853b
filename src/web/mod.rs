//! The HTTP server. It reads snapshots and the store and never queries an actor, so a busy or dead actor cannot delay a
//! response. Changes go through the configuration file ([`config_editor`]).

pub mod api;
pub mod audit;
pub mod auth;
mod body;
pub mod config_editor;
mod headers;
mod health;
pub mod listen;
pub mod live;
pub mod metrics;
pub mod openapi;
mod page;
pub mod params;
mod prefix;
mod probe;
pub mod problem;
pub mod pulse;
pub mod renewal;
pub mod respond;
#[cfg(test)]
mod testing;
mod tls;
mod vantage;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpServer, web};
use tokio::sync::{broadcast, watch};

use crate::actors::ledger::Ledger;
use crate::actors::sheets::Sheets;
use crate::config::Config;
use crate::fleet::handle::Fleet;
use crate::store::StoreHandle;
use auth::setup::SetupLink;
use listen::{Address, ListenError, Listener, Listeners};
use ntp_monitor_core::alert::status::AlertStatus;
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::sample::Batch;
use ntp_monitor_core::stats::snapshot::Snapshot;
use openapi::Endpoint;
use problem::{Problem, wrong_method};
use pulse::Pulse;

/// Time limit for receiving a request head.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of connections: all readers of the stream, and as many others.
const MAX_CONNECTIONS: usize = 2048;

/// The data that handlers read.
#[derive(Clone)]
pub struct State {
    pub health: watch::Receiver<Arc<Health>>,
    /// The newest snapshot.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The configuration in effect.
    pub config: watch::Receiver<Arc<Config>>,
    /// Reloads tokens and the certificate from their files.
    pub renewal: renewal::Renewal,
    /// The store of past measurements.
    pub store: StoreHandle,
    pub clock: Arc<dyn Clock>,
    /// When the service started.
    pub started: Stamp,
    pub hub: live::Hub,
    /// Batches of samples; each poll is in one within a second of its end.
    pub samples: broadcast::Sender<Batch>,
    /// The poll schedules of all addresses.
    pub ledger: Ledger,
    /// The protocol sheet of every address.
    pub sheets: Sheets,
    pub alerts: watch::Receiver<Arc<AlertStatus>>,
    /// Incremented when a silence changes; the alerter watches it.
    pub silences: Arc<watch::Sender<u64>>,
    /// The editor of the configuration file.
    pub config_editor: config_editor::ConfigEditor,
    pub audit: audit::Audit,
    /// The one-time link of the first start.
    pub setup: Arc<SetupLink>,
    /// Measures servers that are not configured yet.
    pub tester: api::test::Tester,
    /// The role of this instance in a fleet.
    pub fleet: Fleet,
}

impl State {
    /// The current configuration, snapshot and health.
    #[must_use]
    pub fn now(&self) -> (Arc<Config>, Arc<Snapshot>, Arc<Health>) {
        (self.config.borrow().clone(), self.snapshot.borrow().clone(), self.health.borrow().clone())
    }
}

/// Serves HTTP on `listeners` until the returned server is stopped, and answers the liveness checks of `pulse`.
///
/// # Errors
/// When a socket cannot be used.
pub fn serve(listeners: Listeners, state: State, pulse: Pulse) -> Result<(Server, Vec<Address>), ListenError> {
    let listening = listeners.addresses()?;
    let tls = tls::server(&state.config, &state.renewal)
        .map_err(|why| ListenError::HandedOver(std::io::Error::other(why)))?;
    let state = web::Data::new(state);
    let tests = web::Data::new(api::notifiers::Tests::default());
    let making = web::Data::new(api::reports::Making::default());
    let gate = web::Data::new(auth::Gate::new(listen::is_exposed(&listening)));
    let mut server = HttpServer::new(move || {
        pulse.answer_here();
        App::new()
            .wrap(from_fn(vantage::resolve))
            .wrap(from_fn(auth::guard))
            .wrap(from_fn(prefix::strip))
            .wrap(Compress::default())
            .wrap(headers::security())
            .app_data(state.clone())
            .app_data(gate.clone())
            .app_data(tests.clone())
            .app_data(making.clone())
            .configure(routes)
    })
    // One worker is sufficient and saves memory.
    .workers(1)
    .max_connections(MAX_CONNECTIONS)
    .client_request_timeout(CLIENT_TIMEOUT)
    .shutdown_timeout(2)
    .disable_signals();
    for socket in listeners.sockets {
        let added = match (socket, &tls) {
            (Listener::Tcp(socket), Some(tls)) => server.listen_rustls_0_23(socket, tls.clone()),
            (Listener::Tcp(socket), None) => server.listen(socket),
            (Listener::Unix(socket), _) => server.listen_uds(socket),
        };
        server = added.map_err(ListenError::HandedOver)?;
    }
    Ok((server.run(), listening))
}

/// All endpoints, without the page and its files.
pub fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    let service = [health::ENDPOINTS, metrics::ENDPOINTS, probe::ENDPOINTS, openapi::ENDPOINTS];
    api::ENDPOINTS.iter().copied().chain(service).flatten()
}

fn routes(config: &mut web::ServiceConfig) {
    let get = || web::route().guard(openapi::asked(openapi::Method::Get));
    let refused = |why: String| actix_web::Error::from(Problem::bad_request(why));
    config
        .app_data(body::config())
        .app_data(web::QueryConfig::default().error_handler(move |why, _| refused(why.to_string())))
        .app_data(web::PathConfig::default().error_handler(move |why, _| refused(why.to_string())))
        .configure(openapi::routes)
        .service(web::resource("/").route(get().to(page::index)).default_service(web::to(wrong_method)))
        .service(web::resource("/plain").route(get().to(page::plain)).default_service(web::to(wrong_method)))
        .service(web::resource("/plain.css").route(get().to(page::plain_style)))
        .default_service(web::to(page::file));
}
