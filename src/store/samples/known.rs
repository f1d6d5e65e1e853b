//! The writer's cache about the samples in the store: it decides which samples are new, and when the journal must be
//! packed. Must be reset after a transaction that did not commit, and after another connection wrote.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;

use super::blocks::FULL;
use super::{ALL_TIME, PACK_AT_ONCE, Samples, groups};
use crate::store::record::Record;

/// The journal is packed when it holds this many samples, however many series they belong to.
const MOST: usize = 400_000;

#[derive(Debug, Default)]
pub(in crate::store) struct Known {
    /// Whether the journal was counted.
    is_loaded: bool,
    /// Number of samples in the journal, without those that are being packed.
    samples: usize,
    /// The same for each series.
    series: BTreeMap<i64, usize>,
    /// The remaining steps of packing, each a range of series; `None` unless packing has begun.
    steps: Option<VecDeque<RangeInclusive<i64>>>,
    /// Samples that were appended since the last step.
    since_step: usize,
    /// The time of the newest sample of each series.
    newest: HashMap<i64, i64>,
    /// Series and time of every sample in the journal; read when a sample arrives that is not newer than all others.
    seen: Option<HashSet<(i64, i64)>>,
}

impl Known {
    /// Whether the store lacks the sample of this instant; it counts as known from now on. `batch` are the samples that
    /// will be appended in the same transaction.
    pub(in crate::store) fn is_new(
        &mut self,
        samples: Samples<'_>,
        batch: &[Record],
        id: i64,
        wall_ns: i64,
    ) -> rusqlite::Result<bool> {
        self.load(samples)?;
        let newest_ns = match self.newest.get(&id) {
            Some(newest_ns) => Some(*newest_ns),
            None => samples.newest_packed_ns(id)?,
        };
        if newest_ns.is_none_or(|newest_ns| newest_ns < wall_ns) {
            self.newest.insert(id, wall_ns);
            if let Some(seen) = &mut self.seen {
                seen.insert((id, wall_ns));
            }
            return Ok(true);
        }
        self.newest.extend(newest_ns.map(|newest_ns| (id, newest_ns)));
        if self.seen.is_none() {
            self.seen = Some(read_seen(samples, batch)?);
        }
        let is_first = self.seen.get_or_insert_default().insert((id, wall_ns));
        Ok(is_first && !samples.is_packed(id, wall_ns)?)
    }

    /// Counts samples that were appended.
    pub(in crate::store) fn appended(&mut self, records: &[Record]) {
        self.samples += records.len();
        self.since_step += records.len();
        records.iter().for_each(|record| *self.series.entry(record.series_id).or_insert(0) += 1);
    }

    /// Whether the journal holds enough for most series to fill a block.
    pub(in crate::store) fn is_due(&self) -> bool {
        self.steps.is_none() && self.samples >= (FULL * self.series.len()).clamp(FULL, MOST)
    }

    /// Whether the journal holds anything that could be packed.
    pub(in crate::store) fn is_waiting(&mut self, samples: Samples<'_>) -> rusqlite::Result<bool> {
        self.load(samples)?;
        Ok(self.samples > 0)
    }

    /// Whether this writer has begun packing and should make the next step: `at_once`, or because enough samples were
    /// appended since the last step.
    pub(in crate::store) fn is_step_due(&self, at_once: bool) -> bool {
        self.steps.is_some() && (at_once || self.since_step >= PACK_AT_ONCE / 2)
    }

    /// Plans the steps of packing the journal; `None` if one step is enough.
    pub(in crate::store) fn begin_packing(&mut self) -> Option<()> {
        let steps = groups(&self.series);
        if steps.len() < 2 {
            return None;
        }
        (self.samples, self.since_step, self.steps) = (0, 0, Some(steps.into()));
        self.series.clear();
        Some(())
    }

    /// The series of the next step; `None` after the last one.
    pub(in crate::store) fn next_step(&mut self) -> Option<RangeInclusive<i64>> {
        self.since_step = 0;
        self.steps.as_mut()?.pop_front()
    }

    /// Must be called after the last step of packing.
    pub(in crate::store) fn ended_steps(&mut self) {
        (self.steps, self.seen) = (None, None);
    }

    /// Must be called after the whole journal was packed at once.
    pub(in crate::store) fn packed(&mut self) {
        self.samples = 0;
        self.series.clear();
        self.ended_steps();
    }

    fn load(&mut self, samples: Samples<'_>) -> rusqlite::Result<()> {
        if self.is_loaded {
            return Ok(());
        }
        let mut newest: HashMap<i64, i64> = HashMap::new();
        let mut series = BTreeMap::new();
        let count = count(samples, |record| {
            *series.entry(record.series_id).or_insert(0) += 1;
            let known = newest.entry(record.series_id).or_insert(record.at.wall_ns);
            *known = (*known).max(record.at.wall_ns);
        })?;
        for (id, newest_ns) in &mut newest {
            *newest_ns = (*newest_ns).max(samples.newest_packed_ns(*id)?.unwrap_or(i64::MIN));
        }
        (self.samples, self.series) = (count, series);
        self.newest = newest;
        self.is_loaded = true;
        Ok(())
    }
}

fn read_seen(samples: Samples<'_>, batch: &[Record]) -> rusqlite::Result<HashSet<(i64, i64)>> {
    let mut seen: HashSet<_> = batch.iter().map(|record| (record.series_id, record.at.wall_ns)).collect();
    count(samples, |record| seen.extend([(record.series_id, record.at.wall_ns)]))?;
    Ok(seen)
}

/// Calls `each` with every sample of the journal and returns their number.
fn count(samples: Samples<'_>, mut each: impl FnMut(&Record)) -> rusqlite::Result<usize> {
    let mut count = 0;
    samples.journal(&super::ALL_SERIES, ALL_TIME, |record| {
        count += 1;
        each(&record);
    })?;
    Ok(count)
}
