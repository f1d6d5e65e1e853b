//! Maintenance of the file: check it, copy it while a service writes it, restore a copy, and shrink it. Commands that
//! change the file in place take the service's lock, so they are refused while a service runs.

mod restore;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::Connection;

pub use super::files::MODE;
pub use restore::{Restored, Source, restore};

use super::damage::Damage;
use super::error::StoreError;
use super::files::{self, beside};
use super::lock::InstanceLock;
use super::samples::Samples;
use super::{connection, schema};

/// SQLite reports at most this many faults of a damaged file.
const MAX_FAULTS: usize = 20;

/// How thoroughly a store is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every page is read and decoded.
    Quick,
    /// Every index is also compared with its table.
    Full,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    pub version: i64,
    /// The version that this release writes; the service migrates an older store when it starts.
    pub newest: i64,
    /// The size of the file and its log, in bytes.
    pub bytes: u64,
    /// The unused part of the file, in bytes.
    pub free_bytes: u64,
    /// Rows of each table, by name.
    pub rows: Vec<(String, u64)>,
    /// The number of samples that can be read.
    pub samples: u64,
    /// The faults; empty when the store is sound.
    pub faults: Vec<String>,
}

/// Checks the store at `path`, which a service may be writing. Changes nothing. `step` is called before each step.
///
/// # Errors
/// When there is no store, or it cannot be read at all; other faults are in the result.
pub fn check(path: &Path, depth: Depth, mut step: impl FnMut(&str)) -> Result<Checked, StoreError> {
    let conn = connection::open_any_version(path)?;
    let version = schema::inspect(&conn, path)?;
    let mut run = || -> rusqlite::Result<Checked> {
        step("reading every page");
        let mut faults = structure(&conn, depth)?;
        let (mut rows, mut samples) = (Vec::new(), 0);
        // A count in a damaged file may be wrong or fail; the damage has been reported already.
        if faults.is_empty() {
            for table in tables(&conn)? {
                step(&format!("counting {table}"));
                rows.push((table.clone(), count(&conn, &format!("SELECT count(*) FROM {table}"))?));
            }
            step("looking for rows without their series");
            faults.extend(orphans(&conn)?);
            step("reading every sample");
            // In one transaction, because the service may move samples from one place to another.
            let tx = conn.unchecked_transaction()?;
            samples = count(&tx, "SELECT count(*) FROM sample")?;
            if version == schema::newest() {
                let damage = Damage::default();
                samples += Samples::new(&tx, &damage).examine()?;
                faults.extend(damage.all());
            }
        }
        let page_size = count(&conn, "SELECT page_size FROM pragma_page_size")?;
        let free = count(&conn, "SELECT freelist_count FROM pragma_freelist_count")?;
        let bytes = size(path) + size(&beside(path, "-wal"));
        Ok(Checked { version, newest: schema::newest(), bytes, free_bytes: free * page_size, rows, samples, faults })
    };
    run().map_err(StoreError::sqlite("check the store", path))
}

fn structure(conn: &Connection, depth: Depth) -> rusqlite::Result<Vec<String>> {
    let pragma = match depth {
        Depth::Quick => "quick_check",
        Depth::Full => "integrity_check",
    };
    let mut statement = conn.prepare(&format!("PRAGMA {pragma}({MAX_FAULTS})"))?;
    let lines: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

fn tables(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    conn.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Faults that SQLite itself cannot detect.
fn orphans(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut faults = Vec::new();
    for table in ["sample", "block", "evidence", "rollup_5m", "rollup_1h", "nts_hour"] {
        if count(conn, &format!("SELECT count(*) FROM sqlite_schema WHERE name = '{table}'"))? == 0 {
            continue;
        }
        let lost = count(
            conn,
            &format!(
                "SELECT count(*) FROM (SELECT DISTINCT series_id FROM {table}) \
                 WHERE series_id NOT IN (SELECT id FROM series)"
            ),
        )?;
        if lost > 0 {
            faults.push(format!("{table}: rows of {lost} series that the store does not know"));
        }
    }
    let torn = count(conn, "SELECT count(*) FROM outbox WHERE length(body) <> bytes")?;
    if torn > 0 {
        faults.push(format!("outbox: {torn} rows are not as long as they should be"));
    }
    Ok(faults)
}

fn count(conn: &Connection, sql: &str) -> rusqlite::Result<u64> {
    conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map(|n| u64::try_from(n).unwrap_or(0))
}

/// Requires that there is a store at `path`. Opening it to write would create one.
///
/// # Errors
/// When there is none.
pub fn require(path: &Path) -> Result<(), StoreError> {
    fs::metadata(path).map(drop).map_err(StoreError::io("find", path))
}

/// Copies the store at `path`, which a service may be writing, to `target`: all complete commits, without unused space.
/// An existing file is replaced only if `replace` is set, and only by a complete copy.
///
/// # Errors
/// When the store cannot be read or the copy cannot be written; `target` is then unchanged.
pub fn backup(path: &Path, target: &Path, replace: bool) -> Result<u64, StoreError> {
    examine_target(path, target, replace)?;
    let part = beside(target, ".part");
    let done = copy_out(path, &part).and_then(|()| fs::rename(&part, target).map_err(StoreError::io("finish", target)));
    if done.is_err() {
        // The file may not have been created.
        let _ = fs::remove_file(&part);
    }
    done.map(|()| size(target))
}

/// Copies the store at `path` as [`backup`] does, and writes the copy to `to`. The copy is first made as a temporary
/// file in the directory of the store, which needs space for it.
///
/// # Errors
/// When the store cannot be read or the copy cannot be written.
pub fn backup_to(path: &Path, to: &mut impl Write) -> Result<u64, StoreError> {
    let part = beside(path, ".copying");
    let copied = copy_out(path, &part).and_then(|()| File::open(&part).map_err(StoreError::io("read", &part)));
    // The file may not have been created.
    let _ = fs::remove_file(&part);
    std::io::copy(&mut copied?, to).map_err(StoreError::io("copy", path))
}

/// Whether [`backup`] may write to `target`.
///
/// # Errors
/// When a file exists there that must not be replaced.
pub fn examine_target(path: &Path, target: &Path, replace: bool) -> Result<(), StoreError> {
    if !replace && target.exists() {
        return Err(StoreError::io("replace", target)(std::io::ErrorKind::AlreadyExists.into()));
    }
    if is_same_file(path, target) {
        return Err(StoreError::io("replace", target)(std::io::Error::other("it is the store itself")));
    }
    crate::new_file::replaceable(target).map_err(StoreError::io("replace", target))?;
    Ok(())
}

/// Also compares files that have several names, or that are reached through a link.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    place(one).is_some_and(|one| place(other) == Some(one))
}

fn copy_out(path: &Path, part: &Path) -> Result<(), StoreError> {
    let conn = connection::open_any_version(path)?;
    schema::inspect(&conn, path)?;
    files::copy(&conn, part)
}

/// Returns unused space to the file system. Returns the size before and after, in bytes.
///
/// # Errors
/// When a service uses the store, or there is no room for a second copy of it.
pub fn vacuum(path: &Path) -> Result<(u64, u64), StoreError> {
    require(path)?;
    let _lock = InstanceLock::take(path)?;
    let before = size(path) + size(&beside(path, "-wal"));
    let conn = connection::open_writer(path, None)?;
    let work = || {
        conn.execute_batch("VACUUM")?;
        conn.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
    };
    work().map_err(StoreError::sqlite("compact the store", path))?;
    drop(conn);
    Ok((before, size(path)))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}
