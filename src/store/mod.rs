//! The embedded store: one SQLite file that is the journal of everything measured, the outbox of what must still be
//! sent, and the memory behind every window and picture.
//!
//! One thread writes ([`Writer`], driven by [`crate::sinks::worker`]): a batch is one transaction of raw rows and
//! InfluxDB lines, and the same sample twice changes nothing. Rollups on disk are behind by five minutes at most, which
//! readers make up for (`pending`). Readers ([`read::Reader`]) have connections of their
//! own. One service at a time may have a store; any number of processes may read it.
//!
//! Limits: a process that is killed loses nothing that was committed; a power cut may cost the last commits, never the
//! file. Tags of servers are not kept: they are the configuration's.

mod alert_requests;
mod alerts;
mod audit;
mod clock;
mod codec;
mod command;
mod connection;
mod db;
mod error;
mod events;
mod evidence;
mod handle;
mod lock;
mod meta;
mod notices;
mod outbox;
mod pending;
pub mod read;
mod retention;
mod rollup;
mod rollup_table;
mod schema;
mod series;
pub mod upkeep;
mod writer;

pub use alerts::{AlertCommand, AlertRecord};
pub use audit::AuditEntry;
pub use clock::ClockPoint;
pub use codec::StoredSample;
pub use command::{Command, Reply};
pub use error::StoreError;
pub use events::{Event, StoredEvent};
pub use evidence::KEPT_PER_SERIES as EVIDENCE_PER_SERIES;
pub use handle::StoreHandle;
pub use notices::{Due, NoticeCommand, QueueGauge, insert as insert_notification};
pub use outbox::QUARANTINE_LINES;
pub use rollup::{Counts, Grain, Rollup};
pub use writer::{Encoder, Writer};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slog::Logger;

use self::db::Db;
use self::lock::InstanceLock;
use self::notices::Queues;
use self::outbox::Totals;
use self::retention::Horizons;
use crate::config::Config;
#[cfg(doc)]
use crate::config::Server;

/// How a store is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file.
    pub path: PathBuf,
    /// How long raw samples are kept.
    pub raw_for: Duration,
    /// How long five-minute rollups are kept.
    pub rollup_5m_for: Duration,
    /// How long hourly rollups are kept.
    pub rollup_1h_for: Duration,
    /// The outbox drops what is older.
    pub outbox_max_age: Duration,
    /// The outbox drops its oldest beyond this many bytes.
    pub outbox_max_bytes: u64,
    /// Where the monitor looks from; kept for readers.
    pub vantage: String,
    /// The most pages (of 4 KiB) that the file may have; `None` for what the disk holds.
    pub max_pages: Option<u32>,
}

impl Options {
    /// As configured. Without `[influxdb]` an outbox that is left from before is kept for a month at most.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        const MONTH: Duration = Duration::from_secs(30 * 86_400);
        const GIBIBYTE: u64 = 1 << 30;
        let influx = config.influxdb.as_ref();
        Self {
            path: config.store.path.clone(),
            raw_for: config.store.raw_for,
            rollup_5m_for: config.store.rollup_5m_for,
            rollup_1h_for: config.store.rollup_1h_for,
            outbox_max_age: influx.map_or(MONTH, |influx| influx.outbox_max_age),
            outbox_max_bytes: influx.map_or(GIBIBYTE, |influx| influx.outbox_max_bytes),
            vantage: config.monitor.vantage.clone(),
            max_pages: None,
        }
    }

    fn horizons(&self) -> Horizons {
        Horizons { raw_for: self.raw_for, rollup_5m_for: self.rollup_5m_for, rollup_1h_for: self.rollup_1h_for }
    }
}

/// An opened store: ours until the last handle is gone.
#[derive(Debug, Clone)]
pub struct Store {
    options: Options,
    handle: StoreHandle,
    log: Logger,
}

impl Store {
    /// Opens the store, made and migrated as needed, and locks it against other services. Its directory is made too.
    ///
    /// # Errors
    /// When the path cannot be reached or written, another service has the store, or the file is not a store or of a
    /// newer release; such a file is left as it was.
    pub fn open(options: Options, log: &Logger) -> Result<Self, StoreError> {
        make_directory(&options.path)?;
        let lock = InstanceLock::take(&options.path)?;
        let (totals, queues) = (Totals::default(), Queues::default());
        let (gauge, waiting) = Db::new(&options.path, options.max_pages).transact("open the store", |tx| {
            if meta::number(tx, meta::CREATED_NS)?.is_none() {
                meta::set(tx, meta::CREATED_NS, crate::clock::now().wall_ns)?;
            }
            meta::set(tx, meta::VANTAGE, &options.vantage)?;
            Ok((outbox::count(tx)?, notices::count(tx)?))
        })?;
        totals.set(gauge);
        queues.set(waiting, &BTreeMap::new());
        let handle = StoreHandle::new(options.path.clone(), totals, queues, lock);
        Ok(Self { options, handle, log: log.clone() })
    }

    /// Notes that a service begins to send requests. When the one before did not end in order, returns a wall time in
    /// nanoseconds: requests that were sent before it may be missing here, and none was sent between it and now to
    /// whoever must not be asked faster than [`Server::FLOOR`].
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn begin(&self) -> Result<Option<i64>, StoreError> {
        let now_ns = crate::clock::now().wall_ns;
        Db::new(&self.options.path, self.options.max_pages).transact("note the start", |tx| meta::begin(tx, now_ns))
    }

    /// Notes that the service ends in order: all that it asked is recorded. To be called when the writer has ended.
    ///
    /// # Errors
    /// When the store cannot be written; the next service is then more cautious than it need be.
    pub fn settle(&self) -> Result<(), StoreError> {
        Db::new(&self.options.path, self.options.max_pages).transact("note the end", meta::settle)
    }

    /// A writer, for [`crate::sinks::worker::spawn`]. One at a time; a successor takes over where it ended.
    #[must_use]
    pub fn writer(&self, encoder: Option<Encoder>) -> Writer {
        Writer::new(&self.options, encoder, self.handle.totals(), self.handle.queues(), self.log.clone())
    }

    /// What the rest of the program holds.
    #[must_use]
    pub fn handle(&self) -> StoreHandle {
        self.handle.clone()
    }
}

fn make_directory(store: &Path) -> Result<(), StoreError> {
    let Some(dir) = store.parent().filter(|dir| !dir.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(dir).map_err(|source| StoreError::Io {
        doing: "make the directory",
        path: dir.to_owned(),
        source,
    })
}
