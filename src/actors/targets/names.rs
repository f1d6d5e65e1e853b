//! The names of servers: resolves each again when its answer expires, and selects another address when one fails.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use slog::info;

use super::{Targets, stagger};
use crate::config::{Host, Server};
use crate::probe::resolve::{Resolution, ResolveError, retry_after};
use crate::probe::rotation::Change;
use ntp_monitor_core::sample::{Outcome, Sample, SeriesKey};

impl Targets {
    /// Resolves every name again, spread like the first polls.
    pub(super) fn resolve_all(&mut self, ctx: &mut Context<Self>) {
        let servers = self.entries.values().map(|entry| &entry.server);
        let named: Vec<Arc<Server>> =
            servers.filter(|server| matches!(server.host, Host::Name(_))).map(Arc::clone).collect();
        for (place, server) in named.iter().enumerate() {
            self.resolve_after(stagger(place, named.len(), server.poll_interval), &server.ident.name, ctx);
        }
    }

    /// Replaces the resolution that is in progress or planned.
    pub(super) fn resolve_after(&mut self, pause: Duration, name: &Arc<str>, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let (name, id) = (Arc::clone(name), entry.id);
        let timer = ctx.run_later(pause, move |this, ctx| this.resolve(&name, id, ctx));
        if let Some(before) = entry.resolution.replace(timer) {
            ctx.cancel_future(before);
        }
    }

    /// Resolves all names again whenever the configuration of the resolver changes.
    pub(super) fn follow_resolver(&mut self, ctx: &mut Context<Self>) {
        let change = self.tools.resolver.changed();
        ctx.spawn(change.into_actor(self).map(|(), this, ctx| {
            info!(this.tools.log, "the resolver's configuration has changed, resolving all names");
            this.resolve_all(ctx);
            this.follow_resolver(ctx);
        }));
    }

    fn resolve(&mut self, name: &Arc<str>, id: u64, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get(name).filter(|entry| entry.id == id) else { return };
        let Host::Name(host) = &entry.server.host else { return };
        let answer = self.tools.resolver.resolve(host, entry.server.family);
        let asked = Arc::clone(name);
        let answer = answer.into_actor(self).map(move |answer, this, ctx| this.on_resolved(&asked, id, answer, ctx));
        let resolution = ctx.spawn(answer);
        if let Some(entry) = self.entries.get_mut(name) {
            entry.resolution = Some(resolution);
        }
    }

    fn on_resolved(
        &mut self,
        name: &Arc<str>,
        id: u64,
        answer: Result<Resolution, ResolveError>,
        ctx: &mut Context<Self>,
    ) {
        let Some(entry) = self.entries.get_mut(name).filter(|entry| entry.id == id) else { return };
        entry.resolution = None;
        let again = match answer {
            Ok(resolution) => {
                entry.failures = 0;
                let port = entry.server.port;
                let mut addresses: Vec<_> = resolution.addresses.iter().map(|address| address.at(port)).collect();
                // After a restart, the address that was polled before is preferred.
                addresses.sort_by_key(|address| !self.tools.ledger.has_worked(*address));
                self.on_addresses(name, &addresses, resolution.silent, Duration::ZERO, ctx);
                resolution.expires
            }
            Err(why) => {
                entry.failures += 1;
                let pause = retry_after(entry.failures);
                self.on_resolve_failure(name, &why, pause);
                pause
            }
        };
        self.resolve_after(again, name, ctx);
    }

    /// Selects another address when one fails.
    pub(super) fn on_end(&mut self, sample: &Sample, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(&sample.server.name) else { return };
        let (Some(address), Host::Name(_)) = (sample.address, &entry.server.host) else { return };
        let is_answer = !matches!(sample.outcome, Outcome::Timeout | Outcome::Refused | Outcome::Fault(_));
        let now = self.tools.clock.now().mono_ns;
        let taken = &self.taken;
        let (end, rotation) = ((address, is_answer), Arc::make_mut(&mut entry.selection.rotation));
        let change = rotation.ended(entry.server.addresses, end, now, |a| taken.contains_key(a));
        if change != Change::default() {
            info!(self.tools.log, "address does not answer, trying others of the name"; "server" => %sample.server.name,
                "address" => %address, "outcome" => sample.outcome.label());
            let server = Arc::clone(&entry.server);
            self.apply(&server, change, now, ctx);
        }
    }

    /// Publishes the failure as the outcome if no address is known; otherwise polling continues with the known address.
    fn on_resolve_failure(&mut self, name: &Arc<str>, why: &ResolveError, pause: Duration) {
        let polled = self.entries.get(name).is_some_and(|entry| !entry.selection.rotation.is_empty());
        if polled {
            info!(self.tools.log, "name does not resolve, continuing with the known address";
                "server" => %name, "reason" => %why);
        } else {
            self.publish(name, Outcome::Dns(why.to_string().into()), pause);
        }
    }

    pub(super) fn publish(&self, name: &Arc<str>, outcome: Outcome, poll: Duration) {
        let Some(entry) = self.entries.get(name) else { return };
        // This series ends when an address is polled.
        entry.selection.succession.replace(SeriesKey::here(name, None));
        let at = self.tools.clock.now();
        let ident = Arc::clone(&entry.server.ident);
        self.tools.outlet.publish(Sample::unasked(at, ident, outcome, poll.as_secs_f64()));
    }
}
