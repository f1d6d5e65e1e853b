//! HTTP. Reads snapshots and the store; never asks an actor, so a busy or dead one cannot hold up an answer.

mod health;
pub mod problem;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use tokio::sync::watch;

use crate::health::report::Health;

/// Requests are small; whoever sends one slower than this is cut off.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once; a monitor has few readers.
const MAX_CONNECTIONS: usize = 1024;

/// What the handlers read.
#[derive(Debug, Clone)]
pub struct State {
    /// The newest health.
    pub health: watch::Receiver<Arc<Health>>,
}

/// Listens on `listen` and answers until the returned server is stopped; also says where it listens (port 0 takes a free one).
///
/// # Errors
/// When the address cannot be listened on; the error names it and what to do.
pub fn serve(listen: SocketAddr, state: State) -> Result<(Server, Vec<SocketAddr>), ListenError> {
    let server = HttpServer::new(move || App::new().app_data(web::Data::new(state.clone())).configure(routes))
        // One worker is plenty, and an idle service should be small.
        .workers(1)
        .max_connections(MAX_CONNECTIONS)
        .client_request_timeout(CLIENT_TIMEOUT)
        .shutdown_timeout(2)
        .disable_signals()
        .bind(listen)
        .map_err(|source| ListenError { listen, source })?;
    let listening = server.addrs();
    Ok((server.run(), listening))
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/health").get(health::health))
        .service(web::resource("/ready").get(health::ready))
        .default_service(web::to(problem::not_found));
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
