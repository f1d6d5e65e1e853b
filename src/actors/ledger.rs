//! The pace of every address. It outlives the actors: they may die, and the process too, but no server may be polled too
//! fast because of that.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::Server;
use crate::probe::schedule::{Past, Schedule};
use ntp_monitor_core::clock::{Clock, Stamp};

/// The pace of one address, shared with whoever comes after this prober: a restart must not make it impolite.
pub type SharedSchedule = Arc<Mutex<Schedule>>;

/// The paces of addresses that are no longer polled are looked through when this many more have been added.
const PACES_BETWEEN_SWEEPS: usize = 1024;

/// Cheap to clone; outlives whoever holds it.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<LedgerState>>);

#[derive(Default)]
pub(super) struct LedgerState {
    pub(super) servers: Vec<Arc<Server>>,
    paces: HashMap<SocketAddr, Pace>,
    /// What earlier processes left.
    past: HashMap<SocketAddr, Past>,
    doubt: Option<Doubt>,
}

/// The pace of one address, and the way to wake whoever follows it.
#[derive(Debug, Clone)]
pub struct Pace {
    /// When to poll.
    pub schedule: SharedSchedule,
    /// Asks for a poll as soon as the schedule allows one.
    pub nudge: Arc<Notify>,
}

impl Pace {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_followed(&self) -> bool {
        Arc::strong_count(&self.schedule) > 1
    }
}

/// Why an address is not polled right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNow {
    /// Nobody polls it.
    NotPolled,
    /// Its floor, or what it asked for by a kiss-o'-death, is over in this time.
    TooSoon(Duration),
}

/// An earlier process did not end in order: what it asked last may have gone unrecorded, for whatever server.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// How long before `now` such requests ended, in nanoseconds.
    age_ns: i64,
    now: Stamp,
}

impl Doubt {
    /// Until when a server with this floor is left alone, on the monotonic clock.
    fn over_at(self, floor: Duration) -> i64 {
        let floor_ns = i64::try_from(floor.as_nanos()).unwrap_or(i64::MAX);
        // A process that came in between left servers alone for a floor; after that, it asked as it liked.
        let age_ns = if (0..floor_ns).contains(&self.age_ns) { self.age_ns } else { 0 };
        self.now.mono_ns.saturating_sub(age_ns).saturating_add(floor_ns)
    }
}

impl LedgerState {
    /// Drops paces that nobody follows and that hold nothing back any more.
    fn sweep(&mut self, now: i64) {
        self.paces.retain(|_, pace| pace.is_followed() || pace.schedule().next_poll(1.0) > now);
    }
}

impl Ledger {
    /// A ledger that knows how each address was last polled. When an earlier process did not end in order, requests that were sent before `in_doubt_before` (wall clock, nanoseconds)
    /// may be missing; whoever is asked `now` or later is left alone for a floor first.
    #[must_use]
    pub fn new(past: HashMap<SocketAddr, Past>, in_doubt_before: Option<i64>, now: Stamp) -> Self {
        let doubt = in_doubt_before.map(|before| Doubt { age_ns: now.wall_ns.saturating_sub(before), now });
        Self(Arc::new(Mutex::new(LedgerState { past, doubt, ..LedgerState::default() })))
    }

    /// Whether no prober follows any pace: every request that was sent has been recorded.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.with(|state| !state.paces.values().any(Pace::is_followed))
    }

    /// By how much the next poll is late, of the address that is least late, in monotonic nanoseconds; negative when it
    /// is not due yet. `None` when no address is polled. One prober may be dead and late; all of them late together
    /// means that nobody is asked any more.
    #[must_use]
    pub fn least_late_ns(&self, now: Stamp) -> Option<i64> {
        self.with(|state| {
            let followed = state.paces.values().filter(|pace| pace.is_followed());
            let due = followed.map(|pace| pace.schedule().next_poll(1.0));
            due.max().map(|latest| now.mono_ns.saturating_sub(latest))
        })
    }

    /// Has `address` polled now, and not when its turn comes.
    ///
    /// # Errors
    /// When that is too soon, or nobody polls it.
    pub fn poll_soon(&self, address: SocketAddr, now: i64) -> Result<(), NotNow> {
        let pace = self.with(|state| state.paces.get(&address).filter(|pace| pace.is_followed()).cloned());
        let pace = pace.ok_or(NotNow::NotPolled)?;
        let wait = pace.schedule().earliest().saturating_sub(now);
        match u64::try_from(wait) {
            Ok(wait) if wait > 0 => Err(NotNow::TooSoon(Duration::from_nanos(wait))),
            _ => {
                pace.nudge.notify_one();
                Ok(())
            }
        }
    }

    /// What is to be watched; an incarnation of [`super::targets::Targets`] takes it up when it starts.
    pub fn set_servers(&self, servers: Vec<Arc<Server>>) {
        self.with(|state| state.servers = servers);
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut LedgerState) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn pace(&self, server: &Server, address: SocketAddr, first: i64, clock: &dyn Clock) -> Pace {
        self.with(|state| {
            if let Some(pace) = state.paces.get(&address) {
                pace.schedule().reconfigure(server);
                return pace.clone();
            }
            let mut schedule = Schedule::new(server, first);
            if let Some(past) = state.past.remove(&address) {
                schedule.resume(&past, clock.now());
            }
            if let Some(doubt) = state.doubt {
                schedule.hold(doubt.over_at(server.floor()));
            }
            let pace = Pace { schedule: Arc::new(Mutex::new(schedule)), nudge: Arc::default() };
            state.paces.insert(address, pace.clone());
            if state.paces.len().is_multiple_of(PACES_BETWEEN_SWEEPS) {
                state.sweep(clock.now().mono_ns);
            }
            pace
        })
    }
}
