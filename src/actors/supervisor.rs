//! Creates every child from a factory, learns of each death through a death notice, and restarts the child after a
//! pause.
//!
//! The supervisor of actix does not survive a panic: the runtime catches it and drops the actor without notification.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler};
use slog::{Logger, debug, error, warn};
use tokio::sync::watch;

use super::backoff::{self, Backoff};
use super::census::Census;
use super::notice::DeathNotice;
use crate::actors::adoption::{Adopt, Factory, Release, Stop};
use crate::messages::lifecycle::Down;
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::health::child::{ChildState, ChildStatus, Role};

/// A core child that cannot stay up, which ends the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    pub child: Arc<str>,
    /// Number of consecutive deaths.
    pub deaths: u32,
}

/// The supervisor. Nothing that a child does makes it panic.
pub struct Supervisor {
    /// Boxed, because a table is up to half empty.
    children: HashMap<Arc<str>, Box<Child>>,
    /// Numbers the incarnations of all children together: when a name is released and adopted again, the death notice
    /// of the old child must not count for the new one.
    generations: u64,
    census: Census,
    clock: Arc<dyn Clock>,
    escalate: watch::Sender<Option<Escalation>>,
    log: Logger,
}

struct Child {
    role: Role,
    factory: Factory,
    generation: u64,
    started: Stamp,
    backoff: Backoff,
    /// `None` while it is dead and waits for its restart.
    stop: Option<Stop>,
    status: ChildStatus,
}

impl Supervisor {
    /// A supervisor without children. It reports to `census`, and through `escalate` that the service must end.
    #[must_use]
    pub fn new(
        census: Census,
        clock: Arc<dyn Clock>,
        escalate: watch::Sender<Option<Escalation>>,
        log: Logger,
    ) -> Self {
        Self { children: HashMap::new(), generations: 0, census, clock, escalate, log }
    }

    fn start_child(&mut self, name: &Arc<str>, ctx: &mut Context<Self>) {
        let Some(child) = self.children.get_mut(name) else { return };
        self.generations += 1;
        child.generation = self.generations;
        child.started = self.clock.now();
        let notice = DeathNotice::new(Arc::clone(name), child.role, child.generation, ctx.address().recipient());
        self.census.born(child.role);
        // A factory that panics drops the notice, which counts as a death.
        child.stop = catch_unwind(AssertUnwindSafe(|| (child.factory)(notice))).ok();
        child.enter(ChildState::Running);
        self.census.put(name, child.status.clone());
    }

    fn on_child_death(&mut self, name: &Arc<str>, panicked: bool, ctx: &mut Context<Self>) {
        let Some(child) = self.children.get_mut(name) else { return };
        let now = self.clock.now();
        let pause = child.backoff.died(now.since(child.started), rand::random());
        let deaths = child.backoff.deaths();
        child.stop = None;
        child.started = now;
        child.status.restarts += 1;
        child.status.panics += u64::from(panicked);
        child.enter(if deaths >= backoff::CRASHED { ChildState::Crashed } else { ChildState::Restarting });
        self.census.put(name, child.status.clone());
        warn!(self.log, "child died, restarting"; "child" => %name, "panicked" => panicked,
            "deaths_in_a_row" => deaths, "pause_ms" => pause.as_millis() as u64);
        if child.role == Role::Core && deaths >= backoff::HOPELESS {
            error!(self.log, "core child keeps dying, giving up"; "child" => %name);
            self.escalate.send_replace(Some(Escalation { child: Arc::clone(name), deaths }));
            return;
        }
        let (name, generation) = (Arc::clone(name), child.generation);
        ctx.run_later(pause, move |this, ctx| {
            if this.children.get(&name).is_some_and(|child| child.generation == generation) {
                this.start_child(&name, ctx);
            }
        });
    }
}

impl Child {
    fn enter(&mut self, state: ChildState) {
        self.status.state = state;
        self.status.since = self.started;
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;
}

impl Handler<Adopt> for Supervisor {
    type Result = ();

    fn handle(&mut self, Adopt { name, role, factory }: Adopt, ctx: &mut Context<Self>) {
        if self.children.contains_key(&name) {
            return;
        }
        let now = self.clock.now();
        let status = ChildStatus { role, state: ChildState::Running, since: now, restarts: 0, panics: 0 };
        let child =
            Child { role, factory, generation: 0, started: now, backoff: Backoff::default(), stop: None, status };
        self.children.insert(Arc::clone(&name), Box::new(child));
        self.start_child(&name, ctx);
    }
}

impl Handler<Release> for Supervisor {
    type Result = ();

    fn handle(&mut self, Release { name }: Release, _: &mut Context<Self>) {
        let Some(child) = self.children.remove(&name) else { return };
        self.census.remove(&name);
        if let Some(stop) = child.stop {
            stop();
        }
    }
}

impl Handler<Down> for Supervisor {
    type Result = ();

    fn handle(&mut self, down: Down, ctx: &mut Context<Self>) {
        self.census.died(down.role);
        match self.children.get(&down.child) {
            Some(child) if child.generation == down.generation => self.on_child_death(&down.child, down.panicked, ctx),
            // The child was released, or this is the late notice of an earlier incarnation.
            _ => debug!(self.log, "child ended"; "child" => %down.child),
        }
    }
}
