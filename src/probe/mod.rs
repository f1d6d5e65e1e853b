//! Measuring: one query of one address, behind one trait.
//!
//! An engine knows sockets and stamps; it knows no actor, no schedule and no output. What it hands back is a
//! [`ProbeReport`]; the prober turns it into a [`ntp_monitor_core::sample::Sample`].

mod auto;
mod fault;
pub mod judge;
mod kernel;
pub mod poll;
mod precision;
pub mod resolve;
#[cfg(test)]
pub(crate) mod responder;
pub mod rotation;
pub mod schedule;
mod sntp;
mod stamped;

pub use auto::{AutoEngine, Engines};
pub use kernel::{KernelEngine, NoStamps};
pub use sntp::SntpEngine;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::{Authentication, Evidence, Measure, Mode, Outcome, Reply, Timestamping};

/// One query to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// Where to ask.
    pub address: SocketAddr,
    /// How long to wait for an acceptable reply, counted from the request on the monotonic clock.
    pub timeout: Duration,
}

/// What came of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeReport {
    /// When it ended.
    pub at: Stamp,
    /// How it ended.
    pub outcome: Outcome,
    /// What the server says of itself, when it answered acceptably or unsynchronised.
    pub reply: Option<Reply>,
    /// The measured numbers, with [`Outcome::Sample`] only.
    pub measure: Option<Measure>,
    /// How the exchange was stamped; `None` when nothing was exchanged.
    pub timestamping: Option<Timestamping>,
    /// How the reply was authenticated.
    pub authentication: Authentication,
    /// Which exchange the timestamps belong to.
    pub mode: Mode,
    /// The evidence of the reply that was used.
    pub accepted: Option<Arc<Evidence>>,
    /// The evidence of replies that were refused on the way, oldest first, at most [`ProbeReport::MAX_REJECTED`].
    pub rejected: Vec<Arc<Evidence>>,
    /// How many replies were refused on the way, also those beyond the limit of `rejected`.
    pub rejected_count: u32,
}

impl ProbeReport {
    /// How many refused replies of one query are kept as evidence; a flood costs a counter, not memory.
    pub const MAX_REJECTED: usize = 4;

    /// Keeps the evidence of a refused reply, within the limit, and counts it.
    pub fn refuse(&mut self, evidence: Arc<Evidence>) {
        self.rejected_count = self.rejected_count.saturating_add(1);
        if self.rejected.len() == Self::MAX_REJECTED {
            // The last is the one that names the outcome, so it is always here.
            self.rejected.remove(0);
        }
        self.rejected.push(evidence);
    }

    /// A report without any exchange.
    #[must_use]
    pub fn failed(at: Stamp, outcome: Outcome) -> Self {
        Self {
            at,
            outcome,
            reply: None,
            measure: None,
            timestamping: None,
            authentication: Authentication::None,
            mode: Mode::Basic,
            accepted: None,
            rejected: Vec::new(),
            rejected_count: 0,
        }
    }
}

/// The future of one query. `Send`, so that an engine may run on any thread.
pub type ProbeFuture = Pin<Box<dyn Future<Output = ProbeReport> + Send>>;

/// A way to measure. Dropping the future ends the query and frees its socket.
pub trait ProbeEngine: Send + Sync + 'static {
    /// Makes one query. Never fails: what went wrong is an outcome. The caller sets a deadline of its own around it,
    /// so an engine that hangs costs one poll.
    fn probe(&self, query: Query) -> ProbeFuture;
}
