//! Builds the service from a [`Config`], applies a reload, and shuts it down without losing data.
//!
//! Start reading here: this module creates every part and connects it to the others.

mod analysis_thread;
pub mod beacon;
mod children;
mod events;
mod first_start;
mod fleet;
mod gauges;
mod identity;
mod local_rows;
pub mod memory;
mod notifiers;
mod outputs;
pub mod own_file;
pub mod permissions;
pub mod places;
mod points;
mod recall;
mod restore;
pub mod run;
mod start;
mod stop;
mod surroundings;
mod systemd;
mod vital;

use std::sync::Arc;

use actix::Addr;
use actix_web::dev::ServerHandle;
use slog::{Logger, warn};
use tokio::sync::{mpsc, watch};

use crate::actors::census::Census;
use crate::actors::health::HealthKeeper;
use crate::actors::ledger::Ledger;
use crate::actors::outlet::Outlet;
use crate::actors::stats::Statistician;
use crate::actors::supervisor::{Escalation, Supervisor};
use crate::actors::targets::Targets;
use crate::config::{Changes, Config, diff};
use crate::messages::targets::SetServers;
use crate::notify::{self};
use crate::store::{Options, Store};
use crate::web::config_editor::Reload;
use crate::web::listen::Address;
use crate::web::pulse::Pulse;
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::stats::snapshot::Snapshot;

pub use surroundings::{StartError, Surroundings};

use beacon::Beacon;
use notifiers::Notifiers;
use outputs::Outputs;
use recall::Whose;
use start::{Boards, Start};

pub struct Service {
    config: watch::Sender<Arc<Config>>,
    supervisor: Addr<Supervisor>,
    targets: children::AddressSlot<Targets>,
    statistician: children::AddressSlot<Statistician>,
    health_keeper: children::AddressSlot<HealthKeeper>,
    clock: Arc<dyn Clock>,
    outlet: Outlet,
    ledger: Ledger,
    outputs: Outputs,
    notifiers: Notifiers,
    census: Census,
    health: watch::Receiver<Arc<Health>>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    escalation: watch::Receiver<Option<Escalation>>,
    web: ServerHandle,
    pulse: Pulse,
    reloads: mpsc::Receiver<Reload>,
    listening: Vec<Address>,
    beacon: Beacon,
    log: Logger,
}

impl Service {
    /// Starts everything. Must be called within an actix system.
    ///
    /// # Errors
    /// When an output cannot be opened or the address cannot be bound. The process must end then, because the parts
    /// that were started before are not stopped.
    pub async fn start(mut config: Config, around: Surroundings, log: &Logger) -> Result<Self, StartError> {
        notify::try_out(&config.notifiers).await?;
        let store = Store::open(Options::from_config(&config), log)?;
        identity::keep(&mut config, store.vantage(), log);
        let listeners = start::bind(&config, log)?;
        let beacon = Beacon::new();
        beacon.admit(&mut config);
        let boards = Boards::new(config, around.clock.now());
        let start = Start::begin(boards, around, store, log).await?;
        start.measuring().await;
        start.judging();
        start.polling();
        start.in_a_fleet();
        start.serve(listeners, beacon)
    }

    /// The addresses on which HTTP is served.
    #[must_use]
    pub fn listening(&self) -> &[Address] {
        &self.listening
    }

    /// The configuration in effect.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    #[must_use]
    pub fn health(&self) -> watch::Receiver<Arc<Health>> {
        self.health.clone()
    }

    #[must_use]
    pub fn snapshot(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    /// The status of every child of the supervisor.
    #[must_use]
    pub fn census(&self) -> &Census {
        &self.census
    }

    /// Receives a value when the service must end because a core child cannot stay up.
    #[must_use]
    pub fn escalation(&self) -> watch::Receiver<Option<Escalation>> {
        self.escalation.clone()
    }

    /// Changes when another program put another store at the path of the store, so that the service must end. The value
    /// says where the samples of this process are.
    #[must_use]
    pub fn store_replaced(&self) -> watch::Receiver<Option<String>> {
        self.outputs.store().replaced()
    }

    /// Waits for the next configuration submitted by the web editor. The caller passes it to [`Service::reload`] and
    /// answers the request. Cancel-safe.
    pub async fn next_reload(&mut self) -> Option<Reload> {
        self.reloads.recv().await
    }

    /// Changes the running service to `new`. Only parts whose configuration changed are restarted.
    ///
    /// # Errors
    /// When a changed output cannot be opened, or is in a place where a service of root must not work; the old configuration
    /// stays in effect.
    pub async fn reload(&mut self, mut new: Config) -> Result<Changes, StartError> {
        places::plan(&new)?.stay()?;
        self.beacon.admit(&mut new);
        // With many servers this takes time, and polls become due meanwhile.
        let running = self.config();
        let compared = tokio::task::spawn_blocking(move || {
            new.keep_vantage(&running.monitor.vantage);
            let new = new.sharing_servers(&running);
            (diff(&running, &new), new.active_servers(), new)
        });
        let (changes, active, new) = compared.await.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()));
        notify::try_out(&new.notifiers).await?;
        if changes.sections.iter().any(|section| matches!(*section, "influxdb" | "csv" | "monitor")) {
            // Both are checked before anything that runs is changed.
            self.outputs.examine(&new)?;
            self.outputs.replace(&new).await?;
        }
        self.notifiers.replace(&new.notifiers).await;
        // In a fleet, the task that follows the plan does this.
        if new.fleet.as_ref().is_none_or(|fleet| !fleet.role.is_agent()) {
            self.recall_counts(Whose::added(&self.config().active_servers(), &active, &self.health.borrow()));
            self.ledger.set_servers(active.clone());
            if let Some(targets) = self.targets.get() {
                targets.do_send(SetServers(active));
            }
        }
        for key in &changes.needs_restart {
            warn!(self.log, "this change takes effect only after a restart"; "key" => *key);
        }
        let before = self.config.send_replace(Arc::new(new));
        tokio::task::spawn_blocking(move || drop(before));
        Ok(changes)
    }

    /// Reads the success counts of servers that are about to be polled; nothing waits for them.
    fn recall_counts(&self, whose: Whose) {
        let Some(keeper) = self.health_keeper.get().filter(|_| !whose.is_empty()) else { return };
        let now_ns = self.clock.now().wall_ns;
        actix_rt::spawn(recall::rates(self.outputs.store(), whose, now_ns, keeper, self.log.clone()));
    }
}
