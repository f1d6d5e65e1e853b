//! Liveness of the essential parts: supervisor, scheduler, writers, web server. The service manager is notified that the
//! service lives only while all of them answer.

use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler};

use super::Service;
use crate::actors::census::Census;
use crate::messages::lifecycle::Ping;
use ntp_monitor_core::health::child::ChildState;

/// Requests delay the answer of the web server by the time that they take. Even a flood of them takes less than this,
/// so only a stuck thread causes a restart, and no client can.
const FLOODED_AT_MOST: Duration = Duration::from_secs(300);

/// A part, and how long it has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) silent_for: Duration,
}

/// The parts that have not answered for longer than `patience`.
pub(super) fn silent(parts: &[Part], patience: Duration) -> Vec<&str> {
    parts.iter().filter(|part| part.silent_for > patience).map(|part| part.name.as_str()).collect()
}

impl Service {
    /// Asks every part, and waits for each answer no longer than `patience`.
    pub(super) async fn parts(&self, patience: Duration) -> Vec<Part> {
        let mut parts = vec![ask("supervisor", &self.supervisor, patience).await];
        if let Some(targets) = self.targets.get().filter(|_| runs(&self.census, super::children::TARGETS)) {
            parts.push(ask("scheduler", &targets, patience).await);
        }
        let now = crate::clock::now();
        if let Some(stopped_ns) = self.ledger.stopped_ns(now) {
            parts.push(Part { name: "polls".to_owned(), silent_for: nanos(stopped_ns) });
        }
        if let Some(silent_for) = self.pulse.silent_for(now).filter(|silent_for| *silent_for > FLOODED_AT_MOST) {
            parts.push(Part { name: "web server".to_owned(), silent_for });
        }
        let running = self.outputs.writers().into_iter().filter(|(child, _)| runs(&self.census, child));
        // A thread that was just started has not run its loop yet; its supervisor watches it.
        let turned = running.filter(|(_, gauge)| gauge.turn_mono_ns > 0);
        parts.extend(turned.map(|(child, gauge)| Part {
            name: child,
            silent_for: nanos(now.mono_ns.saturating_sub(gauge.turn_mono_ns)),
        }));
        parts
    }
}

/// The supervisor restarts a child that is down; only a child that is supposed to run can be stuck.
fn runs(census: &Census, child: &str) -> bool {
    census.get(child).is_some_and(|child| child.state == ChildState::Running)
}

async fn ask<A>(name: &str, actor: &Addr<A>, patience: Duration) -> Part
where
    A: Actor + Handler<Ping>,
    A::Context: ToEnvelope<A, Ping>,
{
    let asked = crate::clock::now();
    // A dead actor also fails to answer; it cannot be distinguished from a slow one.
    let answered = matches!(tokio::time::timeout(patience, actor.send(Ping)).await, Ok(Ok(())));
    let silent_for = if answered { crate::clock::now().since(asked) } else { Duration::MAX };
    Part { name: name.to_owned(), silent_for }
}

fn nanos(ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_silent_for_too_long_are_named() {
        let part =
            |name: &str, silent_for_s| Part { name: name.to_owned(), silent_for: Duration::from_secs(silent_for_s) };
        let parts = [part("supervisor", 0), part("scheduler", 30), part("sink/store", 31)];
        assert_eq!(silent(&parts, Duration::from_secs(30)), ["sink/store"]);
        assert_eq!(silent(&parts, Duration::from_secs(60)), Vec::<&str>::new());
    }
}
