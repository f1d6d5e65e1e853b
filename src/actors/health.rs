//! Tracks the health of every server and publishes the overall health, every second (every ten with many servers).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use slog::{Logger, info, o, warn};
use tokio::sync::watch;

use super::census::Census;
use super::ledger::Ledger;
use super::notice::DeathNotice;
use super::outlet::{Listener, MAILBOX};
use super::rhythm;
use crate::config::Config;
use crate::log::{Allowance, RateLimit};
use crate::messages::lifecycle::StopNow;
use crate::messages::sample::{Forget, Recall, SamplesReady};
use crate::stages::{Stage, Stopwatch};
use ntp_monitor_core::alert::status::AlertStatus;
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::health::judge::judge;
use ntp_monitor_core::health::log::{HealthChange, ServerHealthLog};
use ntp_monitor_core::health::notifiers::NotifierHealth;
use ntp_monitor_core::health::report::{ChildHealth, Health, Idle, SinkHealth};
use ntp_monitor_core::health::reports::ReportsHealth;
use ntp_monitor_core::sample::Sample;
use ntp_monitor_core::text::units::wall_time;

const PERIOD: Duration = Duration::from_secs(1);

/// The first state changes of one server, up to this number, are all logged.
const TURNS_AT_ONCE: u32 = 4;
/// After that, one state change per server is logged in this time, in nanoseconds.
const TURN_REFILL_NS: i64 = 600_000_000_000;

/// Reads the state of one output at the given instant.
pub type SinkGauge = Arc<dyn Fn(Stamp) -> SinkHealth + Send + Sync>;

/// The inputs of the health report, besides the samples. Cheap to clone.
#[derive(Clone)]
pub struct Observed {
    /// The name of this monitoring location.
    pub vantage: Arc<str>,
    pub started: Stamp,
    pub config: watch::Receiver<Arc<Config>>,
    pub census: Census,
    /// Every output by name; a reload adds and removes entries.
    pub sinks: Arc<std::sync::Mutex<BTreeMap<String, SinkGauge>>>,
    pub alerts: watch::Receiver<Arc<AlertStatus>>,
    /// Reads the state of every notifier at the given instant.
    pub notifiers: Arc<dyn Fn(Stamp) -> BTreeMap<String, NotifierHealth> + Send + Sync>,
    /// Progress of scheduled reports.
    pub reports: watch::Receiver<ReportsHealth>,
    /// The actors that receive samples; their missed samples are reported as drops.
    pub listeners: Vec<Listener>,
    /// Says whether polling is overdue.
    pub ledger: Ledger,
    /// Number of log records dropped so far.
    pub log_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
    pub clock: Arc<dyn Clock>,
}

/// Why this configuration has nothing to poll.
fn idle_reason(config: &Config) -> Option<Idle> {
    let servers = config.servers.len();
    match config.servers.iter().any(|server| !server.paused) {
        true => None,
        false if config.fleet.as_ref().is_some_and(|fleet| fleet.role.is_hub()) => Some(Idle::Hub),
        false if servers == 0 => Some(Idle::NoServer),
        false => Some(Idle::AllPaused { servers }),
    }
}

/// The actor that publishes [`Health`].
pub struct HealthKeeper {
    book: ServerHealthLog,
    observed: Observed,
    publish: Arc<watch::Sender<Arc<Health>>>,
    limit: RateLimit,
    log: Logger,
    _notice: DeathNotice,
}

impl HealthKeeper {
    /// An actor that continues from `book` and publishes through `publish`.
    #[must_use]
    pub fn new(
        book: ServerHealthLog,
        observed: Observed,
        publish: Arc<watch::Sender<Arc<Health>>>,
        log: Logger,
        notice: DeathNotice,
    ) -> Self {
        let limit = RateLimit::new(TURNS_AT_ONCE, TURN_REFILL_NS);
        Self { book, observed, publish, limit, log, _notice: notice }
    }

    fn report(&mut self, ctx: &mut Context<Self>) {
        let health = self.assemble();
        self.announce(&health);
        self.log_losses(&health);
        let period = rhythm::pause(health.servers.len(), PERIOD);
        self.publish.send_replace(Arc::new(health));
        ctx.run_later(period, Self::report);
    }

    fn assemble(&mut self) -> Health {
        let now = self.observed.clock.now();
        let children = self.observed.census.summary();
        let sinks = self.observed.sinks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let servers = self.book.report(now, &self.observed.ledger.denials(now));
        let is_any_polled = servers.iter().any(|server| !server.outcomes.is_empty());
        let since_start = now.since(self.observed.started);
        let last_poll_s = servers.iter().map(|server| server.last_poll_ago_s).min_by(f64::total_cmp);
        let idle = last_poll_s.map_or(since_start, |ago_s| Duration::try_from_secs_f64(ago_s).unwrap_or_default());
        let nothing = idle_reason(&self.observed.config.borrow());
        let mut health = Health {
            at: Some(now),
            idle: nothing,
            polls_overdue_s: self.observed.ledger.overdue(now, idle).as_secs_f64(),
            ready: nothing.is_some() || is_any_polled,
            version: env!("CARGO_PKG_VERSION"),
            vantage: self.observed.vantage.to_string(),
            uptime_s: since_start.as_secs_f64(),
            restarts: children.restarts,
            panics: children.panics,
            servers,
            sinks: sinks.into_iter().map(|(name, gauge)| (name, gauge(now))).collect(),
            down: children
                .down
                .into_iter()
                .map(|(name, c)| {
                    (name.to_string(), ChildHealth { state: c.state, restarts: c.restarts, panics: c.panics })
                })
                .collect(),
            log_dropped: (self.observed.log_dropped)(),
            notifiers: (self.observed.notifiers)(now),
            reports: self.observed.reports.borrow().clone(),
            alerting: self.observed.alerts.borrow().health(),
            ..Health::default()
        };
        for listener in &self.observed.listeners {
            let gauge = SinkHealth { dropped: listener.missed(), ..SinkHealth::default() };
            health.sinks.insert(listener.name().to_owned(), gauge);
        }
        judge(&mut health);
        health
    }

    // A remote server can cause these changes at will, so they are logged at a limited rate.
    fn log_turn(&mut self, sample: &Sample, turn: HealthChange) {
        let server = &sample.server.name;
        let Allowance::Log { suppressed } = self.limit.allow(server, "turn", sample.at.mono_ns) else { return };
        let outcome = sample.outcome.label();
        let reason = sample.outcome.reason().into_owned();
        let log = self.log.new(o!("server" => server.to_string()));
        let log = match sample.address {
            Some(address) => log.new(o!("address" => address.to_string())),
            None => log,
        };
        let log = if suppressed > 0 { log.new(o!("suppressed" => suppressed)) } else { log };
        match turn {
            HealthChange::Failed if reason.is_empty() => {
                warn!(log, "server stopped giving samples"; "outcome" => outcome)
            }
            HealthChange::Failed => {
                warn!(log, "server stopped giving samples"; "outcome" => outcome, "reason" => reason)
            }
            HealthChange::Recovered { failures } => {
                info!(log, "server gives samples again"; "failed_polls" => failures)
            }
            HealthChange::Kissed => {
                // The sample has the interval before the kiss.
                let denial = self.observed.ledger.denials(sample.at).remove(&sample.key());
                let Some(denial) = denial else {
                    warn!(log, "server sent a kiss-o'-death"; "kiss" => reason, "poll_s" => sample.poll_s);
                    return;
                };
                let again_ns = sample.at.wall_ns.saturating_add((denial.asked_again_in_s * 1e9) as i64);
                warn!(log, "server refuses to serve this host"; "kiss" => reason,
                    "poll_s" => (denial.ago_s + denial.asked_again_in_s).round(), "asked_again" => wall_time(again_ns))
            }
        }
    }

    /// Logs new drops of every output, at a limited rate. The outputs count them.
    fn log_losses(&mut self, health: &Health) {
        let before = Arc::clone(&self.publish.borrow());
        let now = self.observed.clock.now();
        for (name, sink) in &health.sinks {
            let known = before.sinks.get(name).map_or(0, |sink| sink.dropped);
            if sink.dropped > known
                && self.limit.allow(&name.as_str().into(), "loss", now.mono_ns) != Allowance::Suppress
            {
                warn!(self.log, "an output dropped samples"; "sink" => name, "since_start" => sink.dropped,
                    "reason" => sink.last_error.as_deref().unwrap_or("the output is too slow"));
            }
        }
    }

    fn announce(&self, health: &Health) {
        let before = self.publish.borrow().status;
        if before != health.status {
            let first =
                health.reasons.first().map_or_else(String::new, |r| format!("{} {}: {}", r.about, r.name, r.reason));
            if health.status > before {
                warn!(self.log, "health is {}", health.status.label(); "reasons" => health.reasons.len(), "first" => first);
            } else {
                info!(self.log, "health is {}", health.status.label(); "reasons" => health.reasons.len(), "first" => first);
            }
        }
    }
}

impl Actor for HealthKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.report(ctx);
    }
}

impl Handler<SamplesReady> for HealthKeeper {
    type Result = ();

    fn handle(&mut self, SamplesReady(batch): SamplesReady, _: &mut Context<Self>) {
        let stopwatch = Stopwatch::start(Stage::Health);
        for sample in &*batch {
            if let Some(turn) = self.book.record(sample) {
                self.log_turn(sample, turn);
            }
        }
        stopwatch.stop(batch.len());
    }
}

impl Handler<Forget> for HealthKeeper {
    type Result = ();

    fn handle(&mut self, Forget { keys, successor }: Forget, _: &mut Context<Self>) {
        for key in &*keys {
            match &successor {
                Some(successor) => self.book.replace(key, successor),
                None => self.book.forget(key),
            }
        }
    }
}

impl Handler<StopNow> for HealthKeeper {
    type Result = ();

    fn handle(&mut self, _: StopNow, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Recall> for HealthKeeper {
    type Result = ();

    fn handle(&mut self, recall: Recall, _: &mut Context<Self>) {
        let now = self.observed.clock.now();
        for (key, tally) in recall.tallies {
            self.book.recall(key, now, recall.age_s, tally);
        }
    }
}
