//! All samples of the store: in the journal, in blocks, or still in rows of an earlier release. Each sample is in
//! exactly one of these places. All code that reads samples does so through [`Samples`], which combines them.

mod blocks;
mod journal;
mod known;
mod legacy;
mod moving;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::ops::{ControlFlow, RangeInclusive};

use rusqlite::Connection;

use super::damage::Damage;
use super::record::Record;

pub(super) use known::Known;
pub use moving::MoveGauge;
pub(super) use moving::{Mover, Progress};

pub(super) const ALL_SERIES: RangeInclusive<i64> = i64::MIN..=i64::MAX;
pub(super) const ALL_TIME: (i64, i64) = (i64::MIN, i64::MAX);
/// Largest number of samples in one step of packing the journal, unless a single series has more.
pub(super) const PACK_AT_ONCE: usize = 32_768;

/// This many reads of single series scan the journal; the next read decodes it for all series.
const SCANS: usize = 16;

/// The decoded journal by series, once enough reads needed it.
#[derive(Debug, Default)]
pub(super) struct HeldJournal {
    scans: Cell<usize>,
    by_series: RefCell<Option<HashMap<i64, Vec<Record>>>>,
}

impl HeldJournal {
    pub(super) fn forget(&self) {
        self.scans.set(0);
        self.by_series.take();
    }
}

/// The samples that a transaction sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Samples<'a> {
    pub(super) conn: &'a Connection,
    damage: &'a Damage,
    /// Holds the decoded journal while one transaction reads many series.
    held: Option<&'a HeldJournal>,
}

impl<'a> Samples<'a> {
    pub(super) fn new(conn: &'a Connection, damage: &'a Damage) -> Self {
        Self { conn, damage, held: None }
    }

    /// The same, but if many series are read, the journal is decoded once for all of them.
    pub(super) fn holding(self, held: &'a HeldJournal) -> Self {
        Self { held: Some(held), ..self }
    }

    /// The first `limit` samples of a series within `[from, to)`, by time.
    pub(super) fn of_series(self, id: i64, span: (i64, i64), limit: usize) -> rusqlite::Result<Vec<Record>> {
        let mut found = Vec::new();
        legacy::of_series(self.conn, id, span, limit, &mut found)?;
        blocks::of_series(self.conn, self.damage, id, span, limit, &mut found)?;
        self.journal_of_series(id, span, &mut found)?;
        found.sort_by_key(|record| record.at.wall_ns);
        found.truncate(limit);
        Ok(found)
    }

    /// Calls `each` with the samples of the series `ids` within `[from, to)`, in no order.
    pub(super) fn of_all(
        self,
        ids: RangeInclusive<i64>,
        span: (i64, i64),
        mut each: impl FnMut(Record),
    ) -> rusqlite::Result<()> {
        self.until(ids, span, |record| {
            each(record);
            ControlFlow::Continue(())
        })
        .map(drop)
    }

    /// The samples of all series within `[from, to)`, in no order; `None` if there are more than `most`.
    pub(super) fn at_most(self, span: (i64, i64), most: usize) -> rusqlite::Result<Option<Vec<Record>>> {
        let mut found = Vec::new();
        let ended = self.until(ALL_SERIES, span, |record| {
            if found.len() == most {
                return ControlFlow::Break(());
            }
            found.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(ended.is_continue().then_some(found))
    }

    /// Calls `each` with samples until it breaks.
    fn until(
        self,
        ids: RangeInclusive<i64>,
        span: (i64, i64),
        mut each: impl FnMut(Record) -> ControlFlow<()>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        if legacy::of_all(self.conn, &ids, span, &mut each)?.is_break()
            || blocks::of_all(self.conn, self.damage, &ids, span, &mut each)?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        journal::scan(self.conn, self.damage, &ids, span, &mut each)
    }

    /// Adds the samples of a series that are in the journal.
    fn journal_of_series(self, id: i64, span: (i64, i64), found: &mut Vec<Record>) -> rusqlite::Result<()> {
        let Some(held) = self.held.filter(|held| held.scans.replace(held.scans.get() + 1) >= SCANS) else {
            return self.journal(&(id..=id), span, |record| found.push(record));
        };
        let mut held = held.by_series.borrow_mut();
        if held.is_none() {
            let mut by_series: HashMap<i64, Vec<Record>> = HashMap::new();
            self.journal(&ALL_SERIES, ALL_TIME, |record| by_series.entry(record.series_id).or_default().push(record))?;
            *held = Some(by_series);
        }
        let of_series = held.as_ref().and_then(|by_series| by_series.get(&id)).into_iter().flatten();
        found.extend(of_series.filter(|record| (span.0..span.1).contains(&record.at.wall_ns)).cloned());
        Ok(())
    }

    /// Calls `each` with the samples of the series `ids` in the journal within `[from, to)`, in the order of insertion.
    fn journal(
        self,
        ids: &RangeInclusive<i64>,
        span: (i64, i64),
        mut each: impl FnMut(Record),
    ) -> rusqlite::Result<()> {
        journal::scan(self.conn, self.damage, ids, span, &mut |record| {
            each(record);
            ControlFlow::Continue(())
        })
        .map(drop)
    }

    /// The latest sample of every series.
    pub(super) fn latest(self) -> rusqlite::Result<HashMap<i64, Record>> {
        let mut found = HashMap::new();
        let mut keep = |record: Record| match found.get(&record.series_id) {
            Some(known) if is_newer(known, record.at.wall_ns) => {}
            _ => drop(found.insert(record.series_id, record)),
        };
        legacy::latest(self.conn)?.into_iter().for_each(&mut keep);
        self.journal(&ALL_SERIES, ALL_TIME, &mut keep)?;
        let is_wanted = |id, last_ns| !found.get(&id).is_some_and(|known| is_newer(known, last_ns));
        for record in blocks::latest(self.conn, self.damage, is_wanted)? {
            found.insert(record.series_id, record);
        }
        Ok(found)
    }

    /// The time of the oldest sample of a series. If the series has packed samples, those in the journal are not
    /// examined: they can be older only if the clock was set back.
    pub(super) fn oldest_ns(self, id: i64) -> rusqlite::Result<Option<i64>> {
        let row = legacy::of_series_first(self.conn, id)?;
        let packed = blocks::extent(self.conn, id)?.map(|(oldest_ns, _)| oldest_ns);
        match row.into_iter().chain(packed).min() {
            Some(oldest_ns) => Ok(Some(oldest_ns)),
            None => Ok(self.of_series(id, ALL_TIME, 1)?.first().map(|record| record.at.wall_ns)),
        }
    }

    /// The time of the newest sample of a series outside of the journal.
    pub(super) fn newest_packed_ns(self, id: i64) -> rusqlite::Result<Option<i64>> {
        let row = legacy::of_series_last(self.conn, id)?;
        Ok(row.max(blocks::extent(self.conn, id)?.map(|(_, newest_ns)| newest_ns)))
    }

    /// The time of the newest sample.
    pub(super) fn newest_ns(self) -> rusqlite::Result<Option<i64>> {
        let packed = legacy::newest_ns(self.conn)?.max(blocks::newest_ns(self.conn)?);
        Ok(packed.max(journal::newest_ns(self.conn)?))
    }

    /// A time that is not later than the first sample from `from_ns` on; `None` if there is no such sample.
    pub(super) fn first_from(self, from_ns: i64) -> rusqlite::Result<Option<i64>> {
        let all = [
            legacy::first_from(self.conn, from_ns)?,
            blocks::first_from(self.conn, from_ns)?,
            journal::first_from(self.conn, from_ns)?,
        ];
        Ok(all.into_iter().flatten().min())
    }

    /// Whether there may be a sample within `[from, to)`. Never returns false if there is one.
    pub(super) fn may_be_any(self, (from_ns, to_ns): (i64, i64)) -> rusqlite::Result<bool> {
        Ok(self.first_from(from_ns)?.is_some_and(|first_ns| first_ns < to_ns))
    }

    /// Whether a sample of this instant is packed.
    pub(super) fn is_packed(self, id: i64, wall_ns: i64) -> rusqlite::Result<bool> {
        Ok(blocks::exists(self.conn, self.damage, id, wall_ns)? || legacy::exists(self.conn, id, wall_ns)?)
    }

    /// Appends samples that are new to the journal.
    pub(super) fn append(self, records: &[Record]) -> rusqlite::Result<()> {
        journal::append(self.conn, records)
    }

    /// Moves the samples of the journal into blocks. Pages that cannot be decoded stay where they are.
    pub(super) fn pack(self) -> rusqlite::Result<()> {
        let mut counts = BTreeMap::new();
        self.journal(&ALL_SERIES, ALL_TIME, |record| *counts.entry(record.series_id).or_insert(0) += 1)?;
        groups(&counts).into_iter().try_for_each(|ids| self.pack_series(ids, i64::MAX))?;
        self.end_packing(i64::MAX)
    }

    /// Begins to pack the present content of the journal, some series at a time. Readers see the same samples
    /// throughout.
    pub(super) fn begin_packing(self) -> rusqlite::Result<()> {
        journal::Packed { page: journal::last_page(self.conn)?, series: i64::MIN }.record(self.conn)
    }

    /// Whether packing was begun and not ended.
    pub(super) fn is_packing(self) -> rusqlite::Result<bool> {
        Ok(journal::Packed::read(self.conn)?.is_some())
    }

    /// Moves the samples of these series into blocks. They must follow the series of the previous step.
    pub(super) fn pack_step(self, ids: RangeInclusive<i64>) -> rusqlite::Result<()> {
        let Some(packed) = journal::Packed::read(self.conn)? else { return Ok(()) };
        let series = *ids.end();
        self.pack_series(ids, packed.page)?;
        journal::Packed { series, ..packed }.record(self.conn)
    }

    /// Deletes the pages that were packed.
    pub(super) fn end_steps(self) -> rusqlite::Result<()> {
        journal::Packed::read(self.conn)?.map_or(Ok(()), |packed| self.end_packing(packed.page))
    }

    fn pack_series(self, ids: RangeInclusive<i64>, last_page: i64) -> rusqlite::Result<()> {
        let mut records = Vec::new();
        journal::scan_to(self.conn, self.damage, &ids, last_page, &mut |record| records.push(record))?;
        records.sort_by_key(|record: &Record| (record.series_id, record.at.wall_ns));
        for series in records.chunk_by(|a, b| a.series_id == b.series_id) {
            blocks::add(self.conn, self.damage, series[0].series_id, series)?;
        }
        Ok(())
    }

    fn end_packing(self, last_page: i64) -> rusqlite::Result<()> {
        let mut pages = Vec::new();
        journal::pages(self.conn, ALL_TIME, |page| {
            if page.records.is_ok() && page.id <= last_page {
                pages.push(page.id);
            }
        })?;
        journal::Packed::end(self.conn)?;
        journal::delete(self.conn, &pages)
    }

    /// Deletes old samples of a series, at most `blocks` blocks. Returns the numbers of blocks and of samples.
    pub(super) fn prune(self, id: i64, before_ns: i64, blocks: usize) -> rusqlite::Result<(usize, usize)> {
        blocks::prune(self.conn, id, before_ns, blocks)
    }

    /// Deletes old pages of the journal. Only pages that could not be packed become that old.
    pub(super) fn prune_journal(self, before_ns: i64) -> rusqlite::Result<usize> {
        journal::prune(self.conn, before_ns)
    }

    /// The time of the oldest sample in the journal.
    pub(super) fn journal_from_ns(self) -> rusqlite::Result<Option<i64>> {
        journal::first_ns(self.conn)
    }

    /// Decodes everything; damage is reported. Returns the number of samples.
    pub(super) fn examine(self) -> rusqlite::Result<u64> {
        let mut samples = blocks::examine(self.conn, self.damage)?;
        self.journal(&ALL_SERIES, ALL_TIME, |_| samples += 1)?;
        Ok(samples)
    }
}

fn is_newer(known: &Record, wall_ns: i64) -> bool {
    known.at.wall_ns >= wall_ns
}

/// Ranges of series that have at most [`PACK_AT_ONCE`] samples together, or consist of one series.
pub(super) fn groups(counts: &BTreeMap<i64, usize>) -> Vec<RangeInclusive<i64>> {
    let mut groups: Vec<(RangeInclusive<i64>, usize)> = Vec::new();
    for (id, count) in counts {
        match groups.last_mut() {
            Some((ids, sum)) if *sum + count <= PACK_AT_ONCE => {
                *ids = *ids.start()..=*id;
                *sum += count;
            }
            _ => groups.push((*id..=*id, *count)),
        }
    }
    groups.into_iter().map(|(ids, _)| ids).collect()
}

/// A wall time as text for people.
fn time(wall_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(wall_ns.into()).map_or_else(|_| format!("{wall_ns} ns"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;
    use ntp_monitor_core::world::World;

    #[test]
    fn journal_that_is_decoded_once_gives_the_same_samples() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        let (damage, held) = (Damage::default(), HeldJournal::default());
        let samples = Samples::new(&conn, &damage);
        let world = World::ordinary(1, 2, 64.0, 2000.0);
        let all: Vec<_> =
            world.samples().enumerate().map(|(n, sample)| Record::of(1 + n as i64 % 2, &sample)).collect();
        samples.append(&all).unwrap();
        let middle_ns = all[all.len() / 2].at.wall_ns;
        held.scans.set(SCANS);
        for id in [1, 2, 3] {
            for span in [ALL_TIME, (middle_ns, i64::MAX), (i64::MIN, middle_ns)] {
                let alone = samples.of_series(id, span, 20).unwrap();
                assert_eq!(samples.holding(&held).of_series(id, span, 20).unwrap(), alone);
                assert_eq!(alone.is_empty(), id == 3);
            }
        }
        assert!(held.by_series.take().is_some());
    }

    #[test]
    fn journal_is_not_decoded_for_the_sake_of_one_series() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        let (damage, held) = (Damage::default(), HeldJournal::default());
        let samples = Samples::new(&conn, &damage).holding(&held);
        let all: Vec<_> = World::ordinary(1, 1, 64.0, 2000.0).samples().map(|sample| Record::of(7, &sample)).collect();
        samples.append(&all).unwrap();
        assert_eq!(samples.of_series(7, ALL_TIME, usize::MAX).unwrap(), all);
        assert!(held.by_series.borrow().is_none());
    }
}
