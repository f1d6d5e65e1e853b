//! Compares the events of a simulated world, and the errors of servers that are stated as proven, with its truth.

use ntp_monitor_core::stats::events::{Event, EventKind};
use ntp_monitor_core::stats::verdict::{Entry, Kind, State, Verdict};
use ntp_monitor_core::world::Fault;

use super::kinds::{Case, Party};
use super::score::{name, poll_of};

/// The noise of a server's clock that a stated error may include, in seconds.
const NOISE_S: f64 = 5e-4;

/// A proven error of a server that is larger than its true error was at any time in the last two of its intervals.
pub fn false_gap(case: &Case, verdict: &Verdict, t_s: f64) -> Option<String> {
    let (world, is_clocks) = (&case.world, matches!(verdict.state, State::LocalWrong | State::ServerWrong));
    let is_known = |fault: &Fault| !matches!(fault, Fault::Intermittent { .. } | Fault::ServerWander { .. });
    if !is_clocks || !world.faults.iter().all(is_known) {
        return None;
    }
    verdict.blamed().filter(|it| it.proven && it.kind != Some(Kind::Unreachable)).find_map(|it| {
        let which = (0..world.servers.len()).find(|i| name(Party::Server(*i)) == *it.server)?;
        let (gap_s, back_s) = (it.gap_s?, 2.0 * poll_of(case, Party::Server(which)));
        let at = |k: u32| world.server_fault_s(which, t_s - back_s * f64::from(k) / 16.0).abs();
        let most_s = (0..=16).map(at).fold(0.0, f64::max) + world.servers[which].error_s.abs();
        let most_s = most_s + NOISE_S + 4.0 * world.servers[which].noise_s;
        (gap_s > most_s).then(|| format!("{} is stated to be off by {gap_s:.4} s, at most {most_s:.4} s", it.server))
    })
}

/// Whether an event says that a clock is wrong.
fn is_of_clock(event: &Event) -> bool {
    matches!(event.kind, EventKind::ServerStep | EventKind::ServerDrift | EventKind::ClockStep | EventKind::ClockDrift)
}

/// Whether the raw clock shows that this host's clock was set some polls after a fault began: that corrects the fault.
fn is_set_later(event: &Event, since_ns: i64, poll_ns: i64) -> bool {
    event.sentence.contains("as its raw clock shows") && event.start.0 > since_ns.saturating_add(8 * poll_ns)
}

/// Pairs of events of one clock that overlap, and steps of this host's clock that did not happen.
pub fn bad_events(case: &Case, events: &[Event]) -> Vec<String> {
    let of_clocks: Vec<&Event> = events.iter().filter(|event| is_of_clock(event)).collect();
    let mut bad = Vec::new();
    for (i, event) in of_clocks.iter().enumerate() {
        let overlaps = |other: &&&Event| {
            // A repair is an event too, and may be dated up to a poll before the end of the fault.
            let poll_ns = (1e9 * poll_of(case, Party::Own)) as i64;
            let is_corrected =
                is_set_later(other, event.start.0, poll_ns) || is_set_later(event, other.start.0, poll_ns);
            let ends_after = |a: &Event, b: &Event| a.end.is_none_or(|end| end.0 > b.start.0 + poll_ns);
            !is_corrected && other.server == event.server && ends_after(event, other) && ends_after(other, event)
        };
        bad.extend(of_clocks[i + 1..].iter().find(overlaps).map(|other| format!("{} / {}", text(event), text(other))));
    }
    for guilt in case.guilt.iter().filter(|it| it.required) {
        let is_own = |event: &&&Event| match event.server.as_deref() {
            None => guilt.party == Party::Own,
            Some(server) => server == name(guilt.party),
        };
        let start_s = |ns: i64| (ns - case.world.start_unix_s * 1_000_000_000) as f64 / 1e9;
        let poll_s = poll_of(case, guilt.party);
        let within = guilt.from_s - 8.0 * poll_s..guilt.until_s - 2.0 * poll_s;
        let of_guilt = of_clocks.iter().filter(is_own).filter(|event| within.contains(&start_s(event.start.0)));
        let (poll_ns, from_ns) =
            ((1e9 * poll_s) as i64, case.world.start_unix_s * 1_000_000_000 + (guilt.from_s * 1e9) as i64);
        let of_guilt = of_guilt.filter(|event| !is_set_later(event, from_ns, poll_ns));
        let told: Vec<String> = of_guilt.map(|event| text(event)).collect();
        bad.extend((told.len() > 1).then(|| format!("one fault, {} events: {}", told.len(), told.join(" // "))));
    }
    let is_moved = |fault: &Fault| {
        matches!(fault, Fault::LocalStep { .. } | Fault::LocalSettling { .. } | Fault::LocalSlew { .. })
    };
    if !case.world.faults.iter().any(is_moved) && case.guilt.iter().all(|it| it.party != Party::Own) {
        let is_own = |event: &&&Event| event.server.is_none();
        bad.extend(of_clocks.iter().filter(is_own).map(|event| format!("false: {}", text(event))));
    }
    bad
}

fn text(event: &Event) -> String {
    let second = |ns: i64| format!("{}", ns.div_euclid(1_000_000_000));
    let end = event.end.map_or_else(|| "…".into(), |end| second(end.0));
    format!(
        "{} {} {}–{end} {}: {}",
        event.server.as_deref().unwrap_or("own"),
        event.kind.label(),
        second(event.start.0),
        event.detail,
        event.sentence
    )
}

/// The history and the events, one a line.
pub fn lines<'a>(entries: impl Iterator<Item = &'a Entry>, events: &[Event]) -> Vec<String> {
    let second = |ns: i64| ns.div_euclid(1_000_000_000);
    let entry = |it: &Entry| format!("history {} {}: {}", second(it.since.0), it.state.label(), it.sentence);
    entries.map(entry).chain(events.iter().map(|event| format!("event {}", text(event)))).collect()
}
