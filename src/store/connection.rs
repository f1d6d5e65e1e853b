//! Opens the connections of the writer and of the readers.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::schema;
use crate::regular_file;

/// How long a connection waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// A long read transaction makes the WAL file grow; afterwards it is truncated to this size.
const WAL_LIMIT_BYTES: i64 = 64 << 20;
/// Number of cached prepared statements, enough for all statements of the writer and of any reader.
const STATEMENTS: usize = 48;

/// Opens the file for writing and migrates its schema. A file that is not a store, or is from a newer release, is not
/// changed. `max_pages` limits its size.
pub(super) fn open_writer(path: &Path, max_pages: Option<u32>) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    refuse_pipes_and_devices(path)?;
    let mut conn = Connection::open_with_flags(path, flags).map_err(StoreError::sqlite("open the store", path))?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(StoreError::sqlite("open the store", path))?;
    let version = schema::inspect(&conn, path)?;
    prepare(&mut conn, version, max_pages).map_err(StoreError::sqlite("set up the store", path))?;
    Ok(conn)
}

fn prepare(conn: &mut Connection, version: i64, max_pages: Option<u32>) -> rusqlite::Result<()> {
    // auto_vacuum must be set before the first table is created, and before WAL is enabled.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // NORMAL with WAL: a crash of the process loses nothing, a power failure at most the last commits, never the file.
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update_and_check(None, "journal_size_limit", WAL_LIMIT_BYTES, |_| Ok(()))?;
    keep_statements(conn)?;
    if let Some(pages) = max_pages {
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    schema::migrate(conn, version)
}

/// Opens a store of the current version for reading only, without disturbing the writer and other readers.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let conn = open_any_version(path)?;
    let found = schema::inspect(&conn, path)?;
    if found < schema::newest() {
        return Err(StoreError::Older { path: path.to_owned(), found, known: schema::newest() });
    }
    Ok(conn)
}

/// Opens a store of any version for reading only, so that a store of an earlier release can be checked and copied.
pub(super) fn open_any_version(path: &Path) -> Result<Connection, StoreError> {
    refuse_pipes_and_devices(path)?;
    open_read_only(path).map_err(StoreError::sqlite("open the store for reading", path))
}

/// SQLite would wait for a writer of a pipe, and read devices. Other errors are left to SQLite.
fn refuse_pipes_and_devices(path: &Path) -> Result<(), StoreError> {
    match regular_file::require(path) {
        Err(why) if regular_file::is_unsuitable(&why) => Err(StoreError::NotAStore(path.to_owned())),
        _ => Ok(()),
    }
}

fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    keep_statements(&conn)?;
    Ok(conn)
}

/// Closes a connection to a file that is no longer the store. Does not checkpoint: the log may have been replaced by
/// that of another file.
pub(super) fn retire(conn: Connection) {
    // This cannot fail for an open connection.
    let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

/// Writes the whole log into the file.
pub(super) fn empty_log(conn: &Connection) -> rusqlite::Result<()> {
    let is_busy = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))?;
    if is_busy {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(busy, None));
    }
    Ok(())
}

/// Whether SQLite finds no fault in the pages that `conn` sees.
pub(super) fn is_sound(conn: &Connection) -> bool {
    conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).is_ok_and(|line| line == "ok")
}

/// Whether SQLite finds no fault in the file at `path`.
pub(super) fn is_sound_file(path: &Path) -> bool {
    open_any_version(path).is_ok_and(|conn| is_sound(&conn))
}

/// Keeps the query plan of prepared statements when parameters change. Otherwise SQLite plans a statement with a range
/// or a limit again for each value, which takes longer than running it.
fn keep_statements(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}
