//! The supervised actors of the service, each with the factory that makes it again.

use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::SendError;
use actix::{Actor, Addr, Message, Recipient};
use slog::Logger;
use tokio::sync::watch;

use crate::actors::adoption::Adopt;
use crate::actors::alerter::Alerter;
use crate::actors::health::{HealthKeeper, Observed};
use crate::actors::notice::DeathNotice;
use crate::actors::outlet::Listener;
use crate::actors::reporter::Reporter;
use crate::actors::stats::{EventSink, Statistician};
use crate::actors::targets::{Targets, Tools};
use crate::config::Config;
use crate::messages::lifecycle::StopNow;
use crate::messages::sample::{LeapListKnown, LocalKnown};
use crate::store::StoreHandle;
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::health::book::Book;
use ntp_monitor_core::health::child::Role;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::stats::analysis::{Analysis, Recalled};
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::local::LocalState;
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::stats::window::Window;

use super::points::Points;
use super::recall;

pub(super) const HEALTH: &str = "health";
pub(super) const STATS: &str = "stats";
pub(super) const LOCAL: &str = "local";
pub(super) const LEAP: &str = "leap";
pub(super) const ALERTER: &str = "alerter";
pub(super) const POINTS: &str = "points";
pub(super) const REPORTER: &str = "reporter";
pub(super) const TARGETS: &str = "targets";

/// The address of the incarnation of [`Targets`] that is alive.
#[derive(Clone, Default)]
pub(super) struct Seat(Arc<Mutex<Option<Addr<Targets>>>>);

impl Seat {
    pub(super) fn get(&self) -> Option<Addr<Targets>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, address: Addr<Targets>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}

pub(super) fn health(
    observed: Observed,
    listener: Listener,
    store: StoreHandle,
    publish: watch::Sender<Arc<Health>>,
    log: &Logger,
) -> Adopt {
    let (publish, log) = (Arc::new(publish), log.clone());
    let factory = Box::new(move |notice| {
        let keeper = HealthKeeper::new(Book::default(), observed.clone(), Arc::clone(&publish), log.clone(), notice);
        let keeper = keeper.start();
        listener.seat(keeper.clone());
        // What earlier processes (or incarnations) counted comes in when it has been read; nothing waits for it.
        actix_rt::spawn(recall::rates(store.clone(), Arc::clone(&observed.clock), keeper.clone(), log.clone()));
        Box::new(move || keeper.do_send(StopNow)) as _
    });
    Adopt { name: HEALTH.into(), role: Role::Core, factory }
}

/// What the analysis hears of beside samples.
pub(super) struct Heard {
    pub local: watch::Receiver<LocalState>,
    pub leap: watch::Receiver<LeapSource>,
}

/// The analysis begins anew when its actor died: what made it panic once must not stay in it. Only the first
/// incarnation gets `recalled`, the last hour of an earlier process.
pub(super) fn stats(
    recalled: Recalled,
    listener: Listener,
    heard: Heard,
    publish: watch::Sender<Arc<Snapshot>>,
    events: EventSink,
    clock: Arc<dyn Clock>,
    log: &Logger,
) -> Adopt {
    let (publish, log) = (Arc::new(publish), log.clone());
    let recalled = Mutex::new(recalled);
    let factory = Box::new(move |notice| {
        let recalled = std::mem::take(&mut *recalled.lock().unwrap_or_else(PoisonError::into_inner));
        // Nothing live looks further back than an hour; longer windows are read from the store.
        let analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic).recalling(recalled);
        let (publish, events, clock) = (Arc::clone(&publish), Arc::clone(&events), Arc::clone(&clock));
        let actor = Statistician::new(analysis, publish, events, clock, log.clone(), notice).start();
        listener.seat(actor.clone());
        actix_rt::spawn(forward(heard.local.clone(), LocalKnown, actor.clone().recipient()));
        actix_rt::spawn(forward(heard.leap.clone(), LeapListKnown, actor.clone().recipient()));
        Box::new(move || actor.do_send(StopNow)) as _
    });
    Adopt { name: STATS.into(), role: Role::Core, factory }
}

/// Tells one incarnation what is known, and what becomes known, until it is gone.
async fn forward<T, M>(mut known: watch::Receiver<T>, message: fn(T) -> M, to: Recipient<M>)
where
    T: Clone,
    M: Message<Result = ()> + Send,
{
    loop {
        let state = known.borrow_and_update().clone();
        // What a full mailbox does not take, the next look brings.
        if let Err(SendError::Closed(_)) = to.try_send(message(state)) {
            return;
        }
        if known.changed().await.is_err() {
            return;
        }
    }
}

/// A child that is a task and no actor: `run` begins one incarnation, which a stop cuts off.
fn task<F>(name: &str, run: impl Fn() -> F + Send + 'static) -> Adopt
where
    F: Future<Output = ()> + 'static,
{
    let factory = Box::new(move |notice: DeathNotice| {
        let running = run();
        let task = actix_rt::spawn(async move {
            let _held = notice;
            running.await;
        });
        Box::new(move || task.abort()) as _
    });
    Adopt { name: name.into(), role: Role::Sink, factory }
}

/// Looks at the own clock.
pub(super) fn local(publish: watch::Sender<LocalState>, log: &Logger) -> Adopt {
    let (publish, log) = (Arc::new(publish), log.clone());
    task(LOCAL, move || {
        let (publish, log) = (Arc::clone(&publish), log.clone());
        async move { crate::local::watch(&publish, &log).await }
    })
}

/// Reads the list of leap seconds.
pub(super) fn leap(config: watch::Receiver<Arc<Config>>, publish: watch::Sender<LeapSource>, log: &Logger) -> Adopt {
    let (publish, log) = (Arc::new(publish), log.clone());
    task(LEAP, move || {
        let (config, publish, log) = (config.clone(), Arc::clone(&publish), log.clone());
        async move { crate::local::watch_list(config, &publish, &log).await }
    })
}

/// Steps the rules of alerts. A new incarnation goes on from what is in the store.
pub(super) fn alerter(alerter: Alerter) -> Adopt {
    task(ALERTER, move || alerter.clone().run())
}

/// Keeps, and sends to InfluxDB, what was computed.
pub(super) fn points(points: Points) -> Adopt {
    task(POINTS, move || points.clone().run())
}

/// Makes reports when they are due.
pub(super) fn reporter(reporter: Reporter) -> Adopt {
    task(REPORTER, move || reporter.clone().run())
}

pub(super) fn targets(tools: Tools, seat: Seat) -> Adopt {
    let factory = Box::new(move |notice| {
        let targets = Targets::new(tools.clone(), notice).start();
        seat.set(targets.clone());
        Box::new(move || targets.do_send(StopNow)) as _
    });
    Adopt { name: TARGETS.into(), role: Role::Core, factory }
}
