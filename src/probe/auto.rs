//! Selects the engine: kernel timestamps if the kernel provides them, otherwise the portable engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::time::Instant;

use super::{KernelEngine, NoStamps, ProbeEngine, ProbeFuture, ProbeReport, Query, SntpEngine};
use crate::config::EngineChoice;
use ntp_monitor_core::sample::Outcome;

/// How long a refusal is remembered: sandboxes rarely change, and each test costs a socket.
const RETEST_AFTER: Duration = Duration::from_secs(3600);

/// The engines of this process, shared by all probers.
#[derive(Clone)]
pub struct Engines {
    auto: Arc<dyn ProbeEngine>,
    sntp: Arc<dyn ProbeEngine>,
}

impl Engines {
    /// Creates the engines; takes about a millisecond.
    #[must_use]
    pub fn new(log: &Logger) -> Self {
        let sntp = Arc::new(SntpEngine::new());
        let auto = AutoEngine::new(Arc::clone(&sntp), log);
        Self { auto: Arc::new(auto), sntp }
    }

    /// Engines supplied by the caller, for simulations: `kernel` including its fallback, and the portable engine.
    #[must_use]
    pub fn of(kernel: Arc<dyn ProbeEngine>, sntp: Arc<dyn ProbeEngine>) -> Self {
        Self { auto: kernel, sntp }
    }

    /// The engine for a configured choice.
    #[must_use]
    pub fn choose(&self, choice: EngineChoice) -> Arc<dyn ProbeEngine> {
        match choice {
            EngineChoice::Kernel => Arc::clone(&self.auto),
            EngineChoice::Sntp => Arc::clone(&self.sntp),
        }
    }
}

/// Uses kernel timestamps, or [`SntpEngine`] while the kernel refuses them. The sample says which was used.
#[derive(Debug, Clone)]
pub struct AutoEngine {
    kernel: KernelEngine,
    sntp: Arc<SntpEngine>,
    refusal: Arc<Mutex<Refusal>>,
    log: Logger,
}

impl AutoEngine {
    fn new(sntp: Arc<SntpEngine>, log: &Logger) -> Self {
        Self { kernel: KernelEngine::new(), sntp, refusal: Arc::default(), log: log.clone() }
    }

    fn refusal(&self) -> std::sync::MutexGuard<'_, Refusal> {
        // A single `Option` cannot be left half-written.
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProbeEngine for AutoEngine {
    fn probe(&self, query: Query) -> ProbeFuture {
        let engine = self.clone();
        Box::pin(async move {
            let (needs, plain) = (special(&query), Query::plain(query.address, query.timeout));
            let again = Query { latest_ns: query.latest_ns, ..plain };
            if needs.is_none() && !engine.refusal().worth_trying(Instant::now()) {
                return engine.sntp.probe(query).await;
            }
            match engine.kernel.clone().try_probe(query).await {
                Ok(report) => {
                    // A poll that could not open a socket says nothing about timestamps.
                    if report.timestamping.is_some() && engine.refusal().given() {
                        info!(engine.log, "kernel timestamps are available again");
                    }
                    report
                }
                Err(why) => {
                    if engine.refusal().refused(Instant::now()) {
                        warn!(engine.log, "no kernel timestamps, falling back to the less precise portable engine";
                            "reason" => %why);
                    }
                    // Nothing was sent yet, so the poll still sends one datagram. A query with NTS is never repeated
                    // without NTS.
                    match needs {
                        None => engine.sntp.probe(again).await,
                        Some(what) => unable(&why, what),
                    }
                }
            }
        })
    }
}

/// What a query needs that the portable engine cannot do.
fn special(query: &Query) -> Option<&'static str> {
    let question = query.question.map(|_| "the questions of a protocol sheet");
    query.ticket.as_ref().map(|_| "NTS").or(question)
}

fn unable(why: &NoStamps, what: &str) -> ProbeReport {
    let why = format!("{why}, and the portable engine does not support {what}");
    ProbeReport::failed(crate::clock::now(), Outcome::Fault(why.into()))
}

/// When the kernel last refused timestamps. The caller passes the time.
#[derive(Debug, Default)]
struct Refusal {
    at: Option<Instant>,
}

impl Refusal {
    /// Whether the kernel should be asked again.
    fn worth_trying(&self, now: Instant) -> bool {
        self.at.is_none_or(|at| now.duration_since(at) >= RETEST_AFTER)
    }

    /// Records a refusal. Returns whether it is new.
    fn refused(&mut self, now: Instant) -> bool {
        self.at.replace(now).is_none()
    }

    /// Clears the refusal. Returns whether there was one.
    fn given(&mut self) -> bool {
        self.at.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::responder::{PATIENCE, Responder, answer};
    use ntp_monitor_core::sample::Timestamping;

    async fn way(engine: &dyn ProbeEngine) -> Option<Timestamping> {
        let server = Responder::start("127.0.0.1:0", |request| vec![answer(request).to_bytes().to_vec()]);
        let report = engine.probe(Query::plain(server.address, PATIENCE)).await;
        assert_eq!(report.outcome, Outcome::Sample);
        report.timestamping
    }

    #[tokio::test]
    async fn configured_engine_decides_the_timestamping() {
        let engines = Engines::new(&Logger::root(slog::Discard, slog::o!()));
        assert_eq!(way(&*engines.choose(EngineChoice::Kernel)).await, Some(Timestamping::Kernel));
        assert_eq!(way(&*engines.choose(EngineChoice::Sntp)).await, Some(Timestamping::Userland));
    }

    #[tokio::test]
    async fn portable_engine_measures_while_the_kernel_refuses() {
        let engine = AutoEngine::new(Arc::new(SntpEngine::new()), &Logger::root(slog::Discard, slog::o!()));
        engine.refusal().refused(Instant::now());
        assert_eq!(way(&engine).await, Some(Timestamping::Userland));
    }

    #[test]
    fn refusal_is_new_once_and_retested_after_an_hour() {
        let start = Instant::now();
        let mut refusal = Refusal::default();
        assert!(refusal.worth_trying(start));
        assert!(refusal.refused(start));
        assert!(!refusal.worth_trying(start + RETEST_AFTER / 2));
        assert!(refusal.worth_trying(start + RETEST_AFTER));
        assert!(!refusal.refused(start + RETEST_AFTER), "still refused is no news");
        assert!(refusal.given() && !refusal.given());
        assert!(refusal.worth_trying(start + RETEST_AFTER));
    }
}
