//! The embedded store: one SQLite file that is the journal of all measurements, the outbox of InfluxDB lines, and the
//! source of every query and chart.
//!
//! One thread writes ([`Writer`], driven by [`crate::sinks::worker`]): a batch is one transaction of a journal row and
//! InfluxDB lines, and writing the same sample twice has no effect. The journal is packed into blocks later
//! (`samples`). Rollups on disk are up to five minutes behind, which readers compensate for (`pending`). Readers
//! ([`read::Reader`]) have their own connections. Only one service at a time can use a store; any number of processes
//! can read it.
//!
//! Limits: a crash of the process loses no committed data; a power failure may lose the last commits, never the file.
//! Tags of servers are not stored, because they belong to the configuration.

mod alert_requests;
mod alerts;
mod audit;
mod block;
mod clock;
mod codes;
mod command;
mod connection;
mod damage;
mod db;
mod error;
mod events;
mod evidence;
mod files;
mod fleet;
mod fleet_requests;
mod handle;
mod kisses;
mod local_rows;
mod location;
mod lock;
mod meta;
mod notices;
mod nts;
mod outbox;
mod pending;
pub mod read;
mod recent;
mod record;
mod retention;
mod rollup;
mod rollup_table;
mod samples;
mod schema;
mod series;
mod sheets;
pub mod upkeep;
mod verdict_state;
mod writer;

pub use alerts::{AlertCommand, AlertRecord};
pub use audit::AuditEntry;
pub use clock::ClockPoint;
pub use command::{Command, Reply};
pub use error::StoreError;
pub use events::{Event, KnownAs, StoredEvent};
pub use evidence::KEPT_PER_SERIES as EVIDENCE_PER_SERIES;
pub use fleet::{
    Accepted, Batch, JournalGauge, JournalRow, Packer, Position, RawGauge, RawLimits, Received, Seqs, VantageRow,
};
pub use handle::StoreHandle;
pub use notices::{Due, NoticeCommand, QueueGauge, insert as insert_notification};
pub use nts::NtsHour;
pub use outbox::QUARANTINE_LINES;
pub use record::StoredSample;
pub use rollup::{Counts, Grain, Rollup};
pub use samples::MoveGauge;
pub use verdict_state::PackedState;
pub use writer::{Encoder, Writer};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::TransactionBehavior;
use slog::Logger;

use self::db::Db;
use self::location::Location;
use self::lock::InstanceLock;
use self::notices::{Counted, Queues};
use self::outbox::Totals;
use self::retention::Horizons;
use self::samples::Samples;
use crate::config::Config;
#[cfg(doc)]
use crate::config::Server;
use crate::sinks::influx::outbox::OutboxGauge;

/// The settings of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The path of the file.
    pub path: PathBuf,
    /// How long raw samples are kept.
    pub raw_for: Duration,
    /// Limits of the raw samples of other vantages, which a hub receives; without them those of this host's samples
    /// apply.
    pub others: Option<RawLimits>,
    /// How long five-minute rollups are kept.
    pub rollup_5m_for: Duration,
    /// How long hourly rollups are kept.
    pub rollup_1h_for: Duration,
    /// The outbox drops lines that are older than this.
    pub outbox_max_age: Duration,
    /// The outbox drops its oldest lines beyond this size, in bytes.
    pub outbox_max_bytes: u64,
    /// The name of the monitoring location, stored for readers.
    pub vantage: String,
    /// Whether a name that is already in the store takes precedence.
    pub keeps_vantage: bool,
    /// Maximum number of pages (of 4 KiB) of the file; `None` for no limit.
    pub max_pages: Option<u32>,
}

impl Options {
    /// The settings from the configuration. Without `[influxdb]`, an existing outbox is kept for a month at most.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        const MONTH: Duration = Duration::from_secs(30 * 86_400);
        const GIBIBYTE: u64 = 1 << 30;
        let influx = config.influxdb.as_ref();
        Self {
            path: config.store.path.clone(),
            raw_for: config.store.raw_for,
            others: config
                .fleet
                .as_ref()
                .filter(|fleet| fleet.role.is_hub())
                .map(|fleet| RawLimits { kept_for: fleet.raw_for, max_bytes: fleet.raw_max_bytes }),
            rollup_5m_for: config.store.rollup_5m_for,
            rollup_1h_for: config.store.rollup_1h_for,
            outbox_max_age: influx.map_or(MONTH, |influx| influx.outbox_max_age),
            outbox_max_bytes: influx.map_or(GIBIBYTE, |influx| influx.outbox_max_bytes),
            vantage: config.monitor.vantage.clone(),
            keeps_vantage: !config.monitor.is_named,
            max_pages: None,
        }
    }

    fn horizons(&self) -> Horizons {
        let Self { raw_for, others, rollup_5m_for, rollup_1h_for, .. } = *self;
        Horizons { raw_for, others, rollup_5m_for, rollup_1h_for }
    }
}

/// An opened store. It is locked until the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Store {
    options: Options,
    handle: StoreHandle,
    log: Logger,
}

impl Store {
    /// Opens the store and locks it against other services. Creates or migrates the file, and creates its directory.
    ///
    /// # Errors
    /// When the path cannot be written, another service uses the store, or the file is not a store or from a newer
    /// release; such a file is not changed.
    pub fn open(mut options: Options, log: &Logger) -> Result<Self, StoreError> {
        files::make_directory(&options.path)?;
        let mut lock = InstanceLock::take(&options.path)?;
        let (gauge, waiting) = introduce(&mut options)?;
        lock.take_store()?;
        let (totals, queues) = (Totals::default(), Queues::default());
        totals.set(gauge);
        queues.set(waiting, &BTreeMap::new());
        let handle = StoreHandle::new(Location::new(&options.path, lock)?, totals, queues);
        Ok(Self { options, handle, log: log.clone() })
    }

    /// Records that the service starts to send requests. After an unclean shutdown, returns a wall time in nanoseconds:
    /// requests sent before it may be missing in the store, and since then no request was sent that could violate the
    /// minimum interval [`Server::FLOOR`].
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn begin(&self) -> Result<Option<i64>, StoreError> {
        let now_ns = crate::clock::now().wall_ns;
        self.db().transact("record the start", |tx, _| {
            let newest_ns = Samples::new(tx, &self.handle.location().damage()).newest_ns()?;
            events::end_all(tx, newest_ns)?;
            meta::begin(tx, now_ns)
        })
    }

    /// Records a clean shutdown: every request was stored. Must be called after the writer has ended.
    ///
    /// # Errors
    /// When the store cannot be written; polls then start later at the next start.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.db().transact("record the shutdown", |tx, _| meta::settle(tx))
    }

    /// The name of the monitoring location in the store.
    #[must_use]
    pub fn vantage(&self) -> &str {
        &self.options.vantage
    }

    fn db(&self) -> Db {
        Db::new(self.handle.location(), self.options.max_pages)
    }

    /// A writer for [`crate::sinks::worker::spawn`]. Only one may run at a time; a successor continues its work.
    #[must_use]
    pub fn writer(&self, encoder: Option<Encoder>) -> Writer {
        Writer::new(&self.options, &self.handle, encoder, self.log.clone())
    }

    /// A handle for the other parts of the service.
    #[must_use]
    pub fn handle(&self) -> StoreHandle {
        self.handle.clone()
    }
}

/// Creates or migrates the store, determines the name of its vantage, and counts the rows of its outbox and its
/// notification queues.
fn introduce(options: &mut Options) -> Result<(OutboxGauge, Counted), StoreError> {
    let mut conn = connection::open_writer(&options.path, options.max_pages)?;
    let mut work = || {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let kept = meta::text(&tx, meta::VANTAGE)?.filter(|kept| options.keeps_vantage && !kept.is_empty());
        let vantage = kept.unwrap_or_else(|| options.vantage.clone());
        meta::introduce(&tx, crate::clock::now().wall_ns, &vantage)?;
        let counted = (outbox::count(&tx)?, notices::count(&tx)?);
        tx.commit()?;
        Ok((counted, vantage))
    };
    let done = work().map(|(counted, vantage)| {
        options.vantage = vantage;
        counted
    });
    done.map_err(StoreError::sqlite("open the store", &options.path))
}
