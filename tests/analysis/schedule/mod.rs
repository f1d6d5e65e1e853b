//! Probers under a paused clock, with fake engines and names: minimum intervals, jitter, back-off, reach and
//! supervision over simulated days. No socket is opened here.

mod names;
mod pace;
mod supervision;

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

/// The behaviour of a fake engine at the n-th request to an address.
type Behaviour = Arc<dyn Fn(SocketAddr, usize) -> Act + Send + Sync>;

enum Act {
    End(Outcome),
    Late,
    Panic,
    Hang,
}

/// Answers as scripted and records the time of each request.
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
                Act::Late => ProbeReport::late(now),
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

/// Receives every sample, and the end of every series that is no longer polled.
#[derive(Default)]
struct Recorder {
    samples: Arc<Mutex<Vec<Arc<Sample>>>>,
    /// The ended series, with the number of samples until then.
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

const A: &str = "192.0.2.1:123";

const B: &str = "192.0.2.2:123";

const C: &str = "192.0.2.3:123";

const D: &str = "192.0.2.4:123";

fn good(_: SocketAddr, _: usize) -> Act {
    Act::End(Outcome::Sample)
}

fn gaps(times: &[i64]) -> Vec<i64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}
