//! Maintenance of the store by the writer between batches: retention, free pages and checkpoints.

use rusqlite::Connection;
use slog::{error, warn};

use super::Writer;
use crate::store::error::StoreError;
use crate::store::retention::{self, Pass};
use crate::store::samples::Samples;
use crate::store::{meta, notices, outbox};
use ntp_monitor_core::clock::Stamp;

/// Maximum number of pages that one upkeep returns to the file system.
const VACUUM_PAGES: i64 = 1024;
/// At least this many free pages stay in the file, because the journal reuses the pages that packing freed.
const SPARE_PAGES: i64 = 1024;
/// At least one page in this many stays free.
const SPARE_PART: i64 = 8;

impl Writer {
    /// Deletes some expired rows; those of samples and rollups only if a pass is due, or `at_once`.
    pub(super) fn prune(&mut self, now: Stamp, at_once: bool) -> Result<Pass, StoreError> {
        let (max_age, max_bytes, keep) = (self.outbox_max_age, self.outbox_max_bytes, self.keep);
        let mut clock = std::mem::take(&mut self.clock);
        let damage = self.damage.clone();
        let done = self.transact("delete expired rows", |tx, cache, gauge| {
            let now_ns = clock.advance(tx, now)?;
            let pass = if at_once || cache.pruner.is_due(now) {
                let samples = Samples::new(tx, &damage);
                let others_from_ns = cache.pruner.others_from_ns(tx, now_ns, &keep)?;
                let raw_from_ns = retention::before_ns(now_ns, keep.raw_for).max(others_from_ns);
                cache.pending.settle_before(samples, raw_from_ns)?;
                if samples.journal_from_ns()?.is_some_and(|oldest_ns| oldest_ns < raw_from_ns) {
                    samples.pack()?;
                    cache.samples.packed();
                }
                cache.pruner.pass(samples, now, now_ns, &keep)?
            } else {
                Pass::default()
            };
            let dropped = outbox::enforce_bounds(tx, gauge, retention::before_ns(now_ns, max_age), max_bytes)?;
            let expired = notices::enforce_bounds(tx, &notices::count(tx)?, now_ns)?;
            if pass.wrapped && pass.deleted == 0 && retention::prune_rest(tx, now_ns, &keep)? {
                cache.series.clear();
            }
            Ok((pass, dropped, notices::count(tx)?, expired))
        });
        self.clock = clock;
        let (pass, dropped, waiting, expired) = done?;
        self.queues.set(waiting, &expired);
        for (notifier, count) in expired {
            error!(self.log, "dropped notifications that are too old or too many";
                "notifier" => notifier, "count" => count);
        }
        if pass.dropped > 0 {
            warn!(self.log, "deleted samples of other vantages: they take too much room (fleet.raw_max_bytes)";
                "samples" => pass.dropped);
        }
        if dropped > 0 {
            warn!(self.log, "dropped influxdb lines: the outbox is too old or too large"; "lines" => dropped);
        }
        Ok(pass)
    }

    /// Deletes all expired rows; returns their number.
    pub(super) fn prune_all(&mut self) -> Result<usize, StoreError> {
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

    /// Returns free pages, checkpoints the WAL, and records the time of the retention clock.
    pub(super) fn upkeep(&mut self, now: Stamp) -> Result<(), StoreError> {
        let clock = &mut self.clock;
        let is_log_written = self.db.outside("maintain the store", |conn| {
            clock.advance(conn, now)?;
            if let Some(at_ns) = clock.to_record() {
                meta::set(conn, meta::RETENTION_CLOCK_NS, at_ns)?;
            }
            vacuum(conn)?;
            // Passive: if a reader uses a part of the WAL, the checkpoint is completed the next time.
            let pages = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
            conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], pages).map(|(all, written)| all == written)
        })?;
        if is_log_written {
            self.recent.checkpoint();
        }
        Ok(())
    }
}

/// Returns free pages to the file system, except those that will soon be reused.
fn vacuum(conn: &Connection) -> rusqlite::Result<()> {
    let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let spare = SPARE_PAGES.max(number("page_count")? / SPARE_PART);
    let surplus = (number("freelist_count")? - spare).min(VACUUM_PAGES);
    if surplus <= 0 {
        return Ok(());
    }
    let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({surplus})"))?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}
