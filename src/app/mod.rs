//! Builds the whole service from a [`Config`], changes it at a reload, and takes it down without losing anything.
//!
//! Read this first: it names every part and says what is connected to what.

mod children;
mod events;
mod gauges;
mod notifiers;
mod outputs;
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
use crate::alert::status::AlertStatus;
use crate::config::{Changes, Config, diff};
use crate::health::judge;
use crate::health::report::Health;
use crate::health::reports::ReportsHealth;
use crate::messages::targets::SetServers;
use crate::notify::{self, Board};
use crate::privilege::Plan;
use crate::stats::leap::LeapSource;
use crate::stats::local::LocalState;
use crate::stats::snapshot::Snapshot;
use crate::store::{Options, Store};
use crate::web::audit::Audit;
use crate::web::desk::{Desk, Reload};
use crate::web::listen::Listeners;
use crate::web::{self, live};

pub use surroundings::{StartError, Surroundings};

use notifiers::Notifiers;
use outputs::Outputs;
use points::Points;

/// A running service.
pub struct Service {
    config: watch::Sender<Arc<Config>>,
    supervisor: Addr<Supervisor>,
    targets: children::Seat,
    ledger: Ledger,
    outputs: Outputs,
    notifiers: Notifiers,
    census: Census,
    health: watch::Receiver<Arc<Health>>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    escalation: watch::Receiver<Option<Escalation>>,
    web: ServerHandle,
    reloads: mpsc::Receiver<Reload>,
    listening: Vec<SocketAddr>,
    log: Logger,
}

impl Service {
    /// Starts everything. Must be called within an actix system.
    ///
    /// # Errors
    /// When an output cannot be opened or the address cannot be listened on. The process is to end then: what was
    /// started by that time is not taken down.
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
        let paces = Arc::new(OnceLock::new());
        let (desk, reloads) = Desk::new(around.inputs);
        let state = web::State {
            health: health.clone(),
            snapshot: snapshot.clone(),
            config: current.subscribe(),
            store: store.handle(),
            clock: Arc::clone(&clock),
            started,
            hub: live::Hub::start(started, sources),
            samples: tap.clone(),
            ledger: Arc::clone(&paces),
            alerts: alerts.clone(),
            silences: Arc::clone(&silences),
            desk,
            audit: Audit::start(store.handle(), log),
        };
        let listeners = Listeners::open(config.http.listen)?;
        if listeners.handed_over {
            info!(log, "listening on sockets of the service manager, not on http.listen");
        }
        let (server, listening) = web::serve(listeners, state)?;
        let (escalate, escalation) = watch::channel(None);
        let census = Census::default();
        let supervisor = Supervisor::new(census.clone(), Arc::clone(&clock), escalate, log.clone()).start();

        let sinks = Arc::new(Mutex::new(BTreeMap::new()));
        let outputs = Outputs::start(&config, store.clone(), supervisor.clone(), Arc::clone(&sinks), log).await?;
        let book = Listener::new("health");
        let analysis = Listener::new("stats");
        let outlet = Outlet::new(outputs.journal(), [book.clone(), analysis.clone()]).tapped(tap);
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
        supervisor.do_send(children::health(observed, book, outputs.store(), publish, log));

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
        // It is set once, here.
        let _ = paces.set(ledger.clone());
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
        let targets = children::Seat::default();
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
            reloads,
            listening,
            log: log.clone(),
        })
    }

    /// Where HTTP is answered.
    #[must_use]
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// The newest health.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Arc<Health>> {
        self.health.clone()
    }

    /// The newest picture of what was computed.
    #[must_use]
    pub fn snapshot(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    /// Every child of the supervisor.
    #[must_use]
    pub fn census(&self) -> &Census {
        &self.census
    }

    /// Says when the service has to end because a core child cannot stay up.
    #[must_use]
    pub fn escalation(&self) -> watch::Receiver<Option<Escalation>> {
        self.escalation.clone()
    }

    /// The next configuration that somebody who edited it wants to be taken up; whoever runs the service calls
    /// [`Service::reload`] with it and answers. Can be given up at any time.
    pub async fn next_reload(&mut self) -> Option<Reload> {
        self.reloads.recv().await
    }

    /// Changes the running service to `new`. Only what changed is touched.
    ///
    /// # Errors
    /// When a changed output cannot be opened, or lies where a service of root does not work; the old configuration stays in force.
    pub async fn reload(&mut self, new: Config) -> Result<Changes, StartError> {
        Plan::for_service(&new)?.stay()?;
        let changes = diff(&self.config.borrow(), &new);
        notify::try_out(&new.notifiers).await?;
        if changes.sections.iter().any(|section| matches!(*section, "influxdb" | "csv" | "monitor")) {
            // Both are tried before anything that runs is touched.
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
            warn!(self.log, "this change takes effect at the next start only"; "key" => *key);
        }
        self.config.send_replace(Arc::new(new));
        Ok(changes)
    }
}
