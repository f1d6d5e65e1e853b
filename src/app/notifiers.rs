//! The notifiers: each is a supervised child with its own queue, so that none waits for another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;
use slog::{Logger, error, o};
use tokio::sync::watch;

use super::stop::by;
use crate::actors::adoption::{Adopt, Factory, Release};
use crate::actors::notice::DeathNotice;
use crate::actors::supervisor::Supervisor;
use crate::config::{Channel, Notifier as Config};
use crate::notify::dispatcher::{self, Repeats, Settings, Stop};
use crate::notify::{self, Beat, Board, NotifierState};
use crate::sinks::influx::Pacing;
use crate::store::StoreHandle;
use ntp_monitor_core::health::child::Role;
use ntp_monitor_core::health::report::Health;

/// When a notifier changes or the service stops, a delivery attempt in progress gets this long. Then it is aborted, and
/// repeated later with the same key.
const ATTEMPT_ENDS_WITHIN: Duration = Duration::from_secs(3);

pub(super) struct Notifiers {
    running: BTreeMap<String, Running>,
    board: Board,
    store: StoreHandle,
    health: watch::Receiver<Arc<Health>>,
    supervisor: Addr<Supervisor>,
    log: Logger,
}

struct Running {
    config: Config,
    /// Setting a deadline stops the notifier. Every incarnation and the factory hold a receiver.
    stop: watch::Sender<Option<Instant>>,
}

impl Notifiers {
    pub(super) fn start(
        config: &[Config],
        board: Board,
        store: StoreHandle,
        health: watch::Receiver<Arc<Health>>,
        supervisor: Addr<Supervisor>,
        log: &Logger,
    ) -> Self {
        let running = BTreeMap::new();
        let mut notifiers = Self { running, board, store, health, supervisor, log: log.clone() };
        config.iter().for_each(|config| notifiers.launch(config));
        notifiers
    }

    /// Stops removed and changed notifiers and starts new and changed ones. Unchanged notifiers keep running.
    pub(super) async fn replace(&mut self, config: &[Config]) {
        let same = |running: &Running| config.contains(&running.config);
        let over: Vec<String> =
            self.running.iter().filter(|(_, running)| !same(running)).map(|(name, _)| name.clone()).collect();
        self.drain(over, Instant::now() + ATTEMPT_ENDS_WITHIN).await;
        for config in config {
            if !self.running.contains_key(&config.name) {
                self.launch(config);
            }
        }
    }

    /// Stops all notifiers, by `until` at the latest. Queued notifications stay in the store for the next start.
    pub(super) async fn stop(mut self, until: Instant) {
        let all = self.running.keys().cloned().collect();
        self.drain(all, until.min(Instant::now() + ATTEMPT_ENDS_WITHIN)).await;
    }

    async fn drain(&mut self, names: Vec<String>, until: Instant) {
        let mut ending = Vec::new();
        for name in names {
            let Some(running) = self.running.remove(&name) else { continue };
            self.board.remove(&name);
            self.supervisor.do_send(Release { name: child(&name).into() });
            running.stop.send_replace(Some(until));
            ending.push((name, running.stop));
        }
        for (name, stop) in ending {
            if by(until + Duration::from_secs(1), stop.closed()).await.is_none() {
                error!(self.log, "a notifier did not stop in time"; "notifier" => name);
            }
        }
    }

    fn launch(&mut self, config: &Config) {
        let (stop, signal) = watch::channel(None);
        let state = Arc::new(NotifierState::new(config.channel.kind()));
        self.board.put(&config.name, Arc::clone(&state));
        let factory = self.factory(config.clone(), state, Stop::new(signal));
        self.supervisor.do_send(Adopt { name: child(&config.name).into(), role: Role::Sink, factory });
        self.running.insert(config.name.clone(), Running { config: config.clone(), stop });
    }

    fn factory(&self, config: Config, state: Arc<NotifierState>, stop: Stop) -> Factory {
        let (store, health) = (self.store.clone(), self.health.clone());
        let log = self.log.new(o!("notifier" => config.name.clone(), "type" => config.channel.kind().label()));
        Box::new(move |notice: DeathNotice| {
            let (config, state, stop) = (config.clone(), Arc::clone(&state), stop.clone());
            let (store, health, log) = (store.clone(), health.clone(), log.clone());
            actix_rt::spawn(async move {
                let _held = notice;
                run(&config, store, health, state, log, stop).await;
            });
            Box::new(|| ())
        })
    }
}

async fn run(
    config: &Config,
    store: StoreHandle,
    health: watch::Receiver<Arc<Health>>,
    state: Arc<NotifierState>,
    log: Logger,
    stop: Stop,
) {
    if let Channel::Heartbeat(settings) = &config.channel {
        return match Beat::set_up(config, settings).await {
            Ok(beat) => notify::beat(beat, health, state, log, stop).await,
            Err(why) => error!(log, "cannot set up a notifier"; "reason" => why),
        };
    }
    let settings = Settings {
        name: config.name.clone(),
        per_minute: config.per_minute,
        pacing: Pacing::default(),
        repeats: Repeats::default(),
    };
    match notify::set_up(config).await {
        Ok(notifier) => dispatcher::run(store, notifier, settings, state, log, stop).await,
        Err(why) => error!(log, "cannot set up a notifier"; "reason" => %why),
    }
}

fn child(name: &str) -> String {
    format!("notifier/{name}")
}
