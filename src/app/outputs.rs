//! The outputs: the store, CSV and InfluxDB, each a supervised child, in the order in which a sample passes through
//! them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::Addr;
use slog::{Logger, error, warn};
use tokio::sync::watch;

use super::stop::by;
use super::{StartError, fleet, gauges, recall};
use crate::actors::adoption::{Adopt, Factory, Release};
use crate::actors::health::SinkGauge;
use crate::actors::notice::DeathNotice;
use crate::actors::supervisor::Supervisor;
use crate::config::{Config, Csv, Influx};
use crate::sinks::csv::{CatchUp, CsvWriter};
use crate::sinks::influx::{self, InfluxClient, SenderConfig, SenderState};
use crate::sinks::queue::SinkQueue;
use crate::sinks::worker::{self, WriterGauge, WriterHandle};
use crate::store::{Encoder, Store, StoreHandle};
use ntp_monitor_core::health::child::Role;
use ntp_monitor_core::sample::Sample;

/// Room for 105 s of samples at 625 a second (10,000 servers at 16 s) while the store cannot be written. A store that
/// retries failed writes holds the same number in addition.
const JOURNAL_QUEUE: usize = 65_536;
const CSV_QUEUE: usize = 65_536;
/// Part of the shutdown time that is reserved for the web server and for closing the store.
const RESERVE: Duration = Duration::from_secs(1);
/// When outputs stop, this is the time to send the outbox to InfluxDB. The rest is sent after the next start.
const SEND_WITHIN: Duration = Duration::from_secs(2);
/// At a reload the old outputs get this long to write their queues; the rest passes to their successors.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

const STORE: &str = "store";
const CSV: &str = "csv";
const INFLUX: &str = "influxdb";

/// The gauges of the outputs, by name.
pub(super) type Gauges = Arc<Mutex<BTreeMap<String, SinkGauge>>>;

pub(super) struct Outputs {
    store: Store,
    journal: SinkQueue<Arc<Sample>>,
    csv_queue: SinkQueue<Arc<Sample>>,
    csv_writer: WriterHandle<Infallible>,
    csv_catch_up: CatchUp,
    /// The directory of the CSV files being written.
    csv_dir: Option<PathBuf>,
    /// Setting a deadline makes the sender empty the outbox and stop. Every incarnation of the sender and the factory
    /// hold a receiver.
    influx: Option<watch::Sender<Option<Instant>>>,
    supervisor: Addr<Supervisor>,
    gauges: Gauges,
    log: Logger,
}

impl Outputs {
    pub(super) async fn start(
        config: &Config,
        store: Store,
        supervisor: Addr<Supervisor>,
        gauges: Gauges,
        log: &Logger,
    ) -> Result<Self, StartError> {
        let mut outputs = Self {
            store,
            journal: SinkQueue::new(STORE, JOURNAL_QUEUE),
            csv_queue: SinkQueue::new(CSV, CSV_QUEUE),
            csv_writer: WriterHandle::default(),
            csv_catch_up: CatchUp::default(),
            csv_dir: None,
            influx: None,
            supervisor,
            gauges,
            log: log.clone(),
        };
        outputs.examine(config)?;
        if let Some(csv) = &config.csv {
            outputs.catch_up(csv).await;
        }
        outputs.launch(config)?;
        Ok(outputs)
    }

    /// Checks whether the outputs of `config` can be opened, without changing anything that runs. Repairs CSV files
    /// that are not being written.
    pub(super) fn examine(&self, config: &Config) -> Result<(), StartError> {
        if let Some(csv) = &config.csv {
            let is_written_now = self.csv_dir.as_ref() == Some(&csv.dir);
            let examined = match is_written_now {
                true => CsvWriter::examine(&csv.dir),
                false => CsvWriter::new(csv.clone(), &config.monitor.vantage, self.log.clone()).map(drop),
            };
            examined.map_err(StartError::Csv)?;
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

    /// The writer threads that should be running: the name of the child and its gauge.
    pub(super) fn writers(&self) -> Vec<(String, WriterGauge)> {
        let csv = self.csv_dir.as_ref().map(|_| (child(CSV), self.csv_writer.gauge()));
        std::iter::once((child(STORE), self.store().writer().gauge())).chain(csv).collect()
    }

    /// Stops the outputs and starts those of `config`, which take over unwritten samples.
    pub(super) async fn replace(&mut self, config: &Config) -> Result<(), StartError> {
        self.drain_outputs(Instant::now() + DRAIN_WITHIN, Some(config)).await;
        self.launch(config)
    }

    /// Stops the outputs permanently, by `until` at the latest. `is_settled` means that no poll is in progress.
    pub(super) async fn stop(mut self, until: Instant, is_settled: bool) {
        self.drain_outputs(until.checked_sub(RESERVE).unwrap_or(until), None).await;
        let is_written = self.journal.gauge().depth == 0 && self.store().writer().gauge().abandoned == 0;
        if is_settled
            && is_written
            && let Err(why) = self.store.settle()
        {
            warn!(self.log, "cannot record a clean shutdown, the next start will delay its polls"; "reason" => %why);
        }
    }

    fn launch(&mut self, config: &Config) -> Result<(), StartError> {
        if let Some(csv) = &config.csv {
            self.launch_csv(csv, &config.monitor.vantage);
        }
        self.launch_store(config);
        if let Some(influx) = &config.influxdb {
            self.launch_influx(influx)?;
        }
        Ok(())
    }

    /// Finds samples that reached the store but not the CSV files before the last crash.
    async fn catch_up(&self, config: &Csv) {
        let (dir, catch_up) = (config.dir.clone(), self.csv_catch_up.clone());
        if let Err(why) = self.store().read(move |reader| recall::lost_rows(reader, &dir, &catch_up)).await {
            warn!(self.log, "cannot check whether the CSV files lack samples"; "reason" => %why);
        }
    }

    fn launch_csv(&mut self, config: &Csv, vantage: &str) {
        self.csv_dir = Some(config.dir.clone());
        let gauge = gauges::of_writer(self.csv_queue.clone(), self.csv_writer.clone());
        let (queue, log, config, vantage) =
            (self.csv_queue.clone(), self.log.clone(), config.clone(), vantage.to_owned());
        let (worker, journal) = (self.csv_writer.clone(), recall::journal(self.store()));
        let catch_up = self.csv_catch_up.clone();
        self.adopt(
            CSV,
            Role::Sink,
            gauge,
            Box::new(move |notice| {
                match CsvWriter::new(config.clone(), &vantage, log.clone()) {
                    Ok(writer) => {
                        let writer = writer.with_journal(Arc::clone(&journal)).catching_up(catch_up.clone());
                        run_worker(writer, &queue, None, &worker, &log, notice);
                    }
                    // Dropping the notice makes the supervisor retry later.
                    Err(why) => warn!(log, "cannot open the CSV files"; "reason" => %why),
                }
                Box::new(|| ())
            }),
        );
    }

    fn launch_store(&mut self, config: &Config) {
        let next = self.csv_dir.as_ref().map(|_| self.csv_queue.clone());
        let vantage = config.influxdb.as_ref().map(|_| config.monitor.vantage.clone());
        let gauge = gauges::of_writer(self.journal.clone(), self.store().writer().clone());
        let agent = config.fleet.clone().filter(|fleet| fleet.role.is_agent());
        let (store, queue, log) = (self.store.clone(), self.journal.clone(), self.log.clone());
        self.adopt(
            STORE,
            Role::Core,
            gauge,
            Box::new(move |notice| {
                let writer = store.writer(vantage.clone().map(encoder));
                let writer = match &agent {
                    Some(fleet) => fleet::journalling(writer, fleet, &store),
                    None => writer,
                };
                run_worker(writer, &queue, next.clone(), store.handle().writer(), &log, notice);
                Box::new(|| ())
            }),
        );
    }

    fn launch_influx(&mut self, config: &Influx) -> Result<(), StartError> {
        let (shutdown, watching) = watch::channel(None);
        let state = Arc::new(SenderState::default());
        let (outbox, log, config) = (Arc::new(self.store()), self.log.clone(), config.clone());
        let gauge = gauges::of_influx(self.store(), Arc::clone(&state));
        let client = InfluxClient::new(&config)?;
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
                actix_rt::spawn(async move {
                    let _held = notice;
                    sender.await;
                });
                Box::new(|| ())
            }),
        );
        self.influx = Some(shutdown);
        Ok(())
    }

    fn adopt(&self, name: &str, role: Role, gauge: SinkGauge, factory: Factory) {
        self.gauges().insert(name.to_owned(), gauge);
        self.supervisor.do_send(Adopt { name: child(name).into(), role, factory });
    }

    /// Writes the queues to the outputs, in the order of the data flow, and stops the outputs, by `until`. Samples that
    /// could not be written pass to the outputs of `next`; without successors they are dropped and counted.
    async fn drain_outputs(&mut self, until: Instant, next: Option<&Config>) {
        let store = self.store();
        // The sender deletes sent lines through the store's thread, so the store stops after it. If the store cannot be
        // written, this wait ends at the deadline.
        let _ = by(until, store.writer().settled()).await;
        if let Some(influx) = self.influx.take() {
            self.release(INFLUX);
            let sent_by = until.min(Instant::now() + SEND_WITHIN);
            influx.send_replace(Some(sent_by));
            // Lines still being sent at the deadline stay in the outbox.
            let _ = by(until, influx.closed()).await;
        }
        self.release(STORE);
        let ended = if next.is_some() { store.writer().hand_over(until) } else { store.writer().drain(until) };
        self.ended(STORE, ended, until).await;
        if self.csv_dir.take().is_some() {
            self.release(CSV);
            let is_followed = next.is_some_and(|next| next.csv.is_some());
            let ended = if is_followed { self.csv_writer.hand_over(until) } else { self.csv_writer.drain(until) };
            self.ended(CSV, ended, until).await;
        }
    }

    fn release(&self, name: &str) {
        self.gauges().remove(name);
        self.supervisor.do_send(Release { name: child(name).into() });
    }

    async fn ended(&self, name: &str, done: crossbeam_channel::Receiver<()>, until: Instant) {
        let patience = (until + RESERVE / 2).saturating_duration_since(Instant::now());
        let ended = tokio::task::spawn_blocking(move || done.recv_timeout(patience)).await;
        if !matches!(ended, Ok(Ok(()))) {
            error!(self.log, "an output did not stop in time"; "sink" => name);
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
        error!(log, "cannot start the thread of an output"; "sink" => queue.gauge().name, "reason" => %why);
    }
}
