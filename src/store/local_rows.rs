//! The local rows: the state of this host's clock as known without any server, one row per change. There are few of
//! them, and they are kept as long as hourly rollups, together with the row that was in force at the beginning of that
//! time.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use ntp_monitor_core::formats::local::LocalRow;

/// Stores a row; replaces one with the same timestamp.
pub(super) fn insert(conn: &Connection, row: &LocalRow) -> rusqlite::Result<()> {
    let text = serde_json::to_string(row).map_err(|why| rusqlite::Error::ToSqlConversionFailure(why.into()))?;
    conn.prepare_cached("INSERT OR REPLACE INTO local_change VALUES (?1, ?2)")?
        .execute(params![row.wall_ns(), text])?;
    Ok(())
}

/// The rows in force within a span, by time: also the one before its beginning; the latest `limit`.
pub(super) fn between(conn: &Connection, from_ns: i64, to_ns: i64, limit: usize) -> rusqlite::Result<Vec<LocalRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT row FROM local_change WHERE wall_ns < ?2 AND wall_ns >= \
         coalesce((SELECT max(wall_ns) FROM local_change WHERE wall_ns <= ?1), ?1) ORDER BY wall_ns DESC LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query_map(params![from_ns, to_ns, limit], decode)?.collect::<Result<Vec<_>, _>>()?;
    rows.reverse();
    Ok(rows)
}

fn decode(row: &Row<'_>) -> rusqlite::Result<LocalRow> {
    let text = row.get_ref(0)?.as_str()?;
    serde_json::from_str(text).map_err(|why| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into()))
}

/// Deletes the rows that were no longer in force at `bound_ns`.
pub(super) fn prune(conn: &Connection, bound_ns: i64) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "DELETE FROM local_change WHERE wall_ns < (SELECT max(wall_ns) FROM local_change WHERE wall_ns < ?1)",
    )?
    .execute([bound_ns])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;
    use ntp_monitor_core::stats::leap::LeapSource;
    use ntp_monitor_core::stats::local::LocalState;

    #[test]
    fn row_in_force_is_read_and_kept_beside_those_of_the_span() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        let row = |ns| LocalRow::of(ns, "", &LocalState::default(), &LeapSource::default());
        (1..=5).for_each(|n| insert(&conn, &row(10 * n)).unwrap());
        let times = |from_ns, to_ns, limit| {
            let found = between(&conn, from_ns, to_ns, limit).unwrap();
            found.iter().map(LocalRow::wall_ns).collect::<Vec<_>>()
        };
        assert_eq!(times(25, 45, 9), [20, 30, 40]);
        assert_eq!(times(0, 20, 9), [10]);
        assert_eq!(times(25, 100, 2), [40, 50]);
        assert_eq!(prune(&conn, 35).unwrap(), 2);
        assert_eq!((prune(&conn, 35).unwrap(), between(&conn, 0, 100, 9).unwrap()[0].wall_ns()), (0, 30));
    }
}
