//! The service in the process of the test: engines, names and outputs that panic, under the real supervisor.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::monitor::{Home, own};
use crate::common::rows;
use crate::common::wait::PATIENCE;
use actix::Actor;
use futures_util::future::BoxFuture;
use ntp_monitor::actors::adoption::Adopt;
use ntp_monitor::actors::census::Census;
use ntp_monitor::actors::health::{HealthKeeper, Observed, SinkGauge};
use ntp_monitor::actors::ledger::Ledger;
use ntp_monitor::actors::notice::DeathNotice;
use ntp_monitor::actors::supervisor::Supervisor;
use ntp_monitor::app::{Service, Surroundings};
use ntp_monitor::clock::SystemClock;
use ntp_monitor::config::{self, Config, Environment, Family};
use ntp_monitor::messages::lifecycle::StopNow;
use ntp_monitor::probe::resolve::{Resolution, Resolve, ResolveError};
use ntp_monitor::probe::{Engines, ProbeEngine, ProbeFuture, ProbeReport, Query};
use ntp_monitor::sinks::queue::SinkQueue;
use ntp_monitor::sinks::worker::{self, BatchWriter, WriteError, WriterHandle};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::child::{ChildState, Role};
use ntp_monitor_core::health::log::ServerHealthLog;
use ntp_monitor_core::health::report::SinkHealth;
use ntp_monitor_core::health::reports::ReportsHealth;
use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};
use slog::{Discard, Logger, o};
use tokio::sync::watch;

const PANICKY: &str = "192.0.2.1:123";
const HANGING: &str = "192.0.2.2:123";
const CALM: &str = "192.0.2.3:123";

fn log() -> Logger {
    Logger::root(Discard, o!())
}

fn configuration(home: &Home) -> Config {
    config::load(Some(&home.config()), &Environment::new(), &[]).unwrap().config
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An engine that panics at one address, never ends at another, and answers at the rest.
struct Moody;

impl ProbeEngine for Moody {
    fn probe(&self, query: Query) -> ProbeFuture {
        Box::pin(async move {
            match query.address.to_string().as_str() {
                PANICKY => panic!("the script makes the engine panic"),
                HANGING => std::future::pending().await,
                _ => ProbeReport::failed(ntp_monitor::clock::now(), Outcome::Unsynchronised(None)),
            }
        })
    }
}

/// A resolver that makes the calling actor panic.
struct PanickyNames;

impl Resolve for PanickyNames {
    fn resolve(&self, _: &str, _: Family) -> BoxFuture<'static, Result<Resolution, ResolveError>> {
        panic!("the script makes the resolver panic")
    }
}

#[actix_rt::test]
async fn panicking_or_hung_engine_fails_only_its_own_polls() {
    let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
    let servers = [("panicky", PANICKY), ("hanging", HANGING), ("calm", CALM)];
    let home = Home::with(&servers.map(|(name, text)| own(name, address(text))).concat());
    let engine = Arc::new(Moody);
    let around =
        Surroundings { engines: Engines::of(engine.clone(), engine), ..Surroundings::real(&log(), Arc::new(|| 0)) };
    let service = Service::start(configuration(&home), around, &log()).await.unwrap();
    let health = service.health();
    let polls = |name: &str, outcome: &str| {
        let health = health.borrow();
        let server = health.servers.iter().find(|server| *server.server == *name);
        server.map_or(0, |server| server.outcomes.of(outcome))
    };
    // A hung engine gets one second more than the time-out of its query.
    until("the calm one is polled on", || polls("calm", "unsynchronised") > 20).await;
    until("panics are faults", || polls("panicky", "fault") > 20).await;
    until("so are hung polls", || polls("hanging", "fault") > 1).await;
    assert!(service.census().all().values().all(|child| child.restarts == 0), "no prober died of it");
    service.stop(Instant::now() + PATIENCE).await;

    let samples = rows::csv(&home.csv());
    let why = |name: &str| samples.iter().find(|s| &*s.server.name == name).unwrap().outcome.reason().into_owned();
    assert_eq!(
        (why("panicky").as_str(), why("hanging").as_str()),
        ("the engine panicked", "the probe engine missed its deadline")
    );
    let csv = rows::keys_once("the CSV file", &samples);
    rows::assert_same(("the CSV file", &csv), ("the store", &rows::keys_once("it", &rows::store(&home.store()))));
}

/// The pauses between nine deaths in a row sum up to about twenty seconds.
#[actix_rt::test]
async fn crash_loop_of_a_core_child_ends_the_service_after_a_drain() {
    let named = "[[server]]\nname = \"named\"\naddress = \"some.name\"\nown = true\n";
    let home = Home::with(&[named, &own("calm", CALM.parse().unwrap())].concat());
    let engine = Arc::new(Moody);
    let around = Surroundings {
        engines: Engines::of(engine.clone(), engine),
        resolver: Arc::new(PanickyNames),
        ..Surroundings::real(&log(), Arc::new(|| 0))
    };
    let service = Service::start(configuration(&home), around, &log()).await.unwrap();
    until("it is shown as crashed", || {
        service.health().borrow().down.get("targets").is_some_and(|child| child.state == ChildState::Crashed)
    })
    .await;
    assert!(service.health().borrow().panics > 2);
    let mut escalation = service.escalation();
    let reason = tokio::time::timeout(PATIENCE, escalation.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(&*reason.unwrap().child, "targets");
    service.stop(Instant::now() + PATIENCE).await;
    let csv = rows::keys_once("the CSV file", &rows::csv(&home.csv()));
    assert!(!csv.is_empty());
    let store = rusqlite::Connection::open(home.store()).unwrap();
    let doubt = store.query_row("SELECT value FROM meta WHERE key = 'in_doubt_ns'", [], |row| row.get::<_, i64>(0));
    assert_eq!(doubt, Ok(0), "its probers were stopped without it, and every request is recorded");
    rows::assert_same(("the CSV file", &csv), ("the store", &rows::keys_once("it", &rows::store(&home.store()))));
}

/// The scheduler may be down during a reload; its next incarnation reads only the ledger.
#[actix_rt::test]
async fn paused_server_stays_paused_after_a_scheduler_restart() {
    let named = "[[server]]\nname = \"named\"\naddress = \"some.name\"\nown = true\n";
    let home = Home::with(named);
    let engine = Arc::new(Moody);
    let around = Surroundings {
        engines: Engines::of(engine.clone(), engine),
        resolver: Arc::new(PanickyNames),
        ..Surroundings::real(&log(), Arc::new(|| 0))
    };
    let mut service = Service::start(configuration(&home), around, &log()).await.unwrap();
    let restarts = |census: &Census| census.get("targets").map_or(0, |child| child.restarts);
    until("it has died", || restarts(service.census()) > 0).await;
    home.configure(&[named, &own("calm", CALM.parse().unwrap()), "paused = true\n"].concat());
    service.reload(configuration(&home)).await.unwrap();
    let before = restarts(service.census());
    until("it has come back and died again", || restarts(service.census()) > before + 1).await;
    let probers: Vec<_> = service.census().all().into_keys().filter(|name| name.starts_with("prober/")).collect();
    assert_eq!(probers, Vec::<Arc<str>>::new());
    service.stop(Instant::now() + PATIENCE).await;
    assert_eq!(rows::csv(&home.csv()).len(), 0);
}

/// Keeps the messages of a log, with the values of their pairs.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl slog::Drain for Heard {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
        struct Pairs(String);
        impl slog::Serializer for Pairs {
            fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
                self.0.push_str(&format!(" {key}={value}"));
                Ok(())
            }
        }
        let mut pairs = Pairs(record.msg().to_string());
        slog::KV::serialize(&record.kv(), record, &mut pairs).unwrap();
        self.0.lock().unwrap().push(pairs.0);
        Ok(())
    }
}

/// Health is degraded before an output that cannot be written starts to drop samples from memory.
#[actix_rt::test]
async fn output_losses_are_logged_at_a_limited_rate() {
    let (heard, lost) = (Heard::default(), Arc::<AtomicU32>::default());
    let counter = Arc::clone(&lost);
    let gauge: SinkGauge = Arc::new(move |_| SinkHealth {
        failing: true,
        dropped: counter.load(Ordering::SeqCst).into(),
        last_error: Some("disk full".to_owned()),
        ..SinkHealth::default()
    });
    let observed = Observed {
        vantage: "here".into(),
        started: ntp_monitor::clock::now(),
        config: watch::channel(Arc::new(configuration(&Home::with("")))).1,
        census: Census::default(),
        sinks: Arc::new(Mutex::new([("store".to_owned(), gauge)].into())),
        alerts: watch::channel(Arc::default()).1,
        notifiers: Arc::new(|_| std::collections::BTreeMap::new()),
        reports: watch::channel(ReportsHealth::default()).1,
        listeners: Vec::new(),
        ledger: Ledger::default(),
        log_dropped: Arc::new(|| 0),
        clock: Arc::new(SystemClock),
    };
    let (publish, mut health) = watch::channel(Arc::default());
    let log = Logger::root(heard.clone(), o!());
    let notice = DeathNotice::unsupervised();
    let keeper = HealthKeeper::new(ServerHealthLog::default(), observed, Arc::new(publish), log, notice).start();
    for n in 0..6 {
        lost.store(10 * n, Ordering::SeqCst);
        // A report may be in progress while the counter changes.
        let seen =
            health.wait_for(|health| health.sinks.get("store").is_some_and(|it| it.dropped == u64::from(10 * n)));
        tokio::time::timeout(PATIENCE, seen).await.unwrap().unwrap();
    }
    keeper.do_send(StopNow);
    let said: Vec<String> =
        heard.0.lock().unwrap().iter().filter(|line| line.contains("dropped samples")).cloned().collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said[0].contains("since_start=10") && said[0].contains("disk full"), "{said:?}");
}

/// An output that panics at its first two batches.
struct Clumsy {
    attempts: Arc<AtomicU32>,
    written: Arc<Mutex<Vec<i64>>>,
}

impl BatchWriter for Clumsy {
    type Command = ();

    fn write(&mut self, batch: &[Arc<Sample>]) -> Result<(), WriteError> {
        assert!(self.attempts.fetch_add(1, Ordering::SeqCst) >= 2, "the script makes the output panic");
        self.written.lock().unwrap().extend(batch.iter().map(|sample| sample.at.wall_ns));
        Ok(())
    }

    fn command(&mut self, (): ()) {}

    fn tick(&mut self, _: Stamp) -> Result<(), WriteError> {
        Ok(())
    }
}

#[actix_rt::test]
async fn panicked_output_restarts_with_its_batch() {
    let (queue, handle) = (SinkQueue::new("clumsy", 100), WriterHandle::default());
    let (attempts, written) = (Arc::<AtomicU32>::default(), Arc::<Mutex<Vec<i64>>>::default());
    let census = Census::default();
    let supervisor = Supervisor::new(census.clone(), Arc::new(SystemClock), watch::Sender::new(None), log()).start();
    let (given, kept) = ((queue.clone(), handle.clone()), (Arc::clone(&attempts), Arc::clone(&written)));
    let factory = Box::new(move |notice| {
        let writer = Clumsy { attempts: Arc::clone(&kept.0), written: Arc::clone(&kept.1) };
        worker::spawn(writer, &given.0, None, &given.1, &log(), notice).unwrap();
        Box::new(|| ()) as _
    });
    supervisor.do_send(Adopt { name: "sink/clumsy".into(), role: Role::Sink, factory });

    for n in 0..10 {
        let at = Stamp::new(n, n, 0);
        queue.offer(Arc::new(Sample::unasked(at, ServerIdent::named("a"), Outcome::Timeout, 64.0)));
    }
    until("everything is written", || written.lock().unwrap().len() == 10).await;
    assert_eq!(*written.lock().unwrap(), (0..10).collect::<Vec<_>>());
    let child = census.get("sink/clumsy").unwrap();
    assert_eq!((child.state, child.restarts, child.panics), (ChildState::Running, 2, 2));
    assert_eq!(handle.gauge().abandoned, 0);
    handle.drain(Instant::now() + PATIENCE);
}
