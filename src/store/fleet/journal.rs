//! The journal of an agent: encoded samples, written in the transaction that stores the samples and kept until a hub
//! has stored them. When the journal is too large or its rows are too old, the oldest rows are emptied; an empty row
//! still reports to the hub which samples are missing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::received::Seqs;
use ntp_monitor_core::sample::Sample;

/// Encodes consecutive samples: incarnation, number of the first, samples.
pub type Packer = Box<dyn FnMut(&str, u64, &[Arc<Sample>]) -> Vec<u8> + Send>;

/// Largest number of samples in a row: as many as one message can carry.
const ROW_SAMPLES: usize = 500;
/// Maximum number of rows that one pass empties, so that no pass takes long.
const CHUNK: i64 = 256;

/// A row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Increases with each row.
    pub id: i64,
    pub incarnation: String,
    pub first_seq: u64,
    pub samples: u64,
    /// The encoded samples; empty when they were dropped.
    pub body: Vec<u8>,
}

/// The fill level of the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalGauge {
    pub rows: u64,
    pub samples: u64,
    pub bytes: u64,
    /// Samples dropped since the start of the process, because of age or size.
    pub dropped: u64,
}

/// The writer thread's side of the journal. It starts a new incarnation whenever the numbers in the store are
/// uncertain.
pub(in crate::store) struct Journal {
    pack: Packer,
    incarnation: String,
    next_seq: u64,
    max_age: Duration,
    max_bytes: u64,
    gauge: Option<JournalGauge>,
    shared: SharedGauge,
    fresh: Vec<Arc<Sample>>,
}

/// The fill level as of the last commit.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct SharedGauge(Arc<Mutex<JournalGauge>>);

impl SharedGauge {
    pub(in crate::store) fn get(&self) -> JournalGauge {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, gauge: JournalGauge) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = gauge;
    }
}

impl Journal {
    pub(in crate::store) fn new(pack: Packer, max_age: Duration, max_bytes: u64, shared: SharedGauge) -> Self {
        let mut journal = Self {
            pack,
            incarnation: String::new(),
            next_seq: 0,
            max_age,
            max_bytes,
            gauge: None,
            shared,
            fresh: Vec::new(),
        };
        journal.restart();
        journal
    }

    /// Must be called after a transaction that may not have been committed.
    pub(in crate::store) fn restart(&mut self) {
        self.incarnation = format!("{:032x}", rand::random::<u128>());
        (self.next_seq, self.gauge) = (0, None);
        self.fresh.clear();
    }

    /// Adds a sample that is new in the store. Samples of other vantages are ignored: their own agents send them.
    pub(in crate::store) fn add(&mut self, sample: &Arc<Sample>) {
        if sample.server.vantage.is_empty() {
            self.fresh.push(Arc::clone(sample));
        }
    }

    /// Writes the samples that were added.
    pub(in crate::store) fn save(&mut self, conn: &Connection, now_ns: i64) -> rusqlite::Result<()> {
        let mut gauge = self.counted(conn)?;
        for samples in self.fresh.chunks(ROW_SAMPLES) {
            let body = (self.pack)(&self.incarnation, self.next_seq, samples);
            conn.prepare_cached(
                "INSERT INTO fleet_journal (incarnation, first_seq, samples, created_ns, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                self.incarnation,
                self.next_seq.cast_signed(),
                samples.len() as i64,
                now_ns,
                body
            ])?;
            self.next_seq += samples.len() as u64;
            gauge.rows += 1;
            gauge.samples += samples.len() as u64;
            gauge.bytes += body.len() as u64;
        }
        self.fresh.clear();
        self.gauge = Some(gauge);
        Ok(())
    }

    /// Whether it is larger than allowed.
    pub(in crate::store) fn is_over(&self) -> bool {
        self.gauge.is_some_and(|gauge| gauge.bytes > self.max_bytes)
    }

    /// Must be called after each commit.
    pub(in crate::store) fn committed(&self) {
        if let Some(gauge) = self.gauge {
            self.shared.set(gauge);
        }
    }

    /// Deletes the rows whose samples a hub has stored.
    pub(in crate::store) fn remove(&mut self, conn: &Connection, ranges: &[Seqs]) -> rusqlite::Result<u64> {
        let mut gauge = self.counted(conn)?;
        let mut removed = 0;
        for range in ranges {
            let mut delete = conn.prepare_cached(
                "DELETE FROM fleet_journal WHERE incarnation = ?1 AND first_seq >= ?2 AND first_seq + samples <= ?3 \
                 RETURNING samples, length(body)",
            )?;
            let bounds = params![range.incarnation, range.first.cast_signed(), range.end.cast_signed()];
            let mut rows = delete.query(bounds)?;
            while let Some(row) = rows.next()? {
                gauge.samples = gauge.samples.saturating_sub(row.get::<_, i64>(0)?.cast_unsigned());
                gauge.bytes = gauge.bytes.saturating_sub(row.get::<_, i64>(1)?.cast_unsigned());
                gauge.rows = gauge.rows.saturating_sub(1);
                removed += 1;
            }
        }
        self.gauge = Some(gauge);
        Ok(removed)
    }

    /// Empties rows that are too old or exceed the size; returns the number of dropped samples.
    pub(in crate::store) fn enforce_bounds(&mut self, conn: &Connection, now_ns: i64) -> rusqlite::Result<u64> {
        let mut gauge = self.counted(conn)?;
        let before_ns = now_ns.saturating_sub(i64::try_from(self.max_age.as_nanos()).unwrap_or(i64::MAX));
        let mut oldest = conn.prepare_cached(
            "SELECT id, samples, length(body), created_ns FROM fleet_journal WHERE length(body) > 0 ORDER BY id LIMIT ?1",
        )?;
        let mut rows = oldest.query([CHUNK])?;
        let mut dropped = 0;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(3)? >= before_ns && gauge.bytes <= self.max_bytes {
                break;
            }
            conn.prepare_cached("UPDATE fleet_journal SET body = x'' WHERE id = ?1")?
                .execute([row.get::<_, i64>(0)?])?;
            dropped += row.get::<_, i64>(1)?.cast_unsigned();
            gauge.bytes = gauge.bytes.saturating_sub(row.get::<_, i64>(2)?.cast_unsigned());
        }
        gauge.dropped += dropped;
        self.gauge = Some(gauge);
        Ok(dropped)
    }

    fn counted(&self, conn: &Connection) -> rusqlite::Result<JournalGauge> {
        match self.gauge {
            Some(gauge) => Ok(gauge),
            None => {
                conn.query_row("SELECT count(*), total(samples), total(length(body)) FROM fleet_journal", [], |row| {
                    Ok(JournalGauge {
                        rows: row.get::<_, i64>(0)?.cast_unsigned(),
                        samples: row.get::<_, f64>(1)? as u64,
                        bytes: row.get::<_, f64>(2)? as u64,
                        dropped: self.shared.get().dropped,
                    })
                })
            }
        }
    }
}

/// The first rows after `after`, as many as fit both limits together.
pub(in crate::store) fn after(
    conn: &Connection,
    after: i64,
    max_samples: usize,
    max_bytes: usize,
) -> rusqlite::Result<Vec<JournalRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, incarnation, first_seq, samples, body FROM fleet_journal WHERE id > ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([after])?;
    let (mut taken, mut samples, mut bytes) = (Vec::new(), 0, 0);
    while let Some(row) = rows.next()? {
        let row = JournalRow {
            id: row.get(0)?,
            incarnation: row.get(1)?,
            first_seq: row.get::<_, i64>(2)?.cast_unsigned(),
            samples: row.get::<_, i64>(3)?.cast_unsigned(),
            body: row.get(4)?,
        };
        samples += row.samples as usize;
        bytes += row.body.len();
        if !taken.is_empty() && (samples > max_samples || bytes > max_bytes) {
            break;
        }
        taken.push(row);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Outcome, ServerIdent};

    fn journal(max_bytes: u64) -> (Connection, Journal) {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        let pack: Packer = Box::new(|_, first, samples| format!("{first}+{}", samples.len()).into_bytes());
        (conn, Journal::new(pack, Duration::from_secs(60), max_bytes, SharedGauge::default()))
    }

    fn write(conn: &Connection, journal: &mut Journal, samples: usize, now_ns: i64) {
        let sample = |n| Sample::unasked(Stamp::new(n, n, 0), ServerIdent::named("a"), Outcome::Timeout, 1.0);
        (0..samples).for_each(|n| journal.add(&Arc::new(sample(n as i64))));
        journal.save(conn, now_ns).unwrap();
        journal.committed();
    }

    #[test]
    fn samples_are_numbered_and_deleted_once_a_hub_has_them() {
        let (conn, mut journal) = journal(1000);
        write(&conn, &mut journal, 600, 1);
        write(&conn, &mut journal, 2, 2);
        let rows = after(&conn, 0, 10_000, 10_000).unwrap();
        let bodies: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(&row.body)).collect();
        assert_eq!(bodies, ["0+500", "500+100", "600+2"]);
        let seqs = Seqs { incarnation: rows[0].incarnation.clone(), first: 0, end: 600 };
        assert_eq!(journal.remove(&conn, &[seqs]).unwrap(), 2);
        journal.committed();
        let gauge = journal.shared.get();
        assert_eq!((gauge.rows, gauge.samples, gauge.dropped), (1, 2, 0));
    }

    #[test]
    fn dropped_samples_leave_a_row_that_says_so() {
        let (conn, mut journal) = journal(9);
        (0..5).for_each(|n| write(&conn, &mut journal, 3, n));
        assert_eq!(journal.enforce_bounds(&conn, 10).unwrap(), 9);
        let rows = after(&conn, 0, 10_000, 10_000).unwrap();
        let kept: Vec<_> = rows.iter().map(|row| (row.first_seq, row.samples, row.body.len())).collect();
        assert_eq!(kept, [(0, 3, 0), (3, 3, 0), (6, 3, 0), (9, 3, 3), (12, 3, 4)]);
        assert_eq!(journal.enforce_bounds(&conn, 70_000_000_000).unwrap(), 6, "the rest is too old");
    }

    #[test]
    fn failed_transaction_starts_a_new_incarnation() {
        let (conn, mut journal) = journal(1000);
        write(&conn, &mut journal, 1, 1);
        journal.restart();
        write(&conn, &mut journal, 1, 1);
        let rows = after(&conn, 0, 10, 1000).unwrap();
        assert_ne!(rows[0].incarnation, rows[1].incarnation);
        assert_eq!((rows[0].first_seq, rows[1].first_seq), (0, 0));
    }
}
