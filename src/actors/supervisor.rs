//! Builds every child from a factory, learns of each death through its notice, and builds it again after a pause.
//!
//! actix's own supervisor does not survive a panic: the runtime catches it, drops the actor, and nobody is told.

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

/// Why the service has to end: a core child cannot stay up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// Which child.
    pub child: Arc<str>,
    /// How often it died in a row.
    pub deaths: u32,
}

/// The actor. It panics on nothing that a child can do.
pub struct Supervisor {
    children: HashMap<Arc<str>, Child>,
    /// Counts incarnations of all children together: a name that is released and adopted again must not be taken for
    /// dead when the notice of its namesake arrives.
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
    /// `None` while it is dead and waits to be started again.
    stop: Option<Stop>,
    status: ChildStatus,
}

impl Supervisor {
    /// A supervisor without children, which reports to `census` and says through `escalate` that the service must end.
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
        // A factory that panics drops the notice on its way out, which is a death like any other.
        child.stop = catch_unwind(AssertUnwindSafe(|| (child.factory)(notice))).ok();
        child.enter(ChildState::Running);
        self.census.put(name, child.status.clone());
    }

    fn buried(&mut self, name: &Arc<str>, panicked: bool, ctx: &mut Context<Self>) {
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
        warn!(self.log, "child died, will be started again"; "child" => %name, "panicked" => panicked,
            "deaths_in_a_row" => deaths, "pause_ms" => pause.as_millis() as u64);
        if child.role == Role::Core && deaths >= backoff::HOPELESS {
            error!(self.log, "core child cannot stay up, giving up"; "child" => %name);
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
        self.children.insert(Arc::clone(&name), child);
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
            Some(child) if child.generation == down.generation => self.buried(&down.child, down.panicked, ctx),
            // Released, or the late notice of an earlier incarnation.
            _ => debug!(self.log, "child ended"; "child" => %down.child),
        }
    }
}
