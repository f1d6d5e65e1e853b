//! The read side. A [`Reader`] has its own read-only connection: it sees complete commits only, and does not disturb
//! the writer. All its functions block; async code uses [`super::StoreHandle::read`].
//!
//! Everywhere, times are wall-clock nanoseconds since 1970 and spans are `[from, to)`. A series is identified by server
//! and address; without an address, all series of the server are meant. Both refer to series of this host, or of the
//! vantage that [`Reader::seen_from`] selects.

mod buckets;
mod clock;
mod counts;
mod history;
mod samples;

pub use buckets::{Bucket, BucketMeasure, Buckets, Spread};
pub use clock::{ClockHistory, ClockStep};
pub use counts::SeriesCounts;
pub use history::History;
pub use samples::{RateKiss, Since};

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::audit::AuditEntry;
use super::damage::Damage;
use super::error::StoreError;
use super::events::{self, StoredEvent};
use super::nts::{self, NtsHour};
use super::record::{Record, StoredSample};
use super::samples::{HeldJournal, Samples};
use super::series::address_text;
use super::{audit, connection, evidence, local_rows, meta, outbox, sheets, verdict_state};
use crate::sinks::influx::outbox::{OutboxGauge, OutboxRow};
use ntp_monitor_core::formats::local::LocalRow;
use ntp_monitor_core::sample::{Evidence, SeriesKey, ServerIdent};
use ntp_monitor_core::sheet::Kept;

/// One series of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    pub id: i64,
    /// Server, vantage and address.
    pub key: SeriesKey,
    /// The time of its first sample.
    pub first_seen_ns: i64,
    /// The time of its latest sample, accurate to five minutes.
    pub last_seen_ns: i64,
}

impl Series {
    /// The identity of its samples, without tags, which belong to the configuration.
    fn ident(&self) -> Arc<ServerIdent> {
        ServerIdent::seen_from(&self.key.vantage, &self.key.server)
    }

    fn stored(&self, record: Record) -> StoredSample {
        record.into_stored(&self.ident(), self.key.address)
    }
}

/// A read-only connection.
#[derive(Debug)]
pub struct Reader {
    conn: Connection,
    path: PathBuf,
    damage: Damage,
    /// The vantage whose series a server and an address identify; empty for this one.
    vantage: RefCell<Arc<str>>,
    /// Whether a transaction is open for several reads, which share the decoded journal.
    is_at_one_commit: Cell<bool>,
    journal: HeldJournal,
}

impl Reader {
    /// Opens the store at `path` for reading, also while a service writes it.
    ///
    /// # Errors
    /// When the file does not exist, is not a store, or has another schema version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::noting(path, Damage::default())
    }

    /// As [`Reader::open`]; parts that cannot be decoded are recorded in `damage`.
    pub(super) fn noting(path: &Path, damage: Damage) -> Result<Self, StoreError> {
        Ok(Self {
            conn: connection::open_reader(path)?,
            path: path.to_owned(),
            damage,
            vantage: RefCell::default(),
            is_at_one_commit: Cell::default(),
            journal: HeldJournal::default(),
        })
    }

    /// The damaged parts that reads so far have skipped, each a sentence that names the missing samples.
    #[must_use]
    pub fn skipped(&self) -> Vec<String> {
        self.damage.all()
    }

    pub(super) fn run<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.run_on_samples(doing, |samples| work(samples.conn))
    }

    fn run_on_samples<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(Samples<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // One read transaction, so that several statements see the same commit.
        let work = || {
            if self.is_at_one_commit.get() {
                return work(Samples::new(&self.conn, &self.damage).holding(&self.journal));
            }
            let tx = self.conn.unchecked_transaction()?;
            work(Samples::new(&tx, &self.damage))
        };
        work().map_err(StoreError::sqlite(doing, &self.path))
    }

    /// Runs `work`, whose reads all see the same commit. Reading many series this way decodes the journal once for all
    /// of them.
    ///
    /// # Errors
    /// Those of `work`, and when the store cannot be read.
    pub fn at_one_commit<T>(&self, work: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let begin = self.conn.unchecked_transaction();
        let _tx = begin.map_err(StoreError::sqlite("begin to read", &self.path))?;
        self.is_at_one_commit.set(true);
        let done = work(self);
        self.is_at_one_commit.set(false);
        self.journal.forget();
        done
    }

    /// Runs `work`, in which a server and an address identify a series of `vantage`.
    pub fn seen_from<T>(&self, vantage: &Arc<str>, work: impl FnOnce(&Self) -> T) -> T {
        let before = self.vantage.replace(Arc::clone(vantage));
        let done = work(self);
        self.vantage.replace(before);
        done
    }

    /// As [`Reader::series`], only those of the vantage that [`Reader::seen_from`] selected.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn own_series(&self) -> Result<Vec<Series>, StoreError> {
        let vantage = self.vantage.borrow().clone();
        self.series_of_vantage(&vantage)
    }

    /// The series of `server`: that at `address`, or all.
    fn find_series(
        &self,
        conn: &Connection,
        server: &str,
        address: Option<SocketAddr>,
    ) -> rusqlite::Result<Vec<Series>> {
        let vantage = &*self.vantage.borrow();
        match address.map(|address| address_text(Some(address))) {
            Some(address) => {
                select_series(conn, "WHERE vantage = ?1 AND server = ?2 AND address = ?3", [vantage, server, &address])
            }
            None => select_series(conn, "WHERE vantage = ?1 AND server = ?2 ORDER BY address", [vantage, server]),
        }
    }

    /// Every series, by server and address.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn series(&self) -> Result<Vec<Series>, StoreError> {
        self.run("list the series", |conn| select_series(conn, "ORDER BY server, vantage, address", []))
    }

    /// The state of the verdict that the last process saved; empty if it cannot be decompressed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn verdict_state(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.run("read the state of the verdict", verdict_state::read)
    }

    /// The protocol sheet of every series that has one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sheets(&self) -> Result<Vec<(SeriesKey, Kept)>, StoreError> {
        self.run("read the protocol sheets", sheets::all)
    }

    /// The stored rejected replies of a server, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn evidence(
        &self,
        server: &str,
        address: Option<SocketAddr>,
    ) -> Result<Vec<(SeriesKey, Evidence)>, StoreError> {
        self.run("read the evidence", |conn| {
            let mut all = Vec::new();
            for series in self.find_series(conn, server, address)? {
                let kept = evidence::of_series(conn, series.id)?;
                all.extend(kept.into_iter().map(|evidence| (series.key.clone(), evidence)));
            }
            all.sort_by_key(|(_, evidence)| evidence.at.wall_ns);
            Ok(all)
        })
    }

    /// The hourly records of authentication of each series of a server in a span, by time, preceded by the last one
    /// before the span.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn nts_hours(&self, server: &str, from_ns: i64, to_ns: i64) -> Result<Vec<Vec<NtsHour>>, StoreError> {
        self.run("read the history of NTS", |conn| {
            let series = self.find_series(conn, server, None)?;
            series.iter().map(|series| nts::of_series(conn, series.id, from_ns, to_ns)).collect()
        })
    }

    /// The events that overlap a span, by start; the latest `limit` of them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events(&self, from_ns: i64, to_ns: i64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.run("read the events", |conn| events::between(conn, from_ns, to_ns, limit))
    }

    /// The local rows in force within a span, by time: also the one before its beginning; the latest `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn local_rows(&self, from_ns: i64, to_ns: i64, limit: usize) -> Result<Vec<LocalRow>, StoreError> {
        self.run("read the local rows", |conn| local_rows::between(conn, from_ns, to_ns, limit))
    }

    /// The latest entries of the audit log, latest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.run("read the audit log", |conn| audit::latest(conn, limit))
    }

    /// The oldest rows of the outbox, as many as fit both limits together, at least one if there is any.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn outbox_oldest(&self, max_lines: usize, max_bytes: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.run("read the outbox", |conn| outbox::oldest(conn, max_lines, max_bytes))
    }

    /// The fill level of the outbox, counted row by row.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn outbox_gauge(&self) -> Result<OutboxGauge, StoreError> {
        self.run("count the outbox", outbox::count)
    }

    /// The monitoring location of the last service that wrote; `None` if it was never set.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn vantage(&self) -> Result<Option<String>, StoreError> {
        self.run("read the vantage", |conn| meta::text(conn, meta::VANTAGE))
    }
}

fn select_series(conn: &Connection, rest: &str, params: impl rusqlite::Params) -> rusqlite::Result<Vec<Series>> {
    let sql = format!("SELECT id, vantage, server, address, first_seen_ns, last_seen_ns FROM series {rest}");
    conn.prepare_cached(&sql)?.query_map(params, decode_series)?.collect()
}

/// Reads a row that begins with the columns id, vantage, server, address, first and last seen.
fn decode_series(row: &Row<'_>) -> rusqlite::Result<Series> {
    let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let key = SeriesKey { vantage: text(1)?.into(), server: text(2)?.into(), address: text(3)?.parse().ok() };
    Ok(Series { id: row.get(0)?, key, first_seen_ns: row.get(4)?, last_seen_ns: row.get(5)? })
}
