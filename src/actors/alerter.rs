//! Steps the rules over every picture and records what comes of it: states, history and notifications in one
//! transaction. Publishes how alerts stand. No arithmetic, no rule, is here.
//!
//! While the store cannot be written, what is to be recorded waits here, in order, and the rules go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};
use tokio::sync::watch::{Receiver, Sender};

use super::rhythm;
use crate::config::{Channel, Config};
use crate::store::{AlertRecord, StoreHandle};
use ntp_monitor_core::alert::engine::Engine;
use ntp_monitor_core::alert::facts::Observation;
use ntp_monitor_core::alert::notification::Status;
use ntp_monitor_core::alert::silence::Silence;
use ntp_monitor_core::alert::status::{Addressed, AlertStatus, Outcome};
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::stats::snapshot::Snapshot;

/// How often the rules look; less often where pictures come less often, with many servers.
const EVERY: Duration = Duration::from_secs(2);
/// Silences are read again this often at least.
const SILENCES_EVERY: Duration = Duration::from_secs(60);
/// What waits for a store that cannot be written; beyond it the oldest history is let go, notifications never.
const MOST_WAITING: usize = 10_000;

/// What the alerter looks at and tells.
#[derive(Clone)]
pub struct Alerter {
    /// The configuration in effect.
    pub config: Receiver<Arc<Config>>,
    /// What was computed.
    pub snapshot: Receiver<Arc<Snapshot>>,
    /// The state of the service.
    pub health: Receiver<Arc<Health>>,
    /// Counts up when somebody changed a silence.
    pub silences: Receiver<u64>,
    /// How alerts stand.
    pub publish: Arc<Sender<Arc<AlertStatus>>>,
    /// Where it is recorded.
    pub store: StoreHandle,
    /// By which clock.
    pub clock: Arc<dyn Clock>,
    /// Where it says what happens.
    pub log: Logger,
}

/// What one incarnation works with.
struct Desk {
    engine: Engine,
    config: Arc<Config>,
    /// How alerts stand after the last step.
    status: AlertStatus,
    waiting: Outcome,
    not_recorded: Option<String>,
    silences_read: Option<Instant>,
}

impl Alerter {
    /// Runs until nobody publishes any more.
    pub async fn run(mut self) {
        let Some(mut desk) = self.begin().await else { return };
        loop {
            tokio::select! {
                () = tokio::time::sleep(rhythm::pause(desk.config.servers.len(), EVERY)) => {}
                changed = self.silences.changed() => match changed {
                    Ok(()) => desk.silences_read = None,
                    Err(_) => return,
                },
            }
            self.silences.borrow_and_update();
            self.take_configuration(&mut desk);
            self.take_silences(&mut desk).await;
            desk = match self.step(desk).await {
                Some(desk) => desk,
                None => return,
            };
            self.record(&mut desk).await;
            self.show(&mut desk);
        }
    }

    /// Takes up what was left. A store that cannot be read now is asked again: nothing may be told twice.
    async fn begin(&self) -> Option<Desk> {
        let config = self.config.borrow().clone();
        let now = self.clock.now();
        let mut engine = Engine::new((*config.alerting).clone(), now);
        let (saved, unreadable) = loop {
            match self.store.read(|reader| reader.alert_states()).await {
                Ok(found) => break found,
                Err(why) => {
                    warn!(self.log, "alerts wait, for what was told before cannot be read"; "reason" => %why);
                    tokio::time::sleep(EVERY).await;
                }
            }
        };
        if unreadable > 0 {
            warn!(self.log, "states of alerts cannot be read, perhaps of a newer release"; "count" => unreadable);
        }
        let waiting = engine.restore(now, saved);
        Some(Desk { engine, config, status: AlertStatus::default(), waiting, not_recorded: None, silences_read: None })
    }

    fn take_configuration(&mut self, desk: &mut Desk) {
        let config = self.config.borrow_and_update().clone();
        if config.alerting != desk.config.alerting {
            let outcome = desk.engine.reconfigure(self.clock.now(), (*config.alerting).clone());
            desk.waiting.append(outcome);
            info!(self.log, "rules of alerts changed"; "rules" => config.alerting.rules.len());
        }
        desk.config = config;
    }

    async fn take_silences(&self, desk: &mut Desk) {
        if desk.silences_read.is_some_and(|read| read.elapsed() < SILENCES_EVERY) {
            return;
        }
        let now_ns = self.clock.now().wall_ns;
        match self.store.read(move |reader| reader.silences(now_ns)).await {
            Ok(silences) => {
                let silences: Vec<Silence> = silences;
                desk.engine.set_silences(silences);
                desk.silences_read = Some(Instant::now());
            }
            Err(why) => warn!(self.log, "silences cannot be read"; "reason" => %why),
        }
    }

    /// On a thread of its own: ten thousand servers and twenty rules cost a tenth of a second.
    async fn step(&self, mut desk: Desk) -> Option<Desk> {
        let (snapshot, health) = (self.snapshot.borrow().clone(), self.health.borrow().clone());
        let now = self.clock.now();
        let work = move || {
            let begin = Instant::now();
            let polled = desk.config.servers.iter().filter(|server| !server.paused);
            let servers: Vec<_> = polled.map(|server| Arc::clone(&server.ident)).collect();
            let observed = Observation { now, servers: &servers, snapshot: &snapshot, health: &health };
            let stopwatch = || u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
            let outcome = desk.engine.step(&observed, &stopwatch);
            desk.status = desk.engine.status();
            (desk, outcome)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok((mut desk, outcome)) => {
                outcome.notifications.iter().for_each(|it| self.say(it));
                desk.waiting.append(outcome);
                Some(desk)
            }
            Err(why) => {
                // The supervisor begins anew from what is in the store.
                error!(self.log, "the rules of alerts died"; "reason" => %why);
                None
            }
        }
    }

    fn say(&self, addressed: &Addressed) {
        let it = &addressed.notification;
        let (alert, severity, count) = (it.alert.clone(), it.severity.label(), it.alerts.len());
        match it.status {
            Status::Firing if !it.reminder => {
                warn!(self.log, "alert: {}", it.summary; "alert" => alert, "severity" => severity, "count" => count);
            }
            Status::Firing => {}
            Status::Resolved => {
                info!(self.log, "alert is over: {}", it.summary; "alert" => alert, "count" => count);
            }
        }
    }

    async fn record(&self, desk: &mut Desk) {
        if desk.waiting.is_empty() {
            return;
        }
        let record = to_record(&desk.waiting, &desk.config);
        match self.store.record_alerts(record).await {
            Ok(()) => {
                desk.waiting = Outcome::default();
                if desk.not_recorded.take().is_some() {
                    info!(self.log, "alerts are recorded again");
                }
            }
            Err(why) => {
                if desk.not_recorded.replace(why.to_string()).is_none() {
                    error!(self.log, "alerts are not recorded and nobody is told, for now"; "reason" => %why);
                }
                let surplus = desk.waiting.history.len().saturating_sub(MOST_WAITING);
                desk.waiting.history.drain(..surplus);
            }
        }
    }

    fn show(&self, desk: &mut Desk) {
        let status = AlertStatus { not_recorded: desk.not_recorded.clone(), ..std::mem::take(&mut desk.status) };
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

/// Who is told when a rule names nobody: everybody but heartbeats, which tell by falling silent.
fn receivers(config: &Config) -> Vec<String> {
    let talks = |it: &&crate::config::Notifier| !matches!(it.channel, Channel::Heartbeat(_));
    config.notifiers.iter().filter(talks).map(|it| it.name.clone()).collect()
}
