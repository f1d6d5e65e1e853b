//! Probers under a paused clock, with engines and names that are faked: floors, jitter, back-off, reach and supervision
//! over simulated days. No socket is opened here.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ntp_monitor::actors::census::Census;
use ntp_monitor::actors::ledger::Ledger;
use ntp_monitor::actors::notice::DeathNotice;
use ntp_monitor::actors::outlet::{Listener, Outlet};
use ntp_monitor::actors::sheets::Sheets;
use ntp_monitor::actors::supervisor::Supervisor;
use ntp_monitor::actors::targets::{Targets, Tools};
use ntp_monitor::config::{Addresses, EngineChoice, Family, Host, Server};
use ntp_monitor::messages::sample::{Forget, SamplesReady};
use ntp_monitor::messages::targets::SetServers;
use ntp_monitor::probe::resolve::{Address, Resolution, Resolve, ResolveError};
use ntp_monitor::probe::{Engines, ProbeEngine, ProbeFuture, ProbeReport, Query};
use ntp_monitor::sim::time::SimClock;
use ntp_monitor::sinks::queue::SinkQueue;
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::health::child::ChildState;
use ntp_monitor_core::interleaved::Policy;
use ntp_monitor_core::ntp::KissCode;
use ntp_monitor_core::sample::{Outcome, Sample, SeriesKey, ServerIdent};
use ntp_monitor_core::sheet::Question;
use tokio::sync::{Notify, watch};

const S: i64 = 1_000_000_000;

/// What a fake engine does when asked for the n-th time at an address.
type Behaviour = Arc<dyn Fn(SocketAddr, usize) -> Act + Send + Sync>;

enum Act {
    End(Outcome),
    Panic,
    Hang,
}

/// Answers as told and keeps the time of each request.
struct FakeEngine {
    clock: SimClock,
    behaviour: Behaviour,
    requests: Mutex<BTreeMap<SocketAddr, Vec<i64>>>,
    questions: Mutex<Vec<(i64, Question)>>,
}

impl ProbeEngine for FakeEngine {
    fn probe(&self, query: Query) -> ProbeFuture {
        let now = self.clock.now();
        let mut requests = self.requests.lock().unwrap();
        let times = requests.entry(query.address).or_default();
        times.push(now.mono_ns);
        self.questions.lock().unwrap().extend(query.question.map(|question| (now.mono_ns, question)));
        let act = (self.behaviour)(query.address, times.len());
        async move {
            match act {
                Act::End(outcome) => ProbeReport::failed(now, outcome),
                Act::Panic => panic!("the script makes the engine panic"),
                Act::Hang => std::future::pending().await,
            }
        }
        .boxed()
    }
}

type Names = Arc<Mutex<HashMap<&'static str, Vec<IpAddr>>>>;

struct FakeNames(Names, Arc<Notify>);

impl Resolve for FakeNames {
    fn resolve(&self, host: &str, _: Family) -> BoxFuture<'static, Result<Resolution, ResolveError>> {
        let answer = match self.0.lock().unwrap().get(host) {
            Some(addresses) => Ok(Resolution {
                addresses: addresses.iter().copied().map(Address::from).collect(),
                expires: Duration::from_secs(60),
                silent: None,
            }),
            None => Err(ResolveError::NoSuchName { host: host.into() }),
        };
        async { answer }.boxed()
    }

    fn changed(&self) -> BoxFuture<'static, ()> {
        let change = Arc::clone(&self.1);
        async move { change.notified().await }.boxed()
    }
}

/// Hears every sample, and of every series that is no longer polled.
#[derive(Default)]
struct Recorder {
    samples: Arc<Mutex<Vec<Arc<Sample>>>>,
    /// With how many samples there were by then.
    forgotten: Arc<Mutex<Vec<(SeriesKey, usize)>>>,
    /// Messages that ended series.
    removals: Arc<Mutex<usize>>,
    sheets: Sheets,
}

impl Actor for Recorder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(100_000);
    }
}

impl Handler<SamplesReady> for Recorder {
    type Result = ();

    fn handle(&mut self, SamplesReady(batch): SamplesReady, _: &mut Context<Self>) {
        self.sheets.observe(&batch);
        self.samples.lock().unwrap().extend(batch.iter().cloned());
    }
}

impl Handler<Forget> for Recorder {
    type Result = ();

    fn handle(&mut self, Forget { keys, .. }: Forget, _: &mut Context<Self>) {
        let so_far = self.samples.lock().unwrap().len();
        self.forgotten.lock().unwrap().extend(keys.iter().map(|key| (key.clone(), so_far)));
        *self.removals.lock().unwrap() += 1;
    }
}

/// The actor tree around a fake engine.
struct World {
    engine: Arc<FakeEngine>,
    samples: Arc<Mutex<Vec<Arc<Sample>>>>,
    forgotten: Arc<Mutex<Vec<(SeriesKey, usize)>>>,
    removals: Arc<Mutex<usize>>,
    names: Names,
    resolver_changed: Arc<Notify>,
    census: Census,
    targets: Addr<Targets>,
    tools: Tools,
}

impl World {
    /// Pauses the clock and starts the tree with `servers`.
    fn start(servers: Vec<Server>, behaviour: impl Fn(SocketAddr, usize) -> Act + Send + Sync + 'static) -> Self {
        Self::with_names(servers, HashMap::new(), behaviour)
    }

    fn with_names(
        servers: Vec<Server>,
        names: HashMap<&'static str, Vec<IpAddr>>,
        behaviour: impl Fn(SocketAddr, usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        tokio::time::pause();
        let clock = SimClock::begin();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let engine = Arc::new(FakeEngine {
            clock,
            behaviour: Arc::new(behaviour),
            requests: Mutex::default(),
            questions: Mutex::default(),
        });
        let census = Census::default();
        let (escalate, _) = watch::channel(None);
        let supervisor = Supervisor::new(census.clone(), Arc::new(clock), escalate, log.clone()).start();
        let (recorder, sheets) = (Recorder::default(), Sheets::default());
        let recorder = Recorder { sheets: sheets.clone(), ..recorder };
        let (samples, forgotten) = (Arc::clone(&recorder.samples), Arc::clone(&recorder.forgotten));
        let removals = Arc::clone(&recorder.removals);
        let (names, resolver_changed) = (Arc::new(Mutex::new(names)), Arc::new(Notify::new()));
        let (listener, ends) = (Listener::new("recorder"), Listener::new("targets"));
        listener.connect(recorder.start());
        let tools = Tools {
            supervisor,
            resolver: Arc::new(FakeNames(Arc::clone(&names), Arc::clone(&resolver_changed))),
            engines: Engines::of(engine.clone(), engine.clone()),
            trust: Arc::default(),
            outlet: Outlet::new(SinkQueue::new("journal", 1024), [listener, ends.clone()]),
            ends,
            clock: Arc::new(clock),
            ledger: Ledger::default(),
            sheets,
            log,
        };
        let targets = Targets::new(tools.clone(), DeathNotice::unsupervised()).start();
        let world = Self { engine, samples, forgotten, removals, names, resolver_changed, census, targets, tools };
        world.set(servers);
        world
    }

    fn set(&self, servers: Vec<Server>) {
        self.targets.do_send(SetServers(servers.into_iter().map(Arc::new).collect()));
    }

    /// Lets this much time pass.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn requests(&self, address: &str) -> Vec<i64> {
        self.engine.requests.lock().unwrap().get(&address.parse().unwrap()).cloned().unwrap_or_default()
    }

    fn outcomes(&self, server: &str) -> Vec<Outcome> {
        let samples = self.samples.lock().unwrap();
        samples.iter().filter(|s| &*s.server.name == server).map(|s| s.outcome.clone()).collect()
    }
}

fn server(address: &str) -> Server {
    let address: SocketAddr = address.parse().unwrap();
    Server {
        ident: ServerIdent::named(&address.to_string()),
        host: Host::Address(address.ip()),
        port: address.port(),
        own: false,
        poll_interval: Duration::from_secs(64),
        timeout: Duration::from_secs(3),
        engine: EngineChoice::Kernel,
        family: Family::Any,
        addresses: Addresses::First,
        samples_per_poll: 1,
        offset_warning: Duration::from_millis(25),
        offset_critical: Duration::from_millis(100),
        nts: None,
        sheet: false,
        interleaved: Policy::default(),
        paused: false,
        pace: None,
    }
}

fn named(name: &str, addresses: Addresses) -> Server {
    Server { ident: ServerIdent::named(name), host: Host::Name(name.into()), addresses, ..server("192.0.2.9:123") }
}

fn gaps(times: &[i64]) -> Vec<i64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

const A: &str = "192.0.2.1:123";
const B: &str = "192.0.2.2:123";
const C: &str = "192.0.2.3:123";
const D: &str = "192.0.2.4:123";

fn good(_: SocketAddr, _: usize) -> Act {
    Act::End(Outcome::Sample)
}

#[actix_rt::test]
async fn a_week_of_polling_keeps_the_interval_within_its_jitter() {
    let world = World::start(vec![server(A)], good);
    world.pass(Duration::from_secs(7 * 86_400)).await;
    let gaps = gaps(&world.requests(A));
    let mean = gaps.iter().sum::<i64>() as f64 / gaps.len() as f64 / S as f64;
    // The mean of 9450 uniform jitters of ±4 s is within ±0.1 s, four standard deviations.
    assert!((63.9..64.1).contains(&mean), "{mean}");
    assert!(gaps.iter().all(|gap| (60 * S..=68 * S + S / 100).contains(gap)));
    assert!(gaps.iter().any(|gap| *gap < 62 * S) && gaps.iter().any(|gap| *gap > 66 * S), "no jitter");
}

#[actix_rt::test]
async fn server_is_asked_one_question_a_day_between_its_polls() {
    let asked = Server { sheet: true, ..server(A) };
    let quick = Server { sheet: true, poll_interval: Duration::from_secs(16), ..server(B) };
    let world = World::start(vec![asked, quick], good);
    world.pass(Duration::from_secs(5 * 86_400 + 3600)).await;
    let questions = world.engine.questions.lock().unwrap().clone();
    assert_eq!(questions.len(), 12, "six for each server: {questions:?}");
    let kinds: Vec<_> = questions.iter().step_by(2).map(|(_, question)| *question).collect();
    assert_eq!(kinds, [&Question::ALL[..], &Question::ALL[..]].concat(), "in turn");
    let days = gaps(&questions.iter().step_by(2).map(|(at, _)| *at).collect::<Vec<_>>());
    assert!(days.iter().all(|gap| (86_400 * S..86_600 * S).contains(gap)), "{days:?}");
    for (address, longest) in [(A, 68), (B, 33)] {
        let gaps = gaps(&world.requests(address));
        assert!(gaps.iter().all(|gap| *gap >= 16 * S && *gap <= longest * S + S / 10), "{:?}", gaps.iter().max());
    }
    assert_eq!(world.outcomes(A).len() + 6, world.requests(A).len(), "a question is no poll");
}

#[actix_rt::test]
async fn question_is_not_asked_where_it_is_not_wanted() {
    let sheet = |address| Server { sheet: true, ..server(address) };
    let portable = Server { engine: EngineChoice::Sntp, ..sheet(B) };
    let world = World::start(vec![server(A), portable, sheet(C), sheet(D)], |address, _| {
        let kiss = address == C.parse().unwrap();
        Act::End(if kiss {
            Outcome::Kiss(KissCode::RATE)
        } else if address == D.parse().unwrap() {
            Outcome::Timeout
        } else {
            Outcome::Sample
        })
    });
    world.pass(Duration::from_secs(2 * 86_400)).await;
    assert_eq!(*world.engine.questions.lock().unwrap(), [], "not configured, portable, limited, silent");
}

#[actix_rt::test]
async fn kiss_that_answers_a_question_is_heeded() {
    let asked = Server { sheet: true, ..server(A) };
    let world = World::start(vec![asked], |_, n| {
        // After two polls comes the question.
        Act::End(if n == 3 { Outcome::Kiss(KissCode::DENY) } else { Outcome::Sample })
    });
    world.pass(Duration::from_secs(3 * 3600)).await;
    let times = world.requests(A);
    assert_eq!(world.engine.questions.lock().unwrap()[0].0, times[2]);
    assert!(times[3] - times[2] >= 3600 * S, "{:?}", gaps(&times));
}

#[actix_rt::test]
async fn a_week_at_the_floor_never_goes_below_it() {
    let fast = Server { poll_interval: Duration::from_secs(1), ..server(A) };
    let world = World::start(vec![fast], |_, n| Act::End(if n % 3 == 0 { Outcome::Timeout } else { Outcome::Sample }));
    world.pass(Duration::from_secs(7 * 86_400)).await;
    assert!(gaps(&world.requests(A)).iter().all(|gap| *gap >= 16 * S));
}

#[actix_rt::test]
async fn rate_slows_one_server_down_and_leaves_the_other_alone() {
    let rated: SocketAddr = A.parse().unwrap();
    let kiss = move |address, n| {
        Act::End(if address == rated && n <= 2 { Outcome::Kiss(KissCode::RATE) } else { Outcome::Sample })
    };
    let world = World::start(vec![server(A), server(B)], kiss);
    world.pass(Duration::from_secs(6 * 3600)).await;
    let slow = gaps(&world.requests(A));
    assert!((120 * S..=136 * S + S).contains(&slow[0]), "{slow:?}");
    assert!(slow[1..].iter().all(|gap| *gap >= 240 * S), "{slow:?}");
    assert!(gaps(&world.requests(B)).iter().all(|gap| *gap <= 69 * S));
}

#[actix_rt::test]
async fn a_denied_server_is_left_alone_for_an_hour_and_then_for_longer() {
    let world = World::start(vec![server(A)], |_, _| Act::End(Outcome::Kiss(KissCode::DENY)));
    world.pass(Duration::from_secs(86_400)).await;
    let hours: Vec<i64> = gaps(&world.requests(A)).iter().map(|gap| gap / (3600 * S)).collect();
    assert_eq!(hours, [1, 2, 4, 8]);
}

#[actix_rt::test]
async fn a_panicking_engine_costs_its_poll_and_nothing_else() {
    let bad: SocketAddr = A.parse().unwrap();
    let world = World::start(vec![server(A), server(B)], move |address, n| {
        if address == bad && n % 2 == 1 { Act::Panic } else { Act::End(Outcome::Sample) }
    });
    world.pass(Duration::from_secs(3600)).await;
    let outcomes = world.outcomes(A);
    assert!(matches!(&outcomes[0], Outcome::Fault(why) if why.contains("panicked")), "{outcomes:?}");
    assert_eq!(outcomes[1], Outcome::Sample);
    assert!(world.outcomes(B).iter().all(|outcome| *outcome == Outcome::Sample));
    let child = world.census.get(&format!("prober/{A}/{A}")).unwrap();
    assert_eq!((child.state, child.restarts), (ChildState::Running, 0));
}

#[actix_rt::test]
async fn a_hung_engine_ends_at_its_deadline_and_is_asked_again() {
    let world = World::start(vec![server(A)], |_, n| if n == 1 { Act::Hang } else { Act::End(Outcome::Sample) });
    world.pass(Duration::from_secs(200)).await;
    let outcomes = world.outcomes(A);
    assert!(matches!(&outcomes[0], Outcome::Fault(why) if why.contains("deadline")), "{outcomes:?}");
    assert_eq!(outcomes[1], Outcome::Sample);
}

#[actix_rt::test]
async fn a_prober_that_keeps_panicking_is_shown_as_crashed_and_stays_polite() {
    // A prober panics when its clock does; the factory gives each incarnation the same one.
    struct Bomb(SimClock);
    impl Clock for Bomb {
        fn now(&self) -> Stamp {
            let stamp = self.0.now();
            assert!(stamp.mono_ns < 10 * S, "the script makes the clock panic");
            stamp
        }
    }
    let world = World::start(vec![server(B)], good);
    let clock = Arc::new(Bomb(world.engine.clock));
    let tools = Tools { clock, ledger: Ledger::default(), ..world.tools.clone() };
    let doomed = Targets::new(tools, DeathNotice::unsupervised()).start();
    doomed.do_send(SetServers(vec![Arc::new(server(A))]));
    world.pass(Duration::from_secs(3600)).await;
    let child = world.census.get(&format!("prober/{A}/{A}")).unwrap();
    assert_eq!(child.state, ChildState::Crashed);
    assert!(child.panics > 50 && child.panics == child.restarts, "{child:?}");
    assert!(world.requests(A).len() <= 2);
    let undisturbed = world.requests(B).len();
    assert!((52..=60).contains(&undisturbed), "{undisturbed}");
}

#[actix_rt::test]
async fn a_reload_disturbs_only_what_changed_and_keeps_the_pace() {
    let world = World::start(vec![server(A), server(B)], good);
    world.pass(Duration::from_secs(70)).await;
    for _ in 0..30 {
        let flipped = Duration::from_secs(if world.requests(A).len().is_multiple_of(2) { 64 } else { 65 });
        world.set(vec![Server { poll_interval: flipped, ..server(A) }, server(B)]);
        world.pass(Duration::from_secs(3)).await;
    }
    world.pass(Duration::from_secs(600)).await;
    assert!(gaps(&world.requests(A)).iter().all(|gap| *gap >= 16 * S), "{:?}", gaps(&world.requests(A)));
    assert!(gaps(&world.requests(B)).iter().all(|gap| (60 * S..=69 * S).contains(gap)));
    world.set(vec![server(B)]);
    world.pass(Duration::from_secs(1)).await;
    let stopped = world.requests(A).len();
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.requests(A).len(), stopped);
}

#[actix_rt::test]
async fn removal_of_a_third_of_all_servers_delays_no_poll() {
    let at_16_s = |host: u16| {
        let [high, low] = host.to_be_bytes();
        Server { poll_interval: Duration::from_secs(16), ..server(&format!("192.0.{high}.{low}:123")) }
    };
    let world = World::start((0..900).map(at_16_s).collect(), good);
    world.pass(Duration::from_secs(60)).await;
    world.set((300..900).map(at_16_s).collect());
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(*world.removals.lock().unwrap(), 1, "all series end in one message");
    let forgotten = world.forgotten.lock().unwrap();
    let addresses = forgotten.iter().filter_map(|(key, _)| key.address).collect::<std::collections::HashSet<_>>();
    assert_eq!(addresses.len(), 300);
    let samples = world.samples.lock().unwrap();
    let last = forgotten.iter().map(|(_, so_far)| *so_far).max().unwrap();
    assert!(samples[last..].iter().all(|sample| sample.address.is_some_and(|address| !addresses.contains(&address))));
    for host in 300..900 {
        let polls = world.requests(&at_16_s(host).ident.name);
        // Interval and jitter, and a tick to which a poll is rounded up.
        assert!(gaps(&polls).iter().all(|gap| *gap <= 17 * S + S / 50) && polls.len() >= 7, "{host}: {polls:?}");
    }
}

#[actix_rt::test]
async fn every_address_of_a_name_gets_a_prober_and_none_two() {
    let names = HashMap::from([("pool", vec![ip(1), ip(2), ip(2)]), ("alias", vec![ip(2), ip(3)])]);
    let servers = vec![named("pool", Addresses::All), named("alias", Addresses::First)];
    let world = World::with_names(servers, names, good);
    world.pass(Duration::from_secs(600)).await;
    for address in ["192.0.2.1:123", "192.0.2.2:123", "192.0.2.3:123"] {
        let requests = world.requests(address).len();
        assert!((9..=11).contains(&requests), "{address}: {requests}");
    }
}

#[actix_rt::test]
async fn a_dropped_address_goes_to_the_server_that_waits_for_it() {
    let pool = || named("pool", Addresses::First);
    let world = World::with_names(vec![pool()], HashMap::from([("pool", vec![ip(1)])]), good);
    world.pass(Duration::from_secs(100)).await;
    world.set(vec![pool(), server(A)]);
    world.pass(Duration::from_secs(100)).await;
    assert!(matches!(&world.outcomes(A)[..], [Outcome::Fault(why)] if why.contains("polled already as pool")));
    world.names.lock().unwrap().insert("pool", vec![ip(2)]);
    world.pass(Duration::from_secs(2 * 3600)).await;
    assert!(world.outcomes(A).contains(&Outcome::Sample), "{:?}", world.outcomes(A));
    assert!(world.requests(B).len() > 50, "the name has moved on");
    assert!(gaps(&world.requests(A)).iter().all(|gap| *gap >= 16 * S));
}

/// A part with state for each series would create it again for a later sample.
#[actix_rt::test]
async fn a_series_is_forgotten_only_after_its_last_sample_also_when_the_server_takes_its_time() {
    let slow = Server { timeout: Duration::from_secs(30), ..server(A) };
    let world = World::start(vec![slow], |_, _| Act::Hang);
    world.pass(Duration::from_secs(5)).await;
    world.set(Vec::new());
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.outcomes(A).len(), 1);
    let forgotten = world.forgotten.lock().unwrap().clone();
    let of_address = forgotten.iter().find(|(key, _)| key.address.is_some()).unwrap();
    assert_eq!(of_address.1, 1, "{forgotten:?}");
}

#[actix_rt::test]
async fn a_name_that_never_resolves_is_an_outcome_and_harms_nobody() {
    let world = World::start(vec![named("nowhere", Addresses::First), server(B)], good);
    world.pass(Duration::from_secs(3600)).await;
    let outcomes = world.outcomes("nowhere");
    assert!(outcomes.len() >= 10 && outcomes.len() < 100, "{}", outcomes.len());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Dns(why) if why.contains("NXDOMAIN"))));
    assert!(world.requests(B).len() >= 52);
}

#[actix_rt::test]
async fn a_burst_counts_its_losses_and_keeps_its_spacing() {
    let burst = Server { samples_per_poll: 4, ..server(A) };
    let world = World::start(vec![burst], |_, n| Act::End(if n % 4 == 0 { Outcome::Sample } else { Outcome::Timeout }));
    world.pass(Duration::from_secs(20)).await;
    let sample = Arc::clone(&world.samples.lock().unwrap()[0]);
    assert_eq!((sample.outcome.clone(), sample.sent, sample.lost), (Outcome::Sample, 4, 3));
    assert!(gaps(&world.requests(A)).iter().all(|gap| *gap >= 2 * S));
}

fn ip(host: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, host])
}

#[actix_rt::test]
async fn polling_is_overdue_only_when_nothing_is_polled() {
    let world = World::start(vec![server(A), server(B)], good);
    let ledger = &world.tools.ledger;
    let minutes = |n: u64| Duration::from_secs(60 * n);
    world.pass(minutes(10)).await;
    let now = world.tools.clock.now();
    assert!(ledger.overdue(now, Duration::from_secs(30)) < Duration::from_secs(5));
    // As if no prober had polled for an hour from now on.
    let later = Stamp { mono_ns: now.mono_ns + 3600 * S, ..now };
    assert!(ledger.overdue(later, minutes(61)) > minutes(58));
    world.set(Vec::new());
    world.pass(minutes(1)).await;
    assert_eq!(ledger.overdue(later, minutes(61)), Duration::ZERO, "there is nothing to poll");
    ledger.set_servers(vec![Arc::new(server(A))]);
    assert_eq!(ledger.overdue(later, minutes(61)), minutes(56), "no prober is left; a name is tried every 5 minutes");
}

/// The answer of the address `dead` is `end`, that of every other one a sample.
fn dead(dead: &str, end: Outcome) -> impl Fn(SocketAddr, usize) -> Act + Send + Sync + 'static {
    let dead: SocketAddr = dead.parse().unwrap();
    move |address, _| Act::End(if address == dead { end.clone() } else { Outcome::Sample })
}

#[actix_rt::test]
async fn address_that_cannot_be_reached_is_left_after_one_failure() {
    let names = HashMap::from([("pool", vec![ip(1), ip(2)])]);
    let unusable = dead(A, Outcome::Fault("no route".into()));
    let world = World::with_names(vec![named("pool", Addresses::First)], names, unusable);
    world.pass(Duration::from_secs(5)).await;
    assert_eq!((world.requests(A).len(), world.requests(B).len()), (1, 1));
    world.pass(Duration::from_secs(86_400)).await;
    assert_eq!(world.requests(A).len(), 1, "an address that answers is kept");
}

#[actix_rt::test]
async fn addresses_that_all_fail_are_tried_in_turn_and_slower() {
    let names = HashMap::from([("pool", vec![ip(1), ip(2)])]);
    let servers = vec![named("pool", Addresses::First)];
    let world = World::with_names(servers, names, |_, _| Act::End(Outcome::Timeout));
    world.pass(Duration::from_secs(6 * 3600)).await;
    let polls = world.requests(A).len() + world.requests(B).len();
    assert!((330..=480).contains(&polls), "{polls}: about one a minute, whichever address");
    for address in [A, B] {
        assert!(gaps(&world.requests(address)).iter().all(|gap| *gap >= 16 * S), "{address}");
        assert!(world.requests(address).len() > 100, "{address}");
    }
}

#[actix_rt::test]
async fn dead_address_of_a_moved_name_is_left_at_the_new_answer() {
    let names = HashMap::from([("pool", vec![ip(1)])]);
    let alive: SocketAddr = A.parse().unwrap();
    let world = World::with_names(vec![named("pool", Addresses::First)], names, move |address, n| {
        Act::End(if address == alive && n > 3 { Outcome::Timeout } else { Outcome::Sample })
    });
    world.pass(Duration::from_secs(4 * 64)).await;
    world.names.lock().unwrap().insert("pool", vec![ip(2)]);
    world.pass(Duration::from_secs(65 + 10)).await;
    assert!(!world.requests(B).is_empty(), "{:?}", world.outcomes("pool"));
    let polls = world.requests(A).len();
    world.pass(Duration::from_secs(3600)).await;
    assert_eq!(world.requests(A).len(), polls);
}

#[actix_rt::test]
async fn replaced_series_ends_where_its_successor_begins() {
    let names = HashMap::from([("pool", vec![ip(1)])]);
    let slow: SocketAddr = A.parse().unwrap();
    let server = Server { timeout: Duration::from_secs(30), ..named("pool", Addresses::First) };
    let world = World::with_names(vec![server], names, move |address, n| match (address == slow, n) {
        (true, 2..) => Act::Hang,
        _ => Act::End(Outcome::Sample),
    });
    // The name moves when its old address has drained, during a poll that hangs.
    world.pass(Duration::from_secs(10)).await;
    world.names.lock().unwrap().insert("pool", vec![ip(2)]);
    world.pass(Duration::from_secs(2 * 3600)).await;
    let samples = world.samples.lock().unwrap();
    let addresses: Vec<_> = samples.iter().map(|sample| sample.address.unwrap().to_string()).collect();
    let first_of_b = addresses.iter().position(|address| address == B).unwrap();
    assert!(addresses[first_of_b..].iter().all(|address| address == B), "{addresses:?}");
    let forgotten = world.forgotten.lock().unwrap();
    let ended: Vec<_> = forgotten.iter().filter(|(key, _)| key.address == Some(slow)).collect();
    assert!(matches!(ended[..], [(_, at)] if *at == first_of_b), "{forgotten:?}, first of B: {first_of_b}");
}

#[actix_rt::test]
async fn series_without_an_address_ends_when_the_name_resolves() {
    let world = World::with_names(vec![named("late", Addresses::First)], HashMap::new(), good);
    world.pass(Duration::from_secs(12)).await;
    world.names.lock().unwrap().insert("late", vec![ip(1)]);
    world.pass(Duration::from_secs(60)).await;
    let forgotten = world.forgotten.lock().unwrap();
    let failures = world.outcomes("late").iter().filter(|outcome| matches!(outcome, Outcome::Dns(_))).count();
    assert!(failures > 0 && matches!(&forgotten[..], [(key, at)] if key.address.is_none() && *at == failures));
}

#[actix_rt::test]
async fn changed_resolver_is_asked_again_at_once() {
    let world = World::with_names(vec![named("nowhere", Addresses::First)], HashMap::new(), good);
    world.pass(Duration::from_secs(3600)).await;
    world.names.lock().unwrap().insert("nowhere", vec![ip(1)]);
    world.resolver_changed.notify_one();
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.requests(A).len(), 1, "without waiting for the end of the pause after failures");
}

#[actix_rt::test]
async fn reload_resolves_every_name_again() {
    let world = World::with_names(vec![named("nowhere", Addresses::First)], HashMap::new(), good);
    world.pass(Duration::from_secs(3600)).await;
    world.names.lock().unwrap().insert("nowhere", vec![ip(1)]);
    world.set(vec![named("nowhere", Addresses::First)]);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.requests(A).len(), 1);
}

#[actix_rt::test]
async fn restarted_actor_keeps_the_selected_address() {
    let names = HashMap::from([("pool", vec![ip(1), ip(2)])]);
    let world = World::with_names(vec![named("pool", Addresses::First)], names, good);
    world.pass(Duration::from_secs(100)).await;
    world.names.lock().unwrap().insert("pool", vec![ip(2), ip(1)]);
    // As the supervisor starts it again, with the same ledger.
    let _again = Targets::new(world.tools.clone(), DeathNotice::unsupervised()).start();
    world.pass(Duration::from_secs(3600)).await;
    assert!(world.requests(B).is_empty() && world.requests(A).len() > 50);
}
