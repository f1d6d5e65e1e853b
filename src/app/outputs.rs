//! The outputs of the service: the store, CSV and InfluxDB, each a supervised child, in the order in which a sample
//! passes them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::Addr;
use slog::{Logger, error, info, warn};
use tokio::sync::watch;

use super::{StartError, recall, wait_for};
use crate::actors::census::Role;
use crate::actors::health::SinkGauge;
use crate::actors::notice::DeathNotice;
use crate::actors::supervisor::Supervisor;
use crate::clock::Stamp;
use crate::config::{Config, Csv, Influx};
use crate::health::report::SinkHealth;
use crate::messages::lifecycle::{Adopt, Factory, Release};
use crate::sample::Sample;
use crate::sinks::csv::CsvWriter;
use crate::sinks::influx::outbox::OutboxGauge;
use crate::sinks::influx::{self, InfluxClient, SenderConfig, SenderLabel, SenderState};
use crate::sinks::queue::SinkQueue;
use crate::sinks::worker::{self, WriterGauge, WriterHandle};
use crate::store::{Encoder, Store, StoreHandle};

/// At 625 samples a second (10 000 servers at 16 s) this is 105 s of a store that does not even try; a store that
/// tries and fails holds as many again.
const JOURNAL_QUEUE: usize = 65_536;
const CSV_QUEUE: usize = 65_536;
/// What the web and the store need of the time that is given to stop.
const RESERVE: Duration = Duration::from_secs(2);

const STORE: &str = "store";
const CSV: &str = "csv";
const INFLUX: &str = "influxdb";

/// What health reads of the outputs, by name.
pub(super) type Gauges = Arc<Mutex<BTreeMap<String, SinkGauge>>>;

pub(super) struct Outputs {
    store: Store,
    journal: SinkQueue<Arc<Sample>>,
    csv_queue: SinkQueue<Arc<Sample>>,
    csv: Option<WriterHandle<Infallible>>,
    /// Where CSV files were written last.
    csv_dir: Option<PathBuf>,
    influx: Option<InfluxOutput>,
    supervisor: Addr<Supervisor>,
    gauges: Gauges,
    log: Logger,
}

struct InfluxOutput {
    /// Set to a deadline, it makes the sender empty the outbox and end.
    shutdown: watch::Sender<Option<Instant>>,
    /// Incarnations alive.
    alive: Arc<()>,
}

impl Outputs {
    pub(super) async fn start(
        config: &Config,
        store: Store,
        supervisor: Addr<Supervisor>,
        gauges: Gauges,
        log: &Logger,
    ) -> Result<Self, StartError> {
        Self::try_out(config, log)?;
        let mut outputs = Self {
            store,
            journal: SinkQueue::new(STORE, JOURNAL_QUEUE),
            csv_queue: SinkQueue::new(CSV, CSV_QUEUE),
            csv: None,
            csv_dir: None,
            influx: None,
            supervisor,
            gauges,
            log: log.clone(),
        };
        outputs.launch(config).await?;
        Ok(outputs)
    }

    /// Finds out whether the outputs of `config` can be opened, without changing anything that runs.
    pub(super) fn try_out(config: &Config, log: &Logger) -> Result<(), StartError> {
        if let Some(csv) = &config.csv {
            CsvWriter::new(csv.clone(), &config.monitor.vantage, log.clone()).map_err(StartError::Csv)?;
        }
        if let Some(influx) = &config.influxdb {
            InfluxClient::new(influx)?;
        }
        Ok(())
    }

    pub(super) fn journal(&self) -> SinkQueue<Arc<Sample>> {
        self.journal.clone()
    }

    pub(super) fn store(&self) -> StoreHandle {
        self.store.handle()
    }

    /// The writer threads that are meant to run, each with the name of its child and what it shows of itself.
    pub(super) fn writers(&self) -> Vec<(String, WriterGauge)> {
        let csv = self.csv.as_ref().map(|csv| (child(CSV), csv.gauge()));
        std::iter::once((child(STORE), self.store().writer().gauge())).chain(csv).collect()
    }

    /// Stops the outputs, keeping the queues, and starts those of `config`.
    pub(super) async fn replace(&mut self, config: &Config) -> Result<(), StartError> {
        self.land(Instant::now() + Duration::from_secs(10)).await;
        self.launch(config).await
    }

    /// Stops the outputs for good, by `until` at the latest. `is_settled` says that no poll is under way any more.
    pub(super) async fn stop(mut self, until: Instant, is_settled: bool) {
        self.land(until.checked_sub(RESERVE).unwrap_or(until)).await;
        let is_written = self.journal.gauge().depth == 0 && self.store().writer().gauge().abandoned == 0;
        if is_settled
            && is_written
            && let Err(why) = self.store.settle()
        {
            warn!(self.log, "the next start will be more cautious than it need be"; "reason" => %why);
        }
    }

    async fn launch(&mut self, config: &Config) -> Result<(), StartError> {
        if let Some(csv) = &config.csv {
            // Files that are begun elsewhere at a reload lack nothing: those before them were finished.
            if self.csv_dir.as_ref().is_none_or(|dir| *dir == csv.dir) {
                self.catch_up(csv).await;
            }
            self.csv_dir = Some(csv.dir.clone());
            self.launch_csv(csv, &config.monitor.vantage);
        }
        self.launch_store(config);
        if let Some(influx) = &config.influxdb {
            self.launch_influx(influx)?;
        }
        Ok(())
    }

    /// Gives CSV what a kill kept from it: samples that the store has and the files lack.
    async fn catch_up(&self, config: &Csv) {
        let (dir, queue) = (config.dir.clone(), self.csv_queue.clone());
        match self.store().read(move |reader| recall::lost_rows(reader, &dir, &queue)).await {
            Ok(0) => {}
            Ok(count) => info!(self.log, "samples that an earlier process did not bring into the CSV files follow";
                "samples" => count),
            Err(why) => warn!(self.log, "the CSV files may lack samples of an earlier process"; "reason" => %why),
        }
    }

    fn launch_csv(&mut self, config: &Csv, vantage: &str) {
        let handle = WriterHandle::default();
        let gauge = writer_gauge(self.csv_queue.clone(), handle.clone());
        let (queue, log, config, vantage) =
            (self.csv_queue.clone(), self.log.clone(), config.clone(), vantage.to_owned());
        let worker = handle.clone();
        self.adopt(
            CSV,
            Role::Sink,
            gauge,
            Box::new(move |notice| {
                match CsvWriter::new(config.clone(), &vantage, log.clone()) {
                    Ok(writer) => run_worker(writer, &queue, None, &worker, &log, notice),
                    // The notice is dropped here: the supervisor tries again later.
                    Err(why) => warn!(log, "the CSV files cannot be opened"; "reason" => %why),
                }
                Box::new(|| ())
            }),
        );
        self.csv = Some(handle);
    }

    fn launch_store(&mut self, config: &Config) {
        let next = self.csv.is_some().then(|| self.csv_queue.clone());
        let vantage = config.influxdb.as_ref().map(|_| config.monitor.vantage.clone());
        let gauge = writer_gauge(self.journal.clone(), self.store().writer().clone());
        let (store, queue, log) = (self.store.clone(), self.journal.clone(), self.log.clone());
        self.adopt(
            STORE,
            Role::Core,
            gauge,
            Box::new(move |notice| {
                let writer = store.writer(vantage.clone().map(encoder));
                run_worker(writer, &queue, next.clone(), store.handle().writer(), &log, notice);
                Box::new(|| ())
            }),
        );
    }

    fn launch_influx(&mut self, config: &Influx) -> Result<(), StartError> {
        let (shutdown, watching) = watch::channel(None);
        let alive = Arc::new(());
        let state = Arc::new(SenderState::default());
        let (outbox, log, config) = (Arc::new(self.store()), self.log.clone(), config.clone());
        let gauge = influx_gauge(self.store(), Arc::clone(&state));
        let client = InfluxClient::new(&config)?;
        let token = Arc::clone(&alive);
        self.adopt(
            INFLUX,
            Role::Sink,
            gauge,
            Box::new(move |notice| {
                let sender = influx::run(
                    Arc::clone(&outbox),
                    client.clone(),
                    SenderConfig::from(&config),
                    Arc::clone(&state),
                    log.clone(),
                    watching.clone(),
                );
                let token = Arc::clone(&token);
                actix_rt::spawn(async move {
                    let _held = (notice, token);
                    sender.await;
                });
                Box::new(|| ())
            }),
        );
        self.influx = Some(InfluxOutput { shutdown, alive });
        Ok(())
    }

    fn adopt(&self, name: &str, role: Role, gauge: SinkGauge, factory: Factory) {
        self.gauges().insert(name.to_owned(), gauge);
        self.supervisor.do_send(Adopt { name: child(name).into(), role, factory });
    }

    /// Empties the queues into the outputs, in the order of the flow, and ends them.
    async fn land(&mut self, until: Instant) {
        let journal = self.journal.clone();
        let store = self.store();
        // The sender needs the store's thread to take out what was sent, so the store ends after it.
        wait_for(|| journal.gauge().depth == 0 && store.writer().gauge().in_hand == 0, until).await;
        if let Some(influx) = self.influx.take() {
            self.release(INFLUX);
            influx.shutdown.send_replace(Some(until));
            // One reference is ours, one the factory's, until the supervisor has dropped it.
            wait_for(|| Arc::strong_count(&influx.alive) == 1, until).await;
        }
        self.release(STORE);
        self.ended(STORE, store.writer().drain(until), until).await;
        if let Some(csv) = self.csv.take() {
            self.release(CSV);
            self.ended(CSV, csv.drain(until), until).await;
        }
    }

    fn release(&self, name: &str) {
        self.gauges().remove(name);
        self.supervisor.do_send(Release { name: child(name).into() });
    }

    async fn ended(&self, name: &str, done: crossbeam_channel::Receiver<()>, until: Instant) {
        if !wait_for(|| done.try_recv().is_ok(), until + RESERVE / 2).await {
            error!(self.log, "an output did not end in time"; "sink" => name);
        }
    }

    fn gauges(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, SinkGauge>> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn child(name: &str) -> String {
    format!("sink/{name}")
}

fn encoder(vantage: String) -> Encoder {
    let mut lines = influx::SampleLines::new(vantage);
    Box::new(move |sample, out| {
        lines.append(out, sample);
        1
    })
}

fn run_worker<W: worker::BatchWriter>(
    writer: W,
    queue: &SinkQueue<Arc<Sample>>,
    next: Option<SinkQueue<Arc<Sample>>>,
    handle: &WriterHandle<W::Command>,
    log: &Logger,
    notice: DeathNotice,
) {
    if let Err(why) = worker::spawn(writer, queue, next, handle, log, notice) {
        error!(log, "no thread for an output"; "sink" => queue.gauge().name, "reason" => %why);
    }
}

fn writer_gauge<C: Send + 'static>(queue: SinkQueue<Arc<Sample>>, handle: WriterHandle<C>) -> SinkGauge {
    Arc::new(move |now: Stamp| {
        let (queue, writer) = (queue.gauge(), handle.gauge());
        let age_ns = writer.oldest_mono_ns.map_or(0, |oldest| (now.mono_ns - oldest).max(0));
        SinkHealth {
            failing: writer.failing,
            queue_depth: queue.depth,
            queue_capacity: Some(queue.capacity),
            in_hand: writer.in_hand,
            dropped: queue.dropped + writer.abandoned,
            written: writer.written,
            failures: writer.failures,
            lag_s: age_ns as f64 / 1e9,
            last_error: writer.last_error,
        }
    })
}

fn influx_gauge(store: StoreHandle, state: Arc<SenderState>) -> SinkGauge {
    let lost = |outbox: OutboxGauge| outbox.dropped_lines + outbox.quarantined_lines;
    // The store counts since it was made; health tells of this process.
    let lost_before = lost(store.outbox_gauge());
    Arc::new(move |now: Stamp| {
        let (outbox, sender) = (store.outbox_gauge(), state.gauge());
        let failing = matches!(sender.state, SenderLabel::Retrying | SenderLabel::Paused);
        SinkHealth {
            failing,
            queue_depth: usize::try_from(outbox.lines).unwrap_or(usize::MAX),
            queue_capacity: None,
            in_hand: 0,
            dropped: lost(outbox).saturating_sub(lost_before),
            written: sender.sent_lines,
            failures: sender.failures,
            lag_s: outbox.oldest_ns.map_or(0.0, |oldest| (now.wall_ns - oldest).max(0) as f64 / 1e9),
            last_error: sender.last_error,
        }
    })
}
