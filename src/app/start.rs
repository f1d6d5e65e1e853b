//! The steps in which the service starts: bind first, serve last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Addr};
use slog::{Logger, info, warn};
use tokio::sync::{broadcast, watch};

use super::analysis_thread::AnalysisThread;
use super::beacon::Beacon;
use super::local_rows::LocalRows;
use super::notifiers::Notifiers;
use super::outputs::{Gauges, Outputs};
use super::points::Points;
use super::{Service, StartError, Surroundings, children, events, fleet, recall, restore};
use crate::actors::adoption::Adopt;
use crate::actors::alerter::Alerter;
use crate::actors::census::Census;
use crate::actors::health::{HealthKeeper, Observed};
use crate::actors::ledger::Ledger;
use crate::actors::outlet::{Listener, Outlet};
use crate::actors::reporter::Reporter;
use crate::actors::sheets::Sheets;
use crate::actors::stats::{Outlets, Statistician};
use crate::actors::supervisor::{Escalation, Supervisor};
use crate::actors::targets::{Targets, Tools};
use crate::config::Config;
use crate::fleet::handle;
use crate::notify::Board;
use crate::store::Store;
use crate::web::api::test::Tester;
use crate::web::audit::Audit;
use crate::web::config_editor::ConfigEditor;
use crate::web::listen::Listeners;
use crate::web::pulse::Pulse;
use crate::web::renewal::Renewal;
use crate::web::{self, live};
use ntp_monitor_core::alert::status::AlertStatus;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::judge;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::health::reports::ReportsHealth;
use ntp_monitor_core::sample::Batch;
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::local::LocalState;
use ntp_monitor_core::stats::snapshot::Snapshot;

/// Binds the address of the web server. This comes first, so that a failure occurs before anything runs.
pub(super) fn bind(config: &Config, log: &Logger) -> Result<Listeners, StartError> {
    let listeners = Listeners::open(config.http.listen)?;
    if listeners.handed_over {
        info!(log, "listening on sockets of the service manager, not on http.listen");
    }
    Ok(listeners)
}

/// The values that the parts publish for each other. Each has one writer and any number of readers.
pub(super) struct Boards {
    config: watch::Sender<Arc<Config>>,
    health: Arc<watch::Sender<Arc<Health>>>,
    snapshot: Arc<watch::Sender<Arc<Snapshot>>>,
    alerts: Arc<watch::Sender<Arc<AlertStatus>>>,
    silences: Arc<watch::Sender<u64>>,
    reports: Arc<watch::Sender<ReportsHealth>>,
    samples: broadcast::Sender<Batch>,
}

impl Boards {
    pub(super) fn new(config: Config, now: Stamp) -> Self {
        Self {
            config: watch::Sender::new(Arc::new(config)),
            health: Arc::new(watch::Sender::new(Arc::new(judge::at_start()))),
            snapshot: Arc::new(watch::Sender::new(Arc::new(Snapshot::empty(now)))),
            alerts: Arc::default(),
            silences: Arc::new(watch::Sender::new(0)),
            reports: Arc::new(watch::Sender::new(ReportsHealth::default())),
            samples: broadcast::Sender::new(live::BATCHES),
        }
    }

    fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }
}

/// A start in progress.
pub(super) struct Start {
    boards: Boards,
    around: Surroundings,
    store: Store,
    started: Stamp,
    log: Logger,
    census: Census,
    supervisor: Addr<Supervisor>,
    escalation: watch::Receiver<Option<Escalation>>,
    sinks: Gauges,
    outputs: Outputs,
    outlet: Outlet,
    statistics: Listener,
    health: Listener,
    poll_ends: Listener,
    board: Board,
    ledger: Ledger,
    sheets: Sheets,
    fleet: handle::Fleet,
    targets: children::AddressSlot<Targets>,
    statistician: children::AddressSlot<Statistician>,
    health_keeper: children::AddressSlot<HealthKeeper>,
}

impl Start {
    /// Starts the supervisor and the outputs, and reads from the store when each server was polled last.
    pub(super) async fn begin(
        boards: Boards,
        around: Surroundings,
        store: Store,
        log: &Logger,
    ) -> Result<Self, StartError> {
        let config = boards.config();
        let (census, started) = (Census::default(), around.clock.now());
        let (escalate, escalation) = watch::channel(None);
        let supervisor = Supervisor::new(census.clone(), Arc::clone(&around.clock), escalate, log.clone()).start();
        let sinks = Arc::new(Mutex::new(BTreeMap::new()));
        let outputs = Outputs::start(&config, store.clone(), supervisor.clone(), Arc::clone(&sinks), log).await?;
        let [health, statistics, poll_ends] = ["health", "stats", "targets"].map(Listener::new);
        let listeners = [health.clone(), statistics.clone(), poll_ends.clone()];
        let outlet = Outlet::new(outputs.journal(), listeners).tapped(boards.samples.clone());
        let (ledger, sheets) = recall::ledger(&store, started).await?;
        ledger.set_servers(fleet::servers_at_start(&config));
        Ok(Self {
            boards,
            around,
            store,
            started,
            log: log.clone(),
            census,
            supervisor,
            escalation,
            sinks,
            outputs,
            outlet,
            statistics,
            health,
            poll_ends,
            board: Board::default(),
            ledger,
            sheets,
            targets: children::AddressSlot::default(),
            fleet: handle::Fleet::default(),
            statistician: children::AddressSlot::default(),
            health_keeper: children::AddressSlot::default(),
        })
    }

    /// Starts the parts that turn samples into health and statistics.
    pub(super) async fn measuring(&self) {
        let (board, queues) = (self.board.clone(), self.store.handle());
        let observed = Observed {
            alerts: self.boards.alerts.subscribe(),
            reports: self.boards.reports.subscribe(),
            notifiers: Arc::new(move |now| board.report(&queues.queue_gauges(), now.wall_ns)),
            vantage: self.boards.config().monitor.vantage.as_str().into(),
            started: self.started,
            config: self.boards.config.subscribe(),
            census: self.census.clone(),
            sinks: Arc::clone(&self.sinks),
            ledger: self.ledger.clone(),
            listeners: self.outlet.listeners().to_vec(),
            log_dropped: Arc::clone(&self.around.log_dropped),
            clock: Arc::clone(&self.around.clock),
        };
        let log = &self.log;
        let thread = AnalysisThread::start();
        let publish = Arc::clone(&self.boards.health);
        let place = children::HealthPlace { thread: &thread, slot: self.health_keeper.clone() };
        self.adopt(children::health(observed, self.health.clone(), self.outputs.store(), publish, place, log));
        let (own_clock, local) = watch::channel(LocalState::default());
        self.adopt(children::local(own_clock, log));
        let (leap_list, leap) = watch::channel(LeapSource::default());
        self.adopt(children::leap(self.boards.config.subscribe(), leap_list, log));
        self.adopt(children::local_rows(LocalRows {
            config: self.boards.config.subscribe(),
            local: local.clone(),
            leap: leap.clone(),
            store: self.outputs.store(),
            clock: Arc::clone(&self.around.clock),
            log: log.clone(),
        }));
        let (events, kept_events) = events::keeper(self.outputs.store(), log);
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner).insert("events".to_owned(), kept_events);
        let recalled = recall::last_hour(self.outputs.store(), self.started, log).await;
        let names = self.boards.config().active_servers().iter().map(|server| server.ident.name.to_string()).collect();
        let judgement = Box::pin(restore::judgement(self.outputs.store(), self.started, names, log.clone()));
        let past = children::Past { recalled, judgement };
        let heard = children::Heard { local, leap };
        let (store, sheet_store) = (self.outputs.store(), self.outputs.store());
        let outlets = Outlets {
            snapshot: Arc::clone(&self.boards.snapshot),
            events,
            state: Arc::new(move |state| store.keep_verdict_state(state)),
            sheets: self.sheets.clone(),
            kept_sheets: Arc::new(move |sheets| sheet_store.keep_sheets(sheets)),
        };
        let clock = Arc::clone(&self.around.clock);
        let place = children::Place { thread, slot: self.statistician.clone() };
        self.adopt(children::stats(past, self.statistics.clone(), heard, outlets, clock, place, log));
    }

    /// Starts the parts that act on health and statistics: points for InfluxDB, alerts and reports.
    pub(super) fn judging(&self) {
        let (boards, log, clock) = (&self.boards, &self.log, &self.around.clock);
        self.adopt(children::points(Points {
            config: boards.config.subscribe(),
            snapshot: boards.snapshot.subscribe(),
            health: boards.health.subscribe(),
            store: self.outputs.store(),
            clock: Arc::clone(clock),
            log: log.clone(),
        }));
        self.adopt(children::alerter(Alerter {
            config: boards.config.subscribe(),
            snapshot: boards.snapshot.subscribe(),
            health: boards.health.subscribe(),
            silences: boards.silences.subscribe(),
            fleet: self.fleet.clone(),
            publish: Arc::clone(&boards.alerts),
            store: self.outputs.store(),
            clock: Arc::clone(clock),
            log: log.clone(),
        }));
        self.adopt(children::reporter(Reporter {
            config: boards.config.subscribe(),
            progress: Arc::clone(&boards.reports),
            store: self.outputs.store(),
            clock: Arc::clone(clock),
            log: log.clone(),
        }));
    }

    /// Starts the probers.
    pub(super) fn polling(&self) {
        let tools = Tools {
            supervisor: self.supervisor.clone(),
            resolver: Arc::clone(&self.around.resolver),
            engines: self.around.engines.clone(),
            trust: Arc::default(),
            outlet: self.outlet.clone(),
            ends: self.poll_ends.clone(),
            clock: Arc::clone(&self.around.clock),
            ledger: self.ledger.clone(),
            sheets: self.sheets.clone(),
            log: self.log.clone(),
        };
        self.adopt(children::targets(tools, self.targets.clone()));
    }

    /// Starts the parts of a fleet, if this instance belongs to one.
    pub(super) fn in_a_fleet(&self) {
        let Some(config) = self.boards.config().fleet.clone() else { return };
        let (store, boards, watched) = (self.store.handle(), &self.fleet, self.boards.config.subscribe());
        if config.role.is_hub() {
            self.adopt(fleet::hub(config.clone(), store.clone(), boards, &self.log));
            self.adopt(fleet::judge(&config, store.clone(), boards, &self.log));
        }
        if config.role.is_agent() {
            let (ledger, targets) = (self.ledger.clone(), self.targets.clone());
            self.adopt(fleet::pace(boards, watched.clone(), ledger, targets, &self.log));
            let snapshot = self.boards.snapshot.subscribe();
            self.adopt(fleet::agent(config, store, boards, watched, snapshot, &self.log));
        }
    }

    /// Starts the notifiers and serves HTTP.
    pub(super) fn serve(self, listeners: Listeners, mut beacon: Beacon) -> Result<Service, StartError> {
        let Self { boards, around, store, started, log, outputs, supervisor, ledger, fleet, .. } = self;
        let (config, health) = (boards.config(), boards.health.subscribe());
        let inputs = around.inputs.clone();
        let (config_editor, reloads) = ConfigEditor::new(around.inputs);
        let sources = live::Sources {
            samples: boards.samples.subscribe(),
            snapshot: boards.snapshot.subscribe(),
            health: health.clone(),
            alerts: boards.alerts.subscribe(),
        };
        let state = web::State {
            health: health.clone(),
            snapshot: boards.snapshot.subscribe(),
            config: boards.config.subscribe(),
            renewal: Renewal::new(boards.config.clone(), &log),
            store: store.handle(),
            clock: Arc::clone(&around.clock),
            started,
            hub: live::Hub::start(started, sources),
            samples: boards.samples,
            ledger: ledger.clone(),
            sheets: self.sheets,
            alerts: boards.alerts.subscribe(),
            silences: boards.silences,
            config_editor,
            audit: Audit::start(store.handle(), &log),
            setup: around.setup,
            tester: Tester::new(&around.engines, Arc::clone(&around.resolver)),
            fleet,
        };
        let pulse = Pulse::default();
        let (server, listening) = web::serve(listeners, state, pulse.clone())?;
        if let Err(why) = beacon.publish(inputs.as_ref(), &listening, config.http.tls.is_some()) {
            warn!(log, "`ntp-monitor health` will not find this service"; "reason" => %why);
        }
        let web = server.handle();
        actix_rt::spawn(server);
        let store = outputs.store();
        let notifiers =
            Notifiers::start(&config.notifiers, self.board, store, health.clone(), supervisor.clone(), &log);
        info!(log, "started"; "servers" => config.servers.len(), "http" => ?listening,
            "store" => %config.store.path.display(), "version" => env!("CARGO_PKG_VERSION"));
        Ok(Service {
            config: boards.config,
            supervisor,
            targets: self.targets,
            statistician: self.statistician,
            health_keeper: self.health_keeper,
            clock: around.clock,
            outlet: self.outlet,
            ledger,
            outputs,
            notifiers,
            census: self.census,
            health,
            snapshot: boards.snapshot.subscribe(),
            escalation: self.escalation,
            web,
            pulse,
            reloads,
            listening,
            beacon,
            log,
        })
    }

    fn adopt(&self, child: Adopt) {
        self.supervisor.do_send(child);
    }
}
