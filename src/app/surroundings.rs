//! The replaceable environment of the service, and the errors of a start.

use std::sync::Arc;
use std::time::Duration;

use slog::Logger;

use crate::clock::SystemClock;
use crate::config::Inputs;
use crate::notify;
use crate::privilege::Refusal;
use crate::probe::Engines;
use crate::probe::resolve::{Resolve, system::SystemResolver};
use crate::sinks::influx;
use crate::sinks::worker::WriteError;
use crate::store::StoreError;
use crate::web::auth::setup::SetupLink;
use crate::web::listen::ListenError;
use ntp_monitor_core::clock::Clock;

/// Time limit of one name resolution; it is retried soon after.
const RESOLVE_WITHIN: Duration = Duration::from_secs(10);
/// Dependencies of the service that tests and `demo` replace.
pub struct Surroundings {
    pub engines: Engines,
    pub resolver: Arc<dyn Resolve>,
    pub clock: Arc<dyn Clock>,
    /// Returns the number of log records dropped so far.
    pub log_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The source of the configuration, where the web editor writes changes. `None` disables the editor.
    pub inputs: Option<Inputs>,
    /// The one-time link of the first start, which makes its holder the administrator.
    pub setup: Arc<SetupLink>,
}

impl Surroundings {
    /// The environment for production.
    #[must_use]
    pub fn real(log: &Logger, log_dropped: Arc<dyn Fn() -> u64 + Send + Sync>) -> Self {
        Self {
            engines: Engines::new(log),
            resolver: Arc::new(SystemResolver::new(RESOLVE_WITHIN)),
            clock: Arc::new(SystemClock),
            log_dropped,
            inputs: None,
            setup: Arc::default(),
        }
    }

    /// Makes the configuration editable.
    #[must_use]
    pub fn editing(self, inputs: Inputs) -> Self {
        Self { inputs: Some(inputs), ..self }
    }
}

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot open the store: {0}")]
    Store(#[from] StoreError),
    #[error("cannot write the CSV files: {0}")]
    Csv(WriteError),
    #[error("influxdb: {0}")]
    Influx(#[from] influx::ClientFault),
    #[error(transparent)]
    Notifier(#[from] notify::BuildError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Listen(#[from] ListenError),
}
