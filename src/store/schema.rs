//! The schema and its versions. `user_version` counts the applied migrations. A released migration is never edited; the
//! next change is a new file at the end of the table.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::error::StoreError;

/// "NTPM" in the file header distinguishes a store from other SQLite databases.
const APPLICATION_ID: i64 = 0x4e54_504d;

/// The migrations in order: entry n migrates version n to n+1.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/v1.sql"),
    include_str!("migrations/v2.sql"),
    include_str!("migrations/v3.sql"),
    include_str!("migrations/v4.sql"),
    include_str!("migrations/v5.sql"),
    include_str!("migrations/v6.sql"),
    include_str!("migrations/v7.sql"),
    include_str!("migrations/v8.sql"),
    include_str!("migrations/v9.sql"),
    include_str!("migrations/fleet.sql"),
    include_str!("migrations/blocks.sql"),
    include_str!("migrations/fleet_raw.sql"),
    include_str!("migrations/local.sql"),
    include_str!("migrations/sheet.sql"),
    include_str!("migrations/nts.sql"),
    include_str!("migrations/nts_faults.sql"),
    include_str!("migrations/fleet_positions.sql"),
];

/// The schema version of this release.
pub(super) fn newest() -> i64 {
    MIGRATIONS.len() as i64
}

/// Returns the version of a file after checking that it is a store, or 0 if it is empty. Does not write.
pub(super) fn inspect(conn: &Connection, path: &Path) -> Result<i64, StoreError> {
    let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let objects = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((pragma("application_id")?, pragma("user_version")?, objects))
    };
    let (application_id, version, objects) = read().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotAStore(path.to_owned()),
        _ => StoreError::sqlite("read the version", path)(error),
    })?;
    match (application_id, version, objects) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, found, _) if found > newest() => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: newest() })
        }
        (APPLICATION_ID, version, _) => Ok(version),
        _ => Err(StoreError::NotAStore(path.to_owned())),
    }
}

/// Migrates a store from `version` to the newest, in one transaction.
pub(super) fn migrate(conn: &mut Connection, version: i64) -> rusqlite::Result<()> {
    migrate_to(conn, version, newest())
}

fn migrate_to(conn: &mut Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    if from == to {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let steps = MIGRATIONS.iter().take(usize::try_from(to).unwrap_or(0)).skip(usize::try_from(from).unwrap_or(0));
    for step in steps {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", to)?;
    tx.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Position;
    use crate::store::damage::Damage;
    use crate::store::read::Reader;
    use crate::store::record::Record;
    use crate::store::samples::Samples;
    use crate::store::series::SeriesCache;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Authentication, Mode};

    fn shape(conn: &Connection) -> Vec<String> {
        let mut statement = conn.prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn every_earlier_version_migrates_to_the_new_schema() {
        let mut fresh = Connection::open_in_memory().unwrap();
        migrate(&mut fresh, 0).unwrap();
        for version in 0..newest() {
            let mut old = Connection::open_in_memory().unwrap();
            migrate_to(&mut old, 0, version).unwrap();
            let found = inspect(&old, Path::new("old")).unwrap();
            assert_eq!(found, version);
            migrate(&mut old, found).unwrap();
            assert_eq!(shape(&old), shape(&fresh), "from version {version}");
            assert_eq!(inspect(&old, Path::new("old")).unwrap(), newest());
        }
    }

    #[test]
    fn foreign_database_and_newer_store_are_rejected() {
        let foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(inspect(&foreign, Path::new("x")), Err(StoreError::NotAStore(_))));

        let mut newer = Connection::open_in_memory().unwrap();
        migrate(&mut newer, 0).unwrap();
        newer.pragma_update(None, "user_version", newest() + 1).unwrap();
        assert!(matches!(inspect(&newer, Path::new("x")), Err(StoreError::Newer { .. })));
    }

    /// A store of version 6 as a service of that release leaves it: one series and its polls.
    fn version_6(path: &Path) -> Connection {
        let mut conn = Connection::open(path).unwrap();
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        migrate_to(&mut conn, 0, 6).unwrap();
        conn.execute_batch(
            "INSERT INTO series VALUES (7, 'a', '192.0.2.1:123', 0, 4999);
             WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 4999)
             INSERT INTO sample SELECT 7, n, n, 5, 0, NULL, 0, 64.0, 1, 0, 0.25, 0.01, 0.02, 2, 0, 1, -20, 0.0, 0.0, 3, 0
             FROM n;",
        )
        .unwrap();
        conn
    }

    fn number(conn: &Connection, sql: &str) -> i64 {
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    const POLLS: &str = "SELECT count(*) FROM series JOIN sample ON series_id = id WHERE server = 'a' AND raw_ns = 5";

    #[test]
    fn version_7_reads_and_continues_the_samples_of_version_6() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut conn = version_6(&path);
        let pages = number(&conn, "PRAGMA page_count");
        migrate(&mut conn, 6).unwrap();
        assert!(number(&conn, "PRAGMA page_count") - pages <= 20, "no row of a sample is written again");

        let reader = Reader::open(&path).unwrap();
        let samples = reader.samples("a", None, i64::MIN, i64::MAX, usize::MAX).unwrap();
        let last = &samples.last().unwrap().sample;
        assert_eq!((samples.len(), last.at, last.offset_s()), (5000, Stamp::new(4999, 4999, 5), Some(0.25)));
        let unknown = (Authentication::None, Mode::Basic, None);
        assert_eq!((last.authentication, last.mode, last.reference_age_s()), unknown);

        let mut next = last.clone();
        next.at = Stamp { boot_ns: 9, ..Stamp::new(5000, 5000, 5) };
        let id = SeriesCache::default().id_of(&conn, &next).unwrap();
        Samples::new(&conn, &Damage::default()).append(&[Record::of(id, &next)]).unwrap();
        assert_eq!(id, 7);
        assert_eq!(reader.latest().unwrap()[0].sample, next);
        let health: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(health, "ok");
    }

    #[test]
    fn version_14_adds_sheets_and_touches_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut conn = version_6(&path);
        migrate_to(&mut conn, 6, 13).unwrap();
        let (before, pages) = (shape(&conn), number(&conn, "PRAGMA page_count"));
        migrate_to(&mut conn, 13, 14).unwrap();
        let new: Vec<_> = shape(&conn).into_iter().filter(|sql| !before.contains(sql)).collect();
        assert!(matches!(&new[..], [sql] if sql.starts_with("CREATE TABLE sheet")), "{new:?}");
        assert!(number(&conn, "PRAGMA page_count") <= pages + 1);
        migrate(&mut conn, 14).unwrap();
        assert_eq!(Reader::open(&path).unwrap().sheets().unwrap(), []);
    }

    #[test]
    fn version_17_keeps_the_position_of_all_vantages() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut conn = version_6(&path);
        migrate_to(&mut conn, 6, 16).unwrap();
        conn.execute("INSERT INTO fleet_position VALUES ('s', 'yesterday', 7)", []).unwrap();
        migrate(&mut conn, 16).unwrap();
        let position =
            Position { stream: "s".into(), vantage: String::new(), created: "yesterday".into(), sequence: 7 };
        assert_eq!(Reader::open(&path).unwrap().fleet_positions("s").unwrap(), [position]);
    }

    #[test]
    fn a_full_disk_while_migrating_leaves_the_old_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut conn = version_6(&path);
        let (before, pages) = (shape(&conn), number(&conn, "PRAGMA page_count"));
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        let why = migrate(&mut conn, 6).unwrap_err();
        assert_eq!(why.sqlite_error_code(), Some(ErrorCode::DiskFull), "{why}");
        drop(conn);
        let mut conn = Connection::open(&path).unwrap();
        assert_eq!((inspect(&conn, &path).unwrap(), shape(&conn), number(&conn, POLLS)), (6, before, 5000));
        migrate(&mut conn, 6).unwrap();
        assert_eq!(number(&conn, POLLS), 5000);
    }

    #[test]
    fn a_kill_while_migrating_leaves_the_old_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let conn = version_6(&path);
        let before = shape(&conn);
        // Every changed page goes to the log at once, as it may when memory is short.
        conn.pragma_update(None, "cache_spill", 1).unwrap();
        conn.pragma_update(None, "cache_size", 1).unwrap();
        conn.execute_batch(&format!("BEGIN IMMEDIATE; {} PRAGMA user_version = 7;", MIGRATIONS[6])).unwrap();
        let killed = dir.path().join("killed.db");
        std::fs::copy(&path, &killed).unwrap();
        std::fs::copy(dir.path().join("a.db-wal"), dir.path().join("killed.db-wal")).unwrap();
        let conn = Connection::open(&killed).unwrap();
        assert_eq!((inspect(&conn, &killed).unwrap(), shape(&conn), number(&conn, POLLS)), (6, before, 5000));
    }
}
