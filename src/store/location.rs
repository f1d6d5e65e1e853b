//! The path and the file of the store, its locks, and its idle readers. Another file can become the store while the
//! service runs.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::damage::Damage;
use super::error::StoreError;
use super::lock::InstanceLock;
use super::read::Reader;
use crate::held::{AtPath, FileId};

/// Maximum number of idle readers that are kept open.
const IDLE_READERS: usize = 4;

/// Shared by the writer and all handles. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Location {
    inner: Arc<Mutex<Inner>>,
    replaced: Arc<watch::Sender<Option<String>>>,
    damage: Damage,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// The path with links resolved: SQLite keeps the log there.
    real: PathBuf,
    /// The length of the file after the last transaction of this process, in bytes.
    length: u64,
    /// Increases whenever the open readers must not be used any more.
    generation: u64,
    // Declared before `lock`, so that it is dropped first: closing the locked file would release SQLite's locks.
    idle: Vec<Reader>,
    lock: InstanceLock,
}

impl Location {
    /// The store at `path`, which exists and is locked.
    pub(super) fn new(path: &Path, lock: InstanceLock) -> Result<Self, StoreError> {
        let real = path.canonicalize().map_err(StoreError::io("look at", path))?;
        let inner = Inner { path: path.to_owned(), real, length: 0, generation: 0, idle: Vec::new(), lock };
        let replaced = Arc::new(watch::Sender::new(None));
        let location = Self { inner: Arc::new(Mutex::new(inner)), replaced, damage: Damage::default() };
        location.measure();
        Ok(location)
    }

    /// The path at which connections are opened.
    pub(super) fn path(&self) -> PathBuf {
        self.inner().path.clone()
    }

    /// The faults that readers and the writer found.
    pub(super) fn damage(&self) -> Damage {
        self.damage.clone()
    }

    /// The path with links resolved.
    pub(super) fn real(&self) -> PathBuf {
        self.inner().real.clone()
    }

    /// Compares the file that is now at the path with the store's open file.
    pub(super) fn look(&self) -> Result<AtPath, StoreError> {
        let inner = self.inner();
        let Some(store) = inner.lock.store() else { return Ok(AtPath::Nothing) };
        FileId::of(store).and_then(|id| AtPath::look(&inner.path, id)).map_err(StoreError::io("look at", &inner.path))
    }

    /// The metadata of the file that is the store, whatever its path is now.
    pub(super) fn metadata(&self) -> Option<Metadata> {
        self.inner().metadata()
    }

    /// Whether the file still has a name, at any path.
    pub(super) fn has_a_name(&self) -> bool {
        self.metadata().is_some_and(|meta| meta.nlink() > 0)
    }

    /// The length of the file after the last transaction, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.inner().length
    }

    /// Records the length of the file after a transaction.
    pub(super) fn measure(&self) {
        let mut inner = self.inner();
        if let Some(meta) = inner.metadata() {
            inner.length = meta.len();
        }
    }

    /// Uses the locked file `store` as the store from now on, at the same path or at another.
    pub(super) fn move_to(&self, path: Option<&Path>, store: File) {
        self.renew_readers();
        let mut inner = self.inner();
        if let Some(path) = path {
            (inner.path, inner.real) = (path.to_owned(), path.to_owned());
        }
        inner.lock.set_store(store);
        drop(inner);
        self.measure();
    }

    /// Closes the idle readers, and those in use when they become idle.
    pub(super) fn renew_readers(&self) {
        let mut inner = self.inner();
        inner.idle.clear();
        inner.generation += 1;
    }

    /// Creates a removed lock file again; see [`InstanceLock::keep`].
    pub(super) fn keep_lock(&self) -> Result<Option<String>, StoreError> {
        self.inner().lock.keep()
    }

    /// Runs `work` with a reader.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let (idle, path, generation) = {
            let mut inner = self.inner();
            (inner.idle.pop(), inner.path.clone(), inner.generation)
        };
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::noting(&path, self.damage())?,
        };
        let result = work(&reader)?;
        let mut inner = self.inner();
        if inner.generation == generation && inner.idle.len() < IDLE_READERS {
            inner.idle.push(reader);
        }
        Ok(result)
    }

    /// Another program put another store at the path, so the service must end. `why` is for the log.
    pub(super) fn set_replaced(&self, why: String) {
        self.replaced.send_replace(Some(why));
    }

    /// Changes when another program put another store at the path, with the reason.
    pub(super) fn replaced(&self) -> watch::Receiver<Option<String>> {
        self.replaced.subscribe()
    }

    // No change to the data can panic half-way.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn metadata(&self) -> Option<Metadata> {
        self.lock.store().and_then(|store| store.metadata().ok())
    }
}
