//! The state of one target that is kept from poll to poll: the address of its requests and, with NTS, its keys and
//! cookies. A session creates the queries of its target and is updated from their reports; the engine has the sockets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod keys;

use super::{ProbeReport, Query};
use crate::config::{Host, Nts, Server};
use crate::key_exchange::Trust;
use crate::probe::resolve::Resolve;
use keys::KeySession;
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::interleaved::{Interleaving, Policy as WhenInterleaved, Support};
use ntp_monitor_core::nts::{Policy, Status};
use ntp_monitor_core::sample::Outcome;

/// The tools that key exchange needs.
#[derive(Clone)]
pub struct NtsTools {
    pub resolver: Arc<dyn Resolve>,
    pub trust: Arc<Trust>,
    pub clock: Arc<dyn Clock>,
}

/// The session of one target.
pub struct ProbeSession {
    address: SocketAddr,
    /// Boxed, because most targets have none.
    keys: Option<Box<KeySession>>,
    /// While the target has no NTS: the earliest time of a key exchange if it gets NTS again, in monotonic nanoseconds.
    held_ns: i64,
    interleaving: Mutex<Interleaving>,
}

impl ProbeSession {
    /// A session without authentication.
    #[must_use]
    pub const fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            keys: None,
            held_ns: i64::MIN,
            interleaving: Mutex::new(Interleaving::new(WhenInterleaved::Never)),
        }
    }

    /// The session of a configured server at `address`.
    #[must_use]
    pub fn of(server: &Server, address: SocketAddr, tools: &NtsTools) -> Self {
        let policy = if server.own { Policy::OWN } else { Policy::PUBLIC };
        let keys = server.nts.as_ref().map(|nts| KeySession::new(nts, &server.host, address, policy, tools.clone()));
        let keys = keys.map(Box::new);
        Self { keys, ..Self::plain(address) }.interleaved_when(server.interleaved)
    }

    /// A session with NTS for one command.
    #[must_use]
    pub fn with_nts(nts: &Nts, host: &Host, address: SocketAddr, tools: &NtsTools) -> Self {
        let keys = Some(Box::new(KeySession::new(nts, host, address, Policy::PUBLIC, tools.clone())));
        Self { keys, ..Self::plain(address) }
    }

    /// The same, with requests in interleaved mode when `policy` allows them.
    #[must_use]
    pub fn interleaved_when(self, policy: WhenInterleaved) -> Self {
        Self { interleaving: Mutex::new(Interleaving::new(policy)), ..self }
    }

    /// The configured address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it can be continued for `server`, whose configuration may have changed.
    #[must_use]
    pub fn fits(&self, server: &Server) -> bool {
        match (&self.keys, &server.nts) {
            (None, None) => true,
            (Some(keys), Some(nts)) => keys.fits(nts, &server.host),
            _ => false,
        }
    }

    /// Applies the settings of `server` that may change without a new session.
    pub fn follow(&self, server: &Server) {
        self.interleaving().follow(server.interleaved);
    }

    /// Continues the pauses of an earlier session of the same target, so that a changed configuration does not cause an
    /// early key exchange.
    #[must_use]
    pub fn after(self, earlier: &Self) -> Self {
        let held_ns = earlier.earliest_exchange_ns();
        if let Some(keys) = &self.keys {
            keys.hold(held_ns);
        }
        Self { held_ns, ..self }
    }

    /// The earliest time of the next key exchange, in monotonic nanoseconds.
    #[must_use]
    pub fn earliest_exchange_ns(&self) -> i64 {
        self.keys.as_ref().map_or(self.held_ns, |keys| keys.earliest_ns())
    }

    /// Continues the pause of an earlier process, which may have exchanged keys as late as `begun_ns` (monotonic).
    #[must_use]
    pub fn after_process(self, begun_ns: Option<i64>) -> Self {
        let Some(begun_ns) = begun_ns else { return self };
        if let Some(keys) = &self.keys {
            keys.resume(begun_ns);
        }
        let floor_ns = i64::try_from(Policy::PUBLIC.floor.as_nanos()).unwrap_or(i64::MAX);
        Self { held_ns: begun_ns.saturating_add(floor_ns), ..self }
    }

    /// Exchanges keys if that is due. May first wait for other key exchanges; then ends within the deadline of one.
    pub async fn prepare(&self) {
        if let Some(keys) = &self.keys {
            keys.prepare().await;
        }
    }

    /// Whether [`Self::prepare`] is in progress; the poll has then sent no request yet.
    #[must_use]
    pub fn is_preparing(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.is_exchanging())
    }

    /// The next query.
    ///
    /// # Errors
    /// The outcome of the poll when no request can be made, because there are no cookies.
    pub fn query(&self, timeout: Duration) -> Result<Query, Outcome> {
        let query = match &self.keys {
            None => Query::plain(self.address, timeout),
            Some(keys) => keys.query(timeout)?,
        };
        // A key exchange may have negotiated another server.
        let continued = self.interleaving().take().filter(|continued| continued.previous.server == query.address);
        Ok(Query { continued: continued.map(Box::new), ..query })
    }

    /// Updates the state from the report of a query.
    pub fn absorb(&self, report: &mut ProbeReport) {
        let (news, ended) = (std::mem::take(&mut report.nts), std::mem::take(&mut report.interleaving));
        self.interleaving().ended(&ended, report.at.mono_ns);
        if let Some(keys) = &self.keys {
            keys.absorb(news, &report.outcome);
        }
    }

    /// Whether the server offers interleaved mode, as far as its replies show.
    #[must_use]
    pub fn interleaved(&self) -> Support {
        self.interleaving().support()
    }

    fn interleaving(&self) -> MutexGuard<'_, Interleaving> {
        // Each change leaves a usable state.
        self.interleaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of NTS; `None` for a target without NTS.
    #[must_use]
    pub fn nts(&self) -> Option<Status> {
        self.keys.as_ref().map(|keys| keys.view())
    }
}
