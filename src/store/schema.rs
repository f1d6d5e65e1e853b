//! The schema and its versions. `user_version` counts the migrations that were applied; a migration, once released,
//! is never edited: the next change is another file at the end of the table.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::StoreError;

/// "NTPM" in the header of the file tells a store from any other SQLite database.
const APPLICATION_ID: i64 = 0x4e54_504d;

/// What makes version n+1 of version n, in order.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/v1.sql"),
    include_str!("migrations/v2.sql"),
    include_str!("migrations/v3.sql"),
    include_str!("migrations/v4.sql"),
    include_str!("migrations/v5.sql"),
    include_str!("migrations/v6.sql"),
    include_str!("migrations/v7.sql"),
];

/// The version this release writes.
pub(super) fn newest() -> i64 {
    MIGRATIONS.len() as i64
}

/// The version of a file, after the check that it is a store, or empty (version 0). Writes nothing.
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

/// Brings a store from `version` to the newest, all in one transaction.
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

    fn shape(conn: &Connection) -> Vec<String> {
        let mut statement = conn.prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn a_store_of_every_earlier_version_becomes_what_a_new_one_is() {
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
    fn a_foreign_database_and_a_newer_store_are_refused() {
        let foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(inspect(&foreign, Path::new("x")), Err(StoreError::NotAStore(_))));

        let mut newer = Connection::open_in_memory().unwrap();
        migrate(&mut newer, 0).unwrap();
        newer.pragma_update(None, "user_version", newest() + 1).unwrap();
        assert!(matches!(inspect(&newer, Path::new("x")), Err(StoreError::Newer { .. })));
    }
}
