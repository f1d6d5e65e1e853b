//! The writer. A batch is one transaction with a row of the journal, the InfluxDB lines and the rollup updates of the
//! samples that are new.

mod fleet;
mod keep;
mod pack;
mod repair;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use slog::{Logger, debug, warn};

use super::command::{Command, Reply};
use super::damage::Damage;
use super::db::Db;
use super::error::StoreError;
use super::fleet::journal::Journal;
use super::handle::StoreHandle;
use super::meta;
use super::notices::{self, Queues};
use super::nts::NtsCounters;
use super::outbox::{self, Totals};
use super::pending::Pending;
use super::recent::RecentSamples;
use super::record::Record;
use super::retention::{Horizons, Pruner, RetentionClock};
use super::rollup::Grain;
use super::rollup_table::OpenRollups;
use super::samples::{Known, Mover, Progress, Samples};
use super::series::SeriesCache;
use super::{Options, alerts, audit, clock, events, evidence, kisses, local_rows, sheets, verdict_state};
use crate::sinks::influx::outbox::OutboxGauge;
use crate::sinks::worker::{BatchWriter, Incident, WriteError};
use crate::stages::{Stage, Stopwatch};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::Sample;

/// Appends the lines of a sample to the buffer and returns their number.
pub type Encoder = Box<dyn FnMut(&Sample, &mut Vec<u8>) -> u32 + Send>;

/// Number of ticks between two runs of upkeep.
const UPKEEP_TICKS: u32 = 60;
/// Time in which another program may put a removed file back, or another in its place, before the store is repaired.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two attempts to repair the store at the end.
const RETRY: Duration = Duration::from_millis(100);

/// Writes the store; owned by its thread ([`crate::sinks::worker`]).
pub struct Writer {
    db: Db,
    cache: Cache,
    encoder: Option<Encoder>,
    journal: Option<Journal>,
    nts: NtsCounters,
    totals: Totals,
    queues: Queues,
    vantage: String,
    keep: Horizons,
    outbox_max_age: Duration,
    outbox_max_bytes: u64,
    clock: RetentionClock,
    recent: RecentSamples,
    damage: Damage,
    progress: Progress,
    incidents: Vec<Incident>,
    ticks: u32,
    /// Ticks since the journal was packed.
    since_pack: u32,
    log: Logger,
}

/// Caches of the content of the file. They must be reset after a transaction that did not commit, and after another
/// connection wrote.
#[derive(Default)]
struct Cache {
    series: SeriesCache,
    samples: Known,
    mover: Mover,
    pending: Pending,
    pruner: Pruner,
}

impl Writer {
    pub(super) fn new(options: &Options, handle: &StoreHandle, encoder: Option<Encoder>, log: Logger) -> Self {
        Self {
            db: Db::new(handle.location(), options.max_pages),
            cache: Cache::default(),
            encoder,
            journal: None,
            nts: NtsCounters::default(),
            totals: handle.totals(),
            queues: handle.queues(),
            vantage: options.vantage.clone(),
            keep: options.horizons(),
            outbox_max_age: options.outbox_max_age,
            outbox_max_bytes: options.outbox_max_bytes,
            clock: RetentionClock::default(),
            recent: handle.recent(),
            damage: handle.location().damage(),
            progress: handle.progress(),
            incidents: Vec::new(),
            ticks: 0,
            since_pack: 0,
            log,
        }
    }

    /// Checks the files, then runs `work` in a transaction, and updates the outbox gauge.
    fn transact<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Connection, &mut Cache, &mut OutboxGauge) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.check_files(PATIENCE)?;
        self.transact_unchecked(doing, work)
    }

    fn transact_unchecked<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Connection, &mut Cache, &mut OutboxGauge) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let Self { db, cache, totals, log, .. } = self;
        let mut gauge = totals.get();
        let result = db.transact(doing, |tx, others_wrote| {
            if others_wrote {
                *cache = Cache::default();
                let counted = outbox::count(tx)?;
                if counted != gauge {
                    warn!(log, "another program changed the outbox; its rows were counted again";
                        "lines" => counted.lines, "before" => gauge.lines);
                }
                gauge = counted;
            }
            work(tx, cache, &mut gauge)
        });
        match &result {
            Ok(_) => totals.set(gauge),
            // The cache may contain changes that were rolled back.
            Err(_) => *cache = Cache::default(),
        }
        result
    }

    /// Writes samples in one transaction, after `first`.
    fn append(
        &mut self,
        batch: &[Arc<Sample>],
        first: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let (mut encoder, mut journal) = (self.encoder.take(), self.journal.take());
        let mut nts = std::mem::take(&mut self.nts);
        let damage = self.damage.clone();
        let result = self.transact_unchecked("write samples", |tx, cache, gauge| {
            first(tx)?;
            let takers = Takers { encoder: encoder.as_mut(), journal: journal.as_mut(), nts: &mut nts };
            append(Samples::new(tx, &damage), cache, takers, batch, gauge)
        });
        nts.settle(result.is_ok());
        (self.encoder, self.journal, self.nts) = (encoder, journal, nts);
        self.settle_journal(result.is_ok());
        result
    }

    fn answer<T>(
        &mut self,
        reply: Reply<T>,
        doing: &'static str,
        work: impl FnOnce(&Connection, &mut OutboxGauge) -> rusqlite::Result<T>,
    ) {
        let result = self.transact(doing, |tx, _, gauge| work(tx, gauge));
        self.send(reply, doing, result);
    }

    /// As [`Self::answer`], for work that changes the notification queues.
    fn answer_queued<T>(
        &mut self,
        reply: Reply<T>,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) {
        let done = self.transact(doing, |tx, _, _| Ok((work(tx)?, notices::count(tx)?)));
        let result = done.map(|(value, waiting)| {
            self.queues.set(waiting, &BTreeMap::new());
            value
        });
        self.send(reply, doing, result);
    }

    fn send<T>(&self, reply: Reply<T>, doing: &'static str, result: Result<T, StoreError>) {
        if reply.send(result.map_err(WriteError::from)).is_err() {
            debug!(self.log, "the requester no longer waits for the reply"; "command" => doing);
        }
    }
}

/// The receivers of each new sample, apart from the tables of samples.
struct Takers<'a> {
    encoder: Option<&'a mut Encoder>,
    journal: Option<&'a mut Journal>,
    nts: &'a mut NtsCounters,
}

/// Writes the new samples of `batch`; samples that exist already are skipped.
fn append(
    samples: Samples<'_>,
    Cache { series, pending, samples: known, .. }: &mut Cache,
    Takers { mut encoder, mut journal, nts }: Takers<'_>,
    batch: &[Arc<Sample>],
    gauge: &mut OutboxGauge,
) -> rusqlite::Result<()> {
    let Some(newest_ns) = batch.iter().map(|sample| sample.at.wall_ns).max() else { return Ok(()) };
    let conn = samples.conn;
    let later = pending.follow(samples, newest_ns)?;
    let mut records = Vec::with_capacity(batch.len());
    let mut rollups = Grain::ALL.map(OpenRollups::new);
    let (mut lines, mut body) = (0, Vec::new());
    for sample in batch {
        let id = series.id_of(conn, sample)?;
        let is_new = known.is_new(samples, &records, id, sample.at.wall_ns)?;
        nts.note(conn, id, sample, is_new)?;
        if !is_new {
            continue;
        }
        let record = Record::of(id, sample);
        kisses::note(conn, &record)?;
        records.push(record);
        if !later.is_some_and(|span| span.contains(sample.at.wall_ns)) {
            for open in &mut rollups {
                open.add(conn, id, sample)?;
            }
        }
        for refused in &sample.rejected {
            evidence::insert(conn, id, refused)?;
        }
        if let Some(journal) = &mut journal {
            journal.add(sample);
        }
        if let Some(encode) = &mut encoder {
            lines += encode(sample, &mut body);
        }
    }
    samples.append(&records)?;
    known.appended(&records);
    rollups.into_iter().try_for_each(|open| open.save(conn))?;
    let now_ns = crate::clock::now().wall_ns;
    journal.map_or(Ok(()), |journal| journal.save(conn, now_ns))?;
    outbox::push(conn, gauge, now_ns, lines, &body)
}

impl BatchWriter for Writer {
    type Command = Command;

    fn write(&mut self, batch: &[Arc<Sample>]) -> Result<(), WriteError> {
        let stopwatch = Stopwatch::start(Stage::Store);
        self.check_files(PATIENCE)?;
        self.append(batch, |_| Ok(()))?;
        stopwatch.stop(batch.len());
        self.recent.extend(batch);
        self.pack_if_due();
        Ok(())
    }

    fn command(&mut self, command: Command) {
        let now_ns = crate::clock::now().wall_ns;
        match command {
            Command::OutboxDone { ids, reply } => {
                self.answer(reply, "delete lines from the outbox", |conn, gauge| {
                    outbox::remove(conn, gauge, &ids).map(drop)
                });
            }
            Command::Quarantine { lines, reply } => {
                self.answer(reply, "quarantine rejected lines", |conn, gauge| {
                    outbox::quarantine(conn, gauge, now_ns, &lines)
                });
            }
            Command::Lines { lines, body, reply } => {
                self.answer(reply, "append lines to the outbox", |conn, gauge| {
                    outbox::push(conn, gauge, now_ns, lines, &body)
                });
            }
            Command::RecordEvent { event, replaces, reply } => {
                self.answer(reply, "record an event", |conn, _| events::record(conn, &event, replaces.as_ref()));
            }
            Command::Audit { entry, reply } => {
                self.answer(reply, "record an audit entry", |conn, _| audit::record(conn, &entry));
            }
            Command::Clock { point, reply } => {
                self.answer(reply, "record the clock state", |conn, _| clock::insert(conn, &point));
            }
            Command::LocalRow { row, reply } => {
                self.answer(reply, "record a local row", |conn, _| local_rows::insert(conn, &row));
            }
            Command::VerdictState { state, reply } => {
                self.answer(reply, "keep the state of the verdict", |conn, _| verdict_state::keep(conn, state));
            }
            Command::Sheets { sheets, reply } => {
                self.answer(reply, "keep protocol sheets", |conn, _| sheets::keep(conn, &sheets, now_ns));
            }
            Command::Notice { command, reply } => {
                self.answer_queued(reply, "change the notification queue", |conn| {
                    notices::apply(conn, command, now_ns)
                });
            }
            Command::Alerts { command, reply } => {
                self.answer_queued(reply, "record alerts", |conn| alerts::apply(conn, &command, now_ns));
            }
            Command::FleetCommitted { ranges, reply } => {
                let result = self.remove_committed(&ranges);
                self.send(reply, "delete what a hub has stored", result);
            }
            Command::FleetKeep { key, value, reply } => {
                self.answer(reply, "keep what the fleet said", |conn, _| meta::set(conn, key, value));
            }
            Command::FleetReceive { batch, reply } => {
                let result = self.receive(&batch);
                self.send(reply, "store samples of the fleet", result);
            }
            Command::PruneNow { reply } => {
                let result = self.prune_all();
                self.send(reply, "prune", result);
            }
        }
    }

    fn tick(&mut self, now: Stamp) -> Result<(), WriteError> {
        self.keep_lock()?;
        self.prune(now, false)?;
        self.pack_when_due()?;
        self.move_some()?;
        self.note_damage();
        self.ticks += 1;
        if self.ticks >= UPKEEP_TICKS {
            self.ticks = 0;
            self.upkeep(now)?;
            self.prune_fleet()?;
        } else if self.journal.as_ref().is_some_and(Journal::is_over) {
            self.bound_journal()?;
        }
        Ok(())
    }

    /// Repairs the store before the connection is closed.
    fn settle(&mut self, until: Instant) -> Result<(), WriteError> {
        loop {
            match self.check_files(Duration::ZERO) {
                Ok(()) => return Ok(()),
                Err(_) if Instant::now() + RETRY < until => std::thread::sleep(RETRY),
                Err(why) => {
                    self.incidents.push(Incident { what: why.to_string(), lost: self.recent.written() });
                    return Err(why.into());
                }
            }
        }
    }

    fn incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.incidents)
    }
}
