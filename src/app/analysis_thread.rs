//! The thread of statistics and health. With many servers, a snapshot, a saved state or a removal takes longer than a poll
//! may be late, so these actors do not share the thread of the probers.

use std::sync::Arc;

use actix::{Actor, Addr, Arbiter, Context};

/// Runs actors on a thread of their own, which ends when the last clone is dropped. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct AnalysisThread(Arc<Running>);

#[derive(Debug)]
struct Running(Arbiter);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl AnalysisThread {
    /// Starts the thread. Must be called within an actix system.
    pub(super) fn start() -> Self {
        Self(Arc::new(Running(Arbiter::new())))
    }

    /// Starts the actor that `create` returns.
    pub(super) fn run<A: Actor<Context = Context<A>>>(&self, create: impl FnOnce() -> A + Send + 'static) -> Addr<A> {
        A::start_in_arbiter(&self.0.0.handle(), |_| create())
    }
}
