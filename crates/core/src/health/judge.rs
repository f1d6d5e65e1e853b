//! Derives the health status (`ok`, `degraded` or `failing`) and its reasons. docs/HEALTH.md documents the rules.

use std::sync::Arc;
use std::time::Duration;

use super::log::FAILURES;
use super::report::{Health, Reason, ServerHealth, SinkHealth, Status};
use super::{alerting, notifiers, reports};
use crate::clock::Stamp;
use crate::sample::Outcome;
use crate::text::units::span;

/// If the store has failed for longer than this, in seconds, the service is failing, because history is being lost.
const STORE_LAG_S: f64 = 60.0;
/// If polling is overdue by longer than this, in seconds, it counts as stopped. The longest poll takes half of this
/// time.
const POLLS_OVERDUE_S: f64 = 120.0;
/// Reports are renewed at least every ten seconds; one that is older than this, in seconds, means that the service hangs.
const REPORT_AGE_S: f64 = 60.0;
/// A working output that is further behind than this, in seconds, degrades the health.
const SINK_LAG_S: f64 = 120.0;

/// The health before the first poll.
#[must_use]
pub fn at_start() -> Health {
    let mut health = Health::default();
    judge(&mut health);
    health
}

/// Sets `status` and `reasons` from the other fields of `health`.
pub fn judge(health: &mut Health) {
    let mut reasons: Vec<Reason> = Vec::new();
    servers(health, &mut reasons);
    if health.polls_overdue_s > POLLS_OVERDUE_S {
        let reason = format!("nothing is polled: the next poll is {:.0} s overdue", health.polls_overdue_s);
        push(&mut reasons, Status::Failing, "monitor", "polls", reason);
    }
    health.sinks.iter().for_each(|(name, sink)| sink_reasons(name, sink, &mut reasons));
    for (name, child) in &health.down {
        let reason = format!("{:?} after {} restarts, {} panics", child.state, child.restarts, child.panics);
        push(&mut reasons, Status::Degraded, "child", name, reason.to_lowercase());
    }
    reasons.extend(alerting::reasons(&health.alerting));
    reasons.extend(notifiers::reasons(&health.notifiers));
    reasons.extend(reports::reasons(&health.reports));
    if health.log_dropped > 0 {
        let reason = format!("{} log records were dropped", health.log_dropped);
        push(&mut reasons, Status::Degraded, "monitor", "log", reason);
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.status));
    health.status = reasons.first().map_or(Status::Ok, |worst| worst.status);
    health.reasons = reasons;
}

/// The health to show at `now`. A report that is no longer renewed says nothing about the current state.
#[must_use]
pub fn current(health: &Arc<Health>, now: Stamp) -> Arc<Health> {
    let age_s = health.at.map_or(0.0, |at| now.since(at).as_secs_f64());
    if age_s <= REPORT_AGE_S {
        return Arc::clone(health);
    }
    let mut stale = Health::clone(health);
    let mut reasons = Vec::new();
    let reason = format!("the service hangs: this report was made {age_s:.0} s ago");
    push(&mut reasons, Status::Failing, "monitor", "health", reason);
    reasons.append(&mut stale.reasons);
    (stale.status, stale.reasons) = (Status::Failing, reasons);
    Arc::new(stale)
}

fn servers(health: &Health, reasons: &mut Vec<Reason>) {
    if let Some(idle) = health.idle {
        if let Some(reason) = idle.reason() {
            push(reasons, Status::Degraded, "monitor", "servers", reason);
        }
        return;
    }
    let failing: Vec<&ServerHealth> = health
        .servers
        .iter()
        .filter(|server| server.consecutive_failures >= FAILURES || server.denial.is_some())
        .collect();
    // If all servers fail, the likeliest cause is the network of this host, so that comes first.
    if !failing.is_empty() && failing.len() == health.servers.len() {
        let reason = format!("none of the {} servers gives samples", failing.len());
        push(reasons, Status::Failing, "monitor", "servers", reason);
    } else if health.servers.iter().all(|server| server.outcomes.of(Outcome::Sample.label()) == 0) {
        // Without this, a service that is restarted over and over would always look healthy.
        push(reasons, Status::Degraded, "monitor", "servers", "no server has given a sample yet".to_owned());
    }
    for server in failing {
        if let Some(denial) = server.denial {
            let wait = span(Duration::from_secs(denial.asked_again_in_s.max(0.0) as u64));
            let reason = format!("refuses to serve this host ({}): asked again in {wait}", denial.code);
            push(reasons, Status::Degraded, "server", &server.server, reason);
            continue;
        }
        let why = if server.reason.is_empty() {
            server.outcome.to_owned()
        } else {
            format!("{} ({})", server.outcome, server.reason)
        };
        let reason = format!("{} polls in a row gave no sample; last outcome: {why}", server.consecutive_failures);
        push(reasons, Status::Degraded, "server", &server.server, reason);
    }
}

fn sink_reasons(name: &str, sink: &SinkHealth, reasons: &mut Vec<Reason>) {
    let why = sink.last_error.as_deref().unwrap_or("no reason known");
    if sink.failing {
        let status = if name == "store" && sink.lag_s > STORE_LAG_S { Status::Failing } else { Status::Degraded };
        push(reasons, status, "sink", name, format!("cannot be written: {why}"));
    } else if sink.lag_s > SINK_LAG_S {
        push(reasons, Status::Degraded, "sink", name, format!("is {:.0} s behind", sink.lag_s));
    }
    if let Some(incident) = &sink.incident {
        push(reasons, Status::Degraded, "sink", name, incident.clone());
    }
    if sink.dropped > 0 {
        push(reasons, Status::Degraded, "sink", name, format!("{} entries were lost for it since start", sink.dropped));
    }
}

fn push(reasons: &mut Vec<Reason>, status: Status, about: &'static str, name: &str, reason: String) {
    reasons.push(Reason { status, about, name: name.to_owned(), reason });
}

#[cfg(test)]
mod tests {
    use super::super::availability::Rates;
    use super::super::child::ChildState;
    use super::super::report::{ChildHealth, Denial, Idle, OutcomeCounts};
    use super::*;

    fn server(name: String, failures: u64) -> ServerHealth {
        ServerHealth {
            server: name.into(),
            address: None,
            outcome: if failures > 0 { "timeout" } else { "sample" },
            reason: String::new(),
            consecutive_failures: failures,
            reach: "377".into(),
            success: Rates::default(),
            up_for_s: None,
            last_poll_ago_s: 1.0,
            last_sample_ago_s: None,
            poll_s: 64.0,
            denial: None,
            outcomes: counted(&Outcome::Sample),
            rejected_replies: 0,
        }
    }

    fn counted(outcome: &Outcome) -> OutcomeCounts {
        let mut counts = OutcomeCounts::default();
        counts.count(outcome);
        counts
    }

    fn with(servers: &[u64], sinks: Vec<(&str, SinkHealth)>) -> Health {
        let mut health = Health {
            servers: servers.iter().enumerate().map(|(n, failures)| server(format!("s{n}"), *failures)).collect(),
            sinks: sinks.into_iter().map(|(name, sink)| (name.to_owned(), sink)).collect(),
            ..Health::default()
        };
        judge(&mut health);
        health
    }

    #[test]
    fn health_is_ok_without_problems() {
        let health = with(&[0, 2], vec![("store", SinkHealth::default())]);
        assert_eq!((health.status, health.reasons.len()), (Status::Ok, 0));
    }

    #[test]
    fn one_failing_server_degrades_and_all_failing_is_failing() {
        let one = with(&[0, 3], vec![]);
        assert_eq!((one.status, one.reasons[0].name.as_str()), (Status::Degraded, "s1"));
        let all = with(&[5, 3], vec![]);
        assert_eq!((all.status, all.reasons[0].about), (Status::Failing, "monitor"));
    }

    #[test]
    fn server_that_refuses_to_serve_degrades_the_health_at_once() {
        let mut health = with(&[0, 1], vec![]);
        health.servers[1].denial = Some(Denial { code: "DENY", asked_again_in_s: 3480.0, ago_s: 120.0 });
        judge(&mut health);
        assert_eq!((health.status, health.reasons[0].name.as_str()), (Status::Degraded, "s1"));
        assert_eq!(health.reasons[0].reason, "refuses to serve this host (DENY): asked again in 58 min");
    }

    #[test]
    fn health_is_degraded_before_the_first_sample() {
        for servers in [&[][..], &[0], &[1, 2]] {
            let mut health = with(servers, vec![]);
            health.servers.iter_mut().for_each(|server| server.outcomes = counted(&Outcome::Timeout));
            judge(&mut health);
            assert_eq!((health.status, health.reasons.len()), (Status::Degraded, 1));
            assert_eq!(health.reasons[0].reason, "no server has given a sample yet");
        }
    }

    #[test]
    fn nothing_to_poll_is_degraded_except_at_a_hub() {
        for (idle, reason) in [
            (Idle::NoServer, Some("no server is configured: add one on the page or to the configuration")),
            (Idle::AllPaused { servers: 1 }, Some("nothing is polled: the only server is paused")),
            (Idle::AllPaused { servers: 3 }, Some("nothing is polled: all 3 servers are paused")),
            (Idle::Hub, None),
        ] {
            let mut health = Health { idle: Some(idle), ..Health::default() };
            judge(&mut health);
            let reasons: Vec<&str> = health.reasons.iter().map(|reason| reason.reason.as_str()).collect();
            assert_eq!(reasons, reason.into_iter().collect::<Vec<_>>(), "{idle:?}");
        }
    }

    #[test]
    fn polling_that_has_stopped_is_failing() {
        for (overdue_s, status) in [(0.0, Status::Ok), (119.0, Status::Ok), (121.0, Status::Failing)] {
            let mut health = Health { polls_overdue_s: overdue_s, ..with(&[0], vec![]) };
            judge(&mut health);
            assert_eq!(health.status, status, "{overdue_s}");
        }
        let mut health = Health { polls_overdue_s: 600.0, ..with(&[0], vec![]) };
        judge(&mut health);
        assert_eq!((health.reasons[0].about, health.reasons[0].name.as_str()), ("monitor", "polls"));
    }

    #[test]
    fn report_that_is_not_renewed_is_failing() {
        let second = 1_000_000_000;
        let made = |at| Arc::new(Health { at, ..with(&[0], vec![]) });
        let shown = |at, now_s: i64| current(&made(at), Stamp::new(0, now_s * second, 0)).status;
        assert_eq!(shown(None, 1000), Status::Ok, "no report yet");
        assert_eq!(shown(Some(Stamp::default()), 60), Status::Ok);
        assert_eq!(shown(Some(Stamp::default()), 61), Status::Failing);
    }

    #[test]
    fn failing_store_is_failing_and_other_sinks_degrade() {
        let bad =
            SinkHealth { failing: true, lag_s: 61.0, last_error: Some("disk full".into()), ..SinkHealth::default() };
        assert_eq!(with(&[0], vec![("store", bad.clone())]).status, Status::Failing);
        let influx = with(&[0], vec![("influxdb", bad)]);
        assert_eq!(influx.status, Status::Degraded);
        assert!(influx.reasons[0].reason.contains("disk full"));
    }

    #[test]
    fn incident_with_the_files_of_an_output_degrades() {
        let removed = SinkHealth { incident: Some("a.csv was removed".into()), ..SinkHealth::default() };
        let health = with(&[0], vec![("csv", removed)]);
        assert_eq!((health.status, health.reasons[0].reason.as_str()), (Status::Degraded, "a.csv was removed"));
    }

    #[test]
    fn losses_and_crashed_children_degrade_the_health() {
        let lost = SinkHealth { dropped: 7, ..SinkHealth::default() };
        assert!(with(&[0], vec![("csv", lost)]).reasons[0].reason.contains('7'));
        let mut health = with(&[0], vec![]);
        health.down.insert("prober/a".into(), ChildHealth { state: ChildState::Crashed, restarts: 4, panics: 4 });
        judge(&mut health);
        assert_eq!(health.status, Status::Degraded);
        assert!(health.reasons[0].reason.contains("crashed after 4 restarts"));
    }
}
