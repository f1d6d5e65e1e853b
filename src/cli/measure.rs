//! Measures several servers once, for `query` and `check`. Requests to different servers are sent a few milliseconds
//! apart, and requests to the same address at least two seconds apart.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::args::MeasureArgs;
use super::measured::Measured;
use crate::clock::SystemClock;
use crate::config::{Host, Nts, Server};
use crate::probe::resolve::Resolve;
use crate::probe::{NtsTools, ProbeEngine, ProbeReport, ProbeSession, Query};
use ntp_monitor_core::sample::Outcome;

/// Minimum time between two requests to one address, unless it is on this host (many servers rate-limit below 2 s).
const POLITE_INTERVAL: Duration = Duration::from_secs(2);
/// Time between requests to different servers, because replies that arrive together queue and get late timestamps.
const STAGGER: Duration = Duration::from_millis(5);
/// Another address of the same name is asked as well when one has not answered after this time (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Maximum number of addresses of one name that are tried.
const ATTEMPTS: usize = 3;
/// An engine that exceeds its time-out by this much counts as hung.
const GRACE: Duration = Duration::from_secs(1);

/// The engine and the resolver of a measurement.
#[derive(Clone)]
pub struct Tools {
    pub engine: Arc<dyn ProbeEngine>,
    pub resolver: Arc<dyn Resolve>,
}

/// The NTS sessions of a command that measures repeatedly: keys and cookies are used until they run out.
#[derive(Default)]
pub struct Sessions(HashMap<(String, SocketAddr), Arc<ProbeSession>>);

impl Sessions {
    fn of(&mut self, nts: &Nts, job: &Job, address: SocketAddr, tools: &NtsTools) -> Arc<ProbeSession> {
        let new = || Arc::new(ProbeSession::with_nts(nts, &job.host, address, tools));
        Arc::clone(self.0.entry((job.name.clone(), address)).or_insert_with(new))
    }
}

/// Measures every server of `args`, all at the same time, and returns the results in the order of the arguments.
/// `progress` is called with the number done and the total.
pub async fn measure(args: &MeasureArgs, tools: &Tools, progress: impl FnMut(usize, usize)) -> Vec<Measured> {
    measure_again(args, tools, &mut Sessions::default(), progress).await
}

/// As [`measure`], with the sessions of earlier measurements.
pub async fn measure_again(
    args: &MeasureArgs,
    tools: &Tools,
    sessions: &mut Sessions,
    mut progress: impl FnMut(usize, usize),
) -> Vec<Measured> {
    let jobs = find(args, tools).await;
    let total = jobs.len();
    let mut results: Vec<Measured> = Vec::with_capacity(total);
    let mut running = JoinSet::new();
    let mut turns: HashMap<SocketAddr, Turn> = HashMap::new();
    let authentication =
        NtsTools { resolver: Arc::clone(&tools.resolver), trust: Arc::default(), clock: Arc::new(SystemClock) };
    for (nth, job) in jobs.iter().enumerate() {
        let Job { name, found, .. } = job;
        // This is the result until the task ends, and if it panics.
        let fault = Outcome::Fault("the engine panicked".into());
        results.push(Measured::new(
            name,
            found.as_ref().ok().map(|addresses| addresses[0]),
            ProbeReport::failed(crate::clock::now(), fault),
        ));
        match found {
            Ok(addresses) => {
                let address = addresses[0];
                let sharing = jobs.iter().filter(|other| other.address() == Some(address)).count();
                let turn = turns.entry(address).or_insert(Turn { first_job: nth, turn: 0 });
                let pace = Pace::of(args, address, sharing, *turn);
                turn.turn += 1;
                let way = match args.nts() {
                    None => Way::Plain(addresses.clone()),
                    Some(nts) => Way::Nts(sessions.of(&nts, job, address, &authentication)),
                };
                let asking = ask(name.clone(), way, pace, args.timeout, Arc::clone(&tools.engine));
                running.spawn(async move { (nth, asking.await) });
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

/// The requests for one name.
struct Job {
    name: String,
    host: Host,
    /// The address to ask, followed by others of the same name to try if it does not answer.
    found: Result<Vec<SocketAddr>, Outcome>,
}

impl Job {
    fn address(&self) -> Option<SocketAddr> {
        self.found.as_ref().ok().map(|addresses| addresses[0])
    }
}

/// The servers of `args` with the address of each: its first, or each of them with `--all`.
pub(super) async fn addresses(args: &MeasureArgs, tools: &Tools) -> Vec<(String, Host, Result<SocketAddr, Outcome>)> {
    let jobs = find(args, tools).await.into_iter();
    jobs.map(|job| (job.name, job.host, job.found.map(|addresses| addresses[0]))).collect()
}

/// Minimum time between two requests to `address`.
pub(super) fn polite_interval(address: SocketAddr) -> Duration {
    if address.ip().is_loopback() { Server::OWN_FLOOR } else { POLITE_INTERVAL }
}

/// Resolves every name at once: one job for each name, or for each address, in the order of the arguments.
async fn find(args: &MeasureArgs, tools: &Tools) -> Vec<Job> {
    let targets = args.targets();
    let lookups = targets.iter().map(|target| tools.resolver.resolve(&target.host, args.family()));
    let answers = join_all(lookups).await;
    let mut jobs = Vec::new();
    for (target, answer) in targets.into_iter().zip(answers) {
        let (name, host) = (&target.name, target.host());
        match answer {
            Ok(resolution) => {
                let port = target.port.unwrap_or(args.port);
                let addresses: Vec<_> = resolution.addresses.iter().map(|address| address.at(port)).collect();
                let groups: Vec<_> = match args.all {
                    // Keys belong to one address, and a key exchange costs the server more than a request.
                    false if args.nts => vec![vec![addresses[0]]],
                    true => addresses.into_iter().map(|address| vec![address]).collect(),
                    false => vec![alternating(&addresses)],
                };
                let job = |group| Job { name: name.clone(), host: host.clone(), found: Ok(group) };
                jobs.extend(groups.into_iter().map(job));
            }
            Err(why) => {
                let found = Err(Outcome::Dns(why.to_string().into()));
                jobs.push(Job { name: name.clone(), host, found });
            }
        }
    }
    keep_apart(&mut jobs);
    jobs
}

/// The addresses to try, the preferred one first, then one of the other family.
fn alternating(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_family = |address: &&SocketAddr| address.is_ipv4() == addresses[0].is_ipv4();
    let mut same = addresses.iter().filter(is_first_family);
    let mut other = addresses.iter().filter(|address| !is_first_family(address));
    let in_turn = std::iter::from_fn(|| Some([same.next(), other.next()])).take(ATTEMPTS);
    in_turn.flatten().flatten().copied().take(ATTEMPTS).collect()
}

/// Removes fallback addresses that another job asks anyway, so that no host is asked twice at a time.
fn keep_apart(jobs: &mut [Job]) {
    let mut asked: HashSet<SocketAddr> = jobs.iter().filter_map(Job::address).collect();
    for addresses in jobs.iter_mut().filter_map(|job| job.found.as_mut().ok()) {
        let mut is_first = true;
        addresses.retain(|address| std::mem::take(&mut is_first) || asked.insert(*address));
    }
}

/// The position of a job among the jobs that ask one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    /// Index of the first of these jobs.
    first_job: usize,
    /// Number of these jobs before this one.
    turn: u32,
}

/// When the requests of one job are sent: at `start` plus a multiple of `interval`. So jobs that share an address stay
/// apart, even if replies take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    start: Duration,
    interval: Duration,
    count: u16,
}

impl Pace {
    /// `sharing` jobs ask this address; together they send no more often than one job would.
    fn of(args: &MeasureArgs, address: SocketAddr, sharing: usize, turn: Turn) -> Self {
        let floor = polite_interval(address);
        let step = args.interval.unwrap_or(floor).max(floor);
        let times = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            start: STAGGER.saturating_mul(times(turn.first_job)) + step.saturating_mul(turn.turn),
            interval: step.saturating_mul(times(sharing)),
            count: args.count.get(),
        }
    }

    /// Time of the next request, relative to the first one, which was `elapsed` ago.
    fn next(&self, elapsed: Duration) -> Duration {
        let slots_over = elapsed.as_nanos() / self.interval.as_nanos().max(1);
        self.interval.saturating_mul(u32::try_from(slots_over + 1).unwrap_or(u32::MAX))
    }
}

/// How one server is asked.
enum Way {
    /// Without authentication, at the first of these addresses that answers.
    Plain(Vec<SocketAddr>),
    Nts(Arc<ProbeSession>),
}

async fn ask(name: String, way: Way, pace: Pace, timeout: Duration, engine: Arc<dyn ProbeEngine>) -> Measured {
    tokio::time::sleep(pace.start).await;
    let first = Instant::now();
    let (address, report) = match &way {
        Way::Plain(addresses) => first_answer(&*engine, addresses, timeout).await,
        Way::Nts(session) => (session.address(), authenticated(&*engine, session, timeout).await),
    };
    let mut measured = Measured::new(&name, Some(address), report);
    for _ in 1..pace.count {
        // A kiss-o'-death must be obeyed, and a closed port will not answer a moment later.
        if measured.reports().last().is_some_and(|last| matches!(last.outcome, Outcome::Kiss(_) | Outcome::Refused)) {
            break;
        }
        tokio::time::sleep_until(first + pace.next(first.elapsed())).await;
        measured.push(match &way {
            Way::Plain(_) => single(&*engine, Query::plain(address, timeout)).await,
            Way::Nts(session) => authenticated(&*engine, session, timeout).await,
        });
    }
    if let Way::Nts(session) = way {
        measured.nts = session.nts();
    }
    measured
}

/// One request of a session, after a key exchange if one is due.
async fn authenticated(engine: &dyn ProbeEngine, session: &ProbeSession, timeout: Duration) -> ProbeReport {
    session.prepare().await;
    match session.query(timeout) {
        Ok(query) => {
            let mut report = single(engine, query).await;
            session.absorb(&mut report);
            report
        }
        Err(why) => ProbeReport::failed(crate::clock::now(), why),
    }
}

/// Asks the addresses one after the other, a moment apart, until one answers. If none does, returns the result of the
/// first.
async fn first_answer(
    engine: &dyn ProbeEngine,
    addresses: &[SocketAddr],
    timeout: Duration,
) -> (SocketAddr, ProbeReport) {
    let attempt = |(nth, address): (u32, &SocketAddr)| {
        let address = *address;
        async move {
            tokio::time::sleep(ATTEMPT_DELAY * nth).await;
            (address, single(engine, Query::plain(address, timeout)).await)
        }
    };
    let mut attempts: FuturesUnordered<_> = (0..).zip(addresses).map(attempt).collect();
    let mut failed = None;
    while let Some((address, report)) = attempts.next().await {
        if !matches!(report.outcome, Outcome::Timeout | Outcome::Refused | Outcome::Fault(_)) {
            return (address, report);
        }
        if address == addresses[0] || failed.is_none() {
            failed = Some((address, report));
        }
    }
    failed.expect("a name that resolves has an address")
}

pub(super) async fn single(engine: &dyn ProbeEngine, query: Query) -> ProbeReport {
    let hung =
        || ProbeReport::failed(crate::clock::now(), Outcome::Fault("the probe engine missed its deadline".into()));
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
    fn requests_to_remote_servers_are_two_seconds_apart() {
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
    fn families_alternate_and_no_address_is_asked_twice() {
        let at = |text: &str| -> SocketAddr { format!("{text}:123").parse().unwrap() };
        let [a, b, c, six] = [at("192.0.2.1"), at("192.0.2.2"), at("192.0.2.3"), at("[2001:db8::1]")];
        assert_eq!(alternating(&[a, b, c, six]), [a, six, b]);
        assert_eq!(alternating(&[a, b]), [a, b]);
        let job =
            |found: &[SocketAddr]| Job { name: "x".into(), host: Host::Name("x".into()), found: Ok(found.to_vec()) };
        let mut jobs = [job(&[a, six, b]), job(&[six, c, b])];
        keep_apart(&mut jobs);
        assert_eq!(jobs.map(|job| job.found.unwrap()), [vec![a, b], vec![six, c]]);
    }

    #[test]
    fn slow_reply_delays_the_next_request_to_a_later_slot() {
        let pace = Pace { start: Duration::ZERO, interval: Duration::from_secs(4), count: 9 };
        for (elapsed_ms, next_s) in [(0, 4), (3_999, 4), (4_000, 8), (4_001, 8), (9_000, 12)] {
            assert_eq!(pace.next(Duration::from_millis(elapsed_ms)), Duration::from_secs(next_s), "{elapsed_ms}");
        }
    }
}
