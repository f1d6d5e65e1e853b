//! Turns configured servers into probers: resolves names, and starts and stops one prober per address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use slog::{Logger, info, warn};

use super::ledger::Ledger;
use super::notice::DeathNotice;
use super::outlet::Outlet;
use super::prober::{Assignment, Prober};
use super::supervisor::Supervisor;
use crate::actors::adoption::{Adopt, Release};
use crate::config::{Host, Server};
use crate::messages::lifecycle::StopNow;
use crate::messages::targets::SetServers;
use crate::probe::Engines;
use crate::probe::poll::GRACE;
use crate::probe::resolve::{Resolution, Resolve, ResolveError, retry_after};
use crate::probe::rotation::{Change, Rotation};
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::health::child::Role;
use ntp_monitor_core::sample::{Outcome, Sample, SeriesKey};

/// New probers start this far apart, so that a long list does not cause a burst; closer together when the list would
/// otherwise take longer than one poll interval.
const STAGGER: Duration = Duration::from_millis(10);
/// A series is forgotten this long after the last possible poll of a stopped prober: its last sample may still be in a
/// queue, and a server that was only changed returns at once.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// The dependencies of the actor.
#[derive(Clone)]
pub struct Tools {
    pub supervisor: Addr<Supervisor>,
    pub resolver: Arc<dyn Resolve>,
    pub engines: Engines,
    pub outlet: Outlet,
    pub clock: Arc<dyn Clock>,
    /// The state that outlives the actor.
    pub ledger: Ledger,
    pub log: Logger,
}

/// The actor that starts and stops the probers.
pub struct Targets {
    tools: Tools,
    entries: HashMap<Arc<str>, Entry>,
    taken: HashMap<SocketAddr, Arc<str>>,
    next_entry: u64,
    _notice: DeathNotice,
}

struct Entry {
    /// Identifies the configuration; a resolution started for an earlier configuration of the same name is ignored.
    id: u64,
    server: Arc<Server>,
    rotation: Rotation,
    failures: u32,
}

impl Targets {
    /// An actor that starts with the servers in the ledger, if there are any.
    #[must_use]
    pub fn new(tools: Tools, notice: DeathNotice) -> Self {
        Self { tools, entries: HashMap::new(), taken: HashMap::new(), next_entry: 0, _notice: notice }
    }

    /// Changes the servers. A server whose configuration did not change is not touched.
    fn set_servers(&mut self, servers: Vec<Arc<Server>>, ctx: &mut Context<Self>) {
        let wanted: HashMap<Arc<str>, Arc<Server>> =
            servers.iter().map(|server| (Arc::clone(&server.ident.name), Arc::clone(server))).collect();
        let kept = |entry: &Entry| wanted.get(&entry.server.ident.name).is_some_and(|new| **new == *entry.server);
        let dropped: Vec<Arc<str>> =
            self.entries.iter().filter(|(_, entry)| !kept(entry)).map(|(name, _)| Arc::clone(name)).collect();
        for name in dropped {
            self.drop_entry(&name, ctx);
        }
        let new: Vec<Arc<Server>> =
            servers.iter().filter(|server| !self.entries.contains_key(&server.ident.name)).cloned().collect();
        info!(self.tools.log, "polling servers"; "servers" => servers.len(), "new" => new.len());
        self.tools.ledger.with(|state| state.servers = servers);
        self.retry_idle_servers(ctx);
        let count = new.len();
        for (place, server) in new.into_iter().enumerate() {
            let stagger = stagger(place, count, server.poll_interval);
            self.add_entry(server, stagger, ctx);
        }
    }

    fn add_entry(&mut self, server: Arc<Server>, stagger: Duration, ctx: &mut Context<Self>) {
        let name = Arc::clone(&server.ident.name);
        let host = server.host.clone();
        let port = server.port;
        self.next_entry += 1;
        let id = self.next_entry;
        self.entries.insert(Arc::clone(&name), Entry { id, server, rotation: Rotation::default(), failures: 0 });
        match host {
            Host::Address(ip) => self.on_addresses(&name, &[SocketAddr::new(ip, port)], stagger, ctx),
            Host::Name(_) => {
                ctx.run_later(stagger, move |this, ctx| this.resolve(&name, id, ctx));
            }
        }
    }

    fn drop_entry(&mut self, name: &Arc<str>, ctx: &mut Context<Self>) {
        if let Some(entry) = self.entries.remove(name) {
            for address in entry.rotation.addresses() {
                self.stop_prober(&entry.server, address, ctx);
            }
            forget_later(&entry.server, None, ctx);
        }
    }

    fn resolve(&mut self, name: &Arc<str>, id: u64, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get(name).filter(|entry| entry.id == id) else { return };
        let Host::Name(host) = &entry.server.host else { return };
        let answer = self.tools.resolver.resolve(host, entry.server.family);
        let name = Arc::clone(name);
        ctx.spawn(answer.into_actor(self).map(move |answer, this, ctx| this.on_resolved(&name, id, answer, ctx)));
    }

    fn on_resolved(
        &mut self,
        name: &Arc<str>,
        id: u64,
        answer: Result<Resolution, ResolveError>,
        ctx: &mut Context<Self>,
    ) {
        let Some(entry) = self.entries.get_mut(name).filter(|entry| entry.id == id) else { return };
        let again = match answer {
            Ok(resolution) => {
                entry.failures = 0;
                let port = entry.server.port;
                let addresses: Vec<_> = resolution.addresses.iter().map(|address| address.at(port)).collect();
                self.on_addresses(name, &addresses, Duration::ZERO, ctx);
                resolution.expires
            }
            Err(why) => {
                entry.failures += 1;
                let pause = retry_after(entry.failures);
                self.on_resolve_failure(name, &why, pause);
                pause
            }
        };
        let name = Arc::clone(name);
        ctx.run_later(again, move |this, ctx| this.resolve(&name, id, ctx));
    }

    fn on_addresses(&mut self, name: &Arc<str>, addresses: &[SocketAddr], stagger: Duration, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let now = self.tools.clock.now().mono_ns;
        let taken = &self.taken;
        let change = entry.rotation.resolved(entry.server.addresses, addresses, now, |a| taken.contains_key(a));
        if entry.rotation.is_empty() {
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
        let frees = !change.stop.is_empty();
        for address in change.stop {
            self.stop_prober(server, address, ctx);
        }
        for address in change.start {
            self.taken.insert(address, Arc::clone(&server.ident.name));
            self.start_prober(server, address, first);
        }
        if frees {
            self.retry_idle_servers(ctx);
        }
    }

    /// Publishes the failure as the outcome if no address is known; otherwise polling continues with the known address.
    fn on_resolve_failure(&mut self, name: &Arc<str>, why: &ResolveError, pause: Duration) {
        let polled = self.entries.get(name).is_some_and(|entry| !entry.rotation.is_empty());
        if polled {
            info!(self.tools.log, "name does not resolve, continuing with the known address";
                "server" => %name, "reason" => %why);
        } else {
            self.publish(name, Outcome::Dns(why.to_string().into()), pause);
        }
    }

    fn publish(&self, name: &Arc<str>, outcome: Outcome, poll: Duration) {
        let Some(entry) = self.entries.get(name) else { return };
        let at = self.tools.clock.now();
        let ident = Arc::clone(&entry.server.ident);
        self.tools.outlet.publish(Sample::unasked(at, ident, outcome, poll.as_secs_f64()));
    }

    fn start_prober(&self, server: &Arc<Server>, address: SocketAddr, first: i64) {
        let assignment = Assignment {
            server: Arc::clone(server),
            address,
            pacing: self.tools.ledger.pacing(server, address, first, &*self.tools.clock),
            engine: self.tools.engines.choose(server.engine),
            outlet: self.tools.outlet.clone(),
            clock: Arc::clone(&self.tools.clock),
        };
        self.tools.supervisor.do_send(Adopt {
            name: child_name(&server.ident.name, address),
            role: Role::Prober,
            factory: Box::new(move |notice| {
                let prober = Prober::new(assignment.clone(), notice).start();
                Box::new(move || prober.do_send(StopNow))
            }),
        });
    }

    fn stop_prober(&mut self, server: &Server, address: SocketAddr, ctx: &mut Context<Self>) {
        self.taken.remove(&address);
        self.tools.supervisor.do_send(Release { name: child_name(&server.ident.name, address) });
        forget_later(server, Some(address), ctx);
    }

    /// Starts servers that are configured by address and were not polled because another server held that address.
    fn retry_idle_servers(&mut self, ctx: &mut Context<Self>) {
        let idle = self.entries.values().filter(|entry| entry.rotation.is_empty());
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
            self.on_addresses(&name, &[address], Duration::ZERO, ctx);
        }
    }
}

/// The delay before the server at `place` of `count` new ones starts.
fn stagger(place: usize, count: usize, interval: Duration) -> Duration {
    STAGGER.min(interval.div_f64(count as f64)).mul_f64(place as f64 + rand::random::<f64>())
}

fn forget_later(server: &Server, address: Option<SocketAddr>, ctx: &mut Context<Targets>) {
    let key = SeriesKey::here(&server.ident.name, address);
    ctx.run_later(server.timeout + GRACE + FORGET_AFTER, move |this, _| {
        let back = match key.address {
            Some(address) => this.taken.get(&address) == Some(&key.server),
            None => this.entries.contains_key(&key.server),
        };
        if !back {
            this.tools.outlet.forget(&key);
        }
    });
}

fn child_name(server: &str, address: SocketAddr) -> Arc<str> {
    format!("prober/{server}/{address}").into()
}

impl Actor for Targets {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
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
