//! Examines everything that the service depends on, and says what to do about each finding.
//!
//! An examination changes nothing. It sends at most one request to a server, and none to a server that was polled a
//! moment ago according to the store, so you can run it while the service runs. If it cannot check something (another
//! user's files, a network that is down), that is a finding, never a failure.

mod agreement;
mod clock;
mod files;
mod finding;
mod fleet;
mod outputs;
mod servers;
mod service;
mod settings;
mod stamps;
mod store;

use std::path::PathBuf;
use std::sync::Arc;

pub use finding::{Finding, Level};

use crate::config::{Config, Faults, Loaded};
use crate::privilege::Refusal;
use crate::probe::Engines;
use crate::probe::resolve::Resolve;

/// The input of an examination.
pub struct Examination {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The result of loading the configuration.
    pub loaded: Result<Loaded, Faults>,
    /// Why root does not open the store.
    pub refused: Option<Refusal>,
    /// Whether nothing may be sent to other machines.
    pub offline: bool,
    /// How servers are measured.
    pub engines: Engines,
    /// How names are resolved.
    pub resolver: Arc<dyn Resolve>,
}

impl Examination {
    /// Runs all checks, in the order in which their findings should be fixed.
    pub async fn run(&self, mut step: impl FnMut(&str)) -> Vec<Finding> {
        step("configuration");
        let mut findings = settings::examine(self.file.as_deref(), &self.loaded);
        let config = self.loaded.as_ref().ok().map(|loaded| &loaded.config);
        if let Some(config) = config {
            step("files");
            findings.extend(files::examine(config));
        }
        step("clock");
        findings.extend(clock::examine().await);
        step("timestamps");
        findings.extend(stamps::examine(&self.engines).await);
        if let Some(config) = config {
            self.depending_on(config, &mut findings, &mut step).await;
        }
        findings
    }

    async fn depending_on(&self, config: &Config, findings: &mut Vec<Finding>, step: &mut impl FnMut(&str)) {
        step("store");
        findings.extend(match &self.refused {
            None => store::examine(config),
            Some(why) => vec![store::refused(config, why)],
        });
        step("servers");
        findings.extend(servers::examine(self, config).await);
        step("outputs");
        findings.extend(outputs::examine(config, self.offline).await);
        if config.fleet.is_some() {
            step("fleet");
            findings.extend(fleet::examine(config, self.offline).await);
        }
        step("service");
        findings.extend(service::examine(config).await);
    }
}
