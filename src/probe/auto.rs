//! Which engine measures: the kernel's stamps where the kernel gives them, otherwise the portable engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::time::Instant;

use super::{KernelEngine, ProbeEngine, ProbeFuture, Query, SntpEngine};
use crate::config::EngineChoice;

/// How long a refusal is believed: a sandbox rarely changes, and asking costs a socket.
const RETEST_AFTER: Duration = Duration::from_secs(3600);

/// The engines of this process: one of each, shared by every prober.
#[derive(Clone)]
pub struct Engines {
    auto: Arc<dyn ProbeEngine>,
    sntp: Arc<dyn ProbeEngine>,
}

impl Engines {
    /// Prepares them; takes about a millisecond.
    #[must_use]
    pub fn new(log: &Logger) -> Self {
        let sntp = Arc::new(SntpEngine::new());
        let auto = AutoEngine::new(Arc::clone(&sntp), log);
        Self { auto: Arc::new(auto), sntp }
    }

    /// Engines of the caller's making, for simulations: `kernel` and its fallback in one, and the portable one.
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

/// Kernel timestamps, or [`SntpEngine`] for as long as the kernel refuses them. The sample says which it was.
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
        // One `Option` cannot be left half-written.
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProbeEngine for AutoEngine {
    fn probe(&self, query: Query) -> ProbeFuture {
        let engine = self.clone();
        Box::pin(async move {
            if !engine.refusal().worth_trying(Instant::now()) {
                return engine.sntp.probe(query).await;
            }
            match engine.kernel.clone().try_probe(query).await {
                Ok(report) => {
                    // A poll that had no socket tells nothing of stamps.
                    if report.timestamping.is_some() && engine.refusal().given() {
                        info!(engine.log, "the kernel gives timestamps again");
                    }
                    report
                }
                Err(why) => {
                    if engine.refusal().refused(Instant::now()) {
                        warn!(engine.log, "measuring with the portable engine, which is less exact"; "reason" => %why);
                    }
                    // Nothing was sent, so this is still one datagram.
                    engine.sntp.probe(query).await
                }
            }
        })
    }
}

/// When the kernel last refused stamps. Reads no clock.
#[derive(Debug, Default)]
struct Refusal {
    at: Option<Instant>,
}

impl Refusal {
    /// Whether to ask the kernel.
    fn worth_trying(&self, now: Instant) -> bool {
        self.at.is_none_or(|at| now.duration_since(at) >= RETEST_AFTER)
    }

    /// Remembers a refusal. Returns whether it is news.
    fn refused(&mut self, now: Instant) -> bool {
        self.at.replace(now).is_none()
    }

    /// Forgets the refusal. Returns whether that is news.
    fn given(&mut self) -> bool {
        self.at.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::responder::{PATIENCE, Responder, answer};
    use ntp_monitor_core::sample::{Outcome, Timestamping};

    async fn way(engine: &dyn ProbeEngine) -> Option<Timestamping> {
        let server = Responder::start("127.0.0.1:0", |request| vec![answer(request).to_bytes().to_vec()]);
        let report = engine.probe(Query { address: server.address, timeout: PATIENCE }).await;
        assert_eq!(report.outcome, Outcome::Sample);
        report.timestamping
    }

    #[tokio::test]
    async fn the_choice_decides_the_way_of_stamping() {
        let engines = Engines::new(&Logger::root(slog::Discard, slog::o!()));
        assert_eq!(way(&*engines.choose(EngineChoice::Kernel)).await, Some(Timestamping::Kernel));
        assert_eq!(way(&*engines.choose(EngineChoice::Sntp)).await, Some(Timestamping::Userland));
    }

    #[tokio::test]
    async fn while_the_kernel_refuses_the_portable_engine_measures() {
        let engine = AutoEngine::new(Arc::new(SntpEngine::new()), &Logger::root(slog::Discard, slog::o!()));
        engine.refusal().refused(Instant::now());
        assert_eq!(way(&engine).await, Some(Timestamping::Userland));
    }

    #[test]
    fn a_refusal_is_news_once_and_is_tested_again_after_an_hour() {
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
