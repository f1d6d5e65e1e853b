//! The supervised actors of the service, each with the factory that makes it again.

use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Addr};
use slog::Logger;
use tokio::sync::watch;

use crate::actors::census::Role;
use crate::actors::health::{HealthKeeper, Observed};
use crate::actors::outlet::Listener;
use crate::actors::stats::{EventSink, Statistician};
use crate::actors::targets::{Targets, Tools};
use crate::clock::Clock;
use crate::health::book::Book;
use crate::health::report::Health;
use crate::messages::lifecycle::{Adopt, StopNow};
use crate::stats::analysis::Analysis;
use crate::stats::intake::TimeAxis;
use crate::stats::snapshot::Snapshot;
use crate::stats::window::Window;
use crate::store::StoreHandle;

use super::recall;

pub(super) const HEALTH: &str = "health";
pub(super) const STATS: &str = "stats";
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

/// The analysis begins anew when its actor died: what made it panic once must not stay in it.
pub(super) fn stats(
    windows: Window,
    listener: Listener,
    publish: watch::Sender<Arc<Snapshot>>,
    events: EventSink,
    clock: Arc<dyn Clock>,
    log: &Logger,
) -> Adopt {
    let (publish, log) = (Arc::new(publish), log.clone());
    let factory = Box::new(move |notice| {
        let analysis = Analysis::new(windows, TimeAxis::Monotonic);
        let (publish, events, clock) = (Arc::clone(&publish), Arc::clone(&events), Arc::clone(&clock));
        let actor = Statistician::new(analysis, publish, events, clock, log.clone(), notice).start();
        listener.seat(actor.clone());
        Box::new(move || actor.do_send(StopNow)) as _
    });
    Adopt { name: STATS.into(), role: Role::Core, factory }
}

pub(super) fn targets(tools: Tools, seat: Seat) -> Adopt {
    let factory = Box::new(move |notice| {
        let targets = Targets::new(tools.clone(), notice).start();
        seat.set(targets.clone());
        Box::new(move || targets.do_send(StopNow)) as _
    });
    Adopt { name: TARGETS.into(), role: Role::Core, factory }
}
