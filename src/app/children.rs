//! The supervised actors of the service, each with the factory that creates it.

use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::SendError;
use actix::{Actor, Addr, Message, Recipient};
use futures_util::future::BoxFuture;
use slog::Logger;
use tokio::sync::watch;

use crate::actors::adoption::Adopt;
use crate::actors::alerter::Alerter;
use crate::actors::health::{HealthKeeper, Observed};
use crate::actors::notice::DeathNotice;
use crate::actors::outlet::Listener;
use crate::actors::reporter::Reporter;
use crate::actors::stats::{Outlets, Statistician};
use crate::actors::targets::{Targets, Tools};
use crate::config::Config;
use crate::messages::lifecycle::StopNow;
use crate::messages::sample::{LeapListKnown, LocalKnown, Restored};
use crate::store::StoreHandle;
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::health::child::Role;
use ntp_monitor_core::health::log::ServerHealthLog;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::stats::analysis::{Analysis, Recalled};
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::judgement::Judgement;
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::local::LocalState;
use ntp_monitor_core::stats::window::Window;

use super::analysis_thread::AnalysisThread;
use super::local_rows::LocalRows;
use super::points::Points;
use super::recall::{self, Whose};

pub(super) const HEALTH: &str = "health";
pub(super) const STATS: &str = "stats";
pub(super) const LOCAL: &str = "local";
pub(super) const LEAP: &str = "leap";
pub(super) const ALERTER: &str = "alerter";
pub(super) const POINTS: &str = "points";
pub(super) const LOCAL_ROWS: &str = "local_rows";
pub(super) const REPORTER: &str = "reporter";
pub(super) const TARGETS: &str = "targets";

/// The address of the live incarnation of an actor.
pub(super) struct AddressSlot<A: Actor>(Arc<Mutex<Option<Addr<A>>>>);

impl<A: Actor> Default for AddressSlot<A> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<A: Actor> Clone for AddressSlot<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> AddressSlot<A> {
    pub(super) fn get(&self) -> Option<Addr<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, address: Addr<A>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}

/// The thread on which the health actor runs, and the slot for its address.
pub(super) struct HealthPlace<'a> {
    pub thread: &'a AnalysisThread,
    pub slot: AddressSlot<HealthKeeper>,
}

pub(super) fn health(
    observed: Observed,
    listener: Listener,
    store: StoreHandle,
    publish: Arc<watch::Sender<Arc<Health>>>,
    place: HealthPlace<'_>,
    log: &Logger,
) -> Adopt {
    let (thread, slot, log) = (place.thread.clone(), place.slot, log.clone());
    let factory = Box::new(move |notice| {
        let inputs = (observed.clone(), Arc::clone(&publish), log.clone());
        let keeper = thread.run(move || {
            let (observed, publish, log) = inputs;
            HealthKeeper::new(ServerHealthLog::default(), observed, publish, log, notice)
        });
        listener.connect(keeper.clone());
        // The counts of earlier processes arrive once they have been read; nothing waits for them.
        let now_ns = observed.clock.now().wall_ns;
        actix_rt::spawn(recall::rates(store.clone(), Whose::All, now_ns, keeper.clone(), log.clone()));
        slot.set(keeper.clone());
        Box::new(move || keeper.do_send(StopNow)) as _
    });
    Adopt { name: HEALTH.into(), role: Role::Core, factory }
}

/// The inputs of the analysis, besides samples.
pub(super) struct Heard {
    pub local: watch::Receiver<LocalState>,
    pub leap: watch::Receiver<LeapSource>,
}

/// The thread on which the actor of the analysis runs, and the slot for its address.
pub(super) struct Place {
    pub thread: AnalysisThread,
    pub slot: AddressSlot<Statistician>,
}

/// The data of earlier processes from which the analysis continues.
pub(super) struct Past {
    /// The last hour of samples.
    pub recalled: Recalled,
    /// The verdict, which is still being read; no poll waits for it.
    pub judgement: BoxFuture<'static, Judgement>,
}

/// Each incarnation starts with a new analysis, because the old one may contain what caused the panic. Only the first
/// incarnation gets the `past`.
pub(super) fn stats(
    past: Past,
    listener: Listener,
    heard: Heard,
    outlets: Outlets,
    clock: Arc<dyn Clock>,
    place: Place,
    log: &Logger,
) -> Adopt {
    let log = log.clone();
    let past = Mutex::new(Some(past));
    let factory = Box::new(move |notice| {
        let past = past.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Live windows cover at most an hour; longer ones are read from the store.
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Monotonic);
        let mut judgement = None;
        if let Some(past) = past {
            analysis = analysis.recalling(past.recalled).restoring();
            judgement = Some(past.judgement);
        }
        let (outlets, clock, log) = (outlets.clone(), Arc::clone(&clock), log.clone());
        let actor = place.thread.run(move || Statistician::new(analysis, outlets, clock, log, notice));
        listener.connect(actor.clone());
        place.slot.set(actor.clone());
        if let Some(judgement) = judgement {
            let actor = actor.clone();
            actix_rt::spawn(async move { actor.do_send(Restored(Box::new(judgement.await))) });
        }
        actix_rt::spawn(forward(heard.local.clone(), LocalKnown, actor.clone().recipient()));
        actix_rt::spawn(forward(heard.leap.clone(), LeapListKnown, actor.clone().recipient()));
        Box::new(move || actor.do_send(StopNow)) as _
    });
    Adopt { name: STATS.into(), role: Role::Core, factory }
}

/// Sends the current value and every change of it to one incarnation, until that has ended.
async fn forward<T, M>(mut known: watch::Receiver<T>, message: fn(T) -> M, to: Recipient<M>)
where
    T: Clone,
    M: Message<Result = ()> + Send,
{
    loop {
        let state = known.borrow_and_update().clone();
        // If the mailbox is full, the next change brings the value.
        if let Err(SendError::Closed(_)) = to.try_send(message(state)) {
            return;
        }
        if known.changed().await.is_err() {
            return;
        }
    }
}

/// A child that is a task instead of an actor. `run` starts one incarnation; stopping it aborts the task.
pub(super) fn task<F>(name: &str, run: impl Fn() -> F + Send + 'static) -> Adopt
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

/// Reads the state of this host's clock.
pub(super) fn local(publish: watch::Sender<LocalState>, log: &Logger) -> Adopt {
    let (publish, log) = (Arc::new(publish), log.clone());
    task(LOCAL, move || {
        let (publish, log) = (Arc::clone(&publish), log.clone());
        async move { crate::local::watch(&publish, &log).await }
    })
}

/// Reads the leap second list.
pub(super) fn leap(config: watch::Receiver<Arc<Config>>, publish: watch::Sender<LeapSource>, log: &Logger) -> Adopt {
    let (publish, log) = (Arc::new(publish), log.clone());
    task(LEAP, move || {
        let (config, publish, log) = (config.clone(), Arc::clone(&publish), log.clone());
        async move { crate::local::watch_list(config, &publish, &log).await }
    })
}

/// Evaluates the alert rules. A new incarnation continues from the states in the store.
pub(super) fn alerter(alerter: Alerter) -> Adopt {
    task(ALERTER, move || alerter.clone().run())
}

/// Records the host's own statements about its clock, whenever they change.
pub(super) fn local_rows(rows: LocalRows) -> Adopt {
    task(LOCAL_ROWS, move || rows.clone().run())
}

/// Saves statistics to the store and sends them to InfluxDB.
pub(super) fn points(points: Points) -> Adopt {
    task(POINTS, move || points.clone().run())
}

pub(super) fn reporter(reporter: Reporter) -> Adopt {
    task(REPORTER, move || reporter.clone().run())
}

pub(super) fn targets(tools: Tools, slot: AddressSlot<Targets>) -> Adopt {
    let factory = Box::new(move |notice| {
        let targets = Targets::new(tools.clone(), notice).start();
        slot.set(targets.clone());
        Box::new(move || targets.do_send(StopNow)) as _
    });
    Adopt { name: TARGETS.into(), role: Role::Core, factory }
}
