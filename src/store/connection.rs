//! Connections: how the one writer and the many readers open the file.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::schema;

/// How long a connection waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// A reader that lasts long makes the log grow; once it is gone the file is cut back to this.
const WAL_LIMIT_BYTES: i64 = 64 << 20;
/// Enough for every statement of the writer, and of any reader, to stay prepared.
const STATEMENTS: usize = 48;

/// Opens the file for writing and brings its schema up to date. A file that is not ours, or from a newer release, is
/// left as it was. `max_pages` limits its size.
pub(super) fn open_writer(path: &Path, max_pages: Option<u32>) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags).map_err(StoreError::sqlite("open the store", path))?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(StoreError::sqlite("open the store", path))?;
    let version = schema::inspect(&conn, path)?;
    prepare(&mut conn, version, max_pages).map_err(StoreError::sqlite("set up the store", path))?;
    Ok(conn)
}

fn prepare(conn: &mut Connection, version: i64, max_pages: Option<u32>) -> rusqlite::Result<()> {
    // auto_vacuum must come before the first table, and before WAL.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // NORMAL with WAL: a crash of the process loses nothing, a power cut at most the last commits, and never the file.
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update_and_check(None, "journal_size_limit", WAL_LIMIT_BYTES, |_| Ok(()))?;
    keep_statements(conn)?;
    if let Some(pages) = max_pages {
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    schema::migrate(conn, version)
}

/// Opens an up-to-date store for reading only; the writer and other readers are not disturbed.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let conn = open_any_version(path)?;
    let found = schema::inspect(&conn, path)?;
    if found < schema::newest() {
        return Err(StoreError::Older { path: path.to_owned(), found, known: schema::newest() });
    }
    Ok(conn)
}

/// Opens a store of any version for reading only: one of an earlier release can be checked and copied too.
pub(super) fn open_any_version(path: &Path) -> Result<Connection, StoreError> {
    open_read_only(path).map_err(StoreError::sqlite("open the store for reading", path))
}

fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    keep_statements(&conn)?;
    Ok(conn)
}

/// Statements stay prepared, also when they are given other values: without this guarantee SQLite plans a statement with
/// a range or a limit anew for each value, which takes longer than to run it.
fn keep_statements(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}
