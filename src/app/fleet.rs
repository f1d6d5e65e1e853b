//! The parts of a fleet that this instance has: agent, hub, or both.

use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::children::{AddressSlot, task};
use crate::actors::adoption::Adopt;
use crate::actors::ledger::Ledger;
use crate::actors::targets::Targets;
use crate::config::{Config, Fleet, Server};
use crate::fleet::agent::{Agent, Arrived};
use crate::fleet::enforce::{Enforced, enforce};
use crate::fleet::envelope::{Head, encode};
use crate::fleet::handle;
use crate::fleet::hub::Hub;
use crate::fleet::presence::{Candidate, MAX_SERVERS, NtsState, Presence};
use crate::log::LimitedLog;
use crate::messages::targets::SetServers;
use crate::probe::schedule::SlotLine;
use crate::store::{Store, StoreHandle, Writer};
use ntp_monitor_core::stats::snapshot::Snapshot;

/// The plan is checked at least this often, because the host may have been suspended.
const LOOK: Duration = Duration::from_secs(5);
/// How often the fleet is examined; it is judged once per round of its polls.
const ROUND: Duration = Duration::from_secs(1);
/// The time span of samples that a hub reads from its store when it starts, so that it has a verdict at once.
const RECALLED: Duration = Duration::from_secs(600);
const MOST_RECALLED: usize = 200_000;

/// Makes the writer also keep the journal that the agent sends.
pub(super) fn journalling(writer: Writer, fleet: &Fleet, store: &Store) -> Writer {
    let vantage = fleet.name.clone();
    let pack = move |incarnation: &str, first_seq: u64, samples: &[Arc<_>]| {
        let head = Head { vantage: &vantage, incarnation, first_seq, lost_before: 0 };
        encode(head, samples.iter().map(|sample| &**sample))
    };
    writer.journalling(Box::new(pack), fleet.journal_max_age, fleet.journal_max_bytes, &store.handle())
}

/// The servers to poll before the first plan arrives.
pub(super) fn servers_at_start(config: &Config) -> Vec<Arc<Server>> {
    let own = config.active_servers();
    match config.fleet.as_ref().filter(|fleet| fleet.role.is_agent()) {
        Some(fleet) => enforce(fleet, &own, None, false).servers,
        None => own,
    }
}

/// Sends the samples of this host and receives its plan.
pub(super) fn agent(
    fleet: Fleet,
    store: StoreHandle,
    boards: &handle::Fleet,
    config: watch::Receiver<Arc<Config>>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    log: &Logger,
) -> Adopt {
    let (boards, log) = (boards.clone(), log.clone());
    task("fleet/agent", move || {
        let announce = {
            let (config, snapshot, store, boards) = (config.clone(), snapshot.clone(), store.clone(), boards.clone());
            Arc::new(move || presence(&config.borrow(), &snapshot.borrow(), &store, &boards))
        };
        let agent = Agent {
            fleet: fleet.clone(),
            store: store.clone(),
            state: Arc::clone(&boards.agent),
            plan: boards.plan.clone(),
            enforced: boards.enforced.subscribe(),
            announce,
            log: LimitedLog::new(log.clone()),
        };
        agent.run()
    })
}

/// Receives the samples of all vantages.
pub(super) fn hub(fleet: Fleet, store: StoreHandle, boards: &handle::Fleet, log: &Logger) -> Adopt {
    let (boards, log) = (boards.clone(), log.clone());
    task("fleet/hub", move || {
        let hub = Hub {
            news: Notify::default(),
            fleet: fleet.clone(),
            store: store.clone(),
            state: Arc::clone(&boards.hub),
            plans: boards.plans.clone(),
            judge: Arc::clone(&boards.judge),
            log: LimitedLog::new(log.clone()),
        };
        hub.run()
    })
}

/// Judges all vantages together.
pub(super) fn judge(fleet: &Fleet, store: StoreHandle, boards: &handle::Fleet, log: &Logger) -> Adopt {
    let (silent_after, boards, log) = (fleet.silent_after, boards.clone(), log.clone());
    task("fleet/judge", move || judge_on(silent_after, store.clone(), boards.clone(), log.clone()))
}

async fn judge_on(silent_after: Duration, store: StoreHandle, boards: handle::Fleet, log: Logger) {
    let from_ns = crate::clock::now().wall_ns - RECALLED.as_nanos() as i64;
    let recalled = store.read(move |reader| {
        let all = reader
            .since(from_ns)
            .filter(|stored| stored.as_ref().map_or(true, |stored| !stored.sample.server.vantage.is_empty()));
        all.take(MOST_RECALLED).map(|stored| Ok(Arc::new(stored?.sample))).collect::<Result<Vec<_>, _>>()
    });
    match recalled.await {
        Ok(samples) => boards.judge.observe(&samples, &boards.hub.view(), crate::clock::now().wall_ns),
        Err(why) => warn!(log, "the verdict of the fleet starts without its recent samples"; "reason" => %why),
    }
    loop {
        tokio::time::sleep(ROUND).await;
        let (judge, view, picture) = (Arc::clone(&boards.judge), boards.hub.view(), boards.picture.clone());
        // A round of a large fleet takes some milliseconds.
        let judged = tokio::task::spawn_blocking(move || {
            let before = picture.borrow().left_out;
            let next = judge.judge(&view, silent_after, Instant::now(), crate::clock::now().wall_ns);
            let is_crowded = before == 0 && next.left_out > 0;
            picture.send_replace(Arc::new(next));
            is_crowded
        });
        match judged.await {
            Ok(true) => warn!(log, "the fleet has too many servers: some are stored and not judged"),
            Ok(false) => {}
            Err(why) => {
                warn!(log, "the verdict of the fleet failed"; "reason" => %why);
                return;
            }
        }
    }
}

/// The child that makes the probers follow configuration and plan.
pub(super) const PACE: &str = "fleet/pace";

/// Makes the probers follow configuration and plan.
pub(super) fn pace(
    boards: &handle::Fleet,
    config: watch::Receiver<Arc<Config>>,
    ledger: Ledger,
    targets: AddressSlot<Targets>,
    log: &Logger,
) -> Adopt {
    let (boards, log) = (boards.clone(), log.clone());
    task(PACE, move || follow(boards.clone(), config.clone(), ledger.clone(), targets.clone(), log.clone()))
}

async fn follow(
    boards: handle::Fleet,
    mut config: watch::Receiver<Arc<Config>>,
    ledger: Ledger,
    targets: AddressSlot<Targets>,
    log: Logger,
) {
    let mut plans = boards.plan.subscribe();
    loop {
        let now = Instant::now();
        let arrived = plans.borrow_and_update().clone();
        let valid = arrived.as_ref().filter(|arrived| arrived.is_valid(now));
        let current = config.borrow_and_update().clone();
        let Some(fleet) = current.fleet.as_ref() else { return };
        let plan = arrived.as_ref().map(|arrived| &arrived.plan);
        let enforced = enforce(fleet, &current.active_servers(), plan, valid.is_some());
        ledger.set_slot_line(slot_line(arrived.as_deref(), now));
        apply(enforced, &boards, &ledger, &targets, &log);
        let end = valid.and_then(|arrived| arrived.expires()).unwrap_or(now + LOOK);
        let next = async {
            tokio::select! {
                changed = plans.changed() => changed.is_ok(),
                changed = config.changed() => changed.is_ok(),
                () = sleep_until(end.min(now + LOOK)) => true,
            }
        };
        if !next.await {
            return;
        }
    }
}

/// Where the slots of the latest plan are.
fn slot_line(arrived: Option<&Arrived>, now: Instant) -> SlotLine {
    let Some(arrived) = arrived else { return SlotLine::default() };
    let line = arrived.plan.line.as_ref().filter(|line| line.clock == crate::clock::boot_id());
    let left = arrived.expires().map_or(Duration::ZERO, |end| end.saturating_duration_since(now));
    let left_ns = i64::try_from(left.as_nanos()).unwrap_or(i64::MAX);
    let planned_until = crate::clock::now().mono_ns.saturating_add(left_ns);
    SlotLine { line: line.map(|line| line.line), asleep_ns: arrived.asleep_ns, planned_until }
}

fn apply(enforced: Enforced, boards: &handle::Fleet, ledger: &Ledger, targets: &AddressSlot<Targets>, log: &Logger) {
    let before = boards.enforced.borrow().clone();
    if *before == enforced {
        return;
    }
    if before.servers == enforced.servers && before.refusals == enforced.refusals {
        boards.enforced.send_replace(Arc::new(enforced));
        return;
    }
    if before.is_planned != enforced.is_planned {
        info!(log, "the poll intervals changed"; "planned" => enforced.is_planned, "servers" => enforced.servers.len());
    }
    if !enforced.refusals.is_empty() && before.refusals != enforced.refusals {
        warn!(log, "the plan asks for more than this configuration allows"; "refused" => enforced.refusals.join("; "));
    }
    let servers = enforced.servers.clone();
    ledger.set_servers(servers.clone());
    if let Some(targets) = targets.get() {
        targets.do_send(SetServers(servers));
    }
    // The plan is acknowledged by this, so it comes last.
    boards.enforced.send_replace(Arc::new(enforced));
}

fn presence(config: &Config, snapshot: &Snapshot, store: &StoreHandle, boards: &handle::Fleet) -> Presence {
    let (gauge, enforced) = (store.fleet_gauge(), boards.enforced.borrow().clone());
    let fleet = config.fleet.as_ref();
    let servers = config.servers.iter().filter(|server| !server.paused).take(MAX_SERVERS);
    let servers = servers.map(|server| Candidate {
        name: server.ident.name.to_string(),
        target: format!("{}:{}", server.host, server.port),
        own: server.own,
        interval_s: server.poll_interval.as_secs_f64(),
        nts: nts(server, snapshot),
    });
    Presence {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        role: fleet.map(|fleet| fleet.role.label().to_owned()).unwrap_or_default(),
        groups: fleet.map(|fleet| fleet.groups.clone()).unwrap_or_default(),
        wall_ns: crate::clock::now().wall_ns,
        waiting: gauge.samples,
        dropped: gauge.dropped,
        planned: enforced.is_planned,
        refusals: enforced.refusals.clone(),
        servers: servers.collect(),
        ..Presence::default()
    }
}

/// The worst NTS state among the addresses of a server.
fn nts(server: &Server, snapshot: &Snapshot) -> Option<NtsState> {
    server.nts.as_ref()?;
    let now = jiff::Timestamp::now();
    let all = snapshot.series_of(&server.ident.name).into_iter();
    let all = all.filter_map(|(_, series)| NtsState::of(&series.last, series.last_measured.as_deref(), now));
    all.min_by_key(|state| (state.authenticated, state.fault.is_none()))
}
