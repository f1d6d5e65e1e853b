//! Evaluates the alert rules on every snapshot and records the result: alert states, history and notifications, in one
//! transaction. Publishes the current alerts. The rules themselves are in the core crate.
//!
//! While the store cannot be written, results are queued here in order, and evaluation continues.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};
use tokio::sync::watch::{Receiver, Sender};

use super::rhythm;
use crate::config::{Channel, Config};
use crate::fleet::handle::Fleet;
use crate::store::{AlertRecord, StoreHandle};
use ntp_monitor_core::alert::engine::Engine;
use ntp_monitor_core::alert::facts::Observation;
use ntp_monitor_core::alert::notification::Status;
use ntp_monitor_core::alert::silence::Silence;
use ntp_monitor_core::alert::status::{Addressed, AlertStatus, Outcome};
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::stats::snapshot::Snapshot;

/// Interval between two evaluations; longer with many servers, because snapshots are then published less often.
const EVERY: Duration = Duration::from_secs(2);
/// Silences are read from the store at least this often.
const SILENCES_EVERY: Duration = Duration::from_secs(60);
/// Limit of the history queued while the store cannot be written. Beyond it the oldest entries are dropped;
/// notifications never are.
const MOST_WAITING: usize = 10_000;

/// The alert evaluator: its inputs and where it publishes.
#[derive(Clone)]
pub struct Alerter {
    /// The configuration in effect.
    pub config: Receiver<Arc<Config>>,
    pub snapshot: Receiver<Arc<Snapshot>>,
    pub health: Receiver<Arc<Health>>,
    /// Incremented whenever a silence changes.
    pub silences: Receiver<u64>,
    pub publish: Arc<Sender<Arc<AlertStatus>>>,
    pub store: StoreHandle,
    /// The state of the fleet, for the rules of a hub.
    pub fleet: Fleet,
    pub clock: Arc<dyn Clock>,
    pub log: Logger,
}

/// The state of one incarnation.
struct AlerterState {
    engine: Engine,
    config: Arc<Config>,
    /// The alerts after the last evaluation.
    status: AlertStatus,
    waiting: Outcome,
    not_recorded: Option<String>,
    /// The silences in the store.
    silences: Vec<Silence>,
    silences_read: Option<Instant>,
}

impl Alerter {
    /// Runs until the configuration channel closes.
    pub async fn run(mut self) {
        let Some(mut state) = self.begin().await else { return };
        loop {
            tokio::select! {
                () = tokio::time::sleep(rhythm::evaluation_pause(state.config.servers.len(), EVERY)) => {}
                changed = self.silences.changed() => match changed {
                    Ok(()) => state.silences_read = None,
                    Err(_) => return,
                },
            }
            self.silences.borrow_and_update();
            self.apply_config(&mut state);
            self.refresh_silences(&mut state).await;
            state = match self.step(state).await {
                Some(state) => state,
                None => return,
            };
            self.record(&mut state).await;
            self.publish_status(&mut state);
        }
    }

    /// Restores the alert states of the last run. Retries until the store can be read, because starting without them
    /// would send notifications twice.
    async fn begin(&self) -> Option<AlerterState> {
        let config = self.config.borrow().clone();
        let now = self.clock.now();
        let mut engine = Engine::new((*config.alerting).clone(), now);
        let (saved, unreadable) = loop {
            match self.store.read(|reader| reader.alert_states()).await {
                Ok(found) => break found,
                Err(why) => {
                    warn!(self.log, "alert evaluation is delayed: cannot read the saved alert states";
                        "reason" => %why);
                    tokio::time::sleep(EVERY).await;
                }
            }
        };
        if unreadable > 0 {
            warn!(self.log, "skipped saved alert states that this release cannot parse"; "count" => unreadable);
        }
        let waiting = engine.restore(now, saved);
        Some(AlerterState {
            engine,
            config,
            status: AlertStatus::default(),
            waiting,
            not_recorded: None,
            silences: Vec::new(),
            silences_read: None,
        })
    }

    fn apply_config(&mut self, state: &mut AlerterState) {
        let config = self.config.borrow_and_update().clone();
        if config.alerting != state.config.alerting {
            let outcome = state.engine.reconfigure(self.clock.now(), (*config.alerting).clone());
            state.waiting.append(outcome);
            info!(self.log, "alert rules changed"; "rules" => config.alerting.rules.len());
        }
        if !Arc::ptr_eq(&config, &state.config) {
            let before = std::mem::replace(&mut state.config, config);
            // Dropping a long list of servers takes time and would delay the probers, which run on this thread.
            tokio::task::spawn_blocking(move || drop(before));
        }
    }

    async fn refresh_silences(&self, state: &mut AlerterState) {
        let now_ns = self.clock.now().wall_ns;
        if state.silences_read.is_none_or(|read| read.elapsed() >= SILENCES_EVERY) {
            match self.store.read(move |reader| reader.silences(now_ns)).await {
                Ok(silences) => {
                    state.silences = silences;
                    state.silences_read = Some(Instant::now());
                }
                Err(why) => warn!(self.log, "cannot read silences"; "reason" => %why),
            }
        }
        let of_fleet = self.fleet.silence(&state.config, now_ns);
        state.engine.set_silences(state.silences.iter().cloned().chain(of_fleet).collect());
    }

    /// Runs on a blocking thread: with 10,000 servers and 20 rules, one evaluation takes a tenth of a second.
    async fn step(&self, mut state: AlerterState) -> Option<AlerterState> {
        let (snapshot, health) = (self.snapshot.borrow().clone(), self.health.borrow().clone());
        let now = self.clock.now();
        let fleet = state.config.fleet.as_ref().and_then(|config| self.fleet.facts(config));
        let work = move || {
            let begin = Instant::now();
            let polled = state.config.servers.iter().filter(|server| !server.paused);
            let servers: Vec<_> = polled.map(|server| Arc::clone(&server.ident)).collect();
            let observed =
                Observation { now, servers: &servers, snapshot: &snapshot, health: &health, fleet: fleet.as_ref() };
            let stopwatch = || u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
            let outcome = state.engine.step(&observed, &stopwatch);
            state.status = state.engine.status();
            (state, outcome)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok((mut state, outcome)) => {
                outcome.notifications.iter().for_each(|it| self.log_alert(it));
                state.waiting.append(outcome);
                Some(state)
            }
            Err(why) => {
                // The supervisor restarts this child from the states in the store.
                error!(self.log, "alert evaluation panicked"; "reason" => %why);
                None
            }
        }
    }

    fn log_alert(&self, addressed: &Addressed) {
        let it = &addressed.notification;
        let (alert, severity, count) = (it.alert.clone(), it.severity.label(), it.alerts.len());
        match it.status {
            Status::Firing if !it.reminder => {
                warn!(self.log, "alert: {}", it.summary; "alert" => alert, "severity" => severity, "count" => count);
            }
            Status::Firing => {}
            Status::Resolved => {
                info!(self.log, "alert resolved: {}", it.summary; "alert" => alert, "count" => count);
            }
        }
    }

    async fn record(&self, state: &mut AlerterState) {
        if state.waiting.is_empty() {
            return;
        }
        let record = to_record(&state.waiting, &state.config);
        match self.store.record_alerts(record).await {
            Ok(()) => {
                state.waiting = Outcome::default();
                if state.not_recorded.take().is_some() {
                    info!(self.log, "alerts can be recorded again");
                }
            }
            Err(why) => {
                if state.not_recorded.replace(why.to_string()).is_none() {
                    error!(self.log, "cannot record alerts, notifications are delayed until the store can be written";
                        "reason" => %why);
                }
                let surplus = state.waiting.history.len().saturating_sub(MOST_WAITING);
                state.waiting.history.drain(..surplus);
            }
        }
    }

    fn publish_status(&self, state: &mut AlerterState) {
        let status = AlertStatus { not_recorded: state.not_recorded.clone(), ..std::mem::take(&mut state.status) };
        self.publish.send_if_modified(|shown| {
            let changed = **shown != status;
            if changed {
                *shown = Arc::new(status);
            }
            changed
        });
    }
}

fn to_record(outcome: &Outcome, config: &Config) -> AlertRecord {
    let everybody = receivers(config);
    let addressed = |it: &Addressed| -> Vec<_> {
        let names = it.notify.as_ref().unwrap_or(&everybody);
        names.iter().map(|name| (name.clone(), it.notification.clone())).collect()
    };
    AlertRecord {
        memos: outcome.memos.clone(),
        history: outcome.history.clone(),
        notifications: outcome.notifications.iter().flat_map(addressed).collect(),
    }
}

/// The notifiers of a rule that lists none: all but heartbeats, which signal an alert by falling silent.
fn receivers(config: &Config) -> Vec<String> {
    let talks = |it: &&crate::config::Notifier| !matches!(it.channel, Channel::Heartbeat(_));
    config.notifiers.iter().filter(talks).map(|it| it.name.clone()).collect()
}
