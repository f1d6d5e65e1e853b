//! What a service is built into, and why it may not start there.

use std::sync::Arc;
use std::time::Duration;

use slog::Logger;

use crate::clock::{Clock, SystemClock};
use crate::config::Inputs;
use crate::notify;
use crate::privilege::Refusal;
use crate::probe::Engines;
use crate::probe::resolve::{Resolve, SystemResolver};
use crate::sinks::influx;
use crate::sinks::worker::WriteError;
use crate::store::StoreError;
use crate::web::listen::ListenError;

/// A name is given up after this long; the next attempt comes soon.
const RESOLVE_WITHIN: Duration = Duration::from_secs(10);
/// What may be replaced around the service: by tests, and by `demo`.
pub struct Surroundings {
    /// How servers are measured.
    pub engines: Engines,
    /// How names are resolved.
    pub resolver: Arc<dyn Resolve>,
    /// By which clock.
    pub clock: Arc<dyn Clock>,
    /// Log records dropped so far.
    pub log_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Where the configuration came from; it can be edited there.
    pub inputs: Option<Inputs>,
}

impl Surroundings {
    /// The real ones.
    #[must_use]
    pub fn real(log: &Logger, log_dropped: Arc<dyn Fn() -> u64 + Send + Sync>) -> Self {
        Self {
            engines: Engines::new(log),
            resolver: Arc::new(SystemResolver::new(RESOLVE_WITHIN)),
            clock: Arc::new(SystemClock),
            log_dropped,
            inputs: None,
        }
    }

    /// The same, with a configuration that can be edited where it came from.
    #[must_use]
    pub fn editing(self, inputs: Inputs) -> Self {
        Self { inputs: Some(inputs), ..self }
    }
}

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error("the store cannot be used: {0}")]
    Store(#[from] StoreError),
    /// The CSV files.
    #[error("the CSV files cannot be written: {0}")]
    Csv(WriteError),
    /// InfluxDB, as configured.
    #[error("influxdb: {0}")]
    Influx(#[from] influx::ClientFault),
    /// A notifier, as configured.
    #[error(transparent)]
    Notifier(#[from] notify::BuildError),
    /// A directory of another user, for a service that runs as root.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The web server.
    #[error(transparent)]
    Listen(#[from] ListenError),
}
