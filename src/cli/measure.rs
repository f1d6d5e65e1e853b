//! One-shot measurement of several servers side by side, as `query` and `check` need it. Polite by default: servers
//! are asked one after the other in quick succession, and one address again only after two seconds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::args::MeasureArgs;
use super::measured::Measured;
use crate::config::Server;
use crate::probe::resolve::Resolve;
use crate::probe::{ProbeEngine, ProbeReport, Query};
use ntp_monitor_core::sample::Outcome;

/// One address is asked again after this long at the earliest, unless it is this host (servers rate-limit below 2 s).
const POLITE_INTERVAL: Duration = Duration::from_secs(2);
/// Replies of several servers must not arrive at once: they would queue behind each other and be stamped late.
const STAGGER: Duration = Duration::from_millis(5);
/// An engine gets this long beyond its time-out before it is taken for hung.
const GRACE: Duration = Duration::from_secs(1);

/// What a measurement is made with.
#[derive(Clone)]
pub struct Tools {
    pub engine: Arc<dyn ProbeEngine>,
    pub resolver: Arc<dyn Resolve>,
}

/// Measures every server of `args`, all at the same time, and returns the results in the order of the arguments.
/// `progress` is told how many are done, of how many.
pub async fn measure(args: &MeasureArgs, tools: &Tools, mut progress: impl FnMut(usize, usize)) -> Vec<Measured> {
    let jobs = find(args, tools).await;
    let total = jobs.len();
    let mut results: Vec<Measured> = Vec::with_capacity(total);
    let mut running = JoinSet::new();
    let mut turns: HashMap<SocketAddr, Turn> = HashMap::new();
    for (nth, (name, found)) in jobs.iter().enumerate() {
        // Until its task ends, and if it panics, this is the result.
        let fault = Outcome::Fault("the engine panicked".into());
        results.push(Measured::new(
            name,
            found.as_ref().ok().copied(),
            ProbeReport::failed(crate::clock::now(), fault),
        ));
        match found {
            Ok(address) => {
                let sharing = jobs.iter().filter(|(_, other)| other.as_ref() == Ok(address)).count();
                let turn = turns.entry(*address).or_insert(Turn { first_job: nth, turn: 0 });
                let pace = Pace::of(args, *address, sharing, *turn);
                turn.turn += 1;
                let job = ask(name.clone(), *address, pace, args.timeout, Arc::clone(&tools.engine));
                running.spawn(async move { (nth, job.await) });
            }
            Err(why) => results[nth] = Measured::new(name, None, ProbeReport::failed(crate::clock::now(), why.clone())),
        }
    }
    progress(total - running.len(), total);
    while let Some(ended) = running.join_next().await {
        if let Ok((nth, measured)) = ended {
            results[nth] = measured;
        }
        progress(total - running.len(), total);
    }
    results
}

/// Resolves every name at once: one job an address, in the order of the arguments.
async fn find(args: &MeasureArgs, tools: &Tools) -> Vec<(String, Result<SocketAddr, Outcome>)> {
    let lookups = args.hosts.iter().map(|target| tools.resolver.resolve(&target.host, args.family()));
    let answers = join_all(lookups).await;
    let mut jobs = Vec::new();
    for (target, answer) in args.hosts.iter().zip(answers) {
        match answer {
            Ok(resolution) => {
                let wanted = if args.all { resolution.addresses.len() } else { 1 };
                let port = target.port.unwrap_or(args.port);
                let addresses = resolution.addresses.into_iter().take(wanted);
                jobs.extend(addresses.map(|address| (target.name.clone(), Ok(address.at(port)))));
            }
            Err(why) => jobs.push((target.name.clone(), Err(Outcome::Dns(why.to_string().into())))),
        }
    }
    jobs
}

/// Which of the jobs that ask one address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    /// The first of these jobs, among all.
    first_job: usize,
    /// How many of them come before this one.
    turn: u32,
}

/// When the requests of one job leave: only at `start` plus a multiple of `interval`, so that jobs that share an
/// address never come close to each other, however long replies take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    start: Duration,
    interval: Duration,
    count: u16,
}

impl Pace {
    /// `sharing` jobs ask this address: together they are no faster than one.
    fn of(args: &MeasureArgs, address: SocketAddr, sharing: usize, turn: Turn) -> Self {
        let floor = if address.ip().is_loopback() { Server::OWN_FLOOR } else { POLITE_INTERVAL };
        let step = args.interval.unwrap_or(floor).max(floor);
        let times = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            start: STAGGER.saturating_mul(times(turn.first_job)) + step.saturating_mul(turn.turn),
            interval: step.saturating_mul(times(sharing)),
            count: args.count.get(),
        }
    }

    /// How long after the first request the next one leaves, when `elapsed` has passed since.
    fn next(&self, elapsed: Duration) -> Duration {
        let slots_over = elapsed.as_nanos() / self.interval.as_nanos().max(1);
        self.interval.saturating_mul(u32::try_from(slots_over + 1).unwrap_or(u32::MAX))
    }
}

async fn ask(
    name: String,
    address: SocketAddr,
    pace: Pace,
    timeout: Duration,
    engine: Arc<dyn ProbeEngine>,
) -> Measured {
    let query = Query { address, timeout };
    tokio::time::sleep(pace.start).await;
    let first = Instant::now();
    let mut measured = Measured::new(&name, Some(address), single(&*engine, query).await);
    for _ in 1..pace.count {
        // A kiss-o'-death is to be heeded, and where nothing listens nothing will answer a moment later.
        if measured.reports().last().is_some_and(|last| matches!(last.outcome, Outcome::Kiss(_) | Outcome::Refused)) {
            break;
        }
        tokio::time::sleep_until(first + pace.next(first.elapsed())).await;
        measured.push(single(&*engine, query).await);
    }
    measured
}

async fn single(engine: &dyn ProbeEngine, query: Query) -> ProbeReport {
    let hung =
        || ProbeReport::failed(crate::clock::now(), Outcome::Fault("the engine did not end by its deadline".into()));
    tokio::time::timeout(query.timeout + GRACE, engine.probe(query)).await.unwrap_or_else(|_| hung())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MeasureArgs,
    }

    fn args(line: &str) -> MeasureArgs {
        Line::parse_from(std::iter::once("x").chain(line.split_whitespace())).args
    }

    #[test]
    fn nobody_elses_server_is_asked_again_within_two_seconds_whatever_was_ordered() {
        let remote = "192.0.2.1:123".parse().unwrap();
        let alone = Turn { first_job: 0, turn: 0 };
        let pace = Pace::of(&args("a -n 3 -i 10ms"), remote, 1, alone);
        assert_eq!(pace, Pace { start: Duration::ZERO, interval: POLITE_INTERVAL, count: 3 });
        let second_name = Pace::of(&args("a -n 3"), remote, 2, Turn { first_job: 4, turn: 1 });
        assert_eq!(second_name.start, 4 * STAGGER + POLITE_INTERVAL);
        assert_eq!(second_name.interval, 2 * POLITE_INTERVAL);
        let own = Pace::of(&args("a -n 3 -i 10ms"), "127.0.0.1:123".parse().unwrap(), 1, alone);
        assert_eq!(own.interval, Server::OWN_FLOOR);
    }

    #[test]
    fn a_slow_reply_moves_the_next_request_to_a_later_slot_and_never_between_two() {
        let pace = Pace { start: Duration::ZERO, interval: Duration::from_secs(4), count: 9 };
        for (elapsed_ms, next_s) in [(0, 4), (3_999, 4), (4_000, 8), (4_001, 8), (9_000, 12)] {
            assert_eq!(pace.next(Duration::from_millis(elapsed_ms)), Duration::from_secs(next_s), "{elapsed_ms}");
        }
    }
}
