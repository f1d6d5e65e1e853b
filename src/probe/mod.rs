//! Measurement: the engine trait and one query of one address.
//!
//! An engine handles sockets and timestamps; it knows no actors, schedules or outputs. It returns a [`ProbeReport`],
//! which the prober turns into a [`ntp_monitor_core::sample::Sample`].

mod address;
mod auto;
mod endpoint;
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
mod session;
mod sntp;

pub use auto::{AutoEngine, Engines};
pub use kernel::{KernelEngine, NoStamps};
pub use session::{NtsTools, ProbeSession};
pub use sntp::SntpEngine;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::interleaved::{Continued, Ended};
use ntp_monitor_core::nts::{Cookie, Ticket};
use ntp_monitor_core::sample::{Authentication, Evidence, Measure, Mode, Outcome, Reply, Timestamping};
use ntp_monitor_core::sheet::Question;

/// One request to send. A [`ProbeSession`] creates it and uses its report for later ones.
#[derive(Debug)]
pub struct Query {
    pub address: SocketAddr,
    /// How long to wait for an acceptable reply, counted from the request on the monotonic clock.
    pub timeout: Duration,
    /// The key and cookie of the request, if the target has NTS. They are used for this query only.
    pub ticket: Option<Box<Ticket>>,
    /// A question about the protocol, whose request differs from that of a poll.
    pub question: Option<Question>,
    /// The exchange that the request builds on in interleaved mode; without one it is basic.
    pub continued: Option<Box<Continued>>,
    /// After this monotonic time, in nanoseconds, the request is not sent any more: its slot at a shared server is over.
    pub latest_ns: Option<i64>,
}

impl Query {
    /// A query without authentication.
    #[must_use]
    pub const fn plain(address: SocketAddr, timeout: Duration) -> Self {
        Self { address, timeout, ticket: None, continued: None, question: None, latest_ns: None }
    }

    /// A question about the protocol, without authentication.
    #[must_use]
    pub fn asking(question: Question, address: SocketAddr, timeout: Duration) -> Self {
        Self { question: Some(question), ..Self::plain(address, timeout) }
    }

    /// Whether it is too late to send the request.
    #[must_use]
    pub fn is_late(&self, now: Stamp) -> bool {
        self.latest_ns.is_some_and(|latest_ns| now.mono_ns > latest_ns)
    }
}

/// The result of one query.
#[derive(Debug, PartialEq)]
pub struct ProbeReport {
    pub at: Stamp,
    pub outcome: Outcome,
    /// The server's description of itself, if it replied acceptably or as unsynchronised.
    pub reply: Option<Reply>,
    /// The measured values, only with [`Outcome::Sample`].
    pub measure: Option<Measure>,
    /// How the exchange was timestamped; `None` if there was no exchange.
    pub timestamping: Option<Timestamping>,
    /// How the reply was authenticated.
    pub authentication: Authentication,
    /// Which exchange the timestamps belong to.
    pub mode: Mode,
    /// The evidence of the reply that was used.
    pub accepted: Option<Arc<Evidence>>,
    /// The evidence of rejected replies, oldest first, at most [`ProbeReport::MAX_REJECTED`].
    pub rejected: Vec<Arc<Evidence>>,
    /// Number of rejected replies, including those beyond the limit of `rejected`.
    pub rejected_count: u32,
    /// The NTS results for the session of the target.
    pub nts: NtsNews,
    /// The exchange that the next request in interleaved mode may continue.
    pub interleaving: Ended,
    /// Whether no request was sent because it was too late: see [`Query::latest_ns`].
    pub is_late: bool,
}

/// The NTS results of the replies to one authenticated request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NtsNews {
    /// New cookies, from one authentic reply.
    pub cookies: Vec<Cookie>,
    /// Whether the server could not read the cookie.
    pub is_nak: bool,
    /// Whether a reply came without NTS.
    pub is_downgraded: bool,
}

impl ProbeReport {
    /// How many rejected replies per query are kept as evidence, so that a flood costs a counter and not memory.
    pub const MAX_REJECTED: usize = 4;

    /// Counts a rejected reply and keeps its evidence, within the limit.
    pub fn refuse(&mut self, evidence: Arc<Evidence>) {
        self.rejected_count = self.rejected_count.saturating_add(1);
        if self.rejected.len() == Self::MAX_REJECTED {
            // The newest one decides the outcome, so it is always kept, in the last place.
            self.rejected.remove(0);
        }
        self.rejected.push(evidence);
    }

    /// A report without an exchange.
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
            nts: NtsNews::default(),
            interleaving: Ended::default(),
            is_late: false,
        }
    }

    /// The report of a query that came too late to be sent.
    #[must_use]
    pub fn late(at: Stamp) -> Self {
        let outcome = Outcome::Fault("this host was too busy to send the request in its slot".into());
        Self { is_late: true, ..Self::failed(at, outcome) }
    }
}

/// The future of one query. `Send`, so that an engine may run on any thread.
pub type ProbeFuture = Pin<Box<dyn Future<Output = ProbeReport> + Send>>;

/// A measurement engine. Dropping the future discards the report; the request may have been sent already.
pub trait ProbeEngine: Send + Sync + 'static {
    /// Makes one query. Never fails: errors are outcomes. The caller has its own deadline, so that an engine that hangs
    /// costs one poll.
    fn probe(&self, query: Query) -> ProbeFuture;
}
