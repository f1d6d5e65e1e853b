//! The one writer. A batch is one transaction: raw rows, InfluxDB lines and what is due of rollups, of the samples that
//! are new.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use slog::{Logger, debug, error, warn};

use super::command::{Command, Reply};
use super::db::Db;
use super::error::StoreError;
use super::notices::{self, Queues};
use super::outbox::{self, Totals};
use super::pending::Pending;
use super::retention::{self, Horizons, Pass, Pruner, RetentionClock};
use super::rollup::Grain;
use super::rollup_table::OpenRollups;
use super::series::SeriesCache;
use super::{Options, alerts, audit, clock, codec, events, evidence, meta};
use crate::sinks::influx::outbox::OutboxGauge;
use crate::sinks::worker::{BatchWriter, WriteError};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::Sample;

use std::sync::Arc;

/// Appends the lines of a sample to the buffer and returns how many there are.
pub type Encoder = Box<dyn FnMut(&Sample, &mut Vec<u8>) -> u32 + Send>;

/// Every how many ticks the file itself is looked after.
const UPKEEP_TICKS: u32 = 60;
/// Pages that one upkeep gives back to the file system.
const VACUUM_PAGES: i64 = 256;

/// Writes the store; owned by its thread ([`crate::sinks::worker`]).
pub struct Writer {
    db: Db,
    series: SeriesCache,
    pending: Pending,
    encoder: Option<Encoder>,
    totals: Totals,
    queues: Queues,
    keep: Horizons,
    outbox_max_age: Duration,
    outbox_max_bytes: u64,
    clock: RetentionClock,
    pruner: Pruner,
    ticks: u32,
    log: Logger,
}

impl Writer {
    pub(super) fn new(
        options: &Options,
        encoder: Option<Encoder>,
        totals: Totals,
        queues: Queues,
        log: Logger,
    ) -> Self {
        Self {
            db: Db::new(&options.path, options.max_pages),
            series: SeriesCache::default(),
            pending: Pending::default(),
            encoder,
            totals,
            queues,
            keep: options.horizons(),
            outbox_max_age: options.outbox_max_age,
            outbox_max_bytes: options.outbox_max_bytes,
            clock: RetentionClock::default(),
            pruner: Pruner::default(),
            ticks: 0,
            log,
        }
    }

    /// Runs `work` in a transaction, with the outbox gauge to keep up to date.
    fn transact<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Connection, &mut OutboxGauge) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut gauge = self.totals.get();
        let result = self.db.transact(doing, |tx| work(tx, &mut gauge));
        match &result {
            Ok(_) => self.totals.set(gauge),
            // What the cache learned may have been rolled back.
            Err(_) => self.series.clear(),
        }
        result
    }

    fn answer<T>(
        &mut self,
        reply: Reply<T>,
        doing: &'static str,
        work: impl FnOnce(&Connection, &mut OutboxGauge) -> rusqlite::Result<T>,
    ) {
        let result = self.transact(doing, work).map_err(WriteError::from);
        if reply.send(result).is_err() {
            debug!(self.log, "nobody waits for the answer any more"; "command" => doing);
        }
    }

    /// Deletes a little of what is too old; of samples and rollups only when that `is_due`.
    fn prune(&mut self, now: Stamp, is_due: bool) -> Result<Pass, StoreError> {
        let Self { db, series, pending, totals, queues, clock, pruner, keep, .. } = self;
        let (max_age, max_bytes) = (self.outbox_max_age, self.outbox_max_bytes);
        let mut gauge = totals.get();
        let done = db.transact("delete what is old", |tx| {
            let now_ns = clock.advance(tx, now)?;
            let pass = if is_due {
                pending.settle_before(tx, retention::before_ns(now_ns, keep.raw_for))?;
                pruner.pass(tx, now, now_ns, keep)?
            } else {
                Pass::default()
            };
            let dropped = outbox::enforce_bounds(tx, &mut gauge, retention::before_ns(now_ns, max_age), max_bytes)?;
            let expired = notices::enforce_bounds(tx, &notices::count(tx)?, now_ns)?;
            if pass.wrapped && pass.deleted == 0 && retention::prune_rest(tx, now_ns, keep)? {
                series.clear();
            }
            Ok((pass, dropped, notices::count(tx)?, expired))
        });
        if done.is_err() {
            pending.forget();
            *pruner = Pruner::default();
        }
        let (pass, dropped, waiting, expired) = done?;
        totals.set(gauge);
        queues.set(waiting, &expired);
        for (notifier, count) in expired {
            error!(self.log, "notifications dropped: they are too old or too many";
                "notifier" => notifier, "count" => count);
        }
        if dropped > 0 {
            warn!(self.log, "lines for influxdb dropped: the outbox is too old or too large"; "lines" => dropped);
        }
        Ok(pass)
    }

    fn prune_all(&mut self) -> Result<usize, StoreError> {
        let mut total = 0;
        let mut in_this_round = 0;
        loop {
            let pass = self.prune(crate::clock::now(), true)?;
            total += pass.deleted;
            in_this_round += pass.deleted;
            match (pass.wrapped, in_this_round) {
                (true, 0) => return Ok(total),
                (true, _) => in_this_round = 0,
                (false, _) => {}
            }
        }
    }

    /// Gives pages back, moves the log into the file, and notes how far retention has come.
    fn upkeep(&mut self, now: Stamp) -> Result<(), StoreError> {
        let clock = &mut self.clock;
        self.db.with("look after the store", |conn| {
            let at_ns = clock.advance(conn, now)?;
            meta::set(conn, meta::RETENTION_CLOCK_NS, at_ns)?;
            let mut vacuum = conn.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
            let mut steps = vacuum.query([])?;
            while steps.next()?.is_some() {}
            // Passive: a reader may keep some of the log in use, and then it is moved next time.
            conn.pragma_update_and_check(None, "wal_checkpoint", "PASSIVE", |_| Ok(()))
        })
    }
}

/// Writes what is new of `batch`: a sample that is there already changes nothing.
fn append(
    conn: &Connection,
    series: &mut SeriesCache,
    pending: &mut Pending,
    mut encoder: Option<&mut Encoder>,
    batch: &[Arc<Sample>],
    gauge: &mut OutboxGauge,
) -> rusqlite::Result<()> {
    let Some(newest_ns) = batch.iter().map(|sample| sample.at.wall_ns).max() else { return Ok(()) };
    let later = pending.follow(conn, newest_ns)?;
    let mut rollups = Grain::ALL.map(OpenRollups::new);
    let (mut lines, mut body) = (0, Vec::new());
    for sample in batch {
        let id = series.id_of(conn, sample)?;
        if !codec::insert(conn, id, sample)? {
            continue;
        }
        if !later.is_some_and(|span| span.contains(sample.at.wall_ns)) {
            for open in &mut rollups {
                open.add(conn, id, sample)?;
            }
        }
        for refused in &sample.rejected {
            evidence::insert(conn, id, refused)?;
        }
        if let Some(encode) = &mut encoder {
            lines += encode(sample, &mut body);
        }
    }
    rollups.into_iter().try_for_each(|open| open.save(conn))?;
    outbox::push(conn, gauge, crate::clock::now().wall_ns, lines, &body)
}

impl BatchWriter for Writer {
    type Command = Command;

    fn write(&mut self, batch: &[Arc<Sample>]) -> Result<(), WriteError> {
        let Self { db, series, pending, encoder, totals, .. } = self;
        let mut gauge = totals.get();
        let result =
            db.transact("write samples", |tx| append(tx, series, pending, encoder.as_mut(), batch, &mut gauge));
        match result {
            Ok(()) => {
                totals.set(gauge);
                Ok(())
            }
            Err(why) => {
                series.clear();
                pending.forget();
                Err(why.into())
            }
        }
    }

    fn command(&mut self, command: Command) {
        let now_ns = crate::clock::now().wall_ns;
        match command {
            Command::OutboxDone { ids, reply } => {
                self.answer(reply, "take lines out of the outbox", |conn, gauge| {
                    outbox::remove(conn, gauge, &ids).map(drop)
                });
            }
            Command::Quarantine { line, reason, reply } => {
                self.answer(reply, "keep a refused line", |conn, gauge| {
                    outbox::quarantine(conn, gauge, now_ns, &line, &reason)
                });
            }
            Command::Lines { lines, body, reply } => {
                self.answer(reply, "keep lines", |conn, gauge| outbox::push(conn, gauge, now_ns, lines, &body));
            }
            Command::RecordEvent { event, reply } => {
                self.answer(reply, "record an event", |conn, _| events::record(conn, &event));
            }
            Command::CloseEvent { id, end_ns, reply } => {
                self.answer(reply, "close an event", |conn, _| events::close(conn, id, end_ns));
            }
            Command::Audit { entry, reply } => {
                self.answer(reply, "record who changed what", |conn, _| audit::record(conn, &entry));
            }
            Command::Clock { point, reply } => {
                self.answer(reply, "record how the own clock is", |conn, _| clock::insert(conn, &point));
            }
            Command::Notice { command, reply } => {
                let queues = self.queues.clone();
                self.answer(reply, "change the queue of notifications", |conn, _| {
                    notices::apply(conn, command, now_ns)?;
                    queues.set(notices::count(conn)?, &BTreeMap::new());
                    Ok(())
                });
            }
            Command::Alerts { command, reply } => {
                let queues = self.queues.clone();
                self.answer(reply, "record alerts", |conn, _| {
                    let number = alerts::apply(conn, &command, now_ns)?;
                    queues.set(notices::count(conn)?, &BTreeMap::new());
                    Ok(number)
                });
            }
            Command::PruneNow { reply } => {
                let result = self.prune_all().map_err(WriteError::from);
                if reply.send(result).is_err() {
                    debug!(self.log, "nobody waits for the answer any more"; "command" => "prune");
                }
            }
        }
    }

    fn tick(&mut self, now: Stamp) -> Result<(), WriteError> {
        self.prune(now, self.pruner.is_due(now))?;
        self.ticks += 1;
        if self.ticks >= UPKEEP_TICKS {
            self.ticks = 0;
            self.upkeep(now)?;
        }
        Ok(())
    }
}
