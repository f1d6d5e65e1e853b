//! Requests of the fleet to the store.

use super::StoreError;
use super::command::Command;
use super::fleet::{Accepted, Batch, JournalRow, Position, RawGauge, Seqs, VantageRow, journal, raw, received};
use super::handle::StoreHandle;
use super::meta;
use super::read::{Reader, Series, SeriesCounts};
use super::record::StoredSample;
use ntp_monitor_core::fleet::witness::VantageGroups;

impl StoreHandle {
    /// Deletes rows of the journal whose samples a hub has stored; returns their number.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn fleet_committed(&self, ranges: Vec<Seqs>) -> Result<u64, StoreError> {
        self.ask(|reply| Command::FleetCommitted { ranges, reply }).await
    }

    /// Stores the latest plan for the next process.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn keep_fleet_plan(&self, plan: Vec<u8>) -> Result<(), StoreError> {
        self.ask(|reply| Command::FleetKeep { key: meta::FLEET_PLAN, value: plan, reply }).await
    }

    /// Stores the groups of all vantages, which their samples do not contain.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn keep_fleet_groups(&self, groups: &VantageGroups) -> Result<(), StoreError> {
        let value = serde_json::to_vec(groups).unwrap_or_default();
        self.ask(|reply| Command::FleetKeep { key: meta::FLEET_GROUPS, value, reply }).await
    }

    /// Stores the samples of other vantages, with the position in the stream, in one transaction.
    ///
    /// # Errors
    /// When the store cannot be written; nothing of the batch is stored then.
    pub async fn fleet_receive(&self, batch: Batch) -> Result<Accepted, StoreError> {
        self.ask(|reply| Command::FleetReceive { batch, reply }).await
    }
}

impl Reader {
    /// As [`Reader::since`], only samples that this host measured.
    pub fn since_here(&self, from_ns: i64) -> impl Iterator<Item = Result<StoredSample, StoreError>> {
        self.since(from_ns).filter(|stored| stored.as_ref().map_or(true, is_from_here))
    }

    /// As [`Reader::latest`], only samples that this host measured.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn latest_here(&self) -> Result<Vec<StoredSample>, StoreError> {
        Ok(self.latest()?.into_iter().filter(is_from_here).collect())
    }

    /// As [`Reader::series`], only those that this host measures.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn series_here(&self) -> Result<Vec<Series>, StoreError> {
        self.series_of_vantage("")
    }

    /// As [`Reader::series`], only those of one vantage.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn series_of_vantage(&self, vantage: &str) -> Result<Vec<Series>, StoreError> {
        Ok(self.series()?.into_iter().filter(|series| *series.key.vantage == *vantage).collect())
    }

    /// As [`Reader::counts`], only samples that this host measured.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn counts_here(&self, from_ns: i64, to_ns: i64) -> Result<Vec<SeriesCounts>, StoreError> {
        Ok(self.counts(from_ns, to_ns)?.into_iter().filter(|one| one.key.vantage.is_empty()).collect())
    }

    /// The first rows of the journal after `after`, as many as fit both limits together, at least one if there is any.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn fleet_journal(
        &self,
        after: i64,
        max_samples: usize,
        max_bytes: usize,
    ) -> Result<Vec<JournalRow>, StoreError> {
        self.run("read the journal of the fleet", |conn| journal::after(conn, after, max_samples, max_bytes))
    }

    /// The latest stored plan.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn fleet_plan(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.run("read the plan of the fleet", |conn| meta::bytes(conn, meta::FLEET_PLAN))
    }

    /// The groups of the vantages that announced themselves to this hub; none where they are not known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn fleet_groups(&self) -> Result<VantageGroups, StoreError> {
        let groups = self.run("read the groups of the fleet", |conn| meta::bytes(conn, meta::FLEET_GROUPS))?;
        Ok(groups.and_then(|groups| serde_json::from_slice(&groups).ok()).unwrap_or_default())
    }

    /// The last row of the journal; 0 if it is empty.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn fleet_journal_last(&self) -> Result<i64, StoreError> {
        self.run("read the journal of the fleet", |conn| {
            conn.query_row("SELECT ifnull(max(id), 0) FROM fleet_journal", [], |row| row.get(0))
        })
    }

    /// How far the hub has read the messages of each vantage in `stream`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn fleet_positions(&self, stream: &str) -> Result<Vec<Position>, StoreError> {
        self.run("read the positions of the fleet", |conn| received::positions(conn, stream))
    }

    /// The latest `limit` ranges of the samples of a vantage that the hub has stored or counted as lost.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn fleet_ranges(&self, vantage: &str, limit: usize) -> Result<Vec<Seqs>, StoreError> {
        self.run("read what the fleet sent", |conn| received::ranges(conn, vantage, limit))
    }

    /// The size of the samples of other vantages.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn fleet_raw(&self) -> Result<RawGauge, StoreError> {
        self.run("read the size of the fleet's samples", raw::gauge)
    }

    /// The hub's counters of every vantage.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn fleet_vantages(&self) -> Result<Vec<VantageRow>, StoreError> {
        self.run("read the vantages of the fleet", received::vantages)
    }
}

fn is_from_here(stored: &StoredSample) -> bool {
    stored.sample.server.vantage.is_empty()
}
