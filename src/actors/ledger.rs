//! The poll schedule of every address. It outlives the actors, and is restored after a restart of the process, so that
//! no restart makes a server be polled too often.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::succession::Succession;
use crate::config::Server;
use crate::probe::resolve::LONGEST_RETRY;
use crate::probe::rotation::Rotation;
use crate::probe::schedule::{Past, Pause, Schedule, SlotLine};
use crate::probe::{NtsTools, ProbeSession};
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::health::report::Denial;
use ntp_monitor_core::sample::{Outcome, SeriesKey};

/// The poll schedule of one address. It is shared with the next incarnation, so that a restart does not poll too early.
pub type SharedSchedule = Arc<Mutex<Schedule>>;

/// Schedules of addresses that are no longer polled are removed each time this many entries have been added.
const PACINGS_BETWEEN_SWEEPS: usize = 1024;

/// The shared poll schedules. Cheap to clone; outlives the actors that use it.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<LedgerState>>);

#[derive(Default)]
pub(super) struct LedgerState {
    pub(super) servers: Vec<Arc<Server>>,
    pacings: HashMap<SocketAddr, PollPacing>,
    /// The state of each address that is kept from poll to poll.
    sessions: HashMap<SocketAddr, Arc<ProbeSession>>,
    /// The last poll of each address, from earlier processes.
    past: HashMap<SocketAddr, Past>,
    /// When single requests were permitted by [`Ledger::reserve`], on the monotonic clock in nanoseconds.
    tested: HashMap<SocketAddr, i64>,
    unclean: Option<UncleanShutdown>,
    /// The position of the slots of a fleet.
    slot_line: Arc<Mutex<SlotLine>>,
    /// Which addresses of each server are polled.
    pub(super) selections: HashMap<Arc<str>, Selection>,
}

/// The polled addresses of one server. A new incarnation of [`super::targets::Targets`] continues them.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    /// Shared by the ledger and the actor, and copied when it changes.
    pub rotation: Arc<Rotation>,
    pub succession: Succession,
}

/// The poll schedule of one address, and the handle that wakes its prober.
#[derive(Debug, Clone)]
pub struct PollPacing {
    pub schedule: SharedSchedule,
    /// Asks the prober to poll as soon as the schedule allows.
    pub nudge: Arc<Notify>,
    slot_line: Arc<Mutex<SlotLine>>,
    /// The series that its polls belong to.
    series: SeriesKey,
}

impl PollPacing {
    /// The schedule, with the position of the slots updated.
    pub(super) fn look(&self, now: Stamp) -> MutexGuard<'_, Schedule> {
        let line = *self.slot_line.lock().unwrap_or_else(PoisonError::into_inner);
        let mut schedule = self.schedule();
        schedule.look(&line, now);
        schedule
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_followed(&self) -> bool {
        Arc::strong_count(&self.schedule) > 1
    }
}

/// Why an address cannot be polled right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNow {
    /// No prober polls this address.
    NotPolled,
    /// The minimum interval, or the one that the server asked for with a kiss-o'-death, ends in this time.
    TooSoon(Duration),
}

/// The previous process did not shut down cleanly, so its last requests to any server may not have been recorded.
#[derive(Debug, Clone, Copy)]
struct UncleanShutdown {
    /// How long before `now` such requests ended, in nanoseconds.
    age_ns: i64,
    now: Stamp,
}

impl UncleanShutdown {
    /// When the last unrecorded request may have been sent, on the monotonic clock in nanoseconds.
    fn asked_at(self) -> i64 {
        self.over_at(Duration::ZERO)
    }

    /// When a server with this minimum interval may be polled again, on the monotonic clock in nanoseconds.
    fn over_at(self, floor: Duration) -> i64 {
        let floor_ns = i64::try_from(floor.as_nanos()).unwrap_or(i64::MAX);
        // For one interval after the unclean shutdown, processes started since waited as well. Later they may have
        // polled without recording it, so the wait begins now.
        let age_ns = if (0..floor_ns).contains(&self.age_ns) { self.age_ns } else { 0 };
        self.now.mono_ns.saturating_sub(age_ns).saturating_add(floor_ns)
    }
}

impl LedgerState {
    /// When an earlier process may last have exchanged keys with this address, on the monotonic clock in nanoseconds:
    /// the time of its last poll, because a key exchange precedes a poll. After an unclean shutdown, polls may be
    /// missing. `None` if the address was never polled.
    fn last_activity_ns(&self, address: SocketAddr, now: Stamp) -> Option<i64> {
        let polled = self.past.get(&address).map(|past| past.ended_ns(now));
        polled.max(self.unclean.map(UncleanShutdown::asked_at))
    }

    /// Removes schedules that no prober uses and that no longer delay a poll.
    fn sweep(&mut self, now: i64) {
        self.pacings.retain(|_, pacing| pacing.is_followed() || pacing.schedule().next_poll(1.0) > now);
        let is_needed = |address: &SocketAddr, session: &ProbeSession| {
            self.pacings.contains_key(address) || session.earliest_exchange_ns() > now
        };
        self.sessions.retain(|address, session| is_needed(address, session));
    }
}

impl Ledger {
    /// A ledger with the last poll of each address. After an unclean shutdown, requests sent before `unclean_before`
    /// (wall clock, nanoseconds) may be missing, so every address first waits for its minimum interval.
    #[must_use]
    pub fn new(past: HashMap<SocketAddr, Past>, unclean_before: Option<i64>, now: Stamp) -> Self {
        let unclean = unclean_before.map(|before| UncleanShutdown { age_ns: now.wall_ns.saturating_sub(before), now });
        Self(Arc::new(Mutex::new(LedgerState { past, unclean, ..LedgerState::default() })))
    }

    /// Whether no prober uses any schedule, which means that every request sent has been recorded.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.with(|state| !state.pacings.values().any(PollPacing::is_followed))
    }

    /// For how long polling has stopped, in monotonic nanoseconds; negative when no poll is late, `None` when no
    /// address is polled.
    ///
    /// A single dead prober is late alone, while others continue to poll. Polling has stopped when all polls are late,
    /// or when a poll that fell due after the last request of any prober is late by its own interval. So a server that
    /// is polled once a day, or that denied service until tomorrow, does not hide that polling has stopped.
    #[must_use]
    pub fn stopped_ns(&self, now: Stamp) -> Option<i64> {
        self.with(|state| {
            let last_request = state.pacings.values().filter_map(|pacing| pacing.schedule().last_request()).max();
            let (mut latest, mut missed) = (None, i64::MAX);
            for pacing in state.pacings.values().filter(|pacing| pacing.is_followed()) {
                let schedule = pacing.schedule();
                let due = schedule.next_poll(1.0);
                latest = latest.max(Some(due));
                if last_request.is_none_or(|last| due > last) {
                    let interval_ns = i64::try_from(schedule.interval().as_nanos()).unwrap_or(i64::MAX);
                    missed = missed.min(due.saturating_add(interval_ns));
                }
            }
            latest.map(|latest| now.mono_ns.saturating_sub(missed.min(latest)))
        })
    }

    /// By how much polling is overdue, when the last poll of any server ended `idle` ago; zero while it is not.
    #[must_use]
    pub fn overdue(&self, now: Stamp, idle: Duration) -> Duration {
        let is_needed = self.with(|state| !state.servers.is_empty());
        match self.stopped_ns(now) {
            Some(late_ns) => Duration::from_nanos(u64::try_from(late_ns).unwrap_or(0)).min(idle),
            // No name resolves, or no prober is left. Each attempt to resolve a name counts as a poll.
            None if is_needed => idle.saturating_sub(LONGEST_RETRY),
            None => Duration::ZERO,
        }
    }

    /// The servers that refuse to serve this host and are therefore not asked at `now`, also if they refused an earlier
    /// process.
    #[must_use]
    pub fn denials(&self, now: Stamp) -> HashMap<SeriesKey, Denial> {
        let denial = |Pause { code, since, until }| Denial {
            code: code.label(),
            asked_again_in_s: until.saturating_sub(now.mono_ns) as f64 / 1e9,
            ago_s: now.mono_ns.saturating_sub(since).max(0) as f64 / 1e9,
        };
        let paused = |pacing: &PollPacing| {
            let pause = pacing.schedule().pause(now.mono_ns)?;
            Some((pacing.series.clone(), denial(pause)))
        };
        self.with(|state| state.pacings.values().filter(|pacing| pacing.is_followed()).filter_map(paused).collect())
    }

    /// Asks for a poll of `address` now, ahead of its schedule.
    ///
    /// # Errors
    /// When the minimum interval has not passed, or no prober polls this address.
    pub fn poll_soon(&self, address: SocketAddr, now: i64) -> Result<(), NotNow> {
        let pacing = self.with(|state| state.pacings.get(&address).filter(|pacing| pacing.is_followed()).cloned());
        let pacing = pacing.ok_or(NotNow::NotPolled)?;
        let wait = pacing.schedule().permitted_at(now).saturating_sub(now);
        match u64::try_from(wait) {
            Ok(wait) if wait > 0 => Err(NotNow::TooSoon(Duration::from_nanos(wait))),
            _ => {
                pacing.nudge.notify_one();
                Ok(())
            }
        }
    }

    /// Permits one request to `address` at `now`, whether it is configured or not. A prober that begins to poll it
    /// waits for its minimum interval.
    ///
    /// # Errors
    /// When [`Server::FLOOR`] has not passed since the last request to it.
    pub fn reserve(&self, address: SocketAddr, now: i64) -> Result<(), NotNow> {
        let floor_ns = i64::try_from(Server::FLOOR.as_nanos()).unwrap_or(i64::MAX);
        self.with(|state| {
            let over = |asked: &i64| asked.saturating_add(floor_ns);
            state.tested.retain(|_, asked| over(asked) > now);
            let polled = state.pacings.get(&address).filter(|pacing| pacing.is_followed());
            let earliest =
                polled.map(|pacing| pacing.schedule().permitted_at(now)).max(state.tested.get(&address).map(over));
            match u64::try_from(earliest.map_or(0, |earliest| earliest.saturating_sub(now))) {
                Ok(wait) if wait > 0 => return Err(NotNow::TooSoon(Duration::from_nanos(wait))),
                _ => {}
            }
            if let Some(pacing) = polled {
                pacing.schedule().requested(now);
            }
            state.tested.insert(address, now);
            Ok(())
        })
    }

    /// Sets the servers to poll; [`super::targets::Targets`] reads them when it is restarted.
    pub fn set_servers(&self, servers: Vec<Arc<Server>>) {
        self.with(|state| state.servers = servers);
    }

    /// Sets the position of the slots of a fleet. If it became known or unknown, all probers are woken.
    pub fn set_slot_line(&self, line: SlotLine) {
        self.with(|state| {
            let before = std::mem::replace(&mut *state.slot_line.lock().unwrap_or_else(PoisonError::into_inner), line);
            if before.line.is_some() != line.line.is_some() {
                state.pacings.values().for_each(|pacing| pacing.nudge.notify_one());
            }
        });
    }

    /// Whether the last poll of this address in an earlier process, if there was one, gave a sample.
    pub(super) fn has_worked(&self, address: SocketAddr) -> bool {
        self.with(|state| state.past.get(&address).is_some_and(|past| past.outcome == Outcome::Sample))
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut LedgerState) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The session of `server` at `address`: that of an earlier prober, unless the configuration of NTS has changed.
    pub(super) fn session(&self, server: &Server, address: SocketAddr, tools: &NtsTools) -> Arc<ProbeSession> {
        self.with(|state| {
            let earlier = state.sessions.get(&address);
            if let Some(session) = earlier.filter(|session| session.fits(server)) {
                session.follow(server);
                return Arc::clone(session);
            }
            let session = ProbeSession::of(server, address, tools);
            let session = Arc::new(match earlier {
                Some(earlier) => session.after(earlier),
                None => session.after_process(state.last_activity_ns(address, tools.clock.now())),
            });
            state.sessions.insert(address, Arc::clone(&session));
            session
        })
    }

    pub(super) fn pacing(&self, server: &Server, address: SocketAddr, first: i64, clock: &dyn Clock) -> PollPacing {
        self.with(|state| {
            let ident = &server.ident;
            let (name, vantage) = (Arc::clone(&ident.name), Arc::clone(&ident.vantage));
            let series = SeriesKey { server: name, vantage, address: Some(address) };
            if let Some(pacing) = state.pacings.get_mut(&address) {
                pacing.series = series;
                pacing.schedule().reconfigure(server, address, clock.now().mono_ns);
                return pacing.clone();
            }
            let mut schedule = Schedule::new(server, address, first);
            if let Some(past) = state.past.remove(&address) {
                schedule.resume(&past, clock.now());
            }
            if let Some(asked) = state.tested.remove(&address) {
                schedule.hold(asked.saturating_add(i64::try_from(server.floor().as_nanos()).unwrap_or(i64::MAX)));
            }
            if let Some(unclean) = state.unclean {
                schedule.hold(unclean.over_at(server.floor()));
                if server.pace.is_some() {
                    schedule.asked_before(unclean.asked_at());
                }
            }
            let slot_line = Arc::clone(&state.slot_line);
            let schedule = Arc::new(Mutex::new(schedule));
            let pacing = PollPacing { schedule, nudge: Arc::default(), slot_line, series };
            state.pacings.insert(address, pacing.clone());
            if state.pacings.len().is_multiple_of(PACINGS_BETWEEN_SWEEPS) {
                state.sweep(clock.now().mono_ns);
            }
            pacing
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use ntp_monitor_core::ntp::KissCode;
    use ntp_monitor_core::sample::Outcome;

    const S: i64 = 1_000_000_000;

    /// A ledger, and the schedules of servers that were polled at 0 with these intervals.
    fn polled(intervals_s: &[u64]) -> (Ledger, Vec<PollPacing>) {
        let ledger = Ledger::default();
        let pacings = intervals_s.iter().zip(1..).map(|(poll_s, host)| {
            let address = SocketAddr::from(([192, 0, 2, host], 123));
            let pacing = ledger.pacing(&server(*poll_s), address, 0, &SystemClock);
            // The first polls of a server come early.
            (0..4).for_each(|_| pacing.schedule().requested(0));
            pacing
        });
        let pacings = pacings.collect();
        (ledger, pacings)
    }

    fn server(poll_s: u64) -> Server {
        Server::polled_every(Duration::from_secs(poll_s), false)
    }

    fn stopped_s(ledger: &Ledger, at_s: i64) -> i64 {
        ledger.stopped_ns(Stamp::new(0, at_s * S, 0)).unwrap() / S
    }

    #[test]
    fn daily_and_denied_servers_do_not_hide_stopped_polls() {
        let (ledger, pacings) = polled(&[64, 86_400, 64]);
        pacings[2].schedule().ended(&Outcome::Kiss(KissCode::DENY), 0);
        assert!(stopped_s(&ledger, 60) < 0, "nothing is late");
        assert!((470..480).contains(&stopped_s(&ledger, 600 + 8)), "{}", stopped_s(&ledger, 608));
    }

    #[test]
    fn denial_is_listed_during_its_pause_also_after_a_restart() {
        let (ledger, pacings) = polled(&[64, 64]);
        pacings[1].schedule().ended(&Outcome::Kiss(KissCode::DENY), 0);
        let all: Vec<_> = ledger.denials(Stamp::new(0, 600 * S, 0)).into_iter().collect();
        let denial = Denial { code: "DENY", asked_again_in_s: 3000.0, ago_s: 600.0 };
        assert_eq!(all, [(pacings[1].series.clone(), denial)]);
        assert!(ledger.denials(Stamp::new(0, 3600 * S, 0)).is_empty());

        let address = SocketAddr::from(([192, 0, 2, 9], 123));
        let now = SystemClock.now();
        let wall_ns = now.wall_ns - 600 * S;
        let past = Past { wall_ns, outcome: Outcome::Kiss(KissCode::RSTR), rate: None };
        let ledger = Ledger::new([(address, past)].into(), None, now);
        let _pacing = ledger.pacing(&server(64), address, 0, &SystemClock);
        let all = ledger.denials(now);
        assert!(
            matches!(all.values().next(), Some(denial) if denial.code == "RSTR" && denial.ago_s > 599.0),
            "{all:?}"
        );
    }

    #[test]
    fn key_exchange_pause_survives_removal_and_time_without_nts() {
        let ledger = Ledger::default();
        let tools = NtsTools {
            resolver: Arc::new(crate::probe::resolve::system::SystemResolver::new(Duration::from_secs(1))),
            trust: Arc::default(),
            clock: Arc::new(SystemClock),
        };
        let with_nts = Server { nts: Some(crate::config::Nts::default()), ..server(64) };
        let address = SocketAddr::from(([192, 0, 2, 1], 123));
        let now = SystemClock.now().mono_ns;
        // The previous process polled it a moment ago.
        ledger.with(|state| state.unclean = Some(UncleanShutdown { age_ns: 0, now: SystemClock.now() }));
        let held_ns = ledger.session(&with_nts, address, &tools).earliest_exchange_ns();
        assert!(held_ns >= now + 59 * S, "{}", held_ns - now);
        ledger.session(&server(64), address, &tools);
        ledger.with(|state| state.sweep(now));
        assert_eq!(ledger.session(&with_nts, address, &tools).earliest_exchange_ns(), held_ns);
        ledger.with(|state| state.sweep(held_ns));
        assert!(ledger.with(|state| state.sessions.is_empty()), "it is forgotten when it is over");
    }

    #[test]
    fn test_of_an_address_respects_its_minimum_interval() {
        let (ledger, pacings) = polled(&[64]);
        let address = |host: u8| SocketAddr::from(([192, 0, 2, host], 123));
        let too_soon = |wait_s| Err(NotNow::TooSoon(Duration::from_secs(wait_s)));
        assert_eq!(ledger.reserve(address(1), 4 * S), too_soon(12), "it was polled at 0");
        assert_eq!(ledger.reserve(address(1), 20 * S), Ok(()));
        assert_eq!(pacings[0].schedule().earliest(), 36 * S, "the next poll waits too");
        assert_eq!(ledger.reserve(address(9), 0), Ok(()));
        assert_eq!(ledger.reserve(address(9), 15 * S), too_soon(1));
        assert_eq!(ledger.reserve(address(9), 16 * S), Ok(()));
        let added = ledger.pacing(&server(64), address(9), 17 * S, &SystemClock);
        assert_eq!(added.schedule().next_poll(0.5), 32 * S);
    }

    #[test]
    fn single_late_server_does_not_stop_polling() {
        let (ledger, pacings) = polled(&[64, 64]);
        for at_s in (64..3600).step_by(64) {
            assert!(stopped_s(&ledger, at_s) <= 0);
            pacings[0].schedule().requested(at_s * S);
        }
        drop(pacings);
        assert_eq!(ledger.stopped_ns(Stamp::new(0, 0, 0)), None);
    }
}
