//! Turns configured servers into probers: resolves names, and starts and stops one prober per address.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, SpawnHandle};
use slog::{Logger, info, warn};

use super::ledger::{Ledger, Selection};
use super::notice::DeathNotice;
use super::outlet::{Listener, MAILBOX, Outlet};
use super::prober::{Assignment, Prober};
use super::sheets::Sheets;
use super::supervisor::Supervisor;
use crate::actors::adoption::{Adopt, Release};
use crate::config::{Addresses, Family, Host, Server};
use crate::key_exchange::Trust;
use crate::messages::lifecycle::StopNow;
use crate::messages::sample::{Forget, SamplesReady};
use crate::messages::targets::SetServers;
use crate::probe::poll::GRACE;
use crate::probe::resolve::Resolve;
use crate::probe::rotation::{Answer, Change};
use crate::probe::{Engines, NtsTools};
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::health::child::Role;
use ntp_monitor_core::sample::{Outcome, SeriesKey};

mod names;

/// New probers start this far apart, so that a long list does not cause a burst; closer together when the list would
/// otherwise take longer than one poll interval.
const STAGGER: Duration = Duration::from_millis(10);
/// A series is forgotten this long after the last possible poll of a stopped prober: its last sample may still be in a
/// queue, and if only the configuration of the server changed, the series continues at once.
const FORGET_AFTER: Duration = Duration::from_secs(5);
/// A change of many servers is made in batches of this many steps, with a pause after each in which polls continue.
const STEPS_AT_ONCE: usize = 256;
const PAUSE: Duration = Duration::from_millis(1);

/// The dependencies of the actor.
#[derive(Clone)]
pub struct Tools {
    pub supervisor: Addr<Supervisor>,
    pub resolver: Arc<dyn Resolve>,
    pub engines: Engines,
    /// The authorities that key exchanges trust.
    pub trust: Arc<Trust>,
    pub outlet: Outlet,
    /// The listener of the outlet through which this actor learns how polls end.
    pub ends: Listener,
    pub clock: Arc<dyn Clock>,
    /// The state that outlives the actor.
    pub ledger: Ledger,
    /// The protocol sheets, which determine when a server is asked a question.
    pub sheets: Sheets,
    pub log: Logger,
}

/// The actor that starts and stops the probers.
pub struct Targets {
    tools: Tools,
    /// Boxed, because a table is up to half empty.
    entries: HashMap<Arc<str>, Box<Entry>>,
    taken: HashMap<SocketAddr, Arc<str>>,
    next_entry: u64,
    change: Remaining,
    _notice: DeathNotice,
}

/// What remains to be done of a change of the servers.
#[derive(Default)]
struct Remaining {
    steps: VecDeque<Step>,
    /// The timer of the next steps.
    timer: Option<SpawnHandle>,
    /// Series of dropped servers, and the longest timeout of these servers.
    ended: Vec<SeriesKey>,
    timeout: Duration,
}

enum Step {
    Drop(Arc<str>),
    /// Starts after this delay.
    Add(Arc<Server>, Duration),
}

struct Entry {
    /// Identifies the configuration; a resolution started for an earlier configuration of the same name is ignored.
    id: u64,
    server: Arc<Server>,
    selection: Selection,
    /// Consecutive failures to resolve the name.
    failures: u32,
    /// The resolution in progress, or the timer of the next one.
    resolution: Option<SpawnHandle>,
}

impl Targets {
    /// An actor that starts with the servers in the ledger, if there are any.
    #[must_use]
    pub fn new(tools: Tools, notice: DeathNotice) -> Self {
        let (entries, taken) = (HashMap::new(), HashMap::new());
        Self { tools, entries, taken, next_entry: 0, change: Remaining::default(), _notice: notice }
    }

    /// Changes the servers. A server whose configuration did not change is not touched.
    fn set_servers(&mut self, servers: Vec<Arc<Server>>, ctx: &mut Context<Self>) {
        let wanted: HashMap<Arc<str>, Arc<Server>> =
            servers.iter().map(|server| (Arc::clone(&server.ident.name), Arc::clone(server))).collect();
        let kept = |entry: &Entry| wanted.get(&entry.server.ident.name).is_some_and(|new| *new == entry.server);
        let dropped: HashSet<Arc<str>> =
            self.entries.iter().filter(|(_, entry)| !kept(entry)).map(|(name, _)| Arc::clone(name)).collect();
        let is_new = |server: &&Arc<Server>| !self.entries.get(&server.ident.name).is_some_and(|entry| kept(entry));
        let new: Vec<Arc<Server>> = servers.iter().filter(is_new).cloned().collect();
        info!(self.tools.log, "polling servers"; "servers" => servers.len(), "new" => new.len());
        self.tools.ledger.with(|state| state.servers = servers);
        self.tools.resolver.reload();
        self.resolve_all(ctx);
        if let Some(planned) = self.change.timer.take() {
            ctx.cancel_future(planned);
        }
        self.change.steps = self.steps(dropped, new);
        self.go_on(ctx);
    }

    /// The order of a change: a server with a literal address is added just after the servers with this address or its
    /// name are dropped, so that a renamed server misses no poll. Servers with host names, which may resolve to any
    /// address, come last.
    fn steps(&self, mut dropped: HashSet<Arc<str>>, new: Vec<Arc<Server>>) -> VecDeque<Step> {
        let count = new.len();
        let (mut steps, mut named) = (VecDeque::new(), Vec::new());
        for (place, server) in new.into_iter().enumerate() {
            let stagger = stagger(place, count, server.poll_interval);
            let Host::Address(ip) = server.host else {
                named.push(Step::Add(server, stagger));
                continue;
            };
            let holder = self.taken.get(&SocketAddr::new(ip, server.port));
            let in_the_way = [Some(&server.ident.name), holder].into_iter().flatten();
            steps.extend(in_the_way.filter_map(|name| dropped.take(name)).map(Step::Drop));
            steps.push_back(Step::Add(server, stagger));
        }
        steps.extend(dropped.into_iter().map(Step::Drop).chain(named));
        steps
    }

    /// Makes the next batch of steps of a change.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        let steps: Vec<Step> = self.change.steps.drain(..self.change.steps.len().min(STEPS_AT_ONCE)).collect();
        for step in steps {
            match step {
                Step::Drop(name) => self.drop_entry(&name, ctx),
                Step::Add(server, stagger) => self.add_entry(server, stagger, ctx),
            }
        }
        if !self.change.steps.is_empty() {
            self.change.timer = Some(ctx.run_later(PAUSE, Self::go_on));
            return;
        }
        let Remaining { ended, timeout, .. } = std::mem::take(&mut self.change);
        forget_later(ended, timeout, ctx);
        self.retry_idle_servers(ctx);
    }

    fn add_entry(&mut self, server: Arc<Server>, stagger: Duration, ctx: &mut Context<Self>) {
        let name = Arc::clone(&server.ident.name);
        let host = server.host.clone();
        let port = server.port;
        self.next_entry += 1;
        let id = self.next_entry;
        // An earlier incarnation of this actor may have left probers.
        let selection = self.tools.ledger.with(|state| state.selections.get(&name).cloned()).unwrap_or_default();
        self.taken.extend(selection.rotation.addresses().map(|address| (address, Arc::clone(&name))));
        let entry = Entry { id, server, selection, failures: 0, resolution: None };
        self.entries.insert(Arc::clone(&name), Box::new(entry));
        match host {
            Host::Address(ip) => self.on_addresses(&name, &[SocketAddr::new(ip, port)], None, stagger, ctx),
            Host::Name(_) => self.resolve_after(stagger, &name, ctx),
        }
    }

    fn drop_entry(&mut self, name: &Arc<str>, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.remove(name) else { return };
        if let Some(resolution) = entry.resolution {
            ctx.cancel_future(resolution);
        }
        self.tools.ledger.with(|state| state.selections.remove(name));
        for address in entry.selection.rotation.addresses() {
            self.stop_prober(&entry.server, address);
            self.change.ended.push(SeriesKey::here(name, Some(address)));
        }
        self.change.ended.extend(entry.selection.succession.take_replaced());
        self.change.ended.push(SeriesKey::here(name, None));
        self.change.timeout = self.change.timeout.max(entry.server.timeout);
    }

    fn on_addresses(
        &mut self,
        name: &Arc<str>,
        addresses: &[SocketAddr],
        silent: Option<Family>,
        stagger: Duration,
        ctx: &mut Context<Self>,
    ) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let now = self.tools.clock.now().mono_ns;
        let taken = &self.taken;
        let (rotation, answer) = (Arc::make_mut(&mut entry.selection.rotation), Answer { addresses, silent });
        let change = rotation.resolved(entry.server.addresses, answer, now, |a| taken.contains_key(a));
        if rotation.is_empty() {
            let other = addresses.iter().find_map(|address| taken.get(address));
            warn!(self.tools.log, "server is not polled: each of its addresses is polled under another name";
                "server" => %name, "other" => other.map(ToString::to_string));
            let why = format!("polled already as {}", other.map_or("another server", |name| name));
            self.publish(name, Outcome::Fault(why.into()), Duration::from_secs(60));
        }
        let server = Arc::clone(&self.entries[name].server);
        self.apply(&server, change, now + stagger.as_nanos() as i64, ctx);
    }

    fn apply(&mut self, server: &Arc<Server>, change: Change, first: i64, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get(&server.ident.name) else { return };
        let selection = entry.selection.clone();
        let is_replaced = server.addresses == Addresses::First && !change.start.is_empty();
        let frees = !change.stop.is_empty();
        let mut ended = Vec::new();
        for address in change.stop {
            self.stop_prober(server, address);
            let key = SeriesKey::here(&server.ident.name, Some(address));
            if is_replaced { selection.succession.replace(key) } else { ended.push(key) }
        }
        forget_later(ended, server.timeout, ctx);
        for address in change.start {
            if is_replaced {
                selection.succession.select(address);
            }
            self.taken.insert(address, Arc::clone(&server.ident.name));
            self.start_prober(server, address, &selection, first);
        }
        self.tools.ledger.with(|state| state.selections.insert(Arc::clone(&server.ident.name), selection));
        if frees {
            self.retry_idle_servers(ctx);
        }
    }

    fn start_prober(&self, server: &Arc<Server>, address: SocketAddr, selection: &Selection, first: i64) {
        let assignment = Arc::new(Assignment {
            server: Arc::clone(server),
            address,
            // Must come before `pacing`, which removes the last poll of an earlier process from the ledger.
            session: self.tools.ledger.session(server, address, &self.nts_tools()),
            pacing: self.tools.ledger.pacing(server, address, first, &*self.tools.clock),
            engine: self.tools.engines.choose(server.engine),
            outlet: self.tools.outlet.clone(),
            sheets: self.tools.sheets.clone(),
            succession: selection.succession.clone(),
            clock: Arc::clone(&self.tools.clock),
        });
        self.tools.supervisor.do_send(Adopt {
            name: child_name(&server.ident.name, address),
            role: Role::Prober,
            factory: Box::new(move |notice| {
                let prober = Prober::new(Arc::clone(&assignment), notice).start();
                Box::new(move || prober.do_send(StopNow))
            }),
        });
    }

    fn nts_tools(&self) -> NtsTools {
        let Tools { resolver, trust, clock, .. } = &self.tools;
        NtsTools { resolver: Arc::clone(resolver), trust: Arc::clone(trust), clock: Arc::clone(clock) }
    }

    fn stop_prober(&mut self, server: &Server, address: SocketAddr) {
        self.taken.remove(&address);
        self.tools.supervisor.do_send(Release { name: child_name(&server.ident.name, address) });
    }

    /// Starts servers that are configured by address and were not polled because another server held that address.
    fn retry_idle_servers(&mut self, ctx: &mut Context<Self>) {
        let idle = self.entries.values().filter(|entry| entry.selection.rotation.is_empty());
        let literals: Vec<(Arc<str>, SocketAddr)> = idle
            .filter_map(|entry| match entry.server.host {
                Host::Address(ip) => {
                    Some((Arc::clone(&entry.server.ident.name), SocketAddr::new(ip, entry.server.port)))
                }
                Host::Name(_) => None,
            })
            .filter(|(_, address)| !self.taken.contains_key(address))
            .collect();
        for (name, address) in literals {
            self.on_addresses(&name, &[address], None, Duration::ZERO, ctx);
        }
    }
}

/// The delay before the server at `place` of `count` new ones starts.
fn stagger(place: usize, count: usize, interval: Duration) -> Duration {
    STAGGER.min(interval.div_f64(count as f64)).mul_f64(place as f64 + rand::random::<f64>())
}

/// Forgets these series later, except those that are polled again by then. `timeout` is the longest one of their
/// servers.
fn forget_later(keys: Vec<SeriesKey>, timeout: Duration, ctx: &mut Context<Targets>) {
    if keys.is_empty() {
        return;
    }
    ctx.run_later(timeout + GRACE + FORGET_AFTER, move |this, _| {
        let is_back = |key: &SeriesKey| match key.address {
            Some(address) => this.taken.get(&address) == Some(&key.server),
            None => this.entries.contains_key(&key.server),
        };
        let gone = keys.into_iter().filter(|key| !is_back(key)).collect();
        this.tools.outlet.forget(gone, None);
    });
}

fn child_name(server: &str, address: SocketAddr) -> Arc<str> {
    format!("prober/{server}/{address}").into()
}

impl Actor for Targets {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.tools.ends.connect(ctx.address());
        self.follow_resolver(ctx);
        let servers = self.tools.ledger.with(|state| state.servers.clone());
        if !servers.is_empty() {
            self.set_servers(servers, ctx);
        }
    }
}

impl Handler<SetServers> for Targets {
    type Result = ();

    fn handle(&mut self, SetServers(servers): SetServers, ctx: &mut Context<Self>) {
        self.set_servers(servers, ctx);
    }
}

impl Handler<SamplesReady> for Targets {
    type Result = ();

    fn handle(&mut self, SamplesReady(batch): SamplesReady, ctx: &mut Context<Self>) {
        batch.iter().for_each(|sample| self.on_end(sample, ctx));
    }
}

impl Handler<Forget> for Targets {
    type Result = ();

    fn handle(&mut self, _: Forget, _: &mut Context<Self>) {}
}

impl Handler<StopNow> for Targets {
    type Result = ();

    fn handle(&mut self, _: StopNow, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_servers_start_spread_over_one_interval_at_most() {
        let interval = Duration::from_secs(16);
        for count in [1, 100, 10_000] {
            let step = STAGGER.min(interval / count as u32);
            for place in [0, count / 2, count - 1] {
                let begin = stagger(place, count, interval);
                let (from, to) = (step.mul_f64(place as f64), step.mul_f64((place + 1) as f64));
                assert!(from <= begin && begin <= to && to <= interval, "{place} of {count}: {begin:?}");
            }
        }
    }
}
