//! Builds the service from a [`Config`], applies a reload, and shuts it down without losing data.
//!
//! Start reading here: this module creates every part and connects it to the others.

mod children;
mod events;
mod gauges;
mod notifiers;
mod outputs;
pub mod places;
mod points;
mod recall;
pub mod run;
mod stop;
mod surroundings;
mod systemd;
mod vital;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use actix::{Actor, Addr};
use actix_web::dev::ServerHandle;
use slog::{Logger, info, warn};
use tokio::sync::{broadcast, mpsc, watch};

use crate::actors::alerter::Alerter;
use crate::actors::census::Census;
use crate::actors::health::Observed;
use crate::actors::ledger::Ledger;
use crate::actors::outlet::{Listener, Outlet};
use crate::actors::reporter::Reporter;
use crate::actors::supervisor::{Escalation, Supervisor};
use crate::actors::targets::Tools;
use crate::config::{Changes, Config, diff};
use crate::messages::targets::SetServers;
use crate::notify::{self, Board};
use crate::store::{Options, Store};
use crate::web::audit::Audit;
use crate::web::config_editor::{ConfigEditor, Reload};
use crate::web::listen::Listeners;
use crate::web::pulse::Pulse;
use crate::web::{self, live};
use ntp_monitor_core::alert::status::AlertStatus;
use ntp_monitor_core::health::judge;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::health::reports::ReportsHealth;
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::local::LocalState;
use ntp_monitor_core::stats::snapshot::Snapshot;

pub use surroundings::{StartError, Surroundings};

use notifiers::Notifiers;
use outputs::Outputs;
use points::Points;

pub struct Service {
    config: watch::Sender<Arc<Config>>,
    supervisor: Addr<Supervisor>,
    targets: children::AddressSlot,
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
    listening: Vec<SocketAddr>,
    log: Logger,
}

impl Service {
    /// Starts everything. Must be called within an actix system.
    ///
    /// When an output cannot be opened or the address cannot be bound. The process must end then, because the parts
    /// that were started before are not stopped.
    pub async fn start(config: Config, around: Surroundings, log: &Logger) -> Result<Self, StartError> {
        notify::try_out(&config.notifiers).await?;
        let store = Store::open(Options::from_config(&config), log)?;
        let (publish, health) = watch::channel(Arc::new(judge::at_start()));
        let (picture, snapshot) = watch::channel(Arc::new(Snapshot::empty(around.clock.now())));
        let clock = Arc::clone(&around.clock);
        let started = clock.now();
        let current = watch::Sender::new(Arc::new(config.clone()));
        let tap = broadcast::Sender::new(live::SAMPLES);
        let (standing, alerts) = watch::channel(Arc::<AlertStatus>::default());
        let silences = Arc::new(watch::Sender::new(0));
        let sources = live::Sources {
            samples: tap.subscribe(),
            snapshot: snapshot.clone(),
            health: health.clone(),
            alerts: alerts.clone(),
        };
        let ledger_slot = Arc::new(OnceLock::new());
        let (config_editor, reloads) = ConfigEditor::new(around.inputs);
        let state = web::State {
            health: health.clone(),
            snapshot: snapshot.clone(),
            config: current.subscribe(),
            store: store.handle(),
            clock: Arc::clone(&clock),
            started,
            hub: live::Hub::start(started, sources),
            samples: tap.clone(),
            ledger: Arc::clone(&ledger_slot),
            alerts: alerts.clone(),
            silences: Arc::clone(&silences),
            config_editor,
            audit: Audit::start(store.handle(), log),
        };
        let listeners = Listeners::open(config.http.listen)?;
        if listeners.handed_over {
            info!(log, "listening on sockets of the service manager, not on http.listen");
        }
        let pulse = Pulse::default();
        let (server, listening) = web::serve(listeners, state, pulse.clone())?;
        let (escalate, escalation) = watch::channel(None);
        let census = Census::default();
        let supervisor = Supervisor::new(census.clone(), Arc::clone(&clock), escalate, log.clone()).start();

        let sinks = Arc::new(Mutex::new(BTreeMap::new()));
        let outputs = Outputs::start(&config, store.clone(), supervisor.clone(), Arc::clone(&sinks), log).await?;
        let keeper = Listener::new("health");
        let analysis = Listener::new("stats");
        let outlet = Outlet::new(outputs.journal(), [keeper.clone(), analysis.clone()]).tapped(tap);
        let (board, queues) = (Board::default(), store.handle());
        let shown = board.clone();
        let reports = Arc::new(watch::Sender::new(ReportsHealth::default()));
        let observed = Observed {
            alerts,
            reports: reports.subscribe(),
            notifiers: Arc::new(move |now| shown.report(&queues.queue_gauges(), now.wall_ns)),
            vantage: config.monitor.vantage.as_str().into(),
            started,
            census: census.clone(),
            sinks,
            listeners: outlet.listeners().to_vec(),
            log_dropped: around.log_dropped,
            clock: Arc::clone(&clock),
        };
        supervisor.do_send(children::health(observed, keeper, outputs.store(), publish, log));

        let notifiers =
            Notifiers::start(&config.notifiers, board, outputs.store(), health.clone(), supervisor.clone(), log);
        let events = events::keeper(outputs.store(), log);
        let (own_clock, local) = watch::channel(LocalState::default());
        supervisor.do_send(children::local(own_clock, log));
        let (leap_list, leap) = watch::channel(LeapSource::default());
        supervisor.do_send(children::leap(current.subscribe(), leap_list, log));
        let recalled = recall::last_hour(outputs.store(), started, log).await;
        let heard = children::Heard { local, leap };
        supervisor.do_send(children::stats(recalled, analysis, heard, picture, events, Arc::clone(&clock), log));

        supervisor.do_send(children::points(Points {
            config: current.subscribe(),
            snapshot: snapshot.clone(),
            health: health.clone(),
            store: outputs.store(),
            clock: Arc::clone(&clock),
            log: log.clone(),
        }));

        supervisor.do_send(children::alerter(Alerter {
            config: current.subscribe(),
            snapshot: snapshot.clone(),
            health: health.clone(),
            silences: silences.subscribe(),
            publish: Arc::new(standing),
            store: outputs.store(),
            clock: Arc::clone(&clock),
            log: log.clone(),
        }));

        supervisor.do_send(children::reporter(Reporter {
            config: current.subscribe(),
            progress: reports,
            store: outputs.store(),
            clock: Arc::clone(&clock),
            log: log.clone(),
        }));

        let ledger = recall::ledger(&store, clock.now()).await?;
        // The cell is set only here.
        let _ = ledger_slot.set(ledger.clone());
        let tools = Tools {
            supervisor: supervisor.clone(),
            resolver: around.resolver,
            engines: around.engines,
            outlet,
            clock,
            ledger: ledger.clone(),
            log: log.clone(),
        };
        ledger.set_servers(config.active_servers());
        let targets = children::AddressSlot::default();
        supervisor.do_send(children::targets(tools, targets.clone()));
        let web = server.handle();
        actix_rt::spawn(server);
        info!(log, "started"; "servers" => config.servers.len(), "http" => ?listening,
            "store" => %config.store.path.display(), "version" => env!("CARGO_PKG_VERSION"));
        Ok(Self {
            config: current,
            supervisor,
            targets,
            ledger,
            outputs,
            notifiers,
            census,
            health,
            snapshot,
            escalation,
            web,
            pulse,
            reloads,
            listening,
            log: log.clone(),
        })
    }

    /// The addresses on which HTTP is served.
    #[must_use]
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
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
    pub async fn reload(&mut self, new: Config) -> Result<Changes, StartError> {
        places::plan(&new)?.stay()?;
        let changes = diff(&self.config.borrow(), &new);
        notify::try_out(&new.notifiers).await?;
        if changes.sections.iter().any(|section| matches!(*section, "influxdb" | "csv" | "monitor")) {
            // Both are checked before anything that runs is changed.
            self.outputs.examine(&new)?;
            self.outputs.replace(&new).await?;
        }
        self.notifiers.replace(&new.notifiers).await;
        let active = new.active_servers();
        self.ledger.set_servers(active.clone());
        if let Some(targets) = self.targets.get() {
            targets.do_send(SetServers(active));
        }
        for key in &changes.needs_restart {
            warn!(self.log, "this change takes effect only after a restart"; "key" => *key);
        }
        self.config.send_replace(Arc::new(new));
        Ok(changes)
    }
}
